"""What a certificate says: its names, key, hash and validity, and all of it in words. Reads no file."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from .faults import ODD


def oddity_of(certificate: x509.Certificate) -> str:
    """Why a certificate cannot be decoded in all its parts, which is done as each is asked for; "" where it can."""
    try:
        describe(certificate)
        names_of(certificate)
        hash_of(certificate)
        certificate.issuer.rfc4514_string()
        len(certificate.extensions)
    except ODD as error:
        return str(error) or type(error).__name__
    return ""


def kind_of(certificate: x509.Certificate) -> str:
    """The algorithm of a certificate's key."""
    key = certificate.public_key()
    kinds = ((rsa.RSAPublicKey, "RSA"), (ec.EllipticCurvePublicKey, "EC"), (dsa.DSAPublicKey, "DSA"))
    return next((name for kind, name in kinds if isinstance(key, kind)), type(key).__name__)


def bits_of(certificate: x509.Certificate) -> int:
    """The length of a certificate's key; 256 for those that have no other (Ed25519)."""
    return int(getattr(certificate.public_key(), "key_size", 256))


def hash_of(certificate: x509.Certificate) -> str:
    """The hash of a certificate's signature, "sha256" say; "" for signatures that have it within (Ed25519)."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "unknown"
    return "" if algorithm is None else algorithm.name


def is_in_time(certificate: x509.Certificate) -> bool:
    """Whether a certificate is valid now."""
    return certificate.not_valid_before_utc <= datetime.now(UTC) <= certificate.not_valid_after_utc


def name_of(certificate: x509.Certificate) -> str:
    """The subject of a certificate, fit for a log."""
    return ascii(certificate.subject.rfc4514_string())


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """What a certificate calls itself: see `SecureLink.names`."""
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    found = {f"CN:{each.value if isinstance(each.value, str) else each.value.hex()}" for each in common}
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return frozenset(found)
    kinds = ((x509.DNSName, "DNS"), (x509.IPAddress, "IP"), (x509.UniformResourceIdentifier, "URI"))
    for kind, name in kinds:
        found |= {f"{name}:{value}" for value in extension.value.get_values_for_type(kind)}
    return frozenset(found)


def describe(certificate: x509.Certificate) -> str:
    """A certificate in words: subject, issuer, validity, serial number, and its extensions that say what it is for."""
    lines = [
        f"Subject: {certificate.subject.rfc4514_string()}",
        f"Issuer: {certificate.issuer.rfc4514_string()}",
        f"Valid from: {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC",
        f"Valid to: {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC",
        f"Serial number: {certificate.serial_number:X}",
        f"Key: {kind_of(certificate)} {bits_of(certificate)} bits",
    ]
    lines += [f"{title}: {text}" for title, text in map(_extension, certificate.extensions) if text]
    return "\n".join(map(_in_one_line, lines))


def _in_one_line(text: str) -> str:
    """What a peer has put into its names makes no line of its own, and moves no cursor."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _extension(extension: x509.Extension[x509.ExtensionType]) -> tuple[str, str]:
    match extension.value:
        case x509.BasicConstraints(ca=is_issuer, path_length=length):
            limit = "" if length is None else f", path length {length}"
            return "Basic constraints", f"{'CA' if is_issuer else 'no CA'}{limit}"
        case x509.KeyUsage() as usage:
            return "Key usage", ", ".join(name for name in _USAGES if getattr(usage, name))
        case x509.ExtendedKeyUsage() as purposes:
            return "Purposes", ", ".join(each._name for each in purposes)
        case x509.SubjectAlternativeName() as names:
            return "Names", ", ".join(str(name.value) for name in names)
    return "", ""


_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign",
)  # fmt: skip
