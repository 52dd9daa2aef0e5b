"""The benchmark programs, as far as their figures rest on them: the driver and its contract, and the longer line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.delay_proxy import RESET_ON_CLOSE, DelayProxy
from ldicomnet import LDicomDS
from ldicomnet.part10 import encode_header

from .support import CT, EXPLICIT, SECONDS, wait_until

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}
FDS = Path("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd")
DELAY = 0.010
"""Seconds each way of the longer line."""


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """An element with an explicit VR and a short length."""
    value += b"\0" * (len(value) & 1)
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def make_files(folder: Path, count: int, size: int) -> dict[str, bytes]:
    """So many little objects in a folder; their data sets by SOP instance UID."""
    folder.mkdir()
    made = {}
    for number in range(count):
        instance = f"1.2.826.0.1.3680043.10.7.{number}"
        data = element(8, 0x16, b"UI", CT.encode()) + element(8, 0x18, b"UI", instance.encode())
        data += element(0x10, 0x10, b"PN", b"Bench^Mark") + element(0x20, 0x4000, b"LT", b"x" * size)
        made[instance] = data
        (folder / f"{number}.dcm").write_bytes(encode_header(CT, instance, EXPLICIT) + data)
    return made


def free_port() -> int:
    """A port that nobody has now; the contract gives a server no other way to choose one."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[int]:
    """`driver.py scp` until the end of the block, when SIGTERM has to end it in order; its port."""
    for attempt in range(3):
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.driver", "scp", "--port", str(port), *arguments]
        process = subprocess.Popen(
            command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if line != "READY\n" and attempt < 2:  # somebody else was faster
                continue
            if line != "READY\n":
                raise AssertionError(f"{line!r} {process.communicate(timeout=SECONDS)}")
            yield port
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=SECONDS)
            if (process.returncode, output, errors) != (0, "", ""):
                raise AssertionError(f"{process.returncode} {output!r} {errors}")
            return
        finally:
            watchdog.cancel()
            process.kill()
            process.communicate()


def client(*arguments: str) -> dict[str, Any]:
    """A client of driver.py; its one line of JSON."""
    command = [sys.executable, "-m", "benchmarks.driver", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=30)
    if done.returncode or done.stderr or done.stdout.count("\n") != 1:
        raise AssertionError(f"{arguments}: {done.returncode} {done.stdout!r} {done.stderr}")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


