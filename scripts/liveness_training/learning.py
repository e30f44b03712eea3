"""The training itself: the network learns to say of every view what the teachers said of the same pixels,
MiniFAS's margin by its first logit and the mean one of the Silent-Face pair by its second; all margins,
embeddings and hints by projections that are thrown away afterwards.

A fixed number of steps from a seed, and the last weights count: no checkpoint is chosen by anything. The same
views and seed give the same network up to the order of float sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as together
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .hints import BYTE, mirrored
from .network import Liveness
from .views import Views

BATCH = 128
MIRRORED = 0.5
MARGIN_LIMIT = 6.0
"""Margins beyond this are all the same: a teacher is sure."""

MARGINS_WEIGHT, EMBEDDINGS_WEIGHT = 0.5, 0.7
HINTS_WEIGHTS = (2.0, 2.0, 2.0)
EMBEDDING_LIMIT = 5.0
WEIGHT_DECAY = 0.02
WARM_UP = 100
EVERY = 200
"""Steps between two reports."""

Report = Callable[[int, tuple[float, float]], None]
"""Hears of a step, and how far both logits were off in the mean of the last ones."""


def tensor_of(pictures: NDArray[np.generic]) -> Tensor:
    """[n, p, p, 3] bytes to [n, 3, p, p] in 0..1."""
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 255.0
    return x.contiguous(memory_format=torch.channels_last)


def hint_of(hints: NDArray[np.generic]) -> Tensor:
    """[n, side, side, k] bytes to [n, k, side, side]."""
    return torch.from_numpy(hints).permute(0, 3, 1, 2).float() / BYTE


def train(network: Liveness, views: Views, steps: int, rate: float, seed: int, report: Report) -> None:
    """`steps` steps of AdamW with a cosine schedule; `report` hears now and then of the errors.

    Half of the pictures are mirrored, and what the teachers said stays: of the mirrored one they say nearly
    the same (the pair 0.6 away), and the mean of both is the better answer.

    In a process group each process has its own part of the views and of every batch, and gradients are
    averaged: two threads of one process get in each other's way on a busy machine, two processes do not."""
    rank, world = (together.get_rank(), together.get_world_size()) if together.is_initialized() else (0, 1)
    chance = np.random.default_rng((seed, rank))
    known = views.embeddings.astype(np.float32)
    mean, spread = known.mean(0), known.std(0) + 1e-3
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0))),
    )
    network.train()
    device = next(network.parameters()).device
    errors = []
    for step in range(1, steps + 1):
        chosen = chance.integers(0, len(views.pictures), BATCH // world)
        turned = chance.random(len(chosen)) < MIRRORED
        pictures = tensor_of(mirrored(views.pictures[chosen], turned)).to(device)
        margins = torch.from_numpy(views.margins[chosen]).to(device).clamp(-MARGIN_LIMIT, MARGIN_LIMIT)
        embeddings = torch.from_numpy((known[chosen] - mean) / spread).to(device)
        embeddings = embeddings.clamp(-EMBEDDING_LIMIT, EMBEDDING_LIMIT)
        logits, guess, seen = network(pictures)
        target = torch.stack([margins[:, 2], margins[:, :2].mean(1)], 1)
        loss = (
            functional.smooth_l1_loss(logits, target)
            + MARGINS_WEIGHT * functional.smooth_l1_loss(guess[:, :3], margins)
            + EMBEDDINGS_WEIGHT * functional.mse_loss(guess[:, 3:], embeddings)
        )
        for weight, mine, hints in zip(HINTS_WEIGHTS, seen, views.hints, strict=True):
            there = hint_of(mirrored(hints[chosen], turned, 1)).to(device)
            # The first column of a mirrored map has no counterpart.
            loss = loss + weight * functional.mse_loss(mine[..., 1:], there[..., 1:])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if world > 1:
            _averaged(network, world)
        optimizer.step()
        schedule.step()
        errors.append((logits.detach() - target).abs().mean(0).tolist())
        if step % EVERY == 0 or step == steps:
            first, second = np.mean(errors[-EVERY:], 0)
            report(step, (float(first), float(second)))
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
