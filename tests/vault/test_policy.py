"""The vault's second look at an examination, and the verdict that comes of it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk, jws

from vouchbox.messages import (
    Action,
    Level,
    Outcome,
    Prompt,
    PromptRecord,
    QualityComponent,
    SourceKind,
    TestName,
    TestResult,
    TestStatus,
)
from vouchbox.reasons import Reason
from vouchbox.vault import policy, verdict
from vouchbox.vault.policy import Asked
from vouchbox.vault.request import Request
from vouchbox.vision import fusion

PROMPTS = (Prompt.TURN_LEFT, Prompt.BLINK)
ACTIVE = Asked(Level.ACTIVE, PROMPTS, SourceKind.SENSOR)
PASSIVE = Asked(Level.PASSIVE, (), SourceKind.SENSOR)
NAME = "s" * 22


def test_vault_and_vision_require_the_same_tests() -> None:
    assert dict(policy.REQUIRED) == dict(fusion.REQUIRED)


def test_an_honest_examination_stands(exam: Any) -> None:
    assert policy.assess(exam(NAME, PROMPTS), ACTIVE) == (Outcome.LIVE, ())
    assert policy.assess(exam(NAME, level=Level.PASSIVE), PASSIVE) == (Outcome.LIVE, ())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statuses=st.lists(st.tuples(st.sampled_from(TestName), st.sampled_from(TestStatus)), max_size=4))
def test_live_stands_only_when_all_required_tests_succeeded_and_none_failed(
    exam: Any, statuses: list[tuple[TestName, TestStatus]]
) -> None:
    tests = tuple(TestResult(name, status) for name, status in statuses)
    for asked in (ACTIVE, PASSIVE):
        examination = exam(NAME, asked.prompts, level=asked.level, tests=tests)
        outcome, reasons = policy.assess(examination, asked)
        good = {name for name, status in statuses if status is TestStatus.SUCCESS}
        unique = len({name for name, _ in statuses}) == len(statuses)
        clean = unique and TestStatus.FAIL not in {status for _, status in statuses}
        assert (outcome is Outcome.LIVE) <= (clean and policy.REQUIRED[asked.level] <= good)
        assert (outcome is Outcome.LIVE) == (not reasons)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": SourceKind.CLIP}, Reason.CHALLENGE_NOT_RUN),
        ({"kind": SourceKind.SIMULATED}, Reason.INTERRUPTED),
        ({"level": Level.PASSIVE}, Reason.INTERRUPTED),
        ({"wiped": False}, Reason.MEMORY_NOT_LOCKED),
        ({"frames": 0}, Reason.TOO_SHORT),
        ({"prompts": ()}, Reason.CHALLENGE_FAILED),
        ({"prompts": (PromptRecord(Prompt.BLINK, 0.0, 1.0),) * 2}, Reason.CHALLENGE_FAILED),
        (
            {"prompts": (PromptRecord(PROMPTS[0], 0.0, 1.0), PromptRecord(PROMPTS[1], 2.0))},
            Reason.CHALLENGE_FAILED,
        ),
        (
            {"prompts": (PromptRecord(PROMPTS[0], 1.0, 0.5), PromptRecord(PROMPTS[1], 2.0, 3.0))},
            Reason.CHALLENGE_FAILED,
        ),
        ({"outcome": Outcome.MATCH}, Reason.INTERRUPTED),
        ({"outcome": Outcome.REFUSED}, Reason.INTERRUPTED),
    ],
)
def test_a_doubt_makes_live_inconclusive(exam: Any, changes: dict[str, Any], reason: Reason) -> None:
    changes = dict(changes)
    examination = exam(NAME, **({"prompts": PROMPTS} | {k: v for k, v in changes.items() if k != "prompts"}))
    if "prompts" in changes:
        examination = msgspec.structs.replace(examination, prompts=changes["prompts"])
    outcome, reasons = policy.assess(examination, ACTIVE)
    assert outcome is Outcome.INCONCLUSIVE
    assert reason in reasons


@pytest.mark.parametrize("announced", [None, *SourceKind])
@pytest.mark.parametrize("claimed", SourceKind)
def test_a_source_other_than_the_announced_one_is_never_live_nor_stated_as_the_better_one(
    exam: Any, announced: SourceKind | None, claimed: SourceKind
) -> None:
    examination = exam(NAME, PROMPTS, kind=claimed)
    outcome, reasons = policy.assess(examination, Asked(Level.ACTIVE, PROMPTS, announced))
    assert (outcome is Outcome.LIVE) == (claimed is announced and claimed is not SourceKind.CLIP)
    assert (Reason.INTERRUPTED in reasons) == (claimed is not announced)
    said = policy.stated(examination, announced).source.kind
    assert said in (claimed, announced)
    assert (said is SourceKind.SENSOR) == ({claimed, announced or claimed} == {SourceKind.SENSOR})


@pytest.mark.parametrize(
    ("asked", "name"),
    [(asked, name) for asked in (ACTIVE, PASSIVE) for name in sorted(policy.REQUIRED[asked.level])],
)
def test_a_required_test_that_did_not_run_makes_live_inconclusive(
    exam: Any, asked: Asked, name: TestName
) -> None:
    absent = tuple(
        TestResult(other, TestStatus.NOT_RUN if other is name else TestStatus.SUCCESS) for other in TestName
    )
    left_out = tuple(test for test in absent if test.name is not name)
    for tests in (absent, left_out):
        examination = exam(NAME, asked.prompts, level=asked.level, tests=tests)
        assert policy.assess(examination, asked) == (Outcome.INCONCLUSIVE, (Reason(f"{name}-not-run"),))


@pytest.mark.parametrize("outcome", [Outcome.ATTACK_SUSPECTED, Outcome.INCONCLUSIVE, Outcome.CANCELLED])
def test_an_unfavourable_outcome_is_passed_on_with_its_reasons(exam: Any, outcome: Outcome) -> None:
    examination = exam(NAME, PROMPTS, outcome=outcome, reasons=(Reason.GEOMETRY_FAILED,))
    assert policy.assess(examination, ACTIVE) == (outcome, (Reason.GEOMETRY_FAILED,))


# --- the verdict ----------------------------------------------------------------------------------------
REQUEST = Request("pickup", "j" * 16, "n" * 16, "age-check", Action.ENROLL, Level.ACTIVE, 0)
MOMENT = verdict.Circumstances(1_800_000_000, 4711, 3, False)


def statement(ring: Any, **changes: Any) -> verdict.Statement:
    said: dict[str, Any] = {
        "issuer": "vouchbox:shop/door",
        "identity": ring.identity,
        "jti": NAME,
        "request": REQUEST,
        "outcome": Outcome.LIVE,
        "reasons": (),
        "circumstances": MOMENT,
    }
    return verdict.Statement(**(said | changes))


def test_a_verdict_states_the_claims_of_an_entity_attestation_token(ring: Any, exam: Any) -> None:
    template = verdict.TemplateClaim("c" * 64, 1500, 1, 30)
    token = verdict.sign(statement(ring, examination=exam(NAME, PROMPTS), template=template), ring.signer)
    checked = jws.deserialize_compact(token, jwk.import_key(ring.signer.public_jwk()), algorithms=["Ed25519"])
    assert checked.headers() == {"alg": "Ed25519", "typ": "eat+jwt", "kid": ring.signer.kid}
    claims = json.loads(checked.payload)
    assert claims["iss"] == "vouchbox:shop/door"
    assert claims["aud"] == "pickup"
    assert claims["exp"] - claims["iat"] == verdict.LIFETIME_S
    assert claims["eat_nonce"] == REQUEST.nonce
    assert claims["ueid"] == ring.identity.ueid
    assert claims["swversion"] == [claims["swversion"][0]]
    assert (claims["bootcount"], claims["uptime"], claims["dbgstat"]) == (3, 4711, "enabled")
    assert "oemid" not in claims
    assert "nonce" not in claims
    [[system, results]] = claims["measres"]
    assert system == "vouchbox-liveness"
    assert results == [[name.value, "success"] for name in TestName]
    private = claims["vouchbox"]
    assert private["clock"] == "unsynchronised"
    assert private["template"]["sha256"] == "c" * 64
    assert private["source"] == {"kind": "sensor", "width": 640, "height": 480}


def test_hardware_is_named_only_where_it_is_known(ring: Any) -> None:
    known = msgspec.structs.replace(ring.identity, oemid="uCfr", hwmodel="UGkgNQ")
    claims = verdict.claims(statement(ring, identity=known))
    assert (claims["oemid"], claims["hwmodel"]) == ("uCfr", "UGkgNQ")


def test_a_test_that_did_not_run_is_never_stated_as_success(ring: Any) -> None:
    claims = verdict.claims(statement(ring, outcome=Outcome.DECLINED))
    assert {result for _, result in claims["measres"][0][1]} == {"not-run"}


@given(statuses=st.lists(st.sampled_from(TestStatus), min_size=4, max_size=4))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_measres_carries_the_four_results_as_they_were(ring: Any, exam: Any, statuses: list[Any]) -> None:
    tests = tuple(TestResult(name, status) for name, status in zip(TestName, statuses, strict=True))
    claims = verdict.claims(statement(ring, examination=exam(NAME, PROMPTS, tests=tests[::-1])))
    expected = [[name.value, status.value] for name, status in zip(TestName, statuses, strict=True)]
    assert claims["measres"] == [["vouchbox-liveness", expected]]
    twice = (*tests, TestResult(TestName.GEOMETRY, TestStatus.SUCCESS))
    claims = verdict.claims(statement(ring, examination=exam(NAME, PROMPTS, tests=twice)))
    assert claims["measres"] == [["vouchbox-liveness", expected]]


def test_neither_embedding_nor_scores_stand_in_a_verdict(ring: Any, exam: Any, embedding: Any) -> None:
    tests = tuple(TestResult(name, TestStatus.SUCCESS, 0.8125, 0.4375, 5) for name in TestName)
    examination = exam(NAME, PROMPTS, tests=tests, embedding=embedding(1))
    text = msgspec.json.encode(verdict.claims(statement(ring, examination=examination))).decode()
    assert "0.8125" not in text
    assert "0.4375" not in text
    assert "embedding" not in text.replace('"models":{"embedding"', "")


def test_the_largest_verdict_leaves_room_in_eight_kib(ring: Any, exam: Any) -> None:
    quality = tuple(QualityComponent(f"UnderExposurePrevention{i}", 100, True) for i in range(16))
    models = tuple(msgspec.structs.replace(exam(NAME).models[0], role=f"role-number-{i}") for i in range(6))
    everything = statement(
        ring,
        outcome=Outcome.INCONCLUSIVE,
        reasons=tuple(Reason)[:16],
        examination=exam(NAME, quality=quality, models=models, runtime="r" * 64),
        template=verdict.TemplateClaim("c" * 64, 1500, 1, 30),
        alternative="a" * 512,
    )
    assert len(verdict.sign(everything, ring.signer)) < 5 * 1024
