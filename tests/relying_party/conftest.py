"""A box made of the vault's own pure parts, and a relying party made of its own: do they agree?"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from vouchbox.messages import (
    Action,
    ConsentWay,
    Examination,
    Level,
    Outcome,
    RequestArrived,
    Source,
    SourceKind,
    TestName,
    TestResult,
    TestStatus,
)
from vouchbox.reasons import Reason
from vouchbox.relying_party import boxes, keys, requests
from vouchbox.relying_party.intake import Intake
from vouchbox.relying_party.ledger import Ledger
from vouchbox.vault import (
    ack,
    formats,
    provision,
    registry,
    request,
    sealed,
    template,
    withdrawal,
    withdrawal_code,
)
from vouchbox.vault import keys as vault_keys
from vouchbox.vault import verdict as statements
from vouchbox.vault.clock import Span
from vouchbox.vault.receipt_book import Withdrawn

NOW = 1_800_000_000
AUDIENCE = "vouchbox:lab/one"
ROOT = "vouchbox/v1/lab/one"
PARTY = "pickup"
MODEL = b"m" * 32


def completed(text: str) -> str:
    """A registration as keygen prints it, with what the operator has to add."""
    text = text.replace("[purposes]", '[purposes]\npickup = "p"').replace(
        "retention-days = 0", "retention-days = 30"
    )
    return text.replace('= ""', '= "https://told.example"').replace("= []", '= ["told"]')


def face(seed: int, noise: float = 0.0) -> bytes:
    """An embedding; the same seed is the same person."""
    vector = np.random.default_rng(seed).normal(size=128)
    vector += noise * np.random.default_rng(seed + 1000).normal(size=128)
    return (vector / np.linalg.norm(vector)).astype("<f4").tobytes()


@dataclass(frozen=True)
class Spoken:
    """What a box sends for one request."""

    verdict: bytes
    template: bytes
    jti: str


class VaultBox:
    """A box: the vault's keys, registry and statements without its processes."""

    def __init__(self, folder: Path, alg: str = "Ed25519", audience: str = AUDIENCE) -> None:
        self.audience = audience
        document = provision.create_identity(
            folder, audience=audience, alg="ES256" if alg == "ES256" else "Ed25519"
        )
        self.document = msgspec.json.encode(document)
        self.ring = vault_keys.load(folder)
        self.registry: dict[str, registry.Party] = {}

    def register(self, text: str) -> None:
        party = registry.parse(completed(text).encode(), "registration")
        self.registry[party.id] = party

    def hear(self, payload: bytes, now: float = NOW) -> request.Judged:
        return request.judge(RequestArrived(payload), self.registry, AUDIENCE, lambda _: Span.at(now))

    def speak(
        self,
        judged: request.Judged,
        outcome: Outcome = Outcome.LIVE,
        *,
        person: int = 1,
        noise: float = 0.0,
        now: int = NOW,
        jti: str = "",
        epoch: int = 1,
        tests: dict[TestName, TestStatus] | None = None,
        clock_is_set: bool = True,
        receipt: str = "",
    ) -> Spoken:
        asked, party = judged.request, judged.party
        jti = jti or secrets.token_urlsafe(18)
        message, claim = b"", None
        if asked.action is Action.ENROLL and outcome is Outcome.LIVE:
            assert party.seal_key is not None
            turn = template.rotation(self.ring.template_secret, party.id, epoch)
            protected = template.protect(face(person, noise), MODEL, turn)
            message = sealed.message(
                protected, party.seal_key, box=self.ring.identity.ueid, jti=jti, request=asked
            )
            claim = statements.TemplateClaim(sha256(message).hexdigest(), len(message), epoch, 30)
        seen = (
            None
            if outcome in (Outcome.DECLINED, Outcome.REFUSED)
            else _examination(outcome, asked.level, tests)
        )
        statement = statements.Statement(
            issuer=AUDIENCE,
            identity=self.ring.identity,
            jti=jti,
            request=asked,
            outcome=outcome,
            reasons=(Reason.DECLINED,) if outcome is Outcome.DECLINED else (),
            circumstances=statements.Circumstances(now, 77, 3, clock_is_set),
            examination=seen,
            template=claim,
            receipt=receipt,
            consent=None if seen is None else ConsentWay.PROMPT,
        )
        return Spoken(statements.sign(statement, self.ring.signer), message, jti)

    def withdraw(
        self,
        jti: str,
        code: bytes,
        *,
        box: str = AUDIENCE,
        party: str = PARTY,
        short: bytes = b"",
        **ids: str,
    ) -> bytes:
        """The signed withdrawal of the consent behind verdict `jti`."""
        receipt = ids.get("receipt", withdrawal_code.receipt_id(code))
        name = ids.get("name", secrets.token_urlsafe(16))
        asked = Withdrawn(name, receipt, jti, party, box, NOW)
        return withdrawal.sign(asked, code, short, self.audience, self.ring.signer)

    def short(self, jti: str, code: bytes) -> bytes:
        """The signed short form of the receipt for verdict `jti`."""
        said = {"iss": self.audience, "aud": PARTY, "iat": NOW, "v": jti}
        said["jti"] = withdrawal_code.receipt_id(code)
        return self.ring.signer.sign(formats.SHORT_RECEIPT_TYPE, said)

    def erasure(self, payload: bytes) -> withdrawal.Erasure:
        return withdrawal.verify_erasure(payload, self.registry, self.audience)

    def acknowledged(self, payload: bytes) -> tuple[str, ...]:
        return ack.verify(payload, self.registry, AUDIENCE).delivered


