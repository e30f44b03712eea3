"""A certificate authority for one afternoon: broker, box and relying-party certificates for development.

Never for production: the authority's key lies in a file beside the others. Keys are P-256, files of keys
have mode 0600, certificates live DAYS days.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 7
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """A development CA in `folder`; made on first use, loaded afterwards."""

    def __init__(self, folder: Path, *, now: datetime | None = None) -> None:
        self._now = datetime.now(UTC) if now is None else now
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "ca.pem"
        key_path = folder / "ca.key"
        if self.path.exists() and key_path.exists():
            key = load_pem_private_key(key_path.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError(f"{key_path} is no P-256 key")
            self._key = key
            self._certificate = x509.load_pem_x509_certificate(self.path.read_bytes())
            return
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vouchbox development CA")])
        self._certificate = (
            self._builder(name, name, self._key.public_key(), self._now + timedelta(days=DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        _write_key(key_path, self._key)
        self.path.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def server(self, name: str, *, hosts: tuple[str, ...], expires: datetime | None = None) -> Identity:
        """A broker's certificate for `hosts` (DNS names and addresses), in `<name>.pem` and `<name>.key`."""
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        return self._issue(name, hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, names, expires)

    def client(self, name: str, common_name: str, *, expires: datetime | None = None) -> Identity:
        """A client's certificate; `common_name` is the user name at the broker (`site/device` for a box)."""
        return self._issue(name, common_name, ExtendedKeyUsageOID.CLIENT_AUTH, None, expires)

    def _issue(
        self,
        file: str,
        common_name: str,
        purpose: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
        expires: datetime | None,
    ) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        until = self._now + timedelta(days=DAYS) if expires is None else expires
        builder = (
            self._builder(subject, self._certificate.subject, key.public_key(), until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        identity = Identity(self._folder / f"{file}.pem", self._folder / f"{file}.key")
        _write_key(identity.key, key)
        identity.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        return identity

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(self._now, until) - _SKEW)
            .not_valid_after(until)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
