"""The cipher suites as a table: the original's number, IANA's code, OpenSSL's name, and what each is made of.

Knows no `ssl`: what this OpenSSL can do is found out where a context is made.
"""

from __future__ import annotations

from typing import NamedTuple

from ..errors import LDicomUsageError
from ..status import (
    AuthenticationAlgorithm,
    CipherSuite,
    EncryptionAlgorithm,
    IntegrityAlgorithm,
    KeyExchangeAlgorithm,
)


class Suite(NamedTuple):
    """One cipher suite.

    Attributes:
        number: what the getters and setters speak.
        iana: its code on the wire.
        name: OpenSSL's name.
        key_exchange, authentication, encryption, integrity: what it is made of.
        bits: length of the encryption key.
    """

    number: CipherSuite
    iana: int
    name: str
    key_exchange: KeyExchangeAlgorithm
    authentication: AuthenticationAlgorithm
    encryption: EncryptionAlgorithm
    bits: int
    integrity: IntegrityAlgorithm

    @property
    def is_tls13(self) -> bool:
        """Whether it is one of TLS 1.3, and of no other version."""
        return self.iana >> 8 == 0x13

    @property
    def needs_dh_parameters(self) -> bool:
        """Whether a server must have Diffie-Hellman parameters for it."""
        return self.name.startswith(("DHE-", "EDH-"))


_C, _E, _I = CipherSuite, EncryptionAlgorithm, IntegrityAlgorithm
_A, _K = AuthenticationAlgorithm, KeyExchangeAlgorithm
_RSA = _K.RSA, _A.RSA
_DHE = _K.RSA_SIGNED_DHE, _A.RSA
"""The original's word for Diffie-Hellman signed by RSA, be it of numbers or of curves."""
_ECDSA = _K.ECDHE, _A.ECDSA
_TLS13 = _K.ECDHE, _A.ANY

SUITES = (
    Suite(_C.RSA_NULL_SHA, 0x0002, "NULL-SHA", *_RSA, _E.NONE, 0, _I.SHA1),
    Suite(_C.DHE_RSA_DES_CBC_SHA, 0x0015, "EDH-RSA-DES-CBC-SHA", *_DHE, _E.DES, 56, _I.SHA1),
    Suite(_C.DHE_RSA_3DES_EDE_CBC_SHA, 0x0016, "DHE-RSA-DES-CBC3-SHA", *_DHE, _E.TRIPLE_DES, 168, _I.SHA1),
    Suite(_C.DHE_RSA_AES256_SHA, 0x0039, "DHE-RSA-AES256-SHA", *_DHE, _E.AES, 256, _I.SHA1),
    Suite(_C.RSA_AES_128_CBC_SHA, 0x002F, "AES128-SHA", *_RSA, _E.AES, 128, _I.SHA1),
    Suite(_C.RSA_3DES_EDE_CBC_SHA, 0x000A, "DES-CBC3-SHA", *_RSA, _E.TRIPLE_DES, 168, _I.SHA1),
    Suite(_C.DHE_RSA_AES_128_GCM_SHA256, 0x009E, "DHE-RSA-AES128-GCM-SHA256", *_DHE, _E.AES, 128, _I.SHA256),
    Suite(_C.ECDHE_RSA_AES_128_GCM_SHA256, 0xC02F, "ECDHE-RSA-AES128-GCM-SHA256", *_DHE, _E.AES, 128, _I.SHA256),
    Suite(_C.DHE_RSA_AES_256_GCM_SHA384, 0x009F, "DHE-RSA-AES256-GCM-SHA384", *_DHE, _E.AES, 256, _I.SHA384),
    Suite(_C.ECDHE_RSA_AES_256_GCM_SHA384, 0xC030, "ECDHE-RSA-AES256-GCM-SHA384", *_DHE, _E.AES, 256, _I.SHA384),
    Suite(_C.AES_128_GCM_SHA256, 0x1301, "TLS_AES_128_GCM_SHA256", *_TLS13, _E.AES, 128, _I.SHA256),
    Suite(_C.AES_256_GCM_SHA384, 0x1302, "TLS_AES_256_GCM_SHA384", *_TLS13, _E.AES, 256, _I.SHA384),
    Suite(
        _C.CHACHA20_POLY1305_SHA256, 0x1303, "TLS_CHACHA20_POLY1305_SHA256",
        *_TLS13, _E.CHACHA20_POLY1305, 256, _I.SHA256,
    ),
    Suite(_C.AES_128_CCM_SHA256, 0x1304, "TLS_AES_128_CCM_SHA256", *_TLS13, _E.AES, 128, _I.SHA256),
    Suite(_C.AES_128_CCM_8_SHA256, 0x1305, "TLS_AES_128_CCM_8_SHA256", *_TLS13, _E.AES, 128, _I.SHA256),
    Suite(
        _C.ECDHE_ECDSA_AES_128_GCM_SHA256, 0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256",
        *_ECDSA, _E.AES, 128, _I.SHA256,
    ),
    Suite(
        _C.ECDHE_ECDSA_AES_256_GCM_SHA384, 0xC02C, "ECDHE-ECDSA-AES256-GCM-SHA384",
        *_ECDSA, _E.AES, 256, _I.SHA384,
    ),
    Suite(_C.ECDHE_ECDSA_AES_128_CCM, 0xC0AC, "ECDHE-ECDSA-AES128-CCM", *_ECDSA, _E.AES, 128, _I.SHA256),
    Suite(_C.ECDHE_ECDSA_AES_256_CCM, 0xC0AD, "ECDHE-ECDSA-AES256-CCM", *_ECDSA, _E.AES, 256, _I.SHA256),
    Suite(_C.ECDHE_ECDSA_AES_128_CCM_8, 0xC0AE, "ECDHE-ECDSA-AES128-CCM8", *_ECDSA, _E.AES, 128, _I.SHA256),
    Suite(_C.ECDHE_ECDSA_AES_256_CCM_8, 0xC0AF, "ECDHE-ECDSA-AES256-CCM8", *_ECDSA, _E.AES, 256, _I.SHA256),
    Suite(
        _C.ECDHE_RSA_CHACHA20_POLY1305_SHA256, 0xCCA8, "ECDHE-RSA-CHACHA20-POLY1305",
        *_DHE, _E.CHACHA20_POLY1305, 256, _I.SHA256,
    ),
    Suite(
        _C.ECDHE_ECDSA_CHACHA20_POLY1305_SHA256, 0xCCA9, "ECDHE-ECDSA-CHACHA20-POLY1305",
        *_ECDSA, _E.CHACHA20_POLY1305, 256, _I.SHA256,
    ),
)  # fmt: skip
"""The original's nine, and those of the profiles in PS3.15 Annex B that OpenSSL has."""

BY_NUMBER = {suite.number: suite for suite in SUITES}
BY_NAME = {suite.name: suite for suite in SUITES}


def suite_of(cipher: int) -> Suite:
    """The suite with that number.

    Raises:
        LDicomUsageError: there is none.
    """
    try:
        return BY_NUMBER[CipherSuite(cipher)]
    except (KeyError, ValueError, TypeError):
        raise LDicomUsageError(f"cipher is {cipher!r}: a CipherSuite is wanted") from None
