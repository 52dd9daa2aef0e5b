"""The bad line between two plain sockets: each fault does what its row says, at the byte it counts to."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from unittest import mock

from benchmarks import fault_proxy
from benchmarks.delay_proxy import RESET_ON_CLOSE
from benchmarks.fault_proxy import ACTS, CLIENT, HELD, SERVER, TABLES, Fault, FaultProxy, faults

from .support import SECONDS, wait_until

ROOT = Path(__file__).resolve().parent.parent
FDS = Path("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd")
DATA = bytes(range(256)) * 16
AFTER = 1000
"""Bytes of DATA at which a fault is to happen."""
QUIET = 0.15
"""Seconds in which nothing is to come."""


class Tables(unittest.TestCase):
    """What happens to whom."""

    def test_the_same_seed_chooses_the_same(self) -> None:
        one, again, other = (list(itertools.islice(faults("mixed", seed), 200)) for seed in (7, 7, 8))
        self.assertEqual(one, again)
        self.assertNotEqual(one, other)

    def test_every_row_is_chosen_within_its_bounds(self) -> None:
        for name, rows in TABLES.items():
            by_kind = {row.kind: row for row in rows}
            seen = set()
            for fault in itertools.islice(faults(name, 1), 2000):
                row = by_kind[fault.kind]
                self.assertIn(fault.after, range(row.longest + 1))
                self.assertTrue(row.seconds[0] <= fault.seconds <= row.seconds[1])
                self.assertIn(fault.mask, range(1, 256), "0 would turn nothing")
                seen.add((fault.kind, fault.towards))
            kinds = {kind for kind, _ in seen}
            self.assertEqual(kinds, set(by_kind))
            self.assertEqual(kinds - {"none"} - set(ACTS), set())
            self.assertEqual({towards for _, towards in seen}, {SERVER, CLIENT})
        self.assertEqual({row.kind for rows in TABLES.values() for row in rows}, {"none", *ACTS})


class Line(unittest.TestCase):
    """`FaultProxy` between two plain sockets."""

    def setUp(self) -> None:
        self.descriptors = len(os.listdir(FDS))
        self.listening = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.listening.settimeout(SECONDS)

    def tearDown(self) -> None:
        self.assertEqual(len(os.listdir(FDS)), self.descriptors + 1)

    @contextlib.contextmanager
    def proxy(self, *chosen: Fault) -> Iterator[FaultProxy]:
        """A line that does this to the first connections, and nothing to further ones; nothing is left of it."""
        all_chosen = itertools.chain(chosen, itertools.repeat(Fault()))
        with FaultProxy(self.listening.getsockname()[1], all_chosen) as proxy:
            yield proxy
        proxy.close()  # again does nothing
        self.assertNotIn("fault-proxy", [thread.name for thread in threading.enumerate()])
        self.assertEqual(proxy.told()["open"], 0)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), SECONDS).close()

    @contextlib.contextmanager
    def joined(self, proxy: FaultProxy) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Both ends of a connection through it."""
        with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as here:
            with self.listening.accept()[0] as there:
                there.settimeout(SECONDS)
                yield here, there

    @contextlib.contextmanager
    def ends(self, fault: Fault) -> Iterator[tuple[FaultProxy, socket.socket, socket.socket]]:
        """The line, the end that sends in the direction of the fault, and the other end."""
        with self.proxy(fault) as proxy, self.joined(proxy) as (here, there):
            yield (proxy, here, there) if fault.towards == SERVER else (proxy, there, here)

    def both_ways(self, kind: str, **more: float) -> Iterator[Fault]:
        """A fault of each direction."""
        for towards in (SERVER, CLIENT):
            with self.subTest(towards=towards):
                yield Fault(kind, towards, AFTER, **more)  # type: ignore[arg-type]

    def send(self, sock: socket.socket, data: bytes) -> None:
        """Send what the line may not take."""
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)

    def all_of(self, sock: socket.socket) -> tuple[bytes, bool]:
        """Everything up to the end, and whether that was a reset."""
        received = bytearray()
        try:
            while data := sock.recv(1 << 16):
                received += data
        except ConnectionResetError:
            return bytes(received), True
        return bytes(received), False

    def exactly(self, sock: socket.socket, count: int) -> bytes:
        """So many bytes."""
        received = bytearray()
        while len(received) < count:
            data = sock.recv(count - len(received))
            self.assertTrue(data, f"the end came after {len(received)} of {count} bytes")
            received += data
        return bytes(received)

    def assert_silent(self, sock: socket.socket) -> None:
        """Neither bytes nor an end."""
        sock.settimeout(QUIET)
        with self.assertRaises(TimeoutError):
            sock.recv(1)
        sock.settimeout(SECONDS)

    # --- no fault ---

    def test_everything_passes(self) -> None:
        data = DATA * 2048
        with self.ends(Fault()) as (proxy, here, there):
            sending = threading.Thread(target=here.sendall, args=(data,), daemon=True)
            sending.start()
            self.assertEqual(self.exactly(there, len(data)), data)
            sending.join(SECONDS)
            here.shutdown(socket.SHUT_WR)
            self.assertEqual(self.all_of(there), (b"", False))
            there.sendall(b"answer")  # the other direction stands
            there.shutdown(socket.SHUT_WR)
            self.assertEqual(self.all_of(here), (b"answer", False))
            wait_until(lambda: proxy.told()["open"] == 0)
            self.assertEqual(proxy.told(), {"chosen": {"none": 1}, "fired": {}, "open": 0, "vanished": 0})

    def test_what_is_held_is_bounded(self) -> None:
        with self.ends(Fault()) as (proxy, here, there):
            here.setblocking(False)
            sent = refused = 0
            while refused < 5:
                try:
                    sent += here.send(DATA * 64)
                    refused = 0
                except BlockingIOError:
                    refused += 1
                    threading.Event().wait(0.02)
                self.assertLess(sent, 1 << 28, "somebody holds all that is sent")
            held = [len(pipe.buffer) for link in proxy._links for pipe in link._pipes]
            self.assertLessEqual(max(held), HELD)
            self.assertEqual(len(self.exactly(there, sent)), sent)

    def test_a_reset_passes(self) -> None:
        for from_here in (True, False):
            with self.subTest(from_here=from_here), self.proxy() as proxy, self.joined(proxy) as ends:
                one, other = ends if from_here else ends[::-1]
                one.sendall(b"x")
                self.assertEqual(other.recv(9), b"x")
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                one.close()
                self.assertEqual(self.all_of(other), (b"", True))
                wait_until(lambda proxy=proxy: proxy.told()["open"] == 0)  # type: ignore[misc]

    # --- faults ---

    def test_cut(self) -> None:
        for fault in self.both_ways("cut"):
            with self.ends(fault) as (proxy, sender, receiver):
                self.send(sender, DATA)
                self.assertEqual(self.all_of(receiver), (DATA[:AFTER], False))
                self.assertEqual(self.all_of(sender)[0], b"")
                self.assertEqual(proxy.told()["fired"], {"cut": 1})

    def test_cut_before_anything(self) -> None:
        with self.ends(Fault("cut")) as (_, here, there):
            self.assertEqual([self.all_of(end)[0] for end in (here, there)], [b"", b""])

    def test_a_fault_that_is_not_reached(self) -> None:
        with self.ends(Fault("cut", after=len(DATA) + 1)) as (proxy, here, there):
            here.sendall(DATA)
            here.shutdown(socket.SHUT_WR)
            self.assertEqual(self.all_of(there), (DATA, False))
            self.assertEqual(proxy.told()["fired"], {})
            there.sendall(DATA * 2)  # the bytes of the other direction do not count
            self.assertEqual(self.exactly(here, 2 * len(DATA)), DATA * 2)

    def test_reset(self) -> None:
        for fault in self.both_ways("reset"):
            with self.ends(fault) as (_, sender, receiver):
                sender.sendall(DATA[:AFTER])
                self.assertEqual(self.all_of(receiver), (DATA[:AFTER], True))
                self.assertEqual(self.all_of(sender), (b"", True))

    def test_half_close(self) -> None:
        for fault in self.both_ways("half-close"):
            with self.ends(fault) as (proxy, sender, receiver):
                sender.sendall(DATA)
                self.assertEqual(self.all_of(receiver), (DATA[:AFTER], False))
                receiver.sendall(b"still here?")
                self.assertEqual(self.exactly(sender, 11), b"still here?")
                sender.sendall(DATA * 4096)  # is dropped, held by nobody, and resets nothing
                receiver.sendall(b"yes")
                receiver.shutdown(socket.SHUT_WR)
                self.assertEqual(self.all_of(sender), (b"yes", False))
                wait_until(lambda proxy=proxy: proxy.told()["open"] == 0)  # type: ignore[misc]

    def test_stall(self) -> None:
        for fault in self.both_ways("stall", seconds=0.4):
            with self.ends(fault) as (_, sender, receiver):
                began = monotonic()
                sender.sendall(DATA)
                receiver.sendall(b"answer")
                self.assertEqual(self.exactly(receiver, AFTER), DATA[:AFTER])
                self.assert_silent(receiver)
                self.assertEqual(self.exactly(receiver, len(DATA) - AFTER), DATA[AFTER:])
                self.assertGreaterEqual(monotonic() - began, 0.4)
                self.assertEqual(self.exactly(sender, 6), b"answer")

    def test_stall_holds_the_end_too(self) -> None:
        with self.ends(Fault("stall", seconds=0.4)) as (_, here, there):
            began = monotonic()
            here.shutdown(socket.SHUT_WR)
            self.assertEqual(self.all_of(there), (b"", False))
            self.assertGreaterEqual(monotonic() - began, 0.35)

    def test_vanish(self) -> None:
        for linger in (bytes(len(RESET_ON_CLOSE)), RESET_ON_CLOSE):
            with self.subTest(linger=linger), self.ends(Fault("vanish", after=AFTER)) as (proxy, here, there):
                here.sendall(DATA)
                self.assertEqual(self.exactly(there, AFTER), DATA[:AFTER])
                there.sendall(b"anybody?")
                self.assert_silent(here)
                here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                here.close()
                self.assert_silent(there)
                self.assertEqual((proxy.told()["open"], proxy.told()["vanished"]), (1, 1))
                there.close()
                wait_until(lambda proxy=proxy: proxy.told()["open"] == 0)  # type: ignore[misc]
                self.assertEqual(proxy.told()["vanished"], 0)

    def test_trickle(self) -> None:
        for fault in self.both_ways("trickle", seconds=0.01):
            with self.ends(fault) as (_, sender, receiver):
                sender.sendall(DATA[: AFTER + 10])
                sender.shutdown(socket.SHUT_WR)
                self.assertEqual(self.exactly(receiver, AFTER), DATA[:AFTER])
                began = monotonic()
                self.assertEqual(self.all_of(receiver), (DATA[AFTER : AFTER + 10], False))
                self.assertGreaterEqual(monotonic() - began, 0.08)

    def test_trickle_is_byte_by_byte(self) -> None:
        with self.ends(Fault("trickle", seconds=0.05)) as (_, here, there):
            here.sendall(b"abc")
            self.assertEqual([there.recv(9) for _ in range(3)], [b"a", b"b", b"c"])

    def test_delay(self) -> None:
        for fault in (Fault("delay", towards, seconds=0.4) for towards in (SERVER, CLIENT)):
            with self.subTest(fault=fault), self.ends(fault) as (_, sender, receiver):
                for _ in range(2):
                    began = monotonic()
                    sender.sendall(DATA)
                    self.assertEqual(self.exactly(receiver, len(DATA)), DATA)
                    self.assertGreaterEqual(monotonic() - began, 0.4)
                    receiver.sendall(b"x")  # the other direction is as fast as ever
                    self.assertEqual(self.exactly(sender, 1), b"x")
                    self.assertLess(monotonic() - began, 0.79, "delayed twice")

    def test_corrupt(self) -> None:
        for fault in self.both_ways("corrupt"):
            with self.ends(fault) as (_, sender, receiver):
                sender.sendall(DATA[:AFTER])
                self.assertEqual(self.exactly(receiver, AFTER), DATA[:AFTER])
                sender.sendall(DATA[AFTER:])
                sender.shutdown(socket.SHUT_WR)
                changed = bytes([DATA[AFTER] ^ 0xFF])
                self.assertEqual(self.all_of(receiver), (changed + DATA[AFTER + 1 :], False))

    def test_corrupt_without_a_byte_to_turn(self) -> None:
        with self.ends(Fault("corrupt", after=3)) as (proxy, here, there):
            here.sendall(b"abc")
            here.shutdown(socket.SHUT_WR)
            self.assertEqual(self.all_of(there), (b"abc", False))
            self.assertEqual(proxy.told()["fired"], {})

    # --- many, and the end ---

    def test_each_connection_has_its_own(self) -> None:
        with self.proxy(Fault(), Fault("cut"), Fault("vanish"), Fault("corrupt")) as proxy:
            with contextlib.ExitStack() as stack:
                plain, cut, vanished, corrupt = (stack.enter_context(self.joined(proxy)) for _ in range(4))
                self.assertEqual(self.all_of(cut[1])[0], b"")
                for here, _ in (plain, vanished, corrupt):
                    here.sendall(b"x")
                self.assertEqual(corrupt[1].recv(9), bytes([ord("x") ^ 0xFF]))
                self.assertEqual(plain[1].recv(9), b"x")
                self.assert_silent(vanished[1])
                told = proxy.told()
        self.assertEqual(told["chosen"], {"none": 1, "cut": 1, "vanish": 1, "corrupt": 1})
        self.assertEqual((told["open"], told["vanished"]), (3, 1))

    def test_room_is_made_by_who_has_vanished(self) -> None:
        with mock.patch.object(fault_proxy, "MOST_LINKS", 3), self.proxy(Fault("vanish"), Fault("vanish")) as proxy:
            with contextlib.ExitStack() as stack:
                first, second = (stack.enter_context(self.joined(proxy)) for _ in range(2))
                here, there = stack.enter_context(self.joined(proxy))
                self.assertEqual(self.all_of(first[1]), (b"", True))
                here.sendall(b"x")
                self.assertEqual(there.recv(9), b"x")
                self.assert_silent(second[1])

    def test_who_finds_no_room_waits(self) -> None:
        with mock.patch.object(fault_proxy, "MOST_LINKS", 1), self.proxy() as proxy:
            with self.joined(proxy), socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as waiting:
                self.listening.settimeout(QUIET)
                with self.assertRaises(TimeoutError):
                    self.listening.accept()
                self.listening.settimeout(SECONDS)
                waiting.sendall(b"x")
                self.assertEqual(proxy.told()["open"], 1)
            # the first has gone; of the second, which has gone too, all is handed on
            with self.listening.accept()[0] as there:
                there.settimeout(SECONDS)
                self.assertEqual(self.all_of(there), (b"x", False))

    def test_closed_with_connections_open(self) -> None:
        with contextlib.ExitStack() as stack:
            with self.proxy(Fault(), Fault("vanish"), Fault("stall", seconds=60), Fault("delay", seconds=60)) as proxy:
                ends = [stack.enter_context(self.joined(proxy)) for _ in range(4)]
                for here, _ in ends:
                    here.sendall(b"x")
                self.assertEqual(ends[0][1].recv(9), b"x")
            for here, there in ends:
                self.assertEqual([self.all_of(end) for end in (here, there)], [(b"", True)] * 2)

    def test_nobody_behind_it(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        with FaultProxy(port, itertools.repeat(Fault())) as proxy:
            with contextlib.suppress(ConnectionError):  # the reset may come while we still connect
                with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as here:
                    self.assertEqual(self.all_of(here), (b"", True))
            wait_until(lambda: proxy.told()["open"] == 0)


class Program(unittest.TestCase):
    """`python -m benchmarks.fault_proxy`."""

    def test_a_line_for_a_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(SECONDS)
            command = [sys.executable, "-m", "benchmarks.fault_proxy", "--table", "corrupt", "--seed", "3"]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            with subprocess.Popen(
                [*command, "--target", str(listening.getsockname()[1])],
                cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            ) as process:  # fmt: skip
                watchdog = threading.Timer(60, process.kill)
                watchdog.start()
                try:
                    assert process.stdin and process.stdout
                    port = json.loads(process.stdout.readline())["port"]
                    with socket.create_connection(("127.0.0.1", port), SECONDS), listening.accept()[0]:
                        process.stdin.write("\n")
                        process.stdin.flush()
                        told = json.loads(process.stdout.readline())
                    process.stdin.close()
                    self.assertEqual(process.wait(SECONDS), 0)
                finally:
                    watchdog.cancel()
                    process.kill()
        self.assertEqual(told, {"chosen": {"corrupt": 1}, "fired": {}, "open": 1, "vanished": 0})


if __name__ == "__main__":
    unittest.main()
