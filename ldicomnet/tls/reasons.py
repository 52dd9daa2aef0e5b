"""Why TLS failed, in the original's numbers: OpenSSL's reasons, alerts of the peer, faults of certificates."""

from __future__ import annotations

import ssl

from ..errors import LDicomSecurityError
from ..status import ErrorCode

_E = ErrorCode

_ALERTS = {
    "UNEXPECTED_MESSAGE": _E.TLS_UNEXPECTED_MESSAGE,
    "BAD_RECORD_MAC": _E.TLS_BAD_RECORD_MAC,
    "DECRYPTION_FAILED": _E.TLS_DECRYPTION_FAILED,
    "RECORD_OVERFLOW": _E.TLS_RECORD_OVERFLOW,
    "DECOMPRESSION_FAILURE": _E.TLS_DECOMPRESSION_FAILURE,
    "HANDSHAKE_FAILURE": _E.TLS_HANDSHAKE_FAILURE,
    "BAD_CERTIFICATE": _E.TLS_BAD_CERTIFICATE,
    "UNSUPPORTED_CERTIFICATE": _E.TLS_UNSUPPORTED_CERTIFICATE,
    "CERTIFICATE_REVOKED": _E.TLS_CERTIFICATE_REVOKED,
    "CERTIFICATE_EXPIRED": _E.TLS_CERTIFICATE_EXPIRED,
    "CERTIFICATE_UNKNOWN": _E.TLS_CERTIFICATE_UNKNOWN,
    "ILLEGAL_PARAMETER": _E.TLS_ILLEGAL_PARAMETER,
    "UNKNOWN_CA": _E.TLS_UNKNOWN_CA,
    "ACCESS_DENIED": _E.TLS_ACCESS_DENIED,
    "DECODE_ERROR": _E.TLS_DECODE_ERROR,
    "DECRYPT_ERROR": _E.TLS_DECRYPT_ERROR,
    "EXPORT_RESTRICTION": _E.TLS_EXPORT_RESTRICTION,
    "PROTOCOL_VERSION": _E.TLS_PROTOCOL_VERSION,
    "INSUFFICIENT_SECURITY": _E.TLS_INSUFFICIENT_SECURITY,
    "INTERNAL_ERROR": _E.TLS_INTERNAL_ALERT,
    "USER_CANCELLED": _E.TLS_USER_CANCELLED,
    "NO_RENEGOTIATION": _E.TLS_NO_RENEGOTIATION,
    "CERTIFICATE_REQUIRED": _E.TLS_HANDSHAKE_FAILURE,  # what TLS 1.2 says then; the original knows no other
}
"""Alerts of RFC 8446 Section 6 by what OpenSSL calls them; others count as a failed handshake."""

