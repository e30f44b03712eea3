"""The person is told everything first, and only a yes is a yes."""

from __future__ import annotations

import socket
import threading

import msgspec

from vouchbox.ipc import Channel
from vouchbox.kiosk import terminal
from vouchbox.kiosk.screen import OUTCOMES, PROMPTS, READERS, notice_lines, progress_line, result_lines
from vouchbox.messages import (
    Action,
    ConsentAsked,
    ConsentGiven,
    KioskToVault,
    Level,
    Notice,
    Outcome,
    Phase,
    Progress,
    Prompt,
    SessionEnded,
    TemplateReaders,
    VaultToKiosk,
    decoder,
)
from vouchbox.reasons import Reason

SESSION = "s" * 16
LISTS = ("pii_types", "recipients", "processors", "regions")
NOTICE = msgspec.convert(
    {field: [f"<{field}>"] if field in LISTS else f"<{field}>" for field in Notice.__struct_fields__}
    | {"language": "en", "policy": "https://<policy>", "validity_days": 77, "template_readers": "fleet"},
    Notice,
)
ASKED = ConsentAsked(
    session=SESSION,
    party="shop",
    purpose="pickup",
    action=Action.ENROLL,
    level=Level.ACTIVE,
    notice=NOTICE,
    seconds=60,
)


def conversation(answer: terminal.Answer) -> tuple[list[str], bool]:
    ours, theirs = socket.socketpair()
    vault = Channel(ours, decoder(KioskToVault), peer="kiosk")
    kiosk = Channel(theirs, decoder(VaultToKiosk), peer="vault")
    written: list[str] = []
    thread = threading.Thread(target=terminal.serve, args=(kiosk, answer), kwargs={"write": written.append})
    thread.start()
    vault.send(ASKED)
    reply = vault.receive(5)
    assert isinstance(reply, ConsentGiven)
    assert reply.session == SESSION
    vault.send(Progress(session=SESSION, phase=Phase.CAPTURING, fraction=0.4, prompt=Prompt.BLINK))
    vault.send(
        SessionEnded(
            session=SESSION, outcome=Outcome.INCONCLUSIVE, reasons=(Reason.TOO_DARK,), alternative="ID"
        )
    )
    vault.close()
    thread.join(5)
    kiosk.close()
    return written, reply.accepted


def test_every_field_of_the_notice_is_shown_before_the_answer() -> None:
    written, accepted = conversation(terminal.accept)
    assert accepted
    before = "\n".join(written[: written.index("  -> accepted")])
    for field in msgspec.structs.fields(Notice):
        odd = {"validity_days": "77 days", "template_readers": READERS[TemplateReaders.FLEET]}
        words = odd.get(field.name, f"<{field.name}>")
        if field.name not in ("language", "schema_version"):
            assert words in before, f"the notice does not show {field.name}"


def test_decline_is_answered_as_no_and_the_result_says_what_to_change() -> None:
    written, accepted = conversation(terminal.decline)
    assert not accepted
    assert "Too dark: face the light." in "\n".join(written)
    assert "  Instead: ID" in written


def test_end_of_input_is_a_no() -> None:
    def closed(_asked: ConsentAsked) -> bool:
        return terminal.ask_person(ASKED)

    import click.testing

    runner = click.testing.CliRunner()
    with runner.isolation(input=""):
        assert closed(ASKED) is False


def test_every_prompt_and_outcome_has_its_words() -> None:
    assert set(PROMPTS) == set(Prompt)
    assert set(OUTCOMES) == set(Outcome)
    assert len(notice_lines(ASKED)) == 17
    assert (
        progress_line(Progress(session=SESSION, phase=Phase.CAPTURING, fraction=0.5))
        == "Look at the camera (50 %)"
    )
    assert result_lines(SessionEnded(session=SESSION, outcome=Outcome.LIVE, reasons=())) == [
        OUTCOMES[Outcome.LIVE]
    ]
