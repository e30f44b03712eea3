"""The key store and the registry: what refuses to load, and what never shows."""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwk

from vouchbox.errors import ConfigError, KeyStoreError
from vouchbox.messages import TemplateReaders
from vouchbox.vault import keys, keys_file, keys_public, matching, provision, registry
from vouchbox.vault.formats import from_base64url, to_base64url
from vouchbox.vault.notice import FIELDS

AUDIENCE = "vouchbox:shop/door"


@pytest.mark.parametrize("alg", ["Ed25519", "ES256"])
def test_a_new_identity_signs_and_shows_only_its_public_half(tmp_path: Path, alg: Any) -> None:
    document = provision.create_identity(tmp_path, audience=AUDIENCE, alg=alg)
    ring = keys.load(tmp_path)
    assert ring.signer.alg == alg
    ueid = from_base64url(ring.identity.ueid)
    assert (ueid[0], len(ueid)) == (1, 17)
    public = (tmp_path / provision.PUBLIC_FILE).read_text()
    assert json.loads(public) == document
    secrets = [json.loads((tmp_path / keys.SIGNING_FILE).read_text())["d"]]
    secrets += [(tmp_path / name).read_text() for name in (keys.SEAL_FILE, keys.TEMPLATE_FILE)]
    for secret in secrets:
        assert secret not in public
        assert secret not in repr(ring)
    for name in (keys.SIGNING_FILE, keys.SEAL_FILE, keys.TEMPLATE_FILE):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    provision.create_identity(tmp_path, audience=AUDIENCE)
    before = (tmp_path / keys.SIGNING_FILE).read_bytes()
    with pytest.raises(KeyStoreError, match="exists already"):
        provision.create_identity(tmp_path, audience=AUDIENCE)
    assert (tmp_path / keys.SIGNING_FILE).read_bytes() == before


@pytest.mark.parametrize("name", [keys.SIGNING_FILE, keys.SEAL_FILE, keys.TEMPLATE_FILE])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_secret_that_others_may_touch_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    provision.create_identity(tmp_path, audience=AUDIENCE)
    (tmp_path / name).chmod(mode)
    with pytest.raises(KeyStoreError, match="others may read"):
        keys.load(tmp_path)


@pytest.mark.parametrize("name", [keys.SIGNING_FILE, keys.SEAL_FILE, keys.TEMPLATE_FILE, keys.IDENTITY_FILE])
def test_a_missing_or_damaged_file_is_named_and_its_content_is_not(tmp_path: Path, name: str) -> None:
    provision.create_identity(tmp_path, audience=AUDIENCE)
    (tmp_path / name).write_text("tell-tale")
    with pytest.raises(KeyStoreError) as caught:
        keys.load(tmp_path)
    assert "tell-tale" not in str(caught.value)
    (tmp_path / name).unlink()
    with pytest.raises(KeyStoreError):
        keys.load(tmp_path)


def test_a_link_is_no_key_file(tmp_path: Path) -> None:
    provision.create_identity(tmp_path, audience=AUDIENCE)
    path = tmp_path / keys.SEAL_FILE
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(KeyStoreError):
        keys.load(tmp_path)


@pytest.mark.parametrize("kind", ["Ed25519", "P-256"])
def test_a_pem_file_serves_as_well(tmp_path: Path, kind: Any) -> None:
    provision.create_identity(tmp_path, audience=AUDIENCE)
    key = jwk.OKPKey.generate_key("Ed25519") if kind == "Ed25519" else jwk.ECKey.generate_key("P-256")
    (tmp_path / keys.SIGNING_FILE).unlink()
    (tmp_path / keys.SIGNING_PEM_FILE).write_bytes(key.as_pem(private=True))
    (tmp_path / keys.SIGNING_PEM_FILE).chmod(0o600)
    assert keys.load(tmp_path).signer.kid == key.thumbprint()


