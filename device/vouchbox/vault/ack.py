"""A relying party's acknowledgement: which messages it has stored. Only this empties the outbox.

Pure: bytes and registry in, the party and the digests out. A digest names the exact payload bytes that the
party received, so an acknowledgement can't be moved to another message, and repeating it changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from vouchbox.messages import Sha256Hex
from vouchbox.vault.authentic import authenticate, refused
from vouchbox.vault.formats import ACK_TYPE, NAME
from vouchbox.vault.registry import Registry

ACK_LIMIT = 8 * 1024
"""Bytes of an acknowledgement, at most."""


class Claims(Struct, frozen=True):
    """The claims of an acknowledgement; others are ignored. `delivered` holds SHA-256 digests in hex."""

    iss: Annotated[str, Meta(pattern=NAME)]
    aud: Annotated[str, Meta(max_length=128)]
    iat: Annotated[int, Meta(ge=0, le=2**40)]
    delivered: Annotated[tuple[Sha256Hex, ...], Meta(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """`party` holds the payloads with these SHA-256 digests."""

    party: str
    delivered: tuple[str, ...]


def verify(payload: bytes, registry: Registry, audience: str) -> Acknowledgement:
    """The acknowledgement in `payload`; raises RequestRefused when no registered key signed it for us."""
    if len(payload) > ACK_LIMIT:
        raise refused("oversized", "the acknowledgement is too large", f"send at most {ACK_LIMIT} bytes")
    party, claims = authenticate(payload, ACK_TYPE, registry, Claims)
    if claims.aud != audience:
        raise refused("wrong-audience", "the acknowledgement is for another box", f"set aud to {audience}")
    return Acknowledgement(party.id, claims.delivered)
