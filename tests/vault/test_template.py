"""Protected templates and seals: what survives a rotation, what can't be linked, what does not open."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vouchbox.errors import SealError
from vouchbox.messages import Action, Level
from vouchbox.vault import sealed, sealing, template
from vouchbox.vault.formats import reference_context, template_context
from vouchbox.vault.request import Request

SECRET = bytes(range(32))
MODEL = bytes(32)


def protect(embedding: bytes, party: str = "a", epoch: int = 1, secret: bytes = SECRET) -> template.Template:
    return template.protect(embedding, MODEL, template.rotation(secret, party, epoch))


def pairs(count: int) -> list[tuple[bytes, bytes, float]]:
    """Pairs of unit vectors with cosines all over -1..1, and that cosine."""
    random = np.random.default_rng(7)
    made = []
    for wanted in random.uniform(-1, 1, count):
        first, other = random.normal(size=(2, 128))
        first /= np.linalg.norm(first)
        other -= first * (first @ other)
        second = wanted * first + (1 - wanted**2) ** 0.5 * other / np.linalg.norm(other)
        a, b = first.astype("<f4"), second.astype("<f4")
        made.append((a.tobytes(), b.tobytes(), float(a.astype(float) @ b.astype(float))))
    return made


def test_within_one_party_rotation_and_quantization_change_no_cosine_by_more_than_a_hundredth() -> None:
    errors = [abs(template.cosine(protect(a), protect(b)) - true) for a, b, true in pairs(300)]
    assert max(errors) < 0.01
    assert np.mean(errors) < 0.002


def test_across_parties_and_epochs_the_same_face_looks_like_any_other(embedding: Any) -> None:
    def rows(party: str, epoch: int) -> Any:
        templates = [protect(embedding(seed), party, epoch) for seed in range(250)]
        return np.array([np.frombuffer(one.values, np.int8) for one in templates], float)

    def cosines(first: Any, second: Any) -> Any:
        return (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)

    here, there, later = rows("a", 1), rows("b", 1), rows("a", 2)
    for other in (there, later):
        same, different = cosines(here, other), cosines(here, np.roll(other, 1, axis=0))
        assert abs(same.mean() - different.mean()) < 0.03
        assert same.std() == pytest.approx(different.std(), rel=0.2)
        assert np.abs(same).max() < 0.5


def test_one_party_compares_only_its_own_epoch_and_model(embedding: Any) -> None:
    mine = protect(embedding(1))
    for other in (protect(embedding(1), "b"), protect(embedding(1), epoch=2)):
        with pytest.raises(SealError):
            template.cosine(mine, other)
    with pytest.raises(SealError):
        template.cosine(mine, msgspec.structs.replace(mine, model=b"x" * 32))


def test_the_rotation_is_orthogonal_and_different_for_each_secret() -> None:
    def matrix(secret: bytes) -> Any:
        by = template.rotation(secret, "a", 1)
        return np.array([template.rotate(row, by) for row in np.eye(128)])

    one, other = matrix(SECRET), matrix(bytes(32))
    assert np.allclose(one @ one.T, np.eye(128), atol=1e-12)
    assert np.abs(one).max() < 0.6
    assert np.abs(one - other).max() > 0.1


def test_a_template_is_the_same_to_the_last_bit_on_every_machine() -> None:
    steps = (np.arange(128) - 63.5).astype("<f4")
    unit = (steps / np.float32(418.0)).astype("<f4")
    encoded = template.encode(protect(unit.tobytes()))
    expected = "063fc2155e7633c169f56be0820d8de645cdf6be3118334ec0a854e4f955f988"
    assert hashlib.sha256(encoded).hexdigest() == expected


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"\0" * 512,
        b"\xff" * 512,
        np.full(128, np.nan, "<f4").tobytes(),
        np.full(128, np.inf, "<f4").tobytes(),
        np.full(128, 1.0, "<f4").tobytes(),
        np.full(127, 0.0887, "<f4").tobytes(),
    ],
)
def test_what_is_no_embedding_becomes_no_template(wrong: bytes) -> None:
    with pytest.raises(SealError):
        protect(wrong)


def test_a_template_survives_its_encoding_and_nothing_else_decodes(embedding: Any) -> None:
    mine = protect(embedding(1))
    data = template.encode(mine)
    assert template.decode(data) == mine
    assert len(data) < template.TEMPLATE_LIMIT
    for wrong in (data[:-1], data + b"x", data * 4, msgspec.msgpack.encode({"party": "a"})):
        with pytest.raises(SealError):
            template.decode(wrong)


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_no_template(data: bytes) -> None:
    with pytest.raises(SealError):
        template.decode(data)


# --- seals ----------------------------------------------------------------------------------------------
def test_a_seal_opens_for_its_recipient_and_context_only() -> None:
    key, public = sealing.key_pair(bytes(32))
    stranger, _ = sealing.key_pair(b"x" * 32)
    context = template_context("box", "a", "jti", "pickup")
    data = sealing.seal(b"secret", sealing.public_key(public), context)
    assert len(data) == len(b"secret") + sealing.OVERHEAD_BYTES
    assert sealing.unseal(data, key, context) == b"secret"
    others = [
        template_context("box2", "a", "jti", "pickup"),
        template_context("box", "b", "jti", "pickup"),
        template_context("box", "a", "jti2", "pickup"),
        template_context("box", "a", "jti", "age-check"),
        reference_context("box", "a", "jti", "pickup"),
        b"",
    ]
    for other in others:
        with pytest.raises(SealError):
            sealing.unseal(data, key, other)
    with pytest.raises(SealError):
        sealing.unseal(data, stranger, context)
    for place in range(0, len(data), 97):
        with pytest.raises(SealError):
            sealing.unseal(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], key, context)


@given(st.binary(max_size=1500))
def test_arbitrary_bytes_are_no_seal(data: bytes) -> None:
    with pytest.raises(SealError):
        sealing.unseal(data, sealing.key_pair(bytes(32))[0], b"")


def test_a_wrong_key_is_refused_when_it_is_read() -> None:
    for raw in (b"", b"x" * 32, b"\xff" * sealing.PUBLIC_BYTES):
        with pytest.raises(SealError):
            sealing.public_key(raw)
    with pytest.raises(SealError):
        sealing.key_pair(b"short")


def test_the_template_message_is_small_and_shows_nothing_of_the_template(embedding: Any) -> None:
    request = Request("a", "j" * 16, "n" * 16, "pickup", Action.ENROLL, Level.ACTIVE, 0)
    key, public = sealing.key_pair(bytes(32))
    mine = protect(embedding(1))
    payload = sealed.message(mine, sealing.public_key(public), box="b" * 23, jti="s" * 22, request=request)
    assert len(payload) <= 2 * 1024
    assert mine.values[:8] not in payload
    said = msgspec.msgpack.decode(payload, type=sealed.TemplateMessage)
    context = template_context(said.box, said.party, said.jti, said.purpose)
    assert template.decode(sealing.unseal(said.sealed, key, context)) == mine
