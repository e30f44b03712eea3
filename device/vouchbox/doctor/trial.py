"""The process in which the doctor tries things: `python -m vouchbox.doctor.trial NAME`, a question on stdin.

It becomes the room's user first, so that it meets what the room meets. It answers with one line of JSON:
facts, or what is wrong and the fix. Frames stay in the locked ring and are wiped; keys sign once and go.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from vouchbox import config as configuration
from vouchbox.errors import CameraError, VouchboxError

SECONDS = 2.2
"""How much of a picture stream is looked at: long enough for each judgement of camera/health.py."""

FRAMES_MINIMUM = 5
FRAMES_LIMIT = 300


def camera(request: dict[str, Any]) -> dict[str, Any]:
    """Open the configured camera, watch it, close it; raises CameraError."""
    from vouchbox.camera.health import CameraWatch, look
    from vouchbox.camera.protection import protect
    from vouchbox.camera.ring import FrameRing

    protect()
    source = _source(msgspec.convert(request["camera"], configuration.Camera))
    watch, fingerprints = CameraWatch(), set()
    times: list[int] = []
    try:
        shape = source.open()
        with FrameRing(shape, 2, require_locked=request["locked"]) as ring:
            while len(times) < FRAMES_LIMIT and (stamp := source.capture(ring.slot(len(times)))) is not None:
                numbers = look(ring.slot(len(times)), stamp.timestamp_ns)
                watch.check(numbers)
                times.append(stamp.timestamp_ns)
                fingerprints.add(numbers.fingerprint)
                if len(times) >= FRAMES_MINIMUM and times[-1] - times[0] >= SECONDS * 1e9:
                    break
    finally:
        source.close()
    if len(times) < FRAMES_MINIMUM:
        raise CameraError(f"it ended after {len(times)} frames", "give a longer clip")
    if not ring.wiped:
        raise CameraError("the frames could not be wiped", "report this as a defect")
    span = (times[-1] - times[0]) / 1e9
    return {
        "frames": len(times),
        "different": len(fingerprints),
        "seconds": round(span, 2),
        "width": shape.width,
        "height": shape.height,
        "rate": round((len(times) - 1) / span, 1) if span else 0.0,
        "kind": source.kind.value,
    }


def models(request: dict[str, Any]) -> dict[str, Any]:
    """Construct every interpreter and run each once on an empty picture; raises ModelError."""
    import numpy as np

    from vouchbox.vision.models import Models

    wanted = configuration.Vision(runtime=request["runtime"], threads=request["threads"])
    folder = Path(request["folder"]) if request["folder"] else None
    loaded = Models.load(folder, wanted.runtime, wanted.threads)
    for network in loaded.networks:
        network.run(np.zeros(network.shape, np.uint8))
        network.output(0)
    return {"runtime": loaded.runtime.label, "models": len(loaded.networks)}


def keys(request: dict[str, Any]) -> dict[str, Any]:
    """Read the keys as the vault does and sign once, in the token if it is there; raises KeyStoreError."""
    from vouchbox.vault import keys as ring

    token = request["token"]
    named = (
        None
        if token is None
        else msgspec.convert({**token, "module": Path(token["module"])}, configuration.Token)
    )
    held = ring.load(Path(request["folder"]), named)
    held.signer.sign("vouchbox-trial", {})
    held.signer.close()
    return {"alg": held.signer.alg, "kid": held.signer.kid, "retired": len(held.retired)}


def modules(request: dict[str, Any]) -> dict[str, Any]:
    """Import each named module in turn; what failed comes back by the kind of its error and its words."""
    failed: dict[str, list[str]] = {}
    for name in request["names"]:
        try:
            importlib.import_module(name)
        except Exception as problem:  # an extension that does not fit fails in many ways
            failed[name] = [type(problem).__name__, str(problem)[:300], getattr(problem, "name", None) or ""]
    return {"failed": failed}


TRIALS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "camera": camera,
    "models": models,
    "keys": keys,
    "modules": modules,
}


def main(name: str, question: bytes) -> dict[str, Any]:
    """The answer to one question."""
    asked = msgspec.json.decode(question, type=dict[str, Any])
    try:
        if asked["account"] is not None:
            _become(*asked["account"])
        return TRIALS[name](asked["request"])
    except VouchboxError as problem:
        return {"what": problem.what, "fix": problem.fix}
    except (PermissionError, ImportError):
        return {
            "what": "this program may not be run as the room's user",
            "fix": "install it in /usr",
            "impossible": True,
        }


def _source(settings: configuration.Camera) -> Any:
    if settings.source.startswith("simulated:"):
        from vouchbox.simulator.subject.source import simulated

        return simulated(settings.source.removeprefix("simulated:"), settings)
    from vouchbox.camera.opening import open_source

    return open_source(settings)


def _become(uid: int, gid: int, groups: list[int]) -> None:
    """Be that user for good, with the memory limit of its unit where the kernel lets root raise it."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.setgroups(groups)
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    # A library's chatter on standard output must not look like the answer.
    answer_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answer_to.write(msgspec.json.encode(main(sys.argv[1], sys.stdin.buffer.read())) + b"\n")
    answer_to.flush()
