"""What a person takes home: a receipt that is true, complete, small, and says nothing about who they are."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws

from vouchbox.errors import CodeRefused, ReceiptInvalid
from vouchbox.messages import ConsentAsked, ConsentGiven, Examine, Notice, Outgoing, ReceiptIssued
from vouchbox.vault import box_keys, formats, receipt_book, receipt_check, withdrawal_code

NOW = 1_800_000_000
QR_LIMIT = 666
"""Bytes that a QR code of version 20 with error correction M holds (ISO/IEC 18004, table 7)."""


def claims_of(token: bytes) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(formats.from_base64url(token.split(b".")[1].decode()))
    return said


def enrolled(world: Any, party: Any, exam: Any, embedding: Any, action: str = "enroll") -> ReceiptIssued:
    """A whole session of someone who agrees; the receipt that the kiosk is told."""
    world.ask(party.request(action=action))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    prompts = world.of("vision", Examine)[-1].prompts
    face = embedding(1) if action == "enroll" else b""
    world.say("vision", exam(session, prompts, embedding=face))
    issued: ReceiptIssued = world.of("kiosk", ReceiptIssued)[-1]
    assert issued.session == session
    return issued


def keys_of(world: Any) -> receipt_check.Keys:
    return box_keys.with_own(world.public, None, NOW)


def full_of(world: Any, issued: ReceiptIssued) -> bytes:
    kept = receipt_book.find(world.vault._store, issued.receipt)
    assert kept is not None
    return kept.token


def sent(world: Any, topic: str) -> list[bytes]:
    rows = {row.row: row for row in world.of("uplink", Outgoing) if row.topic.endswith(topic)}
    return [row.payload for row in rows.values()]


def test_a_receipt_has_every_field_of_the_notice_and_what_was_really_sent(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    issued = enrolled(world, party, exam, embedding)
    form = receipt_check.read_full(full_of(world, issued), keys_of(world))
    told = world.of("kiosk", ConsentAsked)[-1].notice
    stated = json.dumps(form.processing)
    for field in Notice.__struct_fields__:
        value = getattr(told, field)
        if field == "validity_days":
            assert form.event.validity_duration_s == form.exp - form.iat == value * 86_400
        else:
            for line in value if isinstance(value, tuple) else (value,):
                assert json.dumps(line) in stated, f"the receipt does not say {field}"
    payloads = [*sent(world, "/verdict"), *sent(world, "/template")]
    assert [(one.size, one.sha256) for one in form.sent] == [
        (len(payload), hashlib.sha256(payload).hexdigest()) for payload in payloads
    ]
    assert form.event.event_state == "given"
    assert form.event.way == "prompt"
    assert form.judged_by["models"] == {"embedding": "ab" * 32}
    assert form.header.schema_version.startswith("ISO/IEC TS 27560:2023")


def test_the_verdict_names_the_receipt_and_the_receipt_the_verdict(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    issued = enrolled(world, party, exam, embedding)
    said = claims_of(sent(world, "/verdict")[-1])
    assert said["vouchbox"]["receipt"] == issued.receipt
    short = receipt_check.read_short(issued.short.split("~")[0].encode(), keys_of(world))
    assert (short.jti, short.v, short.aud) == (issued.receipt, said["jti"], party.id)


def test_the_short_form_fits_one_code_that_a_phone_reads_even_with_the_longest_names(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    issued = enrolled(world, party, exam, embedding)
    names = len("vouchbox:shop/door") + len(party.id)
    longest = len(f"vouchbox:{'s' * 32}/{'d' * 32}") + 32
    assert len(issued.short) + (longest - names) * 4 // 3 + 4 <= QR_LIMIT


def test_the_code_is_kept_nowhere_in_the_box_and_the_words_and_the_qr_code_carry_the_same(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    issued = enrolled(world, party, exam, embedding)
    by_words, by_text = withdrawal_code.read(issued.code), withdrawal_code.read(issued.short)
    assert by_words.code == by_text.code
    assert withdrawal_code.receipt_id(by_words.code) == issued.receipt
    world.vault._store.forget_deleted()
    for path in world.config.box.state.iterdir():
        content = path.read_bytes()
        assert by_words.code not in content
        assert formats.to_base64url(by_words.code).encode() not in content
        assert issued.code.encode() not in content


def test_a_no_gets_a_receipt_without_a_code_and_leaves_nothing(world: Any, party: Any) -> None:
    world.ask(party.request())
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, False))
    issued = world.of("kiosk", ReceiptIssued)[-1]
    assert issued.code == ""
    assert receipt_check.read_short(issued.short.encode(), keys_of(world)).st == "refused"
    assert world.vault._store.execute("SELECT count(*) FROM receipt") == [(0,)]
    assert not world.vault._store.execute("SELECT 1 FROM audit WHERE event = 'receipt'")


def test_silence_gets_no_receipt_for_nobody_is_there(world: Any, party: Any, clock: Any) -> None:
    world.ask(party.request())
    clock.pass_by(61)
    world.settle()
    assert not world.of("kiosk", ReceiptIssued)
    assert "receipt" not in claims_of(sent(world, "/verdict")[-1])["vouchbox"]


def test_nothing_in_two_receipts_of_the_same_person_links_them(
    world: Any, party: Any, exam: Any, embedding: Any
) -> None:
    forms = [
        receipt_check.read_full(full_of(world, enrolled(world, party, exam, embedding)), keys_of(world))
        for _ in range(2)
    ]
    ids = [(form.jti, form.header.record_id, form.header.pii_principal_id) for form in forms]
    assert len({*ids[0], *ids[1]}) == 6


def test_a_receipt_is_dropped_when_its_time_is_over(
    world: Any, party: Any, exam: Any, embedding: Any, clock: Any
) -> None:
    first = enrolled(world, party, exam, embedding)
    clock.pass_by(31 * 86_400)
    now = int(clock.now)
    world.ask(party.request(iat=now, exp=now + 300))
    session = world.of("kiosk", ConsentAsked)[-1].session
    world.say("kiosk", ConsentGiven(session, True))
    world.say("vision", exam(session, world.of("vision", Examine)[-1].prompts))
    assert receipt_book.find(world.vault._store, first.receipt) is None


# --- verification ---------------------------------------------------------------------------------------
@pytest.fixture
def receipt(world: Any, party: Any, exam: Any, embedding: Any) -> tuple[bytes, bytes, receipt_check.Keys]:
    issued = enrolled(world, party, exam, embedding)
    return issued.short.split("~")[0].encode(), full_of(world, issued), keys_of(world)


def test_any_changed_byte_is_noticed(receipt: tuple[bytes, bytes, receipt_check.Keys]) -> None:
    short, full, keys = receipt
    for token, read in ((short, receipt_check.read_short), (full, receipt_check.read_full)):
        read(token, keys)
        for place in range(0, len(token), 7):
            changed = bytearray(token)
            changed[place] = ord("A") if changed[place] != ord("A") else ord("B")
            if bytes(changed[:-1]) != token[:-1]:
                with pytest.raises(ReceiptInvalid):
                    read(bytes(changed), keys)


def test_one_form_is_not_taken_for_the_other_nor_a_verdict_for_either(
    receipt: tuple[bytes, bytes, receipt_check.Keys], world: Any
) -> None:
    short, full, keys = receipt
    verdict = sent(world, "/verdict")[-1]
    for token, read in (
        (full, receipt_check.read_short),
        (short, receipt_check.read_full),
        (verdict, receipt_check.read_full),
    ):
        with pytest.raises(ReceiptInvalid):
            read(token, keys)


def test_a_receipt_of_an_unknown_box_or_key_or_algorithm_is_refused(
    receipt: tuple[bytes, bytes, receipt_check.Keys], party: Any
) -> None:
    short, _, keys = receipt
    said = claims_of(short)
    with pytest.raises(ReceiptInvalid, match="no known box"):
        receipt_check.read_short(short, {})
    with pytest.raises(ReceiptInvalid, match="no such key"):
        receipt_check.read_short(party.sign(said, formats.SHORT_RECEIPT_TYPE), keys)
    head = {"alg": "none", "typ": formats.SHORT_RECEIPT_TYPE, "kid": next(iter(keys[said["iss"]]))}
    unsigned = [formats.to_base64url(json.dumps(part).encode()) for part in (head, said)]
    with pytest.raises(ReceiptInvalid):
        receipt_check.read_short(".".join([*unsigned, ""]).encode(), keys)


# --- the code -------------------------------------------------------------------------------------------
def test_words_survive_capitals_numbers_and_four_letter_forms() -> None:
    code = bytes(range(16))
    spoken = withdrawal_code.words(code).split()
    for said in (
        " ".join(spoken).upper(),
        "\n".join(f"{number}. {word}" for number, word in enumerate(spoken, 1)).replace(".", " "),
        " ".join(word[:4] for word in spoken),
    ):
        assert withdrawal_code.read(said).code == code


def test_a_slip_of_the_tongue_is_noticed_before_anything_is_looked_up() -> None:
    spoken = withdrawal_code.words(bytes(range(16))).split()
    with pytest.raises(CodeRefused, match="twelve words"):
        withdrawal_code.read(" ".join(spoken[:11]))
    with pytest.raises(CodeRefused, match="one of the words"):
        withdrawal_code.read(" ".join([*spoken[:11], "vouchbox"]))


@settings(max_examples=300)
@given(st.text(max_size=1200) | st.binary(max_size=32).map(lambda b: "x~" + formats.to_base64url(b)))
def test_no_text_breaks_the_reader_of_codes(said: str) -> None:
    try:
        code = withdrawal_code.read(said).code
    except CodeRefused:
        return
    assert len(code) == 16


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def known_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str, receipt_check.Keys]:
    from vouchbox.vault import keys, provision

    folder: Path = tmp_path_factory.mktemp("keys")
    public = provision.create_identity(folder / "keys", audience="vouchbox:shop/door")
    return keys.load(folder / "keys").signer, "vouchbox:shop/door", box_keys.with_own(public, None, NOW)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_bytes_and_no_signed_claims_break_the_decoder(
    known_key: tuple[Any, str, receipt_check.Keys], data: st.DataObject
) -> None:
    signer, box, keys = known_key
    kind, read = data.draw(
        st.sampled_from(
            [
                (formats.SHORT_RECEIPT_TYPE, receipt_check.read_short),
                (formats.RECEIPT_TYPE, receipt_check.read_full),
            ]
        )
    )
    if data.draw(st.booleans()):
        token = data.draw(st.binary(max_size=900) | st.text(max_size=900).map(str.encode))
    else:
        said = data.draw(
            st.dictionaries(st.sampled_from(["iss", "aud", "iat", "jti", "v", "st", "exp"]), _JSON)
        )
        token = signer.sign(kind, said | {"iss": box})
    with contextlib.suppress(ReceiptInvalid):
        read(token, keys)


def test_what_a_retired_key_signed_counts_until_its_time_and_not_after(
    receipt: tuple[bytes, bytes, receipt_check.Keys], world: Any
) -> None:
    short, _, _ = receipt
    retired = world.public | {"keys": [world.public["keys"][0] | {"exp": NOW + 100}]}
    assert receipt_check.read_short(short, box_keys.with_own(retired, None, NOW + 99)).st == "given"
    with pytest.raises(ReceiptInvalid, match="no such key"):
        receipt_check.read_short(short, box_keys.with_own(retired, None, NOW + 100))


def test_a_document_of_another_box_cannot_speak_for_this_one(world: Any, tmp_path: Path) -> None:
    from vouchbox.vault import provision

    stranger = provision.create_identity(tmp_path / "stranger", audience="vouchbox:shop/door")
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "one.json").write_text(json.dumps(stranger))
    keys = box_keys.with_own(world.public, tmp_path / "fleet", NOW)
    assert set(keys["vouchbox:shop/door"]) == {world.public["keys"][0]["kid"]}


def test_signing_uses_the_published_type(receipt: tuple[bytes, bytes, receipt_check.Keys]) -> None:
    short, full, _ = receipt
    assert jws.extract_compact(short).headers()["typ"] == "vbr+jwt"
    assert jws.extract_compact(full).headers()["typ"] == "vouchbox-receipt+jwt"
