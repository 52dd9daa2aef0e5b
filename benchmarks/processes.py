"""Processes that cannot be left behind: each runs in a with-block, in a group of its own, and every wait is bounded."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks import canned

TIMED = Path(__file__).parent / "timed.py"
START_LIMIT, STOP_LIMIT, KNOCK_LIMIT = 30.0, 5.0, 2.0
KNOCK_AGAIN = 0.01
CAN_RUN = hasattr(os, "posix_spawn") and hasattr(os, "killpg")
"""Whether this system has process groups, and select for pipes: not Windows."""
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")


class Failure(Exception):
    """What was measured did not do what it should."""


class NotStarted(Failure):
    """A server did not come up."""


class OutOfTime(Failure):
    """Something took longer than its limit."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it took."""

    code: int
    seconds: float
    cpu: float
    peak: int
    output: str

    @property
    def answer(self) -> dict[str, float]:
        """The line of JSON of a driver; nothing if there is none."""
        lines = self.output.splitlines()
        try:
            answer = json.loads(lines[-1]) if lines else {}
        except ValueError:
            answer = {}
        return answer if isinstance(answer, dict) else {}


class Process:
    """A command that runs until the with-block ends; its group goes with it.

    Args:
        command: what to run.
        environment: all its variables.
        errors: the file its standard error goes to.
        is_timed: run it through timed.py, for `outcome`.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], errors: Path, *, is_timed: bool = False
    ) -> None:
        self.command = list(command)
        self._environment = dict(environment)
        self._errors = errors
        self._is_timed = is_timed
        self._output = b""
        self._times = -1

    def __enter__(self) -> Process:
        command, inherited = self._wrapped()
        with self._errors.open("wb") as errors:
            try:
                self._popen = subprocess.Popen(
                    command,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=self._environment,
                    pass_fds=inherited,
                    start_new_session=True,
                )
            except OSError as error:
                self._close_times()
                raise NotStarted(f"{self.command[0]}: {error.strerror}") from None
            finally:
                for descriptor in inherited:
                    os.close(descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            for pipe in (self._popen.stdin, self._popen.stdout):
                if pipe:
                    pipe.close()
            self._close_times()

    @property
    def pid(self) -> int:
        """Of the command, or of what times it."""
        return self._popen.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def stop(self) -> None:
        """End it and whatever it started, without asking: Orthanc takes its time, and what it wrote was looked at."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except OSError:
            pass  # nobody is left
        self._popen.wait(STOP_LIMIT)

    def write_line(self) -> None:
        """An empty line to its standard input."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(b"\n")

    def line(self, limit: float) -> str:
        """The next line of its standard output; what there is, if that ends."""
        deadline = time.monotonic() + limit
        while b"\n" not in self._output and self._read(deadline):
            pass
        line, _, self._output = self._output.partition(b"\n")
        return line.decode(errors="replace")

    def outcome(self, limit: float) -> Outcome:
        """Wait for its end."""
        deadline = time.monotonic() + limit
        while self._read(deadline):
            pass
        self._wait_for(self._times, deadline)
        taken = json.loads(os.read(self._times, 4096) or b"{}")
        if not taken:
            raise Failure(self.complaint() or f"{self.command[0]} was not run")
        return Outcome(output=self._output.decode(errors="replace"), **taken)

    def ends_within(self, limit: float) -> bool:
        """Wait for its end, or for so long; what it prints is kept."""
        deadline = time.monotonic() + limit
        try:
            while self._read(deadline):
                pass
        except OutOfTime:
            return False
        return True

    def code(self) -> int:
        """Its exit status, once it has ended; that of a signal is negative."""
        return self._popen.wait(STOP_LIMIT)

    def complaints(self) -> str:
        """What it wrote to standard error."""
        return self._errors.read_text(encoding="utf-8", errors="replace").strip()

    def complaint(self) -> str:
        """The last line of that."""
        return (self.complaints().splitlines() or [""])[-1][:200]

    def _wrapped(self) -> tuple[list[str], tuple[int, ...]]:
        if not self._is_timed:
            return [*(_DIES_WITH_US if shutil.which(_DIES_WITH_US[0]) else ()), *self.command], ()
        self._times, theirs = os.pipe()
        return [sys.executable, "-I", "-S", str(TIMED), str(theirs), *self.command], (theirs,)

    def _read(self, deadline: float) -> bool:
        assert self._popen.stdout is not None
        self._wait_for(self._popen.stdout.fileno(), deadline)
        data = self._popen.stdout.read(65536)
        self._output += data or b""
        return bool(data)

    def _wait_for(self, descriptor: int, deadline: float) -> None:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise OutOfTime(f"{Path(self.command[0]).name} ran out of time")

    def _close_times(self) -> None:
        if self._times >= 0:
            os.close(self._times)
            self._times = -1


# --- ports -------------------------------------------------------------------------------------------------------


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_line(process: Process, prefix: str) -> None:
    """Wait until a server prints that it listens."""
    try:
        line = process.line(START_LIMIT)
    except OutOfTime:
        line = ""
    if not line.startswith(prefix):
        raise NotStarted(process.complaint() or f"{process.command[0]} did not say that it listens")


def wait_for_answer(process: Process, port: int, *, is_secure: bool = False) -> None:
    """Wait until a server answers an association request; one that prints nothing has no other sign of being there.

    One that speaks TLS is there as soon as it lets somebody connect.
    """
    deadline = time.monotonic() + START_LIMIT
    while process.is_running and time.monotonic() < deadline:
        try:
            if is_secure:
                socket.create_connection(("127.0.0.1", port), KNOCK_LIMIT).close()
                return
            if _knock(port):
                return
        except OSError:
            pass
        time.sleep(KNOCK_AGAIN)
    raise NotStarted(process.complaint() or f"{process.command[0]} does not answer")


def _knock(port: int) -> bool:
    """Associate and release; accepted or rejected, it is there."""
    with socket.create_connection(("127.0.0.1", port), KNOCK_LIMIT) as connection:
        connection.sendall(canned.associate_request([(1, canned.VERIFICATION)]))
        answer = connection.recv(4096)
        if answer[:1] == bytes([canned.ASSOCIATE_AC]):
            connection.sendall(canned.pdu(canned.RELEASE_RQ))
            connection.recv(4096)
        return bool(answer)
