"""Certificates with one thing or another wrong with them, made in memory, and what comes of a handshake with them."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from ldicomnet import SecureLink, TLSContextSettings
from ldicomnet.tls.certificates import as_file
from ldicomnet.tls.context import Plan, make
from ldicomnet.tls.judgement import Judge
from ldicomnet.tls.material import gather

HOST = "pacs.example"
NOW = datetime.now(UTC).replace(microsecond=0)
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
_ECDSA = {
    "sha384": bytes.fromhex("300a06082a8648ce3d040303"),
    "sha256": bytes.fromhex("300a06082a8648ce3d040302"),
    "sha224": bytes.fromhex("300a06082a8648ce3d040301"),
    "sha1": bytes.fromhex("300906072a8648ce3d0401"),
}
"""How ECDSA with a hash is named in a certificate."""


@functools.cache
def key(which: str) -> Any:
    """A key; the same for the same name. What it begins with says of what kind."""
    match which.partition(" ")[0]:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "weak":
            return rsa.generate_private_key(65537, 1024)
        case "edwards":
            return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def usage(*names: str) -> x509.KeyUsage:
    """A key usage of these."""
    return x509.KeyUsage(**{name: name in names for name in _USAGES})


def other(oid: str, data: str = "0500") -> x509.UnrecognizedExtension:
    """An extension that `cryptography` does not know."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), bytes.fromhex(data))


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(Encoding.PEM)


def name(text: str) -> x509.Name:
    """A name that is a common name; "" is an empty one."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)] if text else [])


ISSUER: tuple[x509.ExtensionType, ...] = (x509.BasicConstraints(True, None), usage("key_cert_sign", "crl_sign"))
PEER: tuple[x509.ExtensionType, ...] = (
    x509.BasicConstraints(False, None),
    usage("digital_signature"),
    x509.ExtendedKeyUsage([SERVER, CLIENT]),
    x509.SubjectAlternativeName([x509.DNSName(HOST)]),
)
"""What stands in a good one."""
_CRITICAL = (x509.BasicConstraints, x509.KeyUsage, x509.NameConstraints)


def made(
    title: str,
    issuer: Made | None = None,
    extensions: Sequence[x509.ExtensionType] = PEER,
    *,
    of: str = "",
    critical: Sequence[x509.ExtensionType] = (),
    subject: x509.Name | None = None,
    issuer_name: x509.Name | None = None,
    days: tuple[int, int] = (-1, 30),
    links: bool = True,
) -> Made:
    """A certificate.

    Args:
        title: its name, and that of its key unless `of` has another.
        issuer: who signs it; None for itself.
        extensions: what it says, critical where that is usual.
        of: which key.
        critical: what it says besides, critical.
        subject, issuer_name: its names where they are others.
        days: from when until when, from now.
        links: whether it says which key has signed it.
    """
    own = key(of or title)
    signer = own if issuer is None else issuer.key
    plain = name(title) if subject is None else subject
    above = plain if issuer is None else issuer.certificate.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(plain)
        .issuer_name(issuer_name or above)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(days=days[0]))
        .not_valid_after(NOW + timedelta(days=days[1]))
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=isinstance(each, _CRITICAL))
    for each in critical:
        builder = builder.add_extension(each, critical=True)
    if links:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        above_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(above_key, critical=False)
    return Made(builder.sign(signer, _digest(signer)), own)


def issuing(title: str, issuer: Made | None = None, length: int | None = None, **changes: Any) -> Made:
    """A certificate of who may sign others."""
    extensions = (x509.BasicConstraints(True, length), *ISSUER[1:], *changes.pop("more", ()))
    return made(title, issuer, changes.pop("extensions", extensions), **changes)


def revoked(
    issuer: Made,
    certificates: Sequence[Made] = (),
    *,
    days: tuple[int, int] = (-1, 30),
    signer: Made | None = None,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    of_entries: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    """A list of revoked certificates, PEM; `more` is what it says besides, `of_entries` what each entry says."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW + timedelta(days=days[0]))
        .next_update(NOW + timedelta(days=days[1]))
    )
    for each in certificates:
        entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
        for extension, critical in of_entries:
            entry = entry.add_extension(extension, critical=critical)
        builder = builder.add_revoked_certificate(entry.revocation_date(NOW).build())
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    hand = (signer or issuer).key
    return builder.sign(hand, _digest(hand)).public_bytes(Encoding.PEM)


