"""What becomes of a setup file on the boot partition once the box is set up: put aside, or wiped.

Whoever holds the SD card can read that partition. A file that carried a secret is overwritten and removed;
one that did not is renamed, so that the next start does not use it again. Overwriting is the best that can be
done from here: a memory card may keep old copies of a block where no program reaches them.
"""

from __future__ import annotations

import os
from pathlib import Path

from vouchbox.cli.setup.setup_file import SetupFile
from vouchbox.config import Config
from vouchbox.errors import ConfigError
from vouchbox.vault import keys_file
from vouchbox.vault.provision import PUBLIC_FILE

DONE = ".done"


def put_aside(used: SetupFile) -> tuple[str, ...]:
    """Wipe what was secret, rename the file if it is still there; one sentence for each.

    Raises ConfigError where the partition can't be written, and names what lies there in the open.
    """
    told = []
    try:
        for path in used.secrets:
            wipe(path)
            told.append(f"{path} held a secret: it is overwritten and removed.")
        if used.path not in used.secrets:
            done = used.path.with_name(used.path.name + DONE)
            used.path.replace(done)
            keys_file.sync_folder(done.parent)
            told.append(f"{used.path} is used, and now called {done.name}.")
    except OSError as problem:
        open_still = ", ".join(str(path) for path in used.secrets if path.exists()) or str(used.path)
        raise ConfigError(
            f"the box is set up, but {open_still} can't be removed ({problem.strerror})",
            "remove it, for whoever holds the card can read it" if used.secrets else "rename it",
        ) from None
    return tuple(told)


def hand_out(used: SetupFile, config: Config) -> tuple[Path, ...]:
    """Put what is public of this box beside the setup file, named after the box: its document for relying
    parties, and the request for its certificate if it has none yet. Raises ConfigError."""
    device, uplink = config.box.device, config.uplink
    wanted = [(config.vault.keys / PUBLIC_FILE, f"{device}.jwks.json")]
    if not uplink.certificate.exists():
        wanted.append((uplink.key.with_suffix(".csr"), f"{device}.csr"))
    given = []
    for source, name in wanted:
        target = used.path.with_name(name)
        try:
            keys_file.replace(target, source.read_bytes(), 0o644)
        except OSError as problem:
            raise ConfigError(
                f"can't write {target} ({problem.strerror})", f"take {source} instead"
            ) from None
        given.append(target)
    return tuple(given)


def wipe(path: Path) -> None:
    """Overwrite the file with zeros, on the disk, and remove it; raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "wb") as file:
        file.write(bytes(os.fstat(handle).st_size))
        file.flush()
        os.fsync(handle)
    path.unlink()
    keys_file.sync_folder(path.parent)
