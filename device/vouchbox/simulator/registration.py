"""The simulated relying party's registration: a complete notice, as a real one must be.

Pure text. It is also the example to copy for a first relying party.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType

PARTY = "pickup-counter"
PURPOSE = "pickup"

WHY = "to hand a parcel to the person who ordered it"

NOTICE: Mapping[str, str | int | list[str]] = {
    "schema-version": "vouchbox-notice-1",
    "language": "en",
    "controller": "Example Pickup Ltd",
    "address": "1 Market Street, Springfield",
    "contact": "privacy@pickup.example",
    "lawful-basis": "your consent (GDPR, articles 6(1)(a) and 9(2)(a))",
    "pii-types": ["face, seen for five seconds and not kept", "face template, for enrol"],
    "measured": "whether a live person is here; for enrol and match also 128 numbers made from the face",
    "leaves-the-box": "a signed verdict, and for enrol a template sealed to the recipient; no picture",
    "template-readers": "party",
    "recipients": ["Example Pickup Ltd (verdict and template)"],
    "processors": ["Example Hosting GmbH (runs the servers)"],
    "storage-location": "Example Pickup Ltd, data centre in Frankfurt",
    "regions": ["Germany"],
    "retention": "verdict 30 days, template until the parcel is collected, at most 30 days",
    "jurisdiction": "European Union",
    "other-uses": "none",
    "withdrawal": "ask the staff at any counter, or write to privacy@pickup.example",
    "alternative": "show an ID to the staff; it takes as long and costs nothing",
    "policy": "https://pickup.example/privacy",
    "validity-days": 30,
}


def registration(
    party: str,
    *,
    verification_key: Mapping[str, str],
    seal_key: str = "",
    minimum_level: str = "passive",
    name: str = "Example Pickup",
    actions: tuple[str, ...] = ("check", "enroll", "match"),
    purposes: Mapping[str, str] = MappingProxyType({PURPOSE: WHY}),
    notice: Mapping[str, str | int | list[str]] = NOTICE,
) -> str:
    """The TOML file that registers `party` at a box; `seal_key` is base64url of its HPKE public key."""
    lines = [
        f"id = {json.dumps(party)}",
        f"name = {json.dumps(name)}",
        f"actions = {json.dumps(actions)}",
        'consent = ["prompt", "button"]',
        f"minimum-level = {json.dumps(minimum_level)}",
        "retention-days = 30",
        "requests-per-hour = 3600",
        "match-attempts-per-hour = 60",
        "failures-per-hour = 3600",
        f"seal-key = {json.dumps(seal_key)}",
        "",
        "[[keys]]",
        *(f"{member} = {json.dumps(value)}" for member, value in verification_key.items()),
        "",
        "[purposes]",
        *(f"{purpose} = {json.dumps(why)}" for purpose, why in purposes.items()),
        "",
        "[notice]",
        *(f"{field} = {json.dumps(value)}" for field, value in notice.items()),
    ]
    return "\n".join(lines) + "\n"
