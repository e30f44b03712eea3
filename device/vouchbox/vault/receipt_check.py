"""Is this receipt true? Both forms, with the published keys of the boxes, without a network or a clock.

Pure: a token and public keys in, what it says out, or ReceiptInvalid. The checks are those of every token
here: explicit `typ`, algorithm allow-list, one key one algorithm (RFC 8725), no member in the header that
nobody needs, every claim of the right shape. Whether a receipt is past its time is for the reader to see: an
old receipt is still a true one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from msgspec import Meta, Struct

from vouchbox.errors import ReceiptInvalid
from vouchbox.messages import Sha256Hex
from vouchbox.vault.formats import (
    ALGORITHMS,
    AUDIENCE,
    IDENTIFIER,
    NAME,
    RECEIPT_TYPE,
    SHORT_RECEIPT_TYPE,
)
from vouchbox.vault.registry import Key

SHORT_LIMIT = 800
"""Bytes of a short form, at most: a QR code of version 20 with error correction M holds 666 in all."""
FULL_LIMIT = 32 * 1024
"""Bytes of a full form, at most."""

Keys = Mapping[str, Mapping[str, Key]]
"""Public keys by box (`vouchbox:<site>/<device>`) and `kid`."""

_HEADER = {"alg", "typ", "kid"}
_Box = Annotated[str, Meta(pattern=AUDIENCE)]
_Id = Annotated[str, Meta(pattern=IDENTIFIER)]
_Seconds = Annotated[int, Meta(ge=0, le=2**40)]

Form = TypeVar("Form", bound=Struct)


class ShortForm(Struct, frozen=True):
    """What a QR code says: which box, which relying party, when, the receipt's id, the verdict's. `st` is
    `refused` on the receipt of a no; then there is nothing to withdraw."""

    iss: _Box
    aud: Annotated[str, Meta(pattern=NAME)]
    iat: _Seconds
    jti: _Id
    v: _Id
    st: Literal["given", "refused"] = "given"


class Sent(Struct, frozen=True):
    """One message that was put on its way."""

    topic: Annotated[str, Meta(max_length=256)]
    content_type: Annotated[str, Meta(max_length=64)]
    size: Annotated[int, Meta(ge=0, le=2**20)]
    sha256: Sha256Hex


class Header(Struct, frozen=True):
    """Record header (ISO/IEC TS 27560)."""

    schema_version: Annotated[str, Meta(max_length=64)]
    record_id: _Id
    pii_principal_id: _Id


class Event(Struct, frozen=True):
    """Event section (ISO/IEC TS 27560)."""

    event_time: _Seconds
    event_type: Annotated[str, Meta(max_length=64)]
    event_state: Literal["given", "refused"]
    way: Annotated[str, Meta(max_length=64)]
    validity_duration_s: _Seconds


class Stated(Struct, frozen=True):
    """The verdict that the receipt belongs to."""

    jti: _Id
    outcome: Annotated[str, Meta(max_length=64)]


class FullForm(Struct, frozen=True):
    """The consent record and receipt; `processing` has the notice, field by field, as it was shown."""

    iss: _Box
    iat: _Seconds
    exp: _Seconds
    jti: _Id
    header: Header
    processing: dict[str, Any]
    event: Event
    verdict: Stated
    sent: Annotated[tuple[Sent, ...], Meta(max_length=8)]
    software: dict[str, str]
    judged_by: dict[str, Any] = {}


def read_short(token: bytes, keys: Keys) -> ShortForm:
    """The short form in `token`, made by one of the boxes of `keys`; raises ReceiptInvalid."""
    if len(token) > SHORT_LIMIT:
        raise _malformed()
    return _read(token, SHORT_RECEIPT_TYPE, keys, ShortForm)


def read_full(token: bytes, keys: Keys) -> FullForm:
    """The full form in `token`, made by one of the boxes of `keys`; raises ReceiptInvalid."""
    if len(token) > FULL_LIMIT:
        raise _malformed()
    return _read(token, RECEIPT_TYPE, keys, FullForm)


def _read(token: bytes, kind: str, keys: Keys, form: type[Form]) -> Form:
    try:
        signature = jws.extract_compact(token)
        header = signature.headers()
        issuer = msgspec.json.decode(signature.payload, type=_Issuer).iss
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise _malformed() from None
    if set(header) != _HEADER or header["typ"] != kind or header["alg"] not in ALGORITHMS:
        raise ReceiptInvalid("this is no receipt of that kind", "give the text as the box showed it")
    known = keys.get(issuer)
    if known is None:
        raise ReceiptInvalid(
            "no known box made this receipt", "add that box's public document if you trust it"
        )
    key = known.get(header["kid"]) if isinstance(header["kid"], str) else None
    if key is None or key.alg != header["alg"]:
        raise ReceiptInvalid("the box has no such key", "get box.jwks.json from the box again")
    try:
        genuine = jws.validate_compact(signature, key.key, algorithms=[key.alg])
    except (JoseError, ValueError):
        genuine = False
    if not genuine:
        raise ReceiptInvalid("the signature does not verify", "discard the receipt: it was changed or forged")
    try:
        return msgspec.json.decode(signature.payload, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise ReceiptInvalid("a claim is missing or wrong", "update vouchbox") from None


def _malformed() -> ReceiptInvalid:
    return ReceiptInvalid("the receipt is malformed", "give the text as the box showed it")


class _Issuer(Struct, frozen=True):
    iss: str
