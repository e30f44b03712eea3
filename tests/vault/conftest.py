"""A relying party, a box and its rooms, played by the tests."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from joserfc import jwk, jws

from vouchbox import config, ipc
from vouchbox.errors import RoomGone
from vouchbox.messages import (
    Examination,
    Level,
    LinkState,
    Message,
    ModelIdentity,
    Outcome,
    Prompt,
    PromptRecord,
    QualityComponent,
    RequestArrived,
    Source,
    SourceKind,
    TestName,
    TestResult,
    TestStatus,
    VaultToCounter,
    VaultToKiosk,
    VaultToUplink,
    VaultToVision,
    VisionReady,
    decoder,
)
from vouchbox.simulator.tokens import SimulatedToken
from vouchbox.vault import formats, keys, notice, provision, registry, sealing
from vouchbox.vault.daemon import Vault
from vouchbox.vault.doors import Knock
from vouchbox.vault.notice import FIELDS, SCHEMA

AUDIENCE = "vouchbox:shop/door"
HEARS = {
    "vision": VaultToVision,
    "uplink": VaultToUplink,
    "kiosk": VaultToKiosk,
    "counter": VaultToCounter,
}
EMBEDDING_MODEL = "ab" * 32
NOW = 1_800_000_000


@dataclass
class TestClock:
    """A clock that moves only when told."""

    __test__ = False
    now: float = NOW
    steadily: float = 1000.0
    boot_id: str = "boot-1"
    set: bool = True

    def wall(self) -> float:
        return self.now

    def steady(self) -> float:
        return self.steadily

    def uptime(self) -> int:
        return 4711 + int(self.steadily) - 1000

    def boot(self) -> str:
        return self.boot_id

    def synchronised(self) -> bool:
        return self.set

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.steadily += seconds


def make_key(alg: str) -> jwk.OKPKey | jwk.ECKey:
    return jwk.OKPKey.generate_key("Ed25519") if alg == "Ed25519" else jwk.ECKey.generate_key("P-256")


@dataclass
class Party:
    """A relying party: its keys, its registration, and everything it can sign."""

    id: str = "pickup"
    alg: str = "Ed25519"
    kid: str = "k1"
    key: jwk.OKPKey | jwk.ECKey = field(default_factory=lambda: make_key("Ed25519"))
    seal_seed: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    extra: str = ""
    readers: str = "party"
    tables: str = ""
    consent_key: jwk.OKPKey = field(default_factory=lambda: jwk.OKPKey.generate_key("Ed25519"))

    @classmethod
    def with_app(cls) -> Party:
        """A party that is registered to send consent tokens, too."""
        party = cls(extra='consent = ["prompt", "token"]')
        public = party.consent_key.as_dict(private=False)
        party.tables = f"""[[consent-keys]]
