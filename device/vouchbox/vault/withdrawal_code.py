"""The secret that withdraws a consent: drawn once, given to the person, never kept by the box.

Pure. The code has 128 bits. Its digest is the id of the receipt, so the signed verdict and the signed receipt
both commit to it, and whoever holds one of them can tell a true code from a wrong one without knowing it. For
people it is twelve words of the BIP-39 list, whose checksum catches a slip of the tongue; for machines it
stands at the end of the QR code's text.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

from mnemonic import Mnemonic

from vouchbox.errors import CodeRefused
from vouchbox.vault.formats import from_base64url, to_base64url

CODE_BYTES = 16
WORDS = 12

TEXT_LIMIT = 1024
"""Characters of what a person may present, at most: a QR code's text is shorter."""

MARK = "~"
"""Between the signed short form and the code in a QR code's text."""

_CONTEXT = b"vouchbox-receipt-v1\n"


@dataclass(frozen=True, slots=True, repr=False)
class Presented:
    """What a person presented: the code, and the signed short form beside it when it was a QR code's text."""

    code: bytes
    short: bytes = b""

    @property
    def receipt(self) -> str:
        """The id of the receipt that this code belongs to."""
        return receipt_id(self.code)


def receipt_id(code: bytes) -> str:
    """The receipt's id: base64url of 16 bytes, the start of SHA-256 over `vouchbox-receipt-v1`, LF, code."""
    return to_base64url(hashlib.sha256(_CONTEXT + code).digest()[:CODE_BYTES])


def words(code: bytes) -> str:
    """The code as twelve English words (BIP-39)."""
    return _list().to_mnemonic(code)


def text(short: bytes, code: bytes) -> str:
    """The text of the QR code; without a code (a receipt for a no) it is the short form alone."""
    return f"{short.decode()}{MARK}{to_base64url(code)}" if code else short.decode()


def read(said: str) -> Presented:
    """What a person typed or scanned; raises CodeRefused (malformed) for what can be no code.

    Words may be written in capitals, numbered, or cut to their first four letters, which are unique.
    """
    if len(said) > TEXT_LIMIT:
        raise _malformed("that is too long for a code")
    short, mark, code = said.strip().rpartition(MARK)
    if mark:
        return Presented(_sixteen(code), short.strip().encode("ascii", "replace"))
    spoken = [part for part in said.lower().split() if part.isalpha()]
    if len(spoken) != WORDS:
        raise _malformed("a code has twelve words")
    try:
        return Presented(bytes(_list().to_entropy([_list().expand_word(word) for word in spoken])))
    except (ValueError, LookupError):
        raise _malformed("one of the words is wrong, or their order") from None


def _sixteen(written: str) -> bytes:
    try:
        code = from_base64url(written.strip())
    except ValueError:
        code = b""
    if len(code) != CODE_BYTES:
        raise _malformed("the end of that text is damaged")
    return code


def _malformed(what: str) -> CodeRefused:
    return CodeRefused("malformed", what, "give the twelve words of the receipt, or the text of its QR code")


@cache
def _list() -> Mnemonic:
    return Mnemonic("english")
