"""Is this verdict true, for us, and fresh? Everything else about a verdict is for the customer to decide.

Pure: a token, known boxes and the time in, a frozen Verdict out, or VerdictInvalid with the first reason
found. A verdict is Evidence in the sense of RFC 9334: signed statements of a box; tokens.py checks signature
and issuer, this module the audience, the lifetime, the profile, the shape of every claim and the nonce.
Whether its `jti` was seen before is the ledger's question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from vouchbox.errors import VerdictInvalid
from vouchbox.messages import Action, ConsentWay, Level, Outcome, SourceKind, TestName, TestStatus
from vouchbox.reasons import Reason
from vouchbox.relying_party.boxes import Boxes
from vouchbox.relying_party.formats import IDENTIFIER, MEASUREMENT, NAME, NONCE, PROFILE, VERDICT_TYPE
from vouchbox.relying_party.tokens import authentic, unverified

VERDICT_LIMIT = 8 * 1024
"""Bytes of a verdict, at most."""
CLOCK_SKEW_S = 60
"""Two clocks may differ by this much."""

REQUIRED: Mapping[Level, frozenset[TestName]] = {
    Level.PASSIVE: frozenset({TestName.PASSIVE, TestName.CONTINUITY}),
    Level.ACTIVE: frozenset(TestName),
}
"""Tests without which no verdict is favourable. The box holds the same table; a test compares them."""

_Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
_Count = Annotated[int, Meta(ge=0, le=2**40)]


class Source(Struct, frozen=True):
    """Where the frames came from. Only `sensor` is a camera that the box itself drives."""

    kind: SourceKind
    width: Annotated[int, Meta(ge=0, le=65_535)]
    height: Annotated[int, Meta(ge=0, le=65_535)]


class TemplateClaim(Struct, frozen=True):
    """Binds the template message: digest and size of its payload, epoch, days it may be kept, its readers."""

    sha256: _Sha256
    size: _Count
    epoch: Annotated[int, Meta(ge=1)]
    retention_days: _Count
    readers: Literal["party", "fleet"] = "party"


class MatchClaim(Struct, frozen=True):
    """`fmr` is the false match rate of the threshold."""

    fmr: Annotated[float, Meta(gt=0.0, le=1.0)]


class Said(Struct, frozen=True):
    """The private claim. What belongs to a camera is absent when it was never opened.
    `consent` is how the person agreed, None when nobody did."""

    outcome: Outcome
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=32)]
    request: Annotated[str, Meta(pattern=IDENTIFIER)]
    purpose: Annotated[str, Meta(pattern=NAME)]
    action: Action
    level: Level
    clock: Literal["synchronised", "unsynchronised"]
    alternative: Annotated[str, Meta(max_length=512)] = ""
    consent: ConsentWay | None = None
    source: Source | None = None
    frames: _Count = 0
    dropped: _Count = 0
    skipped: _Count = 0
    duration_ms: _Count = 0
    quality: dict[str, Annotated[int, Meta(ge=0, le=100)]] = {}
    runtime: Annotated[str, Meta(max_length=64)] = ""
    models: dict[str, _Sha256] = {}
    wiped: bool = False
    template: TemplateClaim | None = None
    match: MatchClaim | None = None
    receipt: Annotated[str, Meta(max_length=64)] = ""


class _Claims(Struct, frozen=True):
    iss: str
    aud: str
    iat: _Count
    exp: _Count
    jti: Annotated[str, Meta(pattern=IDENTIFIER)]
    eat_nonce: Annotated[str, Meta(pattern=NONCE)]
    eat_profile: str
    ueid: Annotated[str, Meta(max_length=64)]
    measres: Annotated[
        tuple[tuple[str, tuple[tuple[TestName, TestStatus], ...]], ...], Meta(min_length=1, max_length=4)
    ]
    said: Said = msgspec.field(name="vouchbox")
    swversion: tuple[str, ...] = ()


class Verdict(Struct, frozen=True):
    """A verdict that verified. `tests` has the result of each liveness test; `said` the rest."""

    box: str
    party: str
    issued: int
    expires: int
    jti: str
    nonce: str
    ueid: str
    tests: dict[TestName, TestStatus]
    said: Said

    @property
    def outcome(self) -> Outcome:
        """How the session ended."""
        return self.said.outcome


def verify(
    token: bytes,
    boxes: Boxes,
    audience: str,
    now: float,
    *,
    nonce: str | None = None,
    nonce_is_checked: bool = False,
) -> Verdict:
    """The verdict in `token`, made by one of `boxes` for the party `audience`; Unix time `now`.

    With `nonce` it must answer the request that carried it. A box whose clock was not set says so, and then
    its times mean nothing: only the nonce tells that the verdict is fresh. Without `nonce` such a verdict is
    refused, unless the caller compares the nonce with its own requests (`nonce_is_checked`). Raises
    VerdictInvalid.
    """
    if len(token) > VERDICT_LIMIT:
        raise VerdictInvalid("the verdict is too large", f"none has more than {VERDICT_LIMIT} bytes")
    box, claims = authentic(token, VERDICT_TYPE, boxes, _Claims, now)
    if claims.aud != audience:
        raise VerdictInvalid("the verdict is for another relying party", "check the audience")
    if claims.eat_profile != PROFILE:
        raise VerdictInvalid("the verdict follows another profile", "update vouchbox")
    if claims.said.clock == "synchronised":
        if claims.iat > now + CLOCK_SKEW_S:
            raise VerdictInvalid("the verdict comes from the future", "check the clocks of box and server")
        if claims.exp <= now - CLOCK_SKEW_S:
            raise VerdictInvalid("the verdict has expired", "ask the box again")
    elif nonce is None and not nonce_is_checked:
        raise VerdictInvalid(
            "the box's clock was not set, so its age is unknown", "give the nonce that was sent"
        )
    if claims.ueid != box.ueid:
        raise VerdictInvalid("the verdict names another device", "get box.jwks.json from the box again")
    if nonce is not None and claims.eat_nonce != nonce:
        raise VerdictInvalid("the verdict answers another request", "match it to the nonce that was sent")
    tests = dict(result for name, results in claims.measres if name == MEASUREMENT for result in results)
    _consistent(claims.said, tests)
    return Verdict(
        box=box.audience,
        party=claims.aud,
        issued=claims.iat,
        expires=claims.exp,
        jti=claims.jti,
        nonce=claims.eat_nonce,
        ueid=claims.ueid,
        tests=tests,
        said=claims.said,
    )


def issued_at(token: bytes) -> int:
    """`iat` of a token, unverified: only to ask verify() whether it was true then. Raises VerdictInvalid."""
    return unverified(token, _Moment).iat


def receipt_of(token: bytes) -> tuple[str, str]:
    """Box and receipt id that a verdict names, unverified: only for one that was verified when it came."""
    said = unverified(token, _Claims)
    return said.iss, said.said.receipt


class _Moment(Struct, frozen=True):
    iat: _Count


def _consistent(said: Said, tests: dict[TestName, TestStatus]) -> None:
    # A box that contradicts itself is not believed: no positive outcome over a failed or missing test.
    if set(tests) != set(TestName):
        raise VerdictInvalid("the verdict does not name every liveness test", "update vouchbox")
    positive = said.outcome in (Outcome.LIVE, Outcome.MATCH, Outcome.NO_MATCH)
    if positive and TestStatus.FAIL in tests.values():
        raise VerdictInvalid("the verdict contradicts its own tests", "report this as a defect")
    for name in TestName:
        if positive and name in REQUIRED[said.level] and tests[name] is not TestStatus.SUCCESS:
            raise VerdictInvalid(
                f"the verdict claims a {name} test that did not succeed", "report this as a defect"
            )
    if positive and said.source is None:
        raise VerdictInvalid("the verdict claims a person without a camera", "report this as a defect")
    if positive and said.source and said.source.kind is SourceKind.CLIP and said.level is Level.ACTIVE:
        raise VerdictInvalid("the verdict claims that a clip followed prompts", "report this as a defect")
    if said.source is not None and said.consent is None:
        raise VerdictInvalid("the verdict claims a camera without a consent", "report this as a defect")
