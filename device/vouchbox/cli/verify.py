"""`vouchbox verify`: is this verdict true, for this party, and fresh? On a file or standard input."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click
import msgspec

from vouchbox.errors import UsageError, VerdictInvalid
from vouchbox.relying_party import boxes, evidence
from vouchbox.relying_party.evidence import Verdict

_READ_LIMIT = 64 * 1024


@click.command(epilog="Example: vouchbox verify verdict.jwt --jwks box.jwks.json --audience pickup --nonce N")
@click.argument("file", default="-")
@click.option(
    "--jwks",
    type=click.Path(path_type=Path),
    required=True,
    help="The box's public document (box.jwks.json), or a folder of them.",
)
@click.option("--audience", required=True, help="The relying party's id.")
@click.option("--nonce", help="The nonce of the request that the verdict must answer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(file: str, jwks: Path, audience: str, nonce: str | None, as_json: bool) -> None:
    """Verify the verdict in FILE (- is standard input). Exit code 0 when it holds, 1 when not."""
    token = read_bytes(file).strip()
    known = boxes.load(jwks)
    try:
        verdict = evidence.verify(token, known, audience, time.time(), nonce=nonce)
    except VerdictInvalid as problem:
        if not as_json:
            raise
        click.echo(json.dumps({"verified": False, "problem": str(problem)}))
        sys.exit(problem.exit_code)
    if as_json:
        click.echo(json.dumps({"verified": True, **msgspec.to_builtins(verdict)}))
    else:
        click.echo(_text(verdict, checked_nonce=nonce is not None))


def read_bytes(name: str) -> bytes:
    """The bytes of the file `name`, or of standard input for `-`; raises UsageError."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(_READ_LIMIT)
        with Path(name).open("rb") as file:
            return file.read(_READ_LIMIT)
    except OSError as problem:
        raise UsageError(f"can't read {name} ({problem.strerror})", "give a readable file, or -") from None


def _text(verdict: Verdict, *, checked_nonce: bool) -> str:
    said = verdict.said
    source = "the camera was not opened" if said.source is None else f"source {said.source.kind}"
    tests = ", ".join(f"{name} {status}" for name, status in verdict.tests.items())
    lines = [
        f"The verdict holds: {said.outcome}, level {said.level}, {source}.",
        f"Box {verdict.box}, party {verdict.party}, purpose {said.purpose}, action {said.action}.",
        f"Tests: {tests}.",
    ]
    if said.reasons:
        lines.append(f"Reasons: {', '.join(said.reasons)}.")
    if not checked_nonce:
        lines.append("Freshness was not checked: give --nonce.")
    return "\n".join(lines)
