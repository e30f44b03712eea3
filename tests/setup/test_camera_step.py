"""The camera check of setup: a process of its own that writes nothing, and one sentence for each trouble."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from vouchbox.cli.setup import camera
from vouchbox.config import Box, Camera, Config
from vouchbox.errors import CameraError

CALLS = "open,openat,openat2,creat,socket,connect,bind,rename,renameat2,unlink,mkdir,memfd_create"


def looking_at(source: str) -> Config:
    return Config(Box("shop", "door"), camera=Camera(source, pace="fast"))


def test_a_clip_with_movement_is_seen_to_move(make_clip: Callable[..., Path]) -> None:
    seen = camera.try_source(looking_at(f"clip:{make_clip('good.avi')}"))
    assert (seen.width, seen.height) == (320, 240)
    assert seen.frames > 30


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"moving": False}, "repeats"), ({"black": True}, "black"), ({"seconds": 0.2}, "ended after")],
)
def test_a_picture_that_can_not_be_judged_is_named(
    make_clip: Callable[..., Path], options: dict[str, bool], sentence: str
) -> None:
    with pytest.raises(CameraError, match=sentence):
        camera.try_source(looking_at(f"clip:{make_clip('bad.avi', **options)}"))


def test_a_driver_that_hangs_does_not_take_setup_with_it(make_clip: Callable[..., Path]) -> None:
    with pytest.raises(CameraError, match="hangs"):
        camera.try_source(looking_at(f"clip:{make_clip('good.avi')}"), longest_s=0.01)


@pytest.mark.strace
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_camera_check_writes_no_file_and_opens_no_network_socket(
    make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    settings = msgspec.to_builtins(looking_at(f"clip:{make_clip('good.avi')}").camera)
    question = {"account": None, "request": {"camera": settings, "locked": False}}
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "--seccomp-bpf", "-o", str(trace), "-e", f"trace={CALLS}"),
            *(sys.executable, "-P", "-m", "vouchbox.doctor.trial", "camera"),
        ],
        input=msgspec.json.encode(question),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert b'"frames"' in done.stdout
    lines = trace.read_text().splitlines()
    assert [line for line in lines if "good.avi" in line], "the trace must see the clip being opened"
    assert not [line for line in lines if re.search(r"socket\(AF_(?!UNIX)", line)]
    writing = [line for line in lines if re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(", line)]
    assert [line for line in writing if '"/dev/null"' not in line] == []
    assert not [line for line in lines if re.search(r"rename|unlink|mkdir|memfd_create", line)]
