"""What the person is told, from a registration's words: complete, showable and small, or no notice at all.

Pure. The fields are those of ISO/IEC TS 27560 that apply to a camera at a counter; the README lists them.
A notice that leaves one of them untold refuses to load, so the camera of that purpose can never open. A
text that could play tricks on a screen (control characters, changes of direction) is refused as well.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from vouchbox.errors import ConfigError
from vouchbox.messages import Notice

SCHEMA = "vouchbox-notice-1"
"""The `schema-version` of the fields below; another one is refused."""

NOTICE_LIMIT = 8 * 1024
"""Bytes of one notice as msgpack, at most, so that a kiosk can always be told it (messages.MESSAGE_LIMIT)."""

FIELDS = tuple(name.replace("_", "-") for name in Notice.__struct_fields__ if name != "purpose")
"""The mandatory members of `[notice]`; `purpose` comes from the table `[purposes]`."""

_TRICKS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset({"\u200c", "\u200d"})
"""Format characters that some scripts are not written without."""


def notices(table: Mapping[str, Any], purposes: Mapping[str, str], where: str) -> dict[str, Notice]:
    """One notice for each purpose; raises ConfigError that names every field that is left untold."""
    untold = [name for name in FIELDS if _is_blank(table.get(name))]
    untold += [f"purpose {name}" for name, text in purposes.items() if _is_blank(text)]
    if untold:
        raise ConfigError(
            f"{where} leaves untold in its notice: {', '.join(untold)}", "tell the person what is asked for"
        )
    told = {name.replace("-", "_"): value for name, value in table.items()}
    if "purpose" in told:
        raise ConfigError(f"{where} has a purpose in its notice", "tell each purpose in [purposes]")
    try:
        made = {name: msgspec.convert(told | {"purpose": text}, Notice) for name, text in purposes.items()}
    except msgspec.ValidationError as problem:
        raise ConfigError(f"{where} is wrong in its notice ({problem})", "correct that field") from None
    for notice in made.values():
        _check(notice, where)
    return made


def digest(notice: Notice) -> str:
    """SHA-256 (hex) of the notice as JSON: members sorted, no space, UTF-8. A consent token names it."""
    return hashlib.sha256(msgspec.json.encode(notice, order="sorted")).hexdigest()


def is_showable(text: str) -> bool:
    """Whether a screen shows `text` as it stands: nothing in it moves a cursor or turns the direction."""
    return not any(unicodedata.category(sign) in _TRICKS and sign not in _JOINERS for sign in text)


def _check(notice: Notice, where: str) -> None:
    if notice.schema_version != SCHEMA:
        raise ConfigError(f"{where} has a notice of another schema-version", f"write it after {SCHEMA}")
    for field, value in msgspec.structs.asdict(notice).items():
        lines = value if isinstance(value, tuple) else (str(value),)
        if not all(map(is_showable, lines)):
            raise ConfigError(
                f"{where} has a character in {field.replace('_', '-')} that no screen shows", "leave it out"
            )
    if len(msgspec.msgpack.encode(notice)) > NOTICE_LIMIT:
        raise ConfigError(f"{where} has a notice of more than {NOTICE_LIMIT} bytes", "shorten its texts")


def _is_blank(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list):
        return not value or any(map(_is_blank, value))
    return value is None
