"""This library and dcmjs-dimse, a DICOM network library for Node.js."""

from __future__ import annotations

import threading
import unittest
from contextlib import AbstractContextManager
from typing import Any

from ldicomnet import VERIFICATION, ErrorCode, LDicomAssociate, LDicomNet, Status, background

from . import cases, objects, peers
from .objects import PathName
from .processes import Finished


class OurClientAndDcmjs(cases.TheirAbortingServer):
    """Our client against a dcmjs-dimse server."""

    peer = "dcmjs"

    def scp(self, **options: Any) -> AbstractContextManager[peers.Scp]:
        """Start dcmjs-dimse."""
        return peers.dcmjs_scp(**options)


class DcmjsAndOurServer(cases.TheirObedientClient):
    """dcmjs-dimse's client against our server."""

    peer = "dcmjs"
    # It does not know the deflated syntax, and changes no transfer syntax without its WebAssembly codecs.
    every = tuple(name for name in objects.EVERY if name not in (objects.DEFLATED, objects.IMPLICIT))
    for_sample = (objects.BIG_ENDIAN, *objects.COMPRESSED)  # it proposes implicit first, and prefers to send explicit

    def scu(self, port: int, *paths: PathName, **options: Any) -> Finished:
        """Run dcmjs-dimse."""
        return peers.dcmjs_scu(port, *paths, **options)


WINDOW = 4
IMPLICIT = "1.2.840.10008.1.2"


class Performing(LDicomNet):
    """Answers echoes, four at once, and only when there are four: nobody gets an answer before."""

    def __init__(self, together: threading.Barrier, agreed: list[tuple[int, int]]) -> None:
        super().__init__()
        self.together, self.agreed = together, agreed

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        answer = associate.accept({VERIFICATION: [IMPLICIT]}, async_operations=(WINDOW, WINDOW))
        self.agreed.append((answer.get_invoked_operations(), answer.get_performed_operations()))
        self.send_associate_accept(answer)

    @background
    def on_receive_c_echo_request(self, presentation_id: int, message_id: int, sop_class_uid: str) -> None:
        self.together.wait(20)
        self.send_c_echo_response(presentation_id, message_id, sop_class_uid, Status.SUCCESS)


class Invoking(LDicomNet):
    """Sends echoes from the hook that sees the association accepted: all but the first few wait for the window."""

    def __init__(self, echoes: int) -> None:
        super().__init__()
        self.echoes = echoes
        self.window = (0, 0)
        self.most = 0
        self.answered: list[int] = []
        self.closed = threading.Event()

    def on_connect(self, error: ErrorCode) -> None:
        associate = LDicomAssociate(True)
        associate.default()
        associate.set_called("DCMJS")
        associate.set_calling("LDICOMNET")
        associate.set_async_operations(True, WINDOW, 1)
        associate.add_context(VERIFICATION, [IMPLICIT])
        self.send_associate_request(associate)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        self.window = associate.get_invoked_operations(), associate.get_performed_operations()
        for message_id in range(1, self.echoes + 1):
            self.send_c_echo_request(1, message_id)

    def on_receive_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status
    ) -> None:
        if status == Status.SUCCESS:
            self.answered.append(message_id)
        if len(self.answered) == self.echoes:
            self.send_release_request()

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        self.closed.set()


class Window(unittest.TestCase):
    """Asynchronous operations, PS3.7 D.3.3.3, in both directions."""

    def setUp(self) -> None:
        peers.need("dcmjs")

    def test_it_invokes_and_we_perform(self) -> None:
        """Four of its echoes are outstanding at once, and are performed at once: none is answered before all are."""
        together, agreed = threading.Barrier(WINDOW), []

        class Listening(LDicomNet):
            def create_client(self) -> LDicomNet:
                return Performing(together, agreed)

        with Listening() as server:
            server.listen("127.0.0.1", 0)
            self.addCleanup(server.server_close)
            scu = peers.dcmjs_scu(server.get_host_info()[1], echoes=3 * WINDOW, window=WINDOW)
            scu.check()
        self.assertEqual(agreed, [(WINDOW, 1)])
        self.assertFalse(together.broken)

    def test_we_invoke_and_it_performs(self) -> None:
        """Its server agrees to what is asked; every response is matched to its request."""
        with peers.dcmjs_scp() as scp:
            client = Invoking(40)
            client.connect("", 0, "127.0.0.1", scp.port)
            self.assertTrue(client.closed.wait(30))
        self.assertEqual(client.window, (WINDOW, 1))
        self.assertEqual(sorted(client.answered), list(range(1, 41)))
