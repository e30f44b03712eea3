"""Is this request let in? Signature, time, limits and replay, judged together and remembered at once.

What it admits it has counted and remembered in one transaction, so no crash and no jump of the clock lets a
request in a second time. It asks nobody and opens no camera.
"""

from __future__ import annotations

from dataclasses import replace

from vouchbox.config import Vault as VaultConfig
from vouchbox.messages import RequestArrived
from vouchbox.reasons import Reason
from vouchbox.vault import limits, request
from vouchbox.vault.clock import Clock, Span
from vouchbox.vault.reckoning import Reckoning
from vouchbox.vault.registry import Registry
from vouchbox.vault.replay import ReplayWindow
from vouchbox.vault.request import Judged
from vouchbox.vault.store import Store


class Admission:
    """Judges for one vault."""

    def __init__(
        self, store: Store, registry: Registry, audience: str, config: VaultConfig, clock: Clock
    ) -> None:
        self._store = store
        self._registry = registry
        self._audience = audience
        self._config = config
        self._clock = clock
        self._window = ReplayWindow(store)
        self._reckoning = Reckoning(store, clock)

    def present(self, party: str) -> Span:
        """See Reckoning."""
        return self._reckoning.present(party)

    def judge(self, arrived: RequestArrived) -> Judged:
        """The request in `arrived`; one without a refusal is admitted, and never again.

        Raises RequestRefused as request.judge does, OutboxError when the disk refuses.
        """
        judged = request.judge(arrived, self._registry, self._audience, self.present)
        return judged if judged.refusal is not None else replace(judged, refusal=self._admit(judged))

    def _admit(self, judged: Judged) -> Reason | None:
        moment = limits.moment(self._store, self._clock)
        asked = judged.request
        with self._store.transaction():
            refusal = limits.refusal(self._store, judged.party, self._config, moment)
            refusal = refusal or self._window.admit(asked, self.present(asked.party))
            if refusal is None:
                limits.count(self._store, limits.Kind.REQUEST, asked.party, moment)
                self._reckoning.heard(asked.party, asked.issued)
        return refusal
