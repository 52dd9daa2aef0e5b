"""ldicomnet on a fixed command line, so that any harness can run it beside other stacks; public API only.

    driver.py scp   --port P --out DIR [--mode raw|naive|chunked|discard] [--max-pdu N] [--find N] [--sync]
    driver.py echo  --port P --n N                    one association, N echoes
    driver.py assoc --port P --n N                    N times associate, echo, release
    driver.py store --port P --dir DIR [--window N]   every file of a folder, in one association
    driver.py find  --port P --study UID --series UID one C-FIND at image level

`scp` prints READY when it listens and ends at SIGTERM. It writes what it is sent to DIR/<SOP Instance UID>.dcm: as it
arrives (raw and chunked), or once it was decoded and encoded again by pydicom (naive), or not at all (discard). It
answers C-FIND with N matches, which naive encodes by pydicom one by one. The others print one line of JSON: `n`, the
operations that succeeded, and `seconds` on their own clock; that of `store` runs from the association to the last
response. With `--mode naive`, `find` decodes every identifier by pydicom.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from ldicomnet import (
    VERIFICATION,
    AbortReason,
    AbortSource,
    ErrorCode,
    LDicomAssociate,
    LDicomDS,
    LDicomNet,
    Priority,
    RejectReason,
    RejectResult,
    RejectSource,
    SecureMode,
    Status,
    TLSContextSettings,
    VerifyMode,
)

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
STORAGE = tuple("1.2.840.10008.5.1.4.1.1." + tail for tail in ("2", "4", "88.22", "7.3"))
"""CT, MR, Enhanced SR, Multi-frame Grayscale Word SC."""
SUPPORTED = {uid: (EXPLICIT, IMPLICIT) for uid in (VERIFICATION, FIND, *STORAGE)}


def identifier(transfer_syntax: str, *elements: tuple[int, int, bytes, bytes]) -> bytes:
    """An encoded identifier of elements with short lengths: group, element, VR, value."""
    parts = []
    for group, element, vr, value in elements:
        value += b"\0" if vr == b"UI" and len(value) & 1 else b" " * (len(value) & 1)
        if transfer_syntax == IMPLICIT:
            parts.append(struct.pack("<HHI", group, element, len(value)) + value)
        else:
            parts.append(struct.pack("<HH2sH", group, element, vr, len(value)) + value)
    return b"".join(parts)


# --- server ------------------------------------------------------------------------------------------------------


class Scp(LDicomNet):
    """Verification, storage into a folder, and a C-FIND that always matches `--find` times."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(None, _mode(options))
        self._options = options
        self.sync_files = options.sync

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        self.send_associate_accept(
            associate.accept(SUPPORTED, max_length=self._options.max_pdu, async_operations=(0, 0))
        )

    def on_begin_data(self, presentation_id: int, message: Any) -> str | None:
        """C-STORE data sets go to their file as they arrive."""
        if self._options.mode == "discard":
            message.refuse(Status.SUCCESS)
        elif self._options.mode != "naive" and message.row.name == "c_store_request":
            return f"{self._options.out}/{message.file_name}"
        return None

    def on_receive_c_store_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, priority: Priority,
        move_ae: str, move_message_id: int, dataset: LDicomDS | None,
    ) -> None:  # fmt: skip
        if self._options.mode == "naive" and dataset is not None:
            again = LDicomDS.from_dataset(dataset.dataset, dataset.transfer_syntax)
            again.save(f"{self._options.out}/{again.file_name}", durable=False)
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, Status.SUCCESS)

    def on_receive_c_find_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, priority: Priority, dataset: LDicomDS | None
    ) -> None:
        associate = self.get_associate()
        assert associate is not None
        syntax = associate.get_transfer(presentation_id, 0)
        matches = self._decoded_matches() if self._options.mode == "naive" else self._encoded_matches(syntax)
        for match in matches:
            self.send_c_find_response(presentation_id, message_id, sop_class_uid, Status.PENDING, match)
        self.send_c_find_response(presentation_id, message_id, sop_class_uid, Status.SUCCESS)

    def _encoded_matches(self, syntax: str) -> Iterator[LDicomDS]:
        """As from a database that keeps its answers encoded: what is the same in all is made once."""
        same = identifier(
            syntax,
            (0x0008, 0x0052, b"CS", b"IMAGE"),
            (0x0010, 0x0020, b"LO", b"BENCH001"),
            (0x0020, 0x000D, b"UI", b"1.2.3.4"),
            (0x0020, 0x000E, b"UI", b"1.2.3.4.5"),
        )
        for number in range(self._options.find):
            instance = identifier(syntax, (0x0008, 0x0018, b"UI", b"1.2.3.4.5.%d" % number))
            place = identifier(syntax, (0x0020, 0x0013, b"IS", b"%d" % number))
            yield LDicomDS.from_bytes(instance + same + place, syntax)

    def _decoded_matches(self) -> Iterator[Any]:
        from pydicom import Dataset

        for number in range(self._options.find):
            match = Dataset()
            match.SOPInstanceUID, match.QueryRetrieveLevel = f"1.2.3.4.5.{number}", "IMAGE"
            match.PatientID, match.StudyInstanceUID, match.SeriesInstanceUID = "BENCH001", "1.2.3.4", "1.2.3.4.5"
            match.InstanceNumber = number
            yield match