def _examination(outcome: Outcome, level: Level, tests: dict[TestName, TestStatus] | None) -> Examination:
    default = dict.fromkeys(TestName, TestStatus.SUCCESS)
    if level is Level.PASSIVE:
        default[TestName.CHALLENGE] = TestStatus.NOT_RUN
    return Examination(
        session="s" * 16,
        level=level,
        outcome=outcome,
        reasons=(),
        tests=tuple(TestResult(name, status) for name, status in {**default, **(tests or {})}.items()),
        quality=(),
        source=Source(SourceKind.SENSOR, "camera", 640, 480, 15.0),
        frames=75,
        dropped=0,
        duration_s=5.0,
        prompts=(),
        runtime="litert",
        models=(),
        timings=(),
        wiped=True,
    )


@pytest.fixture(scope="session", params=["Ed25519", "ES256"])
def vault_box(request: Any, tmp_path_factory: pytest.TempPathFactory) -> VaultBox:
    return VaultBox(tmp_path_factory.mktemp("box"), request.param)


@dataclass
class World:
    """One box and one relying party that know each other."""

    box: VaultBox
    keys: keys.PartyKeys
    folder: Path
    ledger: Ledger

    fleet: tuple[VaultBox, ...] = ()

    @property
    def boxes(self) -> boxes.Boxes:
        known = [boxes.parse(box.document, "document") for box in (self.box, *self.fleet)]
        return {box.audience: box for box in known}

    @property
    def intake(self) -> Intake:
        return Intake(PARTY, self.keys, self.boxes, self.ledger)

    def ask(
        self,
        action: Action = Action.CHECK,
        *,
        subject: str = "customer-1",
        level: Level = Level.ACTIVE,
        template: bytes = b"",
        now: float = NOW,
    ) -> requests.Asked:
        asked = requests.ask(
            self.keys,
            PARTY,
            self.boxes[AUDIENCE],
            purpose="pickup",
            action=action,
            level=level,
            now=now,
            template=template,
        )
        self.ledger.remember(asked, subject, now)
        return asked


@pytest.fixture
def world(vault_box: VaultBox, tmp_path: Path) -> Iterator[World]:
    made = keys.generate(tmp_path / "keys")
    vault_box.register(keys.registration(made, PARTY, "Example Pickup"))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        yield World(vault_box, made, tmp_path, ledger)
