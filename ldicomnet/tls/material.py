"""What was in the files that settings name, as it was read once. Knows no context, and no connection.

Contexts are made of this and not of the files, so that one that changes, breaks or goes while connections come and go
counts when it is read again, and not before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ..status import ErrorCode
from .certificates import load_folder, load_revoked, load_trust, read
from .settings import TLSContextSettings


@dataclass(frozen=True)
class Material:
    """What one reading of all files came to.

    Attributes:
        trusted: certificates that are trusted.
        revoked: lists of revoked ones.
        parameters: Diffie-Hellman parameters of a server, PEM; None for the usual ones.
    """

    trusted: tuple[x509.Certificate, ...] = ()
    revoked: tuple[x509.CertificateRevocationList, ...] = ()
    parameters: bytes | None = None

    @cached_property
    def anchors(self) -> bytes:
        """The trusted certificates as OpenSSL takes them, DER."""
        return b"".join(each.public_bytes(Encoding.DER) for each in self.trusted)

    @cached_property
    def lists(self) -> bytes:
        """The lists as OpenSSL takes them, PEM."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in self.revoked)


def gather(settings: TLSContextSettings) -> Material:
    """Read all that settings name.

    Raises:
        LDicomSecurityError: something cannot be read, or holds nothing of its kind.
    """
    revoked = tuple(each for source in settings.crl_files for each in load_revoked(source))
    parameters = None if settings.dh_file is None else read(settings.dh_file, ErrorCode.TLS_BAD_CONTEXT)
    return Material(tuple(_trusted(settings)), revoked, parameters)


def _trusted(settings: TLSContextSettings) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    if isinstance(settings.ca_file, (list, tuple)):
        for file in settings.ca_file:
            found += load_trust(file)
    elif settings.ca_file is not None:
        found += load_trust(cast("str | os.PathLike[str]", settings.ca_file))
    if settings.ca_path is not None:
        found += load_folder(settings.ca_path)
    if settings.ca_data is not None:
        found += load_trust(settings.ca_data.encode() if isinstance(settings.ca_data, str) else settings.ca_data)
    return found
