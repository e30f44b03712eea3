"""The signed head of the audit log: what the box vouched for last, kept outside the database and published.

A statement says how long the log was and what its head was, signed like a verdict but with a type of its own.
Whoever has one can tell later that an older entry was changed or that the end was cut off, and a vault whose
database is older than its own last statement refuses to start. The statement says nothing about a person.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from joserfc import jwk, jws
from joserfc.errors import JoseError
from msgspec import Meta, Struct

from vouchbox.errors import AuditError, OutboxError
from vouchbox.messages import Sha256Hex
from vouchbox.vault import audit
from vouchbox.vault.formats import ALGORITHMS, AUDIT_HEAD_TYPE
from vouchbox.vault.keys import Signer
from vouchbox.vault.store import Store

FILE = "audit-head.jws"
STATEMENT_LIMIT = 2 * 1024
"""Bytes of a statement, at most."""

PERIOD_S = 86_400
"""A new statement is made this often while the vault runs, at each start, and after each key event."""

_HEADER = {"alg", "typ", "kid"}


class Head(Struct, frozen=True):
    """The claims of a statement: the box's audience, Unix time, entries of the log, its head (hex)."""

    iss: Annotated[str, Meta(max_length=128)]
    iat: Annotated[int, Meta(ge=0, le=2**40)]
    entries: Annotated[int, Meta(ge=0, le=2**53)]
    head: Sha256Hex


def sign(store: Store, signer: Signer, issuer: str, now: int) -> bytes:
    """A statement about the log as it is on the disk now."""
    entries, head = audit.head(store)
    return signer.sign(AUDIT_HEAD_TYPE, msgspec.structs.asdict(Head(issuer, now, entries, head)))


def verify(statement: bytes, keys: Sequence[Mapping[str, Any]], issuer: str) -> Head:
    """The claims of `statement` when one of the box's public JWKs `keys` signed it; raises AuditError."""
    if len(statement) > STATEMENT_LIMIT:
        raise AuditError("the signed head is too large", "give a statement as the box published it")
    try:
        signature = jws.extract_compact(statement)
        header = signature.headers()
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise AuditError("the signed head is malformed", "give it as the box published it") from None
    if set(header) != _HEADER or header["typ"] != AUDIT_HEAD_TYPE or header["alg"] not in ALGORITHMS:
        raise AuditError("this is no signed head of an audit log", "give it as the box published it")
    public = [key for key in keys if (key.get("kid"), key.get("alg")) == (header["kid"], header["alg"])]
    if not public:
        raise AuditError("the signed head names a key that the box never had", "look who wrote it")
    try:
        key = jwk.import_key(dict(public[0]))
        genuine = jws.validate_compact(signature, key, algorithms=[str(public[0]["alg"])])
        claims = msgspec.json.decode(signature.payload, type=Head)
    except (JoseError, ValueError, UnicodeDecodeError, RecursionError):
        genuine = False
    if not genuine:
        raise AuditError("the signature of the signed head does not verify", "look who changed it")
    if claims.iss != issuer:
        raise AuditError("the signed head is another box's", f"give one of {issuer}")
    return claims


def compare(store: Store, entries: int, head: str) -> None:
    """Raises AuditError when the log does not contain a state of `entries` entries with this `head`."""
    found = audit.head_at(store, entries)
    if found is None:
        raise AuditError(
            f"the log has fewer than the {entries} entries that were vouched for",
            "its end was cut off or an old copy was put back: find out by whom",
        )
    if found != head:
        raise AuditError(f"entry {entries} is not the one that was vouched for", "find out who changed it")


def keep(directory: Path, statement: bytes) -> None:
    """Put `statement` in the place of the last one, all or nothing; raises OutboxError."""
    place, fresh = directory / FILE, directory / f"{FILE}.new"
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(statement)
            file.flush()
            os.fsync(handle)
        fresh.replace(place)
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError:
        raise OutboxError(f"can't write {place}", "look at that folder and its disk") from None


def last(directory: Path) -> bytes | None:
    """The statement that was kept last, or None when there is none; raises OutboxError."""
    try:
        with (directory / FILE).open("rb") as file:
            return file.read(STATEMENT_LIMIT + 1)
    except FileNotFoundError:
        return None
    except OSError:
        raise OutboxError(f"can't read {directory / FILE}", "look at that file and its owner") from None
