"""The life of an association over an in-memory pair: release, collision, abort in every state, negotiation."""

from __future__ import annotations

import threading
from unittest import mock

from ldicomnet import (
    AcceptResult,
    ErrorCode,
    LDicomAssociate,
    LDicomError,
    LDicomNet,
    LDicomUsageError,
    Limits,
    Status,
)
from ldicomnet.deadlines import Deadlines
from ldicomnet.pdu import (
    Abort,
    AssociateRequest,
    DataTransfer,
    ReleaseRequest,
    ReleaseResponse,
    decode,
)
from ldicomnet.timing import NEVER
from ldicomnet.transport.memory import MemoryTransport, pair

from .support import BIG, CT, EXPLICIT, IMPLICIT, QUICK, SECONDS, VERIFICATION, Ends, Recorder, request


class Peer:
    """A peer of the test's own, that speaks PDUs over the other end of a pair."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.transport = transport
        transport.set_timeout(SECONDS)
        self._data = bytearray()

    def send(self, *pdus: object) -> None:
        """Send PDUs, or bytes as they are."""
        self.transport.write([pdu if isinstance(pdu, bytes) else pdu.encode() for pdu in pdus])  # type: ignore[attr-defined]

    def receive(self) -> object:
        """The next PDU; None when the connection has ended."""
        while len(self._data) < 6 or len(self._data) < 6 + int.from_bytes(self._data[2:6], "big"):
            view = bytearray(65536)
            count = self.transport.read_into(memoryview(view), False)
            if not count:
                return None
            self._data += view[:count]
        length = 6 + int.from_bytes(self._data[2:6], "big")
        found = decode(bytes(self._data[:length]))
        del self._data[:length]
        return found


class AgainstPeer(Ends):
    """Tests that put one end against a peer of their own."""

    def peer_of_acceptor(self) -> tuple[Peer, Recorder]:
        """A peer that has to request, and the end that accepts."""
        there, back = pair()
        acceptor = self.acceptor()
        acceptor.timeouts = QUICK
        acceptor.attach(back, requestor=False)
        return Peer(there), acceptor

    def peer_of_requestor(self) -> tuple[Peer, Recorder]:
        """A peer that has to accept, and the end that requests and is connected."""
        there, back = pair()
        requestor = self.requestor()
        requestor.timeouts = QUICK
        requestor.attach(there, requestor=True)
        requestor.wait_for("on_connect")
        return Peer(back), requestor

    def associated_peer(self) -> tuple[Peer, Recorder]:
        """A peer with an association to an end that accepted it."""
        peer, acceptor = self.peer_of_acceptor()
        peer.send(request().to_request())
        peer.receive()
        return peer, acceptor

    def requested_peer(self) -> tuple[Peer, Recorder]:
        """A peer that accepted the association of an end."""
        peer, requestor = self.peer_of_requestor()
        requestor.send_associate_request(request())
        self.accept(peer)
        requestor.wait_for("on_receive_associate_accept")
        return peer, requestor

    def accept(self, peer: Peer) -> None:
        """Accept what the peer is asked."""
        asked = peer.receive()
        assert isinstance(asked, AssociateRequest)
        made = LDicomAssociate.from_request(asked)
        peer.send(made.accept(lambda uid: ("*",)).to_accept(made))


class Release(AgainstPeer):
    """PS3.8 Section 7.2."""

    def test_by_requestor(self) -> None:
        requestor, acceptor = self.associated()
        requestor.send_release_request()
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertEqual(requestor.names()[-2:], ["on_receive_release_response", "on_close"])
        self.assertEqual(acceptor.names()[-2:], ["on_receive_release_request", "on_close"])
        self.assertFalse(requestor.is_connected() or requestor.is_associated() or requestor.is_activated())

    def test_by_acceptor(self) -> None:
        requestor, acceptor = self.associated()
        acceptor.send_release_request()
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertEqual(acceptor.count("on_receive_release_response"), 1)

    def test_collision_seen_by_the_requestor(self) -> None:
        peer, requestor = self.requested_peer()
        requestor.send_release_request()
        self.assertIsInstance(peer.receive(), ReleaseRequest)
        peer.send(ReleaseRequest())
        self.assertIsInstance(peer.receive(), ReleaseResponse)
        self.assertEqual(requestor.count("on_receive_release_response"), 0)
        peer.send(ReleaseResponse())
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertIsNone(peer.receive())

    def test_collision_seen_by_the_acceptor(self) -> None:
        peer, acceptor = self.associated_peer()
        acceptor.answers["on_receive_release_response"] = lambda net: net.close()
        acceptor.wait_for("on_receive_associate_request")
        acceptor.send_release_request()
        self.assertIsInstance(peer.receive(), ReleaseRequest)
        peer.send(ReleaseRequest())
        acceptor.wait_for("on_receive_release_request")
        peer.send(ReleaseResponse())
        self.assertIsInstance(peer.receive(), ReleaseResponse, "in Sta12 the acceptor still has to answer")
        peer.transport.close()
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def test_collision_of_two_ends(self) -> None:
        for _ in range(10):
            requestor, acceptor = self.associated()
            gate = threading.Barrier(2)

            def release(net: LDicomNet, gate: threading.Barrier = gate) -> None:
                gate.wait()
                try:
                    net.send_release_request()
                except LDicomUsageError:
                    pass  # the other was first

            threads = [threading.Thread(target=release, args=(net,)) for net in (requestor, acceptor)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(SECONDS)
            for end in (requestor, acceptor):
                self.assertEqual(end.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def test_data_may_still_come_after_our_request(self) -> None:
        peer, requestor = self.requested_peer()
        requestor.send_release_request()
        peer.receive()
        peer.send(_data(1, _echo_response()))
        requestor.wait_for("on_receive_c_echo_response")
        peer.send(ReleaseResponse())
        requestor.wait_for("on_close")

    def test_an_answer_may_still_be_sent_after_the_peers_request(self) -> None:
        peer, acceptor = self.associated_peer()
        acceptor.answers["on_receive_release_request"] = _answer_then_release
        peer.send(ReleaseRequest())
        self.assertIsInstance(peer.receive(), DataTransfer)
        self.assertIsInstance(peer.receive(), ReleaseResponse)


def _answer_then_release(net: LDicomNet) -> None:
    net.send_c_echo_response(1, 1, VERIFICATION, Status.SUCCESS)
    net.send_release_response()


def _echo_response() -> bytes:
    from ldicomnet.message import BY_NAME, encode

    return encode(BY_NAME["c_echo_response"], (1, VERIFICATION, 0), False)


def _data(context: int, command: bytes) -> bytes:
    value = (len(command) + 2).to_bytes(4, "big") + bytes((context, 3)) + command
    return b"\4\0" + len(value).to_bytes(4, "big") + value


class Aborts(AgainstPeer):
    """A-ABORT from either side, in every state that has one."""

    def assert_aborted(self, peer: Peer, end: Recorder, source: int, reason: int) -> None:
        end.send_abort(source, reason)
        self.assertEqual(peer.receive(), Abort(source, reason))
        peer.transport.close()
        self.assertEqual(end.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertEqual(end.count("on_receive_abort"), 0)

    def assert_heard(self, peer: Peer, end: Recorder) -> None:
        peer.send(Abort(0, 0))
        self.assertEqual(end.wait_for("on_receive_abort"), (0, 0))
        self.assertEqual(end.wait_for("on_close")[0], ErrorCode.NET_CONNECTION_ABORTED)

    def asked(self) -> tuple[Peer, Recorder]:
        """Sta3."""
        peer, acceptor = self.peer_of_acceptor()
        acceptor.answers["on_receive_associate_request"] = lambda *_: None
        peer.send(request().to_request())
        acceptor.wait_for("on_receive_associate_request")
        return peer, acceptor

    def asking(self) -> tuple[Peer, Recorder]:
        """Sta5."""
        peer, requestor = self.peer_of_requestor()
        requestor.send_associate_request(request())
        peer.receive()
        return peer, requestor

    def releasing(self) -> tuple[Peer, Recorder]:
        """Sta7."""
        peer, requestor = self.requested_peer()
        requestor.send_release_request()
        peer.receive()
        return peer, requestor

    def released(self) -> tuple[Peer, Recorder]:
        """Sta8."""
        peer, acceptor = self.associated_peer()
        acceptor.answers["on_receive_release_request"] = lambda *_: None
        peer.send(ReleaseRequest())
        acceptor.wait_for("on_receive_release_request")
        return peer, acceptor

    def colliding(self) -> tuple[Peer, Recorder]:
        """Sta9."""
        peer, requestor = self.releasing()
        requestor.answers["on_receive_release_request"] = lambda *_: None
        peer.send(ReleaseRequest())
        requestor.wait_for("on_receive_release_request")
        return peer, requestor

    def colliding_acceptor(self) -> tuple[Peer, Recorder]:
        """Sta10."""
        peer, acceptor = self.associated_peer()
        acceptor.answers["on_receive_release_request"] = lambda *_: None
        acceptor.answers["on_receive_release_response"] = lambda *_: None
        acceptor.wait_for("on_receive_associate_request")
        acceptor.send_release_request()
        peer.receive()
        peer.send(ReleaseRequest())
        acceptor.wait_for("on_receive_release_request")
        return peer, acceptor

    def answered(self) -> tuple[Peer, Recorder]:
        """Sta11."""
        peer, requestor = self.colliding()
        requestor.send_release_response()
        peer.receive()
        return peer, requestor

    def answered_acceptor(self) -> tuple[Peer, Recorder]:
        """Sta12."""
        peer, acceptor = self.colliding_acceptor()
        peer.send(ReleaseResponse())
        acceptor.wait_for("on_receive_release_response")
        return peer, acceptor

    def states(self) -> dict[str, tuple[Peer, Recorder]]:
        """A peer and an end in each state."""
        return {
            "Sta3": self.asked(),
            "Sta5": self.asking(),
            "Sta6 requestor": self.requested_peer(),
            "Sta6 acceptor": self.associated_peer(),
            "Sta7": self.releasing(),
            "Sta8": self.released(),
            "Sta9": self.colliding(),
            "Sta10": self.colliding_acceptor(),
            "Sta11": self.answered(),
            "Sta12": self.answered_acceptor(),
        }

    def test_ours(self) -> None:
        for state, (peer, end) in self.states().items():
            with self.subTest(state=state):
                self.assert_aborted(peer, end, 0, 0)

    def test_the_peers(self) -> None:
        for state, (peer, end) in self.states().items():
            with self.subTest(state=state):
                self.assert_heard(peer, end)

    def test_nothing_to_abort(self) -> None:
        peer, acceptor = self.peer_of_acceptor()
        with self.assertRaises(LDicomUsageError):
            acceptor.send_abort(0, 0)
        peer.send(Abort(0, 0))
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertEqual(acceptor.count("on_receive_abort"), 0, "Sta2 has no association to abort (AA-2)")

    def test_before_the_association_is_requested(self) -> None:
        peer, requestor = self.peer_of_requestor()
        requestor.send_abort(0, 0)
        self.assertIsNone(peer.receive(), "Sta4: the connection is closed (AA-2)")
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def test_an_unexpected_pdu(self) -> None:
        peer, acceptor = self.associated_peer()
        peer.send(request().to_request())
        self.assertEqual(peer.receive(), Abort(2, 2))
        self.assertEqual(acceptor.wait_for("on_receive_abort"), (2, 2))
        peer.send(request().to_request())
        self.assertEqual(peer.receive(), Abort(2, 2), "Sta13: AA-7")
        peer.transport.close()
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.PDU_TYPE)

    def test_an_unknown_pdu(self) -> None:
        peer, acceptor = self.associated_peer()
        peer.send(b"\x42\0\0\0\0\x04abcd")
        self.assertEqual(peer.receive(), Abort(2, 1))
        peer.transport.close()
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.PDU_TYPE)


class Waits(AgainstPeer):
    """Each wait ends in one error."""

    def test_artim_runs_over_the_whole_request(self) -> None:
        peer, acceptor = self.peer_of_acceptor()
        peer.send(request().to_request().encode()[:-1])
        self.assertIsNone(peer.receive())
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)

    def test_artim_after_an_abort(self) -> None:
        peer, acceptor = self.associated_peer()
        acceptor.wait_for("on_receive_associate_request")
        acceptor.send_abort(0, 0)
        self.assertIsInstance(peer.receive(), Abort)
        self.assertIsNone(peer.receive())
        acceptor.wait_for("on_close")

    def test_more_items_than_the_limits_allow(self) -> None:
        """Settable down from what the format can hold; as many as that are taken."""
        many = request((CT, IMPLICIT), (VERIFICATION, IMPLICIT), (CT, EXPLICIT))
        items = len(many.to_request().user_items)
        for name, most, fits in (
            ("contexts", 3, True),
            ("contexts", 2, False),
            ("user_items", items, True),
            ("user_items", items - 1, False),
        ):
            with self.subTest(name, most=most):
                there, back = pair()
                acceptor = self.acceptor()
                acceptor.timeouts, acceptor.limits = QUICK, Limits(**{name: most})
                acceptor.attach(back, requestor=False)
                peer = Peer(there)
                peer.send(many.to_request())
                answer = peer.receive()
                self.assertEqual(not isinstance(answer, Abort), fits)
                if not fits:  # an invalid PDU in Sta2 is AA-1
                    self.assertEqual(answer, Abort(0, 0))

    def test_no_answer_to_the_request(self) -> None:
        peer, requestor = self.peer_of_requestor()
        requestor.send_associate_request(request())
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)
        self.assertIsInstance(peer.receive(), AssociateRequest)
        self.assertEqual(peer.receive(), Abort(0, 0))

    def test_no_response(self) -> None:
        peer, requestor = self.requested_peer()
        requestor.send_c_echo_request(1, 1)
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)
        self.assertIsInstance(peer.receive(), DataTransfer)
        self.assertEqual(peer.receive(), Abort(0, 0))

    def test_no_answer_to_the_release(self) -> None:
        _peer, requestor = self.requested_peer()
        requestor.send_release_request()
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)

    def test_an_answer_that_another_thread_begins_to_wait_for(self) -> None:
        """Released in the very moment in which the association is confirmed: that is timed."""
        peer, requestor = self.peer_of_requestor()
        requestor.send_associate_request(request())
        assert requestor._conversation is not None
        reader, releases = requestor._conversation.engine.sender.outbox.reader, [requestor.send_release_request]

        begin_answer = Deadlines.begin_answer

        def meddling(deadlines: Deadlines, field: str) -> None:
            if threading.get_ident() == reader and releases:
                other = threading.Thread(target=releases.pop())
                other.start()
                other.join(SECONDS)
            begin_answer(deadlines, field)

        with mock.patch.object(Deadlines, "begin_answer", meddling):
            self.accept(peer)
            self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)
        self.assertEqual(releases, [])
        self.assertEqual(requestor.statistics.timeouts, {"release": 1})

    def test_an_abort_of_another_thread_while_a_request_arrives(self) -> None:
        """ARTIM of the abort is not stopped with that of the request (AE-6)."""
        peer, acceptor = self.peer_of_acceptor()
        acceptor.answers["on_receive_associate_request"] = lambda *_: None
        assert acceptor._conversation is not None
        deadlines = acceptor._conversation.engine._deadlines
        aborts = [lambda: acceptor.send_abort(0, 0)]

        class Meddling(Deadlines):
            """Another thread aborts just before ARTIM is stopped."""

            @property
            def artim(self) -> float:
                return self._artim

            @artim.setter
            def artim(self, when: float) -> None:
                if when == NEVER and aborts:
                    other = threading.Thread(target=aborts.pop())
                    other.start()
                    other.join(SECONDS)
                self._artim = when

        Meddling._artim = deadlines.artim
        deadlines.__class__ = Meddling
        peer.send(request().to_request())
        self.assertEqual(peer.receive(), Abort(0, 0))
        self.assertIsNone(peer.receive(), "closed when ARTIM has passed")
        acceptor.wait_for("on_close")
        self.assertEqual(aborts, [])
        self.assertEqual(acceptor.statistics.timeouts, {"artim": 1})

    def test_a_message_that_does_not_go_on(self) -> None:
        peer, acceptor = self.associated_peer()
        command = _data(1, _echo_response())
        peer.send(command[:-3])
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)
        self.assertEqual(peer.receive(), Abort(0, 0))

    def test_an_idle_association_is_kept(self) -> None:
        peer, acceptor = self.associated_peer()
        acceptor.wait_for("on_receive_associate_request")
        peer.transport.set_timeout(2 * (QUICK.dimse or 0))
        with self.assertRaises(LDicomError):
            peer.receive()
        self.assertTrue(acceptor.is_associated())


class Negotiation(Ends):
    """What both sides hold once the association stands."""

    def test_both_sides_know_the_same(self) -> None:
        requestor, acceptor = self.requestor(), self.acceptor()
        asked = request((VERIFICATION, IMPLICIT), (CT, [EXPLICIT, IMPLICIT]), ("1.2.3", BIG))
        asked.set_role_select(3, True, 1, 1)
        asked.set_async_operations(True, 5, 3)
        supported = {CT: [IMPLICIT], VERIFICATION: [IMPLICIT]}
        acceptor.answers["on_receive_associate_request"] = lambda net, associate: net.send_associate_accept(
            associate.accept(supported, max_length=4096, async_operations=(2, 2))
        )
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        self.assertIsNone(requestor.get_associate())
        requestor.send_associate_request(asked)
        requestor.wait_for("on_receive_associate_accept")
        for end in (requestor, acceptor):
            with self.subTest(end=end.names()[0]):
                got = end.get_associate()
                assert got is not None
                self.assertEqual(
                    [(c.presentation_id, c.abstract_syntax, c.result) for c in got.presentation_contexts],
                    [
                        (1, VERIFICATION, AcceptResult.SUCCESS),
                        (3, CT, AcceptResult.SUCCESS),
                        (5, "1.2.3", AcceptResult.ABSTRACT_SYNTAX),
                    ],
                )
                self.assertEqual(got.get_transfer(3, 0), IMPLICIT)
                self.assertEqual((got.get_user_role(3), got.get_provider_role(3)), (1, 1))
                self.assertEqual((got.get_invoked_operations(), got.get_performed_operations()), (2, 2))
                self.assertEqual(got.get_max_length(), 4096)
                self.assertEqual((got.get_called(), got.get_calling()), ("ACCEPTOR", "REQUESTOR"))
        self.assertFalse(got.is_request())

    def test_the_peers_maximum_is_kept_to_the_byte(self) -> None:
        for maximum in (8, 9, 1000, 4096, 0):
            with self.subTest(maximum=maximum):
                requestor, acceptor = self.requestor(), self.acceptor()
                lengths: list[int] = []
                acceptor.on_receive = lambda error, kind, data, kept=lengths: kept.append(len(data) - 6)  # type: ignore
                acceptor.answers["on_receive_associate_request"] = lambda net, associate, m=maximum: (
                    net.send_associate_accept(associate.accept(lambda uid: ("*",), max_length=m))
                )
                self.join(requestor, acceptor)
                requestor.wait_for("on_connect")
                requestor.send_associate_request(request())
                requestor.wait_for("on_receive_associate_accept")
                requestor.send_c_echo_request(1, 1)
                requestor.wait_for("on_receive_c_echo_response")
                data = lengths[1:]
                self.assertTrue(all(length <= maximum or not maximum for length in data))
                self.assertEqual(len(data) > 1, 0 < maximum < 1000)

    def test_an_accept_for_what_was_not_offered(self) -> None:
        errors: list[LDicomUsageError] = []

        def accept(net: LDicomNet, associate: LDicomAssociate) -> None:
            answer = LDicomAssociate(False)
            answer.default()
            for presentation_id, syntax in ((7, IMPLICIT), (1, BIG)):
                wrong = answer.copy()
                wrong.add_presentation(presentation_id, 0, VERIFICATION)
                wrong.add_transfer(presentation_id, syntax)
                try:
                    net.send_associate_accept(wrong)
                except LDicomUsageError as error:
                    errors.append(error)
            answer.add_presentation(1, 0, VERIFICATION)
            answer.add_transfer(1, IMPLICIT)
            net.send_associate_accept(answer)

        requestor, acceptor = self.requestor(), self.acceptor()
        acceptor.answers["on_receive_associate_request"] = accept
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request())
        (got,) = requestor.wait_for("on_receive_associate_accept")
        self.assertEqual(
            [error.code for error in errors], [ErrorCode.PDU_ID, ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED]
        )
        self.assertEqual([context.result for context in got.presentation_contexts], [0, 2])

    def test_a_rejection_is_told(self) -> None:
        requestor, acceptor = self.requestor(), self.acceptor()
        acceptor.answers["on_receive_associate_request"] = lambda net, _: net.send_associate_reject(2, 3, 2)
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request())
        self.assertEqual(requestor.wait_for("on_receive_associate_reject"), (2, 3, 2))
        requestor.wait_for("on_close")

    def test_another_application_context_is_rejected(self) -> None:
        requestor, acceptor = self.connected()
        asked = request()
        asked.set_application("1.2.3.4")
        requestor.send_associate_request(asked)
        self.assertEqual(requestor.wait_for("on_receive_associate_reject"), (1, 1, 2))
        self.assertEqual(acceptor.count("on_receive_associate_request"), 0)

    def test_another_protocol_version_is_rejected(self) -> None:
        requestor, acceptor = self.connected()
        asked = request()
        asked.set_version(2)
        requestor.send_associate_request(asked)
        self.assertEqual(requestor.wait_for("on_receive_associate_reject"), (1, 2, 2))
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.NET_VERSION_NOT_SUPPORTED)


class HooksThatRaise(AgainstPeer):
    """An exception in a hook is logged and answered; the thread goes on."""

    def fail(self, *_: object) -> None:  # type: ignore[override]
        raise ZeroDivisionError("in a hook")

    def test_in_a_request_hook(self) -> None:
        requestor, acceptor = self.associated()
        acceptor.answers["on_receive_c_echo_request"] = self.fail
        with self.assertLogs("ldicomnet.net", "ERROR") as logs:
            requestor.send_c_echo_request(1, 4)
            self.assertEqual(requestor.wait_for("on_receive_c_echo_response"), (1, 4, VERIFICATION, 0x0110))
        self.assertIn("ZeroDivisionError", logs.output[0])
        self.assertTrue(acceptor.is_associated())

    def test_after_the_hook_has_answered(self) -> None:
        requestor, acceptor = self.associated()

        def answer_and_fail(net: LDicomNet, context: int, message_id: int, uid: str) -> None:
            net.send_c_echo_response(context, message_id, uid, 0)
            self.fail()

        acceptor.answers["on_receive_c_echo_request"] = answer_and_fail
        with self.assertLogs("ldicomnet.net", "ERROR"):
            requestor.send_c_echo_request(1, 4)
            requestor.wait_for("on_receive_c_echo_response")
        acceptor.answers.clear()
        requestor.send_c_echo_request(1, 5)
        self.assertEqual(requestor.wait_for("on_receive_c_echo_response", 2)[1], 5, "one answer to one request")

    def test_where_no_answer_is_possible(self) -> None:
        for hook in ("on_receive_associate_request", "on_receive_associate_accept", "on_receive_c_echo_response"):
            with self.subTest(hook=hook), self.assertLogs("ldicomnet", "WARNING"):
                requestor, acceptor = self.requestor(), self.acceptor()
                for end in (requestor, acceptor):
                    end.answers[hook] = self.fail
                self.join(requestor, acceptor)
                requestor.wait_for("on_connect")
                requestor.send_associate_request(request())
                if hook == "on_receive_c_echo_response":
                    requestor.wait_for("on_receive_associate_accept")
                    requestor.send_c_echo_request(1, 1)
                told = requestor if hook.endswith("_request") else acceptor
                self.assertEqual(told.wait_for("on_receive_abort"), (2, 0))
                requestor.wait_for("on_close")

    def test_in_on_close(self) -> None:
        requestor, acceptor = self.associated()
        acceptor.answers["on_close"] = self.fail
        with self.assertLogs("ldicomnet.net", "ERROR"):
            requestor.close()
            acceptor.wait_for("on_close")
            acceptor.close()
        self.assertFalse(acceptor.is_activated())


class Threads(Ends):
    """Locks: hooks send while other threads send."""

    def test_two_ends_that_send_64_mib_to_each_other(self) -> None:
        from ldicomnet import LDicomDS
        from ldicomnet.body import MemoryBody

        requestor, acceptor = self.associated((CT, EXPLICIT))
        large = LDicomDS(MemoryBody(bytes(16 << 20)), EXPLICIT, CT, "1.2.3")
        for end in (requestor, acceptor):
            end.answers["on_receive_c_store_request"] = (
                lambda net, pid, mid, cls, inst, *_: net.send_c_store_response(pid, mid, cls, inst, 0)
            )

        def send(net: LDicomNet) -> None:
            for message_id in range(4):
                net.send_c_store_request(1, message_id, CT, "1.2.3", dataset=large)

        threads = [threading.Thread(target=send, args=(end,), daemon=True) for end in (requestor, acceptor)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            self.assertFalse(thread.is_alive(), "locked up")
        for end in (requestor, acceptor):
            end.wait_for("on_receive_c_store_response", 4)
            self.assertEqual(end.get_queue_send(), 0)

    def test_abort_ends_a_send_in_the_middle(self) -> None:
        from ldicomnet import LDicomDS
        from ldicomnet.body import MemoryBody

        requestor, acceptor = self.associated((CT, EXPLICIT))
        requestor.enable_progress_event = True
        large = LDicomDS(MemoryBody(bytes(256 << 20)), EXPLICIT, CT, "1.2.3")
        failed: list[LDicomError] = []

        def send() -> None:
            try:
                requestor.send_c_store_request(1, 1, CT, "1.2.3", dataset=large)
            except LDicomError as error:
                failed.append(error)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        while not requestor.get_queue_send() and thread.is_alive() and not _is_sending(requestor):
            pass
        requestor.send_abort(0, 0)
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive())
        self.assertEqual(len(failed), 1)
        self.assertEqual(acceptor.wait_for("on_receive_abort"), (0, 0))


def _is_sending(net: LDicomNet) -> bool:
    assert net._conversation is not None
    return net._conversation.engine.sender._sending_message
