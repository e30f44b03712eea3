"""The only things that may cross a wall between rooms: frozen, typed, small messages.

Each message is one msgspec struct, sent as length-prefixed msgpack (see ipc.py). Decoding is strict:
unknown types, unknown fields, wrong types and values out of range are refused. A message is at most
MESSAGE_LIMIT bytes, so a frame (900 KB) can't pass even by mistake; BUDGETS caps what one session may
send through a wall in all. Numbers, names and statements go here; pixels never do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from vouchbox.errors import MessageError
from vouchbox.machine import Heat, Pace, Sign
from vouchbox.reasons import Reason

MESSAGE_LIMIT = 16 * 1024
"""Bytes of one encoded message, at most."""

VISION_SESSION_BUDGET = 128 * 1024
"""Bytes that the vision room may send in one session, at most: less than half of one grey 640x480 frame."""

EMBEDDING_BYTES = 128 * 4
"""An embedding is 128 little-endian float32 values."""

OUTLINE_POINTS = 48
"""Points of the face outline that a progress message may carry."""


class Level(StrEnum):
    """Assurance level: ACTIVE includes the challenge; a recorded clip can only reach PASSIVE."""

    PASSIVE = "passive"
    ACTIVE = "active"


class Action(StrEnum):
    """What a relying party asks for."""

    CHECK = "check"
    ENROLL = "enroll"
    MATCH = "match"


class Outcome(StrEnum):
    """How a session ended; the value is the wire form in the verdict."""

    LIVE = "live"
    MATCH = "match"
    NO_MATCH = "no-match"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    INCONCLUSIVE = "inconclusive"
    ATTACK_SUSPECTED = "attack-suspected"
    REFUSED = "refused"


class TestName(StrEnum):
    """The four independent liveness tests (presentation attack detection, ISO/IEC 30107-1)."""

    __test__ = False  # not a pytest class
    PASSIVE = "passive"
    CHALLENGE = "challenge"
    GEOMETRY = "geometry"
    CONTINUITY = "continuity"


class TestStatus(StrEnum):
    """Result of one test, in the words of EAT `measres` (RFC 9711, 4.2.16)."""

    __test__ = False
    SUCCESS = "success"
    FAIL = "fail"
    NOT_RUN = "not-run"


class Prompt(StrEnum):
    """What the person is asked to do; left and right are the person's own."""

    TURN_LEFT = "turn-left"
    TURN_RIGHT = "turn-right"
    LOOK_UP = "look-up"
    LOOK_DOWN = "look-down"
    BLINK = "blink"
    MOVE_CLOSER = "move-closer"
    MOVE_BACK = "move-back"


class ConsentWay(StrEnum):
    """How the person's answer came: at a screen, by a button, or signed by the relying party's own app."""

    PROMPT = "prompt"
    BUTTON = "button"
    TOKEN = "token"  # noqa: S105 - a way, not a secret


class SourceKind(StrEnum):
    """Where frames came from. Only SENSOR is a camera that the box itself drives."""

    SENSOR = "sensor"
    WEBCAM = "webcam"
    CLIP = "clip"
    SIMULATED = "simulated"


class Phase(StrEnum):
    """What a session is doing, for the screen."""

    REQUESTED = "requested"
    CONSENTING = "consenting"
    CAPTURING = "capturing"
    EXAMINED = "examined"
    SEALED = "sealed"
    DELIVERED = "delivered"


