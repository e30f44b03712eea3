"""The template message: a protected template, sealed to one party, with what is needed to open it.

Pure: a template in, the payload of one MQTT message out, and back for the reference that a match request
brings. The clear template exists only inside these functions.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from vouchbox.vault import sealing, template
from vouchbox.vault.formats import TEMPLATE_FORMAT, reference_context, template_context
from vouchbox.vault.request import Request
from vouchbox.vault.template import Template

TEMPLATE_MESSAGE_LIMIT = 2 * 1024
"""Bytes of the payload, at most."""


class TemplateMessage(Struct, frozen=True, forbid_unknown_fields=True):
    """The payload on the template topic, a msgpack map. All fields but `sealed` rebuild the HPKE `info`."""

    box: str
    party: str
    jti: str
    purpose: str
    epoch: int
    sealed: Annotated[bytes, Meta(max_length=TEMPLATE_MESSAGE_LIMIT)]
    format: Literal["vouchbox-template-v1"] = TEMPLATE_FORMAT


def message(
    protected: Template, recipient: sealing.PublicKey, *, box: str, jti: str, request: Request
) -> bytes:
    """The payload that carries `protected` to `recipient`; raises SealError. `jti` is the verdict's."""
    context = template_context(box, protected.party, jti, request.purpose)
    sealed = sealing.seal(template.encode(protected), recipient, context)
    return msgspec.msgpack.encode(
        TemplateMessage(box, protected.party, jti, request.purpose, protected.epoch, sealed)
    )


def open_reference(reference: bytes, key: sealing.PrivateKey, *, box: str, request: Request) -> Template:
    """The template that a match request brings, sealed to this box for this very request.

    Raises SealError when it does not open, is malformed, or belongs to another party.
    """
    context = reference_context(box, request.party, request.jti, request.nonce)
    return template.decode(sealing.unseal(reference, key, context))
