"""A phone reads the receipt from the screen: straight, a little blurred, a little turned.

OpenCV's two readers stand for the phone. They are weaker than a phone's: each picture is tried by both, in
two sizes, as a phone tries one frame after the other.
"""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.kiosk import qr, terminal
from vouchbox.messages import Action, ConsentWay, Level, Outcome, ReceiptIssued
from vouchbox.simulator.registration import NOTICE, WHY
from vouchbox.vault import keys, provision, receipt, withdrawal_code
from vouchbox.vault.notice import notices
from vouchbox.vault.receipt import EventState, Facts
from vouchbox.vault.request import Request

Picture = NDArray[np.uint8]

LIGHT = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
"""Upper and lower module of a character: 1 is light."""

VERSION_LIMIT = 20
PIXELS = (6, 10)
"""Pixels of a module, in two sizes."""


@pytest.fixture(scope="module", params=["Ed25519", "ES256"])
def text(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The QR code's text of a true receipt, of a box and a party with the longest names there can be."""
    folder: Path = tmp_path_factory.mktemp("keys")
    box = f"vouchbox:{'s' * 32}/{'d' * 32}"
    provision.create_identity(folder / "keys", audience=box, alg=request.param)
    asked = Request("p" * 32, "j" * 22, "n" * 22, "pickup", Action.ENROLL, Level.ACTIVE, 1_800_000_000)
    code = bytes(range(16))
    facts = Facts(
        issuer=box,
        receipt=withdrawal_code.receipt_id(code),
        record="r" * 22,
        principal="p" * 22,
        verdict="v" * 22,
        request=asked,
        notice=notices(dict(NOTICE), {"pickup": WHY}, "test")["pickup"],
        state=EventState.GIVEN,
        way=ConsentWay.PROMPT,
        answered=1_800_000_000,
        issued=1_800_000_000,
        outcome=Outcome.LIVE,
        sent=(),
    )
    return withdrawal_code.text(receipt.sign_short(facts, keys.load(folder / "keys").signer), code)


def on_the_screen(text: str) -> Picture:
    """The modules as the terminal's characters show them, light 255 and dark 0."""
    rows: list[list[int]] = []
    for line in qr.lines(text):
        pairs = [LIGHT[sign] for sign in line]
        rows += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    return np.array(rows, np.uint8) * 255


def read(modules: Picture, *, blur: float = 0.0, turn: float = 0.0) -> str:
    """What the first reader that reads anything makes of a photograph of it; `blur` in modules (standard
    deviation), `turn` in degrees."""
    for size, reader in itertools.product(PIXELS, (cv2.QRCodeDetectorAruco(), cv2.QRCodeDetector())):
        picture = np.kron(modules, np.ones((size, size), np.uint8))
        height, width = picture.shape
        if turn:
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn, 0.9)
            picture = cv2.warpAffine(picture, matrix, (width, height), borderValue=(255.0,))
        if blur:
            picture = cv2.GaussianBlur(picture, (0, 0), blur * size)
        try:
            found = reader.detectAndDecode(picture)[0]
        except cv2.error:
            continue
        if found:
            return found
    return ""


def test_the_symbol_is_small_enough_with_error_correction_m_or_better(text: str) -> None:
    drawn = qr.symbol(text)
    assert isinstance(drawn.version, int)
    assert drawn.version <= VERSION_LIMIT
    assert drawn.error in ("M", "Q", "H")


@pytest.mark.parametrize(("blur", "turn"), [(0, 0), (0.25, 0), (0, 4), (0, -7), (0.2, 5)])
def test_a_phone_reads_it_from_the_terminal(text: str, blur: float, turn: float) -> None:
    assert read(on_the_screen(text), blur=blur, turn=turn) == text


def test_a_covered_symbol_reads_as_nothing_and_never_as_something_else(text: str) -> None:
    modules = on_the_screen(text)
    modules[20:60, 20:60] = 255
    assert read(modules) == ""


def test_the_kiosk_shows_the_symbol_the_id_and_the_words(text: str) -> None:
    import socket
    import threading

    from vouchbox.ipc import Channel
    from vouchbox.messages import KioskToVault, VaultToKiosk, decoder

    ours, theirs = socket.socketpair()
    vault = Channel(ours, decoder(KioskToVault), peer="kiosk")
    kiosk = Channel(theirs, decoder(VaultToKiosk), peer="vault")
    written = io.StringIO()
    thread = threading.Thread(
        target=terminal.serve,
        args=(kiosk, terminal.accept),
        kwargs={"write": lambda line: written.write(f"{line}\n")},
    )
    thread.start()
    vault.send(ReceiptIssued("s" * 16, "r" * 22, text, withdrawal_code.words(bytes(range(16)))))
    vault.close()
    thread.join(5)
    kiosk.close()
    shown = written.getvalue()
    for line in qr.lines(text):
        assert line in shown
    assert "r" * 22 in shown
    assert withdrawal_code.words(bytes(range(16))) in shown
