"""Is every registration of a relying party whole, readable to the vault, and of an epoch that counts?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from vouchbox.config import Config
from vouchbox.doctor.finding import Finding, fault, not_checked, of, ok, warning
from vouchbox.doctor.machine import READ, Account
from vouchbox.errors import ConfigError, OutboxError
from vouchbox.vault import epochs, registry
from vouchbox.vault.registry import Party
from vouchbox.vault.store import FILE, Store

CHECK = "relying-parties"


def check(config: Config, vault: Account) -> Iterator[Finding]:
    """One finding for each file that is wrong, one for the rest, one for the epochs."""
    folder = config.vault.parties
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError as problem:
        yield fault(
            CHECK, f"can't read the relying parties in {folder} ({problem.strerror})", "create that folder"
        )
        return
    parties: list[Party] = []
    wrong = 0
    for path in files:
        try:
            parties.append(registry.load_party(path))
        except ConfigError as problem:
            wrong += 1
            yield of(CHECK, problem)
            continue
        if not vault.reaches(path, READ):
            wrong += 1
            yield fault(CHECK, f"{vault.name} may not read {path}", f"run chmod a+r {path}")
    if not files:
        yield warning(
            CHECK,
            f"no relying party is registered in {folder}",
            "add one with `vouchbox relying-party add FILE`",
        )
    elif not wrong:
        yield ok(CHECK, f"{len(parties)} may ask this box: {', '.join(party.id for party in parties)}")
    yield from used(config, parties)


def used(config: Config, parties: list[Party]) -> Iterator[Finding]:
    """Whether a registration names an older epoch than the box has used already."""
    path = config.box.state / FILE
    if not parties:
        return
    with contextlib.suppress(PermissionError):
        if not path.exists():
            return
    if not os.access(path, os.R_OK):
        yield not_checked("epochs", f"this user may not read {path}", "run this as root")
        return
    try:
        store = Store(config.box.state, read_only=True)
        try:
            seen = {party.id: epochs.in_use(store, party.id) for party in parties}
        finally:
            store.close()
    except OutboxError as problem:
        yield not_checked("epochs", problem.what, problem.fix)
        return
    stale = [party for party in parties if party.epoch < seen[party.id]]
    for party in stale:
        yield fault(
            "epochs",
            f"{party.id}.toml names epoch {party.epoch}, but {seen[party.id]} was in use, so no vault starts",
            f"set epoch = {seen[party.id]} there, for an epoch never goes back",
        )
    if not stale:
        yield ok("epochs", "no registration goes back to an older epoch")
