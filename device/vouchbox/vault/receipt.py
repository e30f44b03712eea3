"""The person's receipt: a signed consent record (after ISO/IEC TS 27560:2023) and its short form.

Pure: what happened in, claims and tokens out. The record says what the person was told, what they answered,
what was put on its way (topics, sizes, digests) and which models judged. It says nothing about who the person
is: record and principal ids are random and stand nowhere else. The withdrawal code is in neither token; the
receipt's id is its digest (withdrawal_code.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from vouchbox import __version__
from vouchbox.messages import ConsentWay, Examination, Notice, Outcome
from vouchbox.vault import notice as notices
from vouchbox.vault.formats import RECEIPT_TYPE, SHORT_RECEIPT_TYPE
from vouchbox.vault.keys import Signer
from vouchbox.vault.outbox import Parcel
from vouchbox.vault.request import Request

SCHEMA_VERSION = "ISO/IEC TS 27560:2023; vouchbox-receipt-1"
DAY_S = 86_400


class EventState(StrEnum):
    """What the person answered (ISO/IEC TS 27560, event state)."""

    GIVEN = "given"
    REFUSED = "refused"


_ISO = {
    "controller": "pii_controller_name",
    "address": "pii_controller_address",
    "contact": "pii_controller_contact",
    "measured": "processing_method",
    "leaves_the_box": "collection_method",
    "pii_types": "pii_types",
    "storage_location": "storage_location",
    "regions": "processing_locations",
    "retention": "retention_period",
    "withdrawal": "withdrawal_method",
    "policy": "privacy_notice",
}
"""Notice fields that have a name of their own in the record; the others keep theirs."""

_ELSEWHERE = {"schema_version", "validity_days"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a receipt is about. `issued` and `answered` are Unix seconds; `way` is how the person answered;
    `record` and `principal` are new random ids; `sent` is what was put on its way for this session."""

    issuer: str
    receipt: str
    record: str
    principal: str
    verdict: str
    request: Request
    notice: Notice
    state: EventState
    way: ConsentWay
    answered: int
    issued: int
    outcome: Outcome
    sent: Sequence[Parcel]
    examination: Examination | None = None

    @property
    def validity_s(self) -> int:
        """Seconds that the answer counts, from `issued`."""
        return self.notice.validity_days * DAY_S


def claims(facts: Facts) -> dict[str, Any]:
    """The claims of the full form."""
    request = facts.request
    said: dict[str, Any] = {
        "iss": facts.issuer,
        "iat": facts.issued,
        "exp": facts.issued + facts.validity_s,
        "jti": facts.receipt,
        "header": {
            "schema_version": SCHEMA_VERSION,
            "record_id": facts.record,
            "pii_principal_id": facts.principal,
        },
        "processing": {
            "pii_controller_id": request.party,
            "purpose_id": request.purpose,
            "action": request.action.value,
            "level": request.level.value,
            **_told(facts.notice),
            "notice_schema": facts.notice.schema_version,
            "notice_sha256": notices.digest(facts.notice),
        },
        "event": {
            "event_time": facts.answered,
            "event_type": "explicit",
            "event_state": facts.state.value,
            "way": facts.way.value,
            "validity_duration_s": facts.validity_s,
        },
        "verdict": {"jti": facts.verdict, "outcome": facts.outcome.value},
        "sent": [
            {
                "topic": parcel.topic,
                "content_type": parcel.content_type,
                "size": len(parcel.payload),
                "sha256": parcel.sha256,
            }
            for parcel in facts.sent
        ],
        "software": {"name": "vouchbox", "version": __version__},
    }
    if (seen := facts.examination) is not None:
        said["judged_by"] = {
            "runtime": seen.runtime,
            "models": {model.role: model.sha256 for model in seen.models},
        }
    return said


def short_claims(facts: Facts) -> dict[str, Any]:
    """The claims of the short form: just what any box of the fleet needs to withdraw the consent."""
    said: dict[str, Any] = {
        "iss": facts.issuer,
        "aud": facts.request.party,
        "iat": facts.issued,
        "jti": facts.receipt,
        "v": facts.verdict,
    }
    return said if facts.state is EventState.GIVEN else said | {"st": facts.state.value}


def sign(facts: Facts, signer: Signer) -> bytes:
    """The full form, a compact JWS."""
    return signer.sign(RECEIPT_TYPE, claims(facts))


def sign_short(facts: Facts, signer: Signer) -> bytes:
    """The short form, a compact JWS of about 400 bytes."""
    return signer.sign(SHORT_RECEIPT_TYPE, short_claims(facts))


def _told(notice: Notice) -> dict[str, Any]:
    told = msgspec.structs.asdict(notice)
    return {_ISO.get(name, name): value for name, value in told.items() if name not in _ELSEWHERE}
