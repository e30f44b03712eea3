"""Runs inside a unit's walls, in place of the room, tries what a hostile room would, and prints what it got.

Only the standard library, for it runs with the box's own Python. Each answer is a word: an errno's name where
the wall held, something else where it did not.
"""

import ctypes
import errno
import json
import mmap
import os
import resource
import socket
import sys
from pathlib import Path

OPEN_PLACES = (
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    "/dev/mqueue",
    "/run/vouchbox",
    "/run/lock",
    "/var/lib/vouchbox",
    "/srv/open",
    "/home/open",
)
"""Folders that anyone may write, or that a room owns; /srv/open and /home/open are made by the test."""
DEVICES = ("video0", "vcio", "other")
SECRETS = {
    "signing-key": "/etc/vouchbox/keys/signing.jwk",
    "tls-key": "/etc/vouchbox/tls/box.key",
    "registration": "/etc/vouchbox/relying-parties/pickup-counter.toml",
    "database": "/var/lib/vouchbox/vault.sqlite",
    "vault-credential": "/run/credentials/vouchbox-vault.service/signing.jwk",
    "run-file": "/run/other-program",
    "home": "/home/open/letter",
}
_LIBC = ctypes.CDLL(None, use_errno=True)
_PTRACE_TRACEME, _CLONE_NEWUSER, _PER_LINUX32, _IOPRIO_SET = 0, 0x10000000, 8, 251
_ADJTIMEX, _KLOG_SIZE = 159, 10


def name(problem):
    return errno.errorcode.get(problem.errno, str(problem.errno))


def attempt(deed):
    try:
        return deed() or "done"
    except OSError as problem:
        return name(problem)


def call(result):
    return "done" if result >= 0 else errno.errorcode.get(ctypes.get_errno(), "?")


def write(folder):
    path = os.path.join(folder, f"probe-{os.getpid()}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


def read(path):
    with open(path, "rb", buffering=0) as file:
        file.read(1)


def device(path):
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))


def speak(family, kind):
    socket.socket(family, kind).close()


def bus():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.connect("/run/dbus/system_bus_socket")


def writable():
    """Each file and folder of the whole system that could be written, except what the kernel makes up."""
    found = []
    for folder, folders, files in os.walk("/"):
        folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/sys")]
        for path in [folder, *(os.path.join(folder, each) for each in files)]:
            if not os.path.islink(path) and os.access(path, os.W_OK):
                found.append(path)
    return sorted(found)


def status(word):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(word))
    return line.split(":", 1)[1].strip()


def protected_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def answers():
    found = {
        "inet": attempt(lambda: speak(socket.AF_INET, socket.SOCK_STREAM)),
        "inet6": attempt(lambda: speak(socket.AF_INET6, socket.SOCK_DGRAM)),
        "netlink": attempt(lambda: speak(socket.AF_NETLINK, socket.SOCK_RAW)),
        "unix": attempt(lambda: speak(socket.AF_UNIX, socket.SOCK_STREAM)),
        "interfaces": sorted(
            line.split(":")[0].strip() for line in Path("/proc/self/net/dev").read_text().splitlines()[2:]
        ),
        "wx": attempt(protected_memory),
        "core": str(resource.getrlimit(resource.RLIMIT_CORE)[1]),
        "caps": status("CapBnd"),
        "users": " ".join(Path("/proc/self/uid_map").read_text().split()),
        "ipc": os.readlink("/proc/self/ns/ipc"),
        "other-process": "seen" if os.path.exists("/proc/1/status") else "hidden",
        "kernel-facts": "seen" if os.path.exists("/proc/cpuinfo") else "hidden",
        "umask": oct(os.umask(0)),
        "user": str(os.getuid()),
        "tunables": os.environ.get("GLIBC_TUNABLES", ""),
        "bytecode": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
        "ptrace": call(_LIBC.ptrace(_PTRACE_TRACEME, 0, 0, 0)),
        "namespace": call(_LIBC.unshare(_CLONE_NEWUSER)),
        "personality": call(_LIBC.personality(_PER_LINUX32)),
        "kernel-log": call(_LIBC.klogctl(_KLOG_SIZE, None, 0)),
        "clock": call(_LIBC.adjtimex(ctypes.create_string_buffer(512))),
        "bus": attempt(bus),
        "priority": call(_LIBC.syscall(_IOPRIO_SET, 1, 0, (3 << 13))),
        "seccomp": status("Seccomp"),
        "swap-counted": status("VmSwap"),
    }
    for place in OPEN_PLACES:
        found[f"write {place}"] = attempt(lambda place=place: write(place))
    for each in DEVICES:
        found[f"device {each}"] = attempt(lambda each=each: device(f"/dev/{each}"))
    for secret, path in SECRETS.items():
        found[f"secret {secret}"] = attempt(lambda path=path: read(path))
    own = os.environ.get("CREDENTIALS_DIRECTORY", "")
    found["own-credentials"] = sorted(os.listdir(own)) if own else []
    if "--walk" in sys.argv:
        found["writable"] = writable()
    return found


if __name__ == "__main__":
    print(json.dumps(answers()))
