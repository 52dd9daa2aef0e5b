"""Guards of what the library costs, by counts that do not depend on how fast the machine is: calls of functions and of
the kernel, threads, wake-ups, memory, modules.

Where `Calls` fails, its message has the calls made most often. To see them without a failure:

    LDICOMNET_SHOW_CALLS=1 python -m unittest tests.test_guards.Calls

Some guards need a process of their own, which runs this file: `python -m tests.test_guards memory traced`.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import tracemalloc
import unittest
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

from ldicomnet import ANY_TRANSFER, ErrorCode, LDicomDS, LDicomNet, Message, Status
from ldicomnet.part10 import encode_header
from ldicomnet.threads import let_idle_end
from ldicomnet.transport.tcp import TcpTransport

from .support import CT, EXPLICIT, SECONDS, VERIFICATION, request

ROOT = Path(__file__).resolve().parent.parent
MB = 1 << 20

# --- the limits ---------------------------------------------------------------------------------------------------

CALLS = {
    ("echo", "SCP"): (37, 31),
    ("echo", "SCU"): (48, 35),
    ("store", "SCP"): (111, 133),
    ("store", "SCU"): (120, 163),
}
"""Calls of Python functions and of C functions for one operation, hooks of this file included: a fifth more than it was
on Python 3.11 when this was written."""

SYSTEM_CALLS = {
    "write": 3,  # one for each MB of whole PDUs, or a little less
    "read": 64,  # no read brings less than a PDU of 16 KB, on average; nearly all bring much more
}
"""Calls of a transport for each MB of a data set in PDUs of 16 KB."""

KERNEL = {"sendmsg": 3.0, "recvfrom": 64.0, "preadv": 2.0, "writev": 16.0}
"""System calls for each MB, of both ends together: a file's, a socket's; the sink waits for 96 KB, or for room."""
KERNEL_OTHER = 1.0
"""And of any other that is made again and again, but for those of the interpreter's threads."""
NOT_OURS = {"futex", "sched_yield", "mmap", "munmap", "brk", "madvise", "restart_syscall", "mremap"}

TRACED_GROWTH, RESIDENT_GROWTH = 8 * MB, 16 * MB
LARGE, LARGE_PIXELS = 256 * MB, 128 * MB

NOT_IMPORTED = {"pydicom", "cryptography", "ssl", "tempfile", "asyncio", "multiprocessing", "numpy", "subprocess"}
MODULES = 93
"""Modules that `import ldicomnet` brings to a bare interpreter."""


# --- two ends -----------------------------------------------------------------------------------------------------


class Meter:
    """Counts the calls made by one thread during so many operations, after some that are not counted."""

    WARM, COUNTED = 10, 50

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.c_calls: Counter[str] = Counter()
        self._operation = 0

    def step(self) -> None:
        """One more operation; on the thread that is counted."""
        self._operation += 1
        if self._operation == self.WARM:
            sys.setprofile(self._count)
        elif self._operation == self.WARM + self.COUNTED:
            sys.setprofile(None)

    def _count(self, frame: Any, event: str, argument: Any) -> None:
        if event == "call":
            self.calls[frame.f_code.co_qualname] += 1
        elif event == "c_call":
            self.c_calls[getattr(argument, "__qualname__", repr(argument))] += 1


def listed(calls: Counter[str]) -> str:
    """The most frequent calls, for one operation each."""
    return "".join(f"\n{count / Meter.COUNTED:8.2f} {name}" for name, count in calls.most_common(40))


class Server(LDicomNet):
    """Accepts everything; data sets go where `where` says."""

    def __init__(self) -> None:
        super().__init__()
        self.meter: Meter | None = None
        self.where: Callable[[Message], Any] = lambda message: None
        self.stored: list[int] = []

    def create_client(self) -> LDicomNet:
        client = super().create_client()
        assert isinstance(client, Server)
        client.meter, client.where, client.stored = self.meter, self.where, self.stored
        return client

    def on_receive_associate_request(self, associate: Any) -> None:
        self.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER, max_length=16384))

    def on_receive_c_echo_request(self, presentation_id: int, message_id: int, sop_class_uid: str) -> None:
        if self.meter is not None:
            self.meter.step()
        self.send_c_echo_response(presentation_id, message_id, sop_class_uid, Status.SUCCESS)

    def on_begin_data(self, presentation_id: int, message: Message) -> Any:
        return self.where(message)

    def on_receive_c_store_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, *rest: Any
    ) -> None:
        if self.meter is not None:
            self.meter.step()
        self.stored.append(rest[-1].size)
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, Status.SUCCESS)


