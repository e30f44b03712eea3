"""Give the box a new signing key, and let the old one be verified for a while.

The order survives a power cut at any place: first the old public key is written down as retired, then the
new key takes over in one rename, then the old private key is destroyed. A key that both signs and is retired
counts as signing. Also the way from a file into a token, and to another token when one is broken.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from joserfc import jwk

from vouchbox import config
from vouchbox.errors import KeyStoreError
from vouchbox.vault import keys, keys_file, keys_public
from vouchbox.vault.keys_public import PublicKey, TokenKey
from vouchbox.vault.keys_token import Token

DAY_S = 86_400
OVERLAP_DAYS = 90
"""Days that a retired key still verifies, unless told otherwise: verdicts wait, receipts are kept."""

Alg = Literal["Ed25519", "ES256"]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What happened: the new and the old `kid`, when the old one ends (Unix seconds), and whether its private
    half is gone."""

    kid: str
    old: str
    expires: int
    destroyed: bool


def rotate(
    directory: Path,
    token: config.Token | None,
    *,
    now: int,
    overlap_days: int = OVERLAP_DAYS,
    alg: Alg | None = None,
) -> Rotation:
    """Make a new signing key, in `token` if there is one. A running vault uses it from its next start.

    `now` is Unix seconds; `overlap_days` 0 distrusts the old key at once. The old key need not work any more.
    Raises KeyStoreError when there is no old key, when RETIRED_LIMIT keys still verify, or when the new key
    can't be made; then the old one goes on signing.
    """
    in_token = keys_public.token_key(directory)
    old = in_token.key if in_token else _public_of_file(directory)
    if token is None and in_token is not None:
        raise KeyStoreError(
            "the signing key is in a token", "name that token, or its successor, in [vault.token]"
        )
    # Even a key that is distrusted at once stays in the set until the next rotation: it says that it expired.
    expires = now + overlap_days * DAY_S
    retired = [key for key in keys_public.retired(directory) if key.kid != old.kid and (key.exp or 0) > now]
    retired.append(msgspec.structs.replace(old, exp=expires))
    if len(retired) > keys_public.RETIRED_LIMIT:
        first = min(key.exp or 0 for key in retired)
        raise KeyStoreError(
            f"too many retired keys still verify, one until {first}", "wait, or shorten the overlap"
        )
    door = keys.open_token(directory, token) if token else None
    made = door.make(alg) if door else None
    try:
        path = directory / keys_public.RETIRED_FILE
        keys_file.replace(path, keys_public.encode_retired(tuple(retired)), 0o644)
        kid = _install_in_token(directory, made) if made else _install_in_file(directory, alg)
        for name in [keys.SIGNING_PEM_FILE] + ([keys.SIGNING_FILE] if made else []):
            (directory / name).unlink(missing_ok=True)
        keys_file.sync_folder(directory)
    except OSError as problem:
        raise KeyStoreError(
            f"can't write to {directory} ({problem.strerror})", "make room and try again"
        ) from None
    destroyed = door is None or in_token is None or _destroy(door, in_token)
    if door:
        door.close()
    return Rotation(kid, old.kid, expires, destroyed)


def _install_in_token(directory: Path, made: TokenKey) -> str:
    data = msgspec.json.format(msgspec.json.encode(made))
    keys_file.replace(directory / keys_public.TOKEN_KEY_FILE, data, 0o644)
    return made.key.kid


def _install_in_file(directory: Path, alg: Alg | None) -> str:
    key = new_key(alg or "Ed25519")
    data = msgspec.json.encode(key.as_dict(private=True))
    keys_file.replace(directory / keys.SIGNING_FILE, data, 0o600)
    return key.thumbprint()


def _destroy(door: Token, old: TokenKey) -> bool:
    try:
        door.destroy(bytes.fromhex(old.id))
    except KeyStoreError:
        return False
    return True


def new_key(alg: Alg) -> jwk.OKPKey | jwk.ECKey:
    """A fresh signing key in memory."""
    return jwk.OKPKey.generate_key("Ed25519") if alg == "Ed25519" else jwk.ECKey.generate_key("P-256")


def _public_of_file(directory: Path) -> PublicKey:
    members: dict[str, Any] = keys.read_file_signer(directory).public_jwk()
    return PublicKey(**members)
