"""The formats are standard: other people's JOSE and HPKE, in another language, agree with ours both ways."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from vouchbox.messages import Action
from vouchbox.relying_party import keys, templates
from vouchbox.vault import sealed as vault_sealed
from vouchbox.vault import template as vault_template

NOW = 1_800_000_000
Node = Callable[..., Any]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def question(world: Any, token: bytes, nonce: str, **changes: Any) -> dict[str, Any]:
    document = json.loads(world.box.document)
    asked = {"token": token.decode(), "document": document, "audience": "pickup", "nonce": nonce, "now": NOW}
    return asked | changes


def test_jose_of_npm_verifies_a_verdict_and_reads_the_same_claims(world: Any, node: Node) -> None:
    asked = world.ask()
    spoken = world.box.speak(world.box.hear(asked.payload))
    answer = node("verify.mjs", question(world, spoken.verdict, asked.nonce))
    assert answer["verified"], answer
    assert answer["header"]["typ"] == "eat+jwt"
    assert answer["header"]["alg"] == world.box.ring.signer.alg
    assert answer["claims"]["jti"] == spoken.jti
    assert answer["claims"]["vouchbox"]["outcome"] == "live"


def test_jose_of_npm_refuses_what_we_refuse(world: Any, node: Node) -> None:
    asked = world.ask()
    token = world.box.speak(world.box.hear(asked.payload)).verdict
    head, body, signature = token.split(b".")
    claims = json.loads(unb64(body.decode()))
    claims["vouchbox"]["outcome"] = "match"
    changed = b".".join((head, b64(json.dumps(claims).encode()).encode(), signature))
    for question_ in (
        question(world, changed, asked.nonce),
        question(world, token, asked.nonce, audience="other"),
        question(world, token, "another-nonce"),
        question(world, token, asked.nonce, now=NOW + 30 * 86_400),
    ):
        assert not node("verify.mjs", question_)["verified"]


def test_hpke_of_npm_opens_a_sealed_template(world: Any, node: Node) -> None:
    spoken = world.box.speak(world.box.hear(world.ask(Action.ENROLL).payload))
    message = templates.parse(spoken.template)
    asked = {
        "seed": (world.folder / "keys" / keys.SEAL_FILE).read_text(),
        "sealed": b64(message.sealed),
        "box": message.box,
        "party": message.party,
        "jti": message.jti,
        "purpose": message.purpose,
    }
    answer = node("open.mjs", asked)
    assert answer["opened"], answer
    assert answer["kem"] == 0x647A
    assert unb64(answer["clear"]) == templates.unseal(message, world.keys.seal)
    assert not node("open.mjs", asked | {"purpose": "marketing"})["opened"]


def test_a_relying_party_written_in_another_language_is_understood_by_the_vault(
    world: Any, node: Node
) -> None:
    spoken = world.box.speak(world.box.hear(world.ask(Action.ENROLL).payload))
    clear = templates.unseal(templates.parse(spoken.template), world.keys.seal)
    digest = sha256(spoken.template).hexdigest()
    answer = node(
        "ask.mjs",
        {
            "signing": json.loads((world.folder / "keys" / keys.SIGNING_FILE).read_text()),
            "document": json.loads(world.box.document),
            "party": "pickup",
            "clear": b64(clear),
            "digest": digest,
            "now": NOW,
        },
    )
    judged = world.box.hear(answer["request"].encode())
    assert judged.refusal is None
    ring = world.box.ring
    opened = vault_sealed.open_reference(
        judged.reference, ring.seal_key, box=ring.identity.ueid, request=judged.request
    )
    assert vault_template.encode(opened) == clear
    assert world.box.acknowledged(answer["ack"].encode()) == (digest,)
