"""From an examination to what may be said: judge it, and for enroll protect, for match compare.

Pure but for the randomness inside sealing. Whatever goes wrong on the way ends as inconclusive, and an
embedding or a clear template never leaves this module.
"""

from __future__ import annotations

from dataclasses import dataclass

from vouchbox.errors import SealError
from vouchbox.messages import Action, Examination, Outcome, TemplateReaders
from vouchbox.reasons import Reason
from vouchbox.vault import fleet, matching, policy, sealed, template
from vouchbox.vault.events import Ending, Ticket
from vouchbox.vault.keys import KeyRing
from vouchbox.vault.matching import Thresholds
from vouchbox.vault.policy import Asked
from vouchbox.vault.registry import Party
from vouchbox.vault.template import Template


@dataclass(frozen=True, slots=True)
class Findings:
    """What the verdict says: the end, the payload of the template message (enroll and live, else empty), and
    the false match rate of the threshold (match and no-match, else None)."""

    ending: Ending
    template: bytes = b""
    fmr: float | None = None


def find(
    ticket: Ticket,
    party: Party,
    examination: Examination,
    asked: Asked,
    ring: KeyRing,
    thresholds: Thresholds,
    reference: Template | None,
) -> Findings:
    """The findings of one examination that nobody interrupted."""
    outcome, reasons = policy.assess(examination, asked)
    ending = Ending(outcome, reasons)
    if outcome is not Outcome.LIVE or ticket.request.action is Action.CHECK:
        return Findings(ending)
    try:
        protected = _protected(party, examination, ring)
        if ticket.request.action is Action.ENROLL:
            return Findings(ending, _message(ticket, party, protected, ring))
        return _matched(party, protected, thresholds, reference)
    except SealError:
        return Findings(Ending(Outcome.INCONCLUSIVE, (Reason.MODEL_UNAVAILABLE,)))


def reference_of(
    ticket: Ticket, party: Party, sealed_reference: bytes, ring: KeyRing, thresholds: Thresholds
) -> Template | Reason:
    """The reference that a match request brings, or why the request is refused before any camera opens."""
    if thresholds.cosine(party.fmr) is None:
        return Reason.MODEL_UNAVAILABLE
    try:
        reference = _opened(ticket, party, sealed_reference, ring)
    except SealError:
        return Reason.REFERENCE_UNREADABLE
    if reference.party != party.id or reference.epoch > party.epoch:
        return Reason.REFERENCE_UNREADABLE
    if reference.epoch < party.epoch or reference.model.hex() != thresholds.model:
        return Reason.ENROLL_AGAIN
    return reference


def _opened(ticket: Ticket, party: Party, reference: bytes, ring: KeyRing) -> Template:
    if party.template_readers is TemplateReaders.FLEET:
        return fleet.open_reference(reference, ring.template_secret, ticket.request)
    return sealed.open_reference(reference, ring.seal_key, box=ring.identity.ueid, request=ticket.request)


def _protected(party: Party, examination: Examination, ring: KeyRing) -> Template:
    digests = [model.sha256 for model in examination.models if model.role == matching.ROLE]
    if len(digests) != 1:
        raise SealError("vision names no embedding model", "load one")
    rotation = template.rotation(ring.template_secret, party.id, party.epoch)
    return template.protect(examination.embedding, bytes.fromhex(digests[0]), rotation)


def _message(ticket: Ticket, party: Party, protected: Template, ring: KeyRing) -> bytes:
    box, jti, request = ring.identity.ueid, ticket.session, ticket.request
    if party.template_readers is TemplateReaders.FLEET:
        return fleet.message(protected, ring.template_secret, box=box, jti=jti, request=request)
    if party.seal_key is None or party.template_readers is not TemplateReaders.PARTY:
        raise SealError("nobody is to read the party's templates", "register a seal key")
    return sealed.message(protected, party.seal_key, box=box, jti=jti, request=request)


def _matched(
    party: Party, protected: Template, thresholds: Thresholds, reference: Template | None
) -> Findings:
    threshold = thresholds.cosine(party.fmr)
    if reference is None or threshold is None or protected.model.hex() != thresholds.model:
        raise SealError("there is nothing to compare with", "enrol again")
    same = matching.is_same(reference, protected, threshold)
    return Findings(Ending(Outcome.MATCH if same else Outcome.NO_MATCH, ()), fmr=party.fmr)
