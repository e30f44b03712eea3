"""The challenge that the vault draws: which prompts, which pauses, and that neither side decides alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, product

from vouchbox.messages import Prompt
from vouchbox.vault import challenge


def test_a_challenge_never_repeats_a_prompt_at_once_and_always_turns_the_head() -> None:
    counts: Counter[tuple[Prompt, ...]] = Counter()
    for number in range(600):
        for length in range(1, 6):
            prompts, pauses = challenge.draw("a-nonce-of-the-party", number.to_bytes(32, "big"), length)
            assert len(prompts) == len(pauses) == length
            assert all(first is not second for first, second in pairwise(prompts))
            turns = [p for p in prompts if p in (Prompt.TURN_LEFT, Prompt.TURN_RIGHT)]
            nods = [p for p in prompts if p in (Prompt.LOOK_UP, Prompt.LOOK_DOWN)]
            assert turns
            assert len(turns) + len(nods) >= min(length, 2)
            if length == 3:
                counts[prompts] += 1
    assert max(counts.values()) < 20


def test_there_are_130_challenges_of_three_prompts_and_each_is_drawn() -> None:
    """So a recording of another session holds the very sequence once in 130 times, 0.8 %."""
    drawn = {challenge.draw("a-nonce", number.to_bytes(32, "big"), 3).prompts for number in range(3000)}
    assert len(drawn) == 130


def test_pauses_are_drawn_of_the_same_secrets_and_independent_of_the_prompts() -> None:
    counts: Counter[tuple[float, ...]] = Counter()
    after: dict[Prompt, set[float]] = {}
    for number in range(800):
        drawn = "a-nonce", number.to_bytes(32, "big"), 3
        prompts, pauses = challenge.draw(*drawn)
        assert (prompts, pauses) == challenge.draw(*drawn)
        counts[pauses] += 1
        after.setdefault(prompts[0], set()).add(pauses[0])
    assert set(counts) == set(product(challenge.PAUSES_S, repeat=3))
    assert all(60 < count < 140 for count in counts.values())
    assert all(seen == set(challenge.PAUSES_S) for seen in after.values())


def test_both_sides_have_their_part_in_a_challenge() -> None:
    sides = product(("nonce-one", "nonce-two"), (bytes(32), b"x" * 32))
    drawn = {side: challenge.draw(*side, 5) for side in sides}
    assert len({prompts for prompts, _ in drawn.values()}) == 4
    paused = {nonce: drawn[nonce, bytes(32)].pauses for nonce in ("nonce-one", "nonce-two")}
    assert len(set(paused.values())) == 2
