"""Threads under stress: random walks, hooks that never return, floods of connections, and the end of the interpreter.

The walks are `tests.stress`, which also runs for as long as one likes: `python -m tests.stress --rounds 1000`.
"""

from __future__ import annotations

import functools
import itertools
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from ldicomnet import ErrorCode, LDicomNet, Timeouts, background

from .leftovers import Baseline, join_all, resident
from .stress import rounds
from .stress_child import ASSOCIATE, ECHO, WAYS, Client, Server
from .support import SECONDS

ROOT = Path(__file__).resolve().parent.parent
IS_LINUX = sys.platform == "linux"
MB = 1 << 20

SEEDS = range(1, 23)
"""Rounds in the suite; any seed is as good as any other."""

FLOOD, AT_ONCE = 10_000, 1000
"""Connections one after the other, and at the same time."""
FLOODERS = 3
"""Threads that make them."""
GROWTH = 8 * MB
"""What a flood may leave in resident memory, in which the interpreter and the allocator keep some free room."""

EXIT = 1.0
"""Seconds from `sys.exit()` to the end of the process."""


class RandomWalks(unittest.TestCase):
    """Any method from any hook and any thread, at any time, in any order."""

    def test_rounds(self) -> None:
        with rounds() as each:
            for seed in SEEDS:
                with self.subTest(f"python -m tests.stress --rounds 1 --seed {seed}"):
                    self.assertEqual(each.run(seed), [])


# --- a listening object and a client that behave --------------------------------------------------------------------


class Serving(unittest.TestCase):
    """Tests with a listening object."""

    def serve(self, server: Server) -> Server:
        """Let it listen."""
        server.timeouts = Timeouts(artim=SECONDS, shutdown=0.5)
        self.addCleanup(server.server_close)
        server.listen("127.0.0.1")
        return server

    def assert_served(self, server: LDicomNet) -> None:
        """A client that behaves is served at once."""
        begun = monotonic()
        with Client() as client:
            client.connect("", 0, *server.get_host_info())
            self.assertTrue(client.done.wait(SECONDS))
        self.assertEqual((client.answered, client.ending), ([0, 0], ErrorCode.SUCCESS))
        self.assertLess(monotonic() - begun, 2)


# --- hooks that never return --------------------------------------------------------------------------------------

SERVING_HOOKS = """
on_receive_associate_request on_receive_c_echo_request on_receive_c_store_request on_receive_release_request
on_receive_abort on_close on_receive on_send on_begin_data on_receive_data on_before_send_command_set on_progress_status
"""
ASKING_HOOKS = "on_connect on_receive_associate_accept on_receive_c_echo_response on_close on_send"


Hook = Callable[..., None]


def abort(net: LDicomNet, *_: Any) -> None:
    """A hook."""
    net.send_abort(0, 0)


class Never:
    """A hook that does not return before the test is over."""

    def __init__(self) -> None:
        self.entered, self.gate = threading.Event(), threading.Event()

    def __call__(self, *_: Any) -> None:
        self.entered.set()
        self.gate.wait(2 * SECONDS)


class NeverReturning(Serving):
    """A hook that never returns holds up its own connection, and nobody else."""

    def test_on_an_accepted_connection(self) -> None:
        for hook in SERVING_HOOKS.split():
            with self.subTest(hook):
                asked = {"on_receive_associate_accept": abort} if hook == "on_receive_abort" else {}
                self.check(serving={hook: Never()}, asking=asked)

    def test_on_one_that_was_asked_for(self) -> None:
        for hook in ASKING_HOOKS.split():
            with self.subTest(hook):
                self.check(serving={}, asking={hook: Never()})

    def test_beside_the_reader(self) -> None:
        self.check(serving={"on_receive_c_echo_request": background(Never())}, asking={})

    def check(self, serving: dict[str, Hook], asking: dict[str, Hook]) -> None:
        """One connection has these hooks, on either side; another one, a silent one and the listening object go on."""
        (never,) = (hook for hook in (*serving.values(), *asking.values()) if isinstance(hook, Never))
        self.addCleanup(never.gate.set)
        server, client = Server(), Client(100_000)
        self.serve(server)
        server.timeouts = client.timeouts = Timeouts(artim=0.2, shutdown=0.1)
        self.give(server, serving)
        vars(client).update({name: functools.partial(hook, client) for name, hook in asking.items()})
        self.addCleanup(client.close_forced)
        client.connect("", 0, *server.get_host_info())
        self.assertTrue(never.entered.wait(SECONDS))
        self.assert_served(server)
        with socket.create_connection(server.get_host_info(), SECONDS) as silent:
            self.assertEqual(silent.recv(1), b"", "closed by ARTIM")
        begun = monotonic()
        server.server_close()
        client.close()
        self.assertLess(monotonic() - begun, 2)
        never.gate.set()

    def give(self, server: Server, hooks: dict[str, Hook]) -> None:
        """The first that is accepted has these."""
        first = [hooks]

        def create_client() -> LDicomNet:
            client = LDicomNet.create_client(server)
            client.enable_progress_event = True
            vars(client).update(first.pop() if first else {})
            return client

        server.create_client = create_client  # type: ignore[method-assign]