def scp(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    net = Scp(options)
    _secure(net, options)
    net.listen("127.0.0.1", options.port)
    print("READY", flush=True)
    ended.wait()
    net.server_close()


# --- clients -----------------------------------------------------------------------------------------------------


class Scu(LDicomNet):
    """One association; a derived class does its work in hooks and calls `send_release_request` at the end."""

    abstract_syntaxes: tuple[str, ...] = (VERIFICATION,)

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(None, _mode(options))
        _secure(self, options)
        self._options = options
        self._closed = threading.Event()
        self.succeeded = 0
        self.began = self.ended = 0.0
        self._associate = self._make_associate()

    def _make_associate(self) -> LDicomAssociate:
        associate = LDicomAssociate(True)
        associate.default()
        associate.set_calling("LDICOMNET")
        associate.set_called(self._options.aec)
        associate.set_max_length(True, self._options.max_pdu)
        associate.set_async_operations(self._options.window > 1, self._options.window, 1)
        for abstract_syntax in self.abstract_syntaxes:
            associate.add_context(abstract_syntax, [EXPLICIT, IMPLICIT])
        return associate

    def run(self) -> None:
        """Connect and wait for the end."""
        self.connect("", 0, "127.0.0.1", self._options.port)
        self._closed.wait()

    def on_connect(self, error: ErrorCode) -> None:
        if error:
            print(f"no connection: {error.name}", file=sys.stderr)
            self._closed.set()
        elif not self._options.tls:
            self.send_associate_request(self._associate)

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        if error:
            print(f"no secure link: {error.name}", file=sys.stderr)
        else:
            self.send_associate_request(self._associate)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        self.began = perf_counter()
        self.send_next()

    def send_next(self) -> None:
        """Send the next request, or release."""
        self.ended = perf_counter()
        self.send_release_request()

    def on_receive_associate_reject(self, result: RejectResult, source: RejectSource, reason: RejectReason) -> None:
        print(f"rejected: {result!r} {source!r} {reason!r}", file=sys.stderr)

    def on_receive_abort(self, source: AbortSource, reason: AbortReason) -> None:
        print(f"aborted: {source!r} {reason!r}", file=sys.stderr)

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        self.ended = self.ended or perf_counter()
        self._closed.set()


class Echo(Scu):
    """So many echoes."""

    def __init__(self, options: argparse.Namespace, count: int) -> None:
        super().__init__(options)
        self._left = count

    def send_next(self) -> None:
        if not self._left:
            super().send_next()
            return
        self._left -= 1
        self.send_c_echo_request(1, self.next_message_id())

    def on_receive_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status
    ) -> None:
        self.succeeded += status == Status.SUCCESS
        self.send_next()


