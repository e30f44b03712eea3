"""Who may be which room: the user that the configuration names, and nobody else."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from vouchbox import ipc
from vouchbox.config import Box, Config, Vault
from vouchbox.errors import ConfigError, RoomGone
from vouchbox.messages import VaultToVision, decoder
from vouchbox.vault.doors import Doors, Joined, Left

WAIT_S = 20.0


def config(folder: Path, user: int | str) -> Config:
    return Config(
        box=Box(site="s", device="d", run=folder, state=folder), vault=Vault(users={"vision": user})
    )


def test_a_room_is_let_in_as_the_user_that_is_named(short_tmp: Path) -> None:
    settings = config(short_tmp, pwd.getpwuid(os.getuid()).pw_name)
    doors = Doors(settings)
    with ipc.connect(settings.socket("vision"), decoder(VaultToVision), peer="vault"):
        assert doors.take(WAIT_S) == Joined("vision")
    assert doors.take(WAIT_S) == Left("vision")
    doors.close()


def test_another_user_is_sent_away(short_tmp: Path) -> None:
    settings = config(short_tmp, os.getuid() + 1)
    doors = Doors(settings)
    channel = ipc.connect(settings.socket("vision"), decoder(VaultToVision), peer="vault")
    with channel, pytest.raises(RoomGone):
        channel.receive(WAIT_S)
    assert doors.take(0.2) is None
    doors.close()


def test_a_user_that_this_machine_has_not_is_an_error_that_names_it(short_tmp: Path) -> None:
    with pytest.raises(ConfigError, match="nobody-of-this-name"):
        Doors(config(short_tmp, "nobody-of-this-name"))
