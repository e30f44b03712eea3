"""Which subject stands before the simulated camera: `[ATTACK:]PORTRAIT[?key=value&...]`, read strictly.

The words come from a command line or a configuration file, so everything unknown, doubled or out of range
is refused with one sentence. Nothing here opens a file or draws a picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from vouchbox.errors import UsageError

SEED_LIMIT = 2**32 - 1
SPEC_LIMIT = 600
"""Characters of a subject's name with its options, at most."""

FROM_FILE = "@"
"""Before the path of a picture that serves as a portrait."""

RANGES: Mapping[str, tuple[float, float]] = {
    "brightness": (0.1, 4.0),
    "gamma": (0.4, 2.5),
    "side": (-1.0, 1.0),
    "kelvin": (2500.0, 12000.0),
    "grain": (0.0, 8.0),
    "size": (0.3, 1.6),
    "reach": (0.5, 1.6),
    "bend": (0.0, 150.0),
}
"""Options that are numbers, with their least and greatest values."""

_NUMBER = re.compile(r"-?[0-9]{1,7}(\.[0-9]{1,20})?(e-?[0-9]{1,3})?")
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


class Film(StrEnum):
    """What a replayed recording shows: every movement in rounds, a person who followed a session's other
    prompts, or (an operator with a film of each movement) what the prompt asks for."""

    ROUNDS = "rounds"
    SESSION = "session"
    CUED = "cued"


class Faces(StrEnum):
    """How many people are in view."""

    NOBODY = "0"
    ONE = "1"
    TWO = "2"
    TEN = "10"


@dataclass(frozen=True)
class SubjectSpec:
    """A subject before the simulated camera.

    `portrait` is a name, or the path of a picture. `brightness` multiplies what the sensor sees, `gamma`
    bends it (above 1: darker middle tones), `side` is where the light comes from (-1 the picture's left, 1
    its right), `kelvin` the light's colour temperature (6500: what the white balance expects), `grain`
    multiplies the sensor's noise, `size` the face, `reach` how far the subject moves; `bend` (prints only)
    is the angle in degrees between the paper's edges, None what the species usually has. Raises UsageError.
    """

    portrait: PortraitName | Path
    attack: Attack = Attack.NONE
    light: Light = Light.NORMAL
    noise: Noise = Noise.NORMAL
    distance: Distance = Distance.NORMAL
    follow: Follow = Follow.YES
    faces: Faces = Faces.ONE
    film: Film = Film.ROUNDS
    brightness: float = 1.0
    gamma: float = 1.0
    side: float = 0.0
    kelvin: float = 6500.0
    grain: float = 1.0
    size: float = 1.0
    reach: float = 1.0
    bend: float | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= SEED_LIMIT:
            raise UsageError(f"the subject's seed {self.seed} is out of range", f"use 0 to {SEED_LIMIT}")
        if self.attack is not Attack.NONE and self.faces is not Faces.ONE:
            raise UsageError("an attack is shown by one subject", "leave out faces, or leave out the attack")
        if self.bend is not None and self.attack not in (Attack.PRINT, Attack.BENT_PRINT):
            raise UsageError("only a print can be bent", "leave out bend, or show a print")
        if self.film is not Film.ROUNDS and self.attack not in (Attack.REPLAY_PHONE, Attack.REPLAY_MONITOR):
            raise UsageError("only a replay shows a film", "leave out film, or show a replay")
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(
                    f"the subject's {name} {value} is out of range", f"use {least:g} to {most:g}"
                )

    @property
    def face(self) -> str:
        """The portrait's name; one from a file is called `picture`, for its path is nobody's business."""
        return self.portrait.value if isinstance(self.portrait, PortraitName) else "picture"

    def __str__(self) -> str:
        shown = f"{FROM_FILE}{self.portrait}" if isinstance(self.portrait, Path) else self.portrait
        name = shown if self.attack is Attack.NONE else f"{self.attack}:{shown}"
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
    before, colon, after = ("", "", name) if name.startswith(FROM_FILE) else name.partition(":")
    portrait = _portrait(after if colon or not before else before)
    attack = _choice(Attack, "attack", before) if colon else Attack.NONE
    given: dict[str, Any] = {}
    for pair in options.split("&") if mark else ():
        key, equals, value = pair.partition("=")
        if not equals or key in given:
            problem = "is given twice" if equals else "has no value"
            raise UsageError(f"the subject's option {key!r} {problem}", "write ?key=value&key=value")
        if key not in _OPTIONS:
            raise UsageError(f"a subject has no option {key!r}", f"use one of {', '.join(_OPTIONS)}")
        given[key] = _OPTIONS[key](value)
    return SubjectSpec(portrait, attack, **given)


def _portrait(word: str) -> PortraitName | Path:
    if not word.startswith(FROM_FILE):
        return _choice(PortraitName, "portrait", word)
    path = word.removeprefix(FROM_FILE)
    if not path or "\0" in path:
        raise UsageError("the portrait's file has no name", f"write {FROM_FILE}FILE")
    return Path(path)


def _choice(kind: type[_Words], what: str, word: str) -> _Words:
    try:
        return kind(word)
    except ValueError:
        known = ", ".join(member.value for member in kind)
        hint = f"use one of {known}" + (f", or {FROM_FILE}FILE" if what == "portrait" else "")
        raise UsageError(f"no {what} is called {word!r}", hint) from None


def _seed(word: str) -> int:
    if not (word.isascii() and word.isdigit() and len(word) <= 10):
        raise UsageError(f"the subject's seed {word!r} is no number", f"use 0 to {SEED_LIMIT}")
    return int(word)


def _number(name: str, word: str) -> float:
    if not _NUMBER.fullmatch(word):
        least, most = RANGES[name]
        raise UsageError(f"the subject's {name} {word!r} is no number", f"use {least:g} to {most:g}")
    return float(word)


def _chosen(kind: type[StrEnum], name: str) -> Callable[[str], Any]:
    return lambda word: _choice(kind, name, word)


def _measured(name: str) -> Callable[[str], Any]:
    return lambda word: _number(name, word)


_KINDS: Mapping[str, type[StrEnum]] = {
    "light": Light,
    "noise": Noise,
    "distance": Distance,
    "follow": Follow,
    "faces": Faces,
    "film": Film,
}
_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    **{name: _chosen(kind, name) for name, kind in _KINDS.items()},
    **{name: _measured(name) for name in RANGES},
    "seed": _seed,
}
