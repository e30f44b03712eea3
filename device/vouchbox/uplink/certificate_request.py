"""The uplink's TLS key and the request for its certificate (PKCS#10, RFC 2986).

The key is made here, once, with mode 0600 and never leaves its file; the request is for the operator's
certificate authority. The common name is the box's user name at the broker, `<site>/<device>`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from vouchbox.errors import ConfigError, KeyStoreError

NAME_LIMIT = 64
"""Characters of a common name, at most (RFC 5280, appendix A.1)."""


def write(key_path: Path, request_path: Path, common_name: str) -> None:
    """Write the request for `common_name` to `request_path`; the key at `key_path` is made if it is missing.

    Raises KeyStoreError for a key that others may read or that is of another kind (P-256 is meant), and when
    a file can't be written; ConfigError for a name that is too long.
    """
    if len(common_name) > NAME_LIMIT:
        raise ConfigError("site and device are too long for a certificate", "shorten them to 63 together")
    try:
        for folder in (key_path.parent, request_path.parent):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        key = _load(key_path) if key_path.exists() else _make(key_path)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        request_path.write_bytes(request.public_bytes(Encoding.PEM))
    except OSError as problem:
        raise KeyStoreError(
            f"can't write {problem.filename or key_path} ({problem.strerror})", "check the folder"
        ) from None


def _make(path: Path) -> ec.EllipticCurvePrivateKey:
    # Under another name first: a power cut leaves a whole key or none.
    key = ec.generate_private_key(ec.SECP256R1())
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(handle)
    path.hardlink_to(fresh)
    fresh.unlink()
    return key


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077:
        raise KeyStoreError(f"others may read {path}", f"run chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        raise KeyStoreError(f"{path} is no private key", "move it away and run this again") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeyStoreError(f"{path} is a key of another kind", "move it away and run this again")
    return key
