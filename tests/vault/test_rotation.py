"""Rotating the signing key: what was signed before still verifies until its key expires, and not after."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vouchbox.errors import KeyStoreError, VerdictInvalid
from vouchbox.messages import Action, Level, Outcome
from vouchbox.relying_party import boxes, evidence
from vouchbox.simulator.tokens import SimulatedToken, SoftHsm
from vouchbox.vault import (
    keys,
    keys_file,
    keys_public,
    keys_rotation,
    provision,
    verdict,
)
from vouchbox.vault.request import Request
from vouchbox.vault.status import Health, Tally, document

AUDIENCE = "vouchbox:shop/door"
NOW = 1_800_000_000
DAY = 86_400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    provision.create_identity(path, audience=AUDIENCE)
    return path


Sign = Callable[[keys.KeyRing, int], bytes]


@pytest.fixture
def signed() -> Sign:
    """Makes a verdict that a key ring signs at a time."""
    asked = Request(
        party="pickup",
        jti="r" * 20,
        nonce="nonce-123456",
        purpose="pickup",
        action=Action.CHECK,
        level=Level.PASSIVE,
        expires=NOW + 60,
    )

    def sign(ring: keys.KeyRing, now: int) -> bytes:
        moment = verdict.Circumstances(now, 1, 1, True)
        statement = verdict.Statement(AUDIENCE, ring.identity, "j" * 20, asked, Outcome.CANCELLED, (), moment)
        return verdict.sign(statement, ring.signer)

    return sign


def verify(token: bytes, folder: Path, now: float) -> evidence.Verdict:
    """What a relying party makes of it that has the box's newest document."""
    known = boxes.load(folder / provision.PUBLIC_FILE)
    return evidence.verify(token, known, "pickup", now)


def rotate(folder: Path, now: int = NOW, token: Any = None, **options: Any) -> keys_rotation.Rotation:
    done = keys_rotation.rotate(folder, token, now=now, **options)
    provision.publish(folder, audience=AUDIENCE, token=token)
    return done


def test_a_verdict_of_the_old_key_verifies_until_that_key_expires(folder: Path, signed: Sign) -> None:
    before = keys.load(folder)
    early = signed(before, NOW)
    done = rotate(folder, overlap_days=3)
    after = keys.load(folder)
    assert (done.old, done.kid) == (before.signer.kid, after.signer.kid)
    assert done.old != done.kid
    late = signed(after, NOW)
    for moment in (NOW, NOW + 3 * DAY - 1):
        assert verify(early, folder, moment).jti == "j" * 20
    with pytest.raises(VerdictInvalid, match="retired"):
        verify(early, folder, NOW + 3 * DAY)
    assert verify(late, folder, NOW + 3 * DAY).jti == "j" * 20


