"""Fleet mode: a template that the relying party keeps and sends back, but only its fleet's boxes can open.

The seal key of a party and epoch is derived from the fleet's secret, so every box of the fleet can open what
another one sealed, and a new epoch ends all that was sealed before. What the party stores is the template
message as it came; it returns those very bytes as the reference. Pure: bytes in, values out.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Meta, Struct

from vouchbox.errors import SealError
from vouchbox.vault import sealing, template
from vouchbox.vault.formats import FLEET_FORMAT, IDENTIFIER, NAME, fleet_context
from vouchbox.vault.request import Request
from vouchbox.vault.template import SECRET_BYTES, Template

FLEET_MESSAGE_LIMIT = 2 * 1024
"""Bytes of the payload, at most."""


class FleetTemplateMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload on the template topic in fleet mode, a msgpack map. All fields rebuild the HPKE `info`."""

    box: Annotated[str, Meta(max_length=64)]
    party: Annotated[str, Meta(pattern=NAME)]
    jti: Annotated[str, Meta(pattern=IDENTIFIER)]
    purpose: Annotated[str, Meta(pattern=NAME)]
    epoch: Annotated[int, Meta(ge=1, le=1_000_000)]
    sealed: Annotated[bytes, Meta(min_length=1, max_length=FLEET_MESSAGE_LIMIT)]
    format: Literal["vouchbox-fleet-template-v1"] = FLEET_FORMAT


def key_pair(secret: bytes, party: str, epoch: int) -> tuple[sealing.PrivateKey, sealing.PublicKey]:
    """The fleet's seal key for `party` in `epoch`, from the fleet's 32-byte secret (HKDF, RFC 5869)."""
    if len(secret) != SECRET_BYTES:
        raise SealError("the template secret has the wrong length", f"give {SECRET_BYTES} bytes")
    context = f"vouchbox-fleet-seal-v1\n{party}\n{epoch}".encode()
    seed = HKDF(SHA256(), length=sealing.SEED_BYTES, salt=None, info=context).derive(secret)
    private, public = sealing.key_pair(seed)
    return private, sealing.public_key(public)


def message(protected: Template, secret: bytes, *, box: str, jti: str, request: Request) -> bytes:
    """The payload that carries `protected` to the party and back; raises SealError. `jti`: the verdict's."""
    party, epoch, purpose = protected.party, protected.epoch, request.purpose
    context = fleet_context(box, party, jti, purpose, epoch)
    sealed = sealing.seal(template.encode(protected), key_pair(secret, party, epoch)[1], context)
    return msgspec.msgpack.encode(FleetTemplateMessage(box, party, jti, purpose, epoch, sealed))


def open_reference(reference: bytes, secret: bytes, request: Request) -> Template:
    """The template in what `request` brought back; raises SealError when a box of this fleet did not seal it
    for this party and this purpose."""
    if len(reference) > FLEET_MESSAGE_LIMIT:
        raise SealError("the reference is too large", "send the template message as it came")
    try:
        said = msgspec.msgpack.decode(reference, type=FleetTemplateMessage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SealError("the reference is malformed", "send the template message as it came") from None
    if (said.party, said.purpose) != (request.party, request.purpose):
        raise SealError("the reference is for another party or purpose", "enrol for this purpose")
    context = fleet_context(said.box, said.party, said.jti, said.purpose, said.epoch)
    private, _ = key_pair(secret, said.party, said.epoch)
    opened = template.decode(sealing.unseal(said.sealed, private, context))
    if (opened.party, opened.epoch) != (said.party, said.epoch):
        raise SealError("the reference is not what it says", "enrol again")
    return opened
