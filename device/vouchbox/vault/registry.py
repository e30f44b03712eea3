"""Who may ask this box for what: one TOML file per relying party, checked whole when it is read.

A registration that lacks a field of the notice, names an unknown algorithm or carries a private key
refuses to load: no purpose, no camera. Nothing here talks to anyone; the files are put there by the box's
operator, and a request can never change them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey
from msgspec import Meta, Struct

from vouchbox.errors import ConfigError, SealError
from vouchbox.messages import Action, ConsentWay, Level, Notice, TemplateReaders
from vouchbox.vault import sealing
from vouchbox.vault.formats import NAME, from_base64url
from vouchbox.vault.notice import is_showable, notices

FILE_LIMIT = 64 * 1024
"""Bytes of one registration, at most."""

VerificationKey = OKPKey | ECKey


class PublicJwk(Struct, frozen=True, forbid_unknown_fields=True):
    """A public signature key (RFC 7517): `alg` and `kid` are mandatory, private members refuse to load."""

    kty: str
    crv: str
    x: str
    alg: str
    kid: Annotated[str, Meta(min_length=1, max_length=64)]
    y: str | None = None
    use: str | None = None


_Name = Annotated[str, Meta(pattern=NAME)]


class _File(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    id: _Name
    name: Annotated[str, Meta(min_length=1, max_length=64)]
    purposes: Annotated[dict[_Name, str], Meta(min_length=1, max_length=16)]
    actions: Annotated[frozenset[Action], Meta(min_length=1)]
    keys: Annotated[tuple[PublicJwk, ...], Meta(min_length=1, max_length=8)]
    notice: dict[str, Any]
    consent: Annotated[frozenset[ConsentWay], Meta(min_length=1)] = frozenset({ConsentWay.PROMPT})
    consent_keys: Annotated[tuple[PublicJwk, ...], Meta(max_length=8)] = ()
    seal_key: str = ""
    minimum_level: Level = Level.ACTIVE
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    requests_per_hour: Annotated[int, Meta(ge=1, le=3600)] = 120
    match_attempts_per_hour: Annotated[int, Meta(ge=1, le=60)] = 10
    failures_per_hour: Annotated[int, Meta(ge=1, le=3600)] = 60
    fmr: Annotated[float, Meta(gt=0.0, le=0.01)] = 1e-4
    epoch: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


@dataclass(frozen=True, slots=True)
class Key:
    """One verification key of a party, with the only algorithm it may be used with."""

    alg: str
    key: VerificationKey


@dataclass(frozen=True, slots=True)
class Party:
    """A relying party as registered.

    `notices` has one notice for each purpose; `keys` and `consent_keys` go by `kid`, the latter sign consent
    tokens and nothing else; `consent` are the ways in which its sessions may be agreed to; `seal_key` is None
    when it may not enroll; `retention_days` is how long it keeps a template; `fmr` the false match rate it
    asks for; `epoch` the current epoch of its templates. Per hour: `requests_per_hour`;
    `match_attempts_per_hour` for one reference; `failures_per_hour`, sessions that ended as no-match or
    attack-suspected, before it is locked out.
    """

    id: str
    name: str
    actions: frozenset[Action]
    keys: Mapping[str, Key]
    notices: Mapping[str, Notice]
    consent: frozenset[ConsentWay]
    consent_keys: Mapping[str, Key]
    seal_key: sealing.PublicKey | None
    minimum_level: Level
    retention_days: int
    requests_per_hour: int
    match_attempts_per_hour: int
    failures_per_hour: int
    fmr: float
    epoch: int

    @property
    def template_readers(self) -> TemplateReaders:
        """Who can open this party's templates: what its notices tell, the same in each of them."""
        return next(iter(self.notices.values())).template_readers

    def allows(self, purpose: str, action: Action, level: Level) -> bool:
        """Whether a request for this purpose, action and level is covered by the registration."""
        enough = level is Level.ACTIVE or self.minimum_level is Level.PASSIVE
        return purpose in self.notices and action in self.actions and enough


Registry = Mapping[str, Party]
"""Parties by id."""


def load(directory: Path) -> Registry:
    """All registrations in `directory` (`*.toml`); raises ConfigError that names the file."""
    try:
        files = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
    except OSError as problem:
        raise ConfigError(
            f"can't read the relying parties in {directory} ({problem.strerror})", "create that folder"
        ) from None
    return {party.id: party for party in map(load_party, files)}