class Driver(unittest.TestCase):
    """Both sides of driver.py, each in a process of its own."""

    COUNT = 12

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.out = self.folder / "out"
        self.out.mkdir()
        self.made = make_files(self.folder / "in", self.COUNT, 3000)

    def assert_told(self, told: dict[str, Any], count: int, *more: str) -> None:
        """What the contract asks for."""
        self.assertEqual(told["n"], count)
        self.assertGreater(told["seconds"], 0)
        self.assertLess(told["seconds"], 30)
        self.assertEqual(set(told), {"n", "seconds", *more})

    def store(self, port: int, *arguments: str) -> dict[str, Any]:
        """Send the folder; all is answered with success."""
        told = client("store", "--port", str(port), "--dir", str(self.folder / "in"), *arguments)
        self.assert_told(told, self.COUNT, "bytes", "began", "reports")
        size = sum(path.stat().st_size for path in (self.folder / "in").iterdir())
        self.assertEqual(told["bytes"], size)
        return told

    def assert_stored(self) -> None:
        """Each object is in a file of its name, with the same bytes; then it goes."""
        self.assertEqual(sorted(os.listdir(self.out)), sorted(f"{instance}.dcm" for instance in self.made))
        for instance, data in self.made.items():
            stored = LDicomDS.load(self.out / f"{instance}.dcm")
            self.assertEqual((stored.sop_instance_uid, stored.transfer_syntax), (instance, EXPLICIT))
            self.assertEqual(stored.read(), data)
            (self.out / f"{instance}.dcm").unlink()

    def test_echo_and_assoc(self) -> None:
        with serving("--out", str(self.out)) as port:
            self.assert_told(client("echo", "--port", str(port), "--n", "7"), 7)
            self.assert_told(client("assoc", "--port", str(port), "--n", "5"), 5)
        self.assertEqual(os.listdir(self.out), [])

    def test_store(self) -> None:
        with serving("--out", str(self.out)) as port:
            for arguments in ((), ("--window", "1"), ("--window", "8"), ("--max-pdu", "0")):
                with self.subTest(arguments=arguments):
                    self.assertEqual(self.store(port, *arguments)["reports"], 0)
                    self.assert_stored()
            told = self.store(port, "--progress")
            self.assertEqual(told["reports"], self.COUNT, "one write for each, and so one report")
            self.assert_stored()

    def test_store_in_other_ways(self) -> None:
        for arguments in (("--sync",), ("--mode", "naive"), ("--mode", "chunked"), ("--max-pdu", "4096")):
            with self.subTest(arguments=arguments), serving("--out", str(self.out), *arguments) as port:
                self.store(port, "--window", "8")
                self.assert_stored()

    def test_store_to_who_discards(self) -> None:
        with serving("--out", str(self.out), "--mode", "discard") as port:
            self.store(port)
        self.assertEqual(os.listdir(self.out), [])

    def test_find(self) -> None:
        query = ("--study", "1.2.3.4", "--series", "1.2.3.4.5")
        for mode in ("raw", "naive"):
            with serving("--out", str(self.out), "--mode", mode, "--find", "23") as port:
                for way in ("raw", "naive"):
                    with self.subTest(server=mode, client=way):
                        self.assert_told(client("find", "--port", str(port), "--mode", way, *query), 23)

    def test_nobody_there(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.driver", "echo", "--port", str(free_port()), "--n", "1"],
            cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        self.assertEqual(json.loads(done.stdout)["n"], 0)
        self.assertIn("no connection", done.stderr)


# --- the longer line ----------------------------------------------------------------------------------------------


def lines() -> list[str]:
    """The threads of proxies."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("delay-proxy")]


class Line(unittest.TestCase):
    """`DelayProxy` between two plain sockets."""

    def setUp(self) -> None:
        self.descriptors = len(os.listdir(FDS))
        self.listening = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        self.listening.settimeout(SECONDS)

    @contextlib.contextmanager
    def proxy(self, delay: float = DELAY) -> Iterator[DelayProxy]:
        """A line; nothing is left of it."""
        with DelayProxy(self.listening.getsockname()[1], delay) as proxy:
            yield proxy
        proxy.close()  # again does nothing
        self.assertEqual(lines(), [])
        self.assertEqual(proxy.connections, 0)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), 5).close()

    @contextlib.contextmanager
    def joined(self, proxy: DelayProxy) -> Iterator[tuple[socket.socket, socket.socket]]:
        """Both ends of a connection through it."""
        with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as here:
            with self.listening.accept()[0] as there:
                there.settimeout(SECONDS)
                yield here, there

    def test_there_and_back(self) -> None:
        times = []
        with self.proxy() as proxy, self.joined(proxy) as (here, there):
            for _ in range(8):
                began = perf_counter()
                here.sendall(b"x")
                self.assertEqual(there.recv(9), b"x")
                self.assertGreaterEqual(perf_counter() - began, DELAY)
                there.sendall(b"y")
                self.assertEqual(here.recv(9), b"y")
                times.append(perf_counter() - began)
            self.assertEqual(proxy.connections, 1)
        self.assertGreaterEqual(min(times), 2 * DELAY)
        self.assertLess(min(times), 4 * DELAY, "twice what it should be, at best")

    def test_a_stream_is_late_but_not_slow(self) -> None:
        """The delay counts once, whatever the length; the bytes are the same."""
        data = bytes(range(256)) * (8 << 12)
        with self.proxy(0.05) as proxy, self.joined(proxy) as (here, there):
            sending = threading.Thread(target=here.sendall, args=(data,), daemon=True)
            began = perf_counter()
            sending.start()
            received = bytearray()
            while len(received) < len(data):
                received += there.recv(1 << 20)
            took = perf_counter() - began
            sending.join(SECONDS)
        self.assertEqual(received, data)
        self.assertGreaterEqual(took, 0.05)
        self.assertLess(took, 0.05 * 20, "32 pieces, each delayed by itself, would be more than that")

    def test_half_close(self) -> None:
        with self.proxy() as proxy:
            with self.joined(proxy) as (here, there):
                here.sendall(b"question")
                here.shutdown(socket.SHUT_WR)
                self.assertEqual(self.all_of(there), b"question")
                there.sendall(b"answer")  # the other direction stands
                there.shutdown(socket.SHUT_WR)
                self.assertEqual(self.all_of(here), b"answer")
            wait_until(lambda: proxy.connections == 0)

    def all_of(self, sock: socket.socket) -> bytes:
        """Everything up to the end."""
        received = bytearray()
        while data := sock.recv(1 << 16):
            received += data
        return bytes(received)

    def test_reset(self) -> None:
        for from_here in (True, False):
            with self.subTest(from_here=from_here), self.proxy() as proxy, self.joined(proxy) as ends:
                one, other = ends if from_here else ends[::-1]
                one.sendall(b"x")
                self.assertEqual(other.recv(9), b"x")
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                one.close()
                with self.assertRaises(ConnectionResetError):
                    other.recv(9)
                wait_until(lambda proxy=proxy: proxy.connections == 0)  # type: ignore[misc]

    def test_closed_with_connections_open(self) -> None:
        with contextlib.ExitStack() as stack:
            with self.proxy(1.0) as proxy:
                ends = [stack.enter_context(self.joined(proxy)) for _ in range(4)]
                ends[0][0].sendall(b"under way")
                sending = threading.Thread(target=self.flood, args=(ends[1][0],), daemon=True)
                sending.start()
            for here, there in ends:
                for end in (here, there):
                    with contextlib.suppress(ConnectionError):
                        self.assertEqual(end.recv(9), b"")
            sending.join(SECONDS)
            self.assertFalse(sending.is_alive())

    def flood(self, sock: socket.socket) -> None:
        """Send more than can be under way, which ends with the line."""
        with contextlib.suppress(OSError):
            sock.sendall(bytes(200 << 20))

    def test_nobody_behind_it(self) -> None:
        with DelayProxy(free_port(), DELAY) as proxy:
            with contextlib.suppress(ConnectionError):  # the reset may come while we still connect
                with socket.create_connection(("127.0.0.1", proxy.port), SECONDS) as here:
                    self.assertEqual(here.recv(9), b"")
        self.assertEqual(lines(), [])

    def tearDown(self) -> None:
        self.assertEqual(len(os.listdir(FDS)), self.descriptors + 1)


class Window(unittest.TestCase):
    """What asynchronous operations are for."""

    def test_a_window_hides_the_line(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for count in (16, 160):
            make_files(folder / str(count), count, 80)
        (folder / "out").mkdir()
        ratios: list[float] = []
        with serving("--out", str(folder / "out")) as port, DelayProxy(port, DELAY) as proxy:
            for _ in range(3):  # the best of three: other work on the machine only ever makes it worse
                one, many = (
                    client("store", "--port", str(proxy.port), "--dir", str(folder / str(count)), "--window", window)
                    for count, window in ((16, "1"), (160, "16"))
                )
                self.assertEqual((one["n"], many["n"]), (16, 160))
                self.assertGreaterEqual(one["seconds"], 16 * 2 * DELAY)
                self.assertGreaterEqual(many["seconds"], 10 * 2 * DELAY, "no more than the window is outstanding")
                ratios.append((one["seconds"] / 16) / (many["seconds"] / 160))
                if ratios[-1] >= 10:
                    break
        self.assertGreaterEqual(max(ratios), 10, ratios)


class Program(unittest.TestCase):
    """`python -m benchmarks`."""

    def run_without(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it where neither rich nor matplotlib is."""
        program = "import runpy, sys; sys.modules.update(rich=None, matplotlib=None); runpy.run_module('benchmarks', run_name='__main__')"  # noqa: E501
        return subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=30,
        )  # fmt: skip

    def test_list(self) -> None:
        done = self.run_without("--list")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        cases = {line.partition(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")}
        expected = "echo assoc store-ct store-tiny store-large store-durable find crowd startup window workers progress"
        self.assertEqual(set(expected.split()) - cases, set())
        self.assertIn("ldicomnet", done.stdout)

    def test_list_of_some(self) -> None:
        done = self.run_without("--list", "--cases", "echo,store")
        cases = [line.partition(":")[0] for line in done.stdout.splitlines() if not line.startswith(" ")]
        self.assertIn("echo", cases)
        self.assertEqual([name for name in cases if name != "echo" and not name.startswith("store-")], [])
        self.assertGreater(len(cases), 3)

    def test_wrong_arguments(self) -> None:
        for arguments in (("--cases", "nothing"), ("--runs", "0"), ("--nodelay", "--as-shipped")):
            with self.subTest(arguments=arguments):
                done = self.run_without(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn("error:", done.stderr)
        done = self.run_without("--from", "/no/such/file")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)


if __name__ == "__main__":
    unittest.main()
