"""A certificate chain looked at by this library, for programs that decide themselves whom they trust.

OpenSSL verifies everywhere else, and looks at more: path lengths, key usage of issuers, name constraints, the age of
lists of revoked certificates. What is good here has not been verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from .texts import names_of

_LONGEST = 20
_NOT_YET_VALID, _EXPIRED = 9, 10
_SIGNATURE, _SELF_SIGNED, _SELF_SIGNED_IN_CHAIN, _NO_ISSUER = 7, 18, 19, 20
_REVOKED, _NO_CA, _PURPOSE = 23, 24, 26
_WRONG_NAME, _WRONG_ADDRESS = 62, 64
TEXTS = {
    0: "ok",
    _SIGNATURE: "certificate signature failure",
    _NOT_YET_VALID: "certificate is not yet valid",
    _EXPIRED: "certificate has expired",
    _SELF_SIGNED: "self-signed certificate",
    _SELF_SIGNED_IN_CHAIN: "self-signed certificate in certificate chain",
    _NO_ISSUER: "unable to get local issuer certificate",
    _REVOKED: "certificate revoked",
    _NO_CA: "invalid CA certificate",
    _PURPOSE: "unsuitable certificate purpose",
    _WRONG_NAME: "hostname mismatch",
    _WRONG_ADDRESS: "IP address mismatch",
}
"""X509_V_ERR numbers in the words of OpenSSL."""


class Finding(NamedTuple):
    """One certificate of a chain, and what is wrong with it (an X509_V_ERR number, 0 for nothing)."""

    certificate: x509.Certificate
    number: int

    @property
    def text(self) -> str:
        """The same in words."""
        return TEXTS[self.number]


def examine(
    chain: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    revoked: Iterable[x509.CertificateRevocationList],
    name: str | None,
) -> list[Finding]:
    """Look at a server's chain: what is wrong with each certificate, the trusted one first and the server's last.

    Args:
        chain: as the server sent it, its own certificate first.
        trusted: whom this side trusts.
        revoked: lists of revoked certificates.
        name: whom this side meant to reach; None does not compare.
    """
    path, number = _path(chain, trusted)
    numbers = [0] * len(path)
    numbers[-1] = number
    lists = list(revoked)
    for place, certificate in enumerate(path):
        issuer = path[min(place + 1, len(path) - 1)]
        found = _own_fault(certificate, issuer, lists, is_issuer=place > 0)
        if not found and place == 0 and name is not None:
            found = _name_fault(certificate, name)
        numbers[place] = numbers[place] or found
    return [Finding(*each) for each in reversed(list(zip(path, numbers, strict=True)))]


def _path(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]
) -> tuple[list[x509.Certificate], int]:
    """From the first certificate up to a trusted one, and what is wrong with the last that was found."""
    path, number = [chain[0]], 0
    while path[-1] not in trusted:
        issuers = [each for each in (*trusted, *chain) if each.subject == path[-1].issuer and each not in path]
        issuer = next((each for each in issuers if _has_signed(each, path[-1])), None)
        if issuer is None or len(path) >= _LONGEST:
            is_own = path[-1].subject == path[-1].issuer
            alone = _SELF_SIGNED if len(path) == 1 else _SELF_SIGNED_IN_CHAIN
            number = alone if is_own else _SIGNATURE if issuers else _NO_ISSUER
            break
        path.append(issuer)
    return path, number


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _own_fault(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    lists: Iterable[x509.CertificateRevocationList],
    is_issuer: bool,
) -> int:
    now = datetime.now(UTC)
    if now < certificate.not_valid_before_utc:
        return _NOT_YET_VALID
    if now > certificate.not_valid_after_utc:
        return _EXPIRED
    if any(_is_revoked(certificate, issuer, each) for each in lists):
        return _REVOKED
    try:
        if is_issuer:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
            return 0 if constraints.value.ca else _NO_CA
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        return 0 if ExtendedKeyUsageOID.SERVER_AUTH in purposes.value else _PURPOSE
    except x509.ExtensionNotFound:
        return _NO_CA if is_issuer else 0
    except ValueError:
        return _PURPOSE


def _is_revoked(
    certificate: x509.Certificate, issuer: x509.Certificate, revoked: x509.CertificateRevocationList
) -> bool:
    if revoked.issuer != certificate.issuer:
        return False
    with suppress(TypeError, ValueError, InvalidSignature, UnsupportedAlgorithm):
        if revoked.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]
            return revoked.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
    return False


def _name_fault(certificate: x509.Certificate, name: str) -> int:
    names = names_of(certificate)
    try:
        address = ip_address(name)
    except ValueError:
        wanted = name.lower().rstrip(".")
        patterns = [each.removeprefix("DNS:").lower().rstrip(".") for each in names if each.startswith("DNS:")]
        return 0 if any(_matches(pattern, wanted) for pattern in patterns) else _WRONG_NAME
    return 0 if f"IP:{address}" in names else _WRONG_ADDRESS


def _matches(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is that of a host; a star stands for its first label (RFC 6125 6.4.3)."""
    first, _dot, rest = pattern.partition(".")
    if first != "*":
        return pattern == name
    return "." in rest and name.partition(".")[2] == rest
