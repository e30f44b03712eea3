"""The published Silent-Face pair, rebuilt in PyTorch from the shapes of its weights: a labeller of training
pictures and a judge of the recapture simulator. Nothing of it goes into a model of ours but what it says.

Source: minivision-ai/Silent-Face-Anti-Spoofing (Apache-2.0). Input: BGR 0..255, 80 x 80; output: softmax over
three classes, of which class 1 is bona fide. Here both look at the very picture that our network sees.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .hints import PIXELS, Said

FILES = ("2.7_80x80_MiniFASNetV2.pth", "4_0_0_80x80_MiniFASNetV1SE.pth")
BONA_FIDE = 1
EPSILON = 1e-5
"""Batch norm's own in PyTorch, with which the published weights were trained."""

Weights = dict[str, Tensor]


class Teacher(nn.Module):
    """One network of the pair, in evaluation mode for ever."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self._w = {name.removeprefix("module."): value for name, value in weights.items()}
        self._folded = {
            name.removesuffix(".conv.weight"): self._fold(name.removesuffix(".conv.weight"))
            for name in self._w
            if name.endswith(".conv.weight")
        }

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Logits [n, 3], the embedding [n, 128] and the maps after the three stages, [n, c, 20, 20],
        [n, c, 10, 10] and [n, c, 5, 5], of pictures [n, 3, 80, 80]."""
        maps = []
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
            maps.append(x)
        x = self._block("conv_6_sep", x, 1, 0)
        x = self._block("conv_6_dw", x, 1, 0).flatten(1)
        embedding = self._norm("bn", x @ self._w["linear.weight"].T)
        return embedding @ self._w["prob.weight"].T, embedding, maps

    def _norm(self, name: str, x: Tensor) -> Tensor:
        w = self._w
        return functional.batch_norm(
            x,
            w[f"{name}.running_mean"],
            w[f"{name}.running_var"],
            w[f"{name}.weight"],
            w[f"{name}.bias"],
            training=False,
            eps=EPSILON,
        )

    def _block(self, name: str, x: Tensor, stride: int, padding: int) -> Tensor:
        weight, bias = self._folded[name]
        x = functional.conv2d(x, weight, bias, stride, padding, 1, x.shape[1] // weight.shape[1])
        slope = self._w.get(f"{name}.prelu.weight")
        return x if slope is None else functional.prelu(x, slope)

    def _fold(self, name: str) -> tuple[Tensor, Tensor]:
        """Weight and bias of a convolution with its batch norm in them."""
        w, norm = self._w, f"{name}.bn"
        weight, bias = fuse_conv_bn_weights(
            w[f"{name}.conv.weight"],
            None,
            w[f"{norm}.running_mean"],
            w[f"{norm}.running_var"],
            EPSILON,
            w[f"{norm}.weight"],
            w[f"{norm}.bias"],
        )
        return weight.detach().contiguous(memory_format=torch.channels_last), bias.detach()

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


@torch.no_grad()
def _frozen(teacher: Teacher) -> torch.jit.ScriptModule:
    """The same network, compiled for running only: nearly three times as quick."""
    example = torch.zeros(1, 3, PIXELS, PIXELS).contiguous(memory_format=torch.channels_last)
    traced = torch.jit.trace(teacher.eval(), (example,), strict=False)  # type: ignore[no-untyped-call]
    return torch.jit.optimize_for_inference(traced)


class Pair:
    """Both networks, and what they say of pictures."""

    def __init__(self, folder: Path) -> None:
        self._nets = [
            _frozen(Teacher(torch.load(next(folder.rglob(name)), map_location="cpu", weights_only=True)))
            for name in FILES
        ]

    @torch.no_grad()
    def judge(self, pictures: NDArray[np.uint8]) -> Said:
        """What both networks say of the very same RGB pictures [n, 80, 80, 3]; keep n to some hundreds, for
        maps [n, side, side, channels] are large."""
        batch = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1])).permute(0, 3, 1, 2).float()
        batch = batch.contiguous(memory_format=torch.channels_last)
        said = [net(batch) for net in self._nets]
        others = [i for i in range(3) if i != BONA_FIDE]
        odds = [logits[:, BONA_FIDE] - torch.logsumexp(logits[:, others], 1) for logits, _, _ in said]
        stages = zip(*(maps for _, _, maps in said), strict=True)
        return Said(
            torch.stack(odds, 1).numpy(),
            torch.cat([embedding for _, embedding, _ in said], 1).half().numpy(),
            tuple(torch.cat(both, 1).permute(0, 2, 3, 1).numpy() for both in stages),
        )
