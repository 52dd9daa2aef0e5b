"""What all objects of a process share: who is open and what ends them all, and the folder for temporary files.

Knows no connection.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import abstractmethod
from collections.abc import Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from . import checks, threads
from .part_file import temporary_folder
from .security import Security
from .status import ErrorCode
from .timing import finite

_open: weakref.WeakSet[Application] = weakref.WeakSet()
_open_lock = threading.Lock()
_shutting_down = threading.Event()
_default_temp_path: str | None = None
_ROUNDS = 3
"""How often `shut_down` looks for objects that are open."""


class Application(Security):
    """The part of `LDicomNet` that is the application's; all of it static."""

    @staticmethod
    def start_up() -> None:
        """Call once per application, as the original asks; here the first use starts up."""
        _shutting_down.clear()

    @staticmethod
    def shut_down() -> None:
        """Close every open connection and listening object of the process."""
        _shutting_down.set()
        for _ in range(_ROUNDS):  # what a listening object accepts meanwhile is closed too
            with _open_lock:
                nets = [net for net in _open if net.is_activated()]
            close_all(nets)
        _shutting_down.clear()

    @staticmethod
    def breathe(timeout: float = 0.0) -> None:
        """Let hooks that are due run for up to `timeout` seconds; ends early at `shut_down`."""
        _shutting_down.wait(finite(timeout))

    @staticmethod
    def get_openssl_version() -> str:
        """The version of the TLS library."""
        import ssl

        return ssl.OPENSSL_VERSION

    @staticmethod
    def get_default_temp_path() -> str:
        """Folder for temporary files of objects that were given none."""
        return _default_temp_path or temporary_folder()

    @staticmethod
    def set_default_temp_path(path: str | os.PathLike[str] | None) -> None:
        """Set that folder; None for the system's."""
        global _default_temp_path
        _default_temp_path = None if path is None else checks.folder("path", path)

    # --- `with` ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        finally:
            self.close_forced()  # where the peer refused

    @abstractmethod
    def close(self) -> ErrorCode:
        """Close the connection, or stop listening."""

    @abstractmethod
    def close_forced(self) -> ErrorCode:
        """Close at once."""

    # --- for who derives from it ----------------------------------------------------------------------------------

    @property
    def _folder(self) -> str | None:
        """The folder for temporary files; None for the system's, which is looked up when it is needed."""
        return self._path or _default_temp_path

    def _register(self) -> None:
        """The object is about to be open."""
        with _open_lock:
            _open.add(self)

    @abstractmethod
    def is_activated(self) -> bool:
        """Whether the object listens, connects or is connected."""

    @property
    @abstractmethod
    def _is_listening(self) -> bool:
        """Whether connections may come."""

    @abstractmethod
    def _end(self) -> None:
        """Close at once, and wait for nothing."""

    @abstractmethod
    def _await_end(self, seconds: float) -> None:
        """Wait for the last hook, but no longer than this."""


def close_all(nets: Sequence[Application]) -> None:
    """Close objects, listening ones first, and wait for all of them together."""
    until = monotonic() + max((net.timeouts.shutdown_wait() for net in nets), default=0.0)
    for net in sorted(nets, key=lambda net: not net._is_listening):
        net._end()
    for net in nets:
        net._await_end(until - monotonic())
    threads.let_idle_end(max(0.0, until - monotonic()))
