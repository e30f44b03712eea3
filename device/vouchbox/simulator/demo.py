"""The demonstration: one box, five scenes, and the list of every byte that left it.

Everything that is shown happened: the lines of the person come from the kiosk's own output, the results
from verified verdicts, refusals from the errors themselves. It exits with 1 when a scene does not end as
it must.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.console import Console

from vouchbox.cli.egress import table as egress_table
from vouchbox.cli.simulate import table
from vouchbox.errors import VerdictInvalid, VouchboxError
from vouchbox.messages import Action, Level, Outcome
from vouchbox.relying_party import boxes, evidence, keys, ledger, requests, service
from vouchbox.relying_party.formats import from_base64url, to_base64url
from vouchbox.simulator.house import House, Scene
from vouchbox.simulator.registration import PARTY, PURPOSE
from vouchbox.simulator.visit import Visit, visit

FORGED_S = 5.0
"""A forged request is judged well within this."""


class Demonstration:
    """The scenes, on one running house. `failures` counts scenes that did not end as they must."""

    def __init__(self, house: House, console: Console, pace: str) -> None:
        self._house = house
        self._console = console
        self._pace = pace
        self._heard = 0
        self.failures = 0

    def stage(self, subject: str) -> None:
        """Put this simulated subject before the camera, if it is not there yet."""
        self._house.change(Scene(f"simulated:{subject}", "real" if self._pace == "real" else "fast"))

    def title(self, text: str) -> None:
        """A heading."""
        self._console.print(f"\n[bold]{text}[/bold]")

    def show(self, wanted: tuple[Outcome, ...], action: Action, level: Level, *, subject: str) -> Visit:
        """One visit with what the person saw and what the relying party got."""
        result = visit(self._house, action, level, subject=subject)
        self._console.print("[dim]" + "\n".join(self._kiosk_lines()) + "[/dim]", highlight=False)
        self._console.print(table(result))
        self._check(result.verdict.outcome in wanted, f"expected {' or '.join(wanted)}")
        return result

    def attack(self, subject: str) -> None:
        """An attack presentation. A recording that meets two prompts of three by luck ends inconclusive,
        as a clumsy person would; then it is shown once more."""
        caught = (Outcome.ATTACK_SUSPECTED,)
        lucky = (*caught, Outcome.INCONCLUSIVE)
        result = self.show(lucky, Action.CHECK, Level.ACTIVE, subject=subject)
        if result.verdict.outcome is Outcome.INCONCLUSIVE:
            self._console.print("Two prompts of three were met by luck, so there is no result: once more.")
            self.show(caught, Action.CHECK, Level.ACTIVE, subject=subject)

    def refused(self, what: str, attempt: Callable[[], str]) -> None:
        """Show how `attempt` is refused; it returns the refusal's words, or nothing when it was accepted."""
        words = attempt()
        self._console.print(f"{what}: [green]refused[/green], {words}" if words else what)
        self._check(bool(words), "expected a refusal")

    def forge_request(self) -> str:
        """Ask with a key that the box does not know; returns what the vault said to that."""
        house = self._house
        stranger = keys.generate(house.folder / "stranger")
        box = boxes.load(house.settings.party.boxes)[house.box]
        asked = requests.ask(
            stranger,
            PARTY,
            box,
            purpose=PURPOSE,
            action=Action.CHECK,
            level=Level.ACTIVE,
            now=time.time(),
        )
        log = house.room("vault").log
        before = log.read_text().count("a request was ignored")
        service.send(house.settings, asked)
        deadline = time.monotonic() + FORGED_S
        while time.monotonic() < deadline:
            lines = [line for line in log.read_text().splitlines() if "a request was ignored" in line]
            if len(lines) > before:
                return lines[-1].split("ignored: ", 1)[1]
            time.sleep(0.05)
        return ""

    def tamper(self, result: Visit) -> str:
        """Change the outcome inside a real verdict; returns what the verification says to that."""
        settings = self._house.settings
        with ledger.Ledger(settings.party.ledger) as book:
            token = book.verdict(result.verdict.jti) or b""
        header, payload, signature = token.split(b".")
        claims = msgspec.json.decode(from_base64url(payload.decode()))
        claims["vouchbox"]["outcome"] = Outcome.LIVE.value
        forged = b".".join((header, to_base64url(msgspec.json.encode(claims)).encode(), signature))
        try:
            evidence.verify(forged, boxes.load(settings.party.boxes), PARTY, time.time())
        except VerdictInvalid as problem:
            return str(problem)
        return ""

    def decline(self) -> Visit:
        """Someone who says no."""
        self._house.change(answer="decline")
        result = self.show((Outcome.DECLINED,), Action.CHECK, Level.ACTIVE, subject="nobody")
        opened = result.verdict.said.source is not None
        self._check(not opened, "the camera was opened")
        self._console.print("The camera was never opened: the verdict names no source and no frame.")
        self._house.change(answer="accept")
        return result

    def ledger(self) -> None:
        """Every byte that left the box."""
        self.title("Every byte that left the box")
        self._console.print(egress_table(self._house.departures()))

    def _kiosk_lines(self) -> list[str]:
        lines = self._house.room("kiosk").log.read_text(errors="replace").splitlines()
        new, first, self._heard = lines[self._heard :], self._heard == 0, len(lines)
        told = [number for number, line in enumerate(new) if line.startswith("  -> ")]
        if not first and told:
            new = ["  (the same notice as above)", *new[told[0] :]]
        return [line for line in new if line.strip()]

    def _check(self, good: bool, otherwise: str) -> None:
        if not good:
            self.failures += 1
            self._console.print(f"[red]This scene did not end as it must: {otherwise}.[/red]")


