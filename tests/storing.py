"""What the tests of storing share: a client that waits for each answer, the storage SCP sample in this process and as a
process of its own, and a stand-in for `os` whose calls can fail.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import queue
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import ErrorCode, LDicomAssociate, LDicomDS, LDicomError, LDicomNet, Status
from ldicomnet import body as body_room
from ldicomnet import part_file as part_room

from . import raw
from .raw import CT, IMPLICIT
from .support import SECONDS

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "samples"
if str(SAMPLES) not in sys.path:
    sys.path.insert(0, str(SAMPLES))

import store_scp  # noqa: E402

CANNOT_PROCESS = Status(0xC000)
PART_NAME = re.compile(r"(\.|ldicomnet-)[0-9a-f]{12}-[1-9][0-9]*-(0|[1-9][0-9]*)\.part")
LOG_LINE = re.compile(r"[DIWEC]: \S.*")

# --- the client ---------------------------------------------------------------------------------------------------


class Storer(LDicomNet):
    """A client that sends one object after the other and waits for each answer."""

    def __init__(self) -> None:
        super().__init__()
        self._told: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self.calling = "STORER"

    def open(self, port: int) -> bool:
        """Connect and associate; whether that came about."""
        self.connect("", 0, "127.0.0.1", port)
        return self._told.get(timeout=SECONDS) is not None

    def store(self, instance: str, data: bytes) -> int | None:
        """Status of one object; None when the connection ended before the answer."""
        try:
            dataset = LDicomDS.from_bytes(data, IMPLICIT)
            self.send_c_store_request(1, self.next_message_id(), CT, instance, dataset=dataset)
        except LDicomError:
            return None
        return self._told.get(timeout=SECONDS)

    def end(self) -> None:
        """Release the association, and wait for the end."""
        self.send_release_request()
        while self._told.get(timeout=SECONDS) is not None:
            pass

    def on_connect(self, error: ErrorCode) -> None:
        """Associate."""
        if error:
            self._told.put(None)
            return
        associate = LDicomAssociate(True)
        associate.default()
        associate.set_called("STORESCP")
        associate.set_calling(self.calling)
        associate.add_context(CT, IMPLICIT)
        self.send_associate_request(associate)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        """Now it can be used."""
        self._told.put(0)

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
    ) -> None:
        """An answer."""
        self._told.put(int(status))

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        """There will be no answer."""
        self._told.put(None)


def stored_data(path: Path) -> bytes:
    """The data set of a stored file; a file that is not complete is none."""
    return LDicomDS.load(path).read()


# --- the server ---------------------------------------------------------------------------------------------------


def options_of(folder: Path, *more: str) -> argparse.Namespace:
    """The sample's options for a folder."""
    return store_scp.parse(["-od", str(folder), *more, "--bind", "127.0.0.1", "0"])


def be_quiet(test: unittest.TestCase) -> None:
    """Errors are not logged in this test: there are many, and they are meant to be."""
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith("ldicomnet"):
            test.enterContext(mock.patch.object(logging.getLogger(name), "disabled", True))


class Storing(unittest.TestCase):
    """Tests with a folder, and the sample's server in this process."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.spools = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def serve(self, *options: str) -> LDicomNet:
        """The sample's server, listening."""
        server = store_scp.StoreScp(options_of(self.folder, *options))
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        return server

    def client_of(self, server: LDicomNet | int) -> Storer:
        """A client of a server here, or of one on a port."""
        client = Storer()
        self.addCleanup(client.close_forced)
        self.assertTrue(client.open(server if isinstance(server, int) else server.get_host_info()[1]))
        return client

    def left(self, folder: Path | None = None) -> list[str]:
        """What is in the folder."""
        return sorted(os.listdir(folder or self.folder))

    def path(self, instance: str) -> Path:
        """The file of an instance."""
        return self.folder / f"{instance}.dcm"

    def wait_until(self, condition: Callable[[], object]) -> None:
        """What nobody tells of, but must come in time."""
        waiting = threading.Event()
        for _ in range(int(SECONDS / 0.002)):
            if condition():
                return
            waiting.wait(0.002)
        self.fail("it did not come in time")


class Process:
    """The sample as a process of its own; its errors go into a file.

    Args:
        root: for its temporary folder and its errors.
        folder: where it stores.
        options: of the sample.
        through: a command that runs the sample, such as strace.
        program: what the interpreter runs.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        *options: str,
        through: tuple[str, ...] = (),
        program: tuple[str, ...] = (str(SAMPLES / "store_scp.py"),),
    ) -> None:
        self.folder = folder
        self.spool = root / "spool"
        self.spool.mkdir(exist_ok=True)
        self._errors = root / "stderr"
        command = [sys.executable, *program]
        environment = os.environ | {"TMPDIR": str(self.spool), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        with self._errors.open("a", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [*through, *command, "-od", str(folder), *options, "--bind", "127.0.0.1", "0"],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port = int(line.split()[-1]) if line.startswith("listening") else 0

    def errors(self) -> str:
        """What it has written to standard error."""
        return self._errors.read_text(encoding="utf-8", errors="backslashreplace")

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self._wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def _wait(self) -> int:
        try:
            return self.process.wait(SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


# --- calls that fail ----------------------------------------------------------------------------------------------

Way = Callable[..., Any]
"""How a call goes that is not to go well: called with its name, the real function, and its arguments."""
Call = tuple[str, int]
CALLS = ("open", "write", "writev", "fsync", "close", "replace", "link", "unlink")


def fails(number: int) -> Way:
    """It fails; a close does so when it has closed, as on Linux."""

    def way(name: str, real: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("close"):
            real(*arguments)
        raise OSError(number, os.strerror(number))

    return way


def fails_late(number: int) -> Way:
    """It fails when its work is done, as an answer lost on a network file system does."""

    def way(name: str, real: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        real(*arguments, **keywords)
        raise OSError(number, os.strerror(number))

    return way


def is_short(name: str, real: Callable[..., Any], descriptor: int, data: Any) -> int:
    """A write that takes half of what it is given."""
    joined = b"".join(data) if name == "writev" else bytes(data)
    return os.write(descriptor, joined[: max(1, len(joined) // 2)])


class Faults:
    """Stands in for the module `os` in the rooms that write files.

    How many writes an object takes depends on how it arrives, so a call is known by its name and its turn among those;
    what is done with the descriptor of a folder is "fsync_folder" and "close_folder".

    Attributes:
        calls: names and turns of the calls so far, in their order.
        ways: how calls go, by name and turn; turn 0 stands for all others of that name.
    """

    def __init__(self, ways: dict[Call, Way] | None = None) -> None:
        self.calls: list[Call] = []
        self.ways = ways or {}

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return functools.partial(self._call, name, real) if name in CALLS else real

    def _call(self, name: str, real: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        if name in ("fsync", "close") and stat.S_ISDIR(os.fstat(arguments[0]).st_mode):
            name += "_folder"
        call = name, sum(name == before for before, _turn in self.calls) + 1
        self.calls.append(call)
        way = self.ways.get(call) or self.ways.get((name, 0))
        return real(*arguments, **keywords) if way is None else way(name, real, *arguments, **keywords)

    @contextmanager
    def in_place(self) -> Iterator[Faults]:
        """Within, the rooms use it."""
        with ExitStack() as stack:
            for room in (part_room, body_room):
                stack.enter_context(mock.patch.object(room, "os", self))
            yield self


def object_of(size: int) -> tuple[str, bytes]:
    """An instance that no other test has, with so much pixel data."""
    instance = raw.instance_uid()
    return instance, raw.data_set(instance, size)
