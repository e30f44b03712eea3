"""Seal bytes to one recipient and open what was sealed to this box: HPKE (RFC 9180), base mode.

The suite is fixed: KEM MLKEM768-X25519 (0x647a, draft-ietf-hpke-pq), KDF HKDF-SHA256, AEAD AES-256-GCM.
There is no additional data; the context goes into `info`, so that bytes sealed for one session, party or
purpose open for no other. A sealed message is `enc` (1120 bytes), ciphertext and tag (16 bytes) in one
string. Nothing here knows what it seals.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from vouchbox.errors import SealError

KEM_NAME = "MLKEM768-X25519"
SEED_BYTES = 32
PUBLIC_BYTES = 1184 + 32
OVERHEAD_BYTES = 1120 + 16
"""How much longer sealed bytes are than their plaintext."""

PrivateKey = hpke.MLKEM768X25519PrivateKey
PublicKey = hpke.MLKEM768X25519PublicKey

_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def key_pair(seed: bytes) -> tuple[PrivateKey, bytes]:
    """The private key of a 32-byte seed, and its 1216-byte public form (ML-KEM first, then X25519).

    SHAKE256 expands the seed into 64 bytes for ML-KEM-768 and 32 for X25519 (draft-ietf-hpke-pq; the same
    as X-Wing), so that the seed can be carried to any other implementation. Raises SealError otherwise.
    """
    if len(seed) != SEED_BYTES:
        raise SealError("the seal key has the wrong length", f"give a seed of {SEED_BYTES} bytes")
    expanded = hashlib.shake_256(seed).digest(96)
    lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return PrivateKey(lattice, curve), public


def public_key(raw: bytes) -> PublicKey:
    """The public key of its 1216 bytes; raises SealError when they are none."""
    if len(raw) != PUBLIC_BYTES:
        raise SealError("a public seal key has the wrong length", f"give {PUBLIC_BYTES} bytes")
    try:
        return PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(raw[:1184]),
            x25519.X25519PublicKey.from_public_bytes(raw[1184:]),
        )
    except ValueError:
        raise SealError("a public seal key is damaged", "register the key again") from None


def seal(plaintext: bytes, recipient: PublicKey, context: bytes) -> bytes:
    """`plaintext` sealed to `recipient` under `context`; OVERHEAD_BYTES longer. Raises SealError."""
    try:
        return _SUITE.encrypt(plaintext, recipient, info=context)
    except ValueError:
        raise SealError("sealing failed", "register the recipient's seal key again") from None


def unseal(sealed: bytes, key: PrivateKey, context: bytes) -> bytes:
    """The plaintext of `sealed`; raises SealError for another key, another context or a changed byte."""
    try:
        return _SUITE.decrypt(sealed, key, info=context)
    except (InvalidTag, ValueError):
        raise SealError(
            "the sealed bytes do not open", "seal them to this key and for this very context"
        ) from None
