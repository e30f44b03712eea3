"""Fleet mode: the party keeps what it can't open; every box of the fleet can, for that party and purpose."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.errors import SealError
from vouchbox.messages import Action, Level
from vouchbox.relying_party import templates
from vouchbox.vault import fleet, sealing, template
from vouchbox.vault.request import Request

SECRET = bytes(range(32))
ENROLMENT = Request("a", "j" * 16, "n" * 16, "pickup", Action.ENROLL, Level.ACTIVE, 0)


def returning(**changes: Any) -> Request:
    return msgspec.structs.replace(ENROLMENT, jti="k" * 16, nonce="m" * 16, action=Action.MATCH, **changes)


@pytest.fixture
def mine(embedding: Any) -> template.Template:
    return template.protect(embedding(1), bytes(32), template.rotation(SECRET, "a", 3))


@pytest.fixture
def payload(mine: template.Template) -> bytes:
    return fleet.message(mine, SECRET, box="b" * 23, jti="s" * 22, request=ENROLMENT)


def test_another_box_of_the_fleet_opens_what_the_party_sends_back(
    mine: template.Template, payload: bytes
) -> None:
    assert fleet.open_reference(payload, SECRET, returning()) == mine
    assert len(payload) <= fleet.FLEET_MESSAGE_LIMIT


def test_the_party_can_keep_it_but_neither_open_nor_read_it(mine: template.Template, payload: bytes) -> None:
    message = templates.parse(payload)
    assert message.is_fleets
    private, _ = sealing.key_pair(bytes(32))
    with pytest.raises(SealError, match="fleet"):
        templates.unseal(message, private)
    assert mine.values[:8] not in payload


def test_it_opens_for_no_other_fleet_party_purpose_or_epoch(payload: bytes) -> None:
    with pytest.raises(SealError):
        fleet.open_reference(payload, bytes(32), returning())
    for other in (returning(party="b"), returning(purpose="age-check")):
        with pytest.raises(SealError):
            fleet.open_reference(payload, SECRET, other)
    message = msgspec.msgpack.decode(payload, type=fleet.FleetTemplateMessage)
    for change in ({"epoch": 4}, {"jti": "t" * 22}, {"box": "c" * 23}, {"party": "b"}, {"purpose": "x"}):
        forged = msgspec.structs.replace(message, **change)
        request = returning(party=forged.party, purpose=forged.purpose)
        with pytest.raises(SealError):
            fleet.open_reference(msgspec.msgpack.encode(forged), SECRET, request)


def test_a_changed_byte_opens_nothing(payload: bytes) -> None:
    for place in range(0, len(payload), 53):
        changed = payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]
        with pytest.raises(SealError):
            fleet.open_reference(changed, SECRET, returning())


def test_each_party_and_epoch_has_a_key_of_its_own() -> None:
    whose = [(party, epoch) for party in ("a", "b") for epoch in (1, 2)]
    for mine in whose:
        data = sealing.seal(b"x", fleet.key_pair(SECRET, *mine)[1], b"")
        for other in whose:
            private, _ = fleet.key_pair(SECRET, *other)
            if other == mine:
                assert sealing.unseal(data, private, b"") == b"x"
            else:
                with pytest.raises(SealError):
                    sealing.unseal(data, private, b"")


@given(st.binary(max_size=2100))
def test_arbitrary_bytes_are_no_reference(data: bytes) -> None:
    with pytest.raises(SealError):
        fleet.open_reference(data, SECRET, returning())
