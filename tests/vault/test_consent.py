"""Consent: every way to say yes, none without the registration's leave, and a no that tells nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from joserfc import jwk

from vouchbox.errors import ConfigError, MessageError
from vouchbox.messages import (
    ConsentAsked,
    ConsentGiven,
    ConsentToken,
    ConsentWay,
    Examine,
    LinkState,
    Notice,
    Outgoing,
    SessionEnded,
    TestName,
    VaultToKiosk,
    decode,
    decoder,
    encode,
)
from vouchbox.vault import formats, notice
from vouchbox.vault.store import Store

QUESTIONS = {
    "Can I say no, and what then?": ("alternative",),
    "Why do they want it?": ("lawful-basis", "purpose"),
    "What is it, and what do they make of it?": ("pii-types", "measured", "leaves-the-box"),
    "Where is it stored?": ("storage-location",),
    "In which regions?": ("regions", "jurisdiction"),
    "Who asks, and who processes it?": ("controller", "address", "contact", "recipients", "processors"),
    "Who can open what is kept of my face?": ("template-readers",),
    "What else is it used for?": ("other-uses",),
    "How long is it kept, and how long does my yes count?": ("retention", "validity-days"),
    "How do I have it removed?": ("withdrawal",),
    "What policy applies?": ("policy",),
}
"""The open questions of people who were never told, and the fields that answer them."""


def verdicts(world: Any) -> list[dict[str, Any]]:
    rows = {row.row: row for row in world.of("uplink", Outgoing) if row.content_type == "application/eat+jwt"}
    return [json.loads(formats.from_base64url(row.payload.split(b".")[1].decode())) for row in rows.values()]


def outcome(world: Any) -> tuple[str, list[str]]:
    said = verdicts(world)[-1]["vouchbox"]
    return said["outcome"], said["reasons"]


@pytest.fixture
def with_app(make_world: Any, app_party: Any) -> Any:
    made = make_world(app_party)
    made.join("vision", "kiosk", "uplink")
    made.say("uplink", LinkState(connected=True))
    return made


# --- the notice -----------------------------------------------------------------------------------------
ANSWERED = [(question, field) for question, fields in QUESTIONS.items() for field in fields]


@pytest.mark.parametrize(("question", "field"), ANSWERED)
def test_every_open_question_has_its_field_and_no_session_starts_without_it(
    make_world: Any, party: Any, question: str, field: str
) -> None:
    assert field in {*notice.FIELDS, "purpose"}, question
    member = "pickup" if field == "purpose" else field
    told = party.toml().splitlines()
    kept = [f'{member} = ""' if line.startswith(f"{member} = ") else line for line in told]
    assert kept != told
    party.toml = lambda: "\n".join(kept)
    with pytest.raises(ConfigError, match=f"untold.*{field}"):
        make_world(party)


def test_the_questions_name_every_field_of_the_notice() -> None:
    form = {"schema-version", "language"}
    assert {field for _, field in ANSWERED} == {*notice.FIELDS, "purpose"} - form


def test_a_purpose_that_nobody_was_told_opens_no_camera(make_world: Any, party: Any) -> None:
    text = party.toml().replace('pickup = "text of pickup"\n', "")
    party.toml = lambda: text
    world = make_world(party)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    world.ask(party.request(purpose="pickup"))
    assert outcome(world) == ("refused", ["request-not-allowed"])
    assert not world.of("kiosk", ConsentAsked)


@pytest.mark.parametrize("field", Notice.__struct_fields__)
def test_no_kiosk_takes_a_notice_with_a_hole(world: Any, party: Any, field: str) -> None:
    world.ask(party.request())
    (asked,) = world.of("kiosk", ConsentAsked)
    whole = msgspec.msgpack.decode(encode(asked))
    assert decode(msgspec.msgpack.encode(whole), decoder(VaultToKiosk)) == asked
    empty = {**whole, "notice": {**whole["notice"], field: ""}}
    gone = {**whole, "notice": {name: text for name, text in whole["notice"].items() if name != field}}
    for holed in (empty, gone):
        with pytest.raises(MessageError):
            decode(msgspec.msgpack.encode(holed), decoder(VaultToKiosk))


def test_each_purpose_is_told_in_its_own_words(world: Any, party: Any) -> None:
    world.ask(party.request(purpose="age-check"))
    assert world.of("kiosk", ConsentAsked)[-1].notice.purpose == "text of age-check"


# --- the ways to say yes --------------------------------------------------------------------------------
@pytest.mark.parametrize("way", [ConsentWay.PROMPT, ConsentWay.BUTTON])
def test_the_verdict_says_how_the_person_agreed(make_world: Any, parties: Any, exam: Any, way: Any) -> None:
    party = parties(extra='consent = ["prompt", "button"]')
    world = make_world(party)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    world.ask(party.request())
    world.say("kiosk", ConsentGiven(world.of("kiosk", ConsentAsked)[-1].session, True, way))
    (order,) = world.of("vision", Examine)
    world.say("vision", exam(order.session, order.prompts))
    assert verdicts(world)[-1]["vouchbox"]["consent"] == way.value
    store = Store(world.config.box.state, read_only=True)
    [(detail,)] = store.execute("SELECT detail FROM audit WHERE event = 'consent'")
    store.close()
    assert json.loads(str(detail)) == {"accepted": 1, "session": order.session, "way": way.value}


def test_a_yes_in_an_unregistered_way_opens_nothing_and_a_no_always_counts(world: Any, party: Any) -> None:
    world.ask(party.request())
    (asked,) = world.of("kiosk", ConsentAsked)
    for way in (ConsentWay.BUTTON, ConsentWay.TOKEN):
        world.say("kiosk", ConsentGiven(asked.session, True, way))
    assert not world.of("vision", Examine)
    world.say("kiosk", ConsentGiven(asked.session, False, ConsentWay.BUTTON))
    assert outcome(world) == ("declined", ["declined"])


def test_the_kiosks_word_is_no_token(with_app: Any, app_party: Any) -> None:
    with_app.ask(app_party.request())
    (asked,) = with_app.of("kiosk", ConsentAsked)
    with_app.say("kiosk", ConsentGiven(asked.session, True, ConsentWay.TOKEN))
    assert not with_app.of("vision", Examine)


def test_a_token_in_the_request_opens_the_camera_and_the_notice_is_shown_all_the_same(
    with_app: Any, app_party: Any, exam: Any
) -> None:
    claims = app_party.claims()
    with_app.ask(app_party.sign(claims | {"consent": app_party.consent(claims)}))
    (asked,) = with_app.of("kiosk", ConsentAsked)
    assert asked.given
    (order,) = with_app.of("vision", Examine)
    with_app.say("vision", exam(order.session, order.prompts))
    said = verdicts(with_app)[-1]["vouchbox"]
    assert (said["outcome"], said["consent"]) == ("live", "token")


def test_a_token_at_the_kiosk_opens_the_camera(with_app: Any, app_party: Any) -> None:
    claims = app_party.claims()
    with_app.ask(app_party.sign(claims))
    (asked,) = with_app.of("kiosk", ConsentAsked)
    assert not asked.given
    with_app.say("kiosk", ConsentToken(asked.session, app_party.consent(claims)))
    assert len(with_app.of("vision", Examine)) == 1


@pytest.mark.parametrize("carried", ["request", "kiosk"])
def test_a_no_in_the_app_opens_nothing(with_app: Any, app_party: Any, carried: str) -> None:
    claims = app_party.claims()
    token = app_party.consent(claims, accepted=False)
    with_app.ask(app_party.sign(claims | ({"consent": token} if carried == "request" else {})))
    if carried == "kiosk":
        with_app.say("kiosk", ConsentToken(with_app.of("kiosk", ConsentAsked)[-1].session, token))
    assert outcome(with_app) == ("declined", ["declined"])
    assert not with_app.of("vision", Examine)


WRONG = {
    "another nonce": {"nonce": "another-nonce-0001"},
    "another purpose": {"purpose": "age-check"},
    "another action": {"action": "enroll"},
    "another notice": {"notice": hashlib.sha256(b"a notice that nobody showed").hexdigest()},
    "another box": {"aud": "vouchbox:shop/window"},
    "another party": {"iss": "other"},
    "expired": {"iat": 1_799_999_000, "exp": 1_799_999_300},
    "from the future": {"iat": 1_800_000_100, "exp": 1_800_000_300},
    "too long a life": {"exp": 1_800_000_601},
    "no answer": {"accepted": None},
    "half an answer": {"accepted": 1},
    "no identifier": {"jti": None},
    "another type": {"header": {"typ": "vouchbox-request+jwt"}},
    "a stranger's key": {"key": jwk.OKPKey.generate_key("Ed25519")},
    "an unknown key": {"header": {"kid": "k1"}},
    "a key in the header": {"header": {"jwk": {"kty": "OKP"}}},
}


@pytest.mark.parametrize("carried", ["request", "kiosk"])
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_token_that_is_not_wholly_right_opens_nothing(
    with_app: Any, app_party: Any, wrong: dict[str, Any], carried: str
) -> None:
    claims = app_party.claims()
    token = app_party.consent(claims, **wrong)
    if carried == "request":
        with_app.ask(app_party.sign(claims | {"consent": token}))
        assert outcome(with_app) == ("refused", ["consent-invalid"])
        assert not with_app.of("kiosk", ConsentAsked)
    else:
        with_app.ask(app_party.sign(claims))
        (asked,) = with_app.of("kiosk", ConsentAsked)
        with_app.say("kiosk", ConsentToken(asked.session, token))
        assert not verdicts(with_app)
        with_app.say("kiosk", ConsentToken(asked.session, app_party.consent(claims)))
        assert len(with_app.of("vision", Examine)) == 1
        return
    assert not with_app.of("vision", Examine)


def test_the_key_that_asks_can_not_answer(with_app: Any, app_party: Any) -> None:
    claims = app_party.claims()
    with_app.ask(app_party.sign(claims | {"consent": app_party.consent(claims, key=app_party.key)}))
    assert outcome(with_app) == ("refused", ["consent-invalid"])
    public = app_party.key.as_dict(private=False)
    app_party.tables = app_party.tables.replace(
        app_party.consent_key.as_dict(private=False)["x"], public["x"]
    )
    with pytest.raises(ConfigError, match="one key to ask and to consent"):
        app_party.parsed()


def test_a_party_that_is_not_registered_for_an_app_is_told_so(world: Any, party: Any) -> None:
    claims = party.claims()
    world.ask(party.sign(claims | {"consent": party.consent(claims)}))
    assert outcome(world) == ("refused", ["consent-not-allowed"])
    assert not world.of("kiosk", ConsentAsked)


# --- saying no ------------------------------------------------------------------------------------------
def test_a_decline_looks_the_same_whoever_declines(world: Any, party: Any, clock: Any) -> None:
    """Two people at the same box, at different times, after different waits: only what the relying party
    itself drew, the random numbers of verdict and receipt and the time differ, and no byte of length."""
    tokens = []
    for wait in (2, 47):
        world.ask(party.request())
        clock.pass_by(wait)
        asked = world.of("kiosk", ConsentAsked)[-1]
        world.say("kiosk", ConsentGiven(asked.session, False))
        rows = [row for row in world.of("uplink", Outgoing) if row.content_type == "application/eat+jwt"]
        tokens.append(rows[-1].payload)
        assert world.of("kiosk", SessionEnded)[-1].alternative == "text of alternative"
    first, second = verdicts(world)
    assert len(tokens[0]) == len(tokens[1])
    for said in (first, second):
        assert said["vouchbox"]["alternative"] == "text of alternative"
        assert set(said["vouchbox"]) == {
            *("outcome", "reasons", "request", "purpose", "action", "level", "clock", "alternative"),
            "receipt",
        }
        assert said["measres"][0][1] == [[name.value, "not-run"] for name in TestName]
        for own in ("iat", "exp", "uptime", "jti", "eat_nonce"):
            said.pop(own)
        said["vouchbox"].pop("request")
        assert len(said["vouchbox"].pop("receipt")) == 22
    assert first == second
    assert not world.of("vision", Examine)