class Associations(Echo):
    """So many associations of one echo each, one after the other."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options, 1)
        self._associations = options.n

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        self._associations -= 1
        if error or not self._associations:
            super().on_close(error, net)
            return
        self._left = 1
        self.connect("", 0, "127.0.0.1", self._options.port)


class Store(Scu):
    """Every file of a folder, `--window` at a time."""

    abstract_syntaxes = STORAGE

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.enable_progress_event = options.progress
        self.reports = 0
        self._paths = iter(sorted(entry.path for entry in os.scandir(options.dir)))
        self._contexts = {uid: 2 * place + 1 for place, uid in enumerate(STORAGE)}
        self._outstanding = 0
        self._ready: LDicomDS | None = None

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        self.began = perf_counter()
        for _ in range(max(1, associate.get_invoked_operations())):
            self.send_next()

    def on_progress_status(self, sent: int, received: int, total: int | None) -> None:
        self.reports += 1

    def send_next(self) -> None:
        """Send the file that is ready, and make the next one ready while the peer is at work."""
        file, self._ready = self._ready or self._load(), None
        if file is None:
            if not self._outstanding:
                super().send_next()
            return
        self._outstanding += 1
        context, sop_class, instance = self._contexts[file.sop_class_uid], file.sop_class_uid, file.sop_instance_uid
        self.send_c_store_request(context, self.next_message_id(), sop_class, instance, dataset=file)
        self._ready = self._load()

    def _load(self) -> LDicomDS | None:
        path = next(self._paths, None)
        return None if path is None else LDicomDS.load(path)

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
    ) -> None:
        self._outstanding -= 1
        self.succeeded += status == Status.SUCCESS
        self.send_next()


class Find(Scu):
    """One query; counts its answers."""

    abstract_syntaxes = (FIND,)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        syntax = associate.get_transfer(1, 0)
        query = identifier(
            syntax,
            (0x0008, 0x0018, b"UI", b""),
            (0x0008, 0x0052, b"CS", b"IMAGE"),
            (0x0020, 0x000D, b"UI", self._options.study.encode()),
            (0x0020, 0x000E, b"UI", self._options.series.encode()),
            (0x0020, 0x0013, b"IS", b""),
        )
        self.began = perf_counter()
        self.send_c_find_request(1, self.next_message_id(), FIND, dataset=LDicomDS.from_bytes(query, syntax))

    def on_receive_c_find_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status, dataset: LDicomDS | None
    ) -> None:
        if not status.is_pending:
            self.send_next()
        elif dataset is not None and (self._options.mode != "naive" or dataset.dataset.SOPInstanceUID):
            self.succeeded += 1


def _mode(options: argparse.Namespace) -> SecureMode:
    return SecureMode.TLS if options.tls else SecureMode.NONE


def _secure(net: LDicomNet, options: argparse.Namespace) -> None:
    """TLS with the certificate of the options, in either role; nobody verifies the other."""
    if options.tls:
        net.initialize(None, SecureMode.TLS, TLSContextSettings(verify_mode=VerifyMode.NONE))
        net.set_client_certificate_tls(options.tls[0], key=options.tls[1])


def echo(options: argparse.Namespace) -> None:
    """N echoes."""
    client = Echo(options, options.n)
    client.run()
    _report(client.succeeded, client.ended - client.began)


def assoc(options: argparse.Namespace) -> None:
    """N associations of one echo each."""
    client, began = Associations(options), perf_counter()
    client.run()
    _report(client.succeeded, perf_counter() - began)


def store(options: argparse.Namespace) -> None:
    """A folder."""
    client = Store(options)
    size = sum(entry.stat().st_size for entry in os.scandir(options.dir))
    client.run()
    _report(client.succeeded, client.ended - client.began, bytes=size, began=client.began, reports=client.reports)


def find(options: argparse.Namespace) -> None:
    """One query."""
    client = Find(options)
    client.run()
    _report(client.succeeded, client.ended - client.began)


def _report(succeeded: int, seconds: float, **more: float) -> None:
    print(json.dumps({"n": succeeded, "seconds": seconds, **more}), flush=True)


COMMANDS = {"scp": scp, "echo": echo, "assoc": assoc, "store": store, "find": find}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="driver.py", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--port", type=int, required=True, help="port of the server on 127.0.0.1")
    parser.add_argument("--out", default=".", metavar="DIR", help="folder that scp writes to")
    parser.add_argument("--dir", metavar="DIR", help="folder that store sends")
    parser.add_argument("--mode", default="raw", help="what scp does with data sets, see above")
    parser.add_argument("--max-pdu", type=int, default=16384, metavar="N", help="longest PDU received, 0 for any")
    parser.add_argument("--n", type=int, default=100, help="how many echoes or associations")
    parser.add_argument("--find", type=int, default=10000, metavar="N", help="matches of a C-FIND")
    parser.add_argument("--study", default="", metavar="UID")
    parser.add_argument("--series", default="", metavar="UID")
    parser.add_argument("--window", type=int, default=1, metavar="N", help="most operations of store at once")
    parser.add_argument("--progress", action="store_true", help="store asks for progress, and counts the reports")
    parser.add_argument("--sync", action="store_true", help="scp answers when the file is on the disk")
    parser.add_argument("--aec", default="ANY-SCP", metavar="TITLE", help="AE title of the server")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), help="TLS with these files, without verification")
    options = parser.parse_args(arguments)
    if options.command == "store" and not (options.dir and Path(options.dir).is_dir()):
        parser.error(f"--dir: there is no folder {options.dir!r}")
    return options


if __name__ == "__main__":
    options = parse()
    COMMANDS[options.command](options)