def scenes(show: Demonstration) -> None:
    """The five scenes of the demonstration."""
    show.title("(a) A live person follows the prompts: enrol")
    first = show.show((Outcome.LIVE,), Action.ENROLL, Level.ACTIVE, subject="collins")
    show.title("(b) The same person again, then another: match")
    show.show((Outcome.MATCH,), Action.MATCH, Level.ACTIVE, subject="collins")
    show.stage("hopper")
    show.show((Outcome.NO_MATCH,), Action.MATCH, Level.ACTIVE, subject="collins")
    show.title("(c) A print and a replay before the camera")
    for attack in ("print:collins", "replay-monitor:collins"):
        show.stage(attack)
        show.attack(attack)
    show.title("(d) A person who declines")
    show.stage("collins")
    declined = show.decline()
    show.title("(e) A forged request and a tampered verdict")
    show.refused("A request signed by a stranger", show.forge_request)
    show.refused("The declined verdict, changed to live", lambda: show.tamper(declined))
    if first.opened is not True:
        show.failures += 1
    show.ledger()


@click.command()
@click.option("--clip", type=click.Path(path_type=Path), help="Use this recorded clip instead.")
@click.option("--webcam", type=click.IntRange(0, 63), help="Use this USB webcam instead.")
@click.option("--pace", type=click.Choice(["real", "fast"]), default="fast", show_default=True)
def demo(clip: Path | None, webcam: int | None, pace: str) -> None:
    """Run the main job with every part real, and show what happens."""
    console = Console(width=110, highlight=False)
    console.print("Starting broker, vault, kiosk, uplink, vision and relying party, each a process.")
    try:
        if clip is None and webcam is None:
            with House(Scene("simulated:collins", "real" if pace == "real" else "fast")) as house:
                show = Demonstration(house, console, pace)
                scenes(show)
        else:
            source = f"clip:{clip.absolute()}" if clip is not None else f"webcam:{webcam}"
            level = Level.PASSIVE if clip is not None else Level.ACTIVE
            with House(Scene(source, "fast" if clip is not None else "real")) as house:
                show = Demonstration(house, console, pace)
                show.title(f"Enrol from {source.split(':', 1)[0]}")
                show.show(tuple(Outcome), Action.ENROLL, level, subject="you")
                show.ledger()
    except VouchboxError as problem:
        click.echo(f"demo: {problem}", err=True)
        sys.exit(problem.exit_code)
    sys.exit(1 if show.failures else 0)


if __name__ == "__main__":
    demo()
