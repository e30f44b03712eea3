"""Nothing but small, typed messages crosses a wall."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vouchbox import messages
from vouchbox.errors import MessageError
from vouchbox.messages import MESSAGE_LIMIT, Phase, Progress, RequestArrived, decode, decoder, encode

DIRECTIONS = {
    name: decoder(getattr(messages, name))
    for name in (
        "VisionToVault",
        "VaultToVision",
        "UplinkToVault",
        "VaultToUplink",
        "KioskToVault",
        "VaultToKiosk",
    )
}
SESSION = "s" * 16


@given(st.binary(max_size=2048), st.sampled_from(sorted(DIRECTIONS)))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_refused_with_a_message_error(data: bytes, direction: str) -> None:
    try:
        message = decode(data, DIRECTIONS[direction])
    except MessageError:
        return
    assert isinstance(message, messages.Message)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    ),
    st.sampled_from(sorted(DIRECTIONS)),
)
@settings(max_examples=200, deadline=None)
def test_well_formed_msgpack_of_another_shape_is_refused(value: object, direction: str) -> None:
    with pytest.raises(MessageError):
        decode(msgspec.msgpack.encode(value), DIRECTIONS[direction])


def test_a_message_of_another_direction_is_refused() -> None:
    with pytest.raises(MessageError):
        decode(encode(RequestArrived(payload=b"x")), DIRECTIONS["VisionToVault"])


def test_an_unknown_field_is_refused() -> None:
    body = msgspec.msgpack.decode(encode(Progress(session=SESSION, phase=Phase.CAPTURING, fraction=0.5)))
    body["pixels"] = b"\x00" * 100
    with pytest.raises(MessageError):
        decode(msgspec.msgpack.encode(body), DIRECTIONS["VisionToVault"])


def test_a_frame_cannot_be_encoded_or_decoded() -> None:
    frame = b"\x7f" * (640 * 480 * 3)
    with pytest.raises(MessageError):
        encode(RequestArrived(payload=frame))
    with pytest.raises(MessageError):
        decode(msgspec.msgpack.encode(frame), DIRECTIONS["UplinkToVault"])


def test_an_error_never_echoes_the_bytes_it_refused() -> None:
    with pytest.raises(MessageError) as refusal:
        decode(
            msgspec.msgpack.encode({"type": "Progress", "session": "canary-5b1e"}),
            DIRECTIONS["VisionToVault"],
        )
    assert "canary" not in str(refusal.value)


def test_the_vision_budget_is_smaller_than_half_a_grey_frame() -> None:
    assert messages.VISION_SESSION_BUDGET < 640 * 480 / 2
    assert MESSAGE_LIMIT < 64 * 48 * 8
