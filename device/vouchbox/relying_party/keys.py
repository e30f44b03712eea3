"""The relying party's two secrets, one use each: a signing key and a seal key. In files of mode 0600.

The signing key (Ed25519) signs requests and acknowledgements; the seal key opens templates. A key file that
others may read is refused. No error names a value.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from vouchbox.errors import KeyStoreError, SealError, UsageError
from vouchbox.relying_party.formats import NAME, from_base64url, to_base64url

SIGNING_FILE = "signing.jwk"
SEAL_FILE = "seal.key"
REGISTRATION_FILE = "registration.toml"

NAME_LIMIT = 64
SEED_BYTES = 32
PUBLIC_SEAL_BYTES = 1184 + 32
_FILE_LIMIT = 16 * 1024
_MAKE = "run `vouchbox relying-party keygen`"


@dataclass(frozen=True, slots=True, repr=False)
class PartyKeys:
    """Both secrets. `public_seal` (1216 bytes) and `public_jwk` may be shown to anyone."""

    signing: OKPKey
    seal: hpke.MLKEM768X25519PrivateKey
    public_seal: bytes

    @property
    def kid(self) -> str:
        """Thumbprint of the signing key (RFC 7638)."""
        return self.signing.thumbprint()

    @property
    def public_jwk(self) -> dict[str, str]:
        """The verification key, for the box's registry."""
        public = self.signing.as_dict(private=False)
        return {"kty": "OKP", "crv": "Ed25519", "x": str(public["x"]), "alg": "Ed25519", "kid": self.kid}

    def sign(self, kind: str, claims: Mapping[str, Any]) -> bytes:
        """A compact JWS with `typ` kind over the claims as JSON."""
        header = {"alg": "Ed25519", "typ": kind, "kid": self.kid}
        token = jws.serialize_compact(
            header, msgspec.json.encode(claims), self.signing, algorithms=["Ed25519"]
        )
        return token.encode()


def expand(seed: bytes) -> tuple[hpke.MLKEM768X25519PrivateKey, bytes]:
    """The private seal key of a 32-byte seed and its public form (draft-ietf-hpke-pq, KEM 0x647a).

    SHAKE256 expands the seed to 64 bytes for ML-KEM-768 and 32 for X25519. Raises SealError.
    """
    if len(seed) != SEED_BYTES:
        raise SealError("the seal key has the wrong length", f"give a seed of {SEED_BYTES} bytes")
    expanded = hashlib.shake_256(seed).digest(96)
    lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
    curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
    public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
    return hpke.MLKEM768X25519PrivateKey(lattice, curve), public


def generate(folder: Path) -> PartyKeys:
    """New keys in `folder`; raises KeyStoreError when there are keys already, for none is overwritten."""
    signing = OKPKey.generate_key("Ed25519")
    seed = secrets.token_bytes(SEED_BYTES)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (SIGNING_FILE, SEAL_FILE):
            if (folder / name).exists():
                raise FileExistsError(None, None, str(folder / name))
        _write(folder / SIGNING_FILE, msgspec.json.encode(signing.as_dict(private=True)))
        _write(folder / SEAL_FILE, to_base64url(seed).encode())
    except FileExistsError as problem:
        raise KeyStoreError(f"{problem.filename} exists already", "give another folder") from None
    except OSError as problem:
        raise KeyStoreError(f"can't write to {folder} ({problem.strerror})", "choose another") from None
    return PartyKeys(signing, *expand(seed))


def load(folder: Path) -> PartyKeys:
    """The keys in `folder`; raises KeyStoreError for a missing, readable-by-others or wrong file."""
    try:
        jwk = msgspec.json.decode(read_secret(folder / SIGNING_FILE), type=dict[str, Any])
        signing = OKPKey.import_key(jwk)
    except (JoseError, msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError):
        raise KeyStoreError(f"{folder / SIGNING_FILE} is no signing key", _MAKE) from None
    if signing.curve_name != "Ed25519" or not signing.is_private:
        raise KeyStoreError(f"{folder / SIGNING_FILE} is no private Ed25519 key", _MAKE)
    return PartyKeys(signing, *load_seal(folder / SEAL_FILE))


def load_seal(path: Path) -> tuple[hpke.MLKEM768X25519PrivateKey, bytes]:
    """The seal key in the file `path` (base64url of the seed) and its public form; raises KeyStoreError."""
    try:
        return expand(from_base64url(read_secret(path).decode().strip()))
    except (ValueError, SealError):
        raise KeyStoreError(f"{path} is no seal key", _MAKE) from None


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file; raises KeyStoreError when others than its owner may read it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as problem:
        raise KeyStoreError(f"can't read {path} ({problem.strerror})", _MAKE) from None
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077:
            raise KeyStoreError(f"others may read {path}", f"run chmod 600 {path}")
        return file.read(_FILE_LIMIT)


def registration(keys: PartyKeys, party: str, name: str) -> str:
    """The file that the box's operator completes and puts into the box's registry as `<party>.toml`.

    Raises UsageError for an id or a name that no registry takes.
    """
    check_names(party, name)
    jwk = "\n".join(f'{member} = "{value}"' for member, value in keys.public_jwk.items())
    return _REGISTRATION.format(party=party, name=name, seal=to_base64url(keys.public_seal), jwk=jwk)


def check_names(party: str, name: str) -> None:
    """Raise UsageError unless a registry takes this id and this name."""
    if not re.fullmatch(NAME, party):
        raise UsageError(f"{party!r} is no id", "use up to 32 small letters, digits and hyphens")
    if not 0 < len(name) <= NAME_LIMIT or not name.isprintable() or set(name) & {'"', "\\"}:
        raise UsageError("that name can't be used", f"give 1 to {NAME_LIMIT} plain characters, no quotes")


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


_REGISTRATION = """\
# Registration of a relying party at a box. Complete every line that says TODO: the box refuses a
# registration that leaves something untold. Then put it into the box's folder as {party}.toml.
id = "{party}"
name = "{name}"
actions = ["check", "enroll", "match"]
consent = ["prompt", "button"]
minimum-level = "active"
retention-days = 0  # TODO how many days a template is kept
seal-key = "{seal}"

[[keys]]
{jwk}

[purposes]  # TODO one line for each, and why: pickup = "to hand the parcel to who ordered it"

[notice]  # TODO what the person reads before the camera opens
schema-version = "vouchbox-notice-1"
language = "en"
controller = ""  # who asks
address = ""
contact = ""
lawful-basis = ""
pii-types = []
measured = ""
leaves-the-box = ""
template-readers = "party"  # who can open a template: "party", "fleet" or, without enroll, "nobody"
recipients = []  # everyone who gets it, by name
processors = []  # who works for you on it, by name, or "none"
storage-location = ""
regions = []  # countries in which it is kept or worked on
retention = ""
jurisdiction = ""
other-uses = ""  # or "none"
withdrawal = ""  # how to have it erased
alternative = ""  # what you offer who declines
policy = ""  # https://
validity-days = 30  # how long a consent counts
"""
