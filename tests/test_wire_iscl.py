"""The cases of `test_wire_scp` through ISCL: bad input is the same bad input in messages that are in order."""

from __future__ import annotations

import socket
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import LDicomError, LDicomTimeoutError
from ldicomnet.iscl.transport import IsclTransport
from ldicomnet.transport.tcp import TcpTransport

from . import test_wire_scp as plain
from .iscl_ends import SETUP, FixedCard
from .raw import Peer
from .support import SHARE

NEVER_READS = 988
KEYS = "authentication 1 133457799BBCDFF1\nencryption 1 0E329232EA6D0D73\n"


class IsclSocket:
    """What `Peer` asks of a socket, through ISCL; all else is the socket's below."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._isclated = IsclTransport(TcpTransport(sock, send_timeout=10), SETUP, FixedCard(), True, 10, 10)
        assert self._isclated.secure(10)
        self._seconds: float | None = None

    def settimeout(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._isclated._send_timeout = seconds

    def sendall(self, data: bytes) -> None:
        try:
            self._isclated.write([data])
        except LDicomTimeoutError as error:
            raise TimeoutError from error
        except LDicomError as error:
            raise OSError(str(error)) from error

    def recv(self, size: int) -> bytes:
        room = bytearray(size)
        self._isclated.set_timeout(self._seconds)
        try:
            return bytes(room[: self._isclated.read_into(memoryview(room), False)])
        except LDicomTimeoutError as error:
            raise TimeoutError from error
        except LDicomError as error:
            raise OSError(str(error)) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class IsclPeer(Peer):
    """One ISCL connection, our end of it."""

    @classmethod
    def connect(cls, port: int, receive_buffer: int = 0) -> Peer:
        """A connection to a server on the loopback interface, on which both have authenticated."""
        bare = super().connect(port, receive_buffer)
        return cls(IsclSocket(bare.sock))  # type: ignore[arg-type]


@unittest.skipIf(SHARE < 1, "LDICOMNET_TEST_SHARE: all of it is done on another interpreter")
class WireIscl(plain.WireScp):
    """All areas against one server."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        (folder / "keys").write_text(KEYS, encoding="utf-8")
        cls.more = ("--iscl", str(folder / "keys"))
        cls.enterClassContext(mock.patch.object(plain, "Peer", IsclPeer))
        super().setUpClass()

    def check(self, cases: Sequence[plain.Case]) -> None:
        """Without the one in which the peer does not read: an end of ISCL that sends has to."""
        super().check([case for case in cases if case.number != NEVER_READS])

    test_numbers = None  # type: ignore[assignment]  # of the cases, once is enough


if __name__ == "__main__":
    unittest.main()