# --- floods -------------------------------------------------------------------------------------------------------

SAID = (b"", b"GET / HTTP/1.0\r\n\r\n", ASSOCIATE[: len(ASSOCIATE) // 2], b"", b"\1\0\0\0", ASSOCIATE + ECHO)
"""What a plain socket says before it goes: nothing, garbage, half a PDU, or all of an association and an echo."""
RESET = struct.pack("ii", 1, 0)


@contextmanager
def more_descriptors(wanted: int) -> Iterator[None]:
    """As many files may be open, where the system lets us."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < wanted:
        raise unittest.SkipTest(f"{before[1]} descriptors are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Floods(Serving):
    """Many connections of every kind leave a listening object as it was; a client that behaves is served meanwhile."""

    def setUp(self) -> None:
        self.server = self.serve(Server())
        self.failures: list[str] = []

    def test_one_after_the_other(self) -> None:
        self.flood(itertools.count(), FLOOD // 10)
        self.settle()
        self.before, self.memory = Baseline(), resident()
        numbers, over = itertools.count(), threading.Event()
        flooders = {threading.Thread(target=self.flood, args=(numbers, FLOOD), daemon=True) for _ in range(FLOODERS)}
        good = threading.Thread(target=self.be_good, args=(over,), daemon=True)
        for thread in (good, *flooders):
            thread.start()
        hanging = join_all(flooders, 6 * SECONDS)
        over.set()
        self.assertEqual((hanging, join_all({good}, SECONDS), self.failures), ([], [], []))
        self.assertGreater(self.served, 20)
        self.assertGreater(self.server.statistics.connections, FLOOD // 2, "some were gone before they were accepted")
        self.assert_nothing_left()

    def test_at_once(self) -> None:
        with more_descriptors(2 * AT_ONCE + 200):
            self.crowd()  # what the allocator keeps for the next time is no leak
            self.settle()
            self.before, self.memory = Baseline(), resident()
            self.crowd()
            self.assert_nothing_left()

    def crowd(self) -> None:
        """All at once; then they go in any order."""
        threads = threading.active_count()
        sockets = [self.come(number, SAID[number % len(SAID)]) for number in range(AT_ONCE)]
        self.assert_served(self.server)
        talkers = sum(len(SAID[number % len(SAID)]) > 0 for number in range(AT_ONCE))
        self.assertLess(threading.active_count() - threads, talkers + 20, "who says nothing has no thread")
        random.Random(1).shuffle(sockets)
        for number, sock in enumerate(sockets):
            self.go(sock, number)
            if number % 250 == 0:
                self.assert_served(self.server)

    def come(self, number: int, said: bytes) -> socket.socket:
        """One connection, from one of several addresses of this host, as the ports of one are soon used up."""
        source = (f"127.0.0.{2 + number % 50}", 0) if IS_LINUX else None
        sock = socket.create_connection(self.server.get_host_info(), SECONDS, source)
        if said:
            sock.sendall(said)
        return sock

    def go(self, sock: socket.socket, number: int) -> None:
        """Every other one without a goodbye."""
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.close()

    def flood(self, numbers: Iterator[int], count: int) -> None:
        """Connections one after the other, until there were so many."""
        try:
            while (number := next(numbers)) < count:
                self.go(self.come(number, SAID[number % len(SAID)]), number // len(SAID))
        except OSError as error:
            self.failures.append(f"a plain socket: {error}")

    def be_good(self, over: threading.Event) -> None:
        """Be served, again and again."""
        self.served = 0
        try:
            while not over.is_set():
                self.assert_served(self.server)
                self.served += 1
        except AssertionError as error:
            self.failures.append(f"not served after {self.served}: {error}")

    def settle(self) -> None:
        """Wait until nobody is there any more; who came before has been accepted when the next is served."""
        self.assert_served(self.server)
        until, pause = monotonic() + SECONDS, threading.Event()
        while self.server.get_client_count() and monotonic() < until:
            pause.wait(0.01)
        self.assertEqual(self.server.get_client_count(), 0)

    def assert_nothing_left(self) -> None:
        """All is as it was."""
        self.settle()
        self.assertEqual(self.before.left(SECONDS), [])
        self.assertLess(resident() - self.memory, GROWTH)


# --- the end of the interpreter -----------------------------------------------------------------------------------


class Exit(unittest.TestCase):
    """The end of the interpreter waits for no thread of the library, and nothing is printed on the way."""

    def test_each(self) -> None:
        for name in WAYS:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                done = subprocess.run(
                    [sys.executable, "-m", "tests.stress_child", name, folder],
                    cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
                )  # fmt: skip
                ended = monotonic()
                self.assertEqual((done.returncode, done.stderr), (3, ""))
                self.assertLess(ended - float(done.stdout), EXIT)
                self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    unittest.main()
