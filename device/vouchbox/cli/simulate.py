"""`vouchbox simulate`: the whole corridor on this machine, with a simulated, recorded or webcam person."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from vouchbox.errors import NoVerdict, UsageError
from vouchbox.messages import Action, Level, Outcome
from vouchbox.simulator.house import House, Scene
from vouchbox.simulator.subject import spec
from vouchbox.simulator.tokens import TOKENS
from vouchbox.simulator.visit import Visit, visit

_NO_STATEMENT = (Outcome.INCONCLUSIVE, Outcome.CANCELLED, Outcome.REFUSED)


@click.command(
    epilog="Examples: vouchbox simulate --subject collins --action enroll | "
    "vouchbox simulate --clip me.mp4 --json"
)
@click.option("--clip", type=click.Path(path_type=Path), help="A recorded clip (mp4, mkv, webm, gif).")
@click.option("--webcam", type=click.IntRange(0, 63), help="A USB webcam, by number.")
@click.option(
    "--subject", help="A simulated subject: collins, hopper, print:collins, replay-phone:collins, ..."
)
@click.option("--action", type=click.Choice([a.value for a in Action]), default="check", show_default=True)
@click.option(
    "--level",
    type=click.Choice([v.value for v in Level]),
    help="Assurance level [default: active, for a clip passive].",
)
@click.option(
    "--pace",
    type=click.Choice(["real", "fast"]),
    help="Show frames by the clock, or as fast as possible [default: fast, for a webcam real].",
)
@click.option("--runtime", type=click.Choice(["auto", "litert", "tflite-runtime"]), default="auto")
@click.option(
    "--keys",
    type=click.Choice(["file", *TOKENS]),
    default="file",
    show_default=True,
    help="Where the box's signing key lies: in a file, SoftHSM, or an emulated TPM.",
)
@click.option("--decline", is_flag=True, help="The person declines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def simulate(
    clip: Path | None,
    webcam: int | None,
    subject: str | None,
    action: str,
    level: str | None,
    pace: str | None,
    runtime: str,
    keys: str,
    decline: bool,
    as_json: bool,
) -> None:
    """Run broker, vault, vision, uplink, kiosk and relying party as processes, and one session.

    With --action match the person is enrolled first and compared then. Exit code 3 means: no verdict about
    a person (inconclusive, cancelled or refused).
    """
    scene = _scene(clip, webcam, subject, pace)
    wanted = Level(level) if level else (Level.PASSIVE if clip is not None else Level.ACTIVE)
    with House(
        scene, answer="decline" if decline else "accept", runtime=runtime, make_token=TOKENS.get(keys)
    ) as house:
        result = visit(house, Action.ENROLL if action == "match" else Action(action), wanted)
        if action == "match" and result.verdict.said.template is not None:
            result = visit(house, Action.MATCH, wanted)
    if as_json:
        click.echo(json.dumps(result.document(), indent=2))
    else:
        Console().print(table(result))
    if result.verdict.outcome in _NO_STATEMENT:
        sys.exit(NoVerdict.exit_code)


def table(result: Visit) -> Table:
    """The visit for people."""
    document = result.document()
    rows = Table(show_header=False, box=None, pad_edge=False)
    rows.add_row("outcome", document["outcome"])
    for reason in document["what_to_change"]:
        rows.add_row("", reason)
    rows.add_row("liveness tests", ", ".join(f"{k}: {v}" for k, v in document["tests"].items()))
    if document["source"] is not None:
        rows.add_row("source", "{kind}, {width} x {height}".format(**document["source"]))
    if document["template_opened"] is not None:
        opened = "sealed, received and opened" if document["template_opened"] else "not received"
        rows.add_row("template", opened)
    rows.add_row("verdict", "signature, nonce and audience verified by the relying party")
    for departure in document["sent"]:
        rows.add_row("left the box", f"{departure['bytes']:5d} bytes  {departure['topic']}")
    return rows


def _scene(clip: Path | None, webcam: int | None, subject: str | None, pace: str | None) -> Scene:
    if sum(choice is not None for choice in (clip, webcam, subject)) > 1:
        raise UsageError("--clip, --webcam and --subject exclude one another", "give one of them")
    if clip is not None:
        source = f"clip:{clip.absolute()}"
    elif webcam is not None:
        source = f"webcam:{webcam}"
    else:
        source = f"simulated:{spec.parse(subject or 'collins')}"
    if pace is None:
        pace = "real" if webcam is not None else "fast"
    return Scene(source, "real" if pace == "real" else "fast")
