"""The command line: one `vouchbox` command whose subcommands live in modules of their own.

A subcommand's module is imported only when it is called, so `vouchbox uplink` never loads a model and
`vouchbox vision` never loads MQTT. Errors are one sentence on standard error; exit codes are 0 success,
1 failure, 2 usage, 3 no verdict.
"""

from __future__ import annotations

import importlib
import sys

import click

from vouchbox import __version__
from vouchbox.errors import VouchboxError

COMMANDS = {
    "simulate": ("vouchbox.cli.simulate", "simulate"),
    "examine": ("vouchbox.cli.examine", "examine"),
    "evaluate": ("vouchbox.cli.evaluate", "evaluate"),
    "bench": ("vouchbox.cli.bench", "bench"),
    "vision": ("vouchbox.cli.daemons", "vision"),
    "vault": ("vouchbox.cli.daemons", "vault"),
    "uplink": ("vouchbox.cli.daemons", "uplink"),
    "kiosk": ("vouchbox.cli.daemons", "kiosk"),
    "doctor": ("vouchbox.cli.doctor", "doctor"),
    "setup": ("vouchbox.cli.setup.command", "setup"),
    "provision": ("vouchbox.cli.provision", "provision"),
    "relying-party": ("vouchbox.cli.relying_party", "relying_party"),
    "verify": ("vouchbox.cli.verify", "verify"),
    "open": ("vouchbox.cli.open", "open_template"),
    "match": ("vouchbox.cli.match", "match"),
    "egress": ("vouchbox.cli.egress", "egress"),
    "audit": ("vouchbox.cli.audit", "audit"),
    "receipt": ("vouchbox.cli.receipt", "receipt"),
    "withdraw": ("vouchbox.cli.withdraw", "withdraw"),
    "subject": ("vouchbox.cli.subject", "subject"),
    "selftest": ("vouchbox.cli.selftest", "selftest"),
    "update": ("vouchbox.cli.update", "update"),
}
"""Subcommand -> module and attribute of its click command."""


class _LazyGroup(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: vouchbox simulate --subject collins --action enroll",
)
@click.version_option(__version__, prog_name="vouchbox")
def vouchbox() -> None:
    """Vouch for a live person and keep the video: signed verdicts and sealed templates over MQTT."""


def main() -> None:
    """Entry point: run, and turn every known error into its sentence and exit code."""
    try:
        vouchbox.main(standalone_mode=False)
    except VouchboxError as problem:
        click.echo(f"vouchbox: {problem}", err=True)
        sys.exit(problem.exit_code)
    except click.ClickException as problem:
        problem.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("vouchbox: stopped.", err=True)
        sys.exit(130)