def load_party(path: Path) -> Party:
    """The registration in `path`, which must be called `<id>.toml`; raises ConfigError."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", "make it readable") from None
    party = parse(data, str(path))
    if party.id != path.stem:
        raise ConfigError(f"{path} registers {party.id!r}", f"call the file {party.id}.toml")
    return party


def parse(data: bytes, where: str) -> Party:
    """The party that the TOML in `data` describes; `where` is named in the ConfigError it may raise."""
    if len(data) > FILE_LIMIT:
        raise ConfigError(f"{where} is too large", f"keep it under {FILE_LIMIT} bytes")
    try:
        file = msgspec.toml.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ConfigError(f"{where} is wrong ({problem})", "correct that key") from None
    if not is_showable(file.name) or not file.name.strip():
        raise ConfigError(f"{where} has a name that no screen shows", "use plain characters")
    told = notices(file.notice, file.purposes, where)
    _require_readers(file, told, where)
    return Party(
        id=file.id,
        name=file.name,
        actions=file.actions,
        keys=_keys(file.keys, where),
        notices=told,
        consent=file.consent,
        consent_keys=_consent_keys(file, where),
        seal_key=_seal_key(file, where),
        minimum_level=file.minimum_level,
        retention_days=file.retention_days,
        requests_per_hour=file.requests_per_hour,
        match_attempts_per_hour=file.match_attempts_per_hour,
        failures_per_hour=file.failures_per_hour,
        fmr=file.fmr,
        epoch=file.epoch,
    )


def _keys(jwks: tuple[PublicJwk, ...], where: str) -> dict[str, Key]:
    keys = {jwk.kid: _key(jwk, where) for jwk in jwks}
    if len(keys) != len(jwks):
        raise ConfigError(f"{where} names a kid twice", "give each key its own kid")
    return keys


def _consent_keys(file: _File, where: str) -> dict[str, Key]:
    if (ConsentWay.TOKEN in file.consent) != bool(file.consent_keys):
        raise ConfigError(
            f"{where} must have consent-keys if and only if it may send consent tokens",
            'add "token" to consent, or take the keys out',
        )
    points = {(jwk.x, jwk.y) for jwk in file.keys}
    if any((jwk.x, jwk.y) in points for jwk in file.consent_keys):
        # One key, one use (RFC 8725, 3.12): who may ask must not be able to answer as well.
        raise ConfigError(f"{where} uses one key to ask and to consent", "make a key of its own for consent")
    return _keys(file.consent_keys, where)


def _require_readers(file: _File, told: Mapping[str, Notice], where: str) -> None:
    for notice in told.values():
        readers = notice.template_readers
        if (Action.ENROLL in file.actions) == (readers is TemplateReaders.NOBODY):
            raise ConfigError(
                f"{where} says {readers.value} in template-readers, which does not fit its actions",
                "name who can open a template where enroll is allowed, else nobody",
            )
        if readers is TemplateReaders.PARTY and not file.seal_key:
            raise ConfigError(f"{where} lets the party open templates but has no seal-key", "add that key")


def _seal_key(file: _File, where: str) -> sealing.PublicKey | None:
    if not file.seal_key:
        return None
    try:
        return sealing.public_key(from_base64url(file.seal_key))
    except (ValueError, SealError):
        raise ConfigError(
            f"{where} has a seal-key that is none", f"give {sealing.PUBLIC_BYTES} bytes as base64url"
        ) from None


def _key(jwk: PublicJwk, where: str) -> Key:
    fields = {name: value for name, value in msgspec.structs.asdict(jwk).items() if value is not None}
    try:
        match (jwk.kty, jwk.crv, jwk.alg):
            case ("OKP", "Ed25519", "Ed25519"):
                return Key("Ed25519", OKPKey.import_key(fields))
            case ("EC", "P-256", "ES256"):
                return Key("ES256", ECKey.import_key(fields))
    except (JoseError, ValueError):
        raise ConfigError(f"{where} has a damaged key {jwk.kid!r}", "register the key again") from None
    raise ConfigError(
        f"{where} has a key {jwk.kid!r} of another kind", "use Ed25519 (OKP) or ES256 (EC, P-256)"
    )
