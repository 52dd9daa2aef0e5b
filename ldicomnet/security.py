"""The security mode of an `LDicomNet`: which layer goes on its connections, and whether that is set up.

Knows no connection. Each mode has members of its own, in rooms of its own.
"""

from __future__ import annotations

import os

from .errors import LDicomSecurityError, LDicomUsageError
from .settings import Settings, reports
from .status import ErrorCode, SecureMode
from .transport import Transport


class Security(Settings):
    """What is common to the security modes, and where they branch."""

    @reports
    def initialize(self, path: str | os.PathLike[str] | None, mode: SecureMode, settings: object | None = None) -> None:
        """Set up the security of an object made with `defer_init`; `settings` is for TLS.

        Raises:
            LDicomSecurityError: the security layer is not there.
        """
        self._set_path_and_mode(path, mode)
        self._initialized = True
        self._check_security()

    def _check_security(self) -> None:
        """Raise unless connections can be made in the security mode."""
        if not self._initialized:
            raise LDicomUsageError("defer_init asks for initialize() first", ErrorCode.NET_NOT_INITIALISED)
        if self._mode != SecureMode.NONE:
            raise LDicomSecurityError(
                ErrorCode.BAD_SECURE_MODE, f"security mode {self._mode.name} is not part of this version yet"
            )

    def _layered(self, transport: Transport, requestor: bool) -> Transport:
        """The connection with the layer of the security mode on it."""
        return transport