Session = Annotated[str, Meta(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Line = Annotated[str, Meta(max_length=512)]
Told = Annotated[str, Meta(min_length=1, max_length=512)]
ToldLines = Annotated[tuple[Told, ...], Meta(min_length=1, max_length=8)]
Score = Annotated[float, Meta(ge=0.0, le=1.0)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0, le=10_000_000)]
Milliseconds = Annotated[float, Meta(ge=0.0, le=3_600_000.0)]
Sha256Hex = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Packet = Annotated[bytes, Meta(max_length=12 * 1024)]


class Message(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=True):
    """Base of everything that crosses a wall; the tag is the class name."""


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of the values inside messages."""


# --- values --------------------------------------------------------------------------------------------
class Source(Part, frozen=True):
    """The frame source: kind, a name for people, and the format it really delivered."""

    kind: SourceKind
    name: Word
    width: Annotated[int, Meta(ge=0, le=8192)]
    height: Annotated[int, Meta(ge=0, le=8192)]
    frame_rate: Annotated[float, Meta(ge=0.0, le=1000.0)]


class TestResult(Part, frozen=True):
    """One liveness test: `score` is 0..1, higher is more bona fide, `None` when the test did not run, and a
    success from `threshold` on. `measured` is how many frames, prompts or pairs it rests on."""

    __test__ = False
    name: TestName
    status: TestStatus
    score: Score | None = None
    threshold: Score | None = None
    measured: Count = 0
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=8)] = ()


class QualityComponent(Part, frozen=True):
    """One quality component after ISO/IEC 29794-5: value 0-100, higher is better."""

    name: Word
    value: Percent
    passed: bool
    reason: Reason | None = None


class PromptRecord(Part, frozen=True):
    """When a prompt was shown and when the person's movement met it; seconds since the first frame."""

    prompt: Prompt
    shown_s: Annotated[float, Meta(ge=0.0, le=600.0)]
    met_s: Annotated[float, Meta(ge=0.0, le=600.0)] | None = None


class ModelIdentity(Part, frozen=True):
    """A model that judged: its role and the digest of its file."""

    role: Word
    sha256: Sha256Hex


class StageTime(Part, frozen=True):
    """How long a stage took in this session, in all."""

    stage: Word
    milliseconds: Milliseconds


# --- vault -> vision ------------------------------------------------------------------------------------
class Examine(Message, frozen=True):
    """Look at the person now. `prompts` is empty at level PASSIVE; before each one passes its pause (s)."""

    session: Session
    level: Level
    prompts: Annotated[tuple[Prompt, ...], Meta(max_length=5)]
    want_embedding: bool
    seconds: Annotated[float, Meta(gt=0.0, le=30.0)] = 5.0
    pauses: Annotated[tuple[Annotated[float, Meta(ge=0.0, le=2.0)], ...], Meta(max_length=5)] = ()


class CancelExamination(Message, frozen=True):
    """Stop now, wipe the frames, answer with an Examination whose outcome is CANCELLED."""

    session: Session


# --- vision -> vault ------------------------------------------------------------------------------------
class MachineState(Message, frozen=True):
    """Heat and power of the machine, as vision/sensors.py reads them, and the pace that follows.
    `temperature_c` is the hottest zone in whole degrees Celsius, None where there is none."""

    heat: Heat
    temperature_c: Annotated[int, Meta(ge=-50, le=150)] | None
    under_voltage: Sign
    frequency_capped: Sign
    throttled: Sign
    soft_limit: Sign
    pace: Pace


class VisionReady(Message, frozen=True):
    """The first message of the vision room: what it is, which models it loaded, and how its machine is."""

    version: Word
    runtime: Word
    models: Annotated[tuple[ModelIdentity, ...], Meta(max_length=8)]
    source_kind: SourceKind
    memory_locked: bool
    machine: MachineState | None = None


class Progress(Message, frozen=True):
    """What a screen may show while capturing: a prompt, how far we are, and an outline without pixels.

    `outline` holds x, y pairs in 1/1000 of the frame's width and height.
    """

    session: Session
    phase: Phase
    fraction: Score
    prompt: Prompt | None = None
    hint: Reason | None = None
    outline: Annotated[tuple[int, ...], Meta(max_length=2 * OUTLINE_POINTS)] = ()


class Examination(Message, frozen=True):
    """Everything that vision says about a clip, in numbers. The embedding is set only when it was asked
    for and the outcome is LIVE. The camera lost `dropped` frames; `skipped` were left out by choice."""

    session: Session
    level: Level
    outcome: Outcome
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=16)]
    tests: Annotated[tuple[TestResult, ...], Meta(max_length=4)]
    quality: Annotated[tuple[QualityComponent, ...], Meta(max_length=16)]
    source: Source
    frames: Count
    dropped: Count
    duration_s: Annotated[float, Meta(ge=0.0, le=600.0)]
    prompts: Annotated[tuple[PromptRecord, ...], Meta(max_length=5)]
    runtime: Word
    models: Annotated[tuple[ModelIdentity, ...], Meta(max_length=8)]
    timings: Annotated[tuple[StageTime, ...], Meta(max_length=16)]
    wiped: bool
    embedding: Annotated[bytes, Meta(max_length=EMBEDDING_BYTES)] = b""
    skipped: Count = 0


