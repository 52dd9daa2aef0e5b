"""What is measured: a table of cases, each of pairs of a client and a server; measure.py knows how."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.stacks import BARE, OURS


@dataclass(frozen=True)
class Pair:
    """A row of a case. The names are those of the tables of stacks.py."""

    client: str
    server: str = ""
    label: str = ""
    share: float = 1.0
    """Of what the case gives everyone to do; less for those who would take minutes, more for those who take no time."""
    client_mode: str = "raw"
    server_mode: str = "raw"
    client_more: tuple[str, ...] = ()
    server_more: tuple[str, ...] = ()
    command: str = ""
    """What the client does, if not what the case says."""
    senders: int = 1
    """Clients at once, each with its part of the objects."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        return self.label or f"{self.client} -> {self.server}"

    @property
    def has_our_server(self) -> bool:
        """Whether its server is ours."""
        return self.server in (OURS, "store_scp.py")

    @property
    def is_ours(self) -> bool:
        """Whether a failure of it may be ours."""
        return self.client in (OURS, f"import {OURS}") or self.has_our_server

    @property
    def is_ours_alone(self) -> bool:
        """Whether nobody else takes part."""
        return self.client == f"import {OURS}" or (self.has_our_server and self.client in (OURS, "crowd"))


@dataclass(frozen=True)
class Column:
    """A figure of a measurement, as its table shows it: the median of the runs."""

    title: str
    key: str
    unit: str = ""
    """MB for bytes shown as such, count for whole numbers."""


@dataclass(frozen=True)
class Case:
    """Pairs that do the same. The first column is what is compared; its spread is shown."""

    name: str
    title: str
    """It may have {n}, how much there is to do."""
    method: str
    """A function of measure.py."""
    pairs: tuple[Pair, ...]
    columns: tuple[Column, ...]
    reference: str
    """The pair that the others are compared with; the first that was measured if that one is not here."""
    full: int
    quick: int
    """How much there is to do."""
    command: str = "store"
    objects: str = ""
    """Kind of the objects that are sent or found."""
    nodelay: bool = True
    """Whether peers get Nagle's algorithm switched off."""
    is_time: bool = False
    """Whether less is better."""
    on_disk: bool = False
    """Whether servers write to the temporary folder and not to memory."""
    from_idle: bool = False
    """Whether memory is told as growth over the same processes with a small object."""
    each_way: float = 0.0
    """Seconds of delay of the line between them."""
    repeats: int = 1
    """Measurements in each run, of what takes no time."""
    limit: float = 120.0
    """Seconds for a client."""

    def command_of(self, pair: Pair) -> str:
        """What the client of a pair does."""
        return pair.command or self.command


RATE = (Column("per second", "rate"),)
STORE = (
    Column("MB/s", "mb_s"),
    Column("objects/s", "rate"),
    Column("client MB", "client_peak", "MB"),
    Column("server MB", "server_peak", "MB"),
)
GROWTH = (
    Column("MB/s", "mb_s"),
    Column("client grows by MB", "client_growth", "MB"),
    Column("server grows by MB", "server_growth", "MB"),
)
CROWD = (
    Column("associations/s", "rate"),
    Column("served", "n", "count"),
    Column("held at once", "held", "count"),
    Column("seconds", "seconds"),
    Column("server MB", "server_shared", "MB"),
)
LAUNCH = (Column("ms", "ms"), Column("CPU ms", "cpu_ms"), Column("MB", "client_peak", "MB"))
BOTH_OURS, THEIRS = f"{OURS} -> {OURS}", "storescu -> storescp +B"
THEIRS_TLS = f"{THEIRS}, TLS"


def _store_pairs(pynetdicom: Pair) -> tuple[Pair, ...]:
    return (
        Pair(OURS, OURS),
        Pair(BARE, BARE, BARE),
        Pair("storescu", "storescp +B"),
        Pair("dcmsend", "dcmrecv +B"),
        pynetdicom,
        Pair(OURS, "storescp +B"),
        Pair("storescu", OURS),
        Pair(OURS, "Orthanc"),
        Pair("storescu", "Orthanc"),
    )


