"""pynetdicom on the command line of driver.py, set up as fast as its documentation allows.

`--mode` of scp: raw writes the encoded data set (`Event.encoded_dataset`), naive what pydicom decoded and encoded
again, chunked lets pynetdicom write a temporary file as the data comes and moves it, discard writes nothing. `--mode`
of store: raw and naive read each file by pydicom, chunked lets pynetdicom send it piece by piece. Except with naive,
the handlers that format every event for the log are off. TCP_NODELAY=1 in the environment switches Nagle's algorithm
off, as it does for DCMTK; pynetdicom has no option for it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from pydicom import Dataset, dcmread
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association

from benchmarks import contract

VERIFICATION, FIND = "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
STORAGE = tuple("1.2.840.10008.5.1.4.1.1." + tail for tail in ("2", "4", "88.22", "7.3"))
"""CT, MR, Enhanced SR, Multi-frame Grayscale Word SC."""
SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
SUCCESS, PENDING = 0x0000, 0xFF00
Handlers = list[Any]


def _no_nagle(event: evt.Event) -> None:
    transport = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _handlers() -> Handlers:
    return [(evt.EVT_CONN_OPEN, _no_nagle)] if os.environ.get("TCP_NODELAY") == "1" else []


def _tune(options: argparse.Namespace) -> None:
    if options.mode != "naive":
        _config.LOG_HANDLER_LEVEL = "none"
    if options.mode == "chunked":
        _config.STORE_RECV_CHUNKED_DATASET = _config.STORE_SEND_CHUNKED_DATASET = True


# --- server ------------------------------------------------------------------------------------------------------


def _path(event: evt.Event, folder: Path) -> Path:
    return folder / f"{getattr(event.request, 'AffectedSOPInstanceUID', '')}.dcm"


def _store_raw(event: evt.Event, folder: Path) -> None:
    _path(event, folder).write_bytes(event.encoded_dataset())


def _store_naive(event: evt.Event, folder: Path) -> None:
    dataset = event.dataset
    dataset.file_meta = event.file_meta
    dataset.save_as(folder / f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)


def _store_chunked(event: evt.Event, folder: Path) -> None:
    shutil.move(event.dataset_path, _path(event, folder))


STORES: dict[str, Callable[[evt.Event, Path], None]] = {
    "raw": _store_raw,
    "naive": _store_naive,
    "chunked": _store_chunked,
    "discard": lambda event, folder: None,
}


def scp(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    folder, store = Path(options.out), STORES[options.mode]
    _tune(options)
    if options.mode == "chunked":
        tempfile.tempdir = options.out

    def on_store(event: evt.Event) -> int:
        store(event, folder)
        return SUCCESS

    def on_find(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        for number in range(options.find):
            match = Dataset()
            match.SOPInstanceUID, match.QueryRetrieveLevel = f"1.2.3.4.5.{number}", "IMAGE"
            match.PatientID, match.StudyInstanceUID, match.SeriesInstanceUID = "BENCH001", "1.2.3.4", "1.2.3.4.5"
            match.InstanceNumber = number
            yield PENDING, match

    entity = AE()
    entity.maximum_pdu_size = options.max_pdu
    entity.maximum_associations = 10000
    for abstract_syntax in (VERIFICATION, FIND, *STORAGE):
        entity.add_supported_context(abstract_syntax, SYNTAXES)
    handlers = [*_handlers(), (evt.EVT_C_STORE, on_store), (evt.EVT_C_FIND, on_find)]
    entity.start_server(("127.0.0.1", options.port), block=False, evt_handlers=handlers)
    contract.serve()
    sys.stdout.flush()
    os._exit(0)  # threads of associations that hang would hold the process


# --- clients -----------------------------------------------------------------------------------------------------


def _associate(options: argparse.Namespace, *abstract_syntaxes: str) -> Association:
    _tune(options)
    entity = AE()
    for abstract_syntax in abstract_syntaxes:
        entity.add_requested_context(abstract_syntax, SYNTAXES)
    association = entity.associate(
        "127.0.0.1", options.port, ae_title=options.aec, max_pdu=options.max_pdu, evt_handlers=_handlers()
    )
    if not association.is_established:
        contract.fail("no association")
    return association


def _is_success(status: Dataset) -> bool:
    return "Status" in status and status.Status == SUCCESS


def echo(options: argparse.Namespace) -> None:
    """N echoes."""
    association = _associate(options, VERIFICATION)
    began = perf_counter()
    succeeded = sum(_is_success(association.send_c_echo()) for _ in range(options.n))
    seconds = perf_counter() - began
    association.release()
    contract.report(succeeded, seconds)


def assoc(options: argparse.Namespace) -> None:
    """N associations of one echo each."""
    succeeded, began = 0, perf_counter()
    for _ in range(options.n):
        association = _associate(options, VERIFICATION)
        succeeded += _is_success(association.send_c_echo())
        association.release()
    contract.report(succeeded, perf_counter() - began)


def store(options: argparse.Namespace) -> None:
    """Every file of a folder."""
    paths = sorted(Path(options.dir).iterdir())
    association = _associate(options, *STORAGE)
    succeeded, began = 0, perf_counter()
    for path in paths:
        succeeded += _is_success(association.send_c_store(path if options.mode == "chunked" else dcmread(path)))
    seconds = perf_counter() - began
    association.release()
    contract.report(succeeded, seconds, bytes=sum(path.stat().st_size for path in paths))


def find(options: argparse.Namespace) -> None:
    """One query."""
    association = _associate(options, FIND)
    query = Dataset()
    query.QueryRetrieveLevel, query.SOPInstanceUID, query.InstanceNumber = "IMAGE", "", None
    query.StudyInstanceUID, query.SeriesInstanceUID = options.study, options.series
    began = perf_counter()
    answers = association.send_c_find(query, FIND)
    succeeded = sum("Status" in status and status.Status == PENDING for status, _ in answers)
    seconds = perf_counter() - began
    association.release()
    contract.report(succeeded, seconds)


if __name__ == "__main__":
    contract.run("driver_pynetdicom.py", {"scp": scp, "echo": echo, "assoc": assoc, "store": store, "find": find})
