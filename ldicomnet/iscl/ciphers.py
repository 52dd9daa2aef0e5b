"""The ciphers of ISCL: DES in CBC with an IV that goes on, its paddings, MD5, DESMAC; knows no packet.

DES is broken: its keys have 56 bits. It comes from `cryptography`, as triple DES with three times the same key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable

from ..errors import LDicomSecurityError, LDicomUsageError
from ..status import ErrorCode

BLOCK = 8
"""Bytes of a block, a key, a challenge, a response, a DESMAC and a random number."""
ZERO_IV = bytes(BLOCK)

# FIPS 74 and SP 800-67: the keys that undo themselves, and those that another one undoes.
_WEAK = """
0101010101010101 FEFEFEFEFEFEFEFE E0E0E0E0F1F1F1F1 1F1F1F1F0E0E0E0E
011F011F010E010E 1F011F010E010E01 01E001E001F101F1 E001E001F101F101
01FE01FE01FE01FE FE01FE01FE01FE01 1FE01FE00EF10EF1 E01FE01FF10EF10E
1FFE1FFE0EFE0EFE FE1FFE1FFE0EFE0E E0FEE0FEF1FEF1FE FEE0FEE0FEF1FEF1
"""
_PARITY = (1 << 64) // 255  # the lowest bit of each byte, which DES does not read
_VARIANT = 0xF0
_WEAK_BITS = frozenset(int(key, 16) & ~_PARITY for key in _WEAK.split())


def key(name: str, value: object) -> bytes:
    """A DES key that a user gives: eight bytes, or a number of 64 bits.

    Raises:
        LDicomUsageError: it is none, or one of the 16 weak and semi-weak keys.
    """
    if isinstance(value, int) and 0 <= value < 1 << 64:
        value = value.to_bytes(BLOCK, "big")
    if not isinstance(value, bytes | bytearray | memoryview) or len(bytes(value)) != BLOCK:
        raise LDicomUsageError(f"{name} is no key: eight bytes, or a number of 64 bits, are wanted")
    if is_weak(bytes(value)):
        raise LDicomUsageError(f"{name} is one of the weak and semi-weak keys of DES")
    return bytes(value)


def is_weak(secret: bytes) -> bool:
    """Whether a key is weak or semi-weak, whatever its parity bits are."""
    return int.from_bytes(secret, "big") & ~_PARITY in _WEAK_BITS


def is_same_key(one: bytes, other: bytes) -> bool:
    """Whether two keys are the same to DES, which does not read their parity bits."""
    return is_same(with_parity(one), with_parity(other))


def with_parity(secret: bytes) -> bytes:
    """The key with odd parity in each byte, as the standard of DES has it."""
    return bytes(byte & 0xFE | (byte >> 1).bit_count() & 1 ^ 1 for byte in secret)


def is_same(one: bytes, other: bytes) -> bool:
    """Whether two are equal; takes as long for those that are nearly equal."""
    return hmac.compare_digest(one, other)


# --- DES ---------------------------------------------------------------------------------------------------------


def _des(secret: bytes, iv: bytes, data: bytes, encrypts: bool) -> bytes:
    """DES-CBC of whole blocks. The one place that knows where DES comes from.

    Raises:
        LDicomSecurityError: `cryptography` is not there or too old, or the system's OpenSSL refuses DES, as one that is
            set up for FIPS does.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
        from cryptography.hazmat.primitives.ciphers import Cipher, modes
    except ImportError as error:
        raise _no_des(f"it comes from cryptography 43 or newer: {error}") from error
    try:
        cipher = Cipher(TripleDES(secret * 3), modes.CBC(iv))
        context = cipher.encryptor() if encrypts else cipher.decryptor()
        return context.update(data) + context.finalize()
    except UnsupportedAlgorithm as error:
        raise _no_des(f"this system's OpenSSL refuses it: {error}") from error


def _no_des(why: str) -> LDicomSecurityError:
    return LDicomSecurityError(ErrorCode.SECURITY_LOCKED, f"ISCL needs DES; {why}")


def check_available() -> None:
    """Whether DES is there; better asked before a connection is made.

    Raises:
        LDicomSecurityError: it is not, and why.
    """
    _des(with_parity(bytes(range(BLOCK))), ZERO_IV, ZERO_IV, encrypts=True)


