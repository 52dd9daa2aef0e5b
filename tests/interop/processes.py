"""Programs that the interoperability tests start: each one bounded by a time limit, heard, and always ended.

What a program printed stands in the message of the assertion that it failed.  This module knows no peer.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent.parent
STEP = 15.0  # seconds that any single step of a peer may take
LIFE = 120.0  # seconds after which a server that nobody stopped is killed

T = TypeVar("T")
Event = dict[str, Any]
Word = str | os.PathLike[str]


def free_port() -> int:
    """A free port for a peer that cannot choose one, below the range that the kernel chooses from."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((LOOPBACK, port))
            return port


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone when its `with` block ends."""
    with tempfile.TemporaryDirectory(prefix="ldicomnet-interop-") as name:
        yield Path(name)


# --- journals: what happened, in order, to be waited for ----------------------------------------------------


class Journal(Generic[T]):
    """A list that one thread appends to and another waits on, with a deadline."""

    def __init__(self) -> None:
        self._entries: list[T] = []
        self._changed = threading.Condition()
        self._ended = False

    def add(self, entry: T) -> None:
        """Append an entry and wake who waits."""
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come: who waits need not wait any longer."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def entries(self) -> list[T]:
        """All entries so far."""
        with self._changed:
            return list(self._entries)

    def find(self, wanted: Callable[[T], bool], seconds: float = STEP) -> T | None:
        """The first entry that is wanted, waiting for it; None if it did not come in time."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for entry in self._entries[seen:]:
                    if wanted(entry):
                        return entry
                seen = len(self._entries)
                left = deadline - time.monotonic()
                if self._ended or left <= 0 or not self._changed.wait(left):
                    return None


# --- programs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finished:
    """A program that has ended: its command, exit code and everything it printed."""

    command: Sequence[str]
    code: int
    output: str

    def check(self, code: int | None = 0) -> Finished:
        """Assert the exit code (None: any but 0); the message holds the output."""
        if self.code != code if code is not None else self.code == 0:
            wanted = "an error" if code is None else str(code)
            raise AssertionError(f"{self.command[0]} ended with {self.code}, not {wanted}\n{self._story()}")
        return self

    def events(self, name: str) -> list[Event]:
        """The events of that name which one of our scripts reported, one JSON object a line."""
        return [event for event in map(_event, self.output.splitlines()) if event and event["event"] == name]

    def _story(self) -> str:
        return f"$ {' '.join(self.command)}\n{self.output}"


def run(*command: Word, seconds: float = 2 * STEP) -> Finished:
    """Run a program to its end, which has to come within `seconds`."""
    words = [os.fspath(word) for word in command]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            env=_environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        story = (late.output or b"").decode(errors="replace")
        raise AssertionError(f"{words[0]} had not ended after {seconds} s\n$ {' '.join(words)}\n{story}") from None
    return Finished(words, done.returncode, done.stdout.decode(errors="replace"))


def _is_of_pynetdicom(folder: str) -> bool:
    """Whether a folder has its scripts, which are called like DCMTK's programs."""
    try:
        return Path(folder, "storescp").read_bytes()[:2] == b"#!"
    except OSError:
        return False


SEARCH_PATH = os.pathsep.join(
    folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if not _is_of_pynetdicom(folder)
)
"""Where the programs are."""


def _environment() -> dict[str, str]:
    """Our own environment, with the checkout importable and Python's output unbuffered."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PATH": SEARCH_PATH, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    return os.environ | own


def _event(line: str) -> Event | None:
    """The event that a line reports, or None for a line of ordinary log."""
    if not line.startswith('{"event"'):
        return None
    event: Event = json.loads(line)
    return event


class Process:
    """A server process: its output is read as it comes, and it is dead when its `with` block ends."""

    def __init__(self, *command: Word) -> None:
        self.command = [os.fspath(word) for word in command]
        self.lines: Journal[str] = Journal()
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._life = threading.Timer(LIFE, self._process.kill)
        self._life.daemon = True
        self._life.start()
        atexit.register(self.stop)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.add(line.decode(errors="replace").rstrip())
        self.lines.end()

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return "\n".join(self.lines.entries())

    def wait_for(self, text: str, seconds: float = STEP) -> str:
        """The first line that contains the text, once it has been printed."""
        line = self.lines.find(lambda printed: text in printed, seconds)
        if line is None:
            raise AssertionError(f"{self.command[0]} did not print {text!r} in {seconds} s\n{self._story()}")
        return line

    def wait_event(self, name: str, seconds: float = STEP) -> Event:
        """The first event of that name reported by one of our scripts."""
        event = _event(self.wait_for(f'{{"event":"{name}"', seconds))
        assert event is not None
        return event

    def events(self, name: str) -> list[Event]:
        """All events of that name so far."""
        return [event for event in map(_event, self.lines.entries()) if event and event["event"] == name]

    def wait_listening(self, port: int, seconds: float = STEP) -> None:
        """Return when the port answers: for a server that does not say when it listens.

        The server sees a connection that is closed at once.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.01)  # the pause between two tries, cut short by a process that died
        raise AssertionError(f"{self.command[0]} does not listen on port {port}\n{self._story()}")

    def stop(self) -> None:
        """Kill the process and collect its last output."""
        atexit.unregister(self.stop)
        self._life.cancel()
        self._process.kill()
        self._process.wait()
        self._reader.join(STEP)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _story(self) -> str:
        return f"$ {' '.join(self.command)}\n{self.output}"

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
