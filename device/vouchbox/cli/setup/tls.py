"""The files of the step `broker`: CA, certificate and key of this box, checked together before any is copied.

A private key that is there is never overwritten, and none is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from vouchbox.config import Config, Uplink
from vouchbox.errors import BrokerError, ConfigError, KeyStoreError
from vouchbox.uplink.identity import tls_context
from vouchbox.vault import keys_file

KEY_LIMIT = 16 * 1024


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the files come from; None: the one that [uplink] names is there, or will be."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def check(config: Config, given: TlsFiles) -> Config | None:
    """`config` with its [uplink] at the files as they come, once they fit together and name this box; None
    while there is no certificate yet.

    Raises BrokerError or ConfigError that names the file at fault. Changes nothing.
    """
    uplink = config.uplink
    from_here = {"ca": given.ca, "certificate": given.certificate, "key": given.key}
    chosen = {name: path for name, path in from_here.items() if path is not None}
    if given.key is not None and given.certificate is None:
        raise ConfigError(
            "a TLS key is given without its certificate", "give both, or let the box make the key"
        )
    trial: Uplink = msgspec.structs.replace(uplink, **chosen)
    if given.key is not None:
        _require_new(uplink.key, _read(given.key))
    if given.certificate is None and not uplink.certificate.exists():
        return None
    tls_context(trial)
    _require_name(trial.certificate, f"{config.box.site}/{config.box.device}")
    return msgspec.structs.replace(config, uplink=trial)


def put(config: Config, given: TlsFiles) -> tuple[Path, ...]:
    """Copy the files to where [uplink] wants them, each whole or not at all; returns which were written.

    Raises BrokerError, ConfigError (see `check`) or KeyStoreError when one can't be written.
    """
    check(config, given)
    uplink = config.uplink
    written = []
    # The key first: a certificate without its key would start an uplink that can't work.
    for source, target, mode in (
        (given.key, uplink.key, 0o600),
        (given.ca, uplink.ca, 0o644),
        (given.certificate, uplink.certificate, 0o644),
    ):
        if source is None or source.resolve() == target.resolve():
            continue
        data = _read(source)
        try:
            if target.exists() and target.read_bytes() == data:
                continue
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            keys_file.replace(target, data, mode)
            target.chmod(mode)
        except OSError as problem:
            raise KeyStoreError(f"can't write {target} ({problem.strerror})", "run this as root") from None
        written.append(target)
    return tuple(written)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_LIMIT + 1)
    except OSError as problem:
        raise ConfigError(f"can't read {path} ({problem.strerror})", "give a readable file") from None
    if len(data) > KEY_LIMIT:
        raise ConfigError(f"{path} is too large for a TLS file", "give a PEM file")
    return data


def _require_new(target: Path, data: bytes) -> None:
    if target.exists() and target.read_bytes() != data:
        raise ConfigError(
            f"there is another TLS key at {target}", "move it away if it is not needed any more"
        )


def _require_name(path: Path, wanted: str) -> None:
    # tls_context has read it before, so it is a certificate.
    subject = x509.load_pem_x509_certificate(path.read_bytes()).subject
    names = [str(name.value) for name in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [wanted]:
        said = names[0] if names else "nobody"
        raise BrokerError(
            f"the certificate {path} is for {said}, and this box is {wanted}",
            "have one issued for that common name, or rename the box",
        )
