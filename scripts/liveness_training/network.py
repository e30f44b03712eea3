"""The liveness network: plain 3x3 convolutions and ReLU, a biased head of two logits, nothing that an int8
delegate would refuse. Batch norms exist in training only and are folded away before quantization."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .hints import KEPT

STEM = (
    *((3, 16, 2), (16, 48, 2), (48, 48, 1), (48, 80, 2)),
    *((80, 80, 1), (80, 80, 1), (80, 104, 2), (104, 112, 2)),
)
"""Input and output channels and stride of each 3x3 convolution: 80 pixels become 3."""

STAGES = (2, 5, 6)
"""The convolutions whose maps, of 20 x 20, 10 x 10 and 5 x 5 places, foretell the teachers'."""

WIDE = 112
TEACHERS = 2

TOLD = 3 + 384
"""The teachers' three margins and three embeddings, which training predicts from the features."""


def padded(x: Tensor, stride: int) -> Tensor:
    """Zeros around a picture as TFLite's padding SAME puts them for 3x3: none before the first row and column
    of an even side under stride 2, where PyTorch's own padding would put one."""
    first = 0 if stride == 2 and x.shape[-1] % 2 == 0 else 1
    return functional.pad(x, (first, 1, first, 1))


class Liveness(nn.Module):
    """[n, 3, 80, 80] in 0..1 to logits [n, 2]: place 0 learns from MiniFAS, 1 from the Silent-Face pair.
    In training only, the features before the head also feed a projection to all that both said, and the maps
    of STAGES one to what they saw there."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, stride, bias=False) for a, b, stride in STEM)
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for _, b, _ in STEM)
        # The last convolution sees the whole 3 x 3 field, so that the head knows where an edge was.
        self.gather = nn.Conv2d(STEM[-1][1], WIDE, 3, bias=False)
        self.gather_norm = nn.BatchNorm2d(WIDE)
        self.head = nn.Conv2d(WIDE, 2, 1)
        self.project = nn.Linear(WIDE, TOLD)
        self.foretell = nn.ModuleList(
            nn.Conv2d(STEM[place][1], TEACHERS * kept, 1) for place, kept in zip(STAGES, KEPT, strict=True)
        )

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Logits, the guess of what the teachers said [n, 387], and of what they saw, [n, k, side, side]."""
        x, seen = pictures, []
        for number, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = torch.relu(norm(convolution(padded(x, convolution.stride[0]))))
            if number in STAGES:
                seen.append(self.foretell[len(seen)](x))
        x = torch.relu(self.gather_norm(self.gather(x)))
        return self.head(x).flatten(1), self.project(x.flatten(1)), seen

    def folded(self) -> list[tuple[Tensor, Tensor, int]]:
        """Every convolution as weight, bias and stride, batch norms folded in; `gather`, head last."""
        pairs = [*zip(self.convolutions, self.norms, strict=True), (self.gather, self.gather_norm)]
        steps = []
        for convolution, norm in pairs:
            assert isinstance(norm, nn.BatchNorm2d)
            assert isinstance(convolution, nn.Conv2d)
            assert norm.running_var is not None
            assert norm.running_mean is not None
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            weight = convolution.weight * gain[:, None, None, None]
            bias = norm.bias - norm.running_mean * gain
            steps.append((weight, bias, convolution.stride[0]))
        assert self.head.bias is not None
        steps.append((self.head.weight, self.head.bias, 1))
        return [(w.detach(), b.detach(), stride) for w, b, stride in steps]
