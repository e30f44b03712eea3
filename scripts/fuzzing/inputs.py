"""What is fed to a decoder: noise, genuine input with damage, and well-signed nonsense, drawn by a seed.

Noise dies at the first check and damage at the signature; only what is signed by the right key reaches the
decoder of the claims, so a token's inputs are made of all of them. A seed gives the same input in every run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jws
from joserfc.jwk import OKPKey

from vouchbox.vault.formats import to_base64url

Input = Callable[[Random], bytes]

_WORDS = (
    "",
    " ",
    "pickup",
    "none",
    "HS256",
    "true",
    "\x00",
    "\u202e",
    "\U0001f642",
    "é" * 300,
    "../x",
    "\x1b[2J",
)
_NUMBERS = (0, 1, -1, 2**31, 2**63, 2**64, -(2**70), 10**300, 0.5, 1e308, -0.0, float("nan"), float("inf"))
_DEPTH = 3


def key(number: int) -> OKPKey:
    """An Ed25519 key that is the same in every run."""
    private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return OKPKey.import_key(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def sign(header: Mapping[str, Any], payload: bytes, by: OKPKey) -> bytes:
    """A compact JWS (Ed25519)."""
    return jws.serialize_compact(dict(header), payload, by, algorithms=["Ed25519"]).encode()


def value(random: Random, depth: int = 0) -> Any:
    """Any JSON value, often an awkward one."""
    kind = random.randrange(8 if depth < _DEPTH else 6)
    if kind == 0:
        return random.choice((None, True, False))
    if kind == 1:
        return random.choice(_NUMBERS)
    if kind == 2:
        return random.randint(-(2**40), 2**41)
    if kind in (3, 4):
        return random.choice(_WORDS)
    if kind == 5:
        return "".join(chr(random.randrange(32, 1000)) for _ in range(random.randrange(80)))
    if kind == 6:
        return [value(random, depth + 1) for _ in range(random.randrange(4))]
    return {str(value(random, _DEPTH)): value(random, depth + 1) for _ in range(random.randrange(4))}


def noise(random: Random) -> bytes:
    """Up to 300 random bytes, or of the few that tokens are made of."""
    size = random.randrange(300)
    if random.random() < 0.5:
        return random.randbytes(size)
    return bytes(random.choices(b'.eyJhbGciOiJFZDI1NTE5_-={}[]":\n#', k=size))


def damage(random: Random, good: bytes) -> bytes:
    """`good` with one to three places cut, filled or overwritten."""
    data = good
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(data) + 1)
        data = data[:at] + random.randbytes(random.randrange(6)) + data[at + random.randrange(9) :]
    return data


def tokens(
    kind: str,
    kid: str,
    by: OKPKey,
    claims: Mapping[str, Any],
    inside: Mapping[str, Collection[str]] | None = None,
) -> Input:
    """Tokens of type `kind`: noise, damage, unsigned nonsense, and nonsense in `claims` signed by `by`.

    `inside` names members of nested claims that get nonsense too: member of claims to its members.
    """
    header = {"alg": "Ed25519", "typ": kind, "kid": kid}
    genuine = sign(header, json.dumps(claims).encode(), by)
    places = [(name, "") for name in sorted(claims)]
    places += [(outer, name) for outer, members in (inside or {}).items() for name in sorted(members)]

    def nonsense(random: Random) -> bytes:
        said = dict(claims)
        for outer, name in random.sample(places, random.randrange(3)):
            if not name:
                said[outer] = value(random)
            elif isinstance(said[outer], dict):
                said[outer] = {**said[outer], name: value(random)}
        if random.random() < 0.1:
            said.pop(random.choice(sorted(said)))
        payload = json.dumps(said).encode()
        return sign(header, damage(random, payload) if random.random() < 0.2 else payload, by)

    def unsigned(random: Random) -> bytes:
        head = dict(header)
        head[random.choice(("alg", "typ", "kid", "crit", "jwk", "b64"))] = value(random)
        parts = (head if random.random() < 0.8 else value(random), random.choice((claims, value(random))))
        body = ".".join(to_base64url(json.dumps(part).encode()) for part in parts)
        return f"{body}.{random.choice(('', 'AAAA', genuine.decode().split('.')[2]))}".encode()

    def draw(random: Random) -> bytes:
        chance = random.random()
        if chance < 0.1:
            return noise(random)
        if chance < 0.3:
            return damage(random, genuine)
        return unsigned(random) if chance < 0.5 else nonsense(random)

    return draw


def texts(good: str) -> Input:
    """TOML: `good` with damage, with values replaced, with lines left out or told twice, or noise."""
    lines = good.splitlines()

    def draw(random: Random) -> bytes:
        chance = random.random()
        if chance < 0.1:
            return noise(random)
        if chance < 0.4:
            return damage(random, good.encode())
        changed = list(lines)
        for at in random.sample(range(len(lines)), random.randint(1, 2)):
            name, equals, _ = changed[at].partition(" = ")
            if equals and chance < 0.85:
                changed[at] = f"{name} = {_toml(value(random))}"
            else:
                changed[at] = random.choice(("", changed[at] + "\n" + changed[at], random.choice(lines)))
        return "\n".join(changed).encode("utf-8", "surrogatepass")

    return draw


def _toml(said: Any) -> str:
    if isinstance(said, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in said.items()) + "}"
    if isinstance(said, list):
        return "[" + ", ".join(map(_toml, said)) + "]"
    return json.dumps(said, ensure_ascii=False)
