"""The receipt as a QR code that a phone reads from this screen, drawn in characters. Pure text in, lines out.

Error correction M, and more where it costs no larger symbol (ISO/IEC 18004). Two modules share one
character, so a terminal of about 90 columns and 50 lines shows a receipt whole.
"""

from __future__ import annotations

import io

import segno


def symbol(text: str) -> segno.QRCode:
    """The QR code of `text`."""
    return segno.make_qr(text, error="m", boost_error=True)


def lines(text: str) -> list[str]:
    """The QR code of `text` in half blocks, with its quiet zone, light on dark."""
    drawn = io.StringIO()
    symbol(text).terminal(drawn, border=4, compact=True)
    return drawn.getvalue().splitlines()
