"""What a relying party says on the acknowledgement topic: that it stored something, or that it erased it.

Both are signed; which of the two it is stands in the token's `typ`. Bytes that are neither are counted and
change nothing.
"""

from __future__ import annotations

import logging
from collections import Counter

from vouchbox.errors import RequestRefused
from vouchbox.vault import ack, withdrawal
from vouchbox.vault.clerk import Clerk
from vouchbox.vault.registry import Registry
from vouchbox.vault.withdrawal_desk import WithdrawalDesk

log = logging.getLogger("vouchbox.vault")


class Confirmations:
    """For one vault. Methods raise OutboxError when the disk refuses."""

    def __init__(self, registry: Registry, audience: str, clerk: Clerk, withdrawals: WithdrawalDesk) -> None:
        self._registry = registry
        self._audience = audience
        self._clerk = clerk
        self._withdrawals = withdrawals

    def take(self, payload: bytes, counters: Counter[str]) -> list[str]:
        """Act on what arrived; the sessions that owe nothing any more."""
        if withdrawal.is_erasure(payload):
            self._withdrawals.erased(payload, counters)
            return []
        try:
            acknowledgement = ack.verify(payload, self._registry, self._audience)
        except RequestRefused as problem:
            counters[f"ack-{problem.reason}"] += 1
            log.warning("an acknowledgement was ignored: %s", problem)
            return []
        delivered = self._clerk.deliver(acknowledgement)
        counters["delivered"] += len(delivered)
        return delivered
