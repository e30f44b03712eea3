"""What the customer's own program calls: ask a box for someone, wait for the answer, compare, erase.

Thin over requests.py, service.send and the ledger; `serve` must run, for it alone receives. The subject is
the customer's own handle for a person (a customer number, an order), never sent to the box.
"""

from __future__ import annotations

import time

from vouchbox.errors import NoVerdict, UsageError
from vouchbox.messages import Action, Level
from vouchbox.relying_party import boxes, evidence, keys, requests, service, templates
from vouchbox.relying_party.evidence import Verdict
from vouchbox.relying_party.ledger import Ledger
from vouchbox.relying_party.requests import Asked
from vouchbox.relying_party.settings import Settings

LOOK_S = 0.05
"""The ledger is looked at this often while waiting."""


def ask(
    settings: Settings,
    box: str,
    *,
    purpose: str,
    action: Action,
    level: Level,
    subject: str = "",
    lifetime_s: int = requests.LIFETIME_S,
) -> Asked:
    """Sign a request to the box `box` (`vouchbox:<site>/<device>`), remember it, send it.

    Raises UsageError for an unknown box or subject, BrokerError when it can't be sent.
    """
    known = boxes.load(settings.party.boxes)
    if box not in known:
        raise UsageError(f"{box} is no known box", f"put its box.jwks.json into {settings.party.boxes}")
    if action is not Action.CHECK and not subject:
        raise UsageError(f"{action} needs a subject", "give your own handle for the person")
    now = time.time()
    with Ledger(settings.party.ledger) as ledger:
        clear, blob = _kept(settings, ledger, subject, now) if action is Action.MATCH else (b"", b"")
        asked = requests.ask(
            keys.load(settings.party.keys),
            settings.party.id,
            known[box],
            purpose=purpose,
            action=action,
            level=level,
            now=now,
            template=clear,
            fleet_template=blob,
            lifetime_s=lifetime_s,
        )
        ledger.remember(asked, subject, now)
    service.send(settings, asked)
    return asked


def wait(settings: Settings, asked: Asked, timeout_s: float) -> Verdict:
    """The verified verdict that answers `asked`; raises NoVerdict when `timeout_s` passes first."""
    known = boxes.load(settings.party.boxes)
    deadline = time.monotonic() + timeout_s
    with Ledger(settings.party.ledger) as ledger:
        while (token := ledger.answer(asked.jti)) is None:
            if time.monotonic() >= deadline:
                raise NoVerdict(
                    "no verdict came in time", "see that the box and `vouchbox relying-party serve` run"
                )
            time.sleep(LOOK_S)
    return evidence.verify(token, known, settings.party.id, time.time(), nonce=asked.nonce)


def wait_for_template(settings: Settings, subject: str, verdict: Verdict, timeout_s: float) -> bool:
    """Whether the template that `verdict` announces for `subject` is stored, within `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    with Ledger(settings.party.ledger) as ledger:
        while True:
            payload = ledger.template(subject, time.time())
            if payload is not None and templates.parse(payload).jti == verdict.jti:
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK_S)


def erase(settings: Settings, subject: str) -> int:
    """Erase what is kept of `subject`; returns how many templates went."""
    with Ledger(settings.party.ledger) as ledger:
        return ledger.erase(subject)


def _kept(settings: Settings, ledger: Ledger, subject: str, now: float) -> tuple[bytes, bytes]:
    # The clear template, or what only the fleet can open.
    payload = ledger.template(subject, now)
    if payload is None:
        raise UsageError("no template is kept for that subject", "enrol the person first")
    message = templates.parse(payload)
    if message.is_fleets:
        return b"", payload
    return templates.unseal(message, keys.load(settings.party.keys).seal), b""
