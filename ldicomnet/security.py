"""The security mode of an `LDicomNet`: which layer goes on its connections, and whether that is set up.

Knows no connection. Each mode has members of its own, in rooms of its own.
"""

from __future__ import annotations

import os

from .errors import LDicomSecurityError, LDicomUsageError
from .settings import reports
from .status import ErrorCode, SecureMode
from .tls.members import TlsMembers
from .transport import Transport


class Security(TlsMembers):
    """What is common to the security modes, and where they branch."""

    @reports
    def initialize(self, path: str | os.PathLike[str] | None, mode: SecureMode, settings: object | None = None) -> None:
        """Set up the security of an object made with `defer_init`, or anew; `settings` is for TLS.

        Args:
            path: folder for temporary files of received data sets; None for the default.
            mode: a `SecureMode`.
            settings: `TLSContextSettings`; None for the default ones.

        Raises:
            LDicomSecurityError: the security layer is not there, or cannot be had with these settings.
        """
        self._set_path_and_mode(path, mode)
        if self._mode == SecureMode.TLS:
            self._initialize_tls(settings)
        self._initialized = True
        self._check_security()

    def _check_security(self) -> None:
        """Raise unless connections can be made in the security mode."""
        if not self._initialized:
            raise LDicomUsageError("defer_init asks for initialize() first", ErrorCode.NET_NOT_INITIALISED)
        if self._mode not in (SecureMode.NONE, SecureMode.TLS):
            raise LDicomSecurityError(
                ErrorCode.BAD_SECURE_MODE, f"security mode {self._mode.name} is not part of this version yet"
            )

    def _check_server(self) -> None:
        """Raise unless this object can be the server of its security mode."""
        if self._mode == SecureMode.TLS:
            self._tls.check(True, self)

    @property
    def _has_own_security(self) -> bool:
        """Whether it has what a server needs."""
        return self._mode == SecureMode.TLS and self._tls.has_certificate

    def _layered(self, transport: Transport, requestor: bool) -> Transport:
        """The connection with the layer of the security mode on it."""
        return self._over_tls(transport, requestor) if self._mode == SecureMode.TLS else transport
