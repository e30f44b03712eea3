"""The MQTT topics of one box, and which of them this room may touch.

Pure text. A topic outside the box's own tree is never published to, whatever the vault or a request's
response topic says; the broker's ACL holds the same line a second time (broker/acl).
"""

from __future__ import annotations

from dataclasses import dataclass

from vouchbox.config import Box

TOPIC_LIMIT = 256
"""Characters of a topic, at most: what messages.Outgoing and messages.RequestArrived carry."""


@dataclass(frozen=True)
class Topics:
    """The topic tree of one box; `root` is `vouchbox/v1/<site>/<device>`."""

    root: str

    @classmethod
    def of(cls, box: Box) -> Topics:
        """The tree of `box`."""
        return cls(box.topic)

    @property
    def request(self) -> str:
        """Signed requests, relying party to box."""
        return f"{self.root}/request"

    @property
    def ack(self) -> str:
        """Signed acknowledgements and erasure receipts, relying party to box."""
        return f"{self.root}/ack"

    @property
    def verdict(self) -> str:
        """Verdicts, box to relying party."""
        return f"{self.root}/verdict"

    @property
    def template(self) -> str:
        """Sealed templates, box to the enrolment service only."""
        return f"{self.root}/template"

    @property
    def withdrawal(self) -> str:
        """Signed withdrawals of consent, box to relying party."""
        return f"{self.root}/withdrawal"

    @property
    def status(self) -> str:
        """Retained health: birth, last will, counters."""
        return f"{self.root}/status"

    def response(self, asked: str) -> str:
        """`asked`, when it is the verdict topic or lies below it; otherwise "", the default topic.

        A request can't steer a verdict anywhere else (MQTT 5, 4.10.1 leaves that check to the responder).
        """
        below = asked == self.verdict or asked.startswith(f"{self.verdict}/")
        return asked if below and _plain(asked) else ""

    def may_publish(self, topic: str) -> bool:
        """Whether the vault's row for `topic` may be sent at all."""
        own = topic in (self.verdict, self.template, self.withdrawal, self.status)
        return own or self.response(topic) != ""


def _plain(topic: str) -> bool:
    return len(topic) <= TOPIC_LIMIT and not any(sign in topic for sign in ("+", "#", "\0"))
