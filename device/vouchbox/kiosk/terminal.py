"""A kiosk in a terminal: shows the notice, takes the answer, shows prompts and result.

It speaks the vault's prompt protocol (ConsentAsked, ConsentGiven, Progress, SessionEnded, ReceiptIssued) on
the kiosk socket, as the button does and a page will. No answer is never an acceptance: end of input counts
as no.
"""

from __future__ import annotations

from collections.abc import Callable

import click

from vouchbox.config import Config
from vouchbox.errors import RoomGone
from vouchbox.ipc import Channel, connect
from vouchbox.kiosk import qr
from vouchbox.kiosk.lights import Hear, lights, nothing
from vouchbox.kiosk.screen import notice_lines, progress_line, receipt_lines, result_lines
from vouchbox.messages import (
    ConsentAsked,
    ConsentGiven,
    Message,
    Progress,
    ReceiptIssued,
    SessionEnded,
    VaultToKiosk,
    decoder,
)

Answer = Callable[[ConsentAsked], bool]
"""Decides for the person: True accepts, False declines."""


def ask_person(asked: ConsentAsked) -> bool:
    """Ask at the terminal; both answers are one key, and anything that is not a yes is a no."""
    click.echo("  [A] Accept      [D] Decline")
    try:
        return click.prompt("Your answer", type=click.Choice(["a", "d"], case_sensitive=False)) == "a"
    except (click.Abort, EOFError):
        return False


def accept(_asked: ConsentAsked) -> bool:
    """The simulated person says yes."""
    return True


def decline(_asked: ConsentAsked) -> bool:
    """The simulated person says no."""
    return False


def serve(
    channel: Channel, answer: Answer, *, write: Callable[[str], None] = click.echo, hear: Hear = nothing
) -> None:
    """Handle messages of the vault until it goes away; `hear` gets each of them first."""
    shown = ""
    while True:
        try:
            message = channel.receive()
        except RoomGone:
            return
        if message is not None:
            hear(message)
        match message:
            case ConsentAsked():
                show_notice(message, write)
                if not message.given:
                    accepted = answer(message)
                    write("  -> accepted" if accepted else "  -> declined")
                    channel.send(ConsentGiven(session=message.session, accepted=accepted))
                shown = ""
            case None:
                continue
            case _:
                shown = show(message, shown, write)


def show(message: Message, shown: str, write: Callable[[str], None]) -> str:
    """Write progress, result or receipt; `shown` are the words of the last progress, returned anew."""
    match message:
        case Progress():
            line = progress_line(message)
            words = line.rsplit(" (", 1)[0]
            if words != shown:
                write(f"  {line}")
            return words
        case SessionEnded():
            for line in result_lines(message):
                write(f"  {line}")
        case ReceiptIssued():
            for line in (*qr.lines(message.short), *receipt_lines(message)):
                write(f"  {line}")
    return ""


def show_notice(asked: ConsentAsked, write: Callable[[str], None]) -> None:
    """Write the whole notice, and that the app has answered if it has."""
    write(f"\n{asked.party} asks for: {asked.purpose}")
    for label, text in notice_lines(asked):
        write(f"  {label + ':':22s}{text}")
    if asked.given:
        write("  -> accepted in the app")


def run(config: Config, answer: Answer) -> None:
    """Connect to the vault and serve; raises RoomGone when no vault listens."""
    with (
        lights(config.pins) as hear,
        connect(config.socket("kiosk"), decoder(VaultToKiosk), peer="vault") as channel,
    ):
        serve(channel, answer, hear=hear)
