"""Data sets that stream: into files and file objects that `on_begin_data` names, and out of files; over real TCP."""

from __future__ import annotations

import errno
import io
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from unittest import mock

from pydicom import dcmread

from ldicomnet import ErrorCode, LDicomDataError, LDicomDS, LDicomError, LDicomUsageError, Message, Status
from ldicomnet import body as body_room
from ldicomnet import part_file as part_room

from . import raw
from .raw import COMMAND, LAST, Peer, p_data, pdv
from .support import CT, DEFLATED, IMPLICIT, SECONDS, VERIFICATION, ByHand, Ends, Recorder, accept_all, request

SMALL, MEDIUM, LARGE = 512, 200 << 10, 3 << 20
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def said_stored(net: Recorder, context: int, message_id: int, sop_class: str, instance: str, *_: Any) -> None:
    """An answer to `on_receive_c_store_request`."""
    net.send_c_store_response(context, message_id, sop_class, instance, Status.SUCCESS)


class Keeper(Recorder):
    """Says where data sets go."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.where: Callable[[Message], Any] = lambda message: None
        self.watch: Callable[[], Any] | None = None

    def create_client(self) -> Recorder:
        """A client keeps as its server does."""
        client = super().create_client()
        assert isinstance(client, Keeper)
        client.where, client.watch = self.where, self.watch
        return client

    def on_begin_data(self, presentation_id: int, message: Message) -> Any:
        """Note it, and do as the test wants."""
        self.note("on_begin_data", presentation_id, message.name, message.sop_instance_uid)
        return self.where(message)

    def on_progress_status(self, sent: int, received: int, total: int | None) -> None:
        """Note it, and what the test looks at."""
        self.note("on_progress_status", sent, received, total, self.watch and self.watch())


class Streams(Ends, ByHand):
    """Tests with a server that keeps what it gets, and a folder for it."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.spools = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.where: Callable[[Message], Any] = lambda message: self.folder / message.file_name

    def left(self, folder: Path | None = None) -> list[str]:
        """What is in the folder."""
        return sorted(os.listdir(folder or self.folder))

    def acceptor(self) -> Keeper:
        """The server."""
        net = Keeper(str(self.spools))
        net.where = lambda message: self.where(message)
        net.watch = self.left
        net.enable_progress_event = True
        net.answers["on_receive_associate_request"] = accept_all
        net.answers["on_receive_c_store_request"] = said_stored
        self.addCleanup(net.close_forced)
        return net

    def requestor(self) -> Keeper:
        """The client; it is told of progress."""
        net = Keeper(str(self.spools))
        net.enable_progress_event = True
        self.addCleanup(net.close_forced)
        return net

    def ends(self) -> tuple[Keeper, Keeper]:
        """Two ends with an association over TCP: context 1 for CT, 3 for queries, 5 for C-ECHO."""
        client, server = self.associated_over_tcp((CT, IMPLICIT), (FIND, IMPLICIT), (VERIFICATION, IMPLICIT))
        assert isinstance(client, Keeper) and isinstance(server, Keeper)
        return client, server

    def store(self, client: Recorder, size: int, instance: str = "") -> tuple[int, str, bytes]:
        """Send an instance with so much pixel data; the status that comes back, its UID, and what was sent."""
        instance = instance or raw.instance_uid()
        data = raw.data_set(instance, size)
        number = client.count("on_receive_c_store_response") + 1
        client.send_c_store_request(1, number, CT, instance, dataset=LDicomDS.from_bytes(data, IMPLICIT))
        context, message_id, sop_class, answered, status = client.wait_for("on_receive_c_store_response", number)
        self.assertEqual((context, message_id, sop_class, answered), (1, number, CT, instance))
        return status, instance, data

    def assert_goes_on(self, client: Recorder) -> None:
        """The association still stands, and the next object is stored."""
        where, self.where = self.where, lambda message: self.folder / message.file_name
        status, instance, data = self.store(client, SMALL)
        self.assertEqual(status, Status.SUCCESS)
        self.assert_stored(instance, data)
        self.where = where

    def assert_stored(self, instance: str, data: bytes) -> None:
        """A DICOM file with just these bytes, as we and as pydicom read it."""
        path = self.folder / f"{instance}.dcm"
        loaded = LDicomDS.load(path)
        self.assertEqual(loaded.read(), data)
        self.assertTrue(path.read_bytes().endswith(data))
        uids = loaded.sop_class_uid, loaded.sop_instance_uid, loaded.transfer_syntax
        self.assertEqual(uids, (CT, instance, IMPLICIT))
        dataset = dcmread(path)
        self.assertEqual((dataset.SOPInstanceUID, dataset.PatientName), (instance, "Wire^Test"))
        self.assertEqual(dataset.file_meta.MediaStorageSOPInstanceUID, instance)
        self.assertEqual(dataset.file_meta.TransferSyntaxUID, IMPLICIT)

    def peer(self) -> tuple[Peer, Keeper]:
        """A peer made by hand, associated: context 1 for C-ECHO, 3 for CT; and the server."""
        server = self.acceptor()
        server.listen("127.0.0.1")
        return self.peer_of(server), server

    def client_of(self, server: Keeper) -> Keeper:
        """The server's end of its only connection."""
        client = server.get_client(0)
        assert isinstance(client, Keeper)
        return client

    def wait_until(self, condition: Callable[[], object]) -> None:
        """What nobody tells of, but must come in time."""
        until, pause = monotonic() + SECONDS, threading.Event()
        while not condition():
            self.assertLess(monotonic(), until)
            pause.wait(0.002)


def begun(instance: str) -> bytes:
    """The command set of a C-STORE request."""
    return p_data(pdv(3, COMMAND | LAST, raw.store_command(instance)))


