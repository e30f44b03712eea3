"""Is the camera there, may the vision room use it, and do frames come that change?

The camera is opened in a process of its own, as vision's user and with its groups. From its frames come
counts alone; not one is shown or kept.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vouchbox.config import Camera, Config
from vouchbox.doctor import trying
from vouchbox.doctor.finding import Finding, fault, not_checked, of, ok, warning
from vouchbox.doctor.machine import READ, WRITE, Account, Machine, mode

SECONDS = 180.0
"""A camera that gives no answer at all for this long hangs; each wait inside is much shorter."""

VIDEO = "put vision into the group video: SupplementaryGroups=video in its unit, usermod -aG video in a shell"
HEAP = "install 60-vouchbox.rules in /usr/lib/udev/rules.d and run `udevadm trigger`"


def nodes(camera: Camera, machine: Machine) -> list[Path]:
    """The device nodes without which this source can't work."""
    scheme, _, number = camera.source.partition(":")
    if scheme == "webcam":
        return [machine.dev / f"video{number or 0}"]
    if scheme == "picamera2":
        heaps = machine.dev / "dma_heap"
        media = sorted(machine.dev.glob("media*")) + sorted(machine.dev.glob("video*"))
        return [*media, *(sorted(heaps.iterdir()) if heaps.is_dir() else [])]
    return []


def rights(node: Path, vision: Account) -> Finding | None:
    """A fault when the node is missing, no device, or closed to the room."""
    try:
        facts = node.stat()
    except FileNotFoundError:
        return fault(
            "camera-node",
            f"there is no {node}",
            "plug the camera in, or correct `source` in [camera]",
        )
    except OSError as problem:
        return not_checked("camera-node", f"can't look at {node} ({problem.strerror})", "run this as root")
    if not stat.S_ISCHR(facts.st_mode):
        return fault("camera-node", f"{node} is no device", "remove it and plug the camera in again")
    if not vision.allows(facts, READ | WRITE):
        fix = HEAP if node.parent.name == "dma_heap" and facts.st_gid == 0 else VIDEO
        return fault("camera-node", f"{vision.name} may not use {node} (mode {mode(facts)})", fix)
    return None


def devices(config: Config, machine: Machine, vision: Account) -> Iterator[Finding]:
    """The nodes of a real camera, and that there are any."""
    camera = config.camera
    if camera.source.partition(":")[0] not in ("picamera2", "webcam"):
        return
    wanted = nodes(camera, machine)
    found = [finding for node in wanted if (finding := rights(node, vision)) is not None]
    if camera.source.startswith("picamera2"):
        found += _kernel(machine)
    yield from found
    if not found:
        yield ok("camera-node", f"{vision.name} may use {', '.join(str(node) for node in wanted)}")


def _kernel(machine: Machine) -> Iterator[Finding]:
    if not list(machine.dev.glob("media*")):
        yield fault(
            "camera-node",
            f"the kernel shows no camera: there is no {machine.dev}/media0",
            "check the ribbon cable, and camera_auto_detect=1 in /boot/firmware/config.txt",
        )
    heaps = machine.dev / "dma_heap"
    if not heaps.is_dir() or not any(heaps.iterdir()):
        yield fault(
            "camera-node",
            f"there is no memory for a camera: {heaps} is empty",
            "use the kernel of Raspberry Pi OS",
        )


def frames(config: Config, machine: Machine, vision: Account, sound: bool) -> Iterator[Finding]:
    """Open the source as the room does, and watch it for two seconds."""
    camera = config.camera
    if not sound:
        yield not_checked(
            "camera-frames", "the camera can't be opened yet", "put right what was said about it"
        )
        return
    if camera.source.startswith("clip:"):
        camera = msgspec.structs.replace(camera, pace="fast")
    request = {"camera": msgspec.to_builtins(camera), "locked": config.vision.require_locked_memory}
    try:
        facts = trying.attempt("camera", request, SECONDS, vision if machine.root and vision.uid else None)
    except trying.TrialFailed as problem:
        yield of("camera-frames", problem)
        return
    except trying.TrialImpossible as problem:
        yield not_checked("camera-frames", problem.what, problem.fix)
        return
    yield judge(camera, facts)


def judge(camera: Camera, facts: dict[str, object]) -> Finding:
    """What a source that delivered is worth."""
    seen = (
        f"{facts['frames']} frames of {facts['width']}x{facts['height']}, {facts['different']} different ones"
    )
    if facts["kind"] in ("clip", "simulated"):
        return warning(
            "camera-frames",
            f"{seen}, but they come from {camera.source}, and every verdict says so",
            'set source = "picamera2" or "webcam:N" in [camera] when people shall be judged',
        )
    return ok("camera-frames", f"{seen}, {facts['rate']} a second")
