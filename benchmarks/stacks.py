"""Who is measured: a table of servers, a table of clients, and whether each is here; the file to edit for another peer.

Words of a command may have {port} {out} {scratch} {pdu} {mode} {n} {folder} {study} {series} {aec} {stores} {limit},
and {certificate} {key}, which are files.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = "ldicomnet"
BARE = "bare sockets"
PDU = "16384"
"""Longest PDU received, of everyone: the default of most."""


def _is_of_pynetdicom(folder: str) -> bool:
    """Whether a folder has its scripts, which are called like DCMTK's programs."""
    try:
        return Path(folder, "storescp").read_bytes()[:2] == b"#!"
    except OSError:
        return False


SEARCH_PATH = os.pathsep.join(
    folder
    for folder in (*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin", "/usr/local/sbin")
    if not _is_of_pynetdicom(folder)
)
DCMRECV_CONFIG = "dcmtk/storescp.cfg"
PREFIXES = ("", "/usr", "/usr/local", "/opt/homebrew")
TOOL_LIMIT = 10

ORTHANC = """{{
  "Name": "benchmark", "StorageDirectory": "{out}", "IndexDirectory": "{scratch}", "HttpServerEnabled": false,
  "DicomServerEnabled": true, "DicomPort": {port}, "DicomAet": "ORTHANC", "MaximumPduLength": {pdu},
  "DicomAlwaysAllowEcho": true, "DicomAlwaysAllowStore": true, "DicomModalities": {{}}, "Plugins": [],
  "OverwriteInstances": true, "SyncStorageArea": {sync}
}}
"""
DCMQRSCP = """NetworkTCPPort = {port}
MaxPDUSize = {pdu}
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
BENCHMARK {folder} RW (10, 1024mb) ANY
AETable END
"""


@dataclass(frozen=True)
class Server:
    """A command that listens on {port}."""

    command: tuple[str, ...]
    module: str = ""
    """The package that it is made of, if it is not a program."""
    ready: str = ""
    """Beginning of the line it prints when it listens; if it prints none, it is asked for an association."""
    config: tuple[str, str] = ("", "")
    """Name and text of a file for {scratch}."""
    index: tuple[str, ...] = ()
    """A command that is run once over a copy of the objects it is to find."""
    aec: str = "ANY-SCP"
    is_exact: bool = False
    """Whether it writes DICOM files with the data sets as they were sent."""

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS, in which nobody asks it for an association to see whether it is there."""
        return "+tls" in self.command


@dataclass(frozen=True)
class Client:
    """A command that does its work and ends; a driver prints what it did, a tool only has an exit status."""

    command: tuple[str, ...]
    module: str = ""
    witness: tuple[tuple[str, ...], str] = ((), "")
    """For a tool that does not count: a command to run once, unmeasured, and what it prints for each success."""


def _python(file: Path, words: str) -> tuple[str, ...]:
    return (sys.executable, str(file), *words.split())


def _server(file: str, module: str) -> Server:
    words = "scp --port {port} --out {out} --max-pdu {pdu} --mode {mode} --find {n}"
    return Server(_python(HERE / file, words), module, ready="READY", is_exact=module == OURS)


def _client(file: str, words: str, module: str) -> Client:
    return Client(_python(HERE / file, words), module)


def _sample(file: str, words: str) -> Server:
    return Server(_python(ROOT / "samples" / file, words), OURS, ready="listening", is_exact=True)


def _tool(words: str) -> Client:
    return Client(tuple(words.split()))


def _dcmtk(words: str) -> Server:
    return Server(tuple(words.split()), is_exact="+B" in words.split())


def _dcmrecv_config() -> str:
    """dcmrecv takes no storage without it."""
    for prefix in PREFIXES:
        for folder in ("etc", "share"):
            path = Path(f"{prefix}/{folder}", DCMRECV_CONFIG)
            if path.exists():
                return str(path)
    return DCMRECV_CONFIG


def _orthanc(sync: str) -> Server:
    return Server(("Orthanc", "{scratch}/orthanc.json"), config=("orthanc.json", ORTHANC.replace("{sync}", sync)))


_PYNETDICOM = "-m pynetdicom storescp -q -xe -ta 5 -td 60 -tn 60 -pdu {pdu} -od {out} {port}"
SERVERS = {
    OURS: _server("driver.py", OURS),
    BARE: _server("bare.py", ""),
    "pynetdicom": _server("driver_pynetdicom.py", "pynetdicom"),
    "storescp": _dcmtk("storescp -q -pdu {pdu} -od {out} {port}"),
    "storescp +B": _dcmtk("storescp -q +B -pdu {pdu} -od {out} {port}"),
    "storescp +B, TLS": _dcmtk("storescp -q +B -pdu {pdu} -od {out} +tls {key} {certificate} -ic {port}"),
    "storescp --fork +B": _dcmtk("storescp -q --fork +B -pdu {pdu} -od {out} {port}"),
    "dcmrecv +B": _dcmtk(f"dcmrecv -q -xf {_dcmrecv_config()} AllDICOM +B -pdu {{pdu}} -od {{out}} {{port}}"),
    "dcmqrscp": Server(
        ("dcmqrscp", "-q", "-c", "{scratch}/dcmqrscp.cfg", "{port}"),
        config=("dcmqrscp.cfg", DCMQRSCP),
        index=("dcmqridx", "-q"),
        aec="BENCHMARK",
    ),
    "Orthanc": _orthanc("true"),
    "Orthanc, no sync": _orthanc("false"),
    "store_scp.py": _sample("store_scp.py", "--no-sync -pdu {pdu} -od {out} {port}"),
    "store_scp.py, as it is": _sample("store_scp.py", "-pdu {pdu} -od {out} {port}"),
    "pynetdicom storescp": Server(
        (sys.executable, *_PYNETDICOM.split()),
        "pynetdicom",
    ),
    "storescp --fork +B, 5 s": _dcmtk("storescp -q --fork +B -ta 5 -td 60 -pdu {pdu} -od {out} {port}"),
}

_ECHO, _ASSOC = "echo --port {port} --n {n} --max-pdu {pdu}", "assoc --port {port} --n {n} --max-pdu {pdu}"
_STORE = "store --port {port} --dir {folder} --mode {mode} --max-pdu {pdu}"
_FIND = "find --port {port} --study {study} --series {series} --aec {aec} --mode {mode} --max-pdu {pdu}"
_FINDSCU = "-S -aec {aec} -k 0008,0052=IMAGE -k 0020,000D={study} -k 0020,000E={series} -k 0008,0018 -k 0020,0013"
_FINDSCU_TAIL = (*_FINDSCU.split(), "127.0.0.1", "{port}")
CLIENTS = {
    (OURS, "echo"): _client("driver.py", _ECHO, OURS),
    (OURS, "assoc"): _client("driver.py", _ASSOC, OURS),
    (OURS, "store"): _client("driver.py", _STORE, OURS),
    (OURS, "find"): _client("driver.py", _FIND, OURS),
    (BARE, "echo"): _client("bare.py", _ECHO, ""),
    (BARE, "store"): _client("bare.py", _STORE, ""),
    ("pynetdicom", "echo"): _client("driver_pynetdicom.py", _ECHO, "pynetdicom"),
    ("pynetdicom", "assoc"): _client("driver_pynetdicom.py", _ASSOC, "pynetdicom"),
    ("pynetdicom", "store"): _client("driver_pynetdicom.py", _STORE, "pynetdicom"),
    ("pynetdicom", "find"): _client("driver_pynetdicom.py", _FIND, "pynetdicom"),
    ("echoscu", "echo"): _tool("echoscu -q --repeat {n} 127.0.0.1 {port}"),
    ("storescu", "store"): _tool("storescu -q -R +sd 127.0.0.1 {port} {folder}"),
    ("storescu, TLS", "store"): _tool(
        "storescu -q -R +sd +tls {key} {certificate} -ic 127.0.0.1 {port} {folder}"
    ),
    ("dcmsend", "store"): _tool("dcmsend -q +sd 127.0.0.1 {port} {folder}"),
    ("findscu", "find"): Client(("findscu", "-q", *_FINDSCU_TAIL), witness=(("findscu", *_FINDSCU_TAIL), "(Pending)")),
    ("crowd", "crowd"): _client("crowd.py", "--port {port} --n {n} --stores {stores} --limit {limit}", ""),
    ("python -c pass", "launch"): Client((sys.executable, "-c", "pass")),
    ("import pydicom", "launch"): Client((sys.executable, "-c", "import pydicom"), "pydicom"),
    ("import pynetdicom", "launch"): Client((sys.executable, "-c", "import pynetdicom"), "pynetdicom"),
    ("import ldicomnet", "launch"): Client((sys.executable, "-c", "import ldicomnet"), "ldicomnet"),
    ("echoscu --version", "launch"): _tool("echoscu --version"),
}


# --- what is here ------------------------------------------------------------------------------------------------


def missing(stack: Server | Client) -> str:
    """The package or program without which it cannot run; nothing if it can."""
    if stack.module and not _is_importable(stack.module):
        return stack.module
    return "" if program(stack.command[0]) else stack.command[0]


def program(name: str) -> str | None:
    """The file of a program, those for administrators included."""
    return shutil.which(name, path=SEARCH_PATH)


def environment(*, nodelay: bool) -> dict[str, str]:
    """The variables of everything that is started.

    Args:
        nodelay: whether DCMTK, Orthanc built on it, and driver_pynetdicom.py are to switch Nagle's algorithm off.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    own = {"PATH": SEARCH_PATH, "PYTHONPATH": path, "LC_ALL": "C"}
    return inherited | own | ({"TCP_NODELAY": "1"} if nodelay else {})


def versions() -> dict[str, str]:
    """Of those that are here."""
    found = {}
    for module in (OURS, "pydicom", "pynetdicom"):
        if _is_importable(module):
            found[module] = importlib.metadata.version(module)
    for name, tool in (("DCMTK", "echoscu"), ("Orthanc", "Orthanc")):
        if program(tool):
            done = subprocess.run(
                [tool, "--version"], capture_output=True, text=True, env=environment(nodelay=False), timeout=TOOL_LIMIT
            )
            words = (done.stdout or done.stderr).split()
            found[name] = next((word.lstrip("v") for word in words if word.lstrip("v")[:1].isdigit()), "?")
    return found


def _is_importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
