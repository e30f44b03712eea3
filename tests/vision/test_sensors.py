"""What /sys says is told as it is, and what it does not say is unknown: never "no", never a number."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vouchbox.machine import Sign
from vouchbox.vision.sensors import Reading, Sensors

Machine = Callable[..., Path]


def test_a_machine_that_shows_nothing_is_unknown_in_every_respect(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "not-there"):
        assert Sensors(root).read() == Reading(None, *[Sign.UNKNOWN] * 4)


def test_the_hottest_zone_counts(machine: Machine) -> None:
    root = machine(48_312, 61_950, 20_000)
    assert Sensors(root).read().temperature_c == pytest.approx(61.95)


@pytest.mark.parametrize("text", ["", "hot", "-274000", "999000", "12\x00", "1" * 500])
def test_a_sensor_that_talks_nonsense_is_unknown(machine: Machine, text: str) -> None:
    root = machine(text)
    assert Sensors(root).read().temperature_c is None


@pytest.mark.parametrize(
    ("word", "signs"),
    [
        ("0", "no no no no"),
        ("1", "yes no no no"),
        ("2", "no yes no no"),
        ("4", "no no yes no"),
        ("8", "no no no yes"),
        ("50005", "yes no yes no"),
        ("f000f", "yes yes yes yes"),
        # What happened between two polls and is over is no sign of the present.
        ("e0000", "no no no no"),
        ("rubbish", "unknown unknown unknown unknown"),
        ("-1", "unknown unknown unknown unknown"),
    ],
)
def test_the_firmware_s_word_is_four_signs(machine: Machine, word: str, signs: str) -> None:
    root = machine(50_000, throttled=word)
    assert " ".join(Sensors(root).read().signs) == signs


def test_a_pi_5_has_its_firmware_at_another_address(machine: Machine) -> None:
    root = machine(50_000, throttled="4", soc="soc@107c000000")
    assert Sensors(root).read().throttled is Sign.YES


@pytest.mark.parametrize(("alarm", "said"), [("1", Sign.YES), ("0", Sign.NO), ("?", Sign.UNKNOWN)])
def test_without_the_firmware_s_word_the_voltage_sensor_tells_of_power_and_of_nothing_else(
    machine: Machine, alarm: str, said: Sign
) -> None:
    reading = Sensors(machine(50_000, alarm=alarm)).read()
    assert reading.signs == (said, *[Sign.UNKNOWN] * 3)


def test_an_alarm_is_not_talked_away_by_the_firmware_s_word(machine: Machine) -> None:
    assert Sensors(machine(throttled="0", alarm="1")).read().under_voltage is Sign.YES


def test_a_sensor_that_comes_late_is_found_and_one_that_goes_is_unknown_again(
    machine: Machine, tmp_path: Path
) -> None:
    sensors = Sensors(tmp_path)
    assert sensors.read().temperature_c is None
    root = machine(70_000)
    assert sensors.read().temperature_c == pytest.approx(70.0)
    (root / "class/thermal/thermal_zone0/temp").unlink()
    assert sensors.read().temperature_c is None
