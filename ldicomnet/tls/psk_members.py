"""The members of `LDicomNet` for TLS with pre-shared keys, where certificates are not wanted. Knows no association."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..settings import Settings, reports
from ..transport import Transport
from .members import TlsMembers

if TYPE_CHECKING:
    from .psk import Keys


class PskMembers(TlsMembers):
    """What can be set before, and asked after."""

    def __init__(self, path: str | os.PathLike[str] | None, mode: int, is_initialized: bool) -> None:
        super().__init__(path, mode, is_initialized)
        self._psk: Keys | None = None

    def take_settings(self, other: Settings) -> None:
        """Be set as `other` is."""
        super().take_settings(other)
        if isinstance(other, PskMembers):
            self._psk = other._psk

    @reports
    def set_pre_shared_keys_tls(self, keys: Mapping[str, bytes], identity: str | None = None) -> None:
        """Prove by a key that both sides have, and not by certificates, who they are: TLS 1.3, Python 3.13 or newer.

        Settings of certificates, profiles and suites do not count any more. `SecureLink.identity` tells a server which
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

    @property
    def _has_psk(self) -> bool:
        return self._psk is not None

    def _over_tls(self, transport: Transport, requestor: bool) -> Transport:
        """TLS on a connection, with the keys where there are any."""
        if self._psk is None:
            return super()._over_tls(transport, requestor)
        from ..transport.tls import TlsTransport
        from .psk import PskSide

        self._secured = TlsTransport(transport, PskSide(self._psk, not requestor), not requestor, None)
        return self._secured