# --- uplink -> vault ------------------------------------------------------------------------------------
class LinkState(Message, frozen=True):
    """The uplink's first message and every later change: is the broker reached?"""

    connected: bool
    detail: Line = ""


class RequestArrived(Message, frozen=True):
    """A message on the request topic, untouched."""

    payload: Packet
    response_topic: Annotated[str, Meta(max_length=256)] = ""
    correlation: Annotated[bytes, Meta(max_length=256)] = b""


class AckArrived(Message, frozen=True):
    """A message on the acknowledgement topic, untouched."""

    payload: Packet


class Published(Message, frozen=True):
    """The broker took a message (PUBACK), or refused it: `reason_code` is MQTT 5's, 0..127 is success.

    It is not delivery: only the relying party's acknowledgement removes the row. Row 0 is a status document.
    `left` is false when the uplink itself refused to send it. `answered` is false when the connection was
    lost before the broker's word came, and then `reason_code` means nothing.
    """

    row: Annotated[int, Meta(ge=0)]
    reason_code: Annotated[int, Meta(ge=0, le=255)]
    topic: Annotated[str, Meta(max_length=256)]
    size: Count
    sha256: Sha256Hex
    left: bool = True
    answered: bool = True


# --- vault -> uplink ------------------------------------------------------------------------------------
class Outgoing(Message, frozen=True):
    """One row of the outbox: finished signed or sealed bytes and how to send them."""

    row: Annotated[int, Meta(ge=1)]
    topic: Annotated[str, Meta(min_length=1, max_length=256)]
    payload: Packet
    content_type: Word
    correlation: Annotated[bytes, Meta(max_length=256)] = b""
    expiry_s: Annotated[int, Meta(ge=0, le=2_592_000)] = 0
    retain: bool = False


class StatusDocument(Message, frozen=True):
    """What the retained status topic says: health and counters, no biometrics (JSON bytes)."""

    payload: Packet


# --- vault <-> kiosk (any screen, button or command line that asks the person) ------------------------------
class TemplateReaders(StrEnum):
    """Who can open a template: nobody, for none is made; the relying party; or only the boxes of the fleet,
    and the party keeps what it can't open. The value stands in the notice and in the verdict."""

    NOBODY = "nobody"
    PARTY = "party"
    FLEET = "fleet"


class Notice(Part, frozen=True):
    """What the person is told before the camera opens (fields after ISO/IEC TS 27560); none may be empty."""

    schema_version: Word
    language: Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$")]
    controller: Told
    address: Told
    contact: Told
    purpose: Told
    lawful_basis: Told
    pii_types: ToldLines
    measured: Told
    leaves_the_box: Told
    template_readers: TemplateReaders
    recipients: ToldLines
    processors: ToldLines
    storage_location: Told
    regions: ToldLines
    retention: Told
    jurisdiction: Told
    other_uses: Told
    withdrawal: Told
    alternative: Told
    policy: Annotated[str, Meta(pattern=r"^https://[!-~]+$", max_length=256)]
    validity_days: Annotated[int, Meta(ge=1, le=3650)]


class ConsentAsked(Message, frozen=True):
    """Show this notice; answer with ConsentGiven for the same session. With `given` the person has agreed in
    the party's own app: show the notice all the same, and ask nothing."""

    session: Session
    party: Word
    purpose: Word
    action: Action
    level: Level
    notice: Notice
    seconds: Annotated[int, Meta(ge=1, le=600)]
    given: bool = False


