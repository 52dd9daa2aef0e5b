"""Whether a certificate is on a list of revoked ones, and whether the list counts (RFC 5280 6.3). Reads no file."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from .faults import ODD, Fault
from .paths import canonical, extension, is_meant

_HANDLED = (x509.IssuingDistributionPoint, x509.AuthorityKeyIdentifier)
_CRITICAL = b"\x01\x01\xff"
"""What makes an extension critical: a BOOLEAN that is true."""


def revocation_fault(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    lists: Iterable[x509.CertificateRevocationList],
    now: datetime,
) -> Fault:
    """What a certificate's issuer says of it: nothing wrong only where a list that counts does not have it."""
    try:
        usable = [each for each in lists if _is_of(each, certificate, issuer)]
        if not usable:
            return Fault.NO_CRL
        worths = [_worth(each, certificate, issuer, now) for each in usable]
        best = [each for each, worth in zip(usable, worths, strict=True) if worth == max(worths)]
        faults = [_list_fault(each, certificate, issuer, now) or _entry_fault(each, certificate) for each in best]
        return next(filter(None, faults), Fault.NONE)
    except ODD:
        return Fault.EXTENSION


def _worth(
    revoked: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> tuple[bool, bool, bool, bool, datetime]:
    """Which of several lists counts: as with OpenSSL, but that none counts less than one of another's hand."""
    return (
        _has_signed(issuer, revoked),
        _is_understood(revoked),
        _covers(revoked, certificate),
        not _time_fault(revoked, now),
        revoked.last_update_utc,
    )


def _is_of(revoked: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether a list is one of this issuer, and whole; those that only add to another, or speak for others, are not."""
    if canonical(revoked.issuer) != canonical(certificate.issuer):
        return False
    scope = extension(revoked, x509.IssuingDistributionPoint)
    is_part = scope is not None and (scope.indirect_crl or scope.only_some_reasons)
    if is_part or extension(revoked, x509.DeltaCRLIndicator) is not None:
        return False
    return is_meant(issuer, extension(revoked, x509.AuthorityKeyIdentifier))


def _list_fault(
    revoked: x509.CertificateRevocationList, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> Fault:
    usage = extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return Fault.NO_CRL_SIGN
    if not _covers(revoked, certificate):
        return Fault.CRL_SCOPE
    return _time_fault(revoked, now) or (Fault.NONE if _has_signed(issuer, revoked) else Fault.CRL_SIGNATURE)


def _entry_fault(revoked: x509.CertificateRevocationList, certificate: x509.Certificate) -> Fault:
    if not _is_understood(revoked):
        return Fault.CRL_CRITICAL
    found = revoked.get_revoked_certificate_by_serial_number(certificate.serial_number)
    return Fault.NONE if found is None else Fault.REVOKED


def _is_understood(revoked: x509.CertificateRevocationList) -> bool:
    """Whether nothing is critical that could change what the entries mean."""
    critical = [each for each in revoked.extensions if each.critical]
    return all(isinstance(each.value, _HANDLED) for each in critical) and (
        # Where no entry can have something critical, they need not be decoded: there may be many.
        revoked.tbs_certlist_bytes.count(_CRITICAL) <= len(critical) or _are_entries_understood(revoked)
    )


def _are_entries_understood(revoked: x509.CertificateRevocationList) -> bool:
    return all(isinstance(each.value, x509.CertificateIssuer) or not each.critical
               for entry in revoked for each in entry.extensions)  # fmt: skip


def _covers(revoked: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether a list speaks of certificates of this kind, and of this distribution point (RFC 5280 5.2.5)."""
    scope = extension(revoked, x509.IssuingDistributionPoint)
    if scope is None:
        return True
    constraints = extension(certificate, x509.BasicConstraints)
    is_issuer = constraints is not None and constraints.ca
    only_others = scope.only_contains_user_certs if is_issuer else scope.only_contains_ca_certs
    if scope.only_contains_attribute_certs or only_others or scope.relative_name is not None:
        return False
    points = extension(certificate, x509.CRLDistributionPoints) or ()
    return scope.full_name is None or any(set(scope.full_name) & set(point.full_name or ()) for point in points)


def _time_fault(revoked: x509.CertificateRevocationList, now: datetime) -> Fault:
    if revoked.last_update_utc > now:
        return Fault.CRL_NOT_YET_VALID
    until = revoked.next_update_utc
    return Fault.CRL_EXPIRED if until is not None and until < now else Fault.NONE


def _has_signed(issuer: x509.Certificate, revoked: x509.CertificateRevocationList) -> bool:
    with suppress(*ODD, InvalidSignature):
        return revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    return False
