"""Recorded clips: what opens, how it is timed, and what is refused with one sentence."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vouchbox.camera import decoder
from vouchbox.camera.clip import ClipSource
from vouchbox.camera.ring import FrameRing
from vouchbox.errors import ClipError

Clips = Callable[..., Path]


def frames_of(source: ClipSource) -> tuple[list[np.ndarray], list[float], int]:
    """All pictures, their seconds, and how many were dropped."""
    pictures, seconds, dropped = [], [], 0
    try:
        with FrameRing(source.open(), 1) as ring:
            while (stamp := source.capture(ring.slot(0))) is not None:
                pictures.append(ring.slot(0).copy())
                seconds.append(stamp.timestamp_ns / 1e9)
                dropped += stamp.dropped
    finally:
        source.close()
    return pictures, seconds, dropped


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg"])
def test_delivers_every_frame_of_each_kind_of_file_in_rgb(clip_of: Clips, suffix: str) -> None:
    pictures, seconds, _ = frames_of(ClipSource(clip_of(suffix, width=160, height=128), pace="fast"))
    assert len(pictures) == 8
    assert np.allclose(np.diff(seconds), 1 / 25, atol=0.003)
    red = pictures[-1][10:50, 40:70].reshape(-1, 3).mean(axis=0)
    assert red[0] > 150
    assert red[1:].max() < 80


def test_keeps_the_uneven_times_of_a_gif(clip_of: Clips) -> None:
    pictures, seconds, _ = frames_of(ClipSource(clip_of(".gif", hundredths=(4, 4, 12, 4)), pace="fast"))
    assert len(pictures) == 4
    assert np.allclose(seconds, [0, 0.04, 0.08, 0.20], atol=0.002)


@pytest.mark.parametrize(("width", "height"), [(99, 57), (17, 33)])
def test_takes_odd_sizes(clip_of: Clips, width: int, height: int) -> None:
    pictures, _, _ = frames_of(ClipSource(clip_of(".gif", width=width, height=height), pace="fast"))
    assert pictures[0].shape == (height, width, 3)


def test_delivers_a_grey_clip_as_rgb(tmp_path: Path) -> None:
    path = tmp_path / "grey.avi"
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, 25, (64, 48), isColor=False)  # noqa: TID251 - synthetic
    for index in range(6):
        writer.write(np.full((48, 64), 40 + 20 * index, np.uint8))
    writer.release()
    pictures, _, _ = frames_of(ClipSource(path, pace="fast"))
    assert [round(float(each.mean()), -1) for each in pictures] == [40, 60, 80, 100, 120, 140]
    assert pictures[3].shape == (48, 64, 3)


def test_scales_large_frames_down_without_stretching(clip_of: Clips) -> None:
    path = clip_of(".avi", width=640, height=360, count=2)
    pictures, _, _ = frames_of(ClipSource(path, pace="fast", longer_side=320))
    assert pictures[0].shape == (180, 320, 3)


def rotate(path: Path, matrix: tuple[int, ...]) -> None:
    """Write a display matrix (ISO/IEC 14496-12, 8.3.2) into the track header of an mp4."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)


ONE, UNIT = 0x10000, 0x40000000


@pytest.mark.parametrize(
    ("matrix", "red_row", "red_column"),
    [
        ((0, ONE, 0, -ONE, 0, 0, 96 * ONE, 0, UNIT), 0.25, 0.75),
        ((0, -ONE, 0, ONE, 0, 0, 0, 160 * ONE, UNIT), 0.75, 0.25),
    ],
    ids=["phone-held-upright", "phone-upside-down"],
)
def test_honours_the_rotation_a_phone_wrote(
    clip_of: Clips, matrix: tuple[int, ...], red_row: float, red_column: float
) -> None:
    path = clip_of(".mp4", width=160, height=96, count=3)
    rotate(path, matrix)
    pictures, _, _ = frames_of(ClipSource(path, pace="fast"))
    assert pictures[0].shape == (160, 96, 3)
    spot = pictures[0][int(160 * red_row), int(96 * red_column)]
    assert spot[0] > 150
    assert spot[1:].max() < 80


