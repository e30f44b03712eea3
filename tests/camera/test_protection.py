"""Process-level protection: in force after one call, and reported in words where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap


def run(code: str) -> str:
    """Run in a process of its own: the measures hold for life."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_measures_are_in_force_as_reported() -> None:
    report = json.loads(
        run(
            """
            import dataclasses, json, resource
            from pathlib import Path
            from vouchbox.camera.protection import protect
            first = protect()
            again = protect()
            status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            print(json.dumps({
                "report": dataclasses.asdict(first), "same": first == again, "complete": first.complete,
                "core": resource.getrlimit(resource.RLIMIT_CORE), "no_new": status["NoNewPrivs"].strip(),
                "locked": int(status["VmLck"].split()[0]) > 0, "owner": Path("/proc/self/mem").stat().st_uid,
            }))
            """
        )
    )
    measures = report["report"]
    assert report["same"]
    assert report["core"] == [0, 0]
    assert report["no_new"] == "1"
    assert report["owner"] == 0, "of a process that is not dumpable, /proc belongs to root"
    assert measures["no_core_dump"]
    assert measures["not_dumpable"]
    assert measures["no_new_privileges"]
    assert measures["all_memory_locked"] == report["locked"]
    assert report["complete"] == (not measures["missing"])


def test_a_low_limit_is_named_and_breaks_nothing() -> None:
    out = run(
        """
        import os, resource
        import numpy
        from vouchbox.camera.protection import protect
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (8 << 20, 8 << 20))
        if os.getuid() == 0:
            os.setgid(65534); os.setuid(65534)
        report = protect()
        print(report.all_memory_locked, *report.missing)
        print(len(bytearray(64 << 20)))
        """
    )
    assert out.startswith("False ")
    assert "LimitMEMLOCK=infinity" in out
    assert out.endswith(f"{64 << 20}\n")


def test_freed_pixels_are_overwritten() -> None:
    out = run(
        """
        import ctypes
        import numpy as np
        from vouchbox.camera.protection import protect
        assert protect().freed_memory_overwritten
        large = np.ones(8 << 20, np.uint8)
        del large  # raises glibc's threshold, so that the smaller ones below use the heap
        guard_below = np.ones(300_000, np.uint8)
        temporary = np.full(300_000, 0xC7, np.uint8)
        guard_above = np.ones(300_000, np.uint8)
        address, length = temporary.ctypes.data, temporary.nbytes
        del temporary
        print(ctypes.string_at(address, length).count(0xC7))
        """
    )
    assert int(out) < 64
