"""The soak's good clients: processes of DCMTK, pynetdicom and ldicomnet, some over bad lines, some killed; seeded.

So many workers each draw a job, run it to its end, or kill it, and draw the next one. What clients were told is read
from what they wrote, also of those that were killed.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from benchmarks import stacks
from benchmarks.processes import Process
from benchmarks.soak_client import OWN_FAULT
from benchmarks.soak_ledger import Ledger
from benchmarks.soak_objects import Supply

STRAIGHT, MIXED, CORRUPT = "straight", "mixed", "corrupt"
WAYS = {STRAIGHT: 60, MIXED: 33, CORRUPT: 7}
"""How often a job goes straight to the server, and over which bad line; the names are those of fault_proxy.py."""
KILLED = 0.12
"""Share of jobs that are killed on the way."""
AGAIN = 0.1
"""Share of associations that send an instance again which the server has."""
PAUSE = 0.05
"""Seconds that a worker rests between two jobs, on average."""
LIMIT = 90.0
"""Seconds after which a client is hung: those that store have timers of 5 seconds, and end after a failure."""
PATIENCE = 30.0
"""Seconds that those who are still at work when the load is over have to end; then they are killed as well."""
MOST_COMPLAINTS = 20

_LIMITS = "-to 5 -ta 5 -td 5"
_DRIVER, _CLIENT = ((sys.executable, str(stacks.HERE / file)) for file in ("driver.py", "soak_client.py"))
_LOGGED = "--port {port} --dir {dir} --log {log}"


@dataclass(frozen=True)
class Row:
    """A kind of job."""

    name: str
    weight: int
    command: tuple[str, ...]
    """Words may have {port} {n} {window} {dir} {log}; {files} stands for many."""
    carries: tuple[tuple[str, int, int], ...] = ()
    """Kinds of objects: how often each beside the others, and the most of it in an association."""
    associations: int = 1
    """At most; of ldicomnet and pynetdicom, a process has several."""
    seconds: float = 0.1
    """How long it usually takes: it is killed within that time, if it is."""
    module: str = ""


_ALL = (("tiny", 12, 12), ("ct", 4, 4), ("large", 1, 1))
ROWS = (
    Row("echoscu", 20, ("echoscu", "-q", *_LIMITS.split(), "--repeat", "{n}", "127.0.0.1", "{port}")),
    Row("storescu", 24, ("storescu", "-d", "-R", *_LIMITS.split(), "127.0.0.1", "{port}", "{files}"), _ALL),
    Row("dcmsend", 16, ("dcmsend", "-d", *_LIMITS.split(), "127.0.0.1", "{port}", "{files}"), _ALL),
    Row(
        "ldicomnet",
        16,
        (*_CLIENT, "ldicomnet", *_LOGGED.split(), "--window", "{window}"),
        _ALL,
        associations=12,
        seconds=1.0,
        module=stacks.OURS,
    ),
    Row("ldicomnet assoc", 8, (*_DRIVER, "assoc", "--port", "{port}", "--n", "{n}"), seconds=0.6, module=stacks.OURS),
    Row(
        "pynetdicom",
        4,
        (*_CLIENT, "pynetdicom", *_LOGGED.split()),
        _ALL,
        associations=6,
        seconds=2.5,
        module="pynetdicom",
    ),
)
SHORT = "assoc"
"""A command that takes {n} for associations, and not for echoes in one."""
_SAID = re.compile(r"^.: (?:Affected SOP Instance UID\s*: (?P<uid>[\d.]+)|DIMSE Status\s*: 0x0000)", re.MULTILINE)
_RESPONSE = re.compile(r"Received (?:Store|C-STORE) Response")


@dataclass
class Done:
    """What the workers did."""

    jobs: Counter[str] = field(default_factory=Counter)
    """Of each kind and way."""
    killed: Counter[str] = field(default_factory=Counter)
    """Of each kind."""
    hung: list[str] = field(default_factory=list)
    """Clients that did not end; ldicomnet's are our fault."""
    failed: list[str] = field(default_factory=list)
    """Clients that went straight, were left alone, and failed."""
    failures: int = 0
    own_faults: int = 0
    """Clients that say they failed by a fault of their own."""
    associations: int = 0
    errors: list[str] = field(default_factory=list)
    """Of the soak itself: a worker that could not go on."""


@dataclass
class _Job:
    row: Row
    way: str
    number: str
    folder: Path
    associations: int
    words: dict[str, object]
    kill_after: float | None
    is_killed: bool = False

    @property
    def objects(self) -> Path:
        return self.folder / "in"

    @property
    def log(self) -> Path:
        return self.folder / "log"


