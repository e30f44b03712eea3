"""Create the identity of a box: signing key, seal key, template secret, ueid and the public key set.

Run once, by the operator. It never overwrites a key, gives every secret mode 0600 and writes it to the
disk before it returns, and shows nothing secret. `box.jwks.json` is the one file that is meant for others.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Literal

import msgspec
from joserfc import jwk

from vouchbox.errors import KeyStoreError
from vouchbox.vault import keys, sealing
from vouchbox.vault.formats import to_base64url
from vouchbox.vault.template import SECRET_BYTES

PUBLIC_FILE = "box.jwks.json"
_UEID_RANDOM = b"\x01"
_UEID_BYTES = 16


def create_identity(
    directory: Path,
    *,
    audience: str,
    alg: Literal["Ed25519", "ES256"] = "Ed25519",
    oemid: str = "",
    hwmodel: str = "",
    template_secret: bytes | None = None,
) -> dict[str, Any]:
    """Make the keys of a new box in `directory` and return the public document (see public_document).

    `audience` is config.box.audience. `oemid` and `hwmodel` are base64url, as RFC 9711 has them, and stay
    out of the verdict when empty. `template_secret` (32 bytes) joins an existing fleet; None starts a new
    one. Raises KeyStoreError when a key is there already or the folder can't be written.
    """
    key: jwk.OKPKey | jwk.ECKey
    key = jwk.OKPKey.generate_key("Ed25519") if alg == "Ed25519" else jwk.ECKey.generate_key("P-256")
    secret = template_secret if template_secret is not None else secrets.token_bytes(SECRET_BYTES)
    if len(secret) != SECRET_BYTES:
        raise KeyStoreError("the template secret has the wrong length", f"give {SECRET_BYTES} bytes")
    ueid = to_base64url(_UEID_RANDOM + secrets.token_bytes(_UEID_BYTES))
    identity = keys.Identity(ueid=ueid, oemid=oemid, hwmodel=hwmodel)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(directory / keys.SIGNING_FILE, msgspec.json.encode(key.as_dict(private=True)), 0o600)
        seed = to_base64url(secrets.token_bytes(sealing.SEED_BYTES))
        _write(directory / keys.SEAL_FILE, seed.encode(), 0o600)
        _write(directory / keys.TEMPLATE_FILE, to_base64url(secret).encode(), 0o600)
        _write(directory / keys.IDENTITY_FILE, msgspec.json.encode(identity), 0o644)
        document = public_document(keys.load(directory), audience)
        _write(directory / PUBLIC_FILE, msgspec.json.format(msgspec.json.encode(document)), 0o644)
    except FileExistsError as problem:
        raise KeyStoreError(
            f"{problem.filename} exists already", "give another folder, for a key is never overwritten"
        ) from None
    except OSError as problem:
        raise KeyStoreError(f"can't write to {directory} ({problem.strerror})", "choose another") from None
    return document


def public_document(ring: keys.KeyRing, audience: str) -> dict[str, Any]:
    """What a relying party needs to know of this box: a JWK set (RFC 7517) with three more members.

    `ueid`, `audience` (the `iss` of verdicts and `aud` of requests), and `seal`: the HPKE public key to
    which the reference of a match request is sealed.
    """
    return {
        "keys": [ring.signer.public_jwk()],
        "ueid": ring.identity.ueid,
        "audience": audience,
        "seal": {
            "kem": sealing.KEM_NAME,
            "kdf": "HKDF-SHA256",
            "aead": "AES-256-GCM",
            "public": to_base64url(ring.seal_public),
        },
    }


def _write(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)
