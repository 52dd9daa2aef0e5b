"""Which names an issuer may give (RFC 5280 4.2.1.10), as OpenSSL understands it. Knows no path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cryptography import x509

from .faults import Fault
from .paths import canonical, extension


def constraint_fault(certificate: x509.Certificate, issuer: x509.Certificate) -> Fault:
    """Whether a certificate has only names that an issuer somewhere above it may give."""
    constraints = extension(issuer, x509.NameConstraints)
    if constraints is None:
        return Fault.NONE
    if constraints.public_bytes() not in issuer.tbs_certificate_bytes:
        return Fault.SUBTREE  # it says more than was decoded: a minimum, a maximum
    try:
        found = (_fault_of(name, constraints) for name in _names(certificate))
        return next((fault for fault in found if fault), Fault.NONE)
    except ValueError:
        return Fault.NAME_SYNTAX


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.subject)
    for each in certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS):
        yield x509.RFC822Name(str(each.value))
    yield from extension(certificate, x509.SubjectAlternativeName) or ()


def _fault_of(name: x509.GeneralName, constraints: x509.NameConstraints) -> Fault:
    permitted = [each for each in constraints.permitted_subtrees or () if type(each) is type(name)]
    excluded = [each for each in constraints.excluded_subtrees or () if type(each) is type(name)]
    is_within = _WITHIN.get(type(name))
    if is_within is None:
        return Fault.CONSTRAINT_TYPE if permitted or excluded else Fault.NONE
    if permitted and not any(is_within(name.value, each.value) for each in permitted):
        return Fault.NOT_PERMITTED
    return Fault.EXCLUDED if any(is_within(name.value, each.value) for each in excluded) else Fault.NONE


def _is_directory_within(name: x509.Name, base: x509.Name) -> bool:
    wanted = canonical(base)
    return canonical(name)[: len(wanted)] == wanted


def _is_host_within(name: str, base: str) -> bool:
    host, wanted = name.lower(), base.lower()
    tail = wanted if wanted.startswith(".") else f".{wanted}"
    return not wanted or host == wanted or host.endswith(tail)


def _is_exact_host(name: str, base: str) -> bool:
    """Of an address or a URI: one host, or with a dot in front all those below it."""
    host, wanted = name.lower(), base.lower()
    return host.endswith(wanted) and host != wanted if wanted.startswith(".") else host == wanted


def _is_mail_within(name: str, base: str) -> bool:
    mailbox, at, host = name.rpartition("@")
    if not at:
        raise ValueError("an address of mail has no @")
    wanted_mailbox, has_mailbox, wanted = base.rpartition("@")
    if has_mailbox:
        return (not wanted_mailbox or mailbox == wanted_mailbox) and host.lower() == wanted.lower()
    return not wanted or _is_exact_host(host, wanted)


def _is_place_within(name: str, base: str) -> bool:
    _scheme, colon, rest = name.partition(":")
    if not colon or not rest.startswith("//"):
        raise ValueError("a URI has no host")
    host = rest[2:].partition("/")[0].partition(":")[0]
    if not host:
        raise ValueError("a URI has no host")
    return _is_exact_host(host, base)


def _is_address_within(name: Any, base: Any) -> bool:
    return name in base


_WITHIN: dict[type[x509.GeneralName], Callable[[Any, Any], bool]] = {
    x509.DirectoryName: _is_directory_within,
    x509.DNSName: _is_host_within,
    x509.RFC822Name: _is_mail_within,
    x509.UniformResourceIdentifier: _is_place_within,
    x509.IPAddress: _is_address_within,
}
"""Kinds of names whose constraints are understood."""
