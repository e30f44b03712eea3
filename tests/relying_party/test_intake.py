"""What counts, what counts once, and what may be acknowledged."""

from __future__ import annotations

import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from vouchbox.errors import OutboxError, SealError, VerdictInvalid
from vouchbox.messages import Action, Outcome
from vouchbox.relying_party import keys, ledger, templates
from vouchbox.relying_party.intake import Intake
from vouchbox.relying_party.ledger import Ledger

NOW = 1_800_000_000
DAY = 86_400
ROOT = "vouchbox/v1/lab/one"


def verdict(world: Any, payload: bytes, now: float = NOW, topic: str = f"{ROOT}/verdict") -> tuple[str, ...]:
    answer = world.intake.verdict(topic, payload, now)
    assert answer is not None
    assert answer.topic == f"{ROOT}/ack"
    acknowledged: tuple[str, ...] = world.box.acknowledged(answer.payload)
    return acknowledged


def template(world: Any, payload: bytes, now: float = NOW) -> tuple[str, ...]:
    answer = world.intake.template(f"{ROOT}/template", payload, now)
    assert answer is not None
    acknowledged: tuple[str, ...] = world.box.acknowledged(answer.payload)
    return acknowledged


def enrolled(world: Any, subject: str = "customer-1", **more: Any) -> Any:
    return world.box.speak(world.box.hear(world.ask(Action.ENROLL, subject=subject).payload), **more)


def test_a_verdict_counts_and_is_acknowledged_by_the_digest_of_its_bytes(world: Any) -> None:
    asked = world.ask()
    spoken = world.box.speak(world.box.hear(asked.payload))
    assert verdict(world, spoken.verdict) == (sha256(spoken.verdict).hexdigest(),)
    assert world.ledger.answer(asked.jti) == spoken.verdict


def test_a_verdict_that_comes_again_counts_once_and_is_acknowledged_again(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask().payload))
    for _ in range(3):
        assert verdict(world, spoken.verdict)
    assert world.ledger.counts()["verdicts"] == 1


def test_a_second_answer_to_one_request_counts_for_nothing(world: Any) -> None:
    asked = world.ask()
    judged = world.box.hear(asked.payload)
    first, second = world.box.speak(judged, Outcome.INCONCLUSIVE), world.box.speak(judged)
    verdict(world, first.verdict)
    verdict(world, second.verdict)
    assert world.ledger.answer(asked.jti) == first.verdict


def test_an_answer_to_no_request_counts_for_nothing_but_may_be_forgotten(world: Any) -> None:
    asked = world.ask()
    spoken = world.box.speak(world.box.hear(asked.payload))
    with Ledger(world.folder / "other.sqlite") as other:
        world.ledger = other
        assert verdict(world, spoken.verdict)
        assert other.counts()["verdicts"] == 0


def test_a_late_verdict_is_acknowledged_and_counts_for_nothing(world: Any) -> None:
    asked = world.ask()
    spoken = world.box.speak(world.box.hear(asked.payload))
    assert verdict(world, spoken.verdict, NOW + 30 * DAY)
    assert world.ledger.answer(asked.jti) is None


@pytest.mark.parametrize("believed", [0, NOW - 400 * DAY, NOW + 400 * DAY])
def test_a_verdict_of_a_box_without_a_set_clock_counts_by_its_nonce_once(world: Any, believed: int) -> None:
    asked = world.ask()
    heard = world.box.hear(asked.payload)
    spoken = world.box.speak(heard, now=believed, clock_is_set=False)
    assert verdict(world, spoken.verdict) == (sha256(spoken.verdict).hexdigest(),)
    assert world.ledger.answer(asked.jti) == spoken.verdict
    other = world.box.speak(heard, now=believed, clock_is_set=False)
    verdict(world, other.verdict)
    assert world.ledger.answer(asked.jti) == spoken.verdict


def test_a_set_clock_that_is_far_off_is_not_believed(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask().payload), now=NOW + 400 * DAY)
    with pytest.raises(VerdictInvalid, match="future"):
        world.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)


def test_a_forgery_is_neither_stored_nor_acknowledged(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask().payload))
    forged = spoken.verdict[:-8] + b"AAAAAAAA"
    for late in (0, 30 * DAY):
        with pytest.raises(VerdictInvalid):
            world.intake.verdict(f"{ROOT}/verdict", forged, NOW + late)
    assert world.ledger.counts()["verdicts"] == 0


def test_a_verdict_on_another_boxes_topic_is_refused(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask().payload))
    with pytest.raises(VerdictInvalid, match="another box's topic"):
        world.intake.verdict("vouchbox/v1/lab/two/verdict", spoken.verdict, NOW)


