"""Keeps the audit log vouched for: checks it against the last signed head at start, signs a new one daily.

It holds no log of its own and changes none. A log that does not contain what the box vouched for stops the
vault before a room can knock: an old copy of the database would let old requests in again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vouchbox.errors import AuditError, OutboxError, VouchboxError
from vouchbox.vault import signed_head
from vouchbox.vault.clock import Clock
from vouchbox.vault.keys import Signer
from vouchbox.vault.store import Store

RETRY_S = 60.0
"""After a head could not be signed or kept, the next attempt."""

log = logging.getLogger("vouchbox.vault")


class Notary:
    """Vouches for one box. `statement` is the newest signed head, empty before the first."""

    def __init__(
        self,
        store: Store,
        directory: Path,
        signer: Signer,
        keys: Sequence[Mapping[str, Any]],
        issuer: str,
        clock: Clock,
    ) -> None:
        """`keys` are the public JWKs that this box signs or ever signed with."""
        self.statement = ""
        self._store = store
        self._directory = directory
        self._signer = signer
        self._keys = keys
        self._issuer = issuer
        self._clock = clock
        self._signed: float | None = None

    def require_log(self) -> None:
        """Raises OutboxError when the log is not the one that was vouched for last."""
        statement = signed_head.last(self._directory)
        if statement is None:
            return
        try:
            head = signed_head.verify(statement, self._keys, self._issuer)
            signed_head.compare(self._store, head.entries, head.head)
        except AuditError as problem:
            raise OutboxError(
                f"the database is not the one that this box vouched for ({problem.what})",
                f"put the right one back, or remove {self._directory / signed_head.FILE} if you know why",
            ) from None

    def sign(self) -> None:
        """Vouch for the log as it is now; raises KeyStoreError or OutboxError."""
        statement = signed_head.sign(self._store, self._signer, self._issuer, int(self._clock.wall()))
        signed_head.keep(self._directory, statement)
        self._signed = self._clock.steady()
        self.statement = statement.decode()

    def keep_up(self) -> None:
        """Sign again when the last time was a day ago; a key or a disk that fails is tried again later."""
        now = self._clock.steady()
        if self._signed is not None and now - self._signed < signed_head.PERIOD_S:
            return
        try:
            self.sign()
        except VouchboxError as problem:
            log.error("the audit log was not vouched for: %s", problem)
            self._signed = now - signed_head.PERIOD_S + RETRY_S
