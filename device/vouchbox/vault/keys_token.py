"""A PKCS#11 token: log in, make a key that can't leave it, sign with it, destroy it.

SoftHSM, a TPM (through tpm2-pkcs11) and secure elements come through this one door. The private key is
made inside, sensitive and not extractable, and refuses to be used otherwise. The PIN is read when it is
needed and kept nowhere. After any trouble the library is closed and opened anew at the next use, so that a
token that comes back works again; after a refused PIN it is not tried again, for tokens lock themselves.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vouchbox import config
from vouchbox.errors import KeyStoreError
from vouchbox.vault.formats import to_base64url
from vouchbox.vault.keys_file import public_members
from vouchbox.vault.keys_public import PublicKey, TokenKey

if TYPE_CHECKING:
    import pkcs11

PIN_FILE = "token.pin"
LABEL = "vouchbox-signing"
"""CKA_LABEL of the keys that this box makes."""

ID_BYTES = 16
SIGNATURE_BYTES = 64
"""Of Ed25519 (RFC 8032) and of ES256 (RFC 7518, 3.4) alike; PKCS#11 returns just these."""

_Template = dict[Any, Any]
_ED25519_OID = "1.3.101.112"
_POINT_BYTES = {32: "Ed25519", 65: "ES256"}
_IN_DER = 2
"""Bytes of tag and length before a point in a DER octet string, as CKA_EC_POINT has it."""


