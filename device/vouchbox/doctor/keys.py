"""Are the vault's keys there, closed to others and able to sign, in files or in a token? And the TLS key?

Owner and mode are looked at from outside. Whether the keys work is tried in a process that ends at once; no
value of a key ever comes back from it. Keys encrypted to this machine are only decrypted into nothing.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vouchbox.config import Config
from vouchbox.doctor import trying
from vouchbox.doctor.finding import Finding, fault, not_checked, of, ok
from vouchbox.doctor.machine import Account, Machine, mode, name_of, present
from vouchbox.vault import keys as ring
from vouchbox.vault.keys_file import PROVISION

SECONDS = 180.0
"""A TPM signs in a second; one behind a slow bus needs some more to start."""

ENCRYPTED = ".cred"
"""How systemd/encrypted-keys.conf calls a key that is encrypted to this machine."""

SECRETS = (
    ring.SIGNING_FILE,
    ring.SIGNING_PEM_FILE,
    ring.SEAL_FILE,
    ring.TEMPLATE_FILE,
    ring.PIN_FILE,
)


def guarded(path: Path, facts: os.stat_result, owners: set[int]) -> Finding | None:
    """A fault when others may touch a secret file; `owners` are the users whose it may be."""
    if not stat.S_ISREG(facts.st_mode):
        return fault("keys", f"{path} is no file", PROVISION)
    if facts.st_mode & 0o077:
        return fault(
            "keys",
            f"others may read {path} (mode {mode(facts)})",
            f"run chmod 600 {path}, and renew that key if someone could have copied it",
        )
    if facts.st_uid not in owners:
        return fault("keys", f"{path} belongs to {name_of(facts.st_uid)}", f"run chown root {path}")
    return None


def check(config: Config, machine: Machine, vault: Account) -> Iterator[Finding]:
    """The folder of keys, each secret in it, and whether they sign."""
    folder = config.vault.keys
    try:
        there = {path.name: path.lstat() for path in folder.iterdir()}
        outside = folder.stat()
    except FileNotFoundError:
        yield fault("keys", f"this box has no keys: {folder} is not there", PROVISION)
        return
    except OSError as problem:
        yield not_checked("keys", f"can't look into {folder} ({problem.strerror})", "run this as root")
        return
    owners = {0, vault.uid, outside.st_uid}
    bad = [
        finding
        for name in SECRETS
        if name in there and (finding := guarded(folder / name, there[name], owners)) is not None
    ]
    if outside.st_mode & 0o022:
        bad.append(fault("keys", f"others may put files into {folder}", f"run chmod go-w {folder}"))
    yield from bad
    missing = sorted(
        name for name in (ring.SEAL_FILE, ring.TEMPLATE_FILE, ring.IDENTITY_FILE) if not _has(there, name)
    )
    if missing:
        yield fault(
            "keys", f"{folder} lacks {', '.join(missing)}", f"{PROVISION}, or restore them from a backup"
        )
        return
    encrypted = [name for name in SECRETS if name not in there and f"{name}{ENCRYPTED}" in there]
    if encrypted:
        yield from _decrypted(folder, encrypted)
    elif not bad:
        yield _signing(config, machine, there[ring.SEAL_FILE])


def tls_key(config: Config, uplink: Account) -> Iterator[Finding]:
    """The uplink's TLS key, which also lies in a file."""
    path = config.uplink.key
    if not present(path) and present(path.with_name(path.name + ENCRYPTED)):
        yield from _decrypted(path.parent, [path.name], "tls-key")
        return
    try:
        facts = path.lstat()
    except FileNotFoundError:
        yield fault(
            "tls-key",
            f"{path} is not there",
            "run `vouchbox provision certificate-request`, and have it signed",
        )
        return
    except OSError as problem:
        yield not_checked("tls-key", f"can't look at {path} ({problem.strerror})", "run this as root")
        return
    finding = guarded(path, facts, {0, uplink.uid, os.geteuid()})
    if finding is None:
        yield ok("tls-key", f"{path} belongs to {name_of(facts.st_uid)} alone")
    else:
        yield Finding("tls-key", finding.result, finding.what, finding.fix)


def open_tls_key(config: Config) -> tuple[Path, int | None]:
    """Where the TLS key can be read now: its file, or nameless memory that it was decrypted into, with the
    descriptor to close. Raises OSError where it can't be decrypted."""
    path = config.uplink.key
    sealed = path.with_name(path.name + ENCRYPTED)
    if present(path) or not present(sealed):
        return path, None
    memory = os.memfd_create("tls-key", os.MFD_CLOEXEC)
    if not _decrypt(sealed, path.name, memory):
        os.close(memory)
        raise OSError(f"{sealed} does not decrypt")
    return Path(f"/proc/self/fd/{memory}"), memory


def _has(there: dict[str, os.stat_result], name: str) -> bool:
    return name in there or f"{name}{ENCRYPTED}" in there


def _signing(config: Config, machine: Machine, facts: os.stat_result) -> Finding:
    if not machine.root and facts.st_uid != os.geteuid():
        return not_checked("keys", f"the keys belong to {name_of(facts.st_uid)}", "run this as root")
    token = config.vault.token
    request = {
        "folder": str(config.vault.keys),
        "token": None if token is None else {**msgspec.structs.asdict(token), "module": str(token.module)},
    }
    owner = Account(name_of(facts.st_uid), facts.st_uid, facts.st_gid, frozenset())
    try:
        found = trying.attempt("keys", request, SECONDS, owner if machine.root and facts.st_uid else None)
    except trying.TrialFailed as problem:
        return of("keys", problem)
    except trying.TrialImpossible as problem:
        return not_checked("keys", problem.what, problem.fix)
    where = (
        f"in the token {token.label!r}" if token is not None else "in a file that its owner alone may read"
    )
    retired = f", beside {found['retired']} retired" if found["retired"] else ""
    return ok("keys", f"the signing key ({found['alg']}) signs, {where}{retired}")


def _decrypted(folder: Path, names: list[str], check: str = "keys") -> Iterator[Finding]:
    """Whether this machine can open what is encrypted to it; the content goes nowhere."""
    for name in names:
        path = folder / f"{name}{ENCRYPTED}"
        try:
            opened = _decrypt(path, name, subprocess.DEVNULL)
        except OSError:
            yield not_checked(check, f"{path} is encrypted, and systemd-creds is not installed")
            continue
        if opened:
            yield ok(check, f"{path} is encrypted to this machine and opens here")
        elif os.geteuid() != 0:
            yield not_checked(check, f"{path} is encrypted", "run this as root")
        else:
            yield fault(
                check,
                f"{path} does not open on this machine",
                "it was encrypted elsewhere, or the TPM was cleared: restore the key and encrypt it again",
            )


def _decrypt(path: Path, name: str, into: int) -> bool:
    command = ["systemd-creds", "decrypt", f"--name={name}", str(path), "-"]
    return (
        subprocess.run(
            command, stdout=into, stderr=subprocess.DEVNULL, check=False, timeout=SECONDS
        ).returncode
        == 0
    )
