"""Secrets in files: read with suspicion, written once, replaced whole; and a signing key that lies in one.

A file that anyone but its owner may read is refused. systemd's credentials ($CREDENTIALS_DIRECTORY) come
before the folder of keys. No error names a value.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError

from vouchbox.errors import KeyStoreError

CREDENTIALS = "CREDENTIALS_DIRECTORY"
"""The variable by which systemd names the folder of a unit's credentials (systemd.exec(5))."""

FILE_LIMIT = 16 * 1024
PROVISION = "run `vouchbox provision`"

_ACL = "system.posix_acl_access"
_ACL_VERSION = 2
_ACL_USER, _ACL_MASK = 0x02, 0x10


class FileSigner:
    """A signing key in memory, read from a JWK or a PKCS#8 PEM file."""

    def __init__(self, key: jwk.OKPKey | jwk.ECKey) -> None:
        self._key = key
        self.alg = algorithm_of(key)
        self.kid = key.thumbprint()

    def public_jwk(self) -> dict[str, Any]:
        """See keys.Signer."""
        return public_members(self._key)

    def sign(self, kind: str, claims: Mapping[str, Any]) -> bytes:
        """See keys.Signer; raises KeyStoreError when the key does not sign."""
        header = {"alg": self.alg, "typ": kind, "kid": self.kid}
        try:
            token = jws.serialize_compact(
                header, msgspec.json.encode(claims), self._key, algorithms=[self.alg]
            )
        except (JoseError, ValueError):
            raise KeyStoreError("the signing key does not sign", PROVISION) from None
        return token.encode()

    def close(self) -> None:
        """See keys.Signer; there is nothing to let go of."""


def read_jwk(path: Path) -> FileSigner:
    """The signer of a private JWK (RFC 7517); raises KeyStoreError."""
    data = read_secret(path)
    try:
        return _signer(jwk.import_key(msgspec.json.decode(data, type=dict[str, Any])), path)
    except (JoseError, ValueError, TypeError, KeyError):
        raise KeyStoreError(f"{path} is no signing key", PROVISION) from None


def read_pem(path: Path) -> FileSigner:
    """The signer of a PKCS#8 PEM file; raises KeyStoreError."""
    data = read_secret(path)
    kinds: tuple[type[jwk.OKPKey] | type[jwk.ECKey], ...] = (jwk.OKPKey, jwk.ECKey)
    for kind in kinds:
        try:
            return _signer(kind.import_key(data), path)
        except (JoseError, ValueError, TypeError):
            continue
    raise KeyStoreError(f"{path} is no signing key", PROVISION)


def algorithm_of(key: jwk.Key) -> str:
    """Ed25519 or ES256, by the kind of the key; raises KeyStoreError for any other."""
    if isinstance(key, jwk.OKPKey) and key.curve_name == "Ed25519":
        return "Ed25519"
    if isinstance(key, jwk.ECKey) and key.curve_name == "P-256":
        return "ES256"
    raise KeyStoreError("the signing key is of another kind", "use Ed25519 or P-256")


def public_members(key: jwk.OKPKey | jwk.ECKey) -> dict[str, Any]:
    """The public JWK of a key with `alg`, `kid` (its thumbprint, RFC 7638) and `use`."""
    public = key.as_dict(private=False)
    members: dict[str, Any] = {name: public[name] for name in ("kty", "crv", "x", "y") if name in public}
    return {**members, "alg": algorithm_of(key), "kid": key.thumbprint(), "use": "sig"}


def find(directory: Path, name: str) -> Path:
    """Where the file `name` lies: among this unit's credentials if it is there, else in `directory`.

    A unit to which `directory` is closed has its credentials and nothing else.
    """
    folder = os.environ.get(CREDENTIALS)
    if not folder:
        return directory / name
    credential = Path(folder, name)
    closed = not os.access(directory, os.X_OK)
    return credential if closed or credential.exists() else directory / name


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file; raises KeyStoreError when others than its owner may touch it.

    The owner must be the own user or root, as for a systemd credential.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as problem:
        raise KeyStoreError(f"can't read {path} ({problem.strerror})", PROVISION) from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise KeyStoreError(f"{path} is no file", PROVISION)
        open_to_others = facts.st_mode & 0o077 and not _granted_to_me_alone(handle, facts.st_mode)
        if open_to_others or facts.st_uid not in (os.getuid(), 0):
            raise KeyStoreError(f"others may read {path}", f"run chmod 600 {path} as its owner")
        data = file.read(FILE_LIMIT + 1)
    if len(data) > FILE_LIMIT:
        raise KeyStoreError(f"{path} is too large for a key", PROVISION)
    return data


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet, durably; raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


def replace(path: Path, data: bytes, mode: int) -> None:
    """Put `data` in the place of whatever is at `path`, all or nothing and durably; raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    write_new(fresh, data, mode)
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were changed in `folder` durable; raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _signer(key: jwk.Key, path: Path) -> FileSigner:
    algorithm_of(key)
    if not isinstance(key, jwk.OKPKey | jwk.ECKey) or not key.is_private:
        raise KeyStoreError(f"{path} holds no private key", PROVISION)
    return FileSigner(key)


def _granted_to_me_alone(handle: int, mode: int) -> bool:
    # systemd lets a unit's user read a credential of root by an access list (acl(5)); the group bits of the
    # mode are then the list's mask and grant nothing to a group. Nobody else may stand in the list.
    try:
        raw = os.getxattr(handle, _ACL)
    except OSError:
        return False
    (version,) = struct.unpack_from("<I", raw)
    entries = list(struct.iter_unpack("<HHI", raw[4:]))
    if version != _ACL_VERSION or mode & 0o007 or not any(tag == _ACL_MASK for tag, _, _ in entries):
        return False
    named = [who for tag, rights, who in entries if tag == _ACL_USER and rights]
    nameless = [rights for tag, rights, _ in entries if tag not in (0x01, _ACL_USER, _ACL_MASK)]
    return named == [os.getuid()] and not any(nameless)
