"""The temporary file of a data set that was spooled: it goes at every kind of ending.

What ends in the middle of a data set is in `test_streaming.Interrupted`; a killed process in `test_abandoned`.
"""

from __future__ import annotations

import gc
import os
import tempfile
import threading
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ldicomnet import LDicomDS, LDicomNet, Limits, Status, Timeouts, background

from . import raw
from .raw import COMMAND, LAST, Peer, p_data, pdv
from .storing import PART_NAME, Process, Storer, be_quiet, object_of
from .support import CT, IMPLICIT, SECONDS, Ends, Recorder, accept_all, associate_with

SIZE = 300 << 10
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
Hook = Callable[..., None]


def answered(net: Any, context: int, message_id: int, sop_class: str, instance: str, *_: Any) -> None:
    """A hook that answers."""
    net.send_c_store_response(context, message_id, sop_class, instance, Status.SUCCESS)


def raising(error: type[BaseException]) -> Hook:
    """A hook that raises."""

    def hook(*_: Any) -> None:
        raise error("in a hook")

    return hook


class Endings(Ends):
    """A server that spools what is longer than a little, and hooks that do this and that with it."""

    def setUp(self) -> None:
        self.spools = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.seen: list[int] = []
        be_quiet(self)  # hooks raise, and peers break off

    def acceptor(self) -> Recorder:
        """The server."""
        net = Recorder(str(self.spools))
        net.limits = Limits(memory_data_set=1000)
        net.answers["on_receive_associate_request"] = accept_all
        self.addCleanup(net.close_forced)
        return net

    def left(self) -> list[str]:
        """What is in the folder."""
        return sorted(os.listdir(self.spools))

    def spooled(self, hook: Hook) -> Hook:
        """The hook, once it was seen that there is a temporary file."""

        def seeing(net: Any, *arguments: Any) -> None:
            self.seen.append(sum(PART_NAME.fullmatch(name) is not None for name in self.left()))
            hook(net, *arguments)

        return seeing

    def wait_until_gone(self) -> None:
        """The file goes, and soon."""
        until, pause = time.monotonic() + SECONDS, threading.Event()
        while self.left():
            self.assertLess(time.monotonic(), until, self.left())
            pause.wait(0.002)
            gc.collect()  # a traceback holds the frames that it went through

    def ends(self, hook: Hook, *contexts: Any) -> tuple[Recorder, Recorder]:
        """Two ends over TCP, after the server got an object for which it calls this hook."""
        client, server = self.associated_over_tcp(*(contexts or ((CT, IMPLICIT), (FIND, IMPLICIT))))
        server.answers["on_receive_c_store_request"] = self.spooled(hook)
        return client, server

    def store(self, client: Recorder) -> None:
        """Send an object."""
        instance, data = object_of(SIZE)
        client.send_c_store_request(1, 1, CT, instance, dataset=LDicomDS.from_bytes(data, IMPLICIT))

    def check(self, hook: Hook, end: Callable[[Recorder, Recorder], object]) -> None:
        """After the hook, and then this ending, the file is gone; and it was there."""
        client, server = self.ends(hook)
        self.store(client)
        server.wait_for("on_receive_c_store_request")
        server.calls.clear()  # it has noted what it was given
        end(client, server)
        self.wait_until_gone()
        self.assertEqual(self.seen.pop(), 1)
        client.close_forced()
        server.close_forced()

    def test_the_hook_is_done_with_it(self) -> None:
        """At once, while the association goes on."""
        for hook in (
            answered,
            lambda *_: None,  # it may answer later
            lambda net, *rest: (rest[-1].read(), answered(net, *rest)),
            lambda net, *rest: (rest[-1].open().close(), answered(net, *rest)),
            raising(ZeroDivisionError),
            raising(SystemExit),
        ):
            self.check(hook, lambda *_: None)

    def test_the_hook_ends_the_connection(self) -> None:
        for hook in (
            lambda net, *_: net.close(),
            lambda net, *_: net.close_forced(),
            lambda net, *_: net.send_abort(0, 0),
        ):
            self.check(hook, lambda client, _server: client.wait_for("on_close"))

    def test_the_connection_ends_while_it_is_held(self) -> None:
        """It stays as long as it is held, and no longer."""
        ways: tuple[Callable[[Recorder, Recorder], object], ...] = (
            lambda client, server: (client.send_release_request(), server.wait_for("on_close")),
            lambda client, server: (client.send_abort(0, 0), server.wait_for("on_close")),
            lambda client, server: (client.close_forced(), server.wait_for("on_close")),
            lambda client, server: (server.close(), server.wait_for("on_close")),
            lambda client, server: (server.close_forced(), server.wait_for("on_close")),
            lambda client, server: (server.get_server().server_close(), server.wait_for("on_close")),
            lambda client, server: (LDicomNet.shut_down(), server.wait_for("on_close")),
        )
        for way in ways:
            held: list[LDicomDS] = []

            def end(client: Recorder, server: Recorder, way: Any = way, held: list[LDicomDS] = held) -> None:
                client.wait_for("on_receive_c_store_response")
                way(client, server)
                self.assertEqual(len(self.left()), 1)
                dataset = held.pop()
                self.assertEqual(len(dataset.read()), dataset.size)

            self.check(lambda net, *rest, held=held: (held.append(rest[-1]), answered(net, *rest)), end)

    def test_a_hook_beside_the_reader(self) -> None:
        """The association is over while it runs."""
        for is_aborted in (True, False):
            goes_on, runs = threading.Event(), threading.Event()

            class Server(LDicomNet):
                on_receive_associate_request = accept_all

                @background
                def on_receive_c_store_request(self, *arguments: Any, runs=runs, goes_on=goes_on) -> None:  # type: ignore[no-untyped-def,override]
                    runs.set()
                    goes_on.wait(SECONDS)

            server = Server(str(self.spools))
            server.limits = Limits(memory_data_set=1000)
            self.addCleanup(server.server_close)
            server.listen("127.0.0.1")
            client = self.requestor()
            associate_with(client, server, (CT, IMPLICIT))
            self.store(client)
            self.assertTrue(runs.wait(SECONDS))
            self.assertEqual(len(self.left()), 1)
            if is_aborted:
                client.send_abort(0, 0)
            goes_on.set()
            self.wait_until_gone()

    def test_nobody_wants_it(self) -> None:
        """A message of no hook, and one of no known kind."""
        client, server = self.ends(answered)
        client.send_c_find_request(3, 2, FIND, dataset=LDicomDS.from_bytes(object_of(SIZE)[1], IMPLICIT))
        client.wait_for("on_receive_c_find_response")
        server.calls.clear()
        self.wait_until_gone()
        peer, server = self.peer()
        unknown = raw.other_command(0x0777, data_set=raw.DATA)
        peer.send(p_data(pdv(3, COMMAND | LAST, unknown)) + p_data(pdv(3, 0, bytes(100_000))))
        self.wait_for_file()
        peer.send(p_data(pdv(3, LAST, bytes(1000))))
        self.wait_until_gone()

    def peer(self, timeouts: Timeouts | None = None) -> tuple[Peer, Recorder]:
        """A peer made by hand, associated: context 3 for CT."""
        server = self.acceptor()
        if timeouts is not None:
            server.timeouts = timeouts
        server.answers["on_receive_c_store_request"] = answered
        server.listen("127.0.0.1")
        peer = Peer.connect(server.get_host_info()[1])
        self.addCleanup(peer.close)
        peer.send(raw.request())
        self.assertTrue(peer.next(time.monotonic() + SECONDS))
        return peer, server

    def wait_for_file(self) -> None:
        """A data set is on its way into a file."""
        until, pause = time.monotonic() + SECONDS, threading.Event()
        while not self.left():
            self.assertLess(time.monotonic(), until)
            pause.wait(0.002)

    def begin(self, peer: Peer) -> None:
        """Half of an object."""
        peer.send(p_data(pdv(3, COMMAND | LAST, raw.store_command("1.2.3"))) + p_data(pdv(3, 0, bytes(100_000))))
        self.wait_for_file()

    def test_it_does_not_come_to_its_end(self) -> None:
        """The peer falls silent, asks for the release and stays, or sends more than is allowed."""
        peer, _server = self.peer(Timeouts(pdu=0.2))
        self.begin(peer)
        self.wait_until_gone()
        peer, _server = self.peer(Timeouts(artim=0.2))
        self.begin(peer)
        peer.send(raw.RELEASE)
        self.wait_until_gone()
        peer, server = self.peer()
        server.limits.data_set = 150_000
        self.begin(peer)
        peer.send(p_data(pdv(3, 0, bytes(100_000))) + p_data(pdv(3, LAST, b"")))
        self.assertTrue(peer.next(time.monotonic() + SECONDS))
        self.assertEqual(peer.transcript[-1], "8001/1 A700")
        self.wait_until_gone()


