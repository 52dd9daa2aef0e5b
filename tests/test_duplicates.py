"""An instance that is there already: replaced, kept or refused; one after the other, and several at the same moment."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from ldicomnet import Duplicates, FileTarget, LDicomDS, LDicomUsageError, Message, Status
from ldicomnet import part_file as part_room
from ldicomnet.duplicates import is_same
from ldicomnet.part10 import encode_header

from . import raw
from .raw import COMMAND, CT, EXPLICIT, IMPLICIT, LAST, p_data, pdv
from .storing import ROOT, SAMPLES, Faults, Process, Storing, be_quiet, fails, object_of, stored_data
from .support import SECONDS, ByHand

DUPLICATE = Status.DUPLICATE_INSTANCE
MODES = ("replace", "keep", "refuse")
LARGE = 2 << 20


class OneAfterTheOther(Storing):
    """What is said, and what is there then."""

    def setUp(self) -> None:
        super().setUp()
        be_quiet(self)

    def check(self, mode: str, old: bytes, instance: str, new: bytes, status: int) -> bytes:
        """Store where there are these bytes; what is there then."""
        path = self.path(instance)
        path.write_bytes(old)
        client = self.client_of(self.serve("--duplicates", mode))
        self.assertEqual(client.store(instance, new), status)
        self.assertEqual(self.left(), [path.name])
        other, data = object_of(100)
        self.assertEqual(client.store(other, data), Status.SUCCESS, "the association goes on")
        self.path(other).unlink()
        return path.read_bytes()

    @staticmethod
    def file_of(instance: str, data: bytes, syntax: str = IMPLICIT, sop_class: str = CT) -> bytes:
        """A DICOM file as we write it."""
        return encode_header(sop_class, instance, syntax) + data

    def test_the_same(self) -> None:
        for size in (0, 100 << 10, LARGE):
            instance, data = object_of(size)
            whole = self.file_of(instance, data)
            for mode, status in zip(MODES, (Status.SUCCESS, Status.SUCCESS, DUPLICATE), strict=True):
                with self.subTest(mode, size=size):
                    self.assertEqual(self.check(mode, whole, instance, data, status), whole)
                    self.path(instance).unlink()

    def test_another(self) -> None:
        """Shorter, longer, or of the same length; success is only said where what was sent is what is there."""
        instance, old = object_of(100 << 10)
        more = old + raw.element(1, b"abcd", group=0x7FE1)
        for new in (old[:-256], more, old[:-1] + b"x", raw.data_set(instance, 512)):
            for mode, status in zip(MODES, (Status.SUCCESS, DUPLICATE, DUPLICATE), strict=True):
                with self.subTest(mode, size=len(new)):
                    found = self.check(mode, self.file_of(instance, old), instance, new, status)
                    self.assertEqual(found, self.file_of(instance, old if status else new))
                    self.path(instance).unlink()

    def test_written_by_another_program(self) -> None:
        """Its file meta information says so, and does not count."""
        instance, data = object_of(SMALL := 300)
        ours = self.file_of(instance, data)
        theirs = ours.replace(b"LDICOMNET", b"ANOTHERNE", 1)
        longer = bytes(128) + b"DICM" + longer_meta(ours[132 : len(ours) - len(data)]) + data
        self.assertNotIn(ours, (theirs, longer))
        for old in (theirs, longer):
            self.assertEqual(self.check("keep", old, instance, data, Status.SUCCESS), old)
            self.path(instance).unlink()
        self.assertGreater(len(data), SMALL)

    def test_the_same_bytes_and_not_the_same(self) -> None:
        """In another transfer syntax they mean something else, and in a file of another instance as well."""
        instance, data = object_of(300)
        for old in (
            self.file_of(instance, data, EXPLICIT),
            self.file_of("1.2.3", data),
            self.file_of(instance, data, sop_class="1.2.3"),
        ):
            self.assertEqual(self.check("keep", old, instance, data, DUPLICATE), old)
            self.path(instance).unlink()

    def test_what_is_no_dicom_file(self) -> None:
        instance, data = object_of(300)
        whole = self.file_of(instance, data)
        for old in (b"", b"something else", whole[:140], whole[: len(whole) - len(data)], whole[:-1], bytes(5000)):
            for mode in ("keep", "refuse"):
                with self.subTest(mode, size=len(old)):
                    self.assertEqual(self.check(mode, old, instance, data, DUPLICATE), old)
                    self.path(instance).unlink()

    @unittest.skipIf(os.name == "nt", "Windows has no symbolic links for everyone")
    def test_links(self) -> None:
        """A link is replaced or refused, and never written through; what it points at is not looked at."""
        instance, data = object_of(300)
        whole, path = self.file_of(instance, data), self.path(instance)
        precious = self.spools / "precious.dcm"
        for target in (precious, self.spools / "nowhere", self.spools):
            for mode, status in zip(MODES, (Status.SUCCESS, DUPLICATE, DUPLICATE), strict=True):
                with self.subTest(mode, target=target.name):
                    precious.write_bytes(whole)
                    path.symlink_to(target)
                    client = self.client_of(self.serve("--duplicates", mode))
                    self.assertEqual(client.store(instance, data), status)
                    self.assertEqual(path.is_symlink(), status != Status.SUCCESS)
                    if not path.is_symlink():
                        self.assertEqual(stored_data(path), data)
                    self.assertEqual((self.left(), self.left(self.spools)), ([path.name], ["precious.dcm"]))
                    self.assertEqual(precious.read_bytes(), whole)
                    path.unlink()

    def test_refused_before_it_has_come(self) -> None:
        """Where it is there already, nothing of the new one is written."""
        instance, data = object_of(LARGE)
        self.path(instance).write_bytes(b"old")
        client, faults = self.client_of(self.serve("--duplicates", "refuse")), Faults()
        with faults.in_place():
            self.assertEqual(client.store(instance, data), DUPLICATE)
        self.assertEqual(faults.calls, [])

    def test_one_that_goes_meanwhile(self) -> None:
        """Between the link and the look at what has the name: it may be sent again."""
        instance, data = object_of(300)
        path = self.path(instance)
        path.write_bytes(self.file_of(instance, data))
        client = self.client_of(self.serve("--duplicates", "keep"))

        def link(*arguments: Any) -> None:
            path.unlink()
            raise FileExistsError(17, "File exists")

        with mock.patch.object(part_room.os, "link", link):
            self.assertEqual(client.store(instance, data), Status.REFUSED_OUT_OF_RESOURCES)
        self.assertEqual(self.left(), [])
        self.assertEqual(client.store(instance, data), Status.SUCCESS)

    def test_one_that_cannot_be_read(self) -> None:
        instance, data = object_of(300)
        self.path(instance).write_bytes(self.file_of(instance, data))
        client = self.client_of(self.serve("--duplicates", "keep"))
        with mock.patch.object(io, "FileIO", side_effect=OSError(5, "Input/output error")):
            self.assertEqual(client.store(instance, data), Status.REFUSED_OUT_OF_RESOURCES)
        self.assertEqual((len(self.left()), client.store(instance, data)), (1, Status.SUCCESS))

    def test_a_file_system_without_hard_links(self) -> None:
        """What needs them says so, and stores nothing; what does not need them goes on."""
        instance, data = object_of(300)
        for number in (1, 95, 38):  # EPERM, EOPNOTSUPP, ENOSYS
            for mode, status in zip(MODES, (Status.SUCCESS, *[Status.REFUSED_OUT_OF_RESOURCES] * 2), strict=True):
                client = self.client_of(self.serve("--duplicates", mode))
                with Faults({("link", 0): fails(number)}).in_place():
                    self.assertEqual(client.store(instance, data), status)
                self.assertEqual(self.left(), [] if status else [f"{instance}.dcm"])
                self.path(instance).unlink(missing_ok=True)


def longer_meta(meta: bytes) -> bytes:
    """File meta information with one more element, a source application entity title."""
    title = b"\2\0\x16\0AE\6\0OTHER "
    length = int.from_bytes(meta[8:12], "little") + len(title)
    return meta[:8] + length.to_bytes(4, "little") + meta[12:] + title


class AtTheSameMoment(Storing, ByHand):
    """Two writers and one name: one whole file, and success for no other."""

    def setUp(self) -> None:
        super().setUp()
        be_quiet(self)

    def test_both_have_begun(self) -> None:
        """The one that ends first is the first."""
        instance, one = object_of(200 << 10)
        for mode, second, other in (
            ("replace", "0000", raw.data_set(instance, 150 << 10)),
            ("keep", "0111", raw.data_set(instance, 150 << 10)),
            ("keep", "0000", one),
            ("refuse", "0111", one),
        ):
            with self.subTest(mode, second=second):
                server = self.serve("--duplicates", mode)
                peers = self.peer_of(server), self.peer_of(server)
                for peer, data in zip(peers, (one, other), strict=True):
                    peer.send(p_data(pdv(3, COMMAND | LAST, raw.store_command(instance))))
                    peer.send(p_data(pdv(3, 0, data[: 100 << 10])))
                self.wait_until(lambda: len(self.left()) == 2)
                for peer, data, status in zip(peers, (one, other), ("0000", second), strict=True):
                    peer.send(p_data(pdv(3, LAST, data[100 << 10 :])))
                    self.answer(peer, f"8001/1 {status}")
                self.assertEqual(self.left(), [f"{instance}.dcm"])
                self.assertEqual(stored_data(self.path(instance)), other if mode == "replace" else one)
                self.path(instance).unlink()

    def race(self, port: int, mode: str, count: int = 4) -> None:
        """So many clients send versions of one instance; all that is said must fit what is there."""
        instance, _data = object_of(0)
        versions = [raw.data_set(instance, 4096 * number) for number in range(1, count + 1)]
        told: dict[int, int | None] = {}
        barrier = threading.Barrier(count)

        def send(number: int) -> None:
            client = self.client_of(port)
            barrier.wait(SECONDS)
            told[number] = client.store(instance, versions[number])
            client.end()

        threads = [threading.Thread(target=send, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stored = [number for number, status in told.items() if status == Status.SUCCESS]
        self.assertEqual(set(told.values()) - {0}, set() if len(stored) == count else {DUPLICATE})
        self.assertEqual(len(stored), count if mode == "replace" else 1)
        self.assertEqual(self.left(), [f"{instance}.dcm"])
        self.assertIn(stored_data(self.path(instance)), [versions[number] for number in stored])
        self.path(instance).unlink()

    def test_threads(self) -> None:
        for mode in MODES:
            server = self.serve("--duplicates", mode)
            for _ in range(10):
                with self.subTest(mode):
                    self.race(server.get_host_info()[1], mode)

    def test_processes(self) -> None:
        for mode in MODES:
            server = Process(self.spools, self.folder, "--duplicates", mode, "--workers", "2")
            try:
                for _ in range(10):
                    with self.subTest(mode):
                        self.race(server.port, mode)
            finally:
                server.stop()
            self.assertNotIn("Traceback", server.errors())


class Targets(Storing):
    """`FileTarget` and what else is public."""

    def test_for_what_hooks_give(self) -> None:
        for path in (self.folder / "a.dcm", str(self.folder / "a.dcm")):
            self.assertEqual(FileTarget(path).path, str(self.folder / "a.dcm"))
        self.assertIs(FileTarget("a").duplicates, Duplicates.REPLACE)
        self.assertIs(FileTarget("a", Duplicates.KEEP).duplicates, Duplicates.KEEP)
        for wrong in (5, "a\0b", None, b"a"):
            self.assertRaises(LDicomUsageError, FileTarget, wrong)
        for how in ("keep", None, 1):
            self.assertRaises(LDicomUsageError, FileTarget, "a", how)

    def test_save_takes_none(self) -> None:
        """It would replace, whatever the target says."""
        dataset = LDicomDS.from_bytes(b"ab", IMPLICIT, CT, "1.2")
        self.assertRaises(LDicomUsageError, dataset.save, FileTarget(self.folder / "a", Duplicates.KEEP))

    def test_what_the_hook_gets(self) -> None:
        """A data set of the file that is there, whoever has written it, and however long its header is."""
        instance, data = object_of(1000)
        whole = encode_header(CT, instance, IMPLICIT)
        self.path(instance).write_bytes(bytes(128) + b"DICM" + longer_meta(whole[132:]) + data)
        got: list[bytes] = []
        server = self.serve("--duplicates", "keep")
        hook = type(server).on_receive_c_store_request

        def look(net: Any, *arguments: Any) -> None:
            got.append(arguments[-1].read())
            hook(net, *arguments)

        with mock.patch.object(type(server), "on_receive_c_store_request", look):
            self.assertEqual(self.client_of(server).store(instance, data), Status.SUCCESS)
        self.assertEqual(got, [data])

    def test_is_same_of_a_folder(self) -> None:
        self.assertFalse(is_same("whatever", str(self.folder)))

    def test_the_option(self) -> None:
        program = [sys.executable, str(SAMPLES / "store_scp.py")]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*program, "--help"], capture_output=True, text=True, timeout=60, check=True, env=environment
        )
        for mode in MODES:
            self.assertIn(mode, done.stdout)
        wrong = [*program, "--duplicates", "x", "0"]
        done = subprocess.run(wrong, capture_output=True, text=True, timeout=60, check=False, env=environment)
        self.assertEqual(done.returncode, 2)

    def test_the_default(self) -> None:
        message = mock.Mock(spec=Message, sop_class_uid=CT, file_name="1.2.dcm")
        message.name = "c_store_request"
        server = self.serve()
        with mock.patch.object(server, "get_associate", return_value=mock.Mock(get_abstract=lambda _: CT)):
            target = server.on_begin_data(1, message)
        assert isinstance(target, FileTarget)
        self.assertEqual((target.path, target.duplicates), (str(Path(self.folder, "1.2.dcm")), Duplicates.REPLACE))


if __name__ == "__main__":
    unittest.main()
