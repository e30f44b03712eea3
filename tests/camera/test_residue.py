"""After a clip nothing of its pictures is left in the whole process: not in the heap, not in the decoder's
buffers, not in numpy's temporaries. Another process reads all of its memory to see."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest

from vouchbox.camera.clip import ClipSource

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from proving_ground.canary import in_memory

SESSION = textwrap.dedent(
    """
    import sys
    from vouchbox.camera.protection import protect
    report = protect()
    import cv2, numpy as np
    from vouchbox.camera.clip import ClipSource
    from vouchbox.camera.health import look
    from vouchbox.camera.ring import FrameRing
    source = ClipSource(sys.argv[1], pace="fast")
    with FrameRing(source.open(), 4) as ring:
        index = 0
        while (stamp := source.capture(ring.slot(index))) is not None:
            look(ring.slot(index), stamp.timestamp_ns)
            temporary = ring.slot(index).astype(np.float32) / 255.0
            crop = ring.slot(index)[10:100, 10:100].copy()
            index += 1
        del temporary, crop
        if sys.argv[2] == "during":
            print("ready", flush=True); sys.stdin.readline()
    source.close()
    print("ready", flush=True)
    sys.stdin.readline()
    """
)


@pytest.fixture(scope="module")
def noisy_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six grey frames of coarse noise: no stretch of them occurs anywhere by chance."""
    path = tmp_path_factory.mktemp("residue") / "noise.avi"
    code = int.from_bytes(b"MJPG", "little")
    writer = cv2.VideoWriter(str(path), code, 25, (320, 240), isColor=False)  # noqa: TID251 - synthetic
    random = np.random.default_rng(7)
    for _ in range(6):
        tile = random.integers(0, 256, (60, 80), dtype=np.uint8)
        writer.write(cv2.resize(tile, (320, 240), interpolation=cv2.INTER_CUBIC))
    writer.release()
    return path


def stretches(path: Path) -> list[bytes]:
    """Pieces of rows of every frame: as luma (the decoder's plane) and as RGB (equal to BGR for grey)."""
    source, pieces = ClipSource(path, pace="fast"), []
    opened = source.open()
    frame = np.zeros((opened.height, opened.width, 3), np.uint8)
    while source.capture(frame) is not None:
        for row in range(20, 220, 40):
            pieces.append(frame[row, 100:140, 0].tobytes())
            pieces.append(frame[row, 100:140].tobytes())
    source.close()
    return pieces


@pytest.mark.skipif(os.geteuid() != 0, reason="reading another process that is not dumpable takes root")
@pytest.mark.parametrize("moment", ["during", "after"])
def test_no_pixel_is_left_in_the_process_after_a_clip(noisy_clip: Path, moment: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(noisy_clip), moment],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        found = in_memory(child.pid, set(stretches(noisy_clip)))
    finally:
        child.kill()
        child.communicate()
    if moment == "during":
        assert found > 0, "the search must be able to find frames while they are there"
    else:
        assert found == 0