class Traffic:
    """Workers, from `start` to `stop`.

    Args:
        ports: where each way begins.
        supply: makes what is sent.
        ledger: is told what was acknowledged.
        scratch: folder for what is sent.
        seed: of what is drawn.
        workers: how many jobs there are at once.
    """

    def __init__(
        self, ports: Mapping[str, int], supply: Supply, ledger: Ledger, scratch: Path, seed: str, workers: int
    ) -> None:
        self._ports, self._supply, self._ledger, self._scratch, self._seed = ports, supply, ledger, scratch, seed
        self._environment = stacks.environment(nodelay=True)
        self._rows = [row for row in ROWS if not stacks.missing(stacks.Client(row.command, row.module))]
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.done = Done()
        self._running: set[Process] = set()
        self._is_cut = False
        self._threads = [
            threading.Thread(target=self._work, args=(number,), name=f"soak-worker-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """No further jobs; wait a while for those that run."""
        self._over.set()
        until = monotonic() + PATIENCE
        for thread in self._threads:
            thread.join(max(until - monotonic(), 0))
        with self._lock:
            self._is_cut = True
            for process in self._running:
                process.stop()
        for thread in self._threads:
            thread.join(LIMIT)
        if any(thread.is_alive() for thread in self._threads):
            raise RuntimeError("a worker of the soak did not end")

    def associations(self) -> int:
        """How many were asked for so far."""
        with self._lock:
            return self.done.associations

    def _work(self, worker: int) -> None:
        chance = random.Random(f"traffic {self._seed} {worker}")
        jobs = 0
        while not self._over.wait(chance.expovariate(1 / PAUSE)):
            job = self._draw(chance, f"{worker}-{jobs}")
            jobs += 1
            try:
                self._fill(job, chance)
                self._run(job)
            except Exception as error:
                with self._lock:
                    self.done.errors.append(f"{job.row.name}, job {job.number}: {error!r}")
                return
            finally:
                shutil.rmtree(job.folder, ignore_errors=True)

    # --- one job ---

    def _draw(self, chance: random.Random, number: str) -> _Job:
        row = chance.choices(self._rows, [row.weight for row in self._rows])[0]
        way = chance.choices(list(WAYS), list(WAYS.values()))[0]
        count = chance.randint(1, 20)
        associations = count if SHORT in row.command else chance.randint(1, row.associations)
        words: dict[str, object] = {"port": self._ports[way], "n": count, "window": chance.choice((1, 1, 4))}
        kill_after = chance.uniform(0, row.seconds) if chance.random() < KILLED else None
        return _Job(row, way, number, self._scratch / number, associations, words, kill_after)

    def _fill(self, job: _Job, chance: random.Random) -> None:
        """Make what it sends: a folder for each association."""
        job.objects.mkdir(parents=True)
        for number in range(job.associations if job.row.carries else 0):
            folder = job.objects / f"{number:02}"
            folder.mkdir()
            kind, _, most = chance.choices(job.row.carries, [weight for _, weight, _ in job.row.carries])[0]
            for _ in range(chance.randint(1, most)):
                self._supply.make(folder, kind, may_differ=job.way == CORRUPT)
            if job.way != CORRUPT and chance.random() < AGAIN:
                self._supply.again(folder, chance)

    def _run(self, job: _Job) -> None:
        errors = job.folder / "errors"
        with Process(self._command(job), self._environment, errors) as process:
            with self._lock:
                self._running.add(process)
                if self._is_cut:
                    process.stop()
            has_ended = process.ends_within(LIMIT if job.kill_after is None else job.kill_after)
            with self._lock:
                self._running.discard(process)
                job.is_killed = self._is_cut or not has_ended
            code = process.code() if has_ended else None
        acknowledged = dict(self._acknowledged(job, errors))
        for uid, digest in acknowledged.items():
            self._ledger.acknowledge(uid, digest)
        self._note(job, code, errors)
        sent = {path.stem for path in job.objects.rglob("*.dcm")}
        if job.way == STRAIGHT and code == 0 and sent != set(acknowledged):
            raise ValueError(f"it succeeded and said {len(acknowledged)} of {len(sent)} objects")

    def _command(self, job: _Job) -> list[str]:
        words = job.words | {"dir": job.objects, "log": job.log}
        files = sorted(map(str, job.objects.rglob("*.dcm")))
        command = []
        for word in job.row.command:
            command += files if word == "{files}" else [word.format(**words)]
        return command

    def _acknowledged(self, job: _Job, errors: Path) -> list[tuple[str, str]]:
        if not job.row.carries:
            return []
        if job.row.module:
            return logged(job.log.read_text(encoding="utf-8")) if job.log.exists() else []
        return [(uid, "") for uid in dumped(errors.read_text(encoding="utf-8", errors="replace"))]

    def _note(self, job: _Job, code: int | None, errors: Path) -> None:
        name = job.row.name
        with self._lock:
            self.done.jobs[f"{name}, {job.way}"] += 1
            self.done.associations += job.associations
            if code is None and job.kill_after is None:
                self.done.hung.append(f"{name}, {job.way}, job {job.number}")
            elif job.is_killed:
                self.done.killed[name] += 1
            elif code == OWN_FAULT:
                self.done.own_faults += 1
            elif code and job.way == STRAIGHT:
                self.done.failures += 1
                if len(self.done.failed) < MOST_COMPLAINTS:
                    self.done.failed.append(f"{name}, job {job.number}, exit status {code}: {_last(errors)}")


def logged(text: str) -> list[tuple[str, str]]:
    """UID and digest of each line of a log of soak_client.py; the last one may have been cut by a kill."""
    lines = text.split("\n")[:-1]
    return [(line["uid"], line["sha1"]) for line in map(json.loads, lines)]


def dumped(text: str) -> list[str]:
    """UIDs of the instances whose C-STORE was answered with success, from what DCMTK's clients write with -d."""
    found = []
    for response in _RESPONSE.split(text)[1:]:
        said = [match["uid"] for match in _SAID.finditer(response)][:2]
        if len(said) == 2 and said[0] and said[1] is None:
            found.append(said[0])
    return found


def _last(errors: Path) -> str:
    """The last line of DCMTK's that is no dump, or of a traceback."""
    lines = errors.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip() and not line.startswith(("D:", "I:"))), "")[:200]
