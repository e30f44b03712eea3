"""Which subject stands before the simulated camera: `[ATTACK:]PORTRAIT[?key=value&...]`, read strictly.

The words come from a command line or a configuration file, so everything unknown, doubled or out of range
is refused with one sentence. Nothing here opens a file or draws a picture.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TypeVar

from vouchbox.errors import UsageError

SEED_LIMIT = 2**32 - 1
SPEC_LIMIT = 200
"""Characters of a subject's name with its options, at most."""


_Words = TypeVar("_Words", bound=StrEnum)


class Attack(StrEnum):
    """What is held before the camera; the values double as PAI species (ISO/IEC 30107-1)."""

    NONE = "live"
    PRINT = "print"
    BENT_PRINT = "bent-print"
    REPLAY_PHONE = "replay-phone"
    REPLAY_MONITOR = "replay-monitor"
    MASK = "mask"


class PortraitName(StrEnum):
    """The two public-domain portraits that travel in installed packages."""

    COLLINS = "collins"
    HOPPER = "hopper"


class Light(StrEnum):
    """The light in the room."""

    NORMAL = "normal"
    DARK = "dark"
    BRIGHT = "bright"
    SIDE = "side"


class Noise(StrEnum):
    """How much the sensor adds of its own."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Distance(StrEnum):
    """How far away the subject stands."""

    NORMAL = "normal"
    FAR = "far"
    NEAR = "near"


class Follow(StrEnum):
    """What the subject does about prompts: follow them, ignore them, come too late, do another thing."""

    YES = "yes"
    NO = "no"
    LATE = "late"
    WRONG = "wrong"


class Faces(StrEnum):
    """How many people are in view."""

    NOBODY = "0"
    ONE = "1"
    TWO = "2"
    TEN = "10"


@dataclass(frozen=True, slots=True)
class SubjectSpec:
    """One subject; str() gives the words that parse() reads."""

    portrait: PortraitName
    attack: Attack = Attack.NONE
    light: Light = Light.NORMAL
    noise: Noise = Noise.NORMAL
    distance: Distance = Distance.NORMAL
    follow: Follow = Follow.YES
    faces: Faces = Faces.ONE
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= SEED_LIMIT:
            raise UsageError(f"the subject's seed {self.seed} is out of range", f"use 0 to {SEED_LIMIT}")
        if self.attack is not Attack.NONE and self.faces is not Faces.ONE:
            raise UsageError("an attack is shown by one subject", "leave out faces, or leave out the attack")

    def __str__(self) -> str:
        name = self.portrait if self.attack is Attack.NONE else f"{self.attack}:{self.portrait}"
        said = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if field.name not in ("portrait", "attack") and getattr(self, field.name) != field.default
        ]
        return f"{name}?{'&'.join(said)}" if said else str(name)


def parse(words: str) -> SubjectSpec:
    """Read a subject's name with its options; raises UsageError with what would have been right."""
    if len(words) > SPEC_LIMIT:
        raise UsageError("the subject's name is too long", f"use at most {SPEC_LIMIT} characters")
    name, mark, options = words.partition("?")
    before, colon, after = name.partition(":")
    portrait = _choice(PortraitName, "portrait", after if colon else before)
    attack = _choice(Attack, "attack", before) if colon else Attack.NONE
    given: dict[str, str] = {}
    for pair in options.split("&") if mark else ():
        key, equals, value = pair.partition("=")
        if not equals or key in given:
            problem = "is given twice" if equals else "has no value"
            raise UsageError(f"the subject's option {key!r} {problem}", "write ?key=value&key=value")
        given[key] = value
    known = ("light", "noise", "distance", "follow", "faces", "seed")
    for key in given:
        if key not in known:
            raise UsageError(f"a subject has no option {key!r}", f"use one of {', '.join(known)}")
    return SubjectSpec(
        portrait,
        attack,
        _choice(Light, "light", given.get("light", Light.NORMAL)),
        _choice(Noise, "noise", given.get("noise", Noise.NORMAL)),
        _choice(Distance, "distance", given.get("distance", Distance.NORMAL)),
        _choice(Follow, "follow", given.get("follow", Follow.YES)),
        _choice(Faces, "faces", given.get("faces", Faces.ONE)),
        _seed(given.get("seed", "1")),
    )


def _choice(kind: type[_Words], what: str, word: str) -> _Words:
    try:
        return kind(word)
    except ValueError:
        known = ", ".join(member.value for member in kind)
        raise UsageError(f"no {what} is called {word!r}", f"use one of {known}") from None


def _seed(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 10):
        raise UsageError(f"the subject's seed {word!r} is no number", f"use 0 to {SEED_LIMIT}")
    return int(word)
