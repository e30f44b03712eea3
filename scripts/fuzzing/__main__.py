"""Feed every target, or those that are named, a number of inputs from consecutive seeds, and count.

A broken promise or a crash prints the target and the seed that finds it again, and ends with exit code 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterator

from fuzzing.targets import TARGETS, feed

BATCH = 2_000
"""Seeds that one process tries at a time."""

Batch = tuple[str, int, int]


def try_batch(batch: Batch) -> tuple[int, int, str]:
    """Run one batch (target, first seed, inputs): how many were fed, how many came through, what broke."""
    name, first, wanted = batch
    passed = 0
    for seed in range(first, first + wanted):
        try:
            passed += feed(name, seed)
        except Exception:
            return seed - first + 1, passed, f"{name}, seed {seed}:\n{traceback.format_exc()}"
    return wanted, passed, ""


def batches(name: str, wanted: int, seed: int) -> Iterator[Batch]:
    """`wanted` inputs from `seed` on."""
    for start in range(0, wanted, BATCH):
        yield name, seed + start, min(BATCH, wanted - start)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all if left out"
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each target (default 1000000)")
    parser.add_argument("--seed", type=int, default=0, help="the first one (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if unknown := set(asked.targets) - set(TARGETS):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    with multiprocessing.Pool(asked.jobs) as pool:
        for name in asked.targets or TARGETS:
            began, fed, passed = time.monotonic(), 0, 0
            for more, through, broken in pool.imap_unordered(
                try_batch, batches(name, asked.inputs, asked.seed)
            ):
                if broken:
                    print(f"fuzz: {broken}", file=sys.stderr)
                    return 1
                fed, passed = fed + more, passed + through
            took = time.monotonic() - began
            print(f"{name}: {fed} inputs, {passed} came through, no failure, {took:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
