"""The pair of minivision-ai/Silent-Face-Anti-Spoofing (Apache-2.0), rebuilt from the names and shapes of its
state dicts: stages of inverted bottlenecks, one of the two with squeeze-and-excitation."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from liveness_peers.network import Network
from vouchbox.camera.source import Image
from vouchbox.vision.observation import Box

PAIR = (("2.7_80x80_MiniFASNetV2.pth", 2.7), ("4_0_0_80x80_MiniFASNetV1SE.pth", 4.0))
SIDE = 80
BONA_FIDE = 1
_STRIDES = {"conv_23": 2, "conv_34": 2, "conv_45": 2}

Weights = dict[str, Tensor]


class SilentFace(Network):
    """The mean of the two networks' softmax for the class bona fide."""

    name = "Silent-Face pair"
    note = "2.7 and 4.0 times the box, BGR, 80 px"

    def __init__(self, models: Path) -> None:
        torch.set_num_threads(1)
        self.files = [models / file for file, _ in PAIR]
        self._nets = [(rebuilt(models / file), scale) for file, scale in PAIR]

    def judge(self, picture: Image, box: Box) -> float | None:
        scores = []
        for net, scale in self._nets:
            crop = cut(picture, box, scale)
            if crop is None:
                return None
            values = torch.from_numpy(np.ascontiguousarray(crop[:, :, ::-1].transpose(2, 0, 1))).float()
            with torch.inference_mode():
                scores.append(float(net(values[None]).softmax(1)[0, BONA_FIDE]))
        return sum(scores) / len(scores)


def cut(picture: Image, box: Box, scale: float) -> Image | None:
    """`scale` times the box with the box's own shape, scaled down and shifted so that it stays inside the
    picture, as 80 x 80; None for a box that is no rectangle."""
    height, width = picture.shape[:2]
    wide, high = box.right - box.left, box.bottom - box.top
    if min(wide, high) <= 0:
        return None
    scale = min((height - 1) / high, (width - 1) / wide, scale)
    wide, high = wide * scale, high * scale
    left = (box.left + box.right - wide) / 2.0
    top = (box.top + box.bottom - high) / 2.0
    left = min(max(left, 0.0), width - 1 - wide)
    top = min(max(top, 0.0), height - 1 - high)
    part = picture[int(top) : int(top + high) + 1, int(left) : int(left + wide) + 1]
    return np.asarray(cv2.resize(part, (SIDE, SIDE)), np.uint8)


def rebuilt(path: Path) -> nn.Module:
    """The network of a state dict, in evaluation mode; every name and shape must fit."""
    loaded = torch.load(path, map_location="cpu", weights_only=True)
    weights = {name.removeprefix("module."): value for name, value in loaded.items()}
    net = Trunk(weights)
    net.load_state_dict(weights, strict=True)
    return net.eval()


class Trunk(nn.Module):
    """80 x 80 x 3 to three logits."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.conv1 = _convolution(weights, "conv1", stride=2, padding=1)
        self.conv2_dw = _convolution(weights, "conv2_dw", padding=1)
        for stage in ("conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5"):
            # A stage with residual blocks counts them under `model.N`.
            blocks = {name.split(".")[2] for name in weights if name.startswith(f"{stage}.model.")}
            if blocks:
                names = [f"{stage}.model.{n}" for n in range(len(blocks))]
                part: nn.Module = _Stage([_Bottleneck(weights, name, residual=True) for name in names])
            else:
                part = _Bottleneck(weights, stage, stride=_STRIDES[stage])
            setattr(self, stage, part)
        self.conv_6_sep = _convolution(weights, "conv_6_sep")
        self.conv_6_dw = _convolution(weights, "conv_6_dw")
        out, into = weights["linear.weight"].shape
        self.linear = nn.Linear(into, out, bias=False)
        self.bn = nn.BatchNorm1d(out)
        self.prob = nn.Linear(out, weights["prob.weight"].shape[0], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for stage in ("conv1", "conv2_dw", "conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5"):
            x = getattr(self, stage)(x)
        x = self.conv_6_dw(self.conv_6_sep(x)).flatten(1)
        return self.prob(self.bn(self.linear(x)))


class _Stage(nn.Module):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.model = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class _Bottleneck(nn.Module):
    """1x1 expand, 3x3 depthwise, 1x1 linear project; squeeze-and-excitation before the addition where the
    state dict has it."""

    def __init__(self, weights: Weights, name: str, stride: int = 1, residual: bool = False) -> None:
        super().__init__()
        self._residual = residual
        self.conv = _convolution(weights, f"{name}.conv")
        self.conv_dw = _convolution(weights, f"{name}.conv_dw", stride=stride, padding=1)
        self.project = _convolution(weights, f"{name}.project")
        self.se_module = None
        if f"{name}.se_module.fc1.weight" in weights:
            self.se_module = _Excitation(*weights[f"{name}.se_module.fc1.weight"].shape[:2])

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.conv_dw(self.conv(x)))
        if self.se_module is not None:
            y = self.se_module(y)
        return x + y if self._residual else y


class _Excitation(nn.Module):
    def __init__(self, squeezed: int, channels: int) -> None:
        super().__init__()
        self.fc1, self.bn1 = nn.Conv2d(channels, squeezed, 1, bias=False), nn.BatchNorm2d(squeezed)
        self.fc2, self.bn2 = nn.Conv2d(squeezed, channels, 1, bias=False), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.bn1(self.fc1(x.mean((2, 3), keepdim=True))).relu()
        return x * self.bn2(self.fc2(weight)).sigmoid()


def _convolution(weights: Weights, name: str, stride: int = 1, padding: int = 0) -> nn.Sequential:
    """Convolution and batch norm, with PReLU where the state dict has its weights."""
    out, into, kernel, _ = weights[f"{name}.conv.weight"].shape
    groups = out if into == 1 else 1
    part = nn.Sequential()
    part.add_module("conv", nn.Conv2d(into * groups, out, kernel, stride, padding, groups=groups, bias=False))
    part.add_module("bn", nn.BatchNorm2d(out))
    if f"{name}.prelu.weight" in weights:
        part.add_module("prelu", nn.PReLU(out))
    return part
