"""`scripts/sign_release`: make a release key, or sign packages with it, each into FILE.jws.

The private key is a PEM file (PKCS #8) encrypted with a passphrase; keep it off every box and off the build
machine if you can. The public half is a JWK set that boxes pin (`build_deb --update-keys`, or a file there).
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from deb_package.targets import SUITES
from vouchbox.update.release import RELEASE_TYPE, Release

KEY, PUBLIC = "release-key.pem", "update-keys.jwks.json"


def main() -> None:
    """Read the options, do one of the two."""
    reader = argparse.ArgumentParser(prog="sign_release", description=__doc__)
    reader.add_argument("packages", nargs="*", type=Path, metavar="FILE.deb")
    reader.add_argument("--new-key", type=Path, metavar="FOLDER", help=f"make {KEY} and {PUBLIC} there")
    reader.add_argument("--key", type=Path, help=f"the private key, {KEY}")
    reader.add_argument(
        "--passphrase-file", type=Path, help="the first line is the passphrase (default: ask for it)"
    )
    chosen = reader.parse_args()
    if chosen.new_key is not None and not chosen.packages and chosen.key is None:
        make_key(chosen.new_key, passphrase(chosen.passphrase_file, twice=True))
    elif chosen.key is not None and chosen.packages and chosen.new_key is None:
        key = private_key(chosen.key, passphrase(chosen.passphrase_file))
        for package in chosen.packages:
            print(sign(package, key, int(time.time())))
    else:
        reader.error("give --new-key FOLDER, or --key FILE and packages")


def passphrase(file: Path | None, *, twice: bool = False) -> str:
    """From the file, or asked for at the terminal."""
    if file is not None:
        return file.read_text().partition("\n")[0]
    said = getpass.getpass("Passphrase of the release key: ")
    if twice and said != getpass.getpass("Once more: "):
        raise SystemExit("sign_release: the two differ; nothing was made.")
    return said


def private_key(path: Path, secret: str) -> OKPKey:
    """The key in the file `path`."""
    try:
        key = OKPKey.import_key(path.read_bytes(), password=secret)
    except (OSError, ValueError, TypeError, JoseError):
        raise SystemExit(
            f"sign_release: {path} is no key or has another passphrase; nothing was signed."
        ) from None
    return key


def make_key(folder: Path, secret: str) -> None:
    """A new key in `folder`; none is ever overwritten."""
    if len(secret) < 8:
        raise SystemExit("sign_release: a passphrase has at least 8 characters; nothing was made.")
    key = OKPKey.generate_key("Ed25519")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SystemExit(f"sign_release: {folder / KEY} is there already; nothing was made.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(key.as_pem(private=True, password=secret))
    public = {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": str(key.as_dict(private=False)["x"]),
        "kid": key.thumbprint(),
        "alg": "Ed25519",
        "use": "sig",
    }
    (folder / PUBLIC).write_bytes(msgspec.json.format(msgspec.json.encode({"keys": [public]})) + b"\n")
    print(f"{folder / KEY}\n{folder / PUBLIC}")


def sign(package: Path, key: OKPKey, now: int) -> Path:
    """Sign one package; returns the signature's path, FILE.jws."""
    asked = ("dpkg-deb", "--show", "--showformat=${Package} ${Version} ${Architecture}", str(package))
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    fields = done.stdout.split()
    suite = next(
        (s.name for s in SUITES.values() if len(fields) == 3 and fields[1].endswith(f"+{s.mark}")), ""
    )
    if done.returncode or not suite:
        raise SystemExit(f"sign_release: {package} is no package of build_deb; nothing was signed.")
    with package.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    said = Release(*fields, suite, package.stat().st_size, digest, now)
    header = {"alg": "Ed25519", "typ": RELEASE_TYPE, "kid": key.thumbprint()}
    token = jws.serialize_compact(header, msgspec.json.encode(said), key, algorithms=["Ed25519"])
    signature = package.with_name(f"{package.name}.jws")
    signature.write_text(token + "\n")
    return signature


if __name__ == "__main__":
    sys.exit(main())