def test_the_old_private_key_is_gone_from_the_folder(folder: Path) -> None:
    secret = json.loads((folder / keys.SIGNING_FILE).read_text())["d"]
    assert any(secret in path.read_text() for path in folder.iterdir()), "the search must find what is there"
    rotate(folder)
    assert not any(secret in path.read_text() for path in folder.iterdir())
    assert (folder / keys.SIGNING_FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_that_may_be_stolen_counts_no_more(folder: Path, signed: Sign) -> None:
    early = signed(keys.load(folder), NOW)
    rotate(folder, overlap_days=0)
    with pytest.raises(VerdictInvalid, match="retired"):
        verify(early, folder, NOW)


def test_retired_keys_are_few_and_forgotten_when_they_expire(folder: Path) -> None:
    kids = [rotate(folder, NOW + number, overlap_days=1).old for number in range(keys_public.RETIRED_LIMIT)]
    assert [key.kid for key in keys.load(folder).retired] == kids
    signing = (folder / keys.SIGNING_FILE).read_bytes()
    with pytest.raises(KeyStoreError, match="too many"):
        rotate(folder, NOW + 10)
    assert (folder / keys.SIGNING_FILE).read_bytes() == signing
    done = rotate(folder, NOW + 2 * DAY)
    assert [key.kid for key in keys.load(folder).retired] == [done.old]


def test_the_status_document_stays_small_with_every_retired_key(folder: Path) -> None:
    for number in range(keys_public.RETIRED_LIMIT):
        rotate(folder, NOW + number, alg="ES256")
    public = provision.public_document(keys.load(folder), AUDIENCE)
    assert len(public["keys"]) == 1 + keys_public.RETIRED_LIMIT
    tally = Tally(9999, 10**9, "f" * 64, "s" * 500, dict.fromkeys(map(str, range(20)), 9999))
    assert len(document(public, Health(None, True, True), tally, NOW)) < 4096


def test_a_rotation_that_is_cut_off_anywhere_leaves_a_box_that_signs_and_verifies(
    folder: Path, signed: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = keys_file.replace, Path.unlink, keys_file.sync_folder

    class Cut(BaseException):
        pass

    def cutting(step: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Cut
            return step(*arguments, **options)

        return cut

    early = signed(keys.load(folder), NOW)
    for cuts in range(20):
        left = cuts
        with monkeypatch.context() as patch:
            for place, name, step in zip(
                (keys_file, Path, keys_file), ("replace", "unlink", "sync_folder"), real, strict=True
            ):
                patch.setattr(place, name, cutting(step))
            finished = False
            with contextlib.suppress(Cut):
                keys_rotation.rotate(folder, None, now=NOW)
                finished = True
        provision.publish(folder, audience=AUDIENCE)
        assert verify(early, folder, NOW).jti == "j" * 20
        assert verify(signed(keys.load(folder), NOW), folder, NOW).jti == "j" * 20
        if finished:
            break
        keys_public_file = folder / keys_public.RETIRED_FILE
        early = signed(keys.load(folder), NOW)
        keys_public_file.unlink(missing_ok=True)
    assert finished
    assert cuts > 4, "the cuts must reach the steps in the middle"


def test_a_private_member_among_the_retired_keys_refuses_to_load(folder: Path) -> None:
    rotate(folder)
    path = folder / keys_public.RETIRED_FILE
    said = json.loads(path.read_text())
    said["keys"][0]["d"] = "tell-tale"
    path.write_text(json.dumps(said))
    with pytest.raises(KeyStoreError) as caught:
        keys.load(folder)
    assert "tell-tale" not in str(caught.value)


def test_a_token_rotates_and_its_old_key_is_destroyed(
    tmp_path: Path, signed: Sign, any_token: SimulatedToken
) -> None:
    folder = tmp_path / "in-token"
    folder.mkdir(mode=0o700)
    give_pin(folder, any_token)
    provision.create_identity(folder, audience=AUDIENCE, token=any_token.config)
    any_token.flush()
    ring = keys.load(folder, any_token.config)
    early = signed(ring, NOW)
    ring.signer.close()
    before = keys_public.token_key(folder)
    assert before is not None
    done = rotate(folder, token=any_token.config)
    assert done.destroyed
    assert verify(early, folder, NOW).jti == "j" * 20
    any_token.flush()
    with pytest.raises(KeyStoreError, match="does not hold"):
        keys.open_token(folder, any_token.config).describe(bytes.fromhex(before.id))


def test_a_key_moves_from_a_file_into_a_token(folder: Path, signed: Sign, any_token: SimulatedToken) -> None:
    early = signed(keys.load(folder), NOW)
    give_pin(folder, any_token)
    rotate(folder, token=any_token.config)
    any_token.flush()
    assert not (folder / keys.SIGNING_FILE).exists()
    ring = keys.load(folder, any_token.config)
    assert verify(early, folder, NOW).jti == "j" * 20
    assert verify(signed(ring, NOW), folder, NOW).jti == "j" * 20
    ring.signer.close()


def test_a_broken_token_is_replaced_by_another(tmp_path: Path, signed: Sign, softhsm: SoftHsm) -> None:
    folder = tmp_path / "in-token"
    folder.mkdir(mode=0o700)
    give_pin(folder, softhsm)
    provision.create_identity(folder, audience=AUDIENCE, token=softhsm.config)
    ring = keys.load(folder, softhsm.config)
    early = signed(ring, NOW)
    ring.signer.close()
    (tmp_path / "new").mkdir()
    successor = SoftHsm(tmp_path / "new")
    (folder / keys.PIN_FILE).write_text(successor.pin)
    done = rotate(folder, token=successor.config)
    assert not done.destroyed
    assert verify(early, folder, NOW).jti == "j" * 20


def give_pin(folder: Path, token: SimulatedToken) -> None:
    (folder / keys.PIN_FILE).touch(0o600)
    (folder / keys.PIN_FILE).write_text(token.pin)


@pytest.mark.parametrize("overlap_days", [0, 90])
def test_the_log_names_the_new_key_and_what_was_vouched_for_before_still_holds(
    world: Any, overlap_days: int
) -> None:
    folder = world.config.vault.keys
    before = keys.load(folder).signer.kid
    world.close()
    done = keys_rotation.rotate(folder, None, now=NOW, overlap_days=overlap_days)
    world.restart()
    rows = world.vault._store.execute("SELECT detail FROM audit WHERE event = 'key' ORDER BY entry")
    assert [json.loads(str(row[0]))["kid"] for row in rows] == [before, done.kid]
