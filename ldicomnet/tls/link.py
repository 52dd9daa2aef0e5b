"""`SecureLink`: what a TLS handshake has agreed on, and who the peer is. Knows no connection and no `ssl`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..errors import LDicomUsageError
from ..status import CipherSuite
from .suites import BY_NAME, Suite

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


@dataclass(frozen=True)
class SecureLink:
    """A TLS connection that stands.

    Attributes:
        version: "TLSv1.3", say.
        cipher: OpenSSL's name of the suite.
        chain: the peer's certificates in DER, its own first; empty where it has sent none.
        is_verified: whether a trusted issuer stands behind the peer's certificate, and nothing is wrong with it:
            OpenSSL has verified it, or with `verify_by_hook` this library, and the hook had nothing to overlook.
        alpn: the protocol both sides named, None where they did not.
        name: whom the certificate was compared with; None where no name was.
    """

    version: str
    cipher: str
    chain: tuple[bytes, ...]
    is_verified: bool
    alpn: str | None
    name: str | None

    @property
    def suite(self) -> Suite | None:
        """The suite, where the tables know it."""
        return BY_NAME.get(self.cipher)

    @property
    def number(self) -> CipherSuite:
        """The suite's number."""
        return self.suite.number if self.suite else CipherSuite.NONE

    @cached_property
    def certificate(self) -> Certificate | None:
        """The peer's certificate, decoded; None where it has sent none."""
        from cryptography.x509 import load_der_x509_certificate

        return load_der_x509_certificate(self.chain[0]) if self.chain else None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the peer's certificate, hexadecimal; "" where it has sent none."""
        return hashlib.sha256(self.chain[0]).hexdigest() if self.chain else ""

    @cached_property
    def subject(self) -> str:
        """The subject of the peer's certificate (RFC 4514); "" where it has sent none."""
        return self.certificate.subject.rfc4514_string() if self.certificate else ""

    @cached_property
    def names(self) -> frozenset[str]:
        """What the peer's certificate calls itself: "CN:name", "DNS:name", "IP:address", "URI:address"."""
        from .texts import names_of

        return names_of(self.certificate) if self.certificate else frozenset()


def fingerprint(text: object) -> str:
    """A SHA-256 fingerprint in the form that `SecureLink` has.

    Raises:
        LDicomUsageError: it is none.
    """
    plain = text.replace(":", "").strip().lower() if isinstance(text, str) else ""
    if len(plain) == 64 and not plain.strip("0123456789abcdef"):
        return plain
    raise LDicomUsageError(f"{text!r} is no SHA-256 fingerprint: 64 hexadecimal digits are wanted")


class CertificateTitles:
    """Which certificate may use which calling AE title; for `TLSContextSettings.titles`.

    A certificate that is not listed may use none, and neither may a peer without one or with one that was not verified;
    a fingerprint needs no verification.

    Args:
        allowed: AE titles by certificate: its SHA-256 fingerprint, or one of its names as `SecureLink.names` has them,
            "DNS:ct1.hospital.example" say; "*" among the titles allows all of them.
    """

    def __init__(self, allowed: Mapping[str, str | Iterable[str]]) -> None:
        self._allowed: dict[str, frozenset[str]] = {}
        for whose, titles in allowed.items():
            kind, colon, _name = whose.partition(":")
            key = whose if colon and kind in ("CN", "DNS", "IP", "URI") else fingerprint(whose)
            self._allowed[key] = frozenset([titles] if isinstance(titles, str) else titles)

    def __call__(self, link: SecureLink, title: str) -> bool:
        """Whether the peer of `link` may call itself `title`."""
        keys = {link.fingerprint, *(link.names if link.is_verified else ())}
        return any({title, "*"} & self._allowed.get(key, frozenset()) for key in keys)
