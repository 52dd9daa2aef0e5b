"""Certificates and keys from files or memory, PEM or DER. Knows no connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from ssl import SSLContext, SSLError
from tempfile import mkstemp
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from ..errors import LDicomSecurityError
from ..status import CertificateType, ErrorCode
from .faults import ODD
from .settings import Source
from .texts import is_in_time, kind_of, name_of

Password = Callable[[], str | bytes | None]
_LONGEST_PATH = 4096
_LONGEST = 16 << 20
"""Bytes of a file; no list of certificates or of revoked ones is longer."""
_CRL = b"-----BEGIN X509 CRL-----"
_WRONG = (*ODD, SSLError)


@dataclass(frozen=True)
class Identity:
    """A certificate with its issuers, and its private key.

    Attributes:
        chain: the certificate, then issuers.
        key: its private key.
    """

    chain: tuple[x509.Certificate, ...]
    key: CertificateIssuerPrivateKeyTypes

    @property
    def kind(self) -> str:
        """The algorithm of the key; a server may have a certificate of each."""
        return kind_of(self.chain[0])

    @property
    def subject(self) -> str:
        """Whose it is, fit for a log."""
        return name_of(self.chain[0])

    @property
    def is_in_time(self) -> bool:
        """Whether the certificate is valid now."""
        return is_in_time(self.chain[0])

    def load_into(self, context: SSLContext) -> None:
        """Give it to a context, which takes it from files only: from one in memory, or one with an encrypted key.

        Raises:
            LDicomSecurityError: OpenSSL does not take it: its key is too short for the profile, say.
        """
        password = None if _HAS_MEMORY_FILES else token_hex(32)
        hides = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        data = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hides)
        data += b"".join(each.public_bytes(Encoding.PEM) for each in self.chain)
        with as_file(data) as path:
            try:
                context.load_cert_chain(path, password=password)
            except OSError as error:  # such as ssl.SSLError
                reason: str = getattr(error, "reason", None) or error.strerror or str(error)
                weak = "TOO_SMALL" in reason or "TOO_WEAK" in reason
                code = ErrorCode.TLS_INSUFFICIENT_SECURITY if weak else ErrorCode.CERTIFICATE_LOAD
                words = reason.lower().replace("_", " ")
                raise LDicomSecurityError(code, f"certificate {name_of(self.chain[0])}: {words}") from error


_HAS_MEMORY_FILES = hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()


@contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """A path from which OpenSSL can read `data`; in memory where the system can do that, else only ours to read.

    Raises:
        LDicomSecurityError: the system has no room for it; nothing is left behind.
    """
    with ExitStack() as cleaning:
        try:
            path = (_in_memory if _HAS_MEMORY_FILES else _on_disk)(data, cleaning)
        except OSError as error:
            text = f"OpenSSL reads this from a file only, and none can be made: {error.strerror}"
            raise LDicomSecurityError(ErrorCode.TLS_INTERNAL_ERROR, text) from error
        yield path


def _in_memory(data: bytes, cleaning: ExitStack) -> str:
    descriptor = os.memfd_create("ldicomnet")
    cleaning.callback(os.close, descriptor)
    _write(descriptor, data)
    return f"/proc/self/fd/{descriptor}"


def _on_disk(data: bytes, cleaning: ExitStack) -> str:
    descriptor, path = mkstemp(prefix="ldicomnet-", suffix=".pem")  # mode 0600
    cleaning.callback(Path(path).unlink, missing_ok=True)
    try:
        _write(descriptor, data)
    finally:
        os.close(descriptor)
    return path


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def load_identity(certificate: Source, kind: int, key: Source | None, password: Password) -> Identity:
    """A certificate and its key.

    Args:
        certificate: the certificate; of PEM, issuers may follow it, and the key may be there too.
        kind: a `CertificateType`.
        key: the key, PEM or DER, where it is not with the certificate.
        password: asked for the password of an encrypted key.

    Raises:
        LDicomSecurityError: one cannot be read, is none, or they do not belong to each other.
    """
    data = read(certificate, ErrorCode.CERTIFICATE_READ)
    chain = tuple(decode_certificates(data, CertificateType(kind), _place(certificate)))
    if key is None and kind == CertificateType.ASN1:
        raise LDicomSecurityError(ErrorCode.PRIVATE_KEY_LOAD, f"{_place(certificate)}: DER has no room for a key")
    where = certificate if key is None else key
    private = _decode_key(read(where, ErrorCode.PRIVATE_KEY_LOAD), _place(where), password)
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != chain[0].public_key().public_bytes(*form):
        raise LDicomSecurityError(
            ErrorCode.KEYS_MISMATCH, f"the key in {_place(where)} is not that of certificate {name_of(chain[0])}"
        )
    return Identity(chain, private)


def decode_certificates(data: bytes, kind: CertificateType, where: str) -> list[x509.Certificate]:
    """All certificates of a file.

    Raises:
        LDicomSecurityError: there is none.
    """
    try:
        if kind == CertificateType.PEM:
            return x509.load_pem_x509_certificates(data)
        if kind == CertificateType.ASN1:
            return [x509.load_der_x509_certificate(data)]
    except _WRONG as error:
        raise LDicomSecurityError(
            ErrorCode.CERTIFICATE_LOAD, f"{where} holds no certificate of type {kind.name}: {error}"
        ) from error
    raise LDicomSecurityError(ErrorCode.CERTIFICATE_LOAD, f"certificate_type is {kind!r}: PEM or ASN1 is wanted")


def _decode_key(data: bytes, where: str, password: Password) -> CertificateIssuerPrivateKeyTypes:
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    if load is load_pem_private_key:
        data = _only_key(data)
    try:
        try:
            found = load(data, None)
        except TypeError:  # it is encrypted
            secret = password()
            if not secret:
                why = "is encrypted, and on_private_key_password gave no password"
                raise LDicomSecurityError(ErrorCode.PRIVATE_KEY_LOAD, f"the key in {where} {why}") from None
            found = load(data, secret.encode() if isinstance(secret, str) else bytes(secret))
    except _WRONG as error:
        why = "a wrong password, or no key" if b"ENCRYPTED" in data else str(error)
        raise LDicomSecurityError(ErrorCode.PRIVATE_KEY_LOAD, f"the key in {where} cannot be read: {why}") from error
    return cast(CertificateIssuerPrivateKeyTypes, found)


def _only_key(data: bytes) -> bytes:
    """The part of a PEM file that is a key; there may be certificates before it."""
    start = data.find(b"PRIVATE KEY-----")
    return data[data.rfind(b"-----BEGIN", 0, start) :] if start >= 0 else data


def load_trust(source: Source) -> list[x509.Certificate]:
    """Trusted certificates of a file, PEM or DER by what it is.

    Raises:
        LDicomSecurityError: it cannot be read, or holds none.
    """
    data = read(source, ErrorCode.TLS_BAD_CA_FILE)
    kind = CertificateType.PEM if b"-----BEGIN" in data else CertificateType.ASN1
    try:
        return decode_certificates(data, kind, _place(source))
    except LDicomSecurityError as error:
        raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, str(error)) from error


def load_folder(folder: str | os.PathLike[str]) -> list[x509.Certificate]:
    """Trusted certificates of all files in a folder; files that hold none are passed over.

    Raises:
        LDicomSecurityError: the folder cannot be read, or holds none at all.
    """
    found: list[x509.Certificate] = []
    try:
        paths = sorted(path for path in Path(folder).iterdir() if path.is_file())
    except OSError as error:
        raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, f"{folder}: {error.strerror}") from error
    for path in paths:
        try:
            found += load_trust(path)
        except LDicomSecurityError:
            continue
    if not found:
        raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, f"{folder} holds no certificate")
    return found


def load_revoked(source: Source) -> list[x509.CertificateRevocationList]:
    """The lists of revoked certificates of a file: all that are in PEM, or the one in DER.

    Raises:
        LDicomSecurityError: it cannot be read, holds none, or one that is broken.
    """
    data = read(source, ErrorCode.TLS_BAD_CA_FILE)
    try:
        if b"-----BEGIN" not in data:
            return [x509.load_der_x509_crl(data)]
        each = [_CRL + part for part in data.split(_CRL)[1:]]  # `cryptography` reads the first of a file
        return [x509.load_pem_x509_crl(part) for part in each or [data]]
    except _WRONG as error:
        raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, f"{_place(source)} is no CRL: {error}") from error


def read(source: Source, code: ErrorCode) -> bytes:
    """What a file holds, or what is given itself.

    Raises:
        LDicomSecurityError: it cannot be read; with `code`.
    """
    if isinstance(source, bytes):
        return source
    if isinstance(source, str) and "-----BEGIN" in source:
        return source.encode()
    try:
        with Path(source).open("rb") as file:
            data = file.read(_LONGEST + 1)
    except (OSError, TypeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise LDicomSecurityError(code, f"{_place(source)} cannot be read: {why}") from None
    if len(data) > _LONGEST:
        raise LDicomSecurityError(code, f"{_place(source)} is longer than any file of certificates")
    return data


def _place(source: Source) -> str:
    """What to call it in an error: never what may be a key itself."""
    if not isinstance(source, str | os.PathLike):
        return f"the {type(source).__name__} given"
    path = os.fspath(source)
    is_data = len(path) > _LONGEST_PATH or any(sign in str(path) for sign in ("\n", "-----BEGIN"))
    return "the data given" if is_data else ascii(path)
