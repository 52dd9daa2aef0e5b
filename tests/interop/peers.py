"""The other DICOM programs, DCMTK, pynetdicom, Orthanc and dcmjs-dimse, each started and asked in one line.

A server is a context manager, a client is a function that returns when the client has ended:

    with peers.storescp() as server:
        peers.storescu(server.port, path).check()
        stored = server.stored()

Servers take the keywords `called` (the AE title that they insist on), `max_pdu` and `abort_on_store` where they can,
and answer to `Scp`.  Clients take `called`, `max_pdu`, `contexts` (that many presentation contexts more) and `abort`
(an A-ABORT at the end) where they can.  This module knows nothing of the library under test, except how to run the
programs in its samples/.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import shutil
import sys
import unittest
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from .objects import Encoded, PathName, context_of, read_object
from .processes import (
    LOOPBACK,
    ROOT,
    SEARCH_PATH,
    STEP,
    Event,
    Finished,
    Journal,
    Process,
    free_port,
    run,
    temporary_folder,
)

HERE = Path(__file__).resolve().parent
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"


# --- which peers are here -----------------------------------------------------------------------------------


def _program(name: str) -> str | None:
    """The path of a program; the folders that are not on every user's PATH are searched as well."""
    return shutil.which(name, path=SEARCH_PATH) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/local/bin")


def _have_dcmtk() -> bool:
    return all(_program(name) for name in ("storescp", "storescu", "echoscu", "dcmsend"))


def _have_dcmjs() -> bool:
    return bool(_program("node")) and (HERE / "node_modules" / "dcmjs-dimse").is_dir()


_HAVE: dict[str, tuple[Callable[[], bool], str]] = {
    "dcmtk": (
        _have_dcmtk,
        "DCMTK's storescp, storescu, echoscu and dcmsend are not installed (apt install dcmtk)",
    ),
    "orthanc": (lambda: bool(_program("Orthanc")), "Orthanc is not installed (apt install orthanc)"),
    "pynetdicom": (
        lambda: importlib.util.find_spec("pynetdicom") is not None,
        "pynetdicom is not installed (pip install pynetdicom)",
    ),
    "dcmjs": (_have_dcmjs, "node or dcmjs-dimse is not installed (cd tests/interop && npm ci)"),
}


def need(*names: str) -> None:
    """Skip the test where a peer is absent, saying which; with LDICOMNET_REQUIRE_PEERS=1 fail it instead."""
    for name in names:
        present, reason = _HAVE[name]
        if present():
            continue
        if os.environ.get("LDICOMNET_REQUIRE_PEERS") == "1":
            raise AssertionError(f"LDICOMNET_REQUIRE_PEERS=1, and {reason}")
        raise unittest.SkipTest(reason)


# --- what is the same for every peer ------------------------------------------------------------------------


class Scp(Protocol):
    """A storage and verification server: what it got, and what it saw of an association's end."""

    port: int

    def stored(self) -> list[Encoded]:
        """What it has stored, each data set as the bytes that it keeps."""

    def wait_released(self) -> None:
        """Wait until it has seen an association released."""

    def wait_aborted(self) -> None:
        """Wait until it has seen an association aborted."""


@dataclass
class LoggingScp:
    """A server built on DCMTK, whose log says how an association ended."""

    port: int
    process: Process

    def wait_released(self) -> None:
        """Wait until it has seen an association released."""
        self.process.wait_for("Association Release")

    def wait_aborted(self) -> None:
        """Wait until it has seen an association aborted."""
        self.process.wait_for("Association Aborted")


# --- DCMTK --------------------------------------------------------------------------------------------------

_LIMITS = ("-to", "10", "-ta", "10", "-td", "20")  # connect, ACSE and DIMSE time limits of the clients


@dataclass
class StoreScp(LoggingScp):
    """DCMTK's storescp, storing bit for bit into a folder of its own."""

    folder: Path

    def stored(self) -> list[Encoded]:
        """What it has stored."""
        return [read_object(path) for path in self.folder.iterdir()]


