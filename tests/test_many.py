"""Very many connections, good and bad, one after the other and at once."""

from __future__ import annotations

import gc
import os
import resource
import socket
import threading
import unittest
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

from ldicomnet import LDicomAssociate, LDicomNet, Limits, Status, Timeouts
from ldicomnet.message import BY_NAME, build
from ldicomnet.pdu import DataTransfer, DataValue
from ldicomnet.threads import let_idle_end

from .support import SECONDS, SHARE, VERIFICATION, accept_all, request

ROOT = Path(__file__).resolve().parent.parent
IN_SEQUENCE, AT_ONCE, CALLERS = max(2_000, int(10_000 * SHARE)), 1_000, 4
ASKED = request((VERIFICATION, "1.2.840.10008.1.2")).to_request().encode()
ECHO = DataTransfer(
    [DataValue(1, True, True, build(BY_NAME["c_echo_request"], 1, (1, VERIFICATION), False).command_set)]
).encode()
RELEASE = b"\5\0\0\0\0\4\0\0\0\0"
WORDS = (
    b"",  # a probe
    b"GET / HTTP/1.1\r\n\r\n",
    ASKED[:7],
    ASKED[:-1],
    ASKED,  # and gone
    ASKED + ECHO[:20],
    ASKED + ECHO + RELEASE,
    b"\1\0\xff\xff\xff\xff",
    b"\xff" * 100,
    RELEASE,
)
"""What a peer says before it closes."""


class Serving(LDicomNet):
    """The server."""

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        accept_all(self, associate)


def descriptors() -> int:
    """How many are open."""
    return len(os.listdir("/proc/self/fd"))


def anonymous() -> int:
    """Kilobytes of memory that belong to this process alone."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


@unittest.skipUnless(os.path.isdir("/proc/self/fd"), "descriptors and memory are counted in /proc")  # noqa: PTH112
class Many(unittest.TestCase):
    """Nothing stays of them, and a well-behaved client is served meanwhile."""

    def setUp(self) -> None:
        let_idle_end(SECONDS)
        self.server = Serving()
        self.server.timeouts = Timeouts(artim=2.0)
        self.server.limits = Limits(connections=AT_ONCE + 50)
        self.server.listen("127.0.0.1")
        self.addCleanup(self.server.server_close)
        self.address = self.server.get_host_info()
        self.slowest = 0.0

    def well_behaved(self) -> None:
        """An association, an echo and a release, all of them answered."""
        begun = monotonic()
        with socket.create_connection(self.address, SECONDS) as sock:
            sock.sendall(ASKED)
            self.assertEqual(self.pdu(sock)[0], 2)
            sock.sendall(ECHO)
            self.assertEqual(self.pdu(sock)[-2:], Status.SUCCESS.to_bytes(2, "little"))
            sock.sendall(RELEASE)
            self.assertEqual(self.pdu(sock)[0], 6)
        self.slowest = max(self.slowest, monotonic() - begun)

    def pdu(self, sock: socket.socket) -> bytes:
        """The next one."""
        head = sock.recv(6, socket.MSG_WAITALL)
        return head + sock.recv(int.from_bytes(head[2:], "big"), socket.MSG_WAITALL)

    def at_rest(self) -> tuple[int, int]:
        """Descriptors and threads, once nobody is there."""
        until, pause = monotonic() + SECONDS, threading.Event()
        while self.server.get_client_count():
            self.assertLess(monotonic(), until)
            pause.wait(0.01)
        let_idle_end(SECONDS)
        gc.collect()
        while threading.active_count() > 2 and monotonic() < until:  # a reader may be about to end
            pause.wait(0.01)
        return descriptors(), threading.active_count()

    def meanwhile(self, work: Callable[[], None]) -> None:
        """Do this while a well-behaved client comes again and again; every time it is served."""
        over, failed = threading.Event(), list[BaseException]()

        def come() -> None:
            try:
                while not over.wait(0.05):
                    self.well_behaved()
            except BaseException as error:
                failed.append(error)

        coming = threading.Thread(target=come)
        coming.start()
        try:
            work()
        finally:
            over.set()
            coming.join(SECONDS)
        self.assertEqual(failed, [])
        self.assertLess(self.slowest, 3.0)

    def talk(self, number: int) -> None:
        """One connection that says something of the list, and is gone; now and then by a reset."""
        with suppress(OSError), socket.create_connection(self.address, SECONDS) as sock:
            if number % 7 == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.sendall(WORDS[number % len(WORDS)])

    def test_one_after_the_other(self) -> None:
        for number in range(200):
            self.talk(number)
        self.well_behaved()
        before, memory = self.at_rest(), anonymous()

        def all_of_them() -> None:
            def some(first: int) -> None:
                for number in range(first, IN_SEQUENCE, CALLERS):
                    self.talk(number)

            callers = [threading.Thread(target=some, args=(first,)) for first in range(CALLERS)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join(10 * SECONDS)

        self.meanwhile(all_of_them)
        self.assertEqual(self.at_rest(), before)
        self.assertLess(anonymous() - memory, 16 << 10)
        self.assertGreater(self.server.statistics.connections, IN_SEQUENCE * 0.5)

    def test_at_once(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * AT_ONCE + 200
        if hard != resource.RLIM_INFINITY and hard < wanted:
            self.skipTest(f"no more than {hard} descriptors may be open here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.meanwhile(self.all_at_once)  # the first time, the system's allocator keeps what it has had to get
        before, memory = self.at_rest(), anonymous()
        self.meanwhile(self.all_at_once)
        self.assertEqual(self.at_rest(), before)
        self.assertLess(anonymous() - memory, 16 << 10)

    def all_at_once(self) -> None:
        """So many stand at once and have said nothing, or nothing whole; then they are gone."""
        sockets: list[socket.socket] = []
        for number in range(AT_ONCE):
            sock = socket.create_connection(self.address, SECONDS)
            sockets.append(sock)
            with suppress(OSError):
                sock.sendall(WORDS[number % 4])
        self.well_behaved()
        for sock in sockets:
            sock.close()


if __name__ == "__main__":
    unittest.main()