def _tls_pairs() -> tuple[Pair, ...]:
    files = ("--tls", "{certificate}", "{key}")
    return (
        Pair(OURS, OURS, client_more=files, server_more=files),
        Pair(BARE, BARE, f"{BARE} of Python's ssl", client_more=files, server_more=files),
        Pair("storescu, TLS", "storescp +B, TLS", THEIRS_TLS),
        Pair(OURS, "storescp +B, TLS", f"{OURS} -> storescp +B", client_more=files),
        Pair("storescu, TLS", OURS, f"storescu -> {OURS}", server_more=files),
    )


CASES = (
    Case(
        "echo",
        "C-ECHO, one after the other in one association",
        "operations",
        (
            Pair(OURS, OURS),
            Pair(BARE, BARE, BARE, share=4),
            Pair("echoscu", "storescp", share=2),
            Pair("pynetdicom", "pynetdicom", share=0.1),
            Pair(OURS, "storescp"),
            Pair("echoscu", OURS),
            Pair(OURS, "Orthanc"),
        ),
        RATE,
        "echoscu -> storescp",
        full=5000,
        quick=500,
        command="echo",
    ),
    Case(
        "assoc",
        "Associate, one C-ECHO, release",
        "operations",
        (Pair(OURS, OURS), Pair("pynetdicom", "pynetdicom", share=0.05), Pair(OURS, "storescp")),
        RATE,
        f"{OURS} -> storescp",
        full=1000,
        quick=60,
        command="assoc",
    ),
    Case(
        "store-ct",
        "C-STORE of CT images, 0.53 MB each",
        "store",
        _store_pairs(Pair("pynetdicom", "pynetdicom", share=0.1)),
        STORE,
        THEIRS,
        full=500,
        quick=30,
        objects="ct",
    ),
    Case(
        "store-tiny",
        "C-STORE of reports and small images, 8 KB each",
        "store",
        _store_pairs(Pair("pynetdicom", "pynetdicom", share=0.1)),
        (Column("objects/s", "rate"), Column("MB/s", "mb_s"), *STORE[2:]),
        THEIRS,
        full=2000,
        quick=100,
        objects="tiny",
    ),
    Case(
        "store-large",
        "C-STORE of one object of {n:,} frames, half a MB each",
        "store",
        _store_pairs(Pair("pynetdicom", "pynetdicom", share=0.1, client_mode="chunked", server_mode="chunked")),
        GROWTH,
        THEIRS,
        full=2000,
        quick=20,
        objects="large",
        from_idle=True,
        limit=300,
    ),
    Case(
        "store-durable",
        "C-STORE of CT images to a disk, written through before the answer",
        "store",
        (
            Pair(OURS, OURS, f"{BOTH_OURS} --sync", server_more=("--sync",)),
            Pair(OURS, "Orthanc", f"{OURS} -> Orthanc, sync"),
            Pair(OURS, OURS, f"{BOTH_OURS}, no sync"),
            Pair(OURS, "Orthanc, no sync"),
        ),
        STORE[:2],
        f"{OURS} -> Orthanc, sync",
        full=50,
        quick=10,
        objects="ct",
        on_disk=True,
    ),
    Case(
        "tls-ct",
        "C-STORE of CT images through TLS, nobody verified",
        "store",
        _tls_pairs(),
        STORE,
        THEIRS_TLS,
        full=500,
        quick=30,
        objects="ct",
    ),
    Case(
        "tls-tiny",
        "C-STORE of reports and small images through TLS",
        "store",
        _tls_pairs(),
        STORE,
        THEIRS_TLS,
        full=2000,
        quick=100,
        objects="tiny",
    ),
    Case(
        "find",
        "C-FIND, answers of one query",
        "operations",
        (
            Pair(OURS, OURS),
            Pair(OURS, OURS, f"{BOTH_OURS}, as pydicom", client_mode="naive", server_mode="naive", share=0.5),
            Pair("findscu", "dcmqrscp", share=0.1),
            Pair("pynetdicom", "pynetdicom", share=0.1),
            Pair("findscu", OURS),
            Pair(OURS, "dcmqrscp", share=0.1),
        ),
        RATE,
        "findscu -> dcmqrscp",
        full=10000,
        quick=500,
        command="find",
        objects="tiny",
    ),
    Case(
        "crowd",
        "{n:,} associations at one instant, each an echo, 5 small images, release; served in a minute",
        "crowd",
        (
            Pair("crowd", OURS, OURS),
            Pair("crowd", "storescp --fork +B", "storescp --fork +B"),
            Pair("crowd", "pynetdicom", "pynetdicom"),
            Pair("crowd", "Orthanc", "Orthanc"),
        ),
        CROWD,
        "storescp --fork +B",
        full=1000,
        quick=10,
        command="crowd",
    ),
    Case(
        "nagle-echo",
        "C-ECHO with peers as shipped, which keep Nagle's algorithm on",
        "operations",
        (
            Pair(OURS, "storescp"),
            Pair("echoscu", OURS),
            Pair("echoscu", "storescp", share=0.1),
            Pair(OURS, "Orthanc"),
            Pair("echoscu", "Orthanc", share=0.1),
            Pair("pynetdicom", "pynetdicom", share=0.3),
        ),
        RATE,
        "echoscu -> storescp",
        full=600,
        quick=30,
        command="echo",
        nodelay=False,
    ),
    Case(
        "nagle-tiny",
        "C-STORE of 8 KB with peers as shipped, which keep Nagle's algorithm on",
        "store",
        (
            Pair(OURS, "storescp +B"),
            Pair("storescu", OURS),
            Pair("storescu", "storescp +B", share=0.1),
            Pair(OURS, "Orthanc"),
            Pair("storescu", "Orthanc", share=0.1),
            Pair("pynetdicom", "pynetdicom", share=0.1),
        ),
        RATE,
        THEIRS,
        full=600,
        quick=30,
        objects="tiny",
        nodelay=False,
    ),
    Case(
        "startup",
        "A process from start to end",
        "launch",
        (
            Pair("python -c pass", label="python -c pass"),
            Pair("import pydicom", label="import pydicom"),
            Pair("import pynetdicom", label="import pynetdicom"),
            Pair(f"import {OURS}", label=f"import {OURS}"),
            Pair("echoscu --version", label="echoscu --version"),
            Pair(OURS, "storescp", f"one echo: {OURS} -> storescp", command="echo"),
            Pair("pynetdicom", "storescp", "one echo: pynetdicom -> storescp", command="echo"),
            Pair("echoscu", "storescp", "one echo: echoscu -> storescp", command="echo"),
        ),
        LAUNCH,
        "python -c pass",
        full=1,
        quick=1,
        command="launch",
        is_time=True,
        repeats=3,
    ),
    Case(
        "window",
        "C-STORE of 8 KB over a line of 20 ms there and back",
        "store",
        tuple(Pair(OURS, OURS, f"window {window}", client_more=("--window", str(window))) for window in (1, 16)),
        RATE,
        "window 1",
        full=300,
        quick=20,
        objects="tiny",
        each_way=0.010,
    ),
    Case(
        "workers",
        "CT images from N senders to samples/store_scp.py --workers N",
        "store",
        tuple(
            Pair(OURS, "store_scp.py", f"{workers} of each", server_more=("--workers", str(workers)), senders=workers)
            for workers in (1, 2)
        ),
        STORE[:2],
        "1 of each",
        full=500,
        quick=30,
        objects="ct",
    ),
    Case(
        "progress",
        "C-STORE of CT images with on_progress_status overridden by the sender",
        "store",
        (Pair(OURS, OURS, "without"), Pair(OURS, OURS, "with", client_more=("--progress",))),
        STORE[:2],
        "without",
        full=500,
        quick=30,
        objects="ct",
    ),
)


def select(names: str) -> list[Case]:
    """Cases by name, or by the part of it before the hyphen, separated by commas; all if there is none."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(name in (case.name, case.name.split("-")[0]) for case in CASES):
            raise ValueError(f"there is no case {name!r}")
    return [case for case in CASES if not wanted or case.name in wanted or case.name.split("-")[0] in wanted]
