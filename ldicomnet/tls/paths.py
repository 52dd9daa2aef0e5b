"""From a peer's certificate up to one that is trusted, as OpenSSL looks for it. Judges nothing on the way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from .faults import ODD, Fault
from .texts import oddity_of

_SIGNERS = (
    ("1.2.840.113549.1.1.", rsa.RSAPublicKey),
    ("1.2.840.10045.4.", ec.EllipticCurvePublicKey),
)
"""Which kind of key makes which signatures."""
_VERSION = 0xA0
"""The tag of a certificate's version, which the oldest have not."""
E = TypeVar("E", bound=x509.ExtensionType)
Canonical = tuple[frozenset[tuple[str, object]], ...]
"""A name in the form in which two of them are compared."""


def path_of(
    chain: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate], between: int
) -> tuple[list[x509.Certificate], Fault]:
    """From a peer's certificate up to a trusted one, and what is wrong with the end of the way.

    What the peer has sent may be in any order, and more than is needed. A trusted issuer goes before one that was sent,
    and ends the way, be it a root or not (X509_V_FLAG_TRUSTED_FIRST, X509_V_FLAG_PARTIAL_CHAIN).

    Args:
        chain: as the peer sent it, its own certificate first.
        trusted: whom this side trusts.
        between: how many may stand between the first and the last.
    """
    path, sent = [chain[0]], list(chain[1:])
    fault = Fault.TOO_LONG
    while len(path) < between + 2:
        last = path[-1]
        if is_self_signed(last):
            fault = _of_root(path, trusted)
            break
        anchor = _best_issuer(last, trusted)
        if anchor is not None:
            return [*path, anchor], Fault.NONE
        issuer = _best_issuer(last, sent)
        if issuer is None:
            fault = Fault.NO_ISSUER
            break
        sent.remove(issuer)
        path.append(issuer)
    return path, Fault.NONE if chain[0] in trusted else fault


def _of_root(path: Sequence[x509.Certificate], trusted: Sequence[x509.Certificate]) -> Fault:
    if path[-1] in trusted:
        return Fault.NONE
    return Fault.SELF_SIGNED if len(path) == 1 else Fault.SELF_SIGNED_IN_CHAIN


def _best_issuer(certificate: x509.Certificate, among: Iterable[x509.Certificate]) -> x509.Certificate | None:
    """Of those that may have signed it, one that has; and of these, one that is valid now, and will be longest."""
    now = datetime.now(UTC)
    found = [each for each in among if each != certificate and _may_have_signed(each, certificate)]

    def worth(issuer: x509.Certificate) -> tuple[bool, bool, datetime]:
        until = issuer.not_valid_after_utc
        return has_signed(issuer, certificate), issuer.not_valid_before_utc <= now <= until, until

    return max(found, key=worth, default=None)


def _may_have_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """By its name, the kind of its key, and what the certificate says of both (RFC 5280 4.2.1.1)."""
    try:
        is_named = canonical(issuer.subject) == canonical(certificate.issuer)
    except ODD:
        return False
    if not is_named or oddity_of(issuer):  # it may be one of the system's; the peer's have been looked at
        return False
    algorithm = certificate.signature_algorithm_oid.dotted_string
    if any(algorithm.startswith(prefix) and not isinstance(issuer.public_key(), kind) for prefix, kind in _SIGNERS):
        return False
    return is_meant(issuer, extension(certificate, x509.AuthorityKeyIdentifier))


def is_meant(issuer: x509.Certificate, said: x509.AuthorityKeyIdentifier | None) -> bool:
    """Whether an authority key identifier speaks of this issuer; what is not said speaks of any."""
    if said is None:
        return True
    own = extension(issuer, x509.SubjectKeyIdentifier)
    if said.key_identifier is not None and own is not None and said.key_identifier != own.digest:
        return False
    number = said.authority_cert_serial_number
    if number is not None and number != issuer.serial_number:
        return False
    named = [each.value for each in said.authority_cert_issuer or () if isinstance(each, x509.DirectoryName)]
    return not named or canonical(named[0]) == canonical(issuer.issuer)


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer have one name."""
    return canonical(certificate.subject) == canonical(certificate.issuer)


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it says that it is its own issuer."""
    return is_self_issued(certificate) and is_meant(certificate, extension(certificate, x509.AuthorityKeyIdentifier))


def has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether a certificate's signature is that of an issuer's key, by whatever names they go."""
    if not _says_one_algorithm(certificate):
        return False
    with suppress(*ODD, InvalidSignature):
        key, signature, signed = issuer.public_key(), certificate.signature, certificate.tbs_certificate_bytes
        digest, how = certificate.signature_hash_algorithm, certificate.signature_algorithm_parameters
        if isinstance(key, rsa.RSAPublicKey) and isinstance(how, padding.PKCS1v15 | padding.PSS) and digest:
            key.verify(signature, signed, how, digest)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and digest:
            key.verify(signature, signed, ec.ECDSA(digest))
            return True
        if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) and digest is None:
            key.verify(signature, signed)
            return True
    return False


def _says_one_algorithm(certificate: x509.Certificate) -> bool:
    """Whether the algorithm beside the signature is that which was signed (RFC 5280 4.1.1.2)."""
    signed, whole = certificate.tbs_certificate_bytes, certificate.public_bytes(Encoding.DER)
    at = _content_at(signed, 0)
    if signed[at] == _VERSION:
        at = _end_of(signed, at)
    at = _end_of(signed, at)  # the serial number
    beside = _end_of(whole, _content_at(whole, 0))
    return signed[at : _end_of(signed, at)] == whole[beside : _end_of(whole, beside)]


def _content_at(data: bytes, at: int) -> int:
    """Where the content of a value in DER begins."""
    return at + 2 + (data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0)


def _end_of(data: bytes, at: int) -> int:
    content = _content_at(data, at)
    return content + (data[at + 1] if content == at + 2 else int.from_bytes(data[at + 2 : content], "big"))


def extension(of: x509.Certificate | x509.CertificateRevocationList, kind: type[E]) -> E | None:
    """An extension of a certificate, or of a list; None where it has none of that kind."""
    try:
        return of.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def canonical(name: x509.Name) -> Canonical:
    """A name in the form in which two of them are compared: neither case nor spaces count (RFC 5280 7.1)."""
    return tuple(frozenset((each.oid.dotted_string, _plain(each.value)) for each in rdn) for rdn in name.rdns)


def _plain(value: object) -> object:
    return " ".join(value.split()).lower() if isinstance(value, str) else value
