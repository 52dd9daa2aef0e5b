"""What can be wrong with a certificate: the X509_V_ERR numbers that this library gives. Knows no certificate."""

from __future__ import annotations

from enum import IntEnum

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

ODD = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises for a certificate or a list that is none, as soon as the odd part is asked for."""


class Fault(IntEnum):
    """One X509_V_ERR number."""

    NONE = 0
    UNSPECIFIED = 1
    NO_CRL = 3
    SIGNATURE = 7
    CRL_SIGNATURE = 8
    NOT_YET_VALID = 9
    EXPIRED = 10
    CRL_NOT_YET_VALID = 11
    CRL_EXPIRED = 12
    SELF_SIGNED = 18
    SELF_SIGNED_IN_CHAIN = 19
    NO_ISSUER = 20
    TOO_LONG = 22
    REVOKED = 23
    PATH_LENGTH = 25
    PURPOSE = 26
    NO_CERT_SIGN = 32
    CRITICAL = 34
    NO_CRL_SIGN = 35
    CRL_CRITICAL = 36
    PROXY = 40
    EXTENSION = 41
    CRL_SCOPE = 44
    NOT_PERMITTED = 47
    EXCLUDED = 48
    SUBTREE = 49
    CONSTRAINT_TYPE = 51
    NAME_SYNTAX = 53
    WRONG_NAME = 62
    WRONG_ADDRESS = 64
    WEAK_KEY = 66
    WEAK_ISSUER_KEY = 67
    WEAK_HASH = 68
    NO_CA = 79

    @property
    def text(self) -> str:
        """The same in the words of OpenSSL."""
        return _TEXTS[self]


_TEXTS = {
    Fault.NONE: "ok",
    Fault.UNSPECIFIED: "unspecified certificate verification error",
    Fault.NO_CRL: "unable to get certificate CRL",
    Fault.SIGNATURE: "certificate signature failure",
    Fault.CRL_SIGNATURE: "CRL signature failure",
    Fault.NOT_YET_VALID: "certificate is not yet valid",
    Fault.EXPIRED: "certificate has expired",
    Fault.CRL_NOT_YET_VALID: "CRL is not yet valid",
    Fault.CRL_EXPIRED: "CRL has expired",
    Fault.SELF_SIGNED: "self-signed certificate",
    Fault.SELF_SIGNED_IN_CHAIN: "self-signed certificate in certificate chain",
    Fault.NO_ISSUER: "unable to get local issuer certificate",
    Fault.TOO_LONG: "certificate chain too long",
    Fault.REVOKED: "certificate revoked",
    Fault.NO_CA: "invalid CA certificate",
    Fault.PATH_LENGTH: "path length constraint exceeded",
    Fault.PURPOSE: "unsuitable certificate purpose",
    Fault.NO_CERT_SIGN: "key usage does not include certificate signing",
    Fault.CRITICAL: "unhandled critical extension",
    Fault.NO_CRL_SIGN: "key usage does not include CRL signing",
    Fault.CRL_CRITICAL: "unhandled critical CRL extension",
    Fault.PROXY: "proxy certificates not allowed, please set the appropriate flag",
    Fault.EXTENSION: "invalid or inconsistent certificate extension",
    Fault.CRL_SCOPE: "different CRL scope",
    Fault.NOT_PERMITTED: "permitted subtree violation",
    Fault.EXCLUDED: "excluded subtree violation",
    Fault.SUBTREE: "name constraints minimum and maximum not supported",
    Fault.CONSTRAINT_TYPE: "unsupported name constraint type",
    Fault.NAME_SYNTAX: "unsupported or invalid name syntax",
    Fault.WRONG_NAME: "hostname mismatch",
    Fault.WRONG_ADDRESS: "IP address mismatch",
    Fault.WEAK_KEY: "EE certificate key too weak",
    Fault.WEAK_ISSUER_KEY: "CA certificate key too weak",
    Fault.WEAK_HASH: "CA signature digest algorithm too weak",
}
