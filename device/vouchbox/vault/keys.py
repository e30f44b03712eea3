"""The box's secrets behind one interface: the signing key, the seal key and the template secret.

The signing key lies in a file or in a PKCS#11 token; who needs a signature knows the Signer protocol alone.
Secrets leave this room only as objects that sign, open or derive; no error and no log names their values.
If a token is configured there is no way round it: a key in a file is then never used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from vouchbox import config
from vouchbox.errors import KeyStoreError, SealError
from vouchbox.vault import keys_public, sealing
from vouchbox.vault.formats import from_base64url
from vouchbox.vault.keys_file import PROVISION, FileSigner, find, read_jwk, read_pem, read_secret
from vouchbox.vault.keys_public import IDENTITY_FILE, Identity, PublicKey
from vouchbox.vault.keys_token import PIN_FILE, Token
from vouchbox.vault.keys_token_signer import TokenSigner
from vouchbox.vault.template import SECRET_BYTES

__all__ = ["IDENTITY_FILE", "PIN_FILE", "Identity", "KeyRing", "PublicKey", "Signer", "load", "open_token"]

SIGNING_FILE = "signing.jwk"
SIGNING_PEM_FILE = "signing.pem"
SEAL_FILE = "seal.key"
TEMPLATE_FILE = "template.key"


class Signer(Protocol):
    """A key that can sign: in a file or in a token. `alg` and `kid` go into the header."""

    @property
    def alg(self) -> str:
        """Ed25519 or ES256."""

    @property
    def kid(self) -> str:
        """The key's thumbprint (RFC 7638)."""

    def public_jwk(self) -> dict[str, Any]:
        """The public key with `alg`, `kid` and `use` (RFC 7517)."""

    def sign(self, kind: str, claims: Mapping[str, Any]) -> bytes:
        """A compact JWS with `typ` kind over the claims as JSON; raises KeyStoreError."""

    def close(self) -> None:
        """Let go of the token, if there is one; a later signature takes it again."""


@dataclass(frozen=True, slots=True, repr=False)
class KeyRing:
    """Everything secret that the vault holds, and what is public beside it. `retired` are the public keys
    that no longer sign and may still verify."""

    identity: Identity
    signer: Signer
    seal_key: sealing.PrivateKey
    seal_public: bytes
    template_secret: bytes
    retired: tuple[PublicKey, ...] = ()


def load(directory: Path, token: config.Token | None = None) -> KeyRing:
    """The keys in `directory`, the signing key in `token` if there is one.

    Raises KeyStoreError for a missing, readable-by-others or wrong file, and for a token that is absent,
    locked, or does not hold the key that this box is known by.
    """
    seal_key, seal_public = load_seal(directory)
    secret = _secret(directory)
    signer = _signer(directory, token)
    known = keys_public.retired(directory)
    retired = tuple(key for key in known if key.kid != signer.kid)
    return KeyRing(keys_public.identity(directory), signer, seal_key, seal_public, secret, retired)


def load_seal(directory: Path) -> tuple[sealing.PrivateKey, bytes]:
    """The seal key and its public form; raises KeyStoreError."""
    try:
        seed = from_base64url(read_secret(find(directory, SEAL_FILE)).decode().strip())
        return sealing.key_pair(seed)
    except (ValueError, SealError):
        raise KeyStoreError("the seal key is damaged", PROVISION) from None


def read_file_signer(directory: Path) -> FileSigner:
    """The signing key that lies in a file, PEM before JWK; raises KeyStoreError."""
    pem = find(directory, SIGNING_PEM_FILE)
    return read_pem(pem) if pem.exists() else read_jwk(find(directory, SIGNING_FILE))


def open_token(directory: Path, token: config.Token) -> Token:
    """The token, with the PIN from `token.pin` among the credentials or in `directory`."""
    return Token(token, lambda: read_secret(find(directory, PIN_FILE)).decode().strip())


def _secret(directory: Path) -> bytes:
    try:
        secret = from_base64url(read_secret(find(directory, TEMPLATE_FILE)).decode().strip())
    except ValueError:
        raise KeyStoreError("the template secret is damaged", PROVISION) from None
    if len(secret) != SECRET_BYTES:
        raise KeyStoreError("the template secret has the wrong length", PROVISION)
    return secret


def _signer(directory: Path, token: config.Token | None) -> Signer:
    in_token = keys_public.token_key(directory)
    if token is not None:
        if in_token is None:
            raise KeyStoreError("the token holds no signing key of this box yet", PROVISION)
        return TokenSigner(open_token(directory, token), in_token)
    if in_token is not None:
        raise KeyStoreError("the signing key is in a token", "name that token in [vault.token]")
    return read_file_signer(directory)
