"""The statement that leaves the box: an Entity Attestation Token (RFC 9711) as a signed JWT.

Pure: what is known in, claims and token out. It states what was checked while the session ran and nothing
else. It carries no embedding, no score of a test and nothing about who the person is. The README lists
every claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vouchbox import __version__
from vouchbox.messages import ConsentWay, Examination, Outcome, TemplateReaders, TestName, TestStatus
from vouchbox.reasons import Reason
from vouchbox.vault.formats import PRIVATE_CLAIM, PROFILE, VERDICT_TYPE
from vouchbox.vault.keys import Identity, Signer
from vouchbox.vault.request import Request

LIFETIME_S = 7 * 86_400
"""Seconds from `iat` to `exp`: long enough for a relying party that is down over a weekend. Freshness is the
nonce's task, not this one's."""

VERDICT_LIMIT = 6 * 1024
"""Bytes of a verdict, at most, so that a session stays within 8 KiB."""

SOFTWARE = "vouchbox"
MEASUREMENT = "vouchbox-liveness"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The moment: Unix time, seconds since boot, how often the box booted, whether the clock is set."""

    now: int
    uptime: int
    boots: int
    synchronised: bool


@dataclass(frozen=True, slots=True)
class TemplateClaim:
    """Binds the template message: SHA-256 (hex) and size of its payload, epoch, days it is kept, and who can
    open it (messages.TemplateReaders)."""

    sha256: str
    size: int
    epoch: int
    retention_days: int
    readers: TemplateReaders = TemplateReaders.PARTY


@dataclass(frozen=True, slots=True)
class Statement:
    """Everything a verdict says. `examination` is None when the camera was never opened; `consent` is how the
    person agreed, None when nobody did; `fmr` is the false match rate behind a match or no-match;
    `alternative` is what the notice offers who declines; `receipt` is the id of the person's receipt."""

    issuer: str
    identity: Identity
    jti: str
    request: Request
    outcome: Outcome
    reasons: tuple[Reason, ...]
    circumstances: Circumstances
    examination: Examination | None = None
    template: TemplateClaim | None = None
    fmr: float | None = None
    alternative: str = ""
    consent: ConsentWay | None = None
    receipt: str = ""


def claims(statement: Statement) -> dict[str, Any]:
    """The claims of the verdict, RFC 9711 first, then one private claim."""
    moment = statement.circumstances
    identity = statement.identity
    hardware: dict[str, Any] = {}
    if identity.oemid:
        hardware["oemid"] = identity.oemid
        if identity.hwmodel:
            hardware["hwmodel"] = identity.hwmodel
    return {
        "iss": statement.issuer,
        "aud": statement.request.party,
        "iat": moment.now,
        "exp": moment.now + LIFETIME_S,
        "jti": statement.jti,
        "eat_nonce": statement.request.nonce,
        "eat_profile": PROFILE,
        "ueid": identity.ueid,
        **hardware,
        "swname": SOFTWARE,
        "swversion": [__version__],
        # A general Linux machine can't prove that its debug ports are off, so the honest value is this one.
        "dbgstat": "enabled",
        "bootcount": moment.boots,
        "uptime": moment.uptime,
        "measres": [[MEASUREMENT, [[name.value, _status(name, statement)] for name in TestName]]],
        PRIVATE_CLAIM: _private(statement),
    }


def sign(statement: Statement, signer: Signer) -> bytes:
    """The verdict as a compact JWS with `typ` eat+jwt."""
    return signer.sign(VERDICT_TYPE, claims(statement))


def _status(name: TestName, statement: Statement) -> str:
    tests = statement.examination.tests if statement.examination else ()
    statuses = {test.status for test in tests if test.name is name}
    if TestStatus.FAIL in statuses:
        return TestStatus.FAIL
    return TestStatus.SUCCESS if statuses == {TestStatus.SUCCESS} else TestStatus.NOT_RUN


def _private(statement: Statement) -> dict[str, Any]:
    request, examination = statement.request, statement.examination
    said: dict[str, Any] = {
        "outcome": statement.outcome.value,
        "reasons": [reason.value for reason in statement.reasons],
        "request": request.jti,
        "purpose": request.purpose,
        "action": request.action.value,
        "level": request.level.value,
        "clock": "synchronised" if statement.circumstances.synchronised else "unsynchronised",
    }
    if statement.alternative:
        said["alternative"] = statement.alternative
    if statement.consent is not None:
        said["consent"] = statement.consent.value
    if statement.receipt:
        said["receipt"] = statement.receipt
    if examination is not None:
        said |= _seen(examination)
    if (template := statement.template) is not None:
        said["template"] = {
            "sha256": template.sha256,
            "size": template.size,
            "epoch": template.epoch,
            "retention_days": template.retention_days,
            "readers": template.readers.value,
        }
    if statement.fmr is not None:
        said["match"] = {"fmr": statement.fmr}
    return said


def _seen(examination: Examination) -> dict[str, Any]:
    source = examination.source
    return {
        "source": {"kind": source.kind.value, "width": source.width, "height": source.height},
        "frames": examination.frames,
        "dropped": examination.dropped,
        "skipped": examination.skipped,
        "duration_ms": round(examination.duration_s * 1000),
        "quality": {component.name: component.value for component in examination.quality},
        "runtime": examination.runtime,
        "models": {model.role: model.sha256 for model in examination.models},
        "wiped": examination.wiped,
    }