class Client(LDicomNet):
    """Associates, then calls `operate` for each of `count` operations, then releases."""

    def __init__(self, operate: Callable[[Client], None] = lambda client: None, count: int = 0) -> None:
        super().__init__()
        self.meter: Meter | None = None
        self.operate = operate
        self.left = count
        self.statuses: list[int] = []
        self.associated = threading.Event()
        self.answered = threading.Semaphore(0)
        self.closed = threading.Event()

    def go(self, server: LDicomNet) -> None:
        """Connect."""
        self.connect("", 0, *server.get_host_info())

    def on_connect(self, error: ErrorCode) -> None:
        self.send_associate_request(request((VERIFICATION, EXPLICIT), (CT, EXPLICIT)))

    def on_receive_associate_accept(self, associate: Any) -> None:
        self.associated.set()
        if self.left:
            self.operate(self)

    def on_receive_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status
    ) -> None:
        self.next(status)

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
    ) -> None:
        self.next(status)

    def next(self, status: Status) -> None:
        """One operation has ended."""
        if self.meter is not None:
            self.meter.step()
        self.statuses.append(status)
        if not self.left:
            self.answered.release()
            return
        self.left -= 1
        if self.left:
            self.operate(self)
        else:
            self.send_release_request()

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        self.closed.set()


def echo(client: Client) -> None:
    """Send one."""
    client.send_c_echo_request(1, client.next_message_id())


def make_file(path: Path, size: int, instance: str = "1.2.3") -> Path:
    """A DICOM file whose data set is `size` bytes, without blocks on the disk."""
    header = encode_header(CT, instance, EXPLICIT)
    path.write_bytes(header)
    os.truncate(path, len(header) + size)
    return path


def store(*paths: Path) -> Callable[[Client], None]:
    """An operation that loads and sends a file, the next one each time."""
    turns = itertools.cycle(map(str, paths))

    def send(client: Client) -> None:
        file = LDicomDS.load(next(turns))
        client.send_c_store_request(3, client.next_message_id(), CT, file.sop_instance_uid, dataset=file)

    return send


def run(server: Server, client: Client, seconds: float = SECONDS) -> None:
    """Let the client do its operations, over TCP; nothing stays open."""
    try:
        server.listen("127.0.0.1")
        client.go(server)
        if not client.closed.wait(seconds):
            raise AssertionError(f"not ended within {seconds} s; {len(client.statuses)} operations were answered")
    finally:
        client.close_forced()
        server.server_close()
    if any(client.statuses):
        raise AssertionError(f"statuses {client.statuses}")


# --- the guards ---------------------------------------------------------------------------------------------------


class Calls(unittest.TestCase):
    """What one operation costs in calls, on the thread of one side."""

    def test_calls_of_an_operation(self) -> None:
        for (kind, side), limits in CALLS.items():
            with self.subTest(kind=kind, side=side):
                meter = self.measure(kind, side)
                for what, calls, limit in zip(("Python", "C"), (meter.calls, meter.c_calls), limits, strict=True):
                    count = calls.total() / Meter.COUNTED
                    told = f"{kind} {side}: {count:.1f} calls of {what} functions, {limit} are allowed{listed(calls)}"
                    if os.environ.get("LDICOMNET_SHOW_CALLS"):
                        print(told, end="\n\n")
                    self.assertLessEqual(count, limit, told)
                    self.assertGreater(count, limit / 3, f"was it counted at all? {told}")

    def measure(self, kind: str, side: str) -> Meter:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        count = Meter.WARM + Meter.COUNTED
        files = [make_file(folder / f"sent{n}.dcm", 8 << 10, f"1.2.3.{1000 + n}") for n in range(count)]
        server, client, meter = Server(), Client(echo if kind == "echo" else store(*files), count), Meter()
        server.where = lambda message: f"{folder}/{message.file_name}"
        (server if side == "SCP" else client).meter = meter
        run(server, client)
        self.assertEqual(len(client.statuses), count)
        self.assertEqual(server.stored, [8 << 10] * count if kind == "store" else [])
        self.assertEqual(len(os.listdir(folder)), 2 * count if kind == "store" else count)
        return meter