@contextlib.contextmanager
def storescp(
    *options: str, refuse: bool = False, max_pdu: int = 16384, abort_on_store: bool = False
) -> Iterator[StoreScp]:
    """A storescp that accepts every transfer syntax and class, and keeps the bytes."""
    port = free_port()
    words = ["-v", "+xa", "-pm", "+B", "-dhl", "-ta", "10", "-td", "10", "-pdu", str(max_pdu), *options]
    words += ["--refuse"] * refuse + ["--abort-after"] * abort_on_store
    with temporary_folder() as folder, Process("storescp", *words, "-od", folder, str(port)) as process:
        process.wait_listening(port)
        yield StoreScp(port, process, folder)


def echoscu(port: int, *options: str) -> Finished:
    """DCMTK's C-ECHO client."""
    return run("echoscu", "-v", *_LIMITS, *options, LOOPBACK, str(port))


def storescu(port: int, *paths: PathName, options: Sequence[str] = ()) -> Finished:
    """DCMTK's C-STORE client; it decodes and encodes what it sends."""
    return run("storescu", "-v", *_LIMITS, *options, LOOPBACK, str(port), *paths)


def dcmsend(port: int, *paths: PathName, options: Sequence[str] = ()) -> Finished:
    """DCMTK's other C-STORE client, which negotiates for the files given; it too decodes and encodes."""
    return run("dcmsend", "-v", "-dn", "-nuc", *_LIMITS, *options, LOOPBACK, str(port), *paths)


def dcmtk_scu(
    port: int,
    *paths: PathName,
    called: str = "ANY-SCP",
    max_pdu: int = 16384,
    contexts: int = 0,
    abort: bool = False,
) -> Finished:
    """The DCMTK client that fits: echoscu, dcmsend, or storescu where the end is to be an abort."""
    options = ["-aec", called, "-pdu", str(max_pdu)]
    if not paths:
        return echoscu(port, *options, *["-ppc", str(contexts + 1)], *["--abort"] * abort)
    if abort:
        return storescu(port, *paths, options=[*options, "--abort"])
    return dcmsend(port, *paths, options=options)


# --- pynetdicom, in this process ----------------------------------------------------------------------------


@dataclass
class PynetdicomScp:
    """A storage and verification SCP of pynetdicom."""

    port: int = 0
    journal: Journal[Event] = field(default_factory=Journal)
    kept: list[Encoded] = field(default_factory=list)

    def stored(self) -> list[Encoded]:
        """The data sets received, as the bytes they came in."""
        return list(self.kept)

    def wait_event(self, name: str) -> Event:
        """Wait for "accepted", "released" or "aborted"."""
        event = self.journal.find(lambda entry: entry["event"] == name)
        if event is None:
            raise AssertionError(f"pynetdicom saw no {name!r}; it saw {self.journal.entries()}")
        return event

    def wait_released(self) -> None:
        """Wait until it has seen an association released."""
        self.wait_event("released")

    def wait_aborted(self) -> None:
        """Wait until it has seen an association aborted."""
        self.wait_event("aborted")

    def keep(self, event: Any) -> int:
        """Handle a C-STORE request."""
        request, syntax = event.request, str(event.context.transfer_syntax)
        self.kept.append(Encoded(str(request.AffectedSOPInstanceUID), syntax, request.DataSet.getvalue()))
        return 0x0000

    def note_accepted(self, event: Any) -> None:
        """Write down who asked for an association that it accepted, and what for."""
        self.journal.add({"event": "accepted", "asked": event.assoc.requestor})


def _abort_association(event: Any) -> int:
    event.assoc.abort()
    return 0xC001


