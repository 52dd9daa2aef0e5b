"""Threads under stress: random walks, hooks that never return, and the end of the interpreter.

The walks are `tests.stress`, which also runs for as long as one likes: `python -m tests.stress --rounds 1000`.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from ldicomnet import ErrorCode, LDicomNet, Timeouts, background

from .stress import rounds
from .stress_child import WAYS, Client, Server
from .support import SECONDS, SHARE

ROOT = Path(__file__).resolve().parent.parent
IS_LINUX = sys.platform == "linux"
MB = 1 << 20

SEEDS = range(1, 1 + max(4, int(16 * SHARE)))
"""Rounds in the suite; any seed is as good as any other."""

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
