"""The secure transport connection profiles of PS3.15 Annex B as a table: versions, suites, keys.

Knows no `ssl`.
"""

from __future__ import annotations

from typing import NamedTuple

from ..status import CipherSuite, TlsProfile

TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0301, 0x0302, 0x0303, 0x0304
"""Versions by their number on the wire."""

VERSION_NAMES = {TLS_1_0: "TLSv1", TLS_1_1: "TLSv1.1", TLS_1_2: "TLSv1.2", TLS_1_3: "TLSv1.3"}


class Profile(NamedTuple):
    """What one profile asks for.

    Attributes:
        number: its name.
        title: the same in words.
        oldest, newest: versions of TLS.
        suites: those offered and accepted, in the order of preference.
        optional: those that may be asked for besides.
        missing: suites of the profile that OpenSSL does not have, or that Python cannot switch on.
        is_legacy: whether it protects too little today, and has to be asked for expressly.
        level: OpenSSL's security level, which bounds keys and hashes of the whole chain.
        rsa_bits, curve_bits: the shortest keys of a certificate.
    """

    number: TlsProfile
    title: str
    oldest: int
    newest: int
    suites: tuple[CipherSuite, ...]
    optional: tuple[CipherSuite, ...] = ()
    missing: str = ""
    is_legacy: bool = False
    level: int = 2
    rsa_bits: int = 2048
    curve_bits: int = 224


_C = CipherSuite
_TLS13 = (_C.AES_256_GCM_SHA384, _C.CHACHA20_POLY1305_SHA256, _C.AES_128_GCM_SHA256)
_TLS13_CCM = (_C.AES_128_CCM_SHA256, _C.AES_128_CCM_8_SHA256)
_ECDHE_RSA = (_C.ECDHE_RSA_AES_256_GCM_SHA384, _C.ECDHE_RSA_AES_128_GCM_SHA256)
_DHE_RSA = (_C.DHE_RSA_AES_256_GCM_SHA384, _C.DHE_RSA_AES_128_GCM_SHA256)
_ECDHE_ECDSA = (_C.ECDHE_ECDSA_AES_256_GCM_SHA384, _C.ECDHE_ECDSA_AES_128_GCM_SHA256)
_CHACHA = (_C.ECDHE_ECDSA_CHACHA20_POLY1305_SHA256, _C.ECDHE_RSA_CHACHA20_POLY1305_SHA256)
_CCM = (
    _C.ECDHE_ECDSA_AES_256_CCM,
    _C.ECDHE_ECDSA_AES_256_CCM_8,
    _C.ECDHE_ECDSA_AES_128_CCM,
    _C.ECDHE_ECDSA_AES_128_CCM_8,
)
_STRONG = (*_ECDHE_ECDSA, *_ECDHE_RSA, *_DHE_RSA, *_CHACHA, *_CCM)
_OLD = (_C.DHE_RSA_AES256_SHA, _C.RSA_AES_128_CBC_SHA)

PROFILES = {
    profile.number: profile
    for profile in (
        Profile(
            TlsProfile.NULL, "authenticated and not encrypted (retired, IHE ATNA)", TLS_1_0, TLS_1_2,
            (_C.RSA_NULL_SHA,),
            is_legacy=True, level=0, rsa_bits=1024,
        ),
        Profile(
            TlsProfile.BASIC, "Basic TLS (retired, PS3.15 B.1)", TLS_1_0, TLS_1_2,
            (_C.RSA_3DES_EDE_CBC_SHA,), (_C.DHE_RSA_3DES_EDE_CBC_SHA, _C.DHE_RSA_DES_CBC_SHA),
            is_legacy=True, level=0, rsa_bits=1024,
        ),
        Profile(
            TlsProfile.AES, "AES TLS (retired, PS3.15 B.3)", TLS_1_0, TLS_1_2,
            (_C.RSA_AES_128_CBC_SHA,), (*_STRONG, *_OLD, _C.RSA_3DES_EDE_CBC_SHA, _C.DHE_RSA_3DES_EDE_CBC_SHA),
            missing="the fall-back to 3DES",
            is_legacy=True, level=0, rsa_bits=1024,
        ),
        Profile(
            TlsProfile.BCP_195_RFC_7525, "BCP 195 (retired, PS3.15 B.9)", TLS_1_2, TLS_1_3,
            (*_TLS13, *_ECDHE_RSA, *_DHE_RSA, _C.RSA_AES_128_CBC_SHA), (*_STRONG, *_OLD),
            missing="the fall-back to 3DES, and to TLS 1.0 unless minimum_version says so",
        ),
        Profile(
            TlsProfile.NON_DOWNGRADING_BCP_195, "Non-downgrading BCP 195 (retired, PS3.15 B.10)", TLS_1_2, TLS_1_3,
            (*_TLS13, *_ECDHE_RSA, *_DHE_RSA), _STRONG,
        ),
        Profile(
            TlsProfile.EXTENDED_BCP_195, "Extended BCP 195 (retired, PS3.15 B.11)", TLS_1_2, TLS_1_2,
            (*_ECDHE_ECDSA, *_ECDHE_RSA, *_DHE_RSA),
            missing="the optional Camellia suites", curve_bits=256,
        ),
        Profile(
            TlsProfile.BCP_195, "BCP 195 RFC 8996, 9325 (PS3.15 B.12)", TLS_1_2, TLS_1_3,
            (*_TLS13, *_ECDHE_ECDSA, *_ECDHE_RSA), _STRONG,
        ),
        Profile(
            TlsProfile.MODIFIED_BCP_195, "Modified BCP 195 RFC 8996, 9325 (PS3.15 B.13)", TLS_1_2, TLS_1_3,
            (
                *_TLS13, *_TLS13_CCM, *_ECDHE_ECDSA, *_ECDHE_RSA, _CHACHA[0], _CHACHA[1], *_CCM,
            ), _DHE_RSA,
            missing="the two CCM suites of TLS 1.3, unless OpenSSL's configuration switches them on", curve_bits=256,
        ),
    )
}  # fmt: skip
