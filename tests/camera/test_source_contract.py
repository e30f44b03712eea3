"""What every source of frames promises, whatever stands behind it."""

from __future__ import annotations

import gc
import threading
from itertools import pairwise

import numpy as np
import pytest

from vouchbox.camera.memory import LockedMemory
from vouchbox.camera.ring import FrameRing
from vouchbox.camera.source import FrameSource
from vouchbox.errors import CameraError
from vouchbox.messages import Source

FRAMES = 5


def test_says_what_it_is(source: FrameSource) -> None:
    opened = source.open()
    assert isinstance(source, FrameSource)
    assert Source(source.kind, source.name, opened.width, opened.height, opened.frame_rate).name


def test_fills_the_whole_slot_and_no_other(source: FrameSource) -> None:
    opened = source.open()
    with FrameRing(opened, 3) as ring:
        for index in range(3):
            ring.slot(index)[:] = 7
        assert source.capture(ring.slot(1)) is not None
        assert (ring.slot(0) == 7).all()
        assert (ring.slot(2) == 7).all()
        assert not (ring.slot(1) == 7).all(axis=2).any(axis=1).all()


def test_delivers_bytes_in_the_shape_that_it_promised_and_keeps_to_it(source: FrameSource) -> None:
    opened = source.open()
    assert opened.width >= 16
    assert opened.height >= 16
    assert 0 < opened.frame_rate <= 240
    slot = np.zeros((opened.height, opened.width, 3), np.uint8)
    for _ in range(FRAMES):
        slot[:] = 0
        assert source.capture(slot) is not None
        assert slot.any(), "something is to be seen"
    assert slot.dtype == np.uint8


def test_a_source_with_nothing_behind_it_says_so_in_one_sentence_that_tells_what_to_do(
    absent: FrameSource,
) -> None:
    for _ in range(2):
        with pytest.raises(CameraError) as caught:
            absent.open()
        said = str(caught.value)
        assert "\n" not in said
        assert said.endswith(".")
        assert caught.value.fix
        absent.close()


def test_counts_frames_up_and_never_turns_time_back(source: FrameSource) -> None:
    opened = source.open()
    with FrameRing(opened, 2) as ring:
        stamps = [source.capture(ring.slot(index)) for index in range(FRAMES)]
    assert all(stamp is not None for stamp in stamps)
    kept = [stamp for stamp in stamps if stamp is not None]
    assert kept[0].index == 0
    assert all(late.index > early.index for early, late in pairwise(kept))
    assert all(late.timestamp_ns >= early.timestamp_ns for early, late in pairwise(kept))
    assert all(stamp.dropped >= 0 for stamp in kept)


def test_refuses_to_deliver_while_closed(source: FrameSource) -> None:
    slot = np.zeros((120, 160, 3), np.uint8)
    with pytest.raises(CameraError, match="not open"):
        source.capture(slot)
    source.open()
    source.close()
    with pytest.raises(CameraError, match="not open"):
        source.capture(slot)
    assert not slot.any()


def test_may_be_closed_twice_and_opened_again(source: FrameSource) -> None:
    first = source.open()
    source.close()
    source.close()
    second = source.open()
    with FrameRing(second, 1) as ring:
        stamp = source.capture(ring.slot(0))
    assert second == first
    assert stamp is not None
    assert stamp.index == 0


def test_leaves_no_pixel_in_its_own_locked_memory(source: FrameSource) -> None:
    opened = source.open()
    with FrameRing(opened, 1) as ring:
        source.capture(ring.slot(0))
        source.close()
    assert all(held.wiped for held in gc.get_objects() if isinstance(held, LockedMemory))


def test_a_closed_source_leaves_no_thread_behind(source: FrameSource) -> None:
    before = set(threading.enumerate())
    opened = source.open()
    with FrameRing(opened, 1) as ring:
        source.capture(ring.slot(0))
    source.close()
    assert set(threading.enumerate()) <= before