def _digest(private: Any) -> hashes.SHA256 | None:
    return None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def der(tag: int, content: bytes) -> bytes:
    """One value in DER."""
    size = len(content)
    count = (size.bit_length() + 7) // 8
    length = bytes([size]) if size < 128 else bytes([0x80 | count]) + size.to_bytes(count, "big")
    return bytes([tag]) + length + content


def parts(data: bytes) -> list[bytes]:
    """The values within a value in DER."""
    found, at = [], 2 if data[1] < 128 else 2 + (data[1] & 0x7F)
    while at < len(data):
        head = 2 if data[at + 1] < 128 else 2 + (data[at + 1] & 0x7F)
        size = data[at + 1] if head == 2 else int.from_bytes(data[at + 2 : at + head])
        found.append(data[at : at + head + size])
        at += head + size
    return found


def changed(one: Made, change: Callable[[bytes], bytes], signer: Made | None = None, digest: str = "sha256") -> bytes:
    """A certificate whose signed part was changed, signed again, in DER."""
    how = _ECDSA[digest]
    inner = parts(change(one.certificate.tbs_certificate_bytes))
    signed = der(0x30, b"".join(how if each == _ECDSA["sha256"] else each for each in inner))
    signature = (signer or one).key.sign(signed, ec.ECDSA(getattr(hashes, digest.upper())()))
    return der(0x30, signed + how + der(3, b"\0" + signature))


def signed_with(digest: str, one: Made, signer: Made | None = None) -> Made:
    """The same certificate with another hash; those that are too weak `cryptography` does not make."""
    return Made(x509.load_der_x509_certificate(changed(one, bytes, signer, digest)), one.key)


def with_two_algorithms(one: Made, signer: Made) -> Made:
    """The same certificate, signed again: within it says another algorithm than beside its signature."""
    says_other = changed(one, lambda tbs: tbs.replace(_ECDSA["sha256"], _ECDSA["sha384"]), signer)
    return Made(x509.load_der_x509_certificate(says_other), one.key)


def of_version_1(signed: bytes) -> bytes:
    """Without a version, and without extensions."""
    return der(0x30, b"".join(each for each in parts(signed) if each[0] not in (0xA0, 0xA3)))


def shake_hands(settings: TLSContextSettings, chain: Sequence[bytes], private: Any, name: str = HOST) -> ssl.SSLObject:
    """A handshake in memory of this library's client context with a server that shows this chain.

    Raises:
        ssl.SSLCertVerificationError: OpenSSL has refused it.
    """
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    bare.set_ciphers("ALL:@SECLEVEL=0")
    hidden = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with as_file(hidden + b"".join(ssl.DER_cert_to_PEM_cert(each).encode() for each in chain)) as path:
        bare.load_cert_chain(path)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = make(Plan(settings, []), False, [], gather(settings))
    client = context.wrap_bio(back, there, server_hostname=name if settings.check_name else None)
    server = bare.wrap_bio(there, back, server_side=True)
    for end in (client, server, client, server, client):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client


def judged(
    settings: TLSContextSettings,
    chain: Sequence[bytes],
    private: Any,
    verify: Callable[[bool, str, int, str], bool] | None,
    name: str = HOST,
) -> SecureLink:
    """What a client with these settings makes of that server.

    Raises:
        ssl.SSLCertVerificationError: OpenSSL has refused it.
        LDicomSecurityError: this library has.
    """
    tls = shake_hands(settings, chain, private, name)
    compared = name if settings.check_name else None
    return Judge(Plan(settings, []), False, compared, verify, gather(settings)).judge(tls)
