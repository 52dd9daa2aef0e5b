"""The cases of `test_wire_scp` through TLS: bad input is the same bad input behind a good handshake."""

from __future__ import annotations

import functools
import socket
import ssl
import unittest
from unittest import mock

from . import test_wire_scp as plain
from .certificates import certificate, key
from .raw import Peer
from .support import SHARE


@functools.cache
def context() -> ssl.SSLContext:
    """A client's, with a certificate of its own."""
    made = ssl.create_default_context(cafile=certificate("ca"))
    made.load_cert_chain(certificate("client"), key("client"))
    return made


class TlsPeer(Peer):
    """One TLS connection, our end of it; it goes without a farewell of TLS."""

    @classmethod
    def connect(cls, port: int, receive_buffer: int = 0) -> Peer:
        """A connection to a server on the loopback interface, that has shaken hands."""
        bare = super().connect(port, receive_buffer)
        bare.sock.settimeout(10)
        return cls(context().wrap_socket(bare.sock, server_hostname="localhost"))

    def half_close(self) -> None:
        """Say that we send no more, of TCP; an `SSLSocket` would forget its keys first."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
        except OSError:
            pass


@unittest.skipIf(SHARE < 1, "LDICOMNET_TEST_SHARE: all of it is done on another interpreter")
class WireTls(plain.WireScp):
    """All areas against one server with mutual authentication."""

    @classmethod
    def setUpClass(cls) -> None:
        own = "+tls", key("server_rsa"), certificate("server_rsa")
        cls.more = (*own, "+cf", certificate("ca"))
        cls.enterClassContext(mock.patch.object(plain, "Peer", TlsPeer))
        super().setUpClass()

    test_numbers = None  # type: ignore[assignment]  # of the cases, once is enough


if __name__ == "__main__":
    unittest.main()
