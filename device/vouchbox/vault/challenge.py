"""Draw the sequence of prompts that a recording can't know, and the pauses before them.

Pure: the request's nonce and the vault's own entropy in, prompts and pauses out. Neither side alone decides
the sequence: a relying party can't choose it, and a box with a weak generator still depends on the nonce.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from vouchbox.messages import Prompt

ENTROPY_BYTES = 32
LENGTH_LIMIT = 5

PAUSES_S = (0.0, 0.7)
"""What passes before a prompt, once the person rests. Whoever follows a prompt moves 0.25 to 0.6 s after it,
so a recording made with the short one moves too early for the long one. More steps would cost more time."""

_PROMPTS = tuple(Prompt)
_TURNS = frozenset((Prompt.TURN_LEFT, Prompt.TURN_RIGHT))
_ROTATIONS = _TURNS | {Prompt.LOOK_UP, Prompt.LOOK_DOWN}


class Drawn(NamedTuple):
    """Prompts, and the seconds that pass before each of them."""

    prompts: tuple[Prompt, ...]
    pauses: tuple[float, ...]


def draw(nonce: str, entropy: bytes, length: int) -> Drawn:
    """`length` prompts (1..5), uniform among the sequences that never repeat a prompt at once and contain
    what the geometry test needs: a turn of the head and, from two prompts on, another turn or a nod, for of
    one turn alone it sometimes can't tell. And a pause before each, uniform in PAUSES_S and independent of
    the prompts. `entropy` is 32 fresh random bytes."""
    if not 1 <= length <= LENGTH_LIMIT or len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a challenge has 1 to {LENGTH_LIMIT} prompts and {ENTROPY_BYTES} bytes of entropy")
    return Drawn(_prompts(nonce, entropy, length), _pauses(nonce, entropy, length))


def _prompts(nonce: str, entropy: bytes, length: int) -> tuple[Prompt, ...]:
    choices = _choices(b"vouchbox-challenge-v1", len(_PROMPTS), nonce, entropy)
    while True:
        prompts = tuple(_PROMPTS[next(choices)] for _ in range(length))
        repeats = any(first is second for first, second in pairwise(prompts))
        rotations = sum(prompt in _ROTATIONS for prompt in prompts)
        if not repeats and _TURNS.intersection(prompts) and rotations >= min(length, 2):
            return prompts


def _pauses(nonce: str, entropy: bytes, length: int) -> tuple[float, ...]:
    choices = _choices(b"vouchbox-pauses-v1", len(PAUSES_S), nonce, entropy)
    return tuple(PAUSES_S[next(choices)] for _ in range(length))


def _choices(purpose: bytes, kinds: int, nonce: str, entropy: bytes) -> Iterator[int]:
    """Numbers below `kinds`, each as likely as the other."""
    fair = 256 - 256 % kinds
    counter = 0
    while True:
        block = b"\n".join((purpose, entropy.hex().encode(), nonce.encode(), b"%d" % counter))
        for byte in hashlib.sha256(block).digest():
            if byte < fair:
                yield byte % kinds
        counter += 1
