"""Scores a whole set: what the cache knows is not looked at again, the rest is shared out to processes.

Every score is put into the cache at once, so a run that was broken off goes on where it stopped. The first
presentation that can't be read ends the run with its sentence: a set with holes is not measured.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import msgspec

from vouchbox.errors import EvaluationError, VouchboxError
from vouchbox.evaluation.cache import ScoreCache, digest_of_file, key_of
from vouchbox.evaluation.manifest import Presentation
from vouchbox.evaluation.scores import Scorer

Value = TypeVar("Value")

WORTH_A_PROCESS = 8
"""Fewer presentations than this are scored sooner than a second process has started."""

_scorer: Scorer[Any] | None = None
"""The scorer of a worker process, made once when it starts."""


class _Refusal(tuple[str, str]):
    """What a worker sends where it has no score: what went wrong and what to do."""


def score_all(
    presentations: Sequence[Presentation],
    make: Callable[[], Scorer[Value]],
    value: type[Value],
    cache: ScoreCache,
    workers: int = 1,
    done: Callable[[int], None] = lambda _: None,
) -> tuple[Value, ...]:
    """A score (of the type `value`) for each presentation, in their order. `make` must be picklable where
    `workers` is above 1; `done` hears how many more are finished. Raises EvaluationError for the first
    file that can't be read, and whatever `make` raises."""
    scorer = make()
    digests = [digest_of_file(p.path) for p in presentations]
    keys = [
        key_of("presentation", presentation.kind, digest, scorer.identity)
        for presentation, digest in zip(presentations, digests, strict=True)
    ]
    remembered = (_remembered(cache, key, value) for key in keys)
    known = {i: scored for i, scored in enumerate(remembered) if scored is not None}
    done(len(known))
    left = [i for i in range(len(presentations)) if i not in known]
    tasks = [(i, presentations[i], digests[i]) for i in left]
    if workers > 1 and len(tasks) >= WORTH_A_PROCESS:
        answers = _shared_out(tasks, make, workers)
    else:
        answers = ((i, scorer.score(p, digest)) for i, p, digest in tasks)
    for i, scored in answers:
        cache.put(keys[i], msgspec.json.encode(scored))
        known[i] = scored
        done(1)
    return tuple(known[i] for i in range(len(presentations)))


def _remembered(cache: ScoreCache, key: str, value: type[Value]) -> Value | None:
    kept = cache.get(key)
    if kept is None:
        return None
    try:
        return msgspec.json.decode(kept, type=value)
    except msgspec.DecodeError:
        return None  # whatever it is, it is no score: look again


def _shared_out(
    tasks: list[tuple[int, Presentation, str]], make: Callable[[], Scorer[Value]], workers: int
) -> Iterator[tuple[int, Value]]:
    # Spawned, not forked: a TFLite runtime's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(tasks)), context, _begin, (make,))
    try:
        waiting = {pool.submit(_score, presentation, digest): i for i, presentation, digest in tasks}
        for future in as_completed(waiting):
            answer = future.result()
            if isinstance(answer, _Refusal):
                raise EvaluationError(*answer)
            yield waiting[future], answer
    except BrokenProcessPool:
        raise EvaluationError("a scoring process died", "run it again with --workers 1") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin(make: Callable[[], Scorer[Any]]) -> None:
    global _scorer
    # Ctrl-C reaches every process of a terminal; the parent stops the work and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _scorer = make()


def _score(presentation: Presentation, digest: str) -> Any:
    if _scorer is None:
        raise RuntimeError("the worker was not begun")
    try:
        return _scorer.score(presentation, digest)
    except VouchboxError as problem:
        return _Refusal((problem.what, problem.fix))