@pytest.mark.parametrize(
    "key",
    [
        jwk.OKPKey.generate_key("X25519").as_dict(private=True),
        jwk.ECKey.generate_key("P-384").as_dict(private=True),
        jwk.OctKey.generate_key(256).as_dict(private=True),
        jwk.OKPKey.generate_key("Ed25519").as_dict(private=False),
    ],
    ids=["X25519", "P-384", "symmetric", "public"],
)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, key: dict[str, Any]) -> None:
    provision.create_identity(tmp_path, audience=AUDIENCE)
    (tmp_path / keys.SIGNING_FILE).write_text(json.dumps(key))
    with pytest.raises(KeyStoreError):
        keys.load(tmp_path)


# --- registry -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", FIELDS)
def test_a_notice_that_leaves_a_field_untold_refuses_to_load(party: Any, field: str) -> None:
    head, notice = party.toml().split("[notice]\n")
    lines = [line for line in notice.splitlines() if not line.startswith(f"{field} = ")]
    with pytest.raises(ConfigError, match=f"untold.*{field}"):
        registry.parse("\n".join((head, "[notice]", *lines)).encode(), "pickup.toml")
    for blank in (" ", [], [" "]):
        with pytest.raises(ConfigError, match=f"untold.*{field}"):
            registry.parse(party.toml(**{field: blank}).encode(), "pickup.toml")


def test_no_purpose_no_camera(party: Any) -> None:
    for text in ('pickup = " "', 'pickup = ""', ""):
        told = party.toml().replace('pickup = "text of pickup"', text)
        told = told.replace('age-check = "text of age-check"', "")
        with pytest.raises(ConfigError, match="purpose"):
            registry.parse(told.encode(), "pickup.toml")


@pytest.mark.parametrize("trick", ["\x1b[2J", "a\nb", "\u202egnp.exe", "\x07", "\u2028", "\x9b2J"])
def test_a_text_that_plays_tricks_on_a_screen_refuses_to_load(party: Any, trick: str) -> None:
    with pytest.raises(ConfigError, match="no screen shows"):
        registry.parse(party.toml(alternative=f"show {trick} an ID").encode(), "pickup.toml")
    assert registry.parse(party.toml(alternative="क\u200dष, Größe 5\u00a0m").encode(), "pickup.toml")


def test_a_notice_always_fits_into_one_message(party: Any) -> None:
    longest = party.toml(**{name: ["ü" * 512] * 8 for name in ("recipients", "processors")})
    with pytest.raises(ConfigError, match="shorten"):
        registry.parse(longest.encode(), "pickup.toml")
    with pytest.raises(ConfigError, match="alternative"):
        registry.parse(party.toml(alternative="x" * 513).encode(), "pickup.toml")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('alg = "Ed25519"', 'alg = "EdDSA"'),
        ('alg = "Ed25519"', 'alg = "HS256"'),
        ('alg = "Ed25519"', 'alg = "none"'),
        ('alg = "Ed25519"', 'alg = "ES256"'),
        ('kid = "k1"', 'kid = ""'),
        ('kid = "k1"', 'kid = "k1"\nd = "AAAA"'),
        ('actions = ["check", "enroll", "match"]', "actions = []"),
        ('actions = ["check", "enroll", "match"]', 'actions = ["identify"]'),
        ("retention-days = 30", "retention-days = -1"),
        ("retention-days = 30", "retention-days = 30\nsurprise = 1"),
        ('id = "pickup"', 'id = "Pickup Counter"'),
        ('seal-key = "', 'seal-key = "AA'),
        ("[notice]", '[notice]\nsurprise = "x"'),
        ("[notice]", '[notice]\npurpose = "another"'),
        ("vouchbox-notice-1", "vouchbox-notice-2"),
        ("https://shop.example/policy", "http://shop.example/policy"),
        ('language = "en"', 'language = "English"'),
        ("validity-days = 30", "validity-days = 0"),
        ("retention-days = 30", 'retention-days = 30\nconsent = ["word of mouth"]'),
        ("retention-days = 30", 'retention-days = 30\nconsent = ["token"]'),
    ],
)
def test_a_registration_that_is_not_wholly_right_refuses_to_load(party: Any, old: str, new: str) -> None:
    assert old in party.toml()
    with pytest.raises(ConfigError):
        registry.parse(party.toml().replace(old, new).encode(), "pickup.toml")