def encrypt_block(secret: bytes, block: bytes) -> bytes:
    """DES of one block."""
    return _des(secret, ZERO_IV, block, encrypts=True)


class Chain:
    """The IV of one direction, or of both: the last block of what was encrypted or decrypted before.

    Attributes:
        iv: the next one.
    """

    __slots__ = ("goes_on", "iv")

    def __init__(self, goes_on: bool) -> None:
        self.goes_on = goes_on
        self.iv = ZERO_IV

    def encrypt(self, secret: bytes, data: bytes) -> bytes:
        """Whole blocks."""
        made = _des(secret, self.iv, data, encrypts=True)
        self._continue(made)
        return made

    def decrypt(self, secret: bytes, data: bytes) -> bytes:
        """Whole blocks."""
        made = _des(secret, self.iv, data, encrypts=False)
        self._continue(data)
        return made

    def _continue(self, ciphertext: bytes) -> None:
        if self.goes_on:
            self.iv = bytes(ciphertext[-BLOCK:])


# --- paddings: one to eight bytes that say themselves how many they are ----------------------------------------------


def _pkcs5(count: int) -> bytes:
    return bytes([count]) * count


def _x923(count: int) -> bytes:
    return bytes(count - 1) + bytes([count])


def _iso7816(count: int) -> bytes:
    return b"\x80" + bytes(count - 1)


PADDINGS: dict[str, Callable[[int], bytes]] = {"pkcs5": _pkcs5, "x923": _x923, "iso7816": _iso7816}
"""By name: what is added to make `count` bytes more."""


def pad(kind: str, data: bytes) -> bytes:
    """`data` with its padding."""
    return data + PADDINGS[kind](BLOCK - len(data) % BLOCK)


def padded(length: int) -> int:
    """Bytes that so many become."""
    return (length // BLOCK + 1) * BLOCK


def unpad(kind: str, data: bytes) -> tuple[bytes, bool]:
    """`data` without its padding, and whether that was right; where it was not, what it would be with one byte of it.

    All eight endings are compared, whichever it is.
    """
    found, is_right = 1, False
    for count in range(1, BLOCK + 1):
        if is_same(bytes(data[-count:]), PADDINGS[kind](count)):
            found, is_right = count, True
    return data[: len(data) - found], is_right


# --- message authentication ------------------------------------------------------------------------------------------

Digest = Callable[[bytes, bytes], bytes]
"""A digest of (encryption key, message)."""


def md5(_secret: bytes, message: bytes) -> bytes:
    """The plain digest: of 16 bytes, and without a key. Broken, like DES."""
    return hashlib.md5(message, usedforsecurity=False).digest()


def desmac(secret: bytes, message: bytes, fill: str) -> bytes:
    """The last block of DES-CBC with a zero IV, all 64 bits of it; the message filled up with zeros, or padded."""
    whole = message + bytes(-len(message) % BLOCK) if fill == "zero" else pad(fill, message)
    return _des(secret, ZERO_IV, whole or ZERO_IV, encrypts=True)[-BLOCK:]


def is_any_of(mac: bytes, allowed: Iterable[bytes]) -> bool:
    """Whether `mac` equals one; all are compared."""
    found = False
    for one in allowed:
        found |= is_same(mac, one)
    return found


# --- functions of the record that a site may exchange ----------------------------------------------------------------


def des_response(secret: bytes, challenge: bytes) -> bytes:
    """The answer to a challenge under the authentication key."""
    return encrypt_block(secret, challenge)


def separate_session_key(secret: bytes, random: bytes) -> bytes:
    """The key of one message, of the authentication key and the random number that was sent.

    DES under a variant of the key (every byte XOR F0H, as ANSI X9.24 makes variants). Under the key itself, the random
    number sent to a client as a challenge would get the key of the message as its response.
    """
    return with_parity(encrypt_block(bytes(byte ^ _VARIANT for byte in secret), random))


def des_session_key(secret: bytes, random: bytes) -> bytes:
    """The same under the key itself: **whoever can make a client answer a challenge has the key**."""
    return with_parity(encrypt_block(secret, random))