class OfAProcess(unittest.TestCase):
    """The program ends while a data set is on its way, and is started again where it was killed."""

    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.folder = self.root / "store"
        self.folder.mkdir()

    def test_ended_and_killed(self) -> None:
        for is_killed in (False, True):
            server = Process(self.root, self.folder, "--drain", "0.1", program=("-m", "tests.archive"))
            self.addCleanup(server.kill)
            peer = Peer.connect(server.port)
            self.addCleanup(peer.close)
            peer.send(raw.request())
            self.assertTrue(peer.next(time.monotonic() + SECONDS))
            peer.send(p_data(pdv(3, COMMAND | LAST, raw.store_command("1.2.3"))) + p_data(pdv(3, 0, bytes(100_000))))
            until, pause = time.monotonic() + SECONDS, threading.Event()
            while not os.listdir(server.spool):
                self.assertLess(time.monotonic(), until)
                pause.wait(0.005)
            server.kill() if is_killed else server.stop()
            left = os.listdir(server.spool)
            self.assertEqual([PART_NAME.fullmatch(name) is not None for name in left], [True] if is_killed else [])
        again = Process(self.root, self.folder)
        self.addCleanup(again.kill)
        self.assertEqual((os.listdir(again.spool), os.listdir(self.folder)), ([], []))
        client = Storer()
        self.assertTrue(client.open(again.port))
        self.assertEqual(client.store(*object_of(1000)), 0)
        client.end()
        self.assertEqual(again.stop(), 0)


if __name__ == "__main__":
    unittest.main()