def test_a_party_that_can_open_templates_needs_a_seal_key_and_the_fleet_needs_none(party: Any) -> None:
    lines = "\n".join(line for line in party.toml().splitlines() if not line.startswith("seal-key"))
    with pytest.raises(ConfigError, match="seal-key"):
        registry.parse(lines.encode(), "pickup.toml")
    fleets = lines.replace('template-readers = "party"', 'template-readers = "fleet"')
    assert registry.parse(fleets.encode(), "pickup.toml").template_readers is TemplateReaders.FLEET


def test_the_notice_names_somebody_who_can_open_a_template_exactly_where_one_is_made(party: Any) -> None:
    nobody = party.toml().replace('template-readers = "party"', 'template-readers = "nobody"')
    with pytest.raises(ConfigError, match="template-readers"):
        registry.parse(nobody.encode(), "pickup.toml")
    check = nobody.replace('actions = ["check", "enroll", "match"]', 'actions = ["check"]')
    assert registry.parse(check.encode(), "pickup.toml").template_readers is TemplateReaders.NOBODY
    with pytest.raises(ConfigError, match="template-readers"):
        registry.parse(check.replace('"nobody"', '"party"').encode(), "pickup.toml")


def test_a_folder_is_loaded_whole_and_names_must_agree(tmp_path: Path, party: Any, parties: Any) -> None:
    (tmp_path / "pickup.toml").write_text(party.toml())
    (tmp_path / "notes.txt").write_text("not a registration")
    assert set(registry.load(tmp_path)) == {"pickup"}
    (tmp_path / "other.toml").write_text(party.toml())
    with pytest.raises(ConfigError, match=r"other\.toml"):
        registry.load(tmp_path)
    with pytest.raises(ConfigError):
        registry.load(tmp_path / "missing")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_registration_is_a_config_error_and_nothing_else(party: Any, data: Any) -> None:
    good = party.toml().encode()
    place = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:place] + data.draw(st.binary(max_size=4)) + good[place + data.draw(st.integers(0, 8)) :]
    with suppress(ConfigError):
        registry.parse(damaged, "x.toml")


def test_base64url_has_one_form_only() -> None:
    assert from_base64url(to_base64url(b"\xff\xfe\xfd")) == b"\xff\xfe\xfd"
    for wrong in ("AB=", "A", "AB+/", "AA\n", "AB"):
        with pytest.raises(ValueError):
            from_base64url(wrong)