def test_paces_frames_by_their_times(clip_of: Clips) -> None:
    now, naps = [0], []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += round(seconds * 1e9)

    source = ClipSource(clip_of(".avi"), pace="real", clock_ns=lambda: now[0], sleep=sleep)
    pictures, seconds, dropped = frames_of(source)
    assert len(pictures) == 8
    assert dropped == 0
    assert sum(naps) == pytest.approx(7 / 25, abs=0.002)
    assert seconds[-1] == pytest.approx(7 / 25, abs=0.002)


def test_drops_frames_that_come_too_late_as_a_camera_would(clip_of: Clips) -> None:
    now = [0]
    source = ClipSource(
        clip_of(".avi", count=20), pace="real", clock_ns=lambda: now[0], sleep=lambda seconds: None
    )
    with FrameRing(source.open(), 1) as ring:
        source.capture(ring.slot(0))
        now[0] += 200_000_000  # the reader was busy for five frames
        stamp = source.capture(ring.slot(0))
    source.close()
    assert stamp is not None
    assert 3 <= stamp.dropped <= 4
    assert stamp.index == 1


def test_thins_a_fast_clip_to_the_wanted_rate(clip_of: Clips) -> None:
    source = ClipSource(clip_of(".avi", count=60, rate=30), pace="fast", max_rate=15)
    assert source.open().frame_rate == 15
    _, seconds, dropped = frames_of(source)
    assert np.allclose(np.diff(seconds), 1 / 15, atol=0.002)
    assert len(seconds) == 30
    assert dropped == 0


def test_ends_after_max_seconds(clip_of: Clips) -> None:
    _, seconds, _ = frames_of(ClipSource(clip_of(".avi", count=50), pace="fast", max_seconds=0.5))
    assert seconds[-1] == pytest.approx(0.48, abs=0.03)


def test_loops_with_time_going_on(clip_of: Clips) -> None:
    source = ClipSource(clip_of(".avi"), pace="fast", loop=True, max_seconds=1.0)
    _, seconds, _ = frames_of(source)
    assert len(seconds) in (25, 26)
    assert np.allclose(np.diff(seconds), 1 / 25, atol=0.002)


# --- refusals --------------------------------------------------------------------------------------------
def refusal(path: Path | str) -> str:
    with pytest.raises(ClipError) as caught:
        frames_of(ClipSource(path, pace="fast"))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "cards" not in sentence, "a file's name may be a person's"
    return sentence


def test_names_what_is_wrong_with_a_file(tmp_path: Path, clip_of: Clips) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "letter.mp4").write_text("Dear box, I am not a video.\n" * 50)
    (tmp_path / "noise.webm").write_bytes(np.random.default_rng(1).bytes(20_000))
    head = clip_of(".mp4").read_bytes()[:200]
    (tmp_path / "head.mp4").write_bytes(head)
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "does not exist" in refusal(tmp_path / "absent.mp4")
    assert "is empty" in refusal(tmp_path / "empty.mp4")
    assert "not a regular file" in refusal(tmp_path)
    assert "not a regular file" in refusal(tmp_path / "pipe.mp4")
    assert "can't be read" in refusal("bad\0path.mp4")
    for name in ("letter.mp4", "noise.webm", "head.mp4"):
        assert "is no video" in refusal(tmp_path / name)


def test_refuses_a_url(tmp_path: Path) -> None:
    assert "does not exist" in refusal("http://127.0.0.1:9/clip.mp4")
    assert "does not exist" in refusal("rtsp://127.0.0.1/clip")


def test_refuses_a_clip_without_frames(clip_of: Clips) -> None:
    path = clip_of(".avi", count=0)
    assert "no video" in refusal(path) or "no frame" in refusal(path)


