"""A certificate chain looked at by this library, for programs that decide themselves whom they trust.

OpenSSL verifies everywhere else, and cannot be asked to say what is wrong and go on; Python has no call for it. So this
does what its X509_verify_cert does (RFC 5280 Section 6.1), check by check in its order, and gives its numbers. What is
not understood is wrong. Policies are looked at by neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from .constraints import constraint_fault
from .faults import Fault
from .paths import extension, has_signed, is_self_issued, path_of
from .revocation import revocation_fault
from .texts import bits_of, hash_of, kind_of, names_of


@dataclass(frozen=True)
class Terms:
    """What a chain is measured by.

    Attributes:
        trusted: whom this side trusts.
        revoked: lists of revoked certificates; without any nobody is looked up.
        is_deep: whether issuers are looked up too.
        name: whom this side meant to reach; None does not compare.
        between: how many certificates may stand between the peer's and the trusted one.
        level: OpenSSL's security level, for keys and hashes.
        now: when.
    """

    trusted: Sequence[x509.Certificate] = ()
    revoked: Sequence[x509.CertificateRevocationList] = ()
    is_deep: bool = False
    name: str | None = None
    between: int = 9
    level: int = 2
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


class Finding(NamedTuple):
    """One certificate of a chain, and one thing that is wrong with it, or that nothing is."""

    certificate: x509.Certificate
    fault: Fault


def examine(chain: Sequence[x509.Certificate], terms: Terms) -> list[Finding]:
    """Look at a server's chain: all that is wrong with each certificate, the trusted one first, the server's last.

    A certificate that has nothing wrong with it is there once; one with several faults as often, in OpenSSL's order.

    Args:
        chain: as the server sent it, its own certificate first; all can be decoded.
        terms: what to measure it by.
    """
    path, fault = path_of(chain, terms.trusted, terms.between)
    found: list[list[Fault]] = [[] for _certificate in path]
    if fault:
        found[-1].append(fault)
    for check in CHECKS:
        for place, number in check(path, terms):
            if number and number not in found[place]:
                found[place].append(number)
    pairs = list(zip(path, found, strict=True))
    return [Finding(each, number) for each, faults in reversed(pairs) for number in faults or [Fault.NONE]]


Path = Sequence[x509.Certificate]
Faults = Iterator[tuple[int, Fault]]
"""Which certificate of a path, and what is wrong with it."""

# --- extensions: who may sign, for what, and how far down ----------------------------------------------------------


_UNDERSTOOD = (
    x509.KeyUsage,
    x509.SubjectAlternativeName,
    x509.BasicConstraints,
    x509.CertificatePolicies,
    x509.CRLDistributionPoints,
    x509.ExtendedKeyUsage,
    x509.PolicyConstraints,
    x509.NameConstraints,
    x509.InhibitAnyPolicy,
    x509.OCSPNoCheck,
)
"""Extensions that may be critical: those of X509_supported_extension."""
_POLICY_MAPPINGS, _PROXY = "2.5.29.33", "1.3.6.1.5.5.7.1.14"
_NETSCAPE_TYPE = "2.16.840.1.113730.1.1"
_NETSCAPE_SERVER = 0x40
_SERVER = {ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, "1.3.6.1.4.1.311.10.3.3", "2.16.840.1.113730.4.1"}
"""Purposes of a server, and of those above it: the two others are of times when strong ciphers had to be allowed."""


def _extensions(path: Path, _terms: Terms) -> Faults:
    below = 0  # issuers seen, but those that only renew another
    for place, certificate in enumerate(path):
        yield place, _critical_fault(certificate)
        if place:
            yield place, _issuer_fault(certificate, is_last=place == len(path) - 1)
        yield place, Fault.NONE if _is_for_servers(certificate, is_issuer=place > 0) else Fault.PURPOSE
        constraints = extension(certificate, x509.BasicConstraints)
        limit = None if constraints is None else constraints.path_length
        if limit is not None and place > 1 and below > limit:
            yield place, Fault.PATH_LENGTH
        below += place > 0 and not is_self_issued(certificate)


def _critical_fault(certificate: x509.Certificate) -> Fault:
    if any(each.oid.dotted_string == _PROXY for each in certificate.extensions):
        return Fault.PROXY
    for each in certificate.extensions:
        is_known = isinstance(each.value, _UNDERSTOOD) or each.oid.dotted_string in (_POLICY_MAPPINGS, _NETSCAPE_TYPE)
        if each.critical and not is_known:
            return Fault.CRITICAL
    return Fault.NONE


def _issuer_fault(certificate: x509.Certificate, is_last: bool) -> Fault:
    """X509_check_ca: old roots may do without basic constraints, others not."""
    usage, constraints = extension(certificate, x509.KeyUsage), extension(certificate, x509.BasicConstraints)
    if usage is not None and not usage.key_cert_sign:
        return Fault.NO_CA
    if constraints is not None:
        return Fault.NONE if constraints.ca else Fault.NO_CA
    is_old_root = certificate.version == x509.Version.v1 and is_self_issued(certificate)
    return Fault.NONE if is_last and (is_old_root or usage is not None) else Fault.NO_CA


def _is_for_servers(certificate: x509.Certificate, is_issuer: bool) -> bool:
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    if purposes is not None and not any(each.dotted_string in _SERVER for each in purposes):
        return False
    if is_issuer:
        return True
    usage = extension(certificate, x509.KeyUsage)
    may_shake_hands = usage is None or usage.digital_signature or usage.key_encipherment or usage.key_agreement
    return may_shake_hands and _netscape_type(certificate) & _NETSCAPE_SERVER > 0


def _netscape_type(certificate: x509.Certificate) -> int:
    """The bits of an extension from before there were purposes; all where there is none."""
    for each in certificate.extensions:
        if each.oid.dotted_string == _NETSCAPE_TYPE and isinstance(each.value, x509.UnrecognizedExtension):
            data = each.value.value  # a BIT STRING: tag, length, unused bits, bits
            return data[3] if len(data) > 3 and data[0] == 3 else 0
    return 0xFF


# --- keys and hashes ------------------------------------------------------------------------------------------------

_LEVELS = ((0, 0, 0), (1024, 160, 80), (2048, 224, 112), (3072, 256, 128), (7680, 384, 192), (15360, 512, 256))
"""By OpenSSL's security level: bits of an RSA key, of any other, and what a hash is worth."""
_WORTH = {
    "": 128, "md5": 39, "sha1": 63, "sha224": 112, "sha256": 128, "sha384": 192, "sha512": 256, "sha512-224": 112,
    "sha512-256": 128, "sha3-224": 112, "sha3-256": 128, "sha3-384": 192, "sha3-512": 256,
}  # fmt: skip
"""What a hash is worth, in bits; "" are signatures that have it within."""


