"""The workbench: folders, and a server and its clients as processes for the time of one measurement."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import objects, processes, procfs, stacks
from benchmarks.cases import Case, Pair
from benchmarks.folders import Folders
from benchmarks.processes import Failure, NotStarted, Outcome, Process

INDEX_LIMIT, INDEX_AT_ONCE = 120, 500
STORES = 5
"""Of each association of a crowd."""


@dataclass
class Running:
    """A server that listens."""

    process: Process
    port: int
    out: Path
    """The folder it stores to."""
    cpu: float
    """What it had taken when it began to listen."""

    def taken(self) -> dict[str, float]:
        """Its CPU time since then, and its largest memory; nothing where that cannot be known."""
        if not procfs.HERE:
            return {}
        pid = self.process.pid
        return {"server_cpu": procfs.cpu_seconds(pid) - self.cpu, "server_peak": procfs.peak_bytes(pid)}


class Bench:
    """Starts what a case needs.

    Args:
        scratch: folder for what servers write; in memory if there is one.
        disk: folder for cases that are about the disk.
        is_quick: little of everything.
        nodelay: for all cases alike; None as each case says.
    """

    def __init__(self, scratch: Path, disk: Path, *, is_quick: bool, nodelay: bool | None) -> None:
        self._scratch, self._disk = scratch, disk
        self._is_quick, self._nodelay = is_quick, nodelay
        self._numbers = itertools.count()
        self.folders = Folders()

    def size(self, case: Case) -> int:
        """How much a case gives everyone to do."""
        return case.quick if self._is_quick else case.full

    def count(self, case: Case, pair: Pair) -> int:
        """How much a pair has to do."""
        return max(1, round(self.size(case) * pair.share))

    @contextlib.contextmanager
    def server(self, case: Case, pair: Pair, count: int) -> Iterator[Running]:
        """A server, from the moment it listens; what it wrote is there until the end of the with-block."""
        row = stacks.SERVERS[pair.server]
        place = (self._disk if case.on_disk else self._scratch) / f"server-{next(self._numbers)}"
        port, out, scratch = processes.free_port(), place / "out", place / "scratch"
        words = {"port": port, "out": out, "scratch": scratch, "pdu": stacks.PDU, "mode": pair.server_mode, "n": count}
        try:
            out.mkdir(parents=True)
            scratch.mkdir()
            if row.index:
                words["folder"] = self._indexed(case, row.index, count)
            if row.config[0]:
                (scratch / row.config[0]).write_text(row.config[1].format(**words), encoding="utf-8")
            command = _filled((*row.command, *pair.server_more), words)
            with Process(command, self._environment(case), place / "server.log") as process:
                if row.ready:
                    processes.wait_for_line(process, row.ready)
                else:
                    processes.wait_for_answer(process, port, is_secure=row.is_secure)
                yield Running(process, port, out, procfs.cpu_seconds(process.pid))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def client(self, case: Case, pair: Pair, port: int = 0, **words: object) -> Process:
        """A client of the pair, that runs while its with-block does.

        Args:
            case: what it is for.
            pair: who it is.
            port: of its server.
            words: what its command has in braces.
        """
        row = stacks.CLIENTS[pair.client, case.command_of(pair)]
        return self._client(case, pair, (*row.command, *pair.client_more), port, words)

    def run(self, case: Case, pair: Pair, port: int = 0, **words: object) -> Outcome:
        """A client from start to end."""
        with self.client(case, pair, port, **words) as process:
            return succeeded(process, case.limit)

    def witnessed(self, case: Case, pair: Pair, port: int, **words: object) -> int | None:
        """How many successes a tool that does not count them tells of, when it is run another way; not measured."""
        command, sign = stacks.CLIENTS[pair.client, case.command_of(pair)].witness
        if not command:
            return None
        with self._client(case, pair, command, port, words) as process:
            outcome = succeeded(process, case.limit)
            return (outcome.output + process.complaints()).count(sign)

    def _client(
        self, case: Case, pair: Pair, command: Sequence[str], port: int, words: dict[str, object]
    ) -> Process:
        aec = stacks.SERVERS[pair.server].aec if pair.server else ""
        given = {"port": port, "pdu": stacks.PDU, "mode": pair.client_mode, "aec": aec, "stores": STORES}
        given |= objects.MR_SERIES | {"limit": case.limit / 2} | words
        log = self._scratch / f"client-{next(self._numbers)}.log"
        return Process(_filled(command, given), self._environment(case), log, is_timed=True)

    def _environment(self, case: Case) -> dict[str, str]:
        nodelay = case.nodelay if self._nodelay is None else self._nodelay
        return stacks.environment(nodelay=nodelay)

    def _indexed(self, case: Case, command: Sequence[str], count: int) -> Path:
        """A folder with `count` images to find, and the index of its server; made once."""
        folder = self._scratch / f"indexed-{count}"
        if not folder.exists():
            shutil.copytree(self.folders.get(case.objects, 2 * count), folder)
            files = sorted(map(str, folder.iterdir()))
            for start in range(0, len(files), INDEX_AT_ONCE):
                self._index(case, [*command, str(folder), *files[start : start + INDEX_AT_ONCE]])
        return folder

    def _index(self, case: Case, command: list[str]) -> None:
        try:
            done = subprocess.run(
                command,
                env=self._environment(case),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INDEX_LIMIT,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotStarted(str(error)) from None
        if done.returncode:
            raise NotStarted(f"{command[0]}: {done.stderr.strip()}")


def succeeded(process: Process, limit: float) -> Outcome:
    """Wait for a client; what it printed and took, if it ended well."""
    outcome = process.outcome(limit)
    if outcome.code:
        raise Failure(process.complaint() or f"exit status {outcome.code}")
    return outcome


def _filled(command: Sequence[str], words: dict[str, object]) -> list[str]:
    if "{certificate}" in command:
        folder = _certificates()
        words = words | {"certificate": folder / "server_rsa.pem", "key": folder / "server_rsa.key"}
    return [word.format(**words) for word in command]


@functools.cache
def _certificates() -> Path:
    """A folder with a certificate and its key, which is gone when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="ldicomnet-certificates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = stacks.ROOT / "samples" / "make_certificates.py"
    command = [sys.executable, str(program), str(folder), "--only", "server_rsa"]
    environment = stacks.environment(nodelay=True)
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=stacks.TOOL_LIMIT)
    return folder