@pytest.mark.parametrize("template_first", [False, True])
def test_an_enrolment_keeps_the_sealed_template_in_whatever_order_it_arrives(
    world: Any, template_first: bool
) -> None:
    spoken = enrolled(world)
    steps = [lambda: verdict(world, spoken.verdict), lambda: template(world, spoken.template)]
    for step in reversed(steps) if template_first else steps:
        assert step()
    assert world.ledger.template("customer-1", NOW) == spoken.template
    assert world.ledger.counts()["pending"] == 0


def test_a_crash_between_verdict_and_template_loses_neither(world: Any) -> None:
    spoken = enrolled(world)
    template(world, spoken.template)
    asked = world.ledger.request(_request_of(world, spoken.verdict))
    # The verdict was recorded, then the power failed before the waiting template was kept.
    assert world.ledger.accept(spoken.jti, asked.jti, "live", spoken.verdict, NOW)
    verdict(world, spoken.verdict)
    assert world.ledger.template("customer-1", NOW) == spoken.template


def test_a_template_without_a_vouching_verdict_is_never_kept(world: Any) -> None:
    spoken, other = enrolled(world), enrolled(world, person=2)
    verdict(world, spoken.verdict)
    swapped = world.box.speak(
        world.box.hear(world.ask(Action.ENROLL).payload), person=3, jti=spoken.jti
    ).template
    with pytest.raises(VerdictInvalid):
        world.intake.template(f"{ROOT}/template", swapped, NOW)
    template(world, other.template)
    assert world.ledger.template("customer-1", NOW) is None


def test_a_template_that_does_not_open_is_not_acknowledged(world: Any, tmp_path: Path) -> None:
    spoken = enrolled(world)
    stranger = Intake("pickup", keys.generate(tmp_path / "stranger"), world.boxes, world.ledger)
    with pytest.raises(SealError):
        stranger.template(f"{ROOT}/template", spoken.template, NOW)


def test_an_erased_template_does_not_come_back_with_a_late_copy(world: Any) -> None:
    spoken = enrolled(world)
    verdict(world, spoken.verdict)
    template(world, spoken.template)
    assert world.ledger.erase("customer-1") == 1
    template(world, spoken.template)
    verdict(world, spoken.verdict)
    assert world.ledger.template("customer-1", NOW) is None


def test_an_older_enrolment_does_not_replace_a_newer_one(world: Any) -> None:
    old, new = enrolled(world), enrolled(world, noise=0.1)
    for spoken in (old, new, old):
        verdict(world, spoken.verdict)
        template(world, spoken.template)
    assert world.ledger.template("customer-1", NOW) == new.template


def test_retention_ends_and_erasure_leaves_no_byte(world: Any) -> None:
    spoken = enrolled(world)
    verdict(world, spoken.verdict)
    template(world, spoken.template)
    sealed = templates.parse(spoken.template).sealed
    assert world.ledger.template("customer-1", NOW + 29 * DAY) is not None
    assert world.ledger.template("customer-1", NOW + 30 * DAY) is None
    assert world.ledger.sweep(NOW + 30 * DAY) == 1
    for path in world.folder.glob("ledger.sqlite*"):
        assert sealed[:64] not in path.read_bytes()


def test_the_ledger_keeps_no_clear_template(world: Any) -> None:
    spoken = enrolled(world)
    verdict(world, spoken.verdict)
    template(world, spoken.template)
    clear = templates.unseal(templates.parse(spoken.template), world.keys.seal)
    values = templates.decode(clear).values
    for path in world.folder.glob("ledger.sqlite*"):
        assert values[:16] not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_waiting_templates_are_limited_and_the_newest_stay(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PENDING_LIMIT", 3)
    for number in range(5):
        world.ledger.park(f"{number:064x}", "v", b"%d" % number, NOW + number)
    assert sorted(world.ledger.parked("v")) == [b"2", b"3", b"4"]


def test_a_full_disk_means_no_acknowledgement(world: Any) -> None:
    spoken = world.box.speak(world.box.hear(world.ask().payload))
    blocker = sqlite3.connect(world.folder / "ledger.sqlite")
    world.ledger._db.execute("PRAGMA max_page_count = 1")
    big = "x" * 100_000
    with pytest.raises(OutboxError):
        world.ledger.park("0" * 64, "v", big.encode(), NOW)
    world.ledger._db.execute("PRAGMA query_only = ON")
    with pytest.raises(OutboxError):
        world.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)
    blocker.close()


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    keys.generate(tmp_path)
    (tmp_path / keys.SEAL_FILE).chmod(0o644)
    with pytest.raises(Exception, match="others may read"):
        keys.load(tmp_path)


def test_no_key_is_ever_overwritten(tmp_path: Path) -> None:
    keys.generate(tmp_path)
    before = (tmp_path / keys.SIGNING_FILE).read_bytes()
    with pytest.raises(Exception, match="exists already"):
        keys.generate(tmp_path)
    assert (tmp_path / keys.SIGNING_FILE).read_bytes() == before


def _request_of(world: Any, token: bytes) -> str:
    from vouchbox.relying_party import evidence

    return evidence.verify(token, world.boxes, "pickup", NOW).said.request
