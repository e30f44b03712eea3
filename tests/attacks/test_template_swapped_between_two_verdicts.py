"""A broker's operator holds two enrolments and delivers each with the other's template."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vouchbox.errors import SealError, VerdictInvalid
from vouchbox.messages import Action
from vouchbox.relying_party import evidence, templates

NOW = 1_800_000_000
ROOT = "vouchbox/v1/lab/one"


@pytest.fixture
def two(counter: Any) -> Any:
    """The enrolments of two people under two handles."""
    return [
        counter.box.speak(
            counter.box.hear(counter.ask(Action.ENROLL, subject=f"customer-{n}").payload), person=n
        )
        for n in (1, 2)
    ]


def test_a_template_with_the_other_verdicts_name_on_it_is_kept_by_nobody(counter: Any, two: Any) -> None:
    first, second = two
    for spoken in two:
        counter.intake.verdict(f"{ROOT}/verdict", spoken.verdict, NOW)
    renamed = first.template.replace(first.jti.encode(), second.jti.encode())
    assert renamed != first.template
    with pytest.raises((SealError, VerdictInvalid)):
        counter.intake.template(f"{ROOT}/template", renamed, NOW)
    assert counter.ledger.template("customer-1", NOW) is None
    assert counter.ledger.template("customer-2", NOW) is None


@pytest.mark.parametrize("order", ["template first", "verdict first"])
def test_each_template_goes_to_its_own_verdict_in_whatever_order_they_come(
    counter: Any, two: Any, order: str
) -> None:
    messages = [(counter.intake.template, f"{ROOT}/template", spoken.template) for spoken in reversed(two)]
    answers = [(counter.intake.verdict, f"{ROOT}/verdict", spoken.verdict) for spoken in two]
    for take, topic, payload in messages + answers if order == "template first" else answers + messages:
        take(topic, payload, NOW)
    for number, spoken in enumerate(two, start=1):
        assert counter.ledger.template(f"customer-{number}", NOW) == spoken.template


def test_a_verdict_vouches_for_its_own_template_only(counter: Any, two: Any) -> None:
    first, second = two
    verdict = evidence.verify(first.verdict, counter.boxes, "pickup", NOW)
    assert templates.check(first.template, verdict)
    with pytest.raises(VerdictInvalid):
        templates.check(second.template, verdict)


def test_a_sealed_template_moved_into_the_other_message_does_not_open(counter: Any, two: Any) -> None:
    first, second = (msgspec.msgpack.decode(spoken.template) for spoken in two)
    mixed = msgspec.msgpack.encode(first | {"sealed": second["sealed"]})
    with pytest.raises(SealError):
        templates.unseal(templates.parse(mixed), counter.keys.seal)
