"""Someone makes the box believe that everything was erased: another party, a stranger, a moved receipt."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vouchbox.messages import (
    AckArrived,
    CodePresented,
    ConsentAsked,
    ConsentGiven,
    LinkState,
    Outgoing,
    ReceiptIssued,
)
from vouchbox.vault import formats, receipt_book


def test_only_the_party_that_was_asked_confirms_and_only_what_was_asked(
    make_world: Callable[..., Any], parties: Any
) -> None:
    asked, other, stranger = parties(), parties(id="other"), parties()
    world = make_world(asked, other)
    world.join("vision", "kiosk", "uplink", "counter")
    world.say("uplink", LinkState(connected=True))
    world.ask(asked.request())
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, True))
    world.leave("vision")
    issued = world.of("kiosk", ReceiptIssued)[-1]
    world.say("counter", CodePresented(issued.code))
    rows = [row for row in world.of("uplink", Outgoing) if row.topic.endswith("/withdrawal")]
    said: dict[str, Any] = json.loads(formats.from_base64url(rows[-1].payload.split(b".")[1].decode()))
    forgeries = {
        "another party's word": other.erasure(said),
        "a stranger's key": stranger.erasure(said),
        "another party's key under this party's name": other.erasure(said, iss=asked.id),
        "another verdict": asked.erasure(said, verdict="x" * 22),
        "another receipt": asked.erasure(said, receipt="x" * 22),
        "another box": asked.erasure(said, aud=["vouchbox:shop/window"]),
        "an acknowledgement in disguise": asked.sign(
            {"iss": asked.id, "aud": "vouchbox:shop/door", "iat": 1, "delivered": ["0" * 64]},
            formats.ERASURE_TYPE,
        ),
    }
    for name, forged in forgeries.items():
        world.say("uplink", AckArrived(forged))
        known = receipt_book.withdrawal(world.vault._store, issued.receipt)
        assert known is not None, name
        assert known.erased is None, name
    assert sum(n for what, n in world.vault._counters.items() if what.startswith("erasure-")) == len(
        forgeries
    )
    world.say("uplink", AckArrived(asked.erasure(said)))
    known = receipt_book.withdrawal(world.vault._store, issued.receipt)
    assert known is not None
    assert known.erased is not None
