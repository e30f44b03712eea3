"""A registered party wants a camera for a purpose, or in a name, that only another party has."""

from __future__ import annotations

from typing import Any

import pytest

from vouchbox.errors import ConfigError
from vouchbox.vault import registry


@pytest.fixture
def two(open_world: Any, parties: Any) -> Any:
    """`a` has the purpose pickup, `b` has age-check, at one box."""
    a, b = parties(id="party-a"), parties(id="party-b")
    for party, other in ((a, "age-check"), (b, "pickup")):
        text = party.toml().replace(f'{other} = "text of {other}"\n', "")
        party.toml = lambda text=text: text
    return a, b, open_world(a, b)


def test_a_may_not_ask_for_bs_purpose_in_its_own_name(two: Any, watch: Any) -> None:
    a, _, world = two
    world.ask(a.request(purpose="age-check"))
    assert watch(world).last == ("refused", ["request-not-allowed"])
    assert (watch(world).asked, watch(world).opened) == (0, 0)


def test_a_may_not_ask_in_bs_name_with_its_own_key(two: Any, watch: Any) -> None:
    a, b, world = two
    before = world.vault._store.execute("SELECT count(*) FROM audit")
    world.ask(a.sign(b.claims(purpose="age-check")))
    b.key, b.kid = a.key, "k1"
    world.ask(b.request(purpose="age-check"))
    assert watch(world).verdicts == []
    assert watch(world).asked == 0
    assert world.vault._store.execute("SELECT count(*) FROM audit") == before


def test_a_may_not_use_the_consent_that_b_was_given(open_world: Any, parties: Any, watch: Any) -> None:
    a, b = parties.with_app(), parties.with_app()
    a.id, b.id = "party-a", "party-b"
    world = open_world(a, b)
    claims = a.claims()
    for changes in ({"iss": "party-a"}, {}):
        token = b.consent({**claims, "iss": "party-b"}, **changes)
        world.ask(a.sign({**a.claims(), "consent": token}))
        assert watch(world).last == ("refused", ["consent-invalid"])
    assert (watch(world).asked, watch(world).opened) == (0, 0)


def test_a_can_not_register_under_bs_file(tmp_path: Any, parties: Any) -> None:
    (tmp_path / "party-b.toml").write_text(parties(id="party-a").toml())
    with pytest.raises(ConfigError, match=r"party-a\.toml"):
        registry.load(tmp_path)