kty = "OKP"
crv = "Ed25519"
x = "{public["x"]}"
alg = "Ed25519"
kid = "app"
"""
        return party

    def consent(self, claims: dict[str, Any], *, key: Any = None, header: Any = None, **changes: Any) -> str:
        """The app's token that answers the request with these claims, changed as told."""
        said = {name: claims[name] for name in ("iss", "aud", "iat", "exp", "nonce", "purpose", "action")}
        said |= {"jti": secrets.token_urlsafe(16), "accepted": True}
        said["notice"] = notice.digest(self.parsed().notices[claims["purpose"]])
        said = {name: value for name, value in (said | changes).items() if value is not None}
        head = {"alg": "Ed25519", "typ": formats.CONSENT_TYPE, "kid": "app"} | (header or {})
        signer = key or self.consent_key
        return jws.serialize_compact(head, json.dumps(said), signer, algorithms=["Ed25519"])

    def toml(self, **told: Any) -> str:
        public = self.key.as_dict(private=False)
        said: dict[str, Any] = {name: f"text of {name}" for name in FIELDS}
        said |= {name: [f"text of {name}"] for name in ("pii-types", "recipients", "processors", "regions")}
        said |= {"schema-version": SCHEMA, "language": "en", "policy": "https://shop.example/policy"}
        said |= {"validity-days": 30, "template-readers": self.readers}
        said |= told
        y = f'y = "{public["y"]}"' if "y" in public else ""
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in said.items())
        return f"""
id = "{self.id}"
name = "Shop {self.id}"
actions = ["check", "enroll", "match"]
minimum-level = "passive"
retention-days = 30
seal-key = "{formats.to_base64url(sealing.key_pair(self.seal_seed)[1])}"
{self.extra}
[[keys]]
kty = "{public["kty"]}"
crv = "{public["crv"]}"
x = "{public["x"]}"
{y}
alg = "{self.alg}"
kid = "{self.kid}"
{self.tables}
[purposes]
pickup = "text of pickup"
age-check = "text of age-check"
[notice]
{lines}
"""

    def parsed(self) -> registry.Party:
        return registry.parse(self.toml().encode(), "test")

    def claims(self, **changes: Any) -> dict[str, Any]:
        said = {
            "iss": self.id,
            "aud": AUDIENCE,
            "iat": NOW,
            "exp": NOW + 300,
            "jti": secrets.token_urlsafe(16),
            "nonce": secrets.token_urlsafe(16),
            "purpose": "pickup",
            "action": "check",
            "level": "active",
        }
        said |= changes
        return {name: value for name, value in said.items() if value is not None}

    def sign(self, claims: dict[str, Any], typ: str = formats.REQUEST_TYPE, **header: Any) -> bytes:
        head = {"alg": self.alg, "typ": typ, "kid": self.kid, **header}
        return jws.serialize_compact(head, json.dumps(claims), self.key, algorithms=[self.alg]).encode()

    def request(self, **changes: Any) -> bytes:
        return self.sign(self.claims(**changes))

    def ack(self, *digests: str) -> bytes:
        claims = {"iss": self.id, "aud": AUDIENCE, "iat": NOW, "delivered": list(digests)}
        return self.sign(claims, formats.ACK_TYPE)

    def erasure(self, withdrawal: dict[str, Any], **changes: Any) -> bytes:
        """The erasure receipt that answers the claims of a withdrawal, changed as told."""
        said: dict[str, Any] = {
            "iss": self.id,
            "aud": list(dict.fromkeys((withdrawal["iss"], withdrawal["box"]))),
            "iat": NOW + 60,
            "withdrawal": withdrawal["jti"],
            "verdict": withdrawal["verdict"],
            "receipt": withdrawal["receipt"],
            "erased": {"templates": 1, "verdicts": 1},
        }
        return self.sign(said | changes, formats.ERASURE_TYPE)

    def unseal(self, payload: bytes) -> bytes:
        said = msgspec.msgpack.decode(payload)
        context = formats.template_context(said["box"], said["party"], said["jti"], said["purpose"])
        return sealing.unseal(said["sealed"], sealing.key_pair(self.seal_seed)[0], context)

    def reference(self, plain: bytes, public: dict[str, Any], claims: dict[str, Any]) -> str:
        box = sealing.public_key(formats.from_base64url(public["seal"]["public"]))
        context = formats.reference_context(public["ueid"], self.id, claims["jti"], claims["nonce"])
        return formats.to_base64url(sealing.seal(plain, box, context))


def face(seed: int, noise: float = 0.0) -> bytes:
    """An embedding of unit length; equal seeds are the same person."""
    vector = np.random.default_rng(seed).normal(size=128)
    vector /= np.linalg.norm(vector)
    vector += noise * np.random.default_rng(seed + 99).normal(size=128) / 128**0.5
    return (vector / np.linalg.norm(vector)).astype("<f4").tobytes()


def examined(
    session: str,
    prompts: tuple[Prompt, ...] = (),
    *,
    level: Level = Level.ACTIVE,
    outcome: Outcome = Outcome.LIVE,
    embedding: bytes = b"",
    kind: SourceKind = SourceKind.SENSOR,
    **changes: Any,
) -> Examination:
    """What an honest vision room says of a live person, changed as told."""
    statuses = dict.fromkeys(TestName, TestStatus.SUCCESS)
    if level is Level.PASSIVE:
        statuses[TestName.CHALLENGE] = TestStatus.NOT_RUN
    said: dict[str, Any] = {
        "session": session,
        "level": level,
        "outcome": outcome,
        "reasons": (),
        "tests": tuple(TestResult(name, status) for name, status in statuses.items()),
        "quality": (QualityComponent("Sharpness", 80, True),),
        "source": Source(kind, "camera", 640, 480, 15.0),
        "frames": 75,
        "dropped": 0,
        "duration_s": 5.0,
        "prompts": tuple(PromptRecord(p, float(i), i + 0.5) for i, p in enumerate(prompts)),
        "runtime": "litert 2",
        "models": (ModelIdentity("embedding", EMBEDDING_MODEL),),
        "timings": (),
        "wiped": True,
        "embedding": embedding,
    }
    return Examination(**(said | changes))


@pytest.fixture
def party() -> Party:
    return Party()


@pytest.fixture
def app_party() -> Party:
    """A party whose own app may bring the person's consent."""
    return Party.with_app()


@pytest.fixture
def parties() -> Callable[..., Party]:
    return Party


@pytest.fixture
def exam() -> Callable[..., Examination]:
    return examined


@pytest.fixture
def embedding() -> Callable[..., bytes]:
    return face


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def ring(tmp_path: Path) -> keys.KeyRing:
    provision.create_identity(tmp_path / "keys", audience=AUDIENCE)
    return keys.load(tmp_path / "keys")


