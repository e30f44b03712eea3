"""The vision process, seen from the kernel: one Unix socket, no file opened for writing, a clean end."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vouchbox import ipc
from vouchbox.messages import Examination, Progress, SourceKind, VisionReady, VisionToVault, decoder

WAIT_S = 60.0
CALLS = "open,openat,openat2,creat,socket,connect,bind,rename,renameat2,unlink,mkdir,execve,memfd_create"


@pytest.mark.strace
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_vision_process_opens_no_network_socket_and_writes_no_file(
    short_tmp: Path, portrait_clip: Path, ask: Callable[..., Any]
) -> None:
    config = short_tmp / "vouchbox.toml"
    config.write_text(
        f'[box]\nsite = "s"\ndevice = "d"\nrun = "{short_tmp}"\nstate = "{short_tmp}"\n'
        f'[camera]\nsource = "clip:{portrait_clip}"\npace = "fast"\n'
    )
    trace = short_tmp / "trace"
    listener = ipc.Listener(short_tmp / "vision.sock")
    command = ["strace", "-f", "-qq", "--seccomp-bpf", "-o", str(trace), "-e", f"trace={CALLS}"]
    room = subprocess.Popen(
        [*command, sys.executable, "-m", "vouchbox", "vision", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # As the simulator and the units start it; a fresh checkout has no bytecode yet.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    channel = listener.accept(decoder(VisionToVault), peer="vision")
    assert channel is not None
    with channel:
        ready = channel.receive(WAIT_S)
        assert isinstance(ready, VisionReady)
        assert ready.source_kind is SourceKind.CLIP
        channel.send(ask(want_embedding=True))
        while isinstance(found := channel.receive(WAIT_S), Progress):
            pass
        assert isinstance(found, Examination)
        assert found.frames == 30
        assert found.wiped
        child = Path(f"/proc/{room.pid}/task/{room.pid}/children").read_text().split()[0]
        os.kill(int(child), signal.SIGTERM)
        output, _ = room.communicate(timeout=WAIT_S)
    listener.close()
    assert room.returncode == 0, output
    lines = trace.read_text().splitlines()
    assert not [line for line in lines if re.search(r"socket\(AF_(?!UNIX)", line)]
    assert len([line for line in lines if re.search(r"connect\(", line)]) == 1
    writing = [line for line in lines if re.search(r"O_WRONLY|O_RDWR|O_CREAT|creat\(", line)]
    assert [line for line in writing if '"/dev/null"' not in line] == []
    assert not [line for line in lines if re.search(r"rename|unlink|mkdir|memfd_create", line)]