def part(data: bytes, last: bool, size: int = 16000) -> bytes:
    """A part of a data set, in PDUs that every peer takes."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(p_data(pdv(3, LAST * (last and at == len(pieces) - 1), one)) for at, one in enumerate(pieces))


class IntoFiles(Streams):
    """`on_begin_data` gives a path."""

    def test_the_file_is_what_was_sent(self) -> None:
        client, server = self.ends()
        for number, size in enumerate((0, SMALL, MEDIUM, LARGE), 1):
            with self.subTest(size=size):
                status, instance, data = self.store(client, size)
                self.assertEqual(status, Status.SUCCESS)
                self.assert_stored(instance, data)
                dataset = server.wait_for("on_receive_c_store_request", number)[-1]
                self.assertEqual((dataset.size, dataset.read()), (len(data), data))
                self.assertEqual(dataset.file_name, f"{instance}.dcm")
        self.assertEqual(len(self.left()), 4)
        self.assertEqual(self.left(self.spools), [])

    def test_the_hook_is_asked_once_and_first(self) -> None:
        client, server = self.ends()
        _status, instance, _data = self.store(client, LARGE)
        self.assertEqual(server.wait_for("on_begin_data"), (1, "c_store_request", instance))
        told = [name for name in server.names() if name != "on_progress_status"]
        self.assertEqual(told[-2:], ["on_begin_data", "on_receive_c_store_request"])
        self.assertEqual(server.count("on_begin_data"), 1)

    def test_not_for_messages_without_a_data_set(self) -> None:
        client, server = self.ends()
        client.send_c_echo_request(5, 1)
        client.wait_for("on_receive_c_echo_response")
        self.assertEqual(server.count("on_begin_data"), 0)

    def test_not_there_before_it_is_complete(self) -> None:
        """Nor anything that looks like it: what grows has a name of its own."""
        peer, server = self.peer()
        instance = raw.instance_uid()
        data = raw.data_set(instance, LARGE)
        half = 1 << 20
        peer.send(begun(instance) + part(data[:half], last=False))
        end = self.client_of(server)
        self.wait_until(self.left)  # the first fragments wait in the buffer until a write is worth it
        (name,) = self.left()
        self.assertRegex(name, r"^\..+\.part$")
        peer.send(part(data[half:], last=True))
        self.answer(peer, "8001/1 0000")
        for _sent, _received, total, names in [call[1:] for call in end.calls if call[0] == "on_progress_status"]:
            if total is None:
                self.assertEqual([name for name in names if not name.startswith(".")], [])
        self.assert_stored(instance, data)
        self.assertEqual(self.left(), [f"{instance}.dcm"])

    def test_one_that_is_there_is_replaced(self) -> None:
        client, _server = self.ends()
        instance = raw.instance_uid()
        path = self.folder / f"{instance}.dcm"
        path.write_bytes(b"the old one")
        before: list[bytes] = []
        where = self.where
        self.where = lambda message: (before.append(path.read_bytes()), where(message))[1]
        for size in (LARGE, SMALL):
            status, _instance, data = self.store(client, size, instance)
            self.assertEqual(status, Status.SUCCESS)
            self.assert_stored(instance, data)
        self.assertEqual(before[0], b"the old one")
        self.assertEqual(self.left(), [path.name])

    def test_one_that_is_there_stays_where_the_new_one_fails(self) -> None:
        peer, server = self.peer()
        instance = raw.instance_uid()
        path = self.folder / f"{instance}.dcm"
        path.write_bytes(b"the old one")
        peer.send(begun(instance) + part(bytes(MEDIUM), last=False))
        end = self.client_of(server)
        end.wait_for("on_begin_data")
        peer.send(raw.abort())
        end.wait_for("on_close")
        self.assertEqual((self.left(), path.read_bytes()), ([path.name], b"the old one"))

    def test_kinds_of_paths(self) -> None:
        client, _server = self.ends()
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        ways: tuple[Callable[[Message], Any], ...] = (
            lambda message: str(self.folder / message.file_name),
            lambda message: message.file_name,
            lambda message: Path(message.file_name),
        )
        for way in ways:
            self.where = way
            status, instance, data = self.store(client, SMALL)
            self.assertEqual(status, Status.SUCCESS)
            self.assert_stored(instance, data)

    def test_the_file_stays_when_the_data_set_goes(self) -> None:
        client, server = self.ends()
        _status, instance, data = self.store(client, MEDIUM)
        server.calls.clear()
        client.close()
        server.wait_for("on_close")
        self.assert_stored(instance, data)

    def test_memory_is_what_none_means(self) -> None:
        client, server = self.ends()
        self.where = lambda message: None
        for number, size in enumerate((SMALL, LARGE), 1):
            status, _instance, data = self.store(client, size)
            self.assertEqual(status, Status.SUCCESS)
            self.assertEqual(server.wait_for("on_receive_c_store_request", number)[-1].read(), data)
            self.assertEqual(len(self.left(self.spools)), number - 1)
        self.assertEqual(self.left(), [])

    def test_an_empty_data_set(self) -> None:
        """There is no file, and the hook is told all the same."""
        client, server = self.ends()
        client.send_c_store_request(1, 1, CT, "1.2.3", dataset=LDicomDS.from_bytes(b"", IMPLICIT))
        self.assertEqual(client.wait_for("on_receive_c_store_response")[-1], Status.SUCCESS)
        dataset = server.wait_for("on_receive_c_store_request")[-1]
        self.assertEqual((dataset.size, dataset.read(), self.left()), (0, b"", []))

    def test_other_messages_with_a_data_set(self) -> None:
        """A query of the client's, and its answer: each goes where its receiver says."""
        client, server = self.ends()
        self.where = lambda message: self.folder / f"{message.name}.dcm"
        client.where = lambda message: self.folder / f"{message.name}.dcm"
        match = raw.data_set("1.2.3")
        server.answers["on_receive_c_find_request"] = lambda net, context, message_id, sop_class, *_: (
            net.send_c_find_response(context, message_id, sop_class, 0xFF00, LDicomDS.from_bytes(match, IMPLICIT)),
            net.send_c_find_response(context, message_id, sop_class, 0),
        )
        query = raw.data_set("1.2")
        client.send_c_find_request(3, 1, FIND, dataset=LDicomDS.from_bytes(query, IMPLICIT))
        client.wait_for("on_receive_c_find_response", 2)
        self.assertEqual(self.left(), ["c_find_request.dcm", "c_find_response.dcm"])
        for name, data in (("c_find_request", query), ("c_find_response", match)):
            loaded = LDicomDS.load(self.folder / f"{name}.dcm")
            self.assertEqual((loaded.read(), dcmread(self.folder / f"{name}.dcm").PatientName), (data, "Wire^Test"))

    def test_two_connections_at_once(self) -> None:
        """Their data sets arrive in turn, into one folder."""
        one, server = self.peer()
        other = self.peer_of(server)
        sent = [(peer, uid, raw.data_set(uid, LARGE)) for peer, uid in ((one, "1.2.1"), (other, "1.2.2"))]
        for peer, instance, _data in sent:
            peer.send(begun(instance))
        for at in range(0, LARGE, MEDIUM):
            for peer, _instance, data in sent:
                peer.send(part(data[at : at + MEDIUM], last=False))
        for peer, instance, data in reversed(sent):
            peer.send(part(data[(LARGE // MEDIUM + 1) * MEDIUM :] or b"", last=True) or p_data(pdv(3, LAST, b"")))
            self.answer(peer, "8001/1 0000")
            self.assert_stored(instance, data)
        self.assertEqual(self.left(), ["1.2.1.dcm", "1.2.2.dcm"])

    def test_two_connections_to_one_path(self) -> None:
        """The last to be complete is there, whole."""
        one, server = self.peer()
        other = self.peer_of(server)
        mine, others = raw.data_set("1.2.3", MEDIUM), raw.data_set("1.2.3", SMALL)
        one.send(begun("1.2.3") + part(mine[:MEDIUM], last=False))
        other.send(begun("1.2.3") + part(others, last=True))
        self.answer(other, "8001/1 0000")
        self.assert_stored("1.2.3", others)
        one.send(part(mine[MEDIUM:], last=True))
        self.answer(one, "8001/1 0000")
        self.assert_stored("1.2.3", mine)
        self.assertEqual(self.left(), ["1.2.3.dcm"])


class WhatCannotBeKept(Streams):
    """One object is lost, its sender is told which status, and the association goes on."""

    def check(self, status: int, size: int = MEDIUM) -> None:
        """An object of that size gets this answer, its hook is not called, and nothing stays."""
        client, server = self.ends()
        with self.assertLogs("ldicomnet", "ERROR"):
            told, _instance, _data = self.store(client, size)
        self.assertEqual(told, status)
        self.assertEqual(server.count("on_receive_c_store_request"), 0)
        self.assertEqual((self.left(), self.left(self.spools)), ([], []))
        self.assert_goes_on(client)

    def test_a_hook_that_raises(self) -> None:
        for error in (ZeroDivisionError("in a hook"), SystemExit(1), LDicomDataError(ErrorCode.PARAMETER, "no UID")):
            with self.subTest(error=error):

                def fail(message: Message, error: BaseException = error) -> Any:
                    raise error

                self.where = fail
                self.check(Status.PROCESSING_FAILURE)
                (self.folder / self.left()[0]).unlink()

    def test_what_is_no_path_and_no_file(self) -> None:
        for given in (5, b"bytes", "a\0b", object(), ["a"], True, Path("a\0b"), "\ud800"):
            with self.subTest(given=given):
                self.where = lambda message, given=given: given  # type: ignore[misc]
                self.check(Status.PROCESSING_FAILURE, SMALL)
                (self.folder / self.left()[0]).unlink()

    def test_a_folder_that_is_not_there(self) -> None:
        for size in (SMALL, LARGE):
            self.where = lambda message: self.folder / "none" / message.file_name
            self.check(Status.REFUSED_OUT_OF_RESOURCES, size)
            (self.folder / self.left()[0]).unlink()

    def test_a_path_that_is_a_folder(self) -> None:
        """Sending it again does not change that."""
        self.where = lambda message: self.folder
        self.check(Status(0xC000))

    def test_a_name_that_a_peer_would_like(self) -> None:
        """`file_name` makes no path of it."""
        peer, server = self.peer()
        with self.assertLogs("ldicomnet", "ERROR"):
            peer.send(raw.message(3, raw.store_command("../../evil"), raw.data_set("1.2")))
            self.answer(peer, "8001/1 0110")
        peer.send(raw.echo(2))
        self.answer(peer, "8030/2 0000")
        self.assertEqual(self.client_of(server).count("on_receive_c_store_request"), 0)

    def test_no_permission(self) -> None:
        refused = PermissionError(errno.EACCES, "Permission denied")
        real = os.open

        def only_elsewhere(path: Any, *rest: Any) -> int:
            if str(path).startswith(str(self.folder)) and not allowed.is_set():
                raise refused
            return real(path, *rest)

        allowed = threading.Event()
        client, _server = self.ends()
        with mock.patch.object(part_room.os, "open", only_elsewhere), self.assertLogs("ldicomnet", "ERROR") as logs:
            self.assertEqual(self.store(client, SMALL)[0], Status.REFUSED_OUT_OF_RESOURCES)
            allowed.set()
        self.assertIn("Permission denied", logs.output[0])
        self.assert_goes_on(client)

    @staticmethod
    def full_after(count: int) -> Any:
        """A disk that takes so many writes."""
        name = "writev" if hasattr(os, "writev") else "write"
        real, calls = getattr(os, name), iter(range(1 << 30))

        def write(*arguments: Any) -> int:
            if next(calls) >= count:
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(real(*arguments))

        return mock.patch.object(body_room.os, name, write)

    def test_a_disk_that_is_full(self) -> None:
        """At once, and in the middle; with a named file, and with the temporary one."""
        ways: tuple[Callable[[Message], Any], ...] = (lambda message: self.folder / message.file_name, lambda _: None)
        for way in ways:
            for count in (0, 2):
                with self.subTest(count=count):
                    client, server = self.ends()
                    self.where = way
                    with self.full_after(count), self.assertLogs("ldicomnet", "ERROR") as logs:
                        self.assertEqual(self.store(client, LARGE)[0], Status.REFUSED_OUT_OF_RESOURCES)
                    self.assertIn("No space left", logs.output[0])
                    self.assertEqual((self.left(), self.left(self.spools)), ([], []))
                    self.assertEqual(server.count("on_receive_c_store_request"), 0)
                    self.assert_goes_on(client)
                    (self.folder / self.left()[0]).unlink()

    def test_a_disk_that_is_full_at_the_end(self) -> None:
        for call in ("close", "replace"):
            with self.subTest(call):
                client, _server = self.ends()
                real = getattr(os, call)

                def fail(*arguments: Any, call: str = call, real: Any = real) -> None:
                    if call == "close":
                        real(*arguments)
                    raise OSError(errno.EDQUOT, "Disk quota exceeded")

                with mock.patch.object(part_room.os, call, fail), self.assertLogs("ldicomnet", "ERROR"):
                    self.assertEqual(self.store(client, MEDIUM)[0], Status.REFUSED_OUT_OF_RESOURCES)
                self.assertEqual(self.left(), [])
                self.assert_goes_on(client)
                (self.folder / self.left()[0]).unlink()

    def test_more_than_is_allowed(self) -> None:
        ways: tuple[Callable[[Message], Any], ...] = (lambda message: self.folder / message.file_name, lambda _: None)
        for way in ways:
            client, server = self.ends()
            server.limits.data_set = MEDIUM
            self.where = way
            with self.assertLogs("ldicomnet", "ERROR"):
                self.assertEqual(self.store(client, LARGE)[0], Status.REFUSED_OUT_OF_RESOURCES)
            self.assertEqual((self.left(), self.left(self.spools)), ([], []))
            self.assert_goes_on(client)
            (self.folder / self.left()[0]).unlink()

    def test_where_no_answer_is_possible(self) -> None:
        """A response whose data set cannot be kept: the association is aborted."""
        client, server = self.ends()

        def fail(message: Message) -> Any:
            raise ZeroDivisionError("in a hook")

        client.where = fail
        server.answers["on_receive_c_find_request"] = lambda net, context, message_id, sop_class, *_: (
            net.send_c_find_response(context, message_id, sop_class, 0xFF00, LDicomDS.from_bytes(b"ab" * 9, IMPLICIT))
        )
        with self.assertLogs("ldicomnet", "WARNING"):
            self.where = lambda _: None
            client.send_c_find_request(3, 1, FIND, dataset=LDicomDS.from_bytes(raw.data_set("1.2"), IMPLICIT))
            self.assertEqual(server.wait_for("on_receive_abort"), (2, 0))
            client.wait_for("on_close")


class IntoFileObjects(Streams):
    """`on_begin_data` gives a binary file object."""

    def test_what_it_gets(self) -> None:
        """The encoded data set, without a header; it stays open."""
        client, server = self.ends()
        for number, size in enumerate((0, SMALL, MEDIUM, LARGE), 1):
            file = io.BytesIO()
            self.where = lambda message, file=file: file  # type: ignore[misc]
            status, _instance, data = self.store(client, size)
            self.assertEqual((status, file.closed, file.getvalue()), (Status.SUCCESS, False, data))
            dataset = server.wait_for("on_receive_c_store_request", number)[-1]
            self.assertEqual(dataset.size, len(data))
            self.assertRaises(LDicomDataError, dataset.read)
        self.assertEqual(self.left(self.spools), [])

    def test_temporary_files(self) -> None:
        """Those of the standard library, one of which hands `write` on to the file it wraps."""
        client, _server = self.ends()
        for make in (tempfile.TemporaryFile, tempfile.SpooledTemporaryFile, tempfile.NamedTemporaryFile):
            with self.subTest(make), make() as file:  # type: ignore[operator]
                self.where = lambda message, file=file: file  # type: ignore[misc]
                status, _instance, data = self.store(client, MEDIUM)
                file.seek(0)
                self.assertEqual((status, file.read()), (Status.SUCCESS, data))

    def test_a_raw_file_with_short_writes(self) -> None:
        class Reluctant(io.FileIO):
            def write(self, data: Any) -> int:
                return super().write(memoryview(data)[:4099])

        client, _server = self.ends()
        with Reluctant(self.folder / "raw", "wb") as file:
            self.where = lambda message: file
            status, _instance, data = self.store(client, LARGE)
        self.assertEqual(status, Status.SUCCESS)
        self.assertEqual((self.folder / "raw").read_bytes(), data)

    def test_one_that_fails(self) -> None:
        """At once, and in the middle."""
        for error in (OSError(errno.ENOSPC, "No space left on device"), ValueError("I/O operation on closed file")):
            for size in (SMALL, LARGE):
                with self.subTest(error=error, size=size):
                    client, server = self.ends()
                    file = mock.Mock(write=mock.Mock(side_effect=[None] * (size // MEDIUM) + [error] * 1000))
                    self.where = lambda message, file=file: file  # type: ignore[misc]
                    with self.assertLogs("ldicomnet", "ERROR") as logs:
                        self.assertEqual(self.store(client, size)[0], Status.REFUSED_OUT_OF_RESOURCES)
                    self.assertIn(str(getattr(error, "strerror", None) or error), logs.output[0])
                    self.assertEqual(server.count("on_receive_c_store_request"), 0)
                    self.assertEqual(file.write.call_count, size // MEDIUM + 1, "it is not asked again")
                    file.close.assert_not_called()
                    self.assert_goes_on(client)

    def test_a_closed_one(self) -> None:
        client, _server = self.ends()
        file = io.BytesIO()
        file.close()
        self.where = lambda message: file
        with self.assertLogs("ldicomnet", "ERROR"):
            self.assertEqual(self.store(client, SMALL)[0], Status.REFUSED_OUT_OF_RESOURCES)
        self.assert_goes_on(client)

    def test_one_after_the_other_into_the_same(self) -> None:
        client, _server = self.ends()
        file = io.BytesIO()
        self.where = lambda message: file
        sent = b"".join(self.store(client, size)[2] for size in (SMALL, MEDIUM, SMALL))
        self.assertEqual(file.getvalue(), sent)


class Refused(Streams):
    """`message.refuse`: answered at once, whatever is still to come."""

    def test_before_the_data_set(self) -> None:
        for size in (SMALL, LARGE):
            with self.subTest(size=size):
                peer, server = self.peer()
                self.where = lambda message: message.refuse(Status.REFUSED_OUT_OF_RESOURCES)
                instance = raw.instance_uid()
                peer.send(begun(instance))
                self.answer(peer, "8001/1 A700")
                peer.send(part(raw.data_set(instance, size), last=True) + raw.echo(2))
                self.answer(peer, "8030/2 0000")
                end = self.client_of(server)
                self.assertEqual(end.count("on_receive_c_store_request"), 0)
                self.assertEqual((self.left(), self.left(self.spools)), ([], []))
                self.where = lambda message: self.folder / message.file_name
                data = raw.data_set(instance, size)
                peer.send(begun(instance) + part(data, last=True))
                self.answer(peer, "8001/1 0000")
                self.assert_stored(instance, data)
                (self.folder / self.left()[0]).unlink()

    def test_any_status(self) -> None:
        client, server = self.ends()
        for status in (0xA701, 0x0122, 0xC123, Status.PROCESSING_FAILURE):
            self.where = lambda message, status=status: message.refuse(status)  # type: ignore[misc]
            self.assertEqual(self.store(client, MEDIUM)[0], status)
        self.assertEqual(server.count("on_receive_c_store_request"), 0)
        self.assert_goes_on(client)

    def test_whatever_else_the_hook_gives(self) -> None:
        client, _server = self.ends()
        for given in (self.folder / "x.dcm", io.BytesIO(), 5):
            self.where = lambda message, given=given: (message.refuse(0xA700), given)[1]  # type: ignore[misc]
            self.assertEqual(self.store(client, SMALL)[0], 0xA700)
        self.assertEqual(self.left(), [])

    def test_and_then_the_hook_raises(self) -> None:
        client, _server = self.ends()

        def refuse_and_fail(message: Message) -> None:
            message.refuse(0xA700)
            raise ZeroDivisionError("in a hook")

        self.where = refuse_and_fail
        with self.assertLogs("ldicomnet", "ERROR"):
            self.assertIn(self.store(client, SMALL)[0], (0xA700, 0x0110))
        self.assert_goes_on(client)

    def test_a_status_that_is_none(self) -> None:
        client, _server = self.ends()
        self.where = lambda message: message.refuse(-1)
        with self.assertLogs("ldicomnet", "ERROR"):
            self.assertEqual(self.store(client, SMALL)[0], Status.PROCESSING_FAILURE)
        self.assert_goes_on(client)

    def test_of_one_of_two_that_come_together(self) -> None:
        peer, server = self.peer()
        refused, kept = raw.data_set("1.2.1", SMALL), raw.data_set("1.2.2", SMALL)
        where = self.where
        self.where = lambda message: message.refuse(0xA700) if message.message_id == 1 else where(message)
        peer.send(raw.store("1.2.1", refused, 1) + raw.store("1.2.2", kept, 2) + raw.store("1.2.1", refused, 1))
        for line in ("8001/1 A700", "8001/2 0000", "8001/1 A700"):
            self.answer(peer, line)
        self.assert_stored("1.2.2", kept)
        self.assertEqual(self.client_of(server).count("on_receive_c_store_request"), 1)

    def test_a_query(self) -> None:
        client, server = self.ends()
        self.where = lambda message: message.refuse(0xA700) if message.name == "c_find_request" else None
        client.send_c_find_request(3, 7, FIND, dataset=LDicomDS.from_bytes(raw.data_set("1.2"), IMPLICIT))
        self.assertEqual(client.wait_for("on_receive_c_find_response"), (3, 7, FIND, 0xA700, None))
        self.assertEqual(server.count("on_receive_c_find_request"), 0)

    def test_a_command_set_with_a_malformed_element(self) -> None:
        """Invalid whatever the hook would say: A-ABORT, from the provider, invalid parameter."""
        malformed = raw.store_command("1.2.3").replace(raw.element(0x700, 0), raw.element(0x700, bytes(4)))
        malformed = raw.element(0, (len(malformed) - 12).to_bytes(4, "little")) + malformed[12:]
        hostile: tuple[Callable[[Message], Any], ...] = (
            lambda message: message.refuse(0xA700),
            lambda message: self.folder / "none" / "x",
            lambda message: self.folder / "x.dcm",
            lambda message: None,
        )
        for where in hostile:
            self.where = where
            peer, _server = self.peer()
            peer.send(raw.message(3, malformed, raw.data_set("1.2.3")))
            self.answer(peer, "ABORT 2 6")
            self.assertEqual((self.left(), self.left(self.spools)), ([], []))

    def test_what_cannot_be_refused(self) -> None:
        """A response: the hook's bug, and no answer is possible."""
        client, server = self.ends()
        errors: list[LDicomError] = []

        def refuse(message: Message) -> None:
            try:
                message.refuse(0xA700)
            except LDicomUsageError as error:
                errors.append(error)

        client.where = refuse
        self.where = lambda _: None
        server.answers["on_receive_c_find_request"] = lambda net, context, message_id, sop_class, *_: (
            net.send_c_find_response(context, message_id, sop_class, 0xFF00, LDicomDS.from_bytes(b"ab" * 9, IMPLICIT))
        )
        client.send_c_find_request(3, 7, FIND, dataset=LDicomDS.from_bytes(raw.data_set("1.2"), IMPLICIT))
        self.assertEqual(client.wait_for("on_receive_c_find_response")[:4], (3, 7, FIND, 0xFF00))
        self.assertEqual(len(errors), 1)


class Interrupted(Streams):
    """A peer that goes in the middle leaves nothing behind."""

    def test_however_it_goes(self) -> None:
        ways: tuple[Callable[[Peer, Keeper], object], ...] = (
            lambda peer, _end: peer.send(raw.abort()),
            lambda peer, _end: peer.reset(),
            lambda peer, _end: peer.half_close(),
            lambda peer, _end: peer.send(raw.pdu(0x42, b"abcd")),
            lambda peer, _end: peer.send(begun("1.2.9")),
            lambda _peer, end: end.close(),
            lambda _peer, end: end.close_forced(),
            lambda _peer, end: (end.send_abort(0, 0), _peer.close()),
        )
        targets: tuple[Callable[[Message], Any], ...] = (
            lambda message: self.folder / message.file_name,
            lambda message: None,
        )
        for target in targets:
            for number, way in enumerate(ways):
                with self.subTest(number=number):
                    self.where = target
                    peer, server = self.peer()
                    instance = raw.instance_uid()
                    peer.send(begun(instance) + part(bytes(2 << 20), last=False))
                    end = self.client_of(server)
                    self.wait_until(lambda: self.left() + self.left(self.spools))
                    way(peer, end)
                    end.wait_for("on_receive_abort") if end.is_connected() and number in (0, 3, 4) else None
                    peer.close()
                    end.wait_for("on_close")
                    self.assertEqual((self.left(), self.left(self.spools)), ([], []))
                    self.assertEqual(end.count("on_receive_c_store_request"), 0)


    def test_what_cannot_be_finished_goes_at_once(self) -> None:
        """Not when ARTIM ends what the peer does not: PS3.8 Table 9-10 takes no P-DATA any more in Sta8 (behind a
        release request), Sta9 and Sta10 (behind one that met ours) and Sta13 (behind any abort)."""
        ways: dict[str, tuple[str, Callable[[Peer, Keeper], object]]] = {
            "a release request": ("RP", lambda peer, _end: peer.send(raw.RELEASE)),
            "one that meets ours": ("RQ", lambda peer, end: (end.send_release_request(), peer.send(raw.RELEASE))),
            "an unknown PDU": ("ABORT 2 1", lambda peer, _end: peer.send(raw.pdu(0x42, b"abcd"))),
            "a second request": ("ABORT 2 2", lambda peer, _end: peer.send(raw.request())),
            "an abort of ours, and it sends on": (
                "ABORT 0 0", lambda peer, end: (end.send_abort(0, 0), peer.send(part(b"more", last=False)))
            ),
        }  # fmt: skip
        for target in (lambda message: self.folder / message.file_name, lambda message: None):
            for name, (answer, way) in ways.items():
                with self.subTest(name):
                    self.where = target
                    peer, server = self.peer()
                    peer.send(begun("1.2.3") + part(bytes(2 << 20), last=False))
                    end = self.client_of(server)
                    self.wait_until(lambda: self.left() + self.left(self.spools))
                    way(peer, end)
                    self.answer(peer, answer)
                    self.wait_until(lambda: not self.left() + self.left(self.spools))
                    self.assertTrue(end.is_connected(), "ARTIM has 30 seconds")
                    self.assertEqual((peer.transcript[1:], end.count("on_close")), ([answer], 0))
                    end.close_forced()
                    self.assertEqual(end.count("on_receive_c_store_request"), 0)

    def test_what_can_be_finished_goes_on(self) -> None:
        """Behind a release request of ours the peer may send what it has (Sta7, AR-6)."""
        peer, server = self.peer()
        instance = raw.instance_uid()
        data = raw.data_set(instance, LARGE)
        peer.send(begun(instance) + part(data[: len(data) // 2], last=False))
        end = self.client_of(server)
        self.wait_until(self.left)
        end.send_release_request()
        self.answer(peer, "RQ")
        peer.send(part(data[len(data) // 2 :], last=True))
        end.wait_for("on_receive_c_store_request")
        self.assert_stored(instance, data)
        peer.send(raw.RELEASED)
        end.wait_for("on_receive_release_response")


class CGet(Streams):
    """The C-STOREs of a C-GET come to the requestor, and stream there just so."""

    def test_into_files_of_the_requestor(self) -> None:
        client, server = self.ends()
        sizes = (SMALL, LARGE, SMALL)
        sent = {instance: raw.data_set(instance, size) for size in sizes for instance in [raw.instance_uid()]}
        self.where = lambda message: None
        client.where = lambda message: self.folder / message.file_name
        client.answers["on_receive_c_store_request"] = said_stored

        def get(net: Recorder, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            for number, (instance, data) in enumerate(sent.items(), 10):
                net.send_c_store_request(1, number, CT, instance, dataset=LDicomDS.from_bytes(data, IMPLICIT))
            net.send_c_get_response(context, message_id, sop_class, 0, 0, len(sent), 0, 0)

        server.answers["on_receive_c_get_request"] = get
        client.send_c_get_request(3, 1, FIND, dataset=LDicomDS.from_bytes(raw.data_set("1.2"), IMPLICIT))
        self.assertEqual(client.wait_for("on_receive_c_get_response")[3:8], (0, 0, 3, 0, 0))
        for count in range(1, len(sent) + 1):
            self.assertEqual(server.wait_for("on_receive_c_store_response", count)[-1], Status.SUCCESS)
        for instance, data in sent.items():
            self.assert_stored(instance, data)
        self.assertEqual(len(self.left()), 3)

    def test_refused_by_the_requestor(self) -> None:
        client, server = self.ends()
        self.where = lambda message: None
        client.where = lambda message: message.refuse(0xA701)
        server.answers["on_receive_c_get_request"] = lambda net, context, message_id, sop_class, *_: (
            net.send_c_store_request(1, 9, CT, "1.2.3", dataset=LDicomDS.from_bytes(bytes(LARGE), IMPLICIT))
        )
        client.send_c_get_request(3, 1, FIND, dataset=LDicomDS.from_bytes(raw.data_set("1.2"), IMPLICIT))
        self.assertEqual(server.wait_for("on_receive_c_store_response"), (1, 9, CT, "1.2.3", 0xA701))
        self.assertEqual(client.count("on_receive_c_store_request"), 0)


class Failing(io.FileIO):
    """A file on a device that fails."""

    def readinto(self, buffer: Any) -> int:
        """Nothing comes."""
        raise OSError(errno.EIO, "Input/output error")


class OutOfFiles(Streams):
    """The sending side: files that change while they are sent, and how far it is."""

    def saved(self, size: int, offset: int = 0) -> tuple[Path, LDicomDS, bytes]:
        """A file, opened to be sent."""
        data = raw.data_set("1.2.3", size)
        path = self.folder / f"source {offset}.dcm"
        LDicomDS.from_bytes(data, IMPLICIT, CT, "1.2.3").save(path, durable=False)
        return path, LDicomDS.load(path), data

    def setUp(self) -> None:
        super().setUp()
        self.where = lambda message: None

    def test_whole_files(self) -> None:
        client, server = self.ends()
        for number, size in enumerate((SMALL, MEDIUM, LARGE), 1):
            path, loaded, data = self.saved(size)
            for count, given in enumerate((loaded, path, str(path))):
                client.send_c_store_request(1, number, CT, "1.2.3", dataset=given)
                got = server.wait_for("on_receive_c_store_request", 3 * number - 2 + count)
                self.assertEqual(got[-1].read(), data)

    def test_one_that_has_gone(self) -> None:
        """Nothing has left yet: one error, and the association goes on."""
        client, server = self.ends()
        for size in (SMALL, LARGE):
            path, loaded, _data = self.saved(size)
            path.unlink()
            for given in (loaded, path):
                with self.assertRaises(LDicomDataError) as caught:
                    client.send_c_store_request(1, 1, CT, "1.2.3", dataset=given)
                self.assertIn(str(path), str(caught.exception))
        self.assertEqual(self.store(client, SMALL)[0], Status.SUCCESS)
        self.assertEqual(server.count("on_receive_c_store_request"), 1)

    def test_one_that_is_shorter_from_the_start(self) -> None:
        client, _server = self.ends()
        for size, length in ((SMALL, 500), (LARGE, 500), (LARGE, MEDIUM)):
            path, loaded, _data = self.saved(size)
            os.truncate(path, length)
            with self.assertRaises(LDicomDataError) as caught:
                client.send_c_store_request(1, 1, CT, "1.2.3", dataset=loaded)
            self.assertEqual(caught.exception.code, ErrorCode.READ)
        self.assertEqual(self.store(client, SMALL)[0], Status.SUCCESS)

    def test_one_that_shrinks_in_the_middle(self) -> None:
        """What has begun cannot be finished: A-ABORT, one error, and the receiver keeps nothing."""
        self.where = lambda message: self.spools / message.file_name
        client, server = self.ends()
        path, loaded, _data = self.saved(8 << 20)
        client.watch = lambda: os.truncate(path, 3 << 20)
        with self.assertRaises(LDicomDataError) as caught:
            client.send_c_store_request(1, 1, CT, "1.2.3", dataset=loaded)
        self.assertEqual(caught.exception.code, ErrorCode.READ)
        self.assertIn("shorter", str(caught.exception))
        self.assertEqual(server.wait_for("on_receive_abort"), (0, 0))
        self.assertEqual(server.wait_for("on_close")[0], ErrorCode.NET_CONNECTION_ABORTED)
        self.assertEqual(client.wait_for("on_close")[0], ErrorCode.READ)
        self.assertEqual(server.count("on_receive_c_store_request"), 0)
        self.assertEqual(self.left(self.spools), [])
        with self.assertRaises(LDicomUsageError):
            client.send_c_echo_request(5, 2)

    def test_one_on_a_device_that_fails(self) -> None:
        """At once, and the association goes on; or in the middle, and it is aborted."""
        read_at = body_room._read_at
        for good in (0, 3 << 20):
            with self.subTest(good=good):
                client, server = self.ends()
                path, loaded, _data = self.saved(8 << 20)

                def failing(descriptor: int, view: memoryview, position: int, good: int = good) -> int:
                    if position >= good:
                        raise OSError(errno.EIO, "Input/output error")
                    return read_at(descriptor, view[: good - position], position)

                with mock.patch.object(body_room, "_read_at", failing), self.assertRaises(LDicomDataError) as caught:
                    client.send_c_store_request(1, 1, CT, "1.2.3", dataset=loaded)
                self.assertEqual((caught.exception.code, caught.exception.status), (ErrorCode.READ, 0xA700))
                self.assertIn(f"cannot read {path}: Input/output error", str(caught.exception))
                if good:
                    self.assertEqual(server.wait_for("on_close")[0], ErrorCode.NET_CONNECTION_ABORTED)
                    self.assertEqual(client.wait_for("on_close")[0], ErrorCode.READ)
                else:
                    self.assertEqual(self.store(client, SMALL)[0], Status.SUCCESS)
                self.assertEqual(client.is_associated(), not good)
                self.assertEqual(server.count("on_receive_c_store_request"), int(not good))

    def test_one_that_is_read_to_be_changed(self) -> None:
        """Inflated, or padded: nothing has left when that fails, and the association goes on."""
        client, server = self.associated_over_tcp((CT, [IMPLICIT]), (CT, [DEFLATED]))
        dataset = LDicomDS.from_bytes(raw.data_set("1.2.3", 5001), IMPLICIT).dataset
        packed = LDicomDS.from_dataset(dataset, DEFLATED)
        path = self.folder / "deflated.dcm"
        for data, context in ((packed.read(), 1), (packed.read() + b"x" * (1 + packed.size % 2), 3)):
            LDicomDS.from_bytes(data, DEFLATED, CT, "1.2.3").save(path, durable=False)
            loaded = LDicomDS.load(path)
            with mock.patch.object(body_room.io, "FileIO", Failing), self.assertRaises(LDicomDataError) as caught:
                client.send_c_store_request(context, 1, CT, "1.2.3", dataset=loaded)
            self.assertEqual((caught.exception.code, caught.exception.status), (ErrorCode.READ, 0xA700))
        self.assertTrue(client.is_associated())
        self.assertEqual(server.count("on_receive_c_store_request"), 0)

    def test_one_that_grows(self) -> None:
        client, server = self.ends()
        path, loaded, data = self.saved(LARGE)
        with path.open("ab") as file:
            file.write(bytes(1000))
        client.send_c_store_request(1, 1, CT, "1.2.3", dataset=loaded)
        self.assertEqual(server.wait_for("on_receive_c_store_request")[-1].read(), data)

    def test_one_that_goes_in_the_middle(self) -> None:
        """It is open: what had its name is sent whole."""
        if os.name == "nt":
            self.skipTest("Windows removes no file that is open")
        client, server = self.ends()
        path, loaded, data = self.saved(8 << 20)
        client.watch = lambda: path.unlink(missing_ok=True)
        client.send_c_store_request(1, 1, CT, "1.2.3", dataset=loaded)
        self.assertEqual(server.wait_for("on_receive_c_store_request")[-1].read(), data)
        self.assertFalse(path.exists())

    def test_an_object_that_is_sent_while_it_is_replaced(self) -> None:
        """`save` over its own source, in the middle: what is open stays what it was."""
        client, server = self.ends()
        path, loaded, data = self.saved(8 << 20)
        other = LDicomDS.from_bytes(raw.data_set("1.2.9", SMALL), IMPLICIT, CT, "1.2.9")
        client.watch = lambda: other.save(path, durable=False)
        client.send_c_store_request(1, 1, CT, "1.2.3", dataset=loaded)
        self.assertEqual(server.wait_for("on_receive_c_store_request")[-1].read(), data)
        self.assertEqual(LDicomDS.load(path).sop_instance_uid, "1.2.9")

    def test_many_readers_of_one_file(self) -> None:
        """Several associations send it at once, through buffers that are used again."""
        path, loaded, data = self.saved(8 << 20)
        pairs = [self.ends() for _ in range(4)]
        threads = [
            threading.Thread(
                target=client.send_c_store_request, args=(1, 1, CT, "1.2.3"), kwargs={"dataset": given}, daemon=True
            )
            for (client, _server), given in zip(pairs, (loaded, path, loaded, path), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        for _client, server in pairs:
            self.assertEqual(server.wait_for("on_receive_c_store_request")[-1].read(), data)

    def test_progress(self) -> None:
        """Both sides count up to the size of the data set, the sender knows it from the start."""
        client, server = self.ends()
        for given in (self.saved(8 << 20)[1], LDicomDS.from_bytes(raw.data_set("1.2.3", 8 << 20), IMPLICIT)):
            client.calls.clear()
            server.calls.clear()
            client.send_c_store_request(1, 1, CT, "1.2.3", dataset=given)
            server.wait_for("on_receive_c_store_request")
            sent = [call[1:4] for call in client.calls if call[0] == "on_progress_status"]
            counts = [count for count, _received, _total in sent]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual(sent[-1], (given.size, 0, given.size))
            self.assertEqual({(received, total) for _count, received, total in sent}, {(0, given.size)})
            self.assertTrue(all(0 <= count <= given.size for count in counts))
            received = [call[1:4] for call in server.calls if call[0] == "on_progress_status"]
            counts = [count for _sent, count, _total in received]
            self.assertEqual(counts, sorted(counts))
            self.assertEqual(received[-1], (0, given.size, given.size))
            self.assertEqual({total for _sent, _count, total in received[:-1]} - {None}, set())

    def test_progress_of_small_ones(self) -> None:
        client, server = self.ends()
        for number, size in enumerate((0, SMALL), 1):
            client.calls.clear()
            _status, _instance, data = self.store(client, size)
            calls = [call[1:4] for call in client.calls if call[0] == "on_progress_status"]
            self.assertEqual(calls, [(len(data), 0, len(data))])
            self.assertEqual(server.wait_for("on_receive_c_store_request", number)[-1].size, len(data))

    def test_abort_in_the_middle(self) -> None:
        """From `on_progress_status`, which may: the message breaks off with one error."""
        self.where = lambda message: self.spools / message.file_name
        client, server = self.ends()
        _path, loaded, _data = self.saved(8 << 20)
        aborted: list[int] = []

        def abort() -> None:
            if not aborted:
                aborted.append(1)
                client.send_abort(0, 0)

        client.watch = abort
        with self.assertRaises(LDicomUsageError):
            client.send_c_store_request(1, 1, CT, "1.2.3", dataset=loaded)
        self.assertEqual(server.wait_for("on_receive_abort"), (0, 0))
        server.wait_for("on_close")
        self.assertEqual(self.left(self.spools), [])


class Settings(Streams):
    """Ends that are made otherwise."""

    def test_an_association_in_memory(self) -> None:
        client, server = self.requestor(), self.acceptor()
        self.join(client, server)
        client.wait_for("on_connect")
        client.send_associate_request(request((CT, IMPLICIT)))
        client.wait_for("on_receive_associate_accept")
        status, instance, data = self.store(client, LARGE)
        self.assertEqual(status, Status.SUCCESS)
        self.assert_stored(instance, data)

    def test_a_hook_of_one_object(self) -> None:
        """Set before it connects, as any other hook."""
        server = Recorder(str(self.spools))
        server.answers["on_receive_associate_request"] = accept_all
        server.answers["on_receive_c_store_request"] = said_stored
        server.on_begin_data = lambda context, message: self.folder / message.file_name  # type: ignore[method-assign]
        self.addCleanup(server.close_forced)
        client = self.requestor()
        self.join(client, server)
        client.wait_for("on_connect")
        client.send_associate_request(request((CT, IMPLICIT)))
        client.wait_for("on_receive_associate_accept")
        status, instance, data = self.store(client, SMALL)
        self.assertEqual(status, Status.SUCCESS)
        self.assert_stored(instance, data)

    def test_every_pdu_watched(self) -> None:
        """With `on_receive`, PDUs are held until they are whole."""

        class Watching(Keeper):
            def on_receive(self, *arguments: Any) -> None:
                """Watch."""

        server, client = Watching(str(self.spools)), self.requestor()
        server.where = lambda message: self.where(message)
        server.answers["on_receive_associate_request"] = accept_all
        server.answers["on_receive_c_store_request"] = said_stored
        self.addCleanup(server.close_forced)
        self.join(client, server)
        client.wait_for("on_connect")
        client.send_associate_request(request((CT, IMPLICIT)))
        client.wait_for("on_receive_associate_accept")
        for size in (SMALL, LARGE):
            status, instance, data = self.store(client, size)
            self.assertEqual(status, Status.SUCCESS)
            self.assert_stored(instance, data)