class ConsentGiven(Message, frozen=True):
    """The person's answer, at a screen or by a button. Nothing else but a token opens the camera."""

    session: Session
    accepted: bool
    way: ConsentWay = ConsentWay.PROMPT


class ConsentToken(Message, frozen=True):
    """The person's answer as the relying party's own app signed it, untouched (a compact JWS)."""

    session: Session
    token: Annotated[str, Meta(min_length=1, max_length=2048)]


class SessionCancelled(Message, frozen=True):
    """The person pressed stop."""

    session: Session


class SessionEnded(Message, frozen=True):
    """The result in plain words, for the screen."""

    session: Session
    outcome: Outcome
    reasons: Annotated[tuple[Reason, ...], Meta(max_length=16)]
    alternative: Line = ""


class ReceiptIssued(Message, frozen=True):
    """The person's receipt. `receipt` is its id; `short` the text of one QR code (ISO/IEC 18004 holds 2953
    bytes at most); `code` withdraws the consent, in words or digits, for who has no phone at hand."""

    session: Session
    receipt: Word
    short: Annotated[str, Meta(min_length=1, max_length=2048)]
    code: Annotated[str, Meta(max_length=256)] = ""


# --- counter -> vault and back (whoever brings a receipt to this box) ---------------------------------------
class CodePresented(Message, frozen=True):
    """Someone withdraws a consent: the words of the code, or the text of the receipt's QR code."""

    text: Annotated[str, Meta(min_length=1, max_length=1024)]


class WithdrawalStanding(Message, frozen=True):
    """How the withdrawal stands: Unix seconds when it was asked for and when the relying party erased (0: not
    yet), and how many templates and verdicts that were."""

    receipt: Word
    party: Word
    asked: Annotated[int, Meta(ge=0)]
    erased: Annotated[int, Meta(ge=0)] = 0
    templates: Count = 0
    verdicts: Count = 0


class CodeRejected(Message, frozen=True):
    """Nothing was withdrawn; `reason` is a stable slug."""

    reason: Word
    what: Line
    fix: Line


VisionToVault = VisionReady | MachineState | Progress | Examination
VaultToVision = Examine | CancelExamination
UplinkToVault = LinkState | RequestArrived | AckArrived | Published
VaultToUplink = Outgoing | StatusDocument
KioskToVault = ConsentGiven | ConsentToken | SessionCancelled
VaultToKiosk = ConsentAsked | Progress | SessionEnded | ReceiptIssued
CounterToVault = CodePresented
VaultToCounter = WithdrawalStanding | CodeRejected
AnyMessage = (
    VisionToVault
    | VaultToVision
    | UplinkToVault
    | VaultToUplink
    | KioskToVault
    | VaultToKiosk
    | CounterToVault
    | VaultToCounter
)

_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """Bytes of `message`; raises MessageError when they exceed MESSAGE_LIMIT."""
    data = _encoder.encode(message)
    if len(data) > MESSAGE_LIMIT:
        raise MessageError(
            f"a {type(message).__name__} of {len(data)} bytes exceeds the limit of {MESSAGE_LIMIT}",
            "report this as a defect, for no room needs such a message",
        )
    return data


def decoder(kinds: object) -> msgspec.msgpack.Decoder[Message]:
    """A strict decoder for one direction, for example decoder(VisionToVault)."""
    return msgspec.msgpack.Decoder(kinds)


def decode(data: bytes, kinds: msgspec.msgpack.Decoder[Message]) -> Message:
    """The message in `data`; raises MessageError for anything that is none. Never echoes the bytes."""
    if len(data) > MESSAGE_LIMIT:
        raise MessageError("a message exceeds the limit", f"send at most {MESSAGE_LIMIT} bytes")
    try:
        return kinds.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise MessageError(
            f"malformed message ({type(problem).__name__})", "use the message types of messages.py"
        ) from None