class Token:
    """One token; nothing is opened before it is needed. `read_pin` is called at each login."""

    def __init__(self, token: config.Token, read_pin: Callable[[], str]) -> None:
        self._config = token
        self._read_pin = read_pin
        self._session: pkcs11.Session | None = None
        self._library: Any = None
        self._refused = False
        os.environ.update(token.environment)

    def sign(self, identifier: bytes, alg: str, message: bytes) -> bytes:
        """64 bytes of signature by the private key with that CKA_ID; raises KeyStoreError.

        A token that was away is opened anew and asked once more.
        """
        try:
            return self._sign(identifier, alg, message)
        except KeyStoreError:
            if self._refused:
                raise
            self.close()
            return self._sign(identifier, alg, message)

    def _sign(self, identifier: bytes, alg: str, message: bytes) -> bytes:
        from pkcs11 import Mechanism

        with self._opened() as session:
            key = self._private(session, identifier)
            if alg == "ES256":
                signature = key.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA)
            else:
                signature = key.sign(message, mechanism=Mechanism.EDDSA)
        if len(signature) != SIGNATURE_BYTES:
            raise self._trouble("gave a signature of the wrong length")
        return bytes(signature)

    def algorithms(self) -> tuple[str, ...]:
        """What the token can make and use, the best first."""
        from pkcs11 import Mechanism

        with self._opened() as session:
            able = set(session.token.slot.get_mechanisms())
        ways = {
            "Ed25519": {Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA},
            "ES256": {Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA},
        }
        return tuple(alg for alg, needed in ways.items() if needed <= able)

    def make(self, alg: str | None = None) -> TokenKey:
        """A new signing key inside the token; `alg` None takes the best it can. Raises KeyStoreError."""
        from pkcs11 import Attribute, KeyType
        from pkcs11.constants import DEFAULT
        from pkcs11.util.ec import encode_named_curve_parameters

        able = self.algorithms()
        chosen = alg or next(iter(able), "")
        if chosen not in able:
            raise KeyStoreError(f"the token can't make a key for {chosen or 'signatures'}", "choose another")
        kind, curve = (KeyType.EC_EDWARDS, _ED25519_OID) if chosen == "Ed25519" else (KeyType.EC, "secp256r1")
        identifier = secrets.token_bytes(ID_BYTES)
        # What is not asked for is left out: tpm2-pkcs11 refuses a usage that its TPM sets otherwise.
        private: _Template = dict.fromkeys((Attribute.DECRYPT, Attribute.UNWRAP, Attribute.DERIVE), DEFAULT)
        private |= {Attribute.SIGN: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
        public: _Template = dict.fromkeys((Attribute.ENCRYPT, Attribute.WRAP, Attribute.VERIFY), DEFAULT)
        with self._opened(rw=True) as session:
            shape = session.create_domain_parameters(
                kind, {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}, local=True
            )
            shape.generate_keypair(
                id=identifier, label=LABEL, store=True, public_template=public, private_template=private
            )
            self._private(session, identifier)
        return self.describe(identifier)

    def describe(self, identifier: bytes) -> TokenKey:
        """A key that is in the token already, by its CKA_ID; raises KeyStoreError if it can't be used."""
        from pkcs11 import Attribute, ObjectClass

        with self._opened() as session:
            self._private(session, identifier)
            half = session.get_key(object_class=ObjectClass.PUBLIC_KEY, id=identifier)
            point = bytes(half[Attribute.EC_POINT])
        return TokenKey(identifier.hex(), _public(point))

    def destroy(self, identifier: bytes) -> None:
        """Remove both halves of a key; raises KeyStoreError."""
        from pkcs11 import Attribute

        with self._opened(rw=True) as session:
            halves = list(session.get_objects({Attribute.ID: identifier}))
            for half in halves:
                half.destroy()
        if not halves:
            raise self._trouble("does not hold that key")

    def close(self) -> None:
        """Log out and close the library; the next use opens it again."""
        session, library = self._session, self._library
        self._session = self._library = None
        if session is not None:
            with suppress(RuntimeError):
                session.close()
        if library is not None and library.initialized:
            with suppress(RuntimeError):
                library.finalize()

    @contextmanager
    def _opened(self, rw: bool = False) -> Iterator[pkcs11.Session]:
        try:
            from pkcs11 import exceptions
        except ImportError:
            raise KeyStoreError(
                "PKCS#11 is not installed", "install vouchbox with its extra `token`"
            ) from None
        if self._refused:
            raise self._trouble("refused the PIN, so it is not tried again before a restart")
        try:
            if self._session is None or (rw and not self._session.rw):
                self._session = self._login(rw)
            yield self._session
        except (exceptions.PinIncorrect, exceptions.PinLocked, exceptions.PinInvalid, exceptions.PinExpired):
            self._refused = True
            self.close()
            raise self._trouble("refused the PIN") from None
        except exceptions.NoSuchKey:
            self.close()
            raise self._trouble("does not hold the signing key") from None
        except KeyStoreError:
            self.close()
            raise
        except (RuntimeError, OSError, KeyError, ValueError) as problem:
            self.close()
            raise self._trouble(f"does not work ({type(problem).__name__})") from None

    def _login(self, rw: bool) -> pkcs11.Session:
        import pkcs11

        if self._session is not None:
            self.close()
        pin = self._read_pin()
        self._library = pkcs11.lib(str(self._config.module))
        token = self._library.get_token(token_label=self._config.label)
        opened: pkcs11.Session
        try:
            opened = token.open(rw=rw, user_pin=pin)
        except pkcs11.exceptions.UserAlreadyLoggedIn:  # a login counts for the whole process
            opened = token.open(rw=rw)
        return opened

    def _private(self, session: pkcs11.Session, identifier: bytes) -> Any:
        from pkcs11 import Attribute, ObjectClass

        key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, id=identifier)
        if not key[Attribute.SENSITIVE] or key[Attribute.EXTRACTABLE]:
            raise self._trouble("holds the signing key in a form that can be read out")
        return key

    def _trouble(self, what: str) -> KeyStoreError:
        fix = "check [vault.token], token.pin and the token itself"
        return KeyStoreError(f"the token {self._config.label!r} {what}", fix)


def _public(point: bytes) -> PublicKey:
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, OKPKey

    raw = point if len(point) in _POINT_BYTES else point[_IN_DER:]
    key: OKPKey | ECKey
    try:
        if _POINT_BYTES[len(raw)] == "Ed25519":
            key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": to_base64url(raw)})
        else:
            x, y = to_base64url(raw[1:33]), to_base64url(raw[33:])
            key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": x, "y": y})
    except (KeyError, ValueError, JoseError):
        raise KeyStoreError(
            "the token shows no public key that can be used", "use Ed25519 or P-256"
        ) from None
    return PublicKey(**public_members(key))
