"""The TLS identity of this box: one context, TLS 1.3 at least, broker verified, client certificate shown.

The private key is read by OpenSSL only; it never becomes a Python value here.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from vouchbox.config import Uplink
from vouchbox.errors import BrokerError


def tls_context(settings: Uplink, now: datetime | None = None) -> ssl.SSLContext:
    """A client context from the files named in `settings`; raises BrokerError naming the file at fault."""
    _check(settings.certificate, datetime.now(UTC) if now is None else now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _ClosingSocket
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cafile=settings.ca)
    except (OSError, ssl.SSLError) as problem:
        raise BrokerError(
            f"can't use the CA file {settings.ca}", "put the broker's CA there (PEM)"
        ) from problem
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as problem:
        raise BrokerError(
            f"can't use the key {settings.key} with the certificate {settings.certificate}",
            "put a matching, readable pair there (PEM, no password)",
        ) from problem
    return context


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _check(path: Path, now: datetime) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise BrokerError(
            f"can't read the certificate {path}", "put this box's certificate there"
        ) from problem
    if certificate.not_valid_after_utc <= now:
        raise BrokerError(f"the certificate {path} of this box has expired", "issue a new one")
    if certificate.not_valid_before_utc > now:
        raise BrokerError(f"the certificate {path} of this box is not valid yet", "set the clock (NTP)")


def _no_password() -> str:
    # Without this OpenSSL would ask on the terminal, and a daemon would hang.
    raise ValueError("the key is encrypted")