class Counted(TcpTransport):
    """Counts what is asked of it."""

    made: list[Counted]

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.reads = self.writes = 0
        type(self).made.append(self)

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        self.reads += 1
        return super().read_into(view, unfinished)

    def write(self, buffers: list[Any], more: bool = False) -> None:
        self.writes += 1
        super().write(buffers, more)


def send_large(folder: Path, size: int) -> None:
    """One object from a file into a file, in this process."""
    server, client = Server(), Client(store(make_file(folder / "sent.dcm", size)), 1)
    server.where = lambda message: folder / "received.dcm"
    run(server, client, 60)
    stored = (folder / "received.dcm").stat().st_size, (folder / "sent.dcm").stat().st_size
    if server.stored != [size] or stored[0] != stored[1]:
        raise AssertionError(f"stored {server.stored}, {stored}")


def traces() -> bool:
    """Whether strace is here, and may trace."""
    if shutil.which("strace") is None:
        return False
    try:
        done = subprocess.run(["strace", "-c", "-f", "-U", "calls,name", "true"], capture_output=True, timeout=20)
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


class SystemCalls(unittest.TestCase):
    """What a large object costs in calls of the kernel."""

    SIZE = 32 * MB

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_of_the_transport(self) -> None:
        Counted.made = []
        with mock.patch("ldicomnet.net.TcpTransport", Counted):
            send_large(self.folder, self.SIZE)
        self.assertEqual(len(Counted.made), 2)
        sender, receiver = sorted(Counted.made, key=lambda transport: transport._route is None)
        size = self.SIZE // MB
        self.assertLessEqual(sender.writes, SYSTEM_CALLS["write"] * size)
        self.assertLessEqual(receiver.reads, SYSTEM_CALLS["read"] * size)
        # And the other way there is nothing but the association, an answer and the release.
        self.assertLessEqual(sender.reads, 5)
        self.assertLessEqual(receiver.writes, 4)

    @unittest.skipUnless(traces(), "strace is not here, or may not trace")
    def test_of_both_ends_by_strace(self) -> None:
        few, many = self.trace(2 * MB), self.trace(2 * MB + self.SIZE)
        self.assertGreater(many["sendmsg"], few["sendmsg"])
        for name in many:
            rate = (many[name] - few[name]) * MB / self.SIZE
            if name not in NOT_OURS:
                self.assertLessEqual(rate, KERNEL.get(name, KERNEL_OTHER), f"{name}: {few} {many}")

    def trace(self, size: int) -> Counter[str]:
        """The system calls of a process that sends an object to itself."""
        report = self.folder / "strace.txt"
        traced = ["strace", "-c", "-f", "-U", "calls,name", "-o", str(report)]
        child(*traced, sys.executable, "-m", "tests.test_guards", "send", str(self.folder), str(size))
        lines = re.findall(r"^\s*(\d+)\s+([a-z_0-9]+)\s*$", report.read_text(), re.M)
        return Counter({name: int(count) for count, name in lines if name != "total"})


