"""The published Silent-Face pair, rebuilt in PyTorch from the shapes of its weights: a labeller of training
pictures and a judge of the recapture simulator. Nothing of it goes into a model of ours but what it says.

Source: minivision-ai/Silent-Face-Anti-Spoofing (Apache-2.0). Input: BGR 0..255, 80 x 80, the face box's own
proportions times 2.7 and 4.0. Output: softmax over three classes, of which class 1 is bona fide.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

FILES = {2.7: "2.7_80x80_MiniFASNetV2.pth", 4.0: "4_0_0_80x80_MiniFASNetV1SE.pth"}
PIXELS = 80
BONA_FIDE = 1

Weights = dict[str, Tensor]


def teacher_crop(frame: NDArray[np.uint8], box: tuple[float, ...], times: float) -> NDArray[np.uint8]:
    """The pair's own crop of an RGB frame: `times` the box (left, top, right, bottom), scaled down and then
    shifted so that it stays inside; 80 x 80 x 3, BGR."""
    height, width = frame.shape[:2]
    left, top, right, bottom = box
    wide, tall = right - left, bottom - top
    times = min((height - 1) / tall, (width - 1) / wide, times)
    half_w, half_h = wide * times / 2, tall * times / 2
    x = min(max((left + right) / 2, half_w), width - 1 - half_w)
    y = min(max((top + bottom) / 2, half_h), height - 1 - half_h)
    part = frame[int(y - half_h) : int(y + half_h) + 1, int(x - half_w) : int(x + half_w) + 1]
    return np.ascontiguousarray(cv2.resize(part, (PIXELS, PIXELS))[..., ::-1])


class Teacher(nn.Module):
    """One network of the pair, in evaluation mode for ever."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._w = {name.removeprefix("module."): value for name, value in weights.items()}

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [n, 3] and the embedding [n, 128] of pictures [n, 3, 80, 80]."""
        x = self._block("conv1", pictures, 2, 1)
        x = self._block("conv2_dw", x, 1, 1)
        for stage in ("3", "4", "5"):
            before = {"3": "23", "4": "34", "5": "45"}[stage]
            x = self._inverted(f"conv_{before}", x, 2)
            number = 0
            while f"conv_{stage}.model.{number}.conv.conv.weight" in self._w:
                name = f"conv_{stage}.model.{number}"
                x = x + self._squeezed(name, self._inverted(name, x, 1))
                number += 1
        x = self._block("conv_6_sep", x, 1, 0)
        x = self._block("conv_6_dw", x, 1, 0).flatten(1)
        embedding = self._norm("bn", x @ self._w["linear.weight"].T)
        return embedding @ self._w["prob.weight"].T, embedding

    def _norm(self, name: str, x: Tensor) -> Tensor:
        w = self._w
        return functional.batch_norm(
            x,
            w[f"{name}.running_mean"],
            w[f"{name}.running_var"],
            w[f"{name}.weight"],
            w[f"{name}.bias"],
            training=False,
        )

    def _block(self, name: str, x: Tensor, stride: int, padding: int) -> Tensor:
        weight = self._w[f"{name}.conv.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = functional.conv2d(x, weight, None, stride, padding, 1, groups)
        x = self._norm(f"{name}.bn", x)
        slope = self._w.get(f"{name}.prelu.weight")
        return x if slope is None else functional.prelu(x, slope)

    def _inverted(self, name: str, x: Tensor, stride: int) -> Tensor:
        x = self._block(f"{name}.conv", x, 1, 0)
        x = self._block(f"{name}.conv_dw", x, stride, 1)
        return self._block(f"{name}.project", x, 1, 0)

    def _squeezed(self, name: str, x: Tensor) -> Tensor:
        if f"{name}.se_module.fc1.weight" not in self._w:
            return x
        s = x.mean((2, 3), keepdim=True)
        s = functional.conv2d(s, self._w[f"{name}.se_module.fc1.weight"])
        s = functional.relu(self._norm(f"{name}.se_module.bn1", s))
        s = functional.conv2d(s, self._w[f"{name}.se_module.fc2.weight"])
        return x * torch.sigmoid(self._norm(f"{name}.se_module.bn2", s))


class Pair:
    """Both networks; `label` says what they think of crops that `teacher_crop` cut."""

    def __init__(self, folder: Path) -> None:
        self._nets = {
            times: Teacher(torch.load(next(folder.rglob(name)), map_location="cpu", weights_only=True))
            for times, name in FILES.items()
        }

    @torch.no_grad()
    def label(
        self, close: NDArray[np.uint8], wide: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of crops [n, 80, 80, 3] at 2.7 and 4.0: the probability of bona fide [n, 2], one for each network,
        and both embeddings [n, 256]."""
        said, known = [], []
        for start in range(0, len(close), 256):
            probabilities, embeddings = [], []
            for net, crops in zip(self._nets.values(), (close, wide), strict=True):
                batch = torch.from_numpy(crops[start : start + 256]).permute(0, 3, 1, 2).float()
                logits, embedding = net(batch)
                probabilities.append(logits.softmax(1)[:, BONA_FIDE])
                embeddings.append(embedding)
            said.append(torch.stack(probabilities, 1))
            known.append(torch.cat(embeddings, 1))
        return torch.cat(said).numpy(), torch.cat(known).numpy()
