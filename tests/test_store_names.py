"""Names that peers would like: no file outside the folder, and no line of a log that is not plain, whatever they send.

Each is sent to the storage SCP sample in this process and as a process of its own, with everything it logs.
"""

from __future__ import annotations

import logging
import re
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

from . import raw
from .raw import CT, EXPLICIT, IMPLICIT, Peer, context, item
from .storing import LOG_LINE, Process, Storing, stored_data
from .support import SECONDS

HOSTILE = (
    # paths
    b"../../evil", b"..", b".", b"...", b"../1.2.3", b"1.2.3/../../evil", b"/etc/passwd", b"/tmp/ldicomnet-evil",
    b"\\\\server\\share\\evil", b"C:\\evil", b"C:evil", b"..\\..\\evil", b"1.2/3", b"1.2.3\\1.2.4", b"~", b"~root/x",
    b"sub/1.2.3", b"file:///evil", b"1.2.3:stream", b"1.2.3.dcm", b".1.2.3.part", b"//x/y",
    # bytes that end or hide something
    b"1.2.3\0.4", b"1.2\0/../evil", b"\0evil", b"1.2.3\n1.2.4", b"1.2.3\r\n", b"\x1b[2J\x1b[31m1.2.3", b"\x071.2.3",
    b"\x9b2J1.2", b"1.2.3\t4", b"1 2 3", b"1.2.3\x7f", b"1.2.3\x85W: forged", b"1.2\nE: a forged line",
    # names of devices, options, and what is expanded somewhere
    b"CON", b"NUL", b"AUX", b"COM1", b"LPT1", b"CON.dcm", b"-rf", b"--help", b"*", b"?", b"$HOME", b"%s%n%x", b"{0}",
    b"`id`", b"1.2.3;id", b"1.2.3|id", b"1.2.3&",
    # what is nearly a UID
    b"", b".1.2", b"1.2.", b"1..2", b"1.2a", b"0x1", b"1,2", b"+1.2", b"-1.2", b"1e5", b"\xb9.\xb2.\xb3",
    b"1.2.\xd9\xa1", b"9" * 65, b"1." * 32 + b"1", b"1" * 10240, b"../" * 3000, b"A" * 10240, b"." * 64,
)  # fmt: skip
TOLERATED = (
    b"1.2.03", b"01.2", b"0", b"00", b"1", b"1.2.000000000000001", b"9" * 64, b"1." * 31 + b"12", b"1.2.4\0",
    b" 1.2.5 ", b"1.2.6\0\0\0",
)  # fmt: skip
"""Numbers between dots: what the field has for names."""
TEXTS = (
    b"\x1b]0;evil\x07", b"a\nW: forged", b"\r\x1b[2Kforged", b"\0\0\0", b"\x9b2J", b"%s%n", b"\xff" * 16, b"../../evil",
)  # fmt: skip
"""For everything that is no name."""


def store_command(instance: bytes, sop_class: bytes = CT.encode(), move: bytes = b"") -> bytes:
    """A C-STORE-RQ whose texts are bytes."""

    def padded(value: bytes) -> bytes:
        return value + b"\0" * (len(value) & 1)

    more = raw.element(0x1030, padded(move)) if move else b""
    return raw.command(
        raw.element(2, padded(sop_class)),
        raw.element(0x100, 1),
        raw.element(0x110, 1),
        raw.element(0x700, 0),
        raw.element(0x800, raw.DATA),
        raw.element(0x1000, padded(instance)),
        more,
    )


def requests() -> Iterator[bytes]:
    """Association requests with texts of each kind that a server could log or use."""
    for text in TEXTS:
        wide = text.ljust(16)[:16]
        yield raw.request(called=wide)
        yield raw.request(calling=wide)
        yield raw.request(called=wide, calling=wide)
        yield raw.request(application=item(0x10, text))
        yield raw.request(context(1, text.decode("latin-1"), IMPLICIT) + context(3, CT, IMPLICIT, EXPLICIT))
        yield raw.request(context(1, CT, text.decode("latin-1")) + context(3, CT, text.decode("latin-1"), IMPLICIT))
        yield raw.request(user_information=item(0x50, raw.max_length(16384) + item(0x52, text) + item(0x55, text)))
        identity = b"\2\1" + raw.counted(text) + raw.counted(text)
        yield raw.request(user_information=raw.user(item(0x58, identity)))