@contextlib.contextmanager
def pynetdicom_scp(
    *, called: str | None = None, max_pdu: int = 16382, abort_on_store: bool = False, tls: Any = None
) -> Iterator[PynetdicomScp]:
    """A pynetdicom server for every storage class and syntax; `called` is the AE title it insists on.

    `tls` is the `ssl.SSLContext` that it uses, if any.
    """
    from pynetdicom import AllStoragePresentationContexts, evt
    from pynetdicom._globals import ALL_TRANSFER_SYNTAXES

    entity = _pynetdicom_entity(called or "PYNETDICOM")
    entity.require_called_aet = called is not None
    entity.maximum_pdu_size = max_pdu
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
    entity.add_supported_context(VERIFICATION)
    scp = PynetdicomScp()
    handlers = [
        (evt.EVT_C_STORE, _abort_association if abort_on_store else scp.keep),
        (evt.EVT_ACCEPTED, scp.note_accepted),
        (evt.EVT_RELEASED, lambda event: scp.journal.add({"event": "released"})),
        (evt.EVT_ABORTED, lambda event: scp.journal.add({"event": "aborted"})),
    ]
    server = entity.start_server((LOOPBACK, 0), block=False, evt_handlers=handlers, ssl_context=tls)
    try:
        scp.port = server.socket.getsockname()[1]
        yield scp
    finally:
        server.shutdown()


def _pynetdicom_entity(title: str) -> Any:
    from pynetdicom import AE

    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = STEP
    return entity


@contextlib.contextmanager
def pynetdicom_association(
    port: int, contexts: Sequence[tuple[str, str]], *, called: str = "ANY-SCP", **options: Any
) -> Iterator[Any]:
    """An association that pynetdicom asks for; yielded, established or not, and aborted if still up.

    `options` are those of pynetdicom's `associate`.
    A file given to its `send_c_store` as a path leaves with the file's own bytes.
    """
    from pynetdicom import _config

    _config.STORE_SEND_CHUNKED_DATASET = True
    entity = _pynetdicom_entity("PYNETDICOM")
    for abstract_syntax, transfer_syntax in contexts:
        entity.add_requested_context(abstract_syntax, transfer_syntax)
    association = entity.associate(LOOPBACK, port, ae_title=called, **options)
    _leave_responses_to_callers(association)
    try:
        yield association
    finally:
        if association.is_established:
            association.abort()
        if association.is_alive():
            association.join(STEP)


def _leave_responses_to_callers(association: Any) -> None:
    """Keep pynetdicom's reactor thread from taking a response that a `send_c_*` waits for.

    It means to pause the thread meanwhile; on a busy machine the thread sometimes takes one message more, reports
    "Received unexpected C-STORE service message", and the caller runs into its time limit.
    """
    get_message = association.dimse.get_msg
    association.dimse.get_msg = lambda block=False: get_message(True) if block else (None, None)


def pynetdicom_scu(
    port: int,
    *paths: PathName,
    called: str = "ANY-SCP",
    max_pdu: int = 16382,
    contexts: int = 0,
    abort: bool = False,
    tls: tuple[Any, str] | None = None,
) -> Finished:
    """pynetdicom as a client.  Its events: accepted, rejected, response, released, failed.

    `tls` is the `ssl.SSLContext` that it uses, if any, and the name it means to reach.
    """
    from pynetdicom import AllStoragePresentationContexts

    wanted = {context_of(path) for path in paths} or {(VERIFICATION, IMPLICIT_LITTLE)}
    more = [(str(one.abstract_syntax), IMPLICIT_LITTLE) for one in AllStoragePresentationContexts[:contexts]]
    told: list[Event] = []
    options = {"called": called, "max_pdu": max_pdu, "tls_args": tls}
    with pynetdicom_association(port, sorted(wanted) + more, **options) as association:
        if association.is_rejected:
            told.append(_pynetdicom_rejection(association.acceptor.primitive))
        elif not association.is_established:
            told.append({"event": "failed", "message": "no association"})
        else:
            told += _pynetdicom_talk(association, paths, abort)
    good = not any(event["event"] in ("rejected", "failed") or event.get("status") for event in told)
    lines = [json.dumps(event, separators=(",", ":")) for event in told]
    return Finished(["pynetdicom", *map(str, paths)], 0 if good else 1, "\n".join(lines))


def _pynetdicom_rejection(answer: Any) -> Event:
    return {
        "event": "rejected",
        "result": answer.result,
        "source": answer.result_source,
        "reason": answer.diagnostic,
    }


