"""A flood at a door does not become a flood in the journal, and nothing is left out without a word."""

from __future__ import annotations

import io
import logging
import re
import threading
from pathlib import Path

from vouchbox.cli.log_limit import BURST, KINDS, PERIOD_S, TOTAL, LimitedHandler, LineLimit

UNITS = sorted((Path(__file__).resolve().parents[2] / "systemd").glob("*.service"))
LEFT_OUT = re.compile(r"^(\d+) more lines like this were left out: (.*)$", re.MULTILINE)


class Journal:
    """A handler over a stream, with a clock that the test moves."""

    def __init__(self, **limits: float) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        limit = LineLimit(**limits)  # type: ignore[arg-type]
        self.handler = LimitedHandler(self.stream, limit, lambda: self.now)
        self.log = logging.Logger("vouchbox.test")
        self.log.addHandler(self.handler)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()

    def left_out(self) -> int:
        return sum(int(count) for count, _ in LEFT_OUT.findall(self.stream.getvalue()))


def test_of_ten_thousand_equal_lines_a_few_are_written_and_the_rest_is_counted() -> None:
    journal = Journal()
    for _ in range(10_000):
        journal.log.warning("a request was ignored: %s", "rubbish")
    assert len(journal.lines) == BURST
    journal.now = PERIOD_S
    journal.log.warning("a request was ignored: %s", "rubbish")
    assert len(journal.lines) == BURST + 2
    assert journal.left_out() == 10_000 - BURST
    assert "a request was ignored: rubbish" in journal.lines[BURST]
    journal.handler.close()


def test_lines_of_one_form_are_one_kind_however_their_words_differ() -> None:
    journal = Journal()
    for number in range(1000):
        journal.log.warning("row %d refused here", number)
    journal.handler.close()
    assert len(journal.lines) == BURST + 1
    assert journal.left_out() == 1000 - BURST


def test_a_flood_of_ever_new_sentences_stays_below_the_total_and_is_counted_whole() -> None:
    journal = Journal()
    for number in range(5000):
        journal.log.error("%s", f"trouble {number}")
    written = len(journal.lines)
    assert written <= min(TOTAL, KINDS + BURST)
    journal.handler.close()
    assert written + journal.left_out() == 5000


def test_a_flood_of_one_kind_does_not_silence_another() -> None:
    journal = Journal()
    for _ in range(500):
        journal.log.warning("a request was ignored")
    journal.log.error("the disk is full")
    assert journal.lines[-1] == "the disk is full"
    journal.handler.close()


def test_lines_below_the_limit_pass_unchanged_and_nothing_is_said_about_them() -> None:
    journal = Journal()
    for minute in range(3):
        journal.now = minute * PERIOD_S
        for _ in range(BURST):
            journal.log.info("live after 5.0 s")
    journal.handler.close()
    assert journal.lines == ["live after 5.0 s"] * 3 * BURST


def test_the_count_is_written_even_when_the_flood_ends_and_no_other_line_comes() -> None:
    stream = io.StringIO()
    ticking = iter([0.0] * 31 + [PERIOD_S] * 10)
    handler = LimitedHandler(stream, LineLimit(), lambda: next(ticking), wake_s=0.01)
    log = logging.Logger("vouchbox.test")
    log.addHandler(handler)
    for _ in range(BURST + 11):
        log.warning("rubbish")
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()
    assert LEFT_OUT.findall(stream.getvalue()) == [("11", "rubbish")]
    handler.close()


def test_a_room_writes_less_than_what_makes_the_journal_drop_lines_unseen() -> None:
    daemons = [unit for unit in UNITS if "\nType=notify\n" in unit.read_text()]
    assert len(daemons) >= 3
    for unit in daemons:
        text = unit.read_text()
        period = re.search(r"^LogRateLimitIntervalSec=(\d+)$", text, re.MULTILINE)
        burst = re.search(r"^LogRateLimitBurst=(\d+)$", text, re.MULTILINE)
        assert period, f"{unit.name} has no period of its own"
        assert burst, f"{unit.name} has no limit of its own"
        # Two of the room's periods may touch one of the journal's, and every kind may owe its count.
        assert float(period[1]) <= PERIOD_S, unit.name
        assert int(burst[1]) >= 2 * TOTAL + KINDS, unit.name
