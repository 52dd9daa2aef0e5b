"""Which names an issuer may give (RFC 5280 4.2.1.10), as OpenSSL understands it. Knows no path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cryptography import x509

from .faults import Fault
from .paths import Canonical, canonical, extension

_MOST = 1 << 20
"""Comparisons of names with constraints (OpenSSL's NAME_CHECK_MAX); a peer could ask for a minute of them else."""


Values = dict[type[x509.GeneralName], list[Any]]
"""What names are compared with, by their kind."""


def constraint_fault(certificate: x509.Certificate, issuer: x509.Certificate) -> Fault:
    """Whether a certificate has only names that an issuer somewhere above it may give."""
    constraints = extension(issuer, x509.NameConstraints)
    if constraints is None:
        return Fault.NONE
    if constraints.public_bytes() not in issuer.tbs_certificate_bytes:
        return Fault.SUBTREE  # it says more than was decoded: a minimum, a maximum
    permitted, excluded = _values(constraints.permitted_subtrees), _values(constraints.excluded_subtrees)
    if _count_of_names(certificate) * _count(permitted, excluded) > _MOST:
        return Fault.UNSPECIFIED
    try:
        found = (_fault_of(name, permitted, excluded) for name in _names(certificate))
        return next((fault for fault in found if fault), Fault.NONE)
    except ValueError:
        return Fault.NAME_SYNTAX


def _values(subtrees: Iterable[x509.GeneralName] | None) -> Values:
    """What is permitted or excluded, by its kind."""
    found: Values = {}
    for each in subtrees or ():
        found.setdefault(type(each), []).append(_comparable(each))
    return found


def _comparable(name: x509.GeneralName) -> Any:
    return canonical(name.value) if isinstance(name, x509.DirectoryName) else name.value


def _count(*several: Values) -> int:
    return sum(len(values) for each in several for values in each.values())


def _count_of_names(certificate: x509.Certificate) -> int:
    return len(list(certificate.subject)) + len(list(extension(certificate, x509.SubjectAlternativeName) or ()))


def _names(certificate: x509.Certificate) -> Iterator[x509.GeneralName]:
    if certificate.subject.rdns:
        yield x509.DirectoryName(certificate.subject)
    for each in certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS):
        yield x509.RFC822Name(str(each.value))
    yield from extension(certificate, x509.SubjectAlternativeName) or ()


def _fault_of(name: x509.GeneralName, all_permitted: Values, all_excluded: Values) -> Fault:
    permitted, excluded = all_permitted.get(type(name), []), all_excluded.get(type(name), [])
    is_within = _WITHIN.get(type(name))
    if is_within is None:
        return Fault.CONSTRAINT_TYPE if permitted or excluded else Fault.NONE
    value = _comparable(name)
    if permitted and not any(is_within(value, each) for each in permitted):
        return Fault.NOT_PERMITTED
    return Fault.EXCLUDED if any(is_within(value, each) for each in excluded) else Fault.NONE


def _is_directory_within(name: Canonical, base: Canonical) -> bool:
    return name[: len(base)] == base


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