def reader_threads() -> list[threading.Thread]:
    """The library's threads."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("ldicomnet-")]


class Idle(unittest.TestCase):
    """What connections cost that stand."""

    def stand(self, count: int) -> tuple[Server, list[Client], list[threading.Thread]]:
        """So many associations, and the threads that have come with them."""
        let_idle_end(SECONDS)
        before = set(threading.enumerate())
        server = Server()
        self.addCleanup(server.server_close)
        server.listen("127.0.0.1")
        clients = [Client() for _ in range(count)]
        for client in clients:
            self.addCleanup(client.close_forced)
            client.go(server)
        for client in clients:
            self.assertTrue(client.associated.wait(SECONDS))
        return server, clients, [thread for thread in threading.enumerate() if thread not in before]

    def test_one_thread_for_each_connection(self) -> None:
        server, clients, threads = self.stand(20)
        names = Counter(re.sub(r"\d+", "N", thread.name) for thread in threads)
        self.assertEqual(names, {"ldicomnet-accept": 1, "ldicomnet-N": 40})
        self.assertEqual(server.get_client_count(), 20)
        for client in clients:
            echo(client)
        for client in clients:
            self.assertTrue(client.answered.acquire(timeout=SECONDS))
        self.assertEqual({thread for thread in reader_threads() if thread not in threads}, set(), "work made threads")
        for client in clients:
            client.send_release_request()
        for client in clients:
            self.assertTrue(client.closed.wait(SECONDS))
        server.server_close()
        until = monotonic() + SECONDS
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        self.assertEqual([thread.name for thread in threads if thread.is_alive()], [])
        self.assertEqual(server.get_client_count(), 0)

    @unittest.skipUnless(Path("/proc/self/task").is_dir(), "only Linux counts the switches of a thread in /proc")
    def test_nothing_wakes(self) -> None:
        server, clients, threads = self.stand(10)
        self.assertEqual(len(threads), 21)
        before = self.at_rest(threads)
        threading.Event().wait(0.5)  # what is guarded is that nothing happens
        self.assertEqual(self.switches(threads), before, "a thread has woken")
        nets: list[LDicomNet] = [*clients, *(server.get_client(index) for index in range(10))]
        for net in nets:
            assert net._conversation is not None
            transport = net._conversation.engine.transport
            assert isinstance(transport, TcpTransport)
            self.assertTrue(transport._timeout is None or transport._timeout >= 10, transport._timeout)

    def at_rest(self, threads: list[threading.Thread]) -> dict[str, tuple[str, ...]]:
        """The switches, once they have stood still for a moment."""
        until = monotonic() + SECONDS
        before = self.switches(threads)
        while monotonic() < until:
            threading.Event().wait(0.1)
            before, earlier = self.switches(threads), before
            if before == earlier:
                return before
        raise AssertionError("the threads do not come to rest")

    def switches(self, threads: list[threading.Thread]) -> dict[str, tuple[str, ...]]:
        found = {}
        for thread in threads:
            text = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
            found[thread.name] = tuple(re.findall(r"^(?:non)?voluntary_ctxt_switches:\s*(\d+)", text, re.M))
        return found


class Memory(unittest.TestCase):
    """A large object is never held in memory; each case in a process of its own."""

    def test_traced_by_python(self) -> None:
        growth = self.grow("traced")
        self.assertEqual(sorted(growth), ["dataset", "file", "stream", "temporary"])
        for case, size in growth.items():
            with self.subTest(case=case):
                self.assertLessEqual(size, TRACED_GROWTH)

    @unittest.skipUnless(Path("/proc/self/status").exists(), "only Linux tells the peak of resident memory")
    def test_resident(self) -> None:
        growth = self.grow("resident")
        self.assertEqual(sorted(growth), ["file", "stream", "temporary"])
        for case, size in growth.items():
            with self.subTest(case=case):
                self.assertLessEqual(size, RESIDENT_GROWTH)

    def grow(self, how: str) -> dict[str, int]:
        """By how many bytes each case grew."""
        with tempfile.TemporaryDirectory() as folder:
            found = json.loads(child(sys.executable, "-m", "tests.test_guards", "memory", how, folder))
        if os.environ.get("LDICOMNET_SHOW_CALLS"):
            print(how, {case: f"{size / MB:.1f} MB" for case, size in found.items()})
        assert isinstance(found, dict)
        return found


class Import(unittest.TestCase):
    """`import ldicomnet` is quick, because it imports little."""

    def test_what_is_imported(self) -> None:
        program = "import sys; before = set(sys.modules); import ldicomnet; print(*sorted(set(sys.modules) - before))"
        modules = child(sys.executable, "-c", program).split()
        self.assertIn("ldicomnet.net", modules)
        self.assertEqual(NOT_IMPORTED & {name.partition(".")[0] for name in modules}, set())
        others = [name for name in modules if not name.startswith("ldicomnet")]
        self.assertLessEqual(len(modules), MODULES, others)


# --- processes of their own ---------------------------------------------------------------------------------------


def child(*command: str) -> str:
    """Run to its end, which must come; what it printed."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONTRACEMALLOC", "PYTHONDEVMODE")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90)
    if done.returncode:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Nowhere:
    """A file object that keeps nothing."""

    def write(self, data: memoryview) -> int:
        """Say that all was written."""
        return len(data)


