"""The TLS members of `LDicomNet`: certificates, suites, what was agreed on. Knows no connection but to put TLS on it.

The rooms of TLS, `ssl` and `cryptography` are imported by the first of these that needs them: a program without TLS
pays for none of them.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import LDicomSecurityError, LDicomUsageError
from ..hooks import overrides
from ..settings import Settings, reports
from ..status import (
    AuthenticationAlgorithm,
    CertificateType,
    CipherSuite,
    EncryptionAlgorithm,
    ErrorCode,
    IntegrityAlgorithm,
    KeyExchangeAlgorithm,
    SecureMode,
)
from ..transport import Transport

if TYPE_CHECKING:
    import ssl

    from .link import SecureLink
    from .psk import Keys
    from .settings import Source
    from .setup import TlsSetup
    from .suites import Suite
    from .transport import TlsTransport

_log = logging.getLogger("ldicomnet.tls")
_making = threading.Lock()


class TlsMembers(Settings):
    """What can be set before a TLS connection, and asked of it then."""

    def __init__(self, path: str | os.PathLike[str] | None, mode: int, is_initialized: bool) -> None:
        super().__init__(path, mode, is_initialized)
        self._tls_setup: TlsSetup | None = None
        self._secured: TlsTransport | None = None  # the last connection, while it stands and after
        self._psk: Keys | None = None

    def take_settings(self, other: Settings) -> None:
        """Be set as `other` is; TLS is shared."""
        super().take_settings(other)
        if isinstance(other, TlsMembers):
            self._tls_setup = other._tls_setup if other._mode != SecureMode.TLS else other._tls
            self._psk = other._psk

    # --- certificates and suites ----------------------------------------------------------------------------------

    @reports
    def set_client_certificate_tls(
        self, certificate: Source, certificate_type: CertificateType = CertificateType.PEM, key: Source | None = None
    ) -> None:
        """Set the certificate that this side shows as a client, and as a server that has none of its own.

        Args:
            certificate: a file, or what would be in it; in PEM, its issuers may follow it.
            certificate_type: PEM or ASN1 (DER).
            key: the private key, PEM or DER; None where it is in the same PEM file. `on_private_key_password` is asked
                for the password of an encrypted one.

        Raises:
            LDicomSecurityError: they cannot be read, or do not belong to each other.
        """
        self._needs_tls()
        self._tls.set_client(certificate, certificate_type, key, self)

    @reports
    def set_server_certificate_tls(
        self, certificate: Source, certificate_type: CertificateType = CertificateType.PEM, key: Source | None = None
    ) -> None:
        """Set the certificate that this side shows as a server, as `set_client_certificate_tls` does for a client.

        A server may have one of each algorithm (RSA, EC); the last one that was set of each counts.
        """
        self._needs_tls()
        self._tls.set_server(certificate, certificate_type, key, self)

    @reports
    def reload_security(self) -> None:
        """Read certificates, keys, trusted issuers, lists of revoked certificates and `dh_file` again.

        Between this and the setters no file is read. The listening socket and the connections that stand go on as they
        are; handshakes that begin from now on use what was read. Connections that a listening object has accepted
        share this with it. On any thread, while others set something too.

        Raises:
            LDicomSecurityError: something cannot be read; then everything stays as it was.
        """
        self._needs_tls()
        self._tls.reload(self)

    @reports
    def set_cipher_to_index_tls(self, index: int, cipher: int) -> None:
        """Put a suite into the list of those to be used, in the order of preference; NONE empties a slot.

        The list is the whole list: as soon as it holds a suite, the profile's own choice counts no more, and a version
        of TLS of which it holds no suite is not used. Suites that the profile does not have are left out, with a
        warning, unless `allow_legacy` is set.

        Args:
            index: 0 to 15.
            cipher: a `CipherSuite`.
        """
        self._tls.set_cipher(index, cipher)

    def get_cipher_from_index_tls(self, index: int) -> CipherSuite:
        """The suite in a slot of that list; NONE where it is empty."""
        return self._tls.cipher(index)

    @reports
    def ctx_set_options(self, options: int) -> None:
        """Switch versions of TLS off: `TlsOptions`."""
        self._tls.change(lambda settings: replace(settings, options=options))

    @reports
    def set_ssl_method_type(self, method: int) -> None:
        """Set the `TlsMethod`."""
        self._tls.change(lambda settings: replace(settings, method=method))

    @reports
    def set_pre_shared_keys_tls(self, keys: Mapping[str, bytes], identity: str | None = None) -> None:
        """Prove by a key that both sides have, and not by certificates, who they are: TLS 1.3, Python 3.13 or newer.

        Settings of certificates, profiles and suites do not count any more. `PskLink.identity` tells a server which
        key its client has; `TLSContextSettings.titles` can map it to AE titles.

        Args:
            keys: 16 to 64 random bytes (32 are best) by their identity, which is sent openly. Each pair of a client and
                a server should have a key of its own, and use it in these roles only: who is a server and a client
                with one key can be made to talk to itself.
            identity: the one that this side uses as a client; None for the first.

        Raises:
            LDicomUsageError: one is none.
            LDicomSecurityError: this Python, or its OpenSSL, has no pre-shared keys.
        """
        from .psk import Keys, check_available

        self._needs_tls()
        check_available()
        self._psk = Keys(keys, identity)

    # --- what was agreed on ---------------------------------------------------------------------------------------

    def get_secure_link(self) -> SecureLink | None:
        """What the handshake of this object's connection has agreed on, with the peer's certificate; None before."""
        return None if self._secured is None else self._secured.link

    def get_ciphersuite_tls(self) -> CipherSuite:
        """The suite that was agreed on; NONE before."""
        link = self.get_secure_link()
        return CipherSuite.NONE if link is None else link.number

    def get_error_secure(self) -> ErrorCode:
        """Why the security layer of the last connection failed; 0 where it did not."""
        failure = None if self._secured is None else self._secured.failure
        return ErrorCode.SUCCESS if failure is None else failure.code

    def get_ctx(self) -> ssl.SSLContext:
        """The context of the connection, or the one that the next would use: a server's where there is a certificate
        for one, else a client's.

        Raises:
            LDicomSecurityError: it cannot be made.
        """
        self._needs_tls()
        context = None if self._secured is None else self._secured.context
        return self._tls.generation().context(self._tls.serves, self) if context is None else context

    def get_encryption_algorithm_tls(self, cipher: int) -> EncryptionAlgorithm:
        """The bulk cipher of a suite."""
        suite = _suite(cipher)
        return EncryptionAlgorithm.NONE if suite is None else suite.encryption

    def get_authentication_algorithm_tls(self, cipher: int) -> AuthenticationAlgorithm:
        """How a suite authenticates."""
        suite = _suite(cipher)
        return AuthenticationAlgorithm.NONE if suite is None else suite.authentication

    def get_integrity_algorithm_tls(self, cipher: int) -> IntegrityAlgorithm:
        """The hash of a suite."""
        suite = _suite(cipher)
        return IntegrityAlgorithm.NONE if suite is None else suite.integrity

    def get_key_exchange_algorithm_tls(self, cipher: int) -> KeyExchangeAlgorithm:
        """How a suite exchanges keys."""
        suite = _suite(cipher)
        return KeyExchangeAlgorithm.NONE if suite is None else suite.key_exchange

    def get_encrypt_key_length_tls(self, cipher: int) -> int:
        """Bits of the encryption key of a suite."""
        suite = _suite(cipher)
        return 0 if suite is None else suite.bits

    def get_mutual_auth_key_length_tls(self, cipher: int) -> int:
        """Bits of the key that the peer has authenticated itself with, where the connection uses that suite; else the
        least that the profile asks for with it."""
        suite, link = _suite(cipher), self.get_secure_link()
        if suite is None:
            return 0
        if link is not None and link.certificate is not None and link.number == suite.number:
            return int(getattr(link.certificate.public_key(), "key_size", 256))
        profile = self._tls.settings.checked_profile()
        is_rsa = suite.authentication == AuthenticationAlgorithm.RSA
        return profile.rsa_bits if is_rsa else profile.curve_bits

    # --- for the rooms above --------------------------------------------------------------------------------------

    @property
    def _tls(self) -> TlsSetup:
        """The settings of TLS, made by whoever needs them first."""
        if self._tls_setup is None:
            from .setup import TlsSetup

            with _making:
                self._tls_setup = self._tls_setup or TlsSetup()
        return self._tls_setup

    def _needs_tls(self) -> None:
        if self._mode != SecureMode.TLS:
            raise LDicomSecurityError(ErrorCode.BAD_SECURE_MODE, f"the security mode is {self._mode.name}, not TLS")
        try:
            import ssl  # noqa: F401
        except ImportError as error:
            raise LDicomSecurityError(ErrorCode.TLS_DLL_NOT_LOADED, f"this Python has no TLS: {error}") from error

    def _initialize_tls(self, settings: object | None) -> None:
        from .settings import TLSContextSettings

        self._needs_tls()
        if settings is not None:
            if not isinstance(settings, TLSContextSettings):
                raise LDicomUsageError(f"settings is {settings!r}: TLSContextSettings are wanted")
            self._tls.configure(settings)
        else:
            self._tls.generation()

    def _stranger(self, title: str) -> str:
        """Why the peer may not call itself `title`, "" where it may: pins, and `TLSContextSettings.titles`."""
        link = self.get_secure_link()
        if link is None:
            return ""
        titles = self._tls.settings.titles
        if not self._tls.is_pinned(link, title):
            return f"its certificate is not the one pinned for AE title {title!a}"
        try:
            may_use = titles is None or titles(link, title)
        except Exception:
            _log.exception("TLSContextSettings.titles failed")
            may_use = False
        return "" if may_use else f"its certificate {link.subject!a} may not use AE title {title!a}"

    def _check_called(self, title: str) -> None:
        """Raise unless the peer has the certificate that is pinned for an AE title.

        Raises:
            LDicomSecurityError: it has another.
        """
        link = self.get_secure_link()
        if link is not None and not self._tls.is_pinned(link, title):
            raise LDicomSecurityError(
                ErrorCode.X509_CERT_REJECTED, f"the peer's certificate is not the one pinned for AE title {title!a}"
            )

    def _over_tls(self, transport: Transport, requestor: bool) -> Transport:
        """TLS on a connection."""
        from .sides import Side
        from .transport import TlsTransport

        self._needs_tls()
        if self._psk is not None:
            from .psk import PskSide

            self._secured = TlsTransport(transport, PskSide(self._psk, not requestor), not requestor)
            return self._secured
        self._tls.check(not requestor, self)
        is_asked = overrides(self, "on_verify")
        host = transport.peer[0] if requestor else None
        side = Side(self._tls, not requestor, host, self.on_verify if is_asked else None, self)
        self._secured = TlsTransport(transport, side, not requestor)
        return self._secured


def _suite(cipher: int) -> Suite | None:
    """The suite with a number, None for NONE."""
    from .suites import suite_of

    return None if cipher == CipherSuite.NONE else suite_of(cipher)