def test_a_threshold_keeps_the_asked_rate_or_a_stricter_one(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(
        f'[[model]]\nrole = "embedding"\nsha256 = "{"a" * 64}"\n'
        'thresholds = { "1e-3" = 0.5, "1e-4" = 0.6 }\n'
    )
    known = matching.load(tmp_path)
    assert known.cosine(1e-3) == 0.5
    assert known.cosine(5e-4) == 0.6
    assert known.cosine(1e-5) is None
    with pytest.raises(ConfigError):
        matching.load(tmp_path / "missing")


# --- systemd credentials --------------------------------------------------------------------------------
def access_list(*entries: tuple[int, int, int]) -> bytes:
    """An access list as the kernel stores it (acl(5)): tag, rights, id."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFF_FFFF


@pytest.fixture
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The seal key as a credential; a wrong one lies in the folder of keys."""
    provision.create_identity(tmp_path / "keys", audience=AUDIENCE)
    folder = tmp_path / "credentials"
    folder.mkdir()
    path = folder / keys.SEAL_FILE
    (tmp_path / "keys" / keys.SEAL_FILE).rename(path)
    (tmp_path / "keys" / keys.SEAL_FILE).write_text("damaged")
    (tmp_path / "keys" / keys.SEAL_FILE).chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    path.chmod(0o400)
    return path


def test_a_credential_of_systemd_comes_before_the_folder(
    credential: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.load(tmp_path / "keys")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(KeyStoreError, match="seal key"):
        keys.load(tmp_path / "keys")


def test_where_the_folder_is_closed_the_credentials_are_all_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision.create_identity(tmp_path / "credentials", audience=AUDIENCE)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    keys.load(tmp_path / "closed")
    (tmp_path / "credentials" / keys.SIGNING_FILE).unlink()
    with pytest.raises(KeyStoreError, match=f"can't read .*credentials/{keys.SIGNING_FILE}"):
        keys.load(tmp_path / "closed")


def grant(path: Path, *entries: tuple[int, int, int]) -> None:
    try:
        os.setxattr(path, "system.posix_acl_access", access_list(*entries))
    except OSError as problem:
        pytest.skip(f"this file system has no access lists ({problem.strerror})")


def test_a_credential_that_systemd_grants_to_this_user_alone_is_read(
    credential: Path, tmp_path: Path
) -> None:
    me = os.getuid()
    grant(credential, (1, 4, NOBODY), (2, 4, me), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))
    assert credential.stat().st_mode & 0o777 == 0o440
    keys.load(tmp_path / "keys")


@pytest.mark.parametrize(
    "entries",
    [
        ((1, 4, NOBODY), (2, 4, 12345), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)),
        ((1, 4, NOBODY), (2, 4, 0), (2, 4, 12345), (4, 0, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)),
        ((1, 4, NOBODY), (4, 0, NOBODY), (8, 4, 12345), (16, 4, NOBODY), (32, 0, NOBODY)),
        ((1, 4, NOBODY), (2, 4, 0), (4, 4, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY)),
        ((1, 4, NOBODY), (2, 4, 0), (4, 0, NOBODY), (16, 4, NOBODY), (32, 4, NOBODY)),
    ],
    ids=["another user", "me and another", "a named group", "the group", "everyone"],
)
def test_a_credential_that_anyone_else_may_read_is_refused(
    credential: Path, tmp_path: Path, entries: tuple[tuple[int, int, int], ...]
) -> None:
    grant(credential, *entries)
    with pytest.raises(KeyStoreError, match="others may read"):
        keys.load(tmp_path / "keys")


def test_a_group_that_may_read_a_credential_without_any_list_is_refused(
    credential: Path, tmp_path: Path
) -> None:
    credential.chmod(0o440)
    with pytest.raises(KeyStoreError, match="others may read"):
        keys.load(tmp_path / "keys")


# --- the public files beside the secrets ----------------------------------------------------------------
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_public_file_is_a_key_store_error_and_nothing_else(tmp_path: Path, data: Any) -> None:
    public = keys_file.public_members(jwk.ECKey.generate_key("P-256"))
    key = keys_public.PublicKey(**public, exp=1_800_000_000)
    record = keys_public.TokenKey("0a0b", keys_public.PublicKey(**public))
    for name, good, read in (
        (keys_public.RETIRED_FILE, keys_public.encode_retired((key,)), keys_public.retired),
        (keys_public.TOKEN_KEY_FILE, msgspec.json.encode(record), keys_public.token_key),
        (keys.IDENTITY_FILE, b'{"ueid": "AQ"}', keys_public.identity),
    ):
        (tmp_path / name).write_bytes(good)
        assert read(tmp_path)
        place = data.draw(st.integers(0, len(good) - 1))
        rest = good[place + data.draw(st.integers(0, 8)) :]
        (tmp_path / name).write_bytes(good[:place] + data.draw(st.binary(max_size=4)) + rest)
        with suppress(KeyStoreError):
            read(tmp_path)