def test_refuses_what_is_too_large(clip_of: Clips, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clip_of(".avi", count=30)
    monkeypatch.setattr(decoder, "CLIP_BYTES_LIMIT", 1000)
    assert "larger than" in refusal(path)
    monkeypatch.undo()
    monkeypatch.setattr(decoder, "CLIP_SECONDS_LIMIT", 1.0)
    assert "longer than 1 s" in refusal(path)
    monkeypatch.undo()
    monkeypatch.setattr(decoder, "CLIP_PIXELS_LIMIT", 64 * 47)
    assert "pixels" in refusal(path)


@pytest.mark.parametrize("name", ["list.m3u8", "video.mp4"])
def test_a_playlist_opens_neither_a_connection_nor_another_file(
    tmp_path: Path, clip_of: Clips, name: str
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    other = clip_of(".mp4")
    reached = threading.Event()

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        reached.set()
        connection.close()

    waiter = threading.Thread(target=serve)
    waiter.start()
    scripts = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{other}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {other.name}\n",
        f"ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.mp4\n",
    )
    try:
        for script in scripts:
            (tmp_path / name).write_text(script)
            assert "is no video" in refusal(tmp_path / name)
        assert not reached.is_set()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        waiter.join()


def test_says_nothing_on_standard_error(tmp_path: Path, clip_of: Clips) -> None:
    broken = tmp_path / "broken.mp4"
    data = bytearray(clip_of(".mp4", count=20).read_bytes())
    data[2000:2600] = b"\xff" * 600
    broken.write_bytes(data)
    (tmp_path / "text.mp4").write_text("no video")
    code = (
        "import sys, numpy as np\n"
        "from vouchbox.camera.clip import ClipSource\n"
        "from vouchbox.errors import ClipError\n"
        "for path in sys.argv[1:]:\n"
        "    source = ClipSource(path, pace='fast')\n"
        "    try:\n"
        "        form = source.open()\n"
        "        slot = np.zeros((form.height, form.width, 3), np.uint8)\n"
        "        while source.capture(slot): pass\n"
        "    except ClipError: pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(broken), str(tmp_path / "text.mp4")], capture_output=True, check=True
    )
    assert done.stderr == b""


@pytest.fixture(scope="module")
def small_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One small clip of each container, as bytes."""
    folder = tmp_path_factory.mktemp("clips")
    made = {}
    for suffix, code in ((".mp4", b"mp4v"), (".avi", b"MJPG"), (".webm", b"VP80"), (".mkv", b"mp4v")):
        path = folder / f"small{suffix}"
        writer = cv2.VideoWriter(  # noqa: TID251 - synthetic
            str(path), int.from_bytes(code, "little"), 25, (48, 32)
        )
        for index in range(5):
            writer.write(np.full((32, 48, 3), 50 * index, np.uint8))
        writer.release()
        made[suffix] = path.read_bytes()
    return made


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_end_in_frames_or_in_a_clip_error(
    small_clips: dict[str, bytes], tmp_path: Path, data: st.DataObject
) -> None:
    suffix = data.draw(st.sampled_from(sorted(small_clips)))
    damaged = bytearray(small_clips[suffix])
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged) - 1)) :]
    for _ in range(data.draw(st.integers(0, 8))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(damaged)
    source = ClipSource(path, pace="fast", max_seconds=60)
    try:
        _, seconds, _ = frames_of(source)
    except ClipError:
        return
    assert seconds == sorted(seconds)


@pytest.mark.real_data
def test_every_real_clip_opens_and_delivers(real_videos: list[dict[str, str]]) -> None:
    for row in real_videos:
        source = ClipSource(row["path"], pace="fast", max_seconds=0.3)
        pictures, _, _ = frames_of(source)
        assert len(pictures) >= 2, row["path"]
        assert max(pictures[0].shape) <= 1280
        assert pictures[-1].std() > 5
        width, height = int(row["width"]), int(row["height"])
        assert pictures[0].shape[1] / pictures[0].shape[0] == pytest.approx(width / height, rel=0.01)
