"""Does the broker take this box, with this certificate? One real visit: TLS 1.3, MQTT 5, the own topics.

The visit has a name of its own, so the uplink stays connected; it publishes nothing and leaves no session.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from vouchbox.config import Config
from vouchbox.doctor.finding import Finding, fault, not_checked, of, ok, warning
from vouchbox.doctor.keys import open_tls_key
from vouchbox.doctor.machine import READ, Account, present
from vouchbox.errors import BrokerError, OutboxError
from vouchbox.uplink import visit
from vouchbox.vault import egress
from vouchbox.vault.store import FILE, Store

EXPIRY_WARNING = timedelta(days=14)
"""A certificate that ends sooner is spoken of; those of the development authority live seven days."""


def check(config: Config, uplink: Account) -> Iterator[Finding]:
    """Certificate files, then the visit."""
    settings = config.uplink
    closed = [
        path
        for path in (settings.ca, settings.certificate)
        if present(path) and not uplink.reaches(path, READ)
    ]
    for path in closed:
        yield fault(
            "certificate",
            f"{uplink.name} may not read {path}",
            f"run chmod a+r {path}, and a+x on its folders",
        )
    if present(settings.key) and not os.access(settings.key, os.R_OK):
        yield not_checked("broker", f"this user may not read {settings.key}", "run this as root")
        return
    try:
        key, memory = open_tls_key(config)
    except OSError:
        yield not_checked("broker", f"{settings.key} is encrypted and was not opened", "run this as root")
        return
    try:
        visit.pay(msgspec.structs.replace(config, uplink=msgspec.structs.replace(settings, key=key)))
    except BrokerError as problem:
        yield of("broker", problem)
    else:
        yield ok(
            "broker",
            f"{settings.host}:{settings.port} takes this box, whose topics are {config.box.topic}/...",
        )
        yield from certificate(config)
        yield from last_answer(config)
    finally:
        if memory is not None:
            os.close(memory)


def certificate(config: Config) -> Iterator[Finding]:
    """Whose it is and how long it lives; asked after it was just used, for not every broker refuses another
    box's name at the door (mosquitto lets it in and hears nothing)."""
    shown = x509.load_pem_x509_certificate(config.uplink.certificate.read_bytes())
    names = [str(name.value) for name in shown.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    wanted = f"{config.box.site}/{config.box.device}"
    left = shown.not_valid_after_utc - datetime.now(UTC)
    if names != [wanted]:
        yield fault(
            "certificate",
            f"the certificate is for {', '.join(names) or 'nobody'}, so no broker authorises {wanted} by it",
            f"have the request of this box signed: {config.uplink.key.with_suffix('.csr')}",
        )
    elif left < EXPIRY_WARNING:
        yield warning(
            "certificate",
            f"the certificate of this box ends in {left.days} days",
            "run `vouchbox provision certificate-request` and have it signed again",
        )
    else:
        yield ok("certificate", f"the certificate of this box is good for {left.days} days")


def last_answer(config: Config) -> Iterator[Finding]:
    """What the broker said to the newest message of this box, by the ledger of what left."""
    if not os.access(config.box.state / FILE, os.R_OK):
        return
    try:
        store = Store(config.box.state, read_only=True)
        try:
            newest = list(egress.read(store, limit=1))
        finally:
            store.close()
    except OutboxError:
        return  # disk.py says what is wrong with the database
    for departure in newest:
        if departure.answer is egress.Answer.REFUSED:
            yield fault(
                "broker",
                f"the broker refused this box's last message, on {departure.topic}",
                "install the shipped ACL (device/vouchbox/uplink/broker/acl) on the broker",
            )
