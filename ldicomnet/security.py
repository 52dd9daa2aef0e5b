"""The security mode of an `LDicomNet`: which layer goes on its connections, and whether that is set up.

Knows no connection. Each mode has members of its own, in rooms of its own.
"""

from __future__ import annotations

import os

from .errors import LDicomSecurityError, LDicomUsageError
from .iscl.members import IsclMembers
from .settings import reports
from .status import ErrorCode, SecureMode
from .tls.members import TlsMembers
from .transport import Transport


class Security(TlsMembers, IsclMembers):
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
        """Raise unless it is known how connections are to be secured."""
        if not self._initialized:
            raise LDicomUsageError("defer_init asks for initialize() first", ErrorCode.NET_NOT_INITIALISED)

    def _check_ready(self) -> None:
        """Raise unless connections can be made in the security mode."""
        self._check_security()
        if self._mode == SecureMode.ISCL:
            self._check_iscl()

    def _check_serving(self, makes_clients: bool) -> None:
        """Raise unless connections can be accepted in the security mode.

        Args:
            makes_clients: whether accepted objects have what this one has; else the program makes them, and they may
                have what this one has not.
        """
        self._check_security()
        if self._mode == SecureMode.TLS and self._psk is None and (makes_clients or self._tls.has_certificate):
            self._tls.check(True, self)
        elif self._mode == SecureMode.ISCL and (makes_clients or self._has_iscl_keys):
            self._check_iscl()

    def _secure_as(self, listening: Security) -> None:
        """Be secured as a listening object, to take one of its connections: what accepts is never weaker than that.

        What was never set up gets what `listening` has; what was, has to be set up the same. A listening object that
        was told the mode only, or none, leaves it to the object that accepts.

        Raises:
            LDicomSecurityError: the two differ, or what they have is not enough for a connection.
            LDicomUsageError: this object is not initialized.
        """
        self._check_security()
        if listening._mode not in (SecureMode.NONE, self._mode):
            raise _differs(f"is for {listening._mode.name}, and the accepting one for {self._mode.name}")
        if not self._shares_security(listening):
            self._share_security(listening)
        self._check_ready()

    def _share_security(self, listening: Security) -> None:
        """Have what the listening object was told, if it was, and if this one was told nothing else."""
        wanted = listening._told_of_security()
        if wanted is None:
            return
        if self._told_of_security() not in (None, wanted):
            raise _differs(f"and the accepting one have different settings for {self._mode.name}")
        self._tls_setup, self._psk, self._iscl_setup = listening._tls_setup, listening._psk, listening._iscl_setup

    def _told_of_security(self) -> object | None:
        """What was set for the layer of the security mode, to be compared; None where nothing was."""
        if self._mode == SecureMode.ISCL:
            return self._told_of_iscl()
        if self._mode != SecureMode.TLS:
            return None
        from .tls.sameness import told

        return told(self._tls_setup, self._psk)

    def _shares_security(self, other: Security) -> bool:
        """Whether this has what `other` has because it took it."""
        own = self._tls_setup, self._psk, self._iscl_setup
        others = other._tls_setup, other._psk, other._iscl_setup
        return all(one is another for one, another in zip(own, others, strict=True))

    def _layered(self, transport: Transport, requestor: bool) -> Transport:
        """The connection with the layer of the security mode on it."""
        if self._mode == SecureMode.ISCL:
            return self._over_iscl(transport, requestor)
        return self._over_tls(transport, requestor) if self._mode == SecureMode.TLS else transport

    def get_error_secure(self) -> ErrorCode:
        """Why the security layer of the last connection failed; 0 where it did not."""
        return self._iscl_error if self._mode == SecureMode.ISCL else super().get_error_secure()


def _differs(how: str) -> LDicomSecurityError:
    return LDicomSecurityError(ErrorCode.BAD_SECURE_MODE, f"the listening object {how}; take_settings makes them equal")
