"""`vouchbox open`: open a sealed template with the relying party's seal key. On a file or standard input."""

from __future__ import annotations

import json
import os
import sys
import time
from hashlib import sha256
from pathlib import Path

import click

from vouchbox.cli.verify import read_bytes
from vouchbox.errors import UsageError
from vouchbox.relying_party import boxes, evidence, keys, templates


@click.command(
    "open", epilog="Example: vouchbox open template.bin --key keys/seal.key --output template.clear"
)
@click.argument("file", default="-")
@click.option(
    "--key", type=click.Path(path_type=Path), required=True, help="The party's seal key (seal.key of keygen)."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Where the opened template goes (mode 0600); - is stdout.",
)
@click.option("--verdict", help="The verdict that must vouch for this template; needs --jwks, --audience.")
@click.option("--jwks", type=click.Path(path_type=Path), help="The box's public document.")
@click.option("--audience", help="The relying party's id.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document about the template.")
def open_template(
    file: str,
    key: Path,
    output: Path | None,
    verdict: str | None,
    jwks: Path | None,
    audience: str | None,
    as_json: bool,
) -> None:
    """Open the sealed template in FILE (- is standard input). Exit code 0 when it opens, 1 when not.

    Without --output only what is known about the template is printed, never its values.
    """
    payload = read_bytes(file)
    if verdict is None:
        message = templates.parse(payload)
    else:
        if jwks is None or audience is None:
            raise UsageError("--verdict needs --jwks and --audience", "give both")
        token = read_bytes(verdict).strip()
        statement = evidence.verify(token, boxes.load(jwks), audience, time.time(), nonce_is_checked=True)
        message = templates.check(payload, statement)
    private, _ = keys.load_seal(key)
    clear = templates.unseal(message, private)
    facts = {
        "opened": True,
        "vouched": verdict is not None,
        "party": message.party,
        "purpose": message.purpose,
        "epoch": message.epoch,
        "model": templates.decode(clear).model.hex(),
        "verdict": message.jti,
        "sha256": sha256(payload).hexdigest(),
        "bytes": len(payload),
    }
    if output is not None and str(output) == "-":
        if as_json:
            raise UsageError("--json and --output - both want standard output", "give a file")
        sys.stdout.buffer.write(clear)
        return
    if output is not None:
        _write(output, clear)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        click.echo(
            f"The template opens: party {message.party}, purpose {message.purpose}, epoch {message.epoch},"
            f" of verdict {message.jti}."
        )


def _write(path: Path, clear: bytes) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as problem:
        raise UsageError(
            f"can't write {path} ({problem.strerror})", "name a file that is not there"
        ) from None
    with os.fdopen(handle, "wb") as file:
        file.write(clear)
