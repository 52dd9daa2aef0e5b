"""The tests that every peer has to pass, in both directions; a test module names the peer and runs it.

`TheirServer` is our client against a peer's server, `TheirClient` a peer's client against our server.  They
are not tests by themselves, and this module's name keeps them from being collected.
"""

from __future__ import annotations

import tempfile
import unittest
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from . import objects, ours, peers
from .objects import Encoded, PathName
from .processes import Finished

CALLED_NOT_RECOGNIZED = (1, 1, 7)  # result, source and reason of an A-ASSOCIATE-RJ, PS3.8 Table 9-21


class Interop(unittest.TestCase):
    """What both directions need: the peer, and a folder of objects."""

    peer: ClassVar[str]
    every: ClassVar[Sequence[str]] = objects.EVERY
    """The objects that this peer can handle."""
    folder: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        """Make the objects, unless the peer is absent."""
        peers.need(cls.peer)
        folder = tempfile.TemporaryDirectory(prefix="ldicomnet-objects-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        objects.copy_objects(cls.folder, *objects.EVERY)

    def path(self, name: str) -> Path:
        """One of the objects."""
        return self.folder / name

    def paths(self) -> list[Path]:
        """All objects that this peer can handle."""
        return [self.folder / name for name in self.every]

    def large(self) -> Path:
        """An object of 5 MB."""
        path = self.folder / "large.dcm"
        return path if path.exists() else objects.large_object(self.folder)

    def assert_same_objects(self, found: list[Encoded], expected: list[Encoded]) -> None:
        """The same instances, in the same transfer syntaxes, byte for byte."""
        found, expected = objects.by_instance(found), objects.by_instance(expected)
        self.assertEqual([str(one) for one in found], [str(one) for one in expected])
        for one, other in zip(found, expected, strict=True):
            self.assertTrue(one == other, f"{one} has other bytes than were sent")


class TheirServer(Interop):
    """Our client against a peer's server."""

    max_pdus: ClassVar[Sequence[int]] = (4096, 16384, 131072)
    rejection: ClassVar[tuple[int, int, int]] = CALLED_NOT_RECOGNIZED

    def scp(self, **options: Any) -> AbstractContextManager[peers.Scp]:
        """Start the peer's server."""
        raise NotImplementedError

    def refusing_scp(self) -> AbstractContextManager[peers.Scp]:
        """Start the peer's server so that it refuses us."""
        return self.scp(called="SOMEBODY")

    def check_stored(self, scp: peers.Scp, *paths: Path) -> None:
        """Assert that the server holds exactly the data sets of these files."""
        self.assert_same_objects(scp.stored(), [objects.read_object(path) for path in paths])

    def test_echo_and_release(self) -> None:
        """C-ECHO twice and a release, of which both sides know."""
        with self.scp() as scp, ours.association(scp.port, ours.request_for()) as client:
            self.assertEqual([client.echo(), client.echo()], [0, 0])
            client.release()
            scp.wait_released()

    def test_abort(self) -> None:
        """Our A-ABORT is seen as one."""
        with self.scp() as scp, ours.association(scp.port, ours.request_for()) as client:
            self.assertEqual(client.echo(), 0)
            client.abort()
            scp.wait_aborted()

    def test_store_every_object(self) -> None:
        """All objects over one association; what is stored is, byte for byte, what the files hold."""
        paths = self.paths()
        with self.scp() as scp, ours.association(scp.port, ours.request_for(*paths)) as client:
            self.assertEqual({path.name: client.store(path) for path in paths}, dict.fromkeys(self.every, 0))
            client.release()
            self.check_stored(scp, *paths)

    def test_store_at_every_maximum_length(self) -> None:
        """The peer's maximum length is kept to, and none of ours (0 is no limit) disturbs it."""
        path = self.path(objects.WAVEFORM)
        for theirs, our in zip(self.max_pdus, (131072, 0, 4096), strict=True):
            with (
                self.subTest(theirs=theirs, ours=our),
                self.scp(max_pdu=theirs) as scp,
                ours.association(scp.port, ours.request_for(path, max_length=our)) as client,
            ):
                self.assertEqual(client.wait_event("accepted")["max_length"], theirs)
                self.assertEqual(client.store(path), 0)
                client.release()
                self.check_stored(scp, path)

    def test_store_5_megabytes(self) -> None:
        """An object of 5 MB arrives as it is."""
        path = self.large()
        with self.scp() as scp, ours.association(scp.port, ours.request_for(path)) as client:
            self.assertEqual(client.store(path), 0)
            client.release()
            self.check_stored(scp, path)

    def test_30_contexts(self) -> None:
        """Thirty presentation contexts, and the last of them is used."""
        path = self.path(objects.EXPLICIT)
        request = ours.request_for(more=ours.storage_classes(28))
        request.add_context(*_listed(objects.context_of(path)))
        self.assertEqual(request.get_presentation_count(), 30)
        with self.scp() as scp, ours.association(scp.port, request) as client:
            self.assertGreater(client.wait_event("accepted")["contexts"], 2)
            self.assertEqual(client.store(path), 0)
            client.release()

    def test_rejected(self) -> None:
        """A rejection reaches us with its result, source and reason."""
        with self.refusing_scp() as scp, ours.connection(scp.port, ours.request_for()) as client:
            told = client.wait_event("rejected")
        self.assertEqual((told["result"], told["source"], told["reason"]), self.rejection)

    def test_sample_echo_scu(self) -> None:
        """samples/echo_scu.py ends with 0 where the echo succeeds, and with an error where it is refused."""
        with self.scp() as scp:
            peers.sample("echo_scu.py", "127.0.0.1", str(scp.port)).check()
            scp.wait_released()
        with self.refusing_scp() as scp:
            peers.sample("echo_scu.py", "127.0.0.1", str(scp.port)).check(None)

    def test_sample_store_scu(self) -> None:
        """samples/store_scu.py sends a file and a folder."""
        paths = self.paths()
        with self.scp() as scp, tempfile.TemporaryDirectory() as name:
            for path in paths[1:]:
                (Path(name) / path.name).symlink_to(path)
            peers.sample("store_scu.py", "127.0.0.1", str(scp.port), paths[0], name).check()
            scp.wait_released()
            self.check_stored(scp, *paths)


class TheirAbortingServer(TheirServer):
    """Our client against a peer's server that can be told to abort."""

    def test_their_abort(self) -> None:
        """The peer aborts instead of answering, and we are told."""
        path = self.path(objects.EXPLICIT)
        with (
            self.scp(abort_on_store=True) as scp,
            ours.association(scp.port, ours.request_for(path)) as client,
        ):
            client.request_store(path)
            client.wait_event("aborted")
            client.wait_event("closed")


class TheirClient(Interop):
    """A peer's client against our server.

    What a client puts on the wire is not always what its file holds: most decode the file and encode it anew.
    So what our server got is compared with what a storescp that keeps every bit got from the same client.
    """

    for_sample: ClassVar[Sequence[str]] = ()
    """The objects for the sample server, where they are not all: it chooses the transfer syntax proposed first."""

    def scu(self, port: int, *paths: PathName, **options: Any) -> Finished:
        """Run the peer's client: C-ECHO, or C-STORE of files."""
        raise NotImplementedError

    def rejection_seen(self, finished: Finished) -> tuple[int, int, int]:
        """The result, source and reason of the rejection that the client reports."""
        told = finished.events("rejected")[0]
        return told["result"], told["source"], told["reason"]

    def expected(self, *paths: Path) -> list[Encoded]:
        """What the client sends when it is given these files."""
        peers.need("dcmtk")
        with peers.storescp() as reference:
            self.scu(reference.port, *paths).check()
            return reference.stored()

    def test_echo_and_release(self) -> None:
        """C-ECHO and a release."""
        with ours.server() as server:
            self.scu(server.port).check()
            server.wait_event("released")
            server.wait_event("closed")

    def test_store_every_object(self) -> None:
        """All objects; what we got is, byte for byte, what the client sent."""
        with ours.server() as server:
            self.scu(server.port, *self.paths()).check()
            server.wait_event("released")
            self.assert_same_objects(server.stored(), self.expected(*self.paths()))

    def test_our_abort(self) -> None:
        """We abort instead of answering, and the client ends with an error."""
        with ours.server(abort_on_store=True) as server:
            self.scu(server.port, self.path(objects.EXPLICIT)).check(None)
            server.wait_event("closed")

    def test_store_at_every_maximum_length(self) -> None:
        """Each of our maximum lengths is kept to; 0 is no limit."""
        path = self.path(objects.WAVEFORM)
        expected = self.expected(path)
        for length in (4096, 16384, 131072, 0):
            with self.subTest(ours=length), ours.server(max_length=length) as server:
                self.scu(server.port, path).check()
                self.assert_same_objects(server.stored(), expected)

    def test_store_5_megabytes(self) -> None:
        """An object of 5 MB arrives as it was sent."""
        with ours.server() as server:
            self.scu(server.port, self.large()).check()
            self.assert_same_objects(server.stored(), self.expected(self.large()))

    def test_rejected(self) -> None:
        """A wrong AE title: the client is told why it is rejected."""
        with ours.server("SOMEBODY") as server:
            finished = self.scu(server.port, called="ANYBODY").check(None)
            self.assertEqual(server.wait_event("rejected")["called"], "ANYBODY")
            server.wait_event("closed")
        self.assertEqual(self.rejection_seen(finished), CALLED_NOT_RECOGNIZED)

    def test_right_title(self) -> None:
        """The right AE title is accepted by a server that insists on it."""
        with ours.server("SOMEBODY") as server:
            self.scu(server.port, called="SOMEBODY").check()

    def test_sample_echo_scp(self) -> None:
        """samples/echo_scp.py answers two clients, one after the other."""
        with peers.sample_server("echo_scp.py") as (port, _):
            self.scu(port).check()
            self.scu(port).check()

    def test_sample_store_scp(self) -> None:
        """samples/store_scp.py stores what it is sent into a folder, as DICOM files with the same bytes."""
        paths = [self.path(name) for name in self.for_sample or self.every]
        with tempfile.TemporaryDirectory() as name:
            with peers.sample_server("store_scp.py", "+xa", "-od", name) as (port, _):
                self.scu(port, *paths).check()
            files = [path for path in Path(name).rglob("*") if path.is_file()]
            self.assert_same_objects([objects.read_object(path) for path in files], self.expected(*paths))


class TheirObedientClient(TheirClient):
    """A peer's client that can be told how to ask and how to end: with more contexts, with an abort."""

    def test_abort(self) -> None:
        """The client's A-ABORT is told to us as one, by a service user."""
        with ours.server() as server:
            self.scu(server.port, abort=True)
            self.assertEqual(server.wait_event("aborted")["source"], 0)
            server.wait_event("closed")

    def test_abort_after_store(self) -> None:
        """What was stored before an A-ABORT is kept."""
        with ours.server() as server:
            self.scu(server.port, self.path(objects.EXPLICIT), abort=True)
            server.wait_event("aborted")
            self.assertEqual(len(server.stored()), 1)

    def test_30_contexts(self) -> None:
        """Thirty presentation contexts are all answered."""
        with ours.server() as server:
            self.scu(server.port, contexts=29).check()
            self.assertEqual(server.wait_event("accepted")["contexts"], 30)

    def test_their_maximum_lengths(self) -> None:
        """The maximum length that the client announces is told to us."""
        for length in (4096, 16384, 131072):
            with self.subTest(length=length), ours.server() as server:
                self.scu(server.port, max_pdu=length).check()
                self.assertEqual(server.wait_event("accepted")["max_length"], length)


def _listed(context: tuple[str, str]) -> tuple[str, list[str]]:
    """A SOP class and its only transfer syntax, as `add_context` takes them."""
    return context[0], [context[1]]