class World:
    """A running vault, stepped by the test, and the three rooms at its doors."""

    def __init__(
        self,
        folder: Path,
        clock: TestClock,
        *parties: Party,
        device: str = "door",
        fleet: Path | None = None,
        token: SimulatedToken | None = None,
    ) -> None:
        self.clock = clock
        keys_folder, party_folder, models = folder / "keys", folder / "parties", folder / "models"
        if token is not None:
            keys_folder.mkdir(mode=0o700)
            (keys_folder / keys.PIN_FILE).touch(0o600)
            (keys_folder / keys.PIN_FILE).write_text(token.pin)
        in_token = token.config if token else None
        self.public = provision.create_identity(
            keys_folder, audience=f"vouchbox:shop/{device}", token=in_token
        )
        if token is not None:
            token.flush()
        party_folder.mkdir()
        models.mkdir()
        for party in parties:
            (party_folder / f"{party.id}.toml").write_text(party.toml())
        (models / "manifest.toml").write_text(
            f'[[model]]\nrole = "embedding"\nsha256 = "{EMBEDDING_MODEL}"\nthresholds = {{ "1e-4" = 0.6 }}\n'
        )
        self.config = config.Config(
            box=config.Box("shop", device, run=folder / "run", state=folder / "state"),
            vision=config.Vision(models=models),
            vault=config.Vault(keys=keys_folder, parties=party_folder, fleet=fleet, token=in_token),
        )
        self.rooms: dict[str, ipc.Channel] = {}
        self._start()
        self.heard: dict[str, list[Message]] = {room: [] for room in HEARS}

    def _start(self) -> None:
        self.vault = Vault(self.config, self.clock)
        self.expected: Counter[str] = Counter()
        self.taken: Counter[str] = Counter()
        take = self.vault._doors.take

        def counted(timeout_s: float) -> Knock | None:
            knock = take(timeout_s)
            if knock is not None:
                self.taken[f"{type(knock).__name__} {knock.room}"] += 1
            return knock

        self.vault._doors.take = counted  # type: ignore[method-assign]

    def join(self, *rooms: str, kind: SourceKind = SourceKind.SENSOR) -> None:
        for room in rooms:
            channel = ipc.connect(self.config.socket(room), decoder(HEARS[room]), peer="vault")  # type: ignore[arg-type]
            self.rooms[room] = channel
            self.expected[f"Joined {room}"] += 1
            if room == "vision":
                models = (ModelIdentity("embedding", EMBEDDING_MODEL),)
                self.send(room, VisionReady("0.1.0", "litert 2", models, kind, True))
        self.settle()

    def settle(self, until: Callable[[], bool] | None = None) -> None:
        """Step until the vault took all that was sent, all is quiet and `until` holds; collect what the
        rooms heard."""
        quiet, patience = 0, time.monotonic() + 60.0
        while quiet < 2 or self.expected - self.taken or (until is not None and not until()):
            assert time.monotonic() < patience, "the vault never got there"
            before = sum(map(len, self.heard.values()))
            self.vault.step(0.01)
            for room, channel in list(self.rooms.items()):
                try:
                    while (message := channel.receive(0.001)) is not None:
                        self.heard[room].append(message)
                except RoomGone:
                    self.rooms.pop(room).close()
            quiet = quiet + 1 if before == sum(map(len, self.heard.values())) else 0

    def send(self, room: str, message: Message) -> None:
        self.rooms[room].send(message)
        self.expected[f"Said {room}"] += 1

    def say(self, room: str, message: Message) -> None:
        self.send(room, message)
        self.settle()

    def ask(self, payload: bytes, **properties: Any) -> None:
        self.say("uplink", RequestArrived(payload, **properties))

    def of(self, room: str, kind: type[Message]) -> list[Any]:
        """Everything of that kind which the room heard, oldest first."""
        return [message for message in self.heard[room] if isinstance(message, kind)]

    def connect(self) -> None:
        """All rooms at their doors, the broker reached."""
        self.join("vision", "kiosk", "uplink")
        self.say("uplink", LinkState(connected=True))

    def leave(self, room: str) -> None:
        self.rooms.pop(room).close()
        self.expected[f"Left {room}"] += 1
        self.settle()

    def restart(self) -> None:
        """As after kill -9: what was in memory is gone, what was committed is there."""
        self.close()
        self.heard = {room: [] for room in HEARS}
        self._start()

    def close(self) -> None:
        for channel in self.rooms.values():
            channel.close()
        self.rooms.clear()
        self.vault.close()


@pytest.fixture
def make_world(tmp_path: Path, clock: TestClock) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(*parties: Party, folder: Path = tmp_path, **more: Any) -> World:
        folder.mkdir(exist_ok=True)
        worlds.append(World(folder, clock, *parties, **more))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World], party: Party) -> World:
    """A vault with one party and all rooms at its doors, the broker reached."""
    made = make_world(party)
    made.connect()
    return made
