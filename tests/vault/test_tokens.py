"""A signing key in a token: SoftHSM, and a TPM (swtpm) through tpm2-pkcs11. What works, what never may."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pkcs11
import pytest
from joserfc import jwk, jws

from vouchbox.config import Token as TokenConfig
from vouchbox.errors import KeyStoreError
from vouchbox.messages import Action, ConsentAsked, ConsentGiven, Examine, LinkState, Outcome, SessionEnded
from vouchbox.simulator.tokens import SimulatedToken, SoftHsm, Tpm
from vouchbox.vault import keys, keys_public, keys_token, provision
from vouchbox.vault.session import STORE_RETRY_S

AUDIENCE = "vouchbox:shop/door"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.mkdir(mode=0o700)
    return path


def give_pin(folder: Path, pin: str) -> None:
    (folder / keys.PIN_FILE).touch(0o600)
    (folder / keys.PIN_FILE).write_text(pin + "\n")


def provisioned(folder: Path, token: SimulatedToken, **options: Any) -> dict[str, Any]:
    give_pin(folder, token.pin)
    document = provision.create_identity(folder, audience=AUDIENCE, token=token.config, **options)
    token.flush()
    return document


def test_a_token_makes_the_best_key_it_can_and_any_jose_library_verifies(
    folder: Path, any_token: SimulatedToken
) -> None:
    document = provisioned(folder, any_token)
    (public,) = document["keys"]
    assert public["alg"] == ("Ed25519" if isinstance(any_token, SoftHsm) else "ES256")
    signer = keys.load(folder, any_token.config).signer
    for number in range(5):
        token = signer.sign("eat+jwt", {"number": number})
        read = jws.deserialize_compact(token, jwk.import_key(public), algorithms=[public["alg"]])
        assert json.loads(read.payload or b"") == {"number": number}
        assert read.headers() == {"alg": public["alg"], "typ": "eat+jwt", "kid": signer.kid}
    assert signer.kid == jwk.import_key(public).thumbprint()
    signer.close()
    assert not {keys.SIGNING_FILE, keys.SIGNING_PEM_FILE} & {path.name for path in folder.iterdir()}


def test_the_operator_may_choose_what_the_token_can_and_nothing_else(folder: Path, softhsm: SoftHsm) -> None:
    assert provisioned(folder, softhsm, alg="ES256")["keys"][0]["alg"] == "ES256"


def test_a_tpm_is_not_asked_for_what_it_can_not_do(folder: Path, tpm: Tpm) -> None:
    with pytest.raises(KeyStoreError, match="Ed25519"):
        provisioned(folder, tpm, alg="Ed25519")
    assert {path.name for path in folder.iterdir()} == {keys.PIN_FILE}, "nothing half made is left"


def test_a_key_that_can_be_read_out_is_not_used(folder: Path, softhsm: SoftHsm) -> None:
    give_pin(folder, softhsm.pin)
    identifier = b"\x01\x02"
    door = keys.open_token(folder, softhsm.config)
    door.algorithms()
    door.close()
    token = pkcs11.lib(str(softhsm.config.module)).get_token(token_label=softhsm.config.label)
    with token.open(rw=True, user_pin=softhsm.pin) as session:
        curve = {pkcs11.Attribute.EC_PARAMS: pkcs11.util.ec.encode_named_curve_parameters("secp256r1")}
        shape = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        shape.generate_keypair(
            id=identifier, store=True, private_template={pkcs11.Attribute.EXTRACTABLE: True}
        )
    with pytest.raises(KeyStoreError, match="read out"):
        provision.create_identity(folder, audience=AUDIENCE, token=softhsm.config, token_key=identifier)


def test_the_pin_is_read_where_systemd_handed_it_over(
    folder: Path, softhsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provisioned(folder, softhsm)
    handed = tmp_path / "credentials"
    handed.mkdir()
    (folder / keys.PIN_FILE).rename(handed / keys.PIN_FILE)
    with pytest.raises(KeyStoreError, match=r"token\.pin"):
        keys.load(folder, softhsm.config).signer.sign("eat+jwt", {})
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(handed))
    signer = keys.load(folder, softhsm.config).signer
    assert signer.sign("eat+jwt", {})
    signer.close()


def test_a_refused_pin_is_tried_once_and_never_shown(folder: Path, softhsm: SoftHsm) -> None:
    asked: list[str] = []

    def wrong() -> str:
        asked.append("tell-tale-pin")
        return asked[-1]

    token = keys_token.Token(softhsm.config, wrong)
    for _ in range(5):
        with pytest.raises(KeyStoreError, match="refused the PIN") as caught:
            token.sign(b"\x01", "Ed25519", b"message")
        assert "tell-tale" not in str(caught.value)
    assert len(asked) == 1


def test_a_pin_that_others_may_read_is_refused(folder: Path, softhsm: SoftHsm) -> None:
    provisioned(folder, softhsm)
    (folder / keys.PIN_FILE).chmod(0o640)
    with pytest.raises(KeyStoreError, match="others may read"):
        keys.load(folder, softhsm.config)


def test_a_tpm_that_goes_away_signs_nothing_and_one_that_comes_back_signs(folder: Path, tpm: Tpm) -> None:
    provisioned(folder, tpm)
    signer = keys.load(folder, tpm.config).signer
    tpm.stop()
    for _ in range(2):
        with pytest.raises(KeyStoreError):
            signer.sign("eat+jwt", {})
    tpm.start()
    assert signer.sign("eat+jwt", {})
    signer.close()


def test_a_token_whose_objects_vanish_signs_nothing_and_they_may_come_back(
    folder: Path, softhsm: SoftHsm, tmp_path: Path
) -> None:
    provisioned(folder, softhsm)
    signer = keys.load(folder, softhsm.config).signer
    shutil.move(softhsm.tokens, tmp_path / "away")
    softhsm.tokens.mkdir()
    with pytest.raises(KeyStoreError):
        signer.sign("eat+jwt", {})
    softhsm.tokens.rmdir()
    shutil.move(tmp_path / "away", softhsm.tokens)
    assert signer.sign("eat+jwt", {})
    signer.close()


def test_a_foreign_token_of_the_same_name_is_not_taken_for_ours(
    folder: Path, softhsm: SoftHsm, tmp_path: Path
) -> None:
    provisioned(folder, softhsm)
    (tmp_path / "other").mkdir()
    foreign = SoftHsm(tmp_path / "other")
    give_pin(folder, foreign.pin)
    with pytest.raises(KeyStoreError, match="does not hold"):
        keys.load(folder, foreign.config)


def test_another_key_of_the_right_token_makes_no_statement(folder: Path, softhsm: SoftHsm) -> None:
    provisioned(folder, softhsm)
    path = folder / keys_public.TOKEN_KEY_FILE
    record = msgspec.json.decode(path.read_bytes(), type=keys_public.TokenKey)
    door = keys.open_token(folder, softhsm.config)
    other = door.make(record.key.alg)
    door.close()
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(record, id=other.id)))
    with pytest.raises(KeyStoreError, match="another key"):
        keys.load(folder, softhsm.config)


def test_no_key_in_a_file_takes_the_place_of_a_token(folder: Path, softhsm: SoftHsm, tmp_path: Path) -> None:
    provision.create_identity(tmp_path / "files", audience=AUDIENCE)
    with pytest.raises(KeyStoreError, match="holds no signing key"):
        keys.load(tmp_path / "files", softhsm.config)
    provisioned(folder, softhsm)
    shutil.copy(tmp_path / "files" / keys.SIGNING_FILE, folder)
    (folder / keys.SIGNING_FILE).chmod(0o600)
    with pytest.raises(KeyStoreError, match="in a token"):
        keys.load(folder)


@pytest.mark.parametrize("module", ["/nowhere/library.so", "/etc/hostname"])
def test_a_library_that_does_not_load_is_an_error_with_advice(folder: Path, module: str) -> None:
    give_pin(folder, "1234")
    with pytest.raises(KeyStoreError, match=r"vault\.token"):
        provision.create_identity(folder, audience=AUDIENCE, token=TokenConfig(Path(module)))


def favourable(world: Any) -> list[str]:
    rows = world.vault._store.execute("SELECT payload FROM outbox")
    tokens = [row[0] for row in rows if row[0].startswith(b"ey")]
    outcomes = [json.loads(jws.extract_compact(token).payload)["vouchbox"]["outcome"] for token in tokens]
    return [outcome for outcome in outcomes if outcome in ("live", "match")]


@pytest.mark.parametrize("how", ["alive", "dead", "locked"])
def test_a_session_whose_token_fails_never_ends_in_a_favourable_verdict(
    how: str,
    tpm: Tpm,
    make_world: Callable[..., Any],
    party: Any,
    exam: Callable[..., Any],
) -> None:
    world = make_world(party, token=tpm)
    world.join("vision", "kiosk", "uplink")
    world.say("uplink", LinkState(connected=True))
    world.ask(party.request(action=Action.CHECK.value))
    (asked,) = world.of("kiosk", ConsentAsked)
    world.say("kiosk", ConsentGiven(asked.session, accepted=True))
    (order,) = world.of("vision", Examine)

    if how == "dead":
        tpm.stop()
    elif how == "locked":
        (world.config.vault.keys / keys.PIN_FILE).write_text("another")
        world.vault._ring.signer.close()
        tpm.flush()
    world.say("vision", exam(order.session, order.prompts))
    if how == "alive":
        assert favourable(world) == ["live"], "the search must find what is there"
        return
    assert world.of("kiosk", SessionEnded) == []
    assert favourable(world) == []
    if how == "locked":
        return

    tpm.start()
    world.clock.pass_by(STORE_RETRY_S + 1)
    world.settle(until=lambda: world.of("kiosk", SessionEnded))
    (ended,) = world.of("kiosk", SessionEnded)
    assert ended.outcome is Outcome.INCONCLUSIVE
    assert favourable(world) == []
