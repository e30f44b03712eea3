"""`scripts/real_cameras`: the tests of `tests/camera` that need a driver and a camera library behind them.

In a Debian 13 of its own they meet V4L2 through the kernel's test camera (`vivid`), and the real picamera2
on the real libcamera, whose virtual pipeline draws colour bars. Sensors and their controls are not tested
by this.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from proving_ground.base import ROOT
from proving_ground.machine import ENVIRONMENT
from virtual_machine.guest import Guest
from virtual_machine.image import Recipe, file_system, image

PACKAGES = (
    *("python3", "python3-venv", "python3-dev", "python3-setuptools", "gcc", "libc6-dev", "ca-certificates"),
    *("python3-libcamera", "libcamera-ipa", "v4l-utils", "python3-prctl", "python3-av", "python3-piexif"),
    *("python3-pil", "python3-libarchive-c", "python3-tqdm", "python3-jsonschema"),
)

BARS = """%YAML 1.1
---
"Virtual bars":
  supported_formats:
  - {width: 160, height: 120, frame_rates: [5, 30]}
  - {width: 320, height: 240, frame_rates: [5, 30]}
  - {width: 640, height: 480, frame_rates: [5, 30]}
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "Virtual camera"
"""
"""See src/libcamera/pipeline/virtual/README.md in libcamera."""

HEAP = 'SUBSYSTEM=="dma_heap", KERNEL=="system", SYMLINK+="dma_heap/linux,cma", GROUP="video", MODE="0660"\n'
"""picamera2 asks for a Pi's heap by its name."""

OLD_WAYS = ("-W", "ignore:setDaemon:DeprecationWarning", "-W", "ignore:unclosed file:ResourceWarning")
"""What picamera2 does and Python dislikes (the pipe of a camera that did not open stays open). Any other
warning fails a test, as everywhere."""

VENV = "/opt/vouchbox"
REPOSITORY = "/srv/vouchbox"
SENT = ("device", "models", "scripts/virtual_machine", "tests", "pyproject.toml")
_ENTER = """
mkdir {here}/disk {here}/over {here}/root
mount -o loop,ro,noload {disk} {here}/disk
mount -t tmpfs over {here}/over
mkdir {here}/over/upper {here}/over/work
mount -t overlay -o lowerdir={here}/disk,upperdir={here}/over/upper,workdir={here}/over/work over {here}/root
mount --rbind /dev {here}/root/dev
mount -t proc proc {here}/root/proc
mkdir -p {here}/root{there}
mount --bind -o ro {repository} {here}/root{there}
exec chroot {here}/root "$@"
"""

TESTS = ("tests/camera/test_source_contract.py", "tests/camera/test_real_cameras.py")


def recipe() -> Recipe:
    """A Debian 13 with both cameras and the locked packages for tests."""
    files = [
        ("/etc/modules-load.d/vivid.conf", "vivid\n"),
        ("/etc/modprobe.d/vivid.conf", "options vivid n_devs=1 node_types=0x1\n"),
        ("/usr/share/libcamera/pipeline/virtual/virtual.yaml", BARS),
        ("/etc/udev/rules.d/60-dma-heap.rules", HEAP),
    ]
    pip = f"{VENV}/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes"
    steps = [f"python3 -m venv --system-site-packages {VENV}"]
    for name, how in (("py313-dev", ""), ("cameras-py313", "--no-deps --no-build-isolation")):
        files.append((f"/opt/{name}.txt", (ROOT / "requirements" / f"{name}.txt").read_text()))
        steps.append(f"{pip} {how} -r /opt/{name}.txt")
    return Recipe("real-cameras", "trixie", "amd64", PACKAGES, tuple(files), tuple(steps))


def main() -> None:
    """Run the tests there, end with their exit status. More options go to pytest."""
    reader = argparse.ArgumentParser(prog="real_cameras", description=__doc__)
    reader.add_argument("--machine", action="store_true", help="boot it in qemu: V4L2 too, and much slower")
    reader.add_argument("options", nargs="*", help="options of pytest, after --")
    chosen = reader.parse_args()
    run = in_machine if chosen.machine else in_container
    done = run(tuple(chosen.options))
    print(done.stdout, end="")
    print(done.stderr, end="", file=sys.stderr)
    raise SystemExit(done.returncode)


def in_container(options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """picamera2 alone, in a mount and a network namespace of its own: pytest's status and what it said."""
    base = image(recipe())
    variables = [f"{name}={value}" for name, value in _environment("picamera2").items()]
    with tempfile.TemporaryDirectory(prefix="vouchbox-cameras-", dir="/var/tmp") as name:
        script = _ENTER.format(disk=base.disk, here=name, repository=ROOT, there=REPOSITORY)
        inside = ["env", "-i", *variables, *_pytest(options)]
        command = [
            "unshare",
            "--mount",
            "--net",
            "--propagation",
            "private",
            "sh",
            "-ec",
            script,
            "sh",
            *inside,
        ]
        return subprocess.run(command, capture_output=True, text=True, check=False)


def in_machine(options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Both cameras, in qemu with Debian's kernel: pytest's status and what it said."""
    base = image(recipe())
    with tempfile.TemporaryDirectory(prefix="vouchbox-cameras-", dir="/var/tmp") as name:
        folder = Path(name)
        disk = folder / "disk"
        subprocess.run(["cp", "--sparse=always", str(base.disk), str(disk)], check=True)
        with Guest(base, disk, (_sources(folder),)) as guest:
            guest.run("mkdir", "-p", REPOSITORY)
            guest.run("mount", "-o", "ro", "/dev/vdb", REPOSITORY)
            return guest.run(*_pytest(options), check=False, **_environment("picamera2,webcam"))


def _pytest(options: tuple[str, ...]) -> list[str]:
    how = ("-q", "-p", "no:cacheprovider", "--rootdir", REPOSITORY, *OLD_WAYS)
    tests = (f"{REPOSITORY}/{test}" for test in TESTS)
    return [f"{VENV}/bin/python", "-P", "-m", "pytest", *how, *options, *tests]


def _environment(cameras: str) -> dict[str, str]:
    places = (f"{REPOSITORY}/device", f"{REPOSITORY}/scripts/virtual_machine/stand_ins")
    return ENVIRONMENT | {
        "VOUCHBOX_CAMERAS": cameras,
        "PYTHONPATH": ":".join(places),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LIBCAMERA_LOG_LEVELS": "*:FATAL",
    }


def _sources(folder: Path) -> Path:
    """A disk with the working tree's code and nothing else."""
    tree = folder / "tree"
    tree.mkdir()
    named = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SENT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for path in filter(None, named):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes((ROOT / path).read_bytes())
    file_system(tree, folder / "sources", "100M")
    return folder / "sources"


if __name__ == "__main__":
    main()