class Traced:
    """How much more Python held at its peak."""

    def begin(self) -> None:
        """From now on."""
        gc.collect()
        tracemalloc.start()
        tracemalloc.reset_peak()
        self._before = tracemalloc.get_traced_memory()[0]

    def growth(self) -> int:
        """Until now."""
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - self._before


class Resident:
    """How much more memory the process had at its peak."""

    def begin(self) -> None:
        """From now on."""
        gc.collect()
        self._before = self._read("VmRSS")

    def growth(self) -> int:
        """Until now."""
        return self._read("VmHWM") - self._before

    def _read(self, name: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise AssertionError(name)


def grow(how: str, folder: Path) -> dict[str, int]:
    """Send a large object in each way, after a small one; by how much memory grew."""
    large, small = make_file(folder / "large.dcm", LARGE), make_file(folder / "small.dcm", 3 * MB)
    (folder / "temporary").mkdir()
    LDicomNet.set_default_temp_path(folder / "temporary")
    targets: dict[str, Callable[[Message], Any]] = {
        "file": lambda message: folder / "received.dcm",
        "stream": lambda message: Nowhere(),
        "temporary": lambda message: None,
    }
    meter, growth = Traced() if how == "traced" else Resident(), {}
    for case, where in targets.items():
        growth[case] = measure(meter, where, store(small), store(large), LARGE)
        (folder / "received.dcm").unlink(missing_ok=True)
    gc.collect()
    left = os.listdir(folder / "temporary")
    if left:
        raise AssertionError(f"temporary files are left: {left}")
    meter.begin()
    held = b"x" * (2 * RESIDENT_GROWTH)
    control = meter.growth()
    if control < len(held):
        raise AssertionError(f"{len(held)} bytes were held, and growth was {control}")
    del held
    if how == "traced":
        growth["dataset"] = measure(meter, targets["stream"], decoded(1 * MB), decoded(LARGE_PIXELS), LARGE_PIXELS)
    return growth


def measure(
    meter: Traced | Resident,
    where: Callable[[Message], Any],
    warm: Callable[[Client], None],
    operate: Callable[[Client], None],
    size: int,
) -> int:
    """Growth over one object, in an association that has had others."""
    server, client = Server(), Client()
    server.where = where
    try:
        server.listen("127.0.0.1")
        client.go(server)
        if not client.associated.wait(SECONDS):
            raise AssertionError("no association")
        for _ in range(3):
            warm(client)
            if not client.answered.acquire(timeout=SECONDS):
                raise AssertionError("no answer")
        meter.begin()
        operate(client)
        if not client.answered.acquire(timeout=60):
            raise AssertionError("no answer to the large one")
        growth = meter.growth()
    finally:
        client.close_forced()
        server.server_close()
    if any(client.statuses) or server.stored[-1] < size:
        raise AssertionError(f"statuses {client.statuses}, stored {server.stored}")
    return growth


def decoded(size: int) -> Callable[[Client], None]:
    """An operation that sends a `pydicom.Dataset` with so much pixel data."""
    from pydicom import Dataset

    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.PatientName = CT, "1.2.3.4", "Large^Dataset"
    dataset.BitsAllocated = 16
    dataset.add_new(0x7FE00010, "OW", bytes(size))

    def send(client: Client) -> None:
        client.send_c_store_request(3, client.next_message_id(), CT, "1.2.3.4", dataset=dataset)

    return send


def main() -> None:
    """What this file does as a program."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    send = commands.add_parser("send")
    send.add_argument("folder", type=Path)
    send.add_argument("size", type=int)
    memory = commands.add_parser("memory")
    memory.add_argument("how", choices=("traced", "resident"))
    memory.add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.command == "send":
        send_large(options.folder, options.size)
    else:
        print(json.dumps(grow(options.how, options.folder)))


if __name__ == "__main__":
    main()
