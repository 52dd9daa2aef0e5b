"""What an `LDicomNet` can be told before it connects: errors or codes, deadlines, caps, sockets, flags.

Knows no connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

from . import checks
from .errors import LDicomError, LDicomUsageError
from .hooks import Hooks
from .status import DebugMode, ErrorCode, NetFlags, SecureMode
from .timing import Limits, Timeouts
from .transport.tcp import SocketOptions

P = ParamSpec("P")
S = TypeVar("S", bound="Settings")


def reports(method: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], ErrorCode]:
    """A method that returns 0, and raises or, with `raise_errors = False`, returns the code of an `LDicomError`."""

    def reporting(self: S, /, *args: P.args, **kwargs: P.kwargs) -> ErrorCode:
        try:
            method(self, *args, **kwargs)
        except LDicomError as error:
            if self.raise_errors:
                raise
            return error.code
        return ErrorCode.SUCCESS

    reporting.__wrapped__ = method  # type: ignore[attr-defined]
    for name in ("__name__", "__qualname__", "__doc__", "__module__"):
        setattr(reporting, name, getattr(method, name))
    reporting.__annotations__ = method.__annotations__ | {"return": "ErrorCode"}
    return reporting


class Settings(Hooks):
    """The settings of an `LDicomNet`.

    Attributes:
        raise_errors: with False, methods return the `ErrorCode` instead of raising.
        enable_progress_event: whether `on_progress_status` is called; set it before the connection is made.
        sync_files: whether a file that `on_begin_data` names is flushed to the disk, with its folder, before the hook
            of its message is called; set it before the connection is made.
        timeouts: deadlines, see `Timeouts`; set them before the connection is made.
        limits: caps, see `Limits`.
    """

    def __init__(self, path: str | os.PathLike[str] | None, mode: int, is_initialized: bool) -> None:
        self.raise_errors = True
        self.enable_progress_event = False
        self.sync_files = False
        self.timeouts = Timeouts()
        self.limits = Limits()
        self._socket_options = SocketOptions()
        self._flags = NetFlags.NONE
        self._group_length = False
        self._debug_mode = DebugMode.NONE
        self._initialized = is_initialized
        self._set_path_and_mode(path, mode)

    def _set_path_and_mode(self, path: str | os.PathLike[str] | None, mode: int) -> None:
        self._path = None if path is None else checks.folder("path", path)
        known = mode if isinstance(mode, SecureMode) else SecureMode(checks.number("mode", mode, 0xFFFFFFFF))
        self._mode = known if known.is_known else SecureMode.NONE

    def take_settings(self, other: Settings) -> None:
        """Be set as `other` is; deadlines and caps are shared."""
        self.raise_errors, self.enable_progress_event = other.raise_errors, other.enable_progress_event
        self.sync_files = other.sync_files
        self.timeouts, self.limits = other.timeouts, other.limits
        self._socket_options, self._flags, self._debug_mode = other._socket_options, other._flags, other._debug_mode
        self._group_length = other._group_length
        self._path, self._mode, self._initialized = other._path, other._mode, other._initialized

    def get_secure_mode(self) -> SecureMode:
        """The security mode given at construction."""
        return self._mode

    def get_default_socket_options(self) -> SocketOptions:
        """Options that a new object has: buffers left to the system, Nagle's algorithm off."""
        return SocketOptions()

    def get_socket_options(self) -> SocketOptions:
        """Options of the sockets of this object, a copy."""
        return replace(self._socket_options)

    def set_socket_options(self, options: SocketOptions) -> None:
        """Set the options of the sockets of this object; before `listen` or `connect`."""
        if not isinstance(options, SocketOptions):
            raise LDicomUsageError(f"options is {options!r}: SocketOptions are wanted")
        checks.number("send_buffer_size", options.send_buffer_size, 0xFFFFFFFF)
        checks.number("receive_buffer_size", options.receive_buffer_size, 0xFFFFFFFF)
        self._socket_options = replace(options)

    def set_flags(self, flags: int) -> None:
        """Set `NetFlags`: whether data sets encoded here get group length elements."""
        self._flags = NetFlags(checks.number("flags", flags, 0xFFFFFFFF))
        self._group_length = NetFlags.SENDDATA_WITH_GROUP_LENGTH in self._flags

    def get_flags(self) -> NetFlags:
        """The `NetFlags`."""
        return self._flags

    def enable_optimized_send(self, enable: bool) -> None:
        """A hint of the original's; sending is as fast as it can be either way."""

    def enable_optimized_memory_send(self, enable: bool) -> None:
        """A hint of the original's; a data set is never held in memory for sending either way."""

    def is_optimized_memory_send_enabled(self) -> bool:
        """Always True."""
        return True

    def set_debug_mode(self, mode: int) -> DebugMode:
        """Set the `DebugMode` and return the old one; with SEND, `on_send_ext` is called. Before the connection."""
        old, self._debug_mode = self._debug_mode, DebugMode(checks.number("mode", mode, 0xFFFFFFFF))
        return old
