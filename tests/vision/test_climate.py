"""The vault hears of heat and power when something changed, and so seldom that the wall's budget holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from vouchbox.machine import Pace, Sign
from vouchbox.messages import VISION_SESSION_BUDGET, encode
from vouchbox.vision.climate import READ_S, TELL_DEGREES, TELL_S, Climate
from vouchbox.vision.sensors import Sensors

Machine = Callable[..., Path]


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_sensors_are_read_no_more_often_than_they_have_something_to_say(machine: Machine) -> None:
    watch, climate = Watch(), None
    climate = Climate(Sensors(machine(50_000)), watch)
    machine(90_000)
    watch.now = READ_S - 0.1
    assert climate.pace() is Pace.FULL
    watch.now = READ_S
    assert climate.pace() is Pace.LEAST


def test_what_did_not_change_is_not_told_again(machine: Machine) -> None:
    watch = Watch()
    climate = Climate(Sensors(machine(50_000, throttled="0")), watch)
    assert climate.now().temperature_c == 50
    for _ in range(100):
        watch.now += TELL_S
        machine(50_000 + (TELL_DEGREES - 1) * 1000, throttled="0")
        assert climate.news() is None
    machine(50_000 + TELL_DEGREES * 1000, throttled="0")
    watch.now += TELL_S
    news = climate.news()
    assert news is not None
    assert news.temperature_c == 50 + TELL_DEGREES


def test_a_change_waits_for_its_time_but_not_after_a_session(machine: Machine) -> None:
    watch = Watch()
    climate = Climate(Sensors(machine(50_000, throttled="0")), watch)
    climate.now()
    machine(50_000, throttled="1")
    watch.now = TELL_S - 1.0
    assert climate.news() is None
    news = climate.news(at_once=True)
    assert news is not None
    assert news.under_voltage is Sign.YES


def test_a_supply_that_flickers_for_a_day_without_a_session_stays_within_the_budget(machine: Machine) -> None:
    watch = Watch()
    climate = Climate(Sensors(machine(50_000, throttled="0")), watch)
    told = len(encode(climate.now()))
    for minute in range(24 * 60):
        watch.now = 60.0 * minute
        machine(50_000, throttled=str(minute % 2))
        news = climate.news()
        told += len(encode(news)) + 4 if news is not None else 0
    assert 10_000 < told < VISION_SESSION_BUDGET


def test_slowing_down_and_recovering_are_each_one_line_in_the_log(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch()
    with caplog.at_level(logging.INFO, "vouchbox.vision"):
        climate = Climate(Sensors(machine(85_000)), watch)
        for second in range(600):
            watch.now = float(second)
            climate.pace()
        machine(40_000)
        for second in range(600, 900):
            watch.now = float(second)
            climate.pace()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO"]
