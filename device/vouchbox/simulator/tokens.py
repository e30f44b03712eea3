"""Tokens without hardware: SoftHSM, and a TPM 2.0 (swtpm) behind tpm2-pkcs11, each in a private folder.

They speak the same PKCS#11 as the real ones, so a box that works with them works with a real token. They
protect nothing: whoever has the folder has the key. Never for production.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from vouchbox.config import Token
from vouchbox.errors import KeyStoreError

LABEL = "vouchbox"
START_TIMEOUT_S = 10.0
_SOFTHSM = ("softhsm/libsofthsm2.so", "*/softhsm/libsofthsm2.so", "*/libsofthsm2.so")
_TPM = ("*/libtpm2_pkcs11.so.1", "*/pkcs11/libtpm2_pkcs11.so", "*/libtpm2_pkcs11.so.0")


class SimulatedToken(Protocol):
    """An initialised token: `config` is its [vault.token], `pin` the PIN of its user."""

    config: Token
    pin: str

    def flush(self) -> None:
        """Forget what a process that is gone left behind."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SoftHsm:
    """A SoftHSM token whose files lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        _require("pkcs11-tool", "opensc")
        module = _library(_SOFTHSM, "softhsm2")
        self.tokens = folder / "softhsm"
        self.tokens.mkdir(mode=0o700)
        settings = folder / "softhsm2.conf"
        settings.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.config = Token(module, LABEL, {"SOFTHSM2_CONF": str(settings)})
        self.pin = _initialise(self.config)

    def flush(self) -> None:
        """See SimulatedToken."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs."""


class Tpm:
    """A TPM in a process of its own, with its state and the store of tpm2-pkcs11 in `folder`.

    `folder` must be short: a Unix socket lies in it (108 bytes).
    """

    def __init__(self, folder: Path) -> None:
        for program, package in (("swtpm", "swtpm"), ("tpm2_flushcontext", "tpm2-tools")):
            _require(program, package)
        _require("pkcs11-tool", "opensc")
        module = _library(_TPM, "libtpm2-pkcs11-1")
        self._state = folder / "tpm"
        self.store = folder / "tpm2-pkcs11"
        for path in (self._state, self.store):
            path.mkdir(mode=0o700)
        self._socket = folder / "tpm.sock"
        way = f"swtpm:path={self._socket}"
        environment = {"TPM2_PKCS11_STORE": str(self.store), "TPM2_PKCS11_TCTI": way}
        self.config = Token(
            module, LABEL, {**environment, "TPM2_PKCS11_LOG_LEVEL": "0", "TSS2_LOG": "all+none"}
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        try:
            self.pin = _initialise(self.config)
        except BaseException:
            self.stop()
            raise
        self.flush()

    @property
    def pid(self) -> int:
        """The process id of the TPM."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Power on."""
        control = self._socket.with_name(f"{self._socket.name}.ctrl")
        for path in (self._socket, control):
            path.unlink(missing_ok=True)
        arguments = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self._state}"]
        arguments += ["--server", f"type=unixio,path={self._socket}", "--ctrl", f"type=unixio,path={control}"]
        arguments += ["--flags", "not-need-init,startup-clear"]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self._socket.exists() and control.exists()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise KeyStoreError("swtpm did not start", "try it by hand")
            time.sleep(0.01)

    def stop(self) -> None:
        """Power off, as if it were pulled out."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def flush(self) -> None:
        """See SimulatedToken: for /dev/tpmrm0 the kernel does this when a process ends, for swtpm nobody."""
        environment = {**os.environ, **self.config.environment}
        environment["TPM2TOOLS_TCTI"] = self.config.environment["TPM2_PKCS11_TCTI"]
        for kind in ("-t", "-l"):
            subprocess.run(["tpm2_flushcontext", kind], env=environment, check=False, capture_output=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _initialise(token: Token) -> str:
    pin, officer = secrets.token_hex(8), secrets.token_hex(8)
    environment = {**os.environ, **token.environment, "VOUCHBOX_PIN": pin, "VOUCHBOX_SO_PIN": officer}
    tool = ["pkcs11-tool", "--module", str(token.module), "--so-pin", "env:VOUCHBOX_SO_PIN"]
    for step in (
        ["--init-token", "--slot-index", "0", "--label", token.label],
        [
            "--init-pin",
            "--token-label",
            token.label,
            "--login",
            "--login-type",
            "so",
            "--pin",
            "env:VOUCHBOX_PIN",
        ],
    ):
        done = subprocess.run([*tool, *step], env=environment, capture_output=True, check=False)
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip().splitlines()
            last = words[-1] if words else f"exit code {done.returncode}"
            raise KeyStoreError(
                f"a simulated token could not be initialised ({last})", "try pkcs11-tool by hand"
            )
    return pin


def _require(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise KeyStoreError(f"no {program} was found", f"install it (apt-get install {package})")


def _library(patterns: tuple[str, ...], package: str) -> Path:
    for pattern in patterns:
        for path in sorted(Path("/usr/lib").glob(pattern)):
            return path
    raise KeyStoreError(
        f"the PKCS#11 library of {package} was not found", f"install it (apt-get install {package})"
    )


TOKENS: dict[str, Callable[[Path], SimulatedToken]] = {"softhsm": SoftHsm, "tpm": Tpm}
"""The kinds by name; each is made in a folder of its own."""