def _pynetdicom_talk(association: Any, paths: Sequence[PathName], abort: bool) -> Iterator[Event]:
    """Send what is to be sent over an established association, and end it."""
    acceptor = association.acceptor
    yield {
        "event": "accepted",
        "max_length": acceptor.maximum_length,
        "contexts": len(association.accepted_contexts),
    }
    steps = [partial(association.send_c_store, path) for path in paths] or [association.send_c_echo]
    for step in steps:
        if not association.is_established:
            yield {"event": "failed", "message": "the association has ended"}
            return
        answer = step()
        if "Status" not in answer:
            yield {"event": "failed", "message": "no response"}
            return
        yield {"event": "response", "status": int(answer.Status)}
    if abort:
        association.abort()
    elif association.is_established:
        association.release()
        yield {"event": "released"} if association.is_released else {"event": "failed", "message": "no release"}


# --- Orthanc ------------------------------------------------------------------------------------------------


@dataclass
class Orthanc(LoggingScp):
    """An Orthanc with a store of its own; it is driven through its REST interface."""

    http_port: int

    def rest(self, method: str, path: str, body: bytes | Any = None) -> tuple[int, bytes]:
        """One request; a body that is not bytes goes as JSON.  The status and the body of the answer."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        link = http.client.HTTPConnection(LOOPBACK, self.http_port, timeout=2 * STEP)
        with contextlib.closing(link):
            link.request(method, path, body)
            answer = link.getresponse()
            return answer.status, answer.read()

    def must(self, method: str, path: str, body: bytes | Any = None) -> Any:
        """A request that has to succeed; the decoded JSON of the answer, or None where it is none."""
        status, answer = self.rest(method, path, body)
        if status != 200:
            raise AssertionError(f"Orthanc: {method} {path}: {status}\n{answer!r}\n{self.process.output}")
        try:
            return json.loads(answer)
        except ValueError:
            return None

    def upload(self, path: PathName) -> str:
        """Put a file into its store; the identifier that it gave to the instance."""
        return str(self.must("POST", "/instances", Path(path).read_bytes())["ID"])

    def stored(self) -> list[Encoded]:
        """Every instance in its store, from the file that it keeps of it."""
        found = []
        with temporary_folder() as folder:
            for identifier in self.must("GET", "/instances"):
                path = folder / "instance.dcm"
                path.write_bytes(self.rest("GET", f"/instances/{identifier}/file")[1])
                found.append(read_object(path))
        return found

    def scu(self, port: int, *paths: PathName, called: str = "ANY-SCP", tls: bool = False) -> Finished:
        """It as a client: a C-ECHO, or with paths a C-STORE of each, after they were put into its store."""
        peer = {"AET": called, "Host": LOOPBACK, "Port": port, "Timeout": int(STEP), "UseDicomTls": tls}
        self.must("PUT", "/modalities/peer", peer)
        seen = len(self.process.lines.entries())
        if paths:
            resources = [self.upload(path) for path in paths]
            job = {"Resources": resources, "Synchronous": True}
            code, answer = self.rest("POST", "/modalities/peer/store", job)
        else:
            code, answer = self.rest("POST", "/modalities/peer/echo", {})
        log = "\n".join(self.process.lines.entries()[seen:])
        return Finished(["Orthanc", *map(str, paths)], 0 if code == 200 else code, f"{answer.decode()}\n{log}")


@contextlib.contextmanager
def orthanc(
    *, called: str | None = None, max_pdu: int = 16384, more: dict[str, Any] | None = None
) -> Iterator[Orthanc]:
    """An Orthanc in a temporary folder; `called` is the AE title it insists on, `more` goes to its settings."""
    port, http_port = free_port(), free_port()
    with temporary_folder() as folder:
        config = folder / "orthanc.json"
        config.write_text(
            json.dumps(
                {
                    "Name": "interop",
                    "StorageDirectory": str(folder / "db"),
                    "IndexDirectory": str(folder / "db"),
                    "Plugins": [],
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "HttpServerEnabled": True,
                    "HttpPort": http_port,
                    "KeepAlive": False,
                    "DicomServerEnabled": True,
                    "DicomAet": called or "ORTHANC",
                    "DicomPort": port,
                    "DicomCheckCalledAet": called is not None,
                    "DicomModalities": {},
                    "DicomAlwaysAllowEcho": True,
                    "DicomAlwaysAllowStore": True,
                    "UnknownSopClassAccepted": True,
                    "DicomScuTimeout": int(STEP),
                    "DicomScpTimeout": int(STEP),
                    "MaximumPduLength": max_pdu,
                    "OverwriteInstances": True,
                    "SyncStorageArea": False,
                    **(more or {}),
                }
            )
        )
        with Process(_program("Orthanc") or "Orthanc", "--verbose", config) as process:
            process.wait_for("Orthanc has started")
            yield Orthanc(port, process, http_port)


# --- dcmjs-dimse --------------------------------------------------------------------------------------------


@dataclass
class DcmjsScp:
    """A server of dcmjs-dimse that accepts everything and keeps the bytes."""

    port: int
    process: Process
    folder: Path

    def stored(self) -> list[Encoded]:
        """The data sets received, as the bytes they came in; what it wrote before it answered, it has yet to tell."""
        written = len(list(self.folder.glob("*.bin")))
        if written:
            self.process.wait_for(f"{self.folder}/{written}.bin")
        return [
            Encoded(event["instance"], event["syntax"], Path(event["file"]).read_bytes())
            for event in self.process.events("stored")
        ]

    def wait_released(self) -> None:
        """Wait until it has seen an association released."""
        self.process.wait_event("released")

    def wait_aborted(self) -> None:
        """Wait until it has seen an association aborted."""
        self.process.wait_event("aborted")


@contextlib.contextmanager
def dcmjs_scp(
    *,
    called: str | None = None,
    max_pdu: int = 16384,
    abort_on_store: bool = False,
    tls: dict[str, Any] | None = None,
) -> Iterator[DcmjsScp]:
    """A dcmjs-dimse server; `called` is the AE title it insists on, `tls` its security options, with paths of files."""
    with temporary_folder() as folder:
        options = {
            "folder": str(folder),
            "called": called,
            "max_pdu": max_pdu,
            "abort_on_store": abort_on_store,
            "tls": tls,
        }
        with Process("node", HERE / "dcmjs_scp.js", json.dumps(options)) as process:
            yield DcmjsScp(int(process.wait_event("listening")["port"]), process, Path(folder))


def dcmjs_scu(
    port: int,
    *paths: PathName,
    called: str = "ANY-SCP",
    max_pdu: int = 16384,
    contexts: int = 0,
    abort: bool = False,
    echoes: int = 1,
    window: int = 1,
    tls: dict[str, Any] | None = None,
) -> Finished:
    """dcmjs-dimse as a client.  Its events: accepted, rejected, response, released, failed.

    Without paths it sends so many C-ECHOs; `window` is how many operations it would have outstanding at once, `tls` its
    security options, with paths of files.
    """
    options = {
        "port": port,
        "files": [os.fspath(path) for path in paths],
        "called": called,
        "max_pdu": max_pdu,
        "contexts": contexts,
        "abort": abort,
        "echoes": echoes,
        "window": window,
        "tls": tls,
    }
    return run("node", HERE / "dcmjs_scu.js", json.dumps(options))


# --- this library's own programs ----------------------------------------------------------------------------


def sample(name: str, *arguments: PathName) -> Finished:
    """Run one of the programs in samples/ to its end, with this interpreter."""
    return run(sys.executable, ROOT / "samples" / name, *arguments)


@contextlib.contextmanager
def sample_server(name: str, *arguments: PathName) -> Iterator[tuple[int, Process]]:
    """Start one of the servers in samples/ on a port of its own choice: that port, and the process."""
    with Process(sys.executable, ROOT / "samples" / name, *arguments, "0") as process:
        yield _port_of(process.wait_for("listen")), process


def _port_of(line: str) -> int:
    """The port in a line such as "listening on 127.0.0.1:11112"."""
    digits = "".join(letter if letter.isdigit() else " " for letter in line)
    return int(digits.split()[-1])
