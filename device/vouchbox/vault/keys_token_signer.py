"""A signer whose private key is in a token. joserfc builds the JWS and asks the token for the signature.

Every signature is verified with the public key by which the box is known before it leaves this module. So a
token that was swapped, that answers nonsense or that does not answer yields an error, never a statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from vouchbox.errors import KeyStoreError
from vouchbox.vault.keys_public import TokenKey
from vouchbox.vault.keys_token import Token

_TRIAL = "vouchbox-trial"


class TokenSigner:
    """See keys.Signer. Signs once at construction, so that a wrong token is found before it is needed."""

    def __init__(self, token: Token, key: TokenKey) -> None:
        self._token = token
        self._public = key.key
        self._verifier = key.key.key()
        self.alg: str = key.key.alg
        self.kid = key.key.kid
        self._registry = _Registry(
            self.alg, lambda message: token.sign(bytes.fromhex(key.id), self.alg, message)
        )
        try:
            self.sign(_TRIAL, {})
        except KeyStoreError:
            token.close()
            raise

    def public_jwk(self) -> dict[str, Any]:
        """See keys.Signer."""
        return self._public.members()

    def sign(self, kind: str, claims: Mapping[str, Any]) -> bytes:
        """See keys.Signer; raises KeyStoreError when the token does not sign with the known key."""
        header = {"alg": self.alg, "typ": kind, "kid": self.kid}
        try:
            token = jws.serialize_compact(
                header, msgspec.json.encode(claims), self._verifier, registry=self._registry
            )
            genuine = jws.validate_compact(
                jws.extract_compact(token.encode()), self._verifier, algorithms=[self.alg]
            )
        except (JoseError, ValueError):
            genuine, token = False, ""
        if not genuine:
            raise KeyStoreError("the token signs with another key", "use the token of this box")
        return token.encode()

    def close(self) -> None:
        """See keys.Signer."""
        self._token.close()


class _Registry(jws.JWSRegistry):
    """joserfc's registry of algorithms with one algorithm, whose signing step is the token's."""

    def __init__(self, alg: str, sign: Any) -> None:
        super().__init__(algorithms=[alg])
        self._algorithm = _InToken(super().get_alg(alg), sign)

    def get_alg(self, name: str) -> Any:
        """The algorithm, if it is the allowed one; joserfc raises UnsupportedAlgorithmError otherwise."""
        super().get_alg(name)
        return self._algorithm


class _InToken:
    """A JWS algorithm of joserfc, with the private operation done elsewhere."""

    def __init__(self, genuine: Any, sign: Any) -> None:
        self.name = genuine.name
        self.check_key = genuine.check_key
        self.verify = genuine.verify
        self._sign = sign

    def sign(self, message: bytes, _key: Any) -> bytes:
        """The signature over the signing input that joserfc built (RFC 7515, 5.1)."""
        signature: bytes = self._sign(message)
        return signature
