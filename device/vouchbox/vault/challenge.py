"""Draw the sequence of prompts that a recording can't know.

Pure: the request's nonce and the vault's own entropy in, prompts out. Neither side alone decides the
sequence: a relying party can't choose it, and a box with a weak generator still depends on the nonce.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise

from vouchbox.messages import Prompt

ENTROPY_BYTES = 32
LENGTH_LIMIT = 5

_PROMPTS = tuple(Prompt)
_TURNS = {Prompt.TURN_LEFT, Prompt.TURN_RIGHT}


def draw(nonce: str, entropy: bytes, length: int) -> tuple[Prompt, ...]:
    """`length` prompts (1..5), uniform among the sequences that never repeat a prompt at once and contain
    a turn of the head, which the geometry test needs. `entropy` is 32 fresh random bytes."""
    if not 1 <= length <= LENGTH_LIMIT or len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a challenge has 1 to {LENGTH_LIMIT} prompts and {ENTROPY_BYTES} bytes of entropy")
    choices = _choices(nonce, entropy)
    while True:
        prompts = tuple(next(choices) for _ in range(length))
        repeats = any(first is second for first, second in pairwise(prompts))
        if not repeats and _TURNS.intersection(prompts):
            return prompts


def _choices(nonce: str, entropy: bytes) -> Iterator[Prompt]:
    fair = 256 - 256 % len(_PROMPTS)
    counter = 0
    while True:
        block = b"\n".join(
            (b"vouchbox-challenge-v1", entropy.hex().encode(), nonce.encode(), b"%d" % counter)
        )
        for byte in hashlib.sha256(block).digest():
            if byte < fair:
                yield _PROMPTS[byte % len(_PROMPTS)]
        counter += 1
