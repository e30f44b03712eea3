"""Create the identity of a box: signing key, seal key, template secret, ueid and the public key set.

Run once, by the operator. It never overwrites a key, gives every secret mode 0600 and writes it to the
disk before it returns, and shows nothing secret. With a token the signing key is made inside it.
`box.jwks.json` is the one file that is meant for others.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import msgspec

from vouchbox import config
from vouchbox.errors import KeyStoreError
from vouchbox.vault import keys, keys_file, keys_public, keys_rotation, sealing
from vouchbox.vault.formats import to_base64url
from vouchbox.vault.template import SECRET_BYTES

PUBLIC_FILE = "box.jwks.json"
_UEID_RANDOM = b"\x01"
_UEID_BYTES = 16


def create_identity(
    directory: Path,
    *,
    audience: str,
    alg: keys_rotation.Alg | None = None,
    token: config.Token | None = None,
    token_key: bytes | None = None,
    oemid: str = "",
    hwmodel: str = "",
    template_secret: bytes | None = None,
) -> dict[str, Any]:
    """Make the keys of a new box in `directory` and return the public document (see public_document).

    `audience` is config.box.audience. `alg` None means Ed25519, and in a token the best that it can do.
    `token_key` is the CKA_ID of a key that is in the token already. `oemid` and `hwmodel` are base64url, as
    RFC 9711 has them, and stay out of the verdict when empty. `template_secret` (32 bytes) joins an existing
    fleet; None starts a new one. Raises KeyStoreError when a key is there already, the folder can't be
    written, or the token can't make the key.
    """
    secret = template_secret if template_secret is not None else secrets.token_bytes(SECRET_BYTES)
    if len(secret) != SECRET_BYTES:
        raise KeyStoreError("the template secret has the wrong length", f"give {SECRET_BYTES} bytes")
    ueid = to_base64url(_UEID_RANDOM + secrets.token_bytes(_UEID_BYTES))
    identity = keys.Identity(ueid=ueid, oemid=oemid, hwmodel=hwmodel)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_none(directory)
        seed = to_base64url(secrets.token_bytes(sealing.SEED_BYTES))
        if token is None:
            key = keys_rotation.new_key(alg or "Ed25519").as_dict(private=True)
            keys_file.write_new(directory / keys.SIGNING_FILE, msgspec.json.encode(key), 0o600)
        else:
            door = keys.open_token(directory, token)
            made = door.make(alg) if token_key is None else door.describe(token_key)
            door.close()
            record = msgspec.json.format(msgspec.json.encode(made))
            keys_file.write_new(directory / keys_public.TOKEN_KEY_FILE, record, 0o644)
        keys_file.write_new(directory / keys.SEAL_FILE, seed.encode(), 0o600)
        keys_file.write_new(directory / keys.TEMPLATE_FILE, to_base64url(secret).encode(), 0o600)
        keys_file.write_new(directory / keys.IDENTITY_FILE, msgspec.json.encode(identity), 0o644)
        # Empty now, so that a unit which is handed its key files one by one can name it (systemd.exec(5)).
        none_yet = keys_public.encode_retired(())
        keys_file.write_new(directory / keys_public.RETIRED_FILE, none_yet, 0o644)
        return publish(directory, audience=audience, token=token)
    except OSError as problem:
        raise KeyStoreError(f"can't write to {directory} ({problem.strerror})", "choose another") from None


def publish(directory: Path, *, audience: str, token: config.Token | None = None) -> dict[str, Any]:
    """Load the keys, write `box.jwks.json` anew and return it. Raises KeyStoreError."""
    ring = keys.load(directory, token)
    document = public_document(ring, audience)
    ring.signer.close()
    try:
        text = msgspec.json.format(msgspec.json.encode(document))
        keys_file.replace(directory / PUBLIC_FILE, text, 0o644)
    except OSError as problem:
        raise KeyStoreError(f"can't write to {directory} ({problem.strerror})", "choose another") from None
    return document


def public_document(ring: keys.KeyRing, audience: str) -> dict[str, Any]:
    """What a relying party needs to know of this box: a JWK set (RFC 7517) with three more members.

    The signing key comes first, then retired ones, each with `exp`. `ueid`, `audience` (the `iss` of
    verdicts and `aud` of requests), and `seal`: the HPKE public key to which the reference of a match request
    is sealed.
    """
    return {
        "keys": [ring.signer.public_jwk(), *(key.members() for key in ring.retired)],
        "ueid": ring.identity.ueid,
        "audience": audience,
        "seal": {
            "kem": sealing.KEM_NAME,
            "kdf": "HKDF-SHA256",
            "aead": "AES-256-GCM",
            "public": to_base64url(ring.seal_public),
        },
    }


def _require_none(directory: Path) -> None:
    names = (keys.SIGNING_FILE, keys.SIGNING_PEM_FILE, keys_public.TOKEN_KEY_FILE)
    for name in (*names, keys.SEAL_FILE, keys.TEMPLATE_FILE, keys.IDENTITY_FILE):
        if (directory / name).exists():
            raise KeyStoreError(
                f"{directory / name} exists already", "give another folder, for a key is never overwritten"
            )