def _own_key(path: Path, terms: Terms) -> Faults:
    if _is_key_weak(path[0], terms.level):
        yield 0, Fault.WEAK_KEY


def _strength(path: Path, terms: Terms) -> Faults:
    for place, certificate in enumerate(path):
        if place and _is_key_weak(certificate, terms.level):
            yield place, Fault.WEAK_ISSUER_KEY
        is_trusted = place == len(path) - 1  # whoever signed that does not matter
        if not is_trusted and _WORTH.get(hash_of(certificate), 0) < _LEVELS[terms.level][2]:
            yield place, Fault.WEAK_HASH


def _is_key_weak(certificate: x509.Certificate, level: int) -> bool:
    of_rsa, of_others, _hash = _LEVELS[level]
    return bits_of(certificate) < (of_rsa if kind_of(certificate) in ("RSA", "DSA") else of_others)


# --- name, revocation, signatures, dates, constraints ---------------------------------------------------------------


def _name(path: Path, terms: Terms) -> Faults:
    if terms.name is not None:
        yield 0, _name_fault(path[0], terms.name)


def _name_fault(certificate: x509.Certificate, name: str) -> Fault:
    names = names_of(certificate)
    try:
        address = ip_address(name)
    except ValueError:
        wanted = name.encode("idna").decode("ascii").lower().rstrip(".")
        patterns = [each.removeprefix("DNS:").lower().rstrip(".") for each in names if each.startswith("DNS:")]
        return Fault.NONE if any(_matches(pattern, wanted) for pattern in patterns) else Fault.WRONG_NAME
    return Fault.NONE if f"IP:{address}" in names else Fault.WRONG_ADDRESS


def _matches(pattern: str, name: str) -> bool:
    """Whether a name of a certificate is that of a host; a star stands for its first label (RFC 6125 6.4.3)."""
    first, _dot, rest = pattern.partition(".")
    if first != "*":
        return pattern == name
    label, _dot, above = name.partition(".")
    return bool(label) and "." in rest and above == rest


def _revocation(path: Path, terms: Terms) -> Faults:
    if not terms.revoked:
        return
    for place in range(len(path) if terms.is_deep else 1):
        issuer = path[min(place + 1, len(path) - 1)]
        yield place, revocation_fault(path[place], issuer, terms.revoked, terms.now)


def _signatures(path: Path, _terms: Terms) -> Faults:
    """That of the last is its own, or of who is not there, and proves nothing."""
    for place in range(len(path) - 1):
        usage = extension(path[place + 1], x509.KeyUsage)
        if usage is not None and not usage.key_cert_sign:
            yield place + 1, Fault.NO_CERT_SIGN
        if not has_signed(path[place + 1], path[place]):
            yield place, Fault.SIGNATURE


def _dates(path: Path, terms: Terms) -> Faults:
    for place, certificate in enumerate(path):
        if terms.now < certificate.not_valid_before_utc:
            yield place, Fault.NOT_YET_VALID
        if terms.now > certificate.not_valid_after_utc:
            yield place, Fault.EXPIRED


def _constraints(path: Path, _terms: Terms) -> Faults:
    for place, certificate in enumerate(path):
        if place and is_self_issued(certificate) and place != len(path) - 1:
            continue  # RFC 5280 6.1.3: it only renews another
        for issuer in reversed(path[place + 1 :]):
            yield place, constraint_fault(certificate, issuer)


CHECKS: tuple[Callable[[Path, Terms], Faults], ...] = (
    _own_key, _extensions, _strength, _name, _revocation, _signatures, _dates, _constraints
)  # fmt: skip
"""All that is checked once there is a path, in OpenSSL's order."""
