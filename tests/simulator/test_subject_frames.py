"""What the simulated camera delivers: the same for the same seed, never the same twice, always a person."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vouchbox.camera.source import Image
from vouchbox.config import Camera
from vouchbox.errors import CameraError, UsageError
from vouchbox.messages import Prompt, SourceKind
from vouchbox.simulator.subject import portraits, source
from vouchbox.simulator.subject.source import simulated

pytest.importorskip("skimage", reason="the portraits travel in the extra `simulator`")
pytest.importorskip("matplotlib", reason="the portraits travel in the extra `simulator`")

SMALL = Camera(width=160, height=120, pace="fast")
EVERYBODY = (
    "collins",
    "hopper",
    "collins?faces=2&light=side",
    "collins?faces=0",
    "hopper?distance=far",
    "print:collins",
    "bent-print:hopper",
    "replay-phone:collins",
    "replay-monitor:hopper",
    "mask:collins",
    "collins?side=0.7&gamma=1.3&kelvin=4000&grain=2&size=1.2&brightness=0.8",
    "replay-phone:hopper?film=session",
)


def frames(words: str, count: int, prompt: Prompt | None = None, camera: Camera = SMALL) -> list[Image]:
    """The first frames; a prompt is shown after the first one."""
    subject = simulated(words, camera)
    subject.open()
    taken = []
    for index in range(count):
        into = np.zeros((camera.height, camera.width, 3), np.uint8)
        assert subject.capture(into) is not None
        if index == 0 and prompt is not None:
            subject.show(prompt)
        taken.append(into)
    subject.close()
    return taken


@pytest.mark.parametrize("words", EVERYBODY)
def test_the_same_seed_gives_the_same_frames_and_no_two_are_alike(words: str) -> None:
    once, again = frames(words, 4), frames(words, 4)
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
    assert len({frame.tobytes() for frame in once}) == 4


def test_another_seed_gives_other_frames() -> None:
    assert not np.array_equal(frames("collins?seed=1", 1)[0], frames("collins?seed=2", 1)[0])


@pytest.mark.parametrize("words", ["collins", "print:collins", "mask:hopper"])
def test_a_prompt_moves_the_subject(words: str) -> None:
    still, moved = frames(words, 25)[-1], frames(words, 25, Prompt.TURN_LEFT)[-1]
    assert np.abs(still.astype(int) - moved).mean() > 5.0


@pytest.mark.parametrize("words", ["replay-phone:collins", "replay-monitor:hopper"])
def test_a_recording_knows_no_prompt(words: str) -> None:
    plain, asked = frames(words, 25), frames(words, 25, Prompt.TURN_LEFT)
    assert all(np.array_equal(a, b) for a, b in zip(plain, asked, strict=True))


def test_an_operator_plays_the_film_that_the_prompt_asks_for() -> None:
    words = "replay-monitor:collins?film=cued"
    still, moved = frames(words, 25)[-1], frames(words, 25, Prompt.TURN_LEFT)[-1]
    assert np.abs(still.astype(int) - moved).mean() > 3.0


def test_a_second_run_begins_afresh() -> None:
    subject = simulated("collins", SMALL)
    first, second = np.zeros((2, 120, 160, 3), np.uint8)
    subject.open()
    subject.capture(first)
    subject.show(Prompt.BLINK)
    subject.close()
    subject.open()
    stamp = subject.capture(second)
    assert stamp is not None
    assert stamp.index == 0
    assert np.array_equal(first, second)


def test_light_is_what_it_is_called() -> None:
    lumas = {
        light: float(frames(f"collins?light={light}", 1)[0].mean()) for light in ("dark", "normal", "bright")
    }
    assert lumas["dark"] < 40 < lumas["normal"] < 170 < lumas["bright"]
    sides = frames("collins?light=side", 1)[0]
    assert sides[:, :60].mean() > 3 * sides[:, 100:].mean()


def test_numbers_change_the_light_as_they_are_called() -> None:
    plain = frames("collins", 1)[0].astype(float)
    seen = {
        option: frames(f"collins?{option}", 1)[0].astype(float)
        for option in ("brightness=0.6", "gamma=1.5", "kelvin=3500", "kelvin=9500", "side=0.8", "grain=6")
    }
    assert seen["brightness=0.6"].mean() < 0.7 * plain.mean()
    assert seen["gamma=1.5"].mean() < 0.95 * plain.mean()

    def warmth(frame: Image) -> float:
        return float(frame[..., 0].mean() / frame[..., 2].mean())

    assert warmth(seen["kelvin=9500"]) < warmth(plain) < warmth(seen["kelvin=3500"])
    ratio = seen["side=0.8"] / np.maximum(plain, 1.0)
    assert ratio[:, 100:].mean() > 1.2 * ratio[:, :60].mean()
    assert np.abs(np.diff(seen["grain=6"], axis=1)).mean() > 2 * np.abs(np.diff(plain, axis=1)).mean()


def test_light_from_the_side_falls_on_a_head_and_not_on_a_print_as_on_a_head() -> None:
    camera = Camera(width=320, height=240, pace="fast")

    def contrast(words: str) -> float:
        pair = [frames(f"{words}?side={side}", 1, camera=camera)[0].astype(float) for side in (-0.9, 0.9)]
        # Two places left and right of the nose: so close that the room's own fall of light is small.
        left, right = np.s_[105:125, 140:150], np.s_[105:125, 170:180]
        return float((pair[0][left] / pair[1][left]).mean() / (pair[0][right] / pair[1][right]).mean())

    assert contrast("collins") > 1.5 * contrast("print:collins")


def test_size_and_bend_change_the_picture() -> None:
    plain = frames("print:collins", 1)[0].astype(int)
    for words in ("print:collins?size=0.7", "print:collins?bend=100"):
        assert np.abs(frames(words, 1)[0] - plain).mean() > 3.0


def test_says_that_it_is_simulated_and_what_it_shows() -> None:
    subject = simulated("bent-print:hopper?seed=9", SMALL)
    assert subject.kind is SourceKind.SIMULATED
    assert subject.name == "simulated:bent-print:hopper"


def test_refuses_memory_of_another_shape() -> None:
    subject = simulated("collins", SMALL)
    subject.open()
    with pytest.raises(CameraError, match="120 x 160 x 3"):
        subject.capture(np.zeros((60, 80, 3), np.uint8))


def test_a_late_reader_loses_frames_and_is_told_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    subject = source.simulated("collins", Camera(width=160, height=120, frame_rate=10, pace="real"))
    subject.open()
    into = np.zeros((120, 160, 3), np.uint8)
    first, second = subject.capture(into), subject.capture(into)
    now[0] += 0.55
    third = subject.capture(into)
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.dropped, second.dropped, third.dropped) == (0, 0, 4)
    assert (second.timestamp_ns, third.timestamp_ns) == (100_000_000, 600_000_000)


def test_says_what_to_install_when_a_portrait_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str) -> None:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(portraits.resources, "files", absent)
    with pytest.raises(UsageError, match=r"install vouchbox\[simulator\]"):
        portraits.picture(portraits.PortraitName.COLLINS)
