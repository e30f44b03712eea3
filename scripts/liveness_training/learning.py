"""The training itself: true labels, the teacher's opinion and the teacher's features, on crops that were
drawn before. Seeded; the same arrays and seed give the same network up to the order of float sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as together
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .network import Liveness

BATCH = 96
TEACHER_WEIGHT = 0.75
"""How much the teacher's opinion counts beside the true label for the wide crop; CLOSE_SHARE of it for the
close one. A simulated attack that shows no sign of one teaches nothing good by its true label alone."""

CLOSE_SHARE = 0.6
FEATURE_WEIGHT = 1.0
SMOOTHING = 0.03


@dataclass(frozen=True)
class Lesson:
    """Crops [n, 2, p, p, 3], true labels [n], teacher's probability [n], normalised embeddings [n, 256]."""

    crops: NDArray[np.uint8]
    live: NDArray[np.float32]
    teacher: NDArray[np.float32]
    embeddings: NDArray[np.float32]


def augmented(x: Tensor, generator: torch.Generator) -> Tensor:
    """Crops [n, 3, p, p] in 0..1, changed as the camera model does, but cheaply: mirrored, regraded, shifted
    by pixels, noised, softened. Both classes alike."""
    n = len(x)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator)

    flip = torch.rand(n, generator=generator) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    dx, dy = (int(v) for v in torch.randint(-4, 5, (2,), generator=generator))
    x = x.roll((dy, dx), (2, 3))
    if torch.rand(1, generator=generator).item() < 0.3:
        soft = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
        share = uniform(0.0, 0.8, n, 1, 1, 1)
        x = x * (1 - share) + soft * share
    gain = torch.exp(0.12 * torch.randn(n, 1, 1, 1, generator=generator)) * torch.exp(
        0.05 * torch.randn(n, 3, 1, 1, generator=generator)
    )
    x = x * gain
    if torch.rand(1, generator=generator).item() < 0.3:
        x = x + uniform(0.0, 0.02, n, 1, 1, 1) * torch.randn(x.shape, generator=generator)
    return x.clamp(0.0, 1.0)


def tensor_of(crops: NDArray[np.uint8]) -> Tensor:
    """[n, p, p, 3] bytes to [n, 3, p, p] in 0..1."""
    return torch.from_numpy(np.ascontiguousarray(crops.transpose(0, 3, 1, 2))).float() / 255.0


def loss_of(
    network: Liveness, lesson: Lesson, chosen: NDArray[np.int64], generator: torch.Generator
) -> Tensor:
    """The loss on the samples `chosen`."""
    crops = lesson.crops[chosen]
    both = augmented(
        torch.cat([tensor_of(crops[:, 0]), tensor_of(crops[:, 1])]).contiguous(
            memory_format=torch.channels_last
        ),
        generator,
    )
    logits, features = network(both)
    n = len(chosen)
    live = torch.from_numpy(lesson.live[chosen]) * (1 - 2 * SMOOTHING) + SMOOTHING
    opinion = torch.from_numpy(lesson.teacher[chosen]).clamp(0.02, 0.98)
    known = torch.from_numpy(lesson.embeddings[chosen])
    total = torch.zeros(())
    for scale, weight in ((0, CLOSE_SHARE * TEACHER_WEIGHT), (1, TEACHER_WEIGHT)):
        said = logits[scale * n : (scale + 1) * n, scale]
        target = (1 - weight) * live + weight * opinion
        total = total + functional.binary_cross_entropy_with_logits(said, target)
        guess = network.project[scale](features[scale * n : (scale + 1) * n])
        share = FEATURE_WEIGHT * (CLOSE_SHARE if scale == 0 else 1.0)
        total = total + share * functional.mse_loss(guess, known)
    return total


def train(
    network: Liveness,
    lesson: Lesson,
    epochs: int,
    rate: float,
    seed: int,
    report: Callable[[int, float], None],
) -> None:
    """`epochs` rounds with AdamW and a cosine schedule; `report` hears of each round's mean loss.

    In a process group each process takes its own part of every batch, and gradients are averaged: two threads
    of one process get in each other's way on a busy machine, two processes do not."""
    rank, world = (together.get_rank(), together.get_world_size()) if together.is_initialized() else (0, 1)
    generator = torch.Generator().manual_seed(seed + rank)
    order = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
    steps = max(1, len(lesson.live) // BATCH) * epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0))),
    )
    network.train()
    for epoch in range(epochs):
        places = order.permutation(len(lesson.live))
        losses = []
        for start in range(0, len(places) - BATCH + 1, BATCH):
            part = places[start : start + BATCH][rank::world]
            loss = loss_of(network, lesson, np.sort(part), generator)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if world > 1:
                _averaged(network, world)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        report(epoch, float(np.mean(losses)))
    network.eval()


def _averaged(network: Liveness, world: int) -> None:
    """Every process goes on with the mean gradient and the mean of the norms' statistics."""
    moved = [p.grad for p in network.parameters() if p.grad is not None]
    moved += [b for b in network.buffers() if b.is_floating_point()]
    flat = torch.cat([m.flatten() for m in moved])
    together.all_reduce(flat)
    flat /= world
    for mine, mean in zip(moved, flat.split([m.numel() for m in moved]), strict=True):
        mine.copy_(mean.view_as(mine))


@torch.no_grad()
def logits_of(network: Liveness, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 2, p, p, 3] to one logit for each crop, [n, 2]."""
    network.eval()
    said = []
    for start in range(0, len(crops), 256):
        part = crops[start : start + 256]
        said.append(torch.stack([network(tensor_of(part[:, scale]))[0][:, scale] for scale in range(2)], 1))
    return torch.cat(said).numpy()