class Names(unittest.TestCase):
    """What both kinds of server have to stand."""

    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = self.root / "deep" / "inside" / "store"
        self.folder.mkdir(parents=True)

    def peer(self, port: int, request: bytes = b"") -> Peer:
        """A peer that has asked for an association."""
        peer = Peer.connect(port)
        self.addCleanup(peer.close)
        peer.send(request or raw.request())
        peer.next(monotonic() + SECONDS)
        return peer

    def next(self, peer: Peer) -> str:
        """What a peer hears next."""
        self.assertTrue(peer.next(monotonic() + SECONDS), peer.transcript)
        return peer.transcript[-1]

    def check_instances(self, port: int) -> None:
        """Hostile names are refused, tolerable ones are names in the folder, and the association goes on."""
        peer = self.peer(port)
        for instance in HOSTILE:
            with self.subTest(instance=instance[:40]):
                peer.send(raw.message(3, store_command(instance), raw.data_set("1.2.3", 256)))
                self.assertRegex(self.next(peer), "^8001/1 0117$")
        for instance in TOLERATED:
            name = instance.decode("ascii").strip("\0 ")
            with self.subTest(name=name):
                data = raw.data_set(name, 256)
                peer.send(raw.message(3, store_command(instance), data))
                self.assertEqual(self.next(peer), "8001/1 0000")
                self.assertEqual(stored_data(self.folder / f"{name}.dcm"), data)
        for text in TEXTS:
            peer.send(raw.message(3, store_command(b"1.2.3", move=text), raw.data_set("1.2.3")))
            self.assertRegex(self.next(peer), "^(8001/1 ....|ABORT 2 .)$")
            if peer.transcript[-1].startswith("ABORT"):
                peer = self.peer(port)
            peer.send(raw.message(3, store_command(b"1.2.3", text), raw.data_set("1.2.3")))
            self.assertRegex(self.next(peer), "^(8001/1 0122|ABORT 2 .)$")
            if peer.transcript[-1].startswith("ABORT"):
                peer = self.peer(port)
        peer.close()

    def check_requests(self, port: int) -> None:
        """Whatever is in an association request, and then an object if it is accepted."""
        for number, request in enumerate(requests()):
            peer = self.peer(port, request)
            if peer.transcript and "3:0" in peer.transcript[-1]:
                peer.send(raw.message(3, store_command(b"1.9.%d" % number), raw.data_set("1.9")))
                self.assertEqual(self.next(peer), "8001/1 0000")
            peer.close()

    def check_files(self) -> None:
        """There is nothing but what has a name that is one."""
        for path in self.root.rglob("*"):
            if path.is_file() and path.name != "stderr":
                self.assertEqual(path.parent, self.folder)
                self.assertRegex(path.name, r"\A[0-9]+(\.[0-9]+)*\.dcm\Z")
        for path in ("/tmp/ldicomnet-evil", "/tmp/ldicomnet-evil.dcm", "/evil", "/evil.dcm"):
            self.assertFalse(Path(path).exists())

    def check_lines(self, said: str) -> None:
        """Plain lines, each a record of its own."""
        self.assertGreater(said.count("\n"), 10)
        for line in said.split("\n")[:-1]:
            self.assertRegex(line, LOG_LINE)
            self.assertTrue(line.isprintable(), ascii(line))
            self.assertNotRegex(line, "^[DIWE]: (a )?forged")
        self.assertIsNone(re.search(r"Traceback|[\0-\x09\x0b-\x1f\x7f-\x9f]", said))


class AsAProcess(Names):
    """The program, with `-v` and `-d`."""

    def test_all(self) -> None:
        for options in (("-v",), ("-d", "--strict"), ("-v", "--duplicates", "keep")):
            with self.subTest(options):
                root = Path(self.enterContext(tempfile.TemporaryDirectory()))
                server = Process(root, self.folder, "-ta", "1", *options)
                self.addCleanup(server.kill)
                assert server.process.stdout is not None
                if "--strict" not in options:
                    self.check_instances(server.port)
                self.check_requests(server.port)
                self.assertEqual(server.process.poll(), None)
                self.check_files()
                for path in self.folder.iterdir():
                    path.unlink()
                server.process.terminate()
                for line in server.process.stdout:
                    self.assertRegex(line, r"\Astored [ -~]+, \d+ bytes, [0-9.]+\n\Z")
                self.assertEqual(server.stop(), 0)
                self.check_lines(server.errors())


class InThisProcess(Names, Storing):
    """The same server here, where every record can be looked at."""

    def setUp(self) -> None:
        Storing.setUp(self)
        Names.setUp(self)

    def test_all(self) -> None:
        with self.assertLogs("ldicomnet", logging.DEBUG) as logs:
            port = self.serve("-ta", "1").get_host_info()[1]
            self.check_instances(port)
            self.check_requests(port)
        self.check_files()
        for record in logs.records:
            self.assertIsNone(record.exc_info, record.getMessage())
        self.check_lines("".join(f"{record.levelname[0]}: {record.getMessage()}\n" for record in logs.records))


if __name__ == "__main__":
    unittest.main()