_REASONS = {
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": _E.TLS_BAD_RECORD_MAC,
    "BAD_SIGNATURE": _E.TLS_DECRYPT_ERROR,
    "BAD_DECOMPRESSION": _E.TLS_DECOMPRESSION_FAILURE,
    "NO_SHARED_CIPHER": _E.TLS_HANDSHAKE_FAILURE,
    "NO_CIPHERS_AVAILABLE": _E.TLS_HANDSHAKE_FAILURE,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": _E.TLS_HANDSHAKE_FAILURE,
    "NO_SHARED_SIGNATURE_ALGORITHMS": _E.TLS_HANDSHAKE_FAILURE,
    "WRONG_CIPHER_RETURNED": _E.TLS_ILLEGAL_PARAMETER,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": _E.TLS_HANDSHAKE_FAILURE,
    "UNSUPPORTED_PROTOCOL": _E.TLS_PROTOCOL_VERSION,
    "VERSION_TOO_LOW": _E.TLS_PROTOCOL_VERSION,
    "VERSION_TOO_HIGH": _E.TLS_PROTOCOL_VERSION,
    "NO_PROTOCOLS_AVAILABLE": _E.TLS_PROTOCOL_VERSION,
    "INAPPROPRIATE_FALLBACK": _E.TLS_PROTOCOL_VERSION,
    "WRONG_VERSION_NUMBER": _E.TLS_UNEXPECTED_MESSAGE,
    "WRONG_SSL_VERSION": _E.TLS_UNEXPECTED_MESSAGE,
    "UNKNOWN_PROTOCOL": _E.TLS_UNEXPECTED_MESSAGE,
    "HTTP_REQUEST": _E.TLS_UNEXPECTED_MESSAGE,
    "HTTPS_PROXY_REQUEST": _E.TLS_UNEXPECTED_MESSAGE,
    "BAD_RECORD_TYPE": _E.TLS_UNEXPECTED_MESSAGE,
    "UNEXPECTED_MESSAGE": _E.TLS_UNEXPECTED_MESSAGE,
    "UNEXPECTED_RECORD": _E.TLS_UNEXPECTED_MESSAGE,
    "CCS_RECEIVED_EARLY": _E.TLS_UNEXPECTED_MESSAGE,
    "RENEGOTIATION_MISMATCH": _E.TLS_NO_RENEGOTIATION,
    "PACKET_LENGTH_TOO_LONG": _E.TLS_RECORD_OVERFLOW,
    "DATA_LENGTH_TOO_LONG": _E.TLS_RECORD_OVERFLOW,
    "ENCRYPTED_LENGTH_TOO_LONG": _E.TLS_RECORD_OVERFLOW,
    "EXCESSIVE_MESSAGE_SIZE": _E.TLS_RECORD_OVERFLOW,
    "LENGTH_MISMATCH": _E.TLS_DECODE_ERROR,
    "LENGTH_TOO_SHORT": _E.TLS_DECODE_ERROR,
    "LENGTH_TOO_LONG": _E.TLS_DECODE_ERROR,
    "BAD_LENGTH": _E.TLS_DECODE_ERROR,
    "BAD_EXTENSION": _E.TLS_DECODE_ERROR,
    "EE_KEY_TOO_SMALL": _E.TLS_INSUFFICIENT_SECURITY,
    "CA_KEY_TOO_SMALL": _E.TLS_INSUFFICIENT_SECURITY,
    "CA_MD_TOO_WEAK": _E.TLS_INSUFFICIENT_SECURITY,
    "DH_KEY_TOO_SMALL": _E.TLS_INSUFFICIENT_SECURITY,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": _E.TLS_INSUFFICIENT_SECURITY,
}
"""What this side finds wrong, by OpenSSL's names; anything else is `TLS_INTERNAL_ERROR`."""

_FIRST_X509, _LAST_X509 = 2, 32
"""X509_V_ERR numbers that the original has numbers for, one by one."""
_NO_CA = 79
"""X509_V_ERR_INVALID_CA, which was 24 before OpenSSL 3, and is the original's."""
_WEAK = (66, 67, 68)
"""X509_V_ERR_EE_KEY_TOO_SMALL, CA_KEY_TOO_SMALL, CA_MD_TOO_WEAK."""
_ABOUT_CERTIFICATES = (
    "CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE", "DECRYPT_ERROR", "INSUFFICIENT_SECURITY"
)  # fmt: skip


def of_verification(number: int) -> ErrorCode:
    """The error for an X509_V_ERR number."""
    if _FIRST_X509 <= number <= _LAST_X509:
        return ErrorCode(ErrorCode.X509_UNABLE_TO_GET_ISSUER_CERT + number - _FIRST_X509)
    if number == _NO_CA:
        return ErrorCode.X509_INVALID_CA
    return ErrorCode.TLS_INSUFFICIENT_SECURITY if number in _WEAK else ErrorCode.X509_APPLICATION_VERIFICATION


def is_alert(error: ssl.SSLError) -> bool:
    """Whether it is the peer that has found something wrong."""
    reason = error.reason or ""
    return "_ALERT_" in reason or reason.endswith("UNRECOGNIZED_NAME") or reason.startswith("TLSV13_ALERT")


def is_about_certificate(error: ssl.SSLError) -> bool:
    """Whether it is an alert that a peer may give because of this side's certificate."""
    return is_alert(error) and any(word in (error.reason or "") for word in _ABOUT_CERTIFICATES)


def translate(error: ssl.SSLError, doing: str) -> LDicomSecurityError:
    """The library's error for one of OpenSSL's; `doing` says what was tried."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        number = getattr(error, "verify_code", 0)
        text = getattr(error, "verify_message", "") or reason
        made = of_verification(number), f"this side refuses the peer's certificate: {text} (X.509 error {number})"
    elif is_alert(error):
        name = reason.partition("ALERT_")[2]
        words = (name or reason).lower().replace("_", " ")
        made = _ALERTS.get(name, ErrorCode.TLS_HANDSHAKE_FAILURE), f"the peer refuses it: {words}"
    elif reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        made = ErrorCode.TLS_HANDSHAKE_FAILURE, "this side refuses it: the client has sent no certificate"
    else:
        words = reason.lower().replace("_", " ") or str(error)
        made = _REASONS.get(reason, ErrorCode.TLS_INTERNAL_ERROR), f"this side refuses it: {words}"
    return LDicomSecurityError(made[0], f"{doing}: {made[1]}")
