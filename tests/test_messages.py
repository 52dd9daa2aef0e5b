"""All 23 messages both ways, over an in-memory pair and over TCP; the order of hooks; what is answered by default."""

from __future__ import annotations

import struct
from typing import Any

from pydicom import Dataset

from ldicomnet import ErrorCode, LDicomDS, LDicomUsageError, PduType, Priority, Status
from ldicomnet.message import ROWS, Row

from .support import BIG, CT, DEFLATED, EXPLICIT, IMPLICIT, VERIFICATION, Ends, Recorder, accept_all, request

INSTANCE = "1.2.3.4.5"
VALUES: dict[str, Any] = {
    "message_id": 7,
    "sop_class_uid": CT,
    "sop_instance_uid": INSTANCE,
    "priority": Priority.HIGH,
    "move_ae": "MOVER",
    "move_message_id": 513,
    "status": Status.SUCCESS,
    "remaining": 4,
    "completed": 3,
    "failed": 2,
    "warning": 1,
    "event": 11,
    "action": 12,
    "attributes": [0x00100010, 0x00100020],
}
FINAL = {row.response.field for row in ROWS if row.response}


def identifier() -> Dataset:
    """A small data set."""
    dataset = Dataset()
    dataset.PatientName = "Sample^One"
    dataset.PatientID = "0815"
    return dataset


class EveryMessage(Ends):
    """Each row of the table, sent with real values."""

    def exchange(self, sender: Recorder, receiver: Recorder, context: int) -> None:
        for row in ROWS:
            with self.subTest(message=row.name):
                self.send(sender, row, context)
                got = receiver.wait_for(row.hook)
                self.check(row, got, context)

    def send(self, sender: Recorder, row: Row, context: int) -> None:
        values = [VALUES[parameter.name] for parameter in row.parameters]
        dataset = [identifier()] if row.has_dataset else []
        getattr(sender, "send_" + row.name)(context, *values, *dataset)

    def check(self, row: Row, got: tuple[Any, ...], context: int) -> None:
        expected = [context, *(VALUES[parameter.name] for parameter in row.parameters)]
        self.assertEqual(list(got[: len(expected)]), expected)
        if row.has_dataset:
            self.assertEqual(len(got), len(expected) + 1)
            self.assertEqual(got[-1].dataset.PatientID, "0815")
            self.assertEqual(got[-1].transfer_syntax, EXPLICIT)
        else:
            self.assertEqual(len(got), len(expected))

    def silence(self, *ends: Recorder) -> None:
        """Nobody answers: each message is sent by the test."""
        for end in ends:
            end.answers |= {row.hook: lambda *_: None for row in ROWS}

    def test_from_requestor_in_memory(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        self.silence(requestor, acceptor)
        self.exchange(requestor, acceptor, 1)

    def test_from_acceptor_in_memory(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        self.silence(requestor, acceptor)
        self.exchange(acceptor, requestor, 1)

    def test_from_requestor_over_tcp(self) -> None:
        requestor, acceptor = self.associated_over_tcp((CT, EXPLICIT))
        self.silence(requestor, acceptor)
        self.exchange(requestor, acceptor, 1)

    def test_from_acceptor_over_tcp(self) -> None:
        requestor, acceptor = self.associated_over_tcp((CT, EXPLICIT))
        self.silence(requestor, acceptor)
        self.exchange(acceptor, requestor, 1)

    def test_optional_elements_left_out(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        self.silence(requestor, acceptor)
        acceptor.send_c_move_response(1, 7, CT, Status.PENDING)
        self.assertEqual(requestor.wait_for("on_receive_c_move_response"), (1, 7, CT, 0xFF00, *[None] * 5))
        acceptor.send_c_store_response(1, 7, "", "", 0xB007)
        self.assertEqual(requestor.wait_for("on_receive_c_store_response"), (1, 7, "", "", 0xB007))
        requestor.send_c_store_request(1, 9, CT, INSTANCE, dataset=identifier())
        self.assertEqual(acceptor.wait_for("on_receive_c_store_request")[4:7], (Priority.MEDIUM, "", 0))

    def test_pending_responses_in_a_row(self) -> None:
        """What is the same is encoded once, and what differs is not taken for it."""
        requestor, acceptor = self.associated()
        sent = [
            (3, 7, CT, 0xFF00, True),
            (3, 7, CT, 0xFF00, True),
            (3, 7, CT, 0xFF01, True),
            (3, 8, CT, 0xFF00, True),
            (3, 8, VERIFICATION, 0xFF00, True),
            (1, 8, VERIFICATION, 0xFF00, True),
            (1, 8, VERIFICATION, 0xFF00, False),
            (1, 8, VERIFICATION, 0xFF00, True),
            (1, 8, VERIFICATION, 0x0000, False),
            (1, 8, VERIFICATION, 0xFF00, True),
        ]
        for *values, has_data_set in sent:
            acceptor.send_c_find_response(*values, identifier() if has_data_set else None)
        requestor.wait_for("on_receive_c_find_response", len(sent))
        got = [(*call[1:5], call[5] is not None) for call in requestor.calls if call[0] == "on_receive_c_find_response"]
        self.assertEqual(got, sent)
        for _ in range(2):
            with self.assertRaises(LDicomUsageError):
                acceptor.send_c_find_response(1, 8, VERIFICATION, 0x1FF00, identifier())

    def test_an_empty_data_set(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        self.silence(requestor, acceptor)
        requestor.send_c_find_request(1, 7, CT, dataset=Dataset())
        dataset = acceptor.wait_for("on_receive_c_find_request")[-1]
        self.assertEqual((dataset.size, len(dataset.dataset)), (0, 0))


class Defaults(Ends):
    """A request that nobody handles is answered, so that no peer waits for ever."""

    def test_every_request(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        for number, row in enumerate(ROWS):
            if row.response is None:
                continue
            with self.subTest(message=row.name):
                values = [VALUES[parameter.name] for parameter in row.parameters][1:]
                dataset = [identifier()] if row.has_dataset else []
                getattr(requestor, "send_" + row.name)(1, number, *values, *dataset)
                got = requestor.wait_for(row.response.hook)
                status = got[1 + [parameter.name for parameter in row.response.parameters].index("status")]
                self.assertEqual(got[:2], (1, number))
                self.assertEqual(status, 0 if row.name == "c_echo_request" else 0x0211)
        self.assertTrue(acceptor.is_associated())

    def test_unknown_command_field(self) -> None:
        class Hearing(Recorder):
            def on_receive_unknown(self, presentation_id: int, command_set: Dataset, dataset: LDicomDS | None) -> None:
                self.note("unknown", presentation_id, command_set, dataset)

        requestor, acceptor = Hearing(), self.acceptor()
        self.addCleanup(requestor.close_forced)
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")
        command_set = Dataset()
        command_set.AffectedSOPClassUID, command_set.CommandField, command_set.MessageID = VERIFICATION, 0x0077, 5
        requestor.send_data(1, command_set, None)
        context, answer, dataset = requestor.wait_for("unknown")
        self.assertEqual((context, dataset), (1, None))
        self.assertEqual((answer.CommandField, answer.MessageIDBeingRespondedTo, answer.Status), (0x8077, 5, 0x0211))
        self.assertTrue(acceptor.is_associated())

    def test_association_is_rejected(self) -> None:
        requestor, acceptor = self.requestor(), Recorder()
        self.addCleanup(acceptor.close_forced)
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request())
        self.assertEqual(requestor.wait_for("on_receive_associate_reject"), (1, 1, 1))
        self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.SUCCESS)
        self.assertEqual(acceptor.wait_for("on_close")[0], ErrorCode.SUCCESS)


class Order(Ends):
    """`on_receive` first, then `on_receive_data`, then the message's own hook."""

    class Listening(Recorder):
        """Notes the raw hooks too."""

        def on_receive(self, error: ErrorCode, pdu_type: PduType, buffer: bytes) -> None:
            length = struct.unpack_from(">I", buffer, 2)[0]
            self.note("on_receive", error, pdu_type, len(buffer) - length)

        def on_receive_data(self, presentation_id: int, command_set: Dataset, dataset: LDicomDS | None) -> None:
            self.note("on_receive_data", presentation_id, int(command_set.CommandField), dataset)

    def test_order(self) -> None:
        requestor, acceptor = self.Listening(), self.Listening()
        for end in (requestor, acceptor):
            self.addCleanup(end.close_forced)
        acceptor.answers["on_receive_associate_request"] = accept_all
        acceptor.answers["on_receive_c_store_request"] = (
            lambda net, pid, mid, cls, inst, *_: net.send_c_store_response(pid, mid, cls, inst, 0)
        )
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")
        requestor.send_c_store_request(3, 1, CT, INSTANCE, dataset=identifier())
        requestor.wait_for("on_receive_c_store_response")
        requestor.send_release_request()
        requestor.wait_for("on_close")
        acceptor.wait_for("on_close")
        self.assertEqual(
            acceptor.names(),
            ["on_receive", "on_receive_associate_request"]
            + ["on_receive", "on_receive", "on_receive_data", "on_receive_c_store_request"]
            + ["on_receive", "on_receive_release_request", "on_close"],
        )
        self.assertEqual(
            requestor.names(),
            ["on_connect", "on_receive", "on_receive_associate_accept"]
            + ["on_receive", "on_receive_data", "on_receive_c_store_response"]
            + ["on_receive", "on_receive_release_response", "on_close"],
        )
        raw = [call[1:] for call in acceptor.calls if call[0] == "on_receive"]
        self.assertEqual([entry[1] for entry in raw], [1, 4, 4, 5])
        self.assertEqual({(entry[0], entry[2]) for entry in raw}, {(0, 6)})


class DataSets(Ends):
    """Encodings pass through, or are converted without loss, or are refused."""

    def store(self, dataset: Any, accepted: str) -> LDicomDS:
        requestor, acceptor = self.associated((CT, accepted))
        requestor.send_c_store_request(1, 1, CT, INSTANCE, dataset=dataset)
        got = acceptor.wait_for("on_receive_c_store_request")[-1]
        assert isinstance(got, LDicomDS)
        return got

    def test_the_same_syntax_passes_through(self) -> None:
        for syntax in (IMPLICIT, EXPLICIT, BIG, DEFLATED):
            with self.subTest(syntax=syntax):
                sent = LDicomDS.from_dataset(identifier(), syntax)
                got = self.store(sent, syntax)
                self.assertEqual((got.read(), got.transfer_syntax), (sent.read(), syntax))
                self.assertEqual(got.dataset.PatientName, "Sample^One")

    def test_uncompressed_are_converted(self) -> None:
        for own in (IMPLICIT, EXPLICIT, BIG, DEFLATED):
            for accepted in (IMPLICIT, EXPLICIT, BIG, DEFLATED):
                with self.subTest(own=own, accepted=accepted):
                    got = self.store(LDicomDS.from_dataset(identifier(), own), accepted)
                    self.assertEqual(got.transfer_syntax, accepted)
                    self.assertEqual(got.read(), LDicomDS.from_dataset(identifier(), accepted).read())

    def test_compressed_is_refused_and_the_association_lives(self) -> None:
        requestor, acceptor = self.associated((CT, EXPLICIT))
        sent = LDicomDS.from_dataset(identifier(), EXPLICIT)
        sent.transfer_syntax = "1.2.840.10008.1.2.4.90"
        with self.assertRaises(LDicomUsageError) as caught:
            requestor.send_c_store_request(1, 1, CT, INSTANCE, dataset=sent)
        self.assertEqual(caught.exception.code, ErrorCode.TRANSFER_SYNTAX_NOT_SUPPORTED)
        self.assertIn("dataset", str(caught.exception))
        requestor.send_c_echo_request(1, 2, CT)
        requestor.wait_for("on_receive_c_echo_response")
        self.assertEqual(acceptor.count("on_receive_c_store_request"), 0)


class CommandSets(Ends):
    """Optional elements, and the low level."""

    def test_before_send_and_get_command_set(self) -> None:
        class Commenting(Recorder):
            def on_before_send_command_set(self, command_set: Dataset) -> None:
                command_set.ErrorComment = "out of paper"
                self.note("before", command_set.CommandField)

        requestor, acceptor = self.requestor(), Commenting()
        acceptor.answers["on_receive_associate_request"] = accept_all
        self.addCleanup(acceptor.close_forced)
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")
        requestor.send_c_echo_request(1, 3)
        requestor.wait_for("on_receive_c_echo_response")
        self.assertEqual(requestor.get_command_set().ErrorComment, "out of paper")
        self.assertEqual(acceptor.names().count("before"), 1, "only responses pass it")
        self.assertEqual(acceptor.get_command_set().MessageID, 3)

    def test_send_data_reaches_the_hook_of_its_command(self) -> None:
        requestor, acceptor = self.associated()
        command_set = LDicomDS.init_cs(0x0001, True)
        self.assertEqual(command_set.get_info_cs(), (0x0001, True))
        command_set.dataset.AffectedSOPClassUID = CT
        command_set.dataset.AffectedSOPInstanceUID = INSTANCE
        command_set.dataset.MessageID = 77
        requestor.send_data(3, command_set, identifier())
        got = acceptor.wait_for("on_receive_c_store_request")
        self.assertEqual(got[:4], (3, 77, CT, INSTANCE))
        self.assertEqual(got[-1].dataset.PatientID, "0815")


class Misuse(Ends):
    """The caller's mistakes: an error that names the argument and the rule, and nothing else disturbed."""

    def test_before_a_connection(self) -> None:
        net = Recorder()
        calls = {
            "send_c_echo_request": (1, 1),
            "send_release_request": (),
            "send_abort": (0, 0),
            "send_associate_request": (request(),),
        }
        for name, arguments in calls.items():
            with self.subTest(method=name), self.assertRaises(LDicomUsageError) as caught:
                getattr(net, name)(*arguments)
            self.assertEqual(caught.exception.code, ErrorCode.NET_NOT_CONNECTED)

    def test_before_an_association(self) -> None:
        requestor, acceptor = self.connected()
        for end, call in (
            (requestor, lambda: requestor.send_c_echo_request(1, 1)),
            (requestor, requestor.send_release_request),
            (requestor, lambda: requestor.send_associate_accept(request())),
            (acceptor, lambda: acceptor.send_associate_request(request())),
            (acceptor, lambda: acceptor.send_associate_reject(1, 1, 1)),
        ):
            with self.assertRaises(LDicomUsageError) as caught:
                call()
            self.assertEqual(caught.exception.code, ErrorCode.NET_INVALID)
            self.assertTrue(end.is_connected())
        requestor.send_associate_request(request())
        requestor.wait_for("on_receive_associate_accept")

    def test_arguments(self) -> None:
        requestor, _acceptor = self.associated()
        small = identifier()
        rows = (
            ("presentation_id", lambda: requestor.send_c_echo_request(5, 1)),
            ("presentation_id", lambda: requestor.send_c_echo_request(2, 1)),
            ("message_id", lambda: requestor.send_c_echo_request(1, 65536)),
            ("message_id", lambda: requestor.send_c_echo_request(1, -1)),
            ("sop_class_uid", lambda: requestor.send_c_echo_request(1, 1, "verification")),
            ("sop_class_uid", lambda: requestor.send_c_echo_request(1, 1, "1.2." + "3" * 62)),
            ("sop_instance_uid", lambda: requestor.send_c_store_request(3, 1, CT, "../x", dataset=small)),
            ("move_ae", lambda: requestor.send_c_move_request(3, 1, CT, 0, "A" * 17, small)),
            ("move_ae", lambda: requestor.send_c_move_request(3, 1, CT, 0, "A\\B", small)),
            ("attributes", lambda: requestor.send_n_get_request(3, 1, CT, INSTANCE, ["PatientName"])),
            ("dataset", lambda: requestor.send_c_store_request(3, 1, CT, INSTANCE)),
            ("dataset", lambda: requestor.send_c_store_request(3, 1, CT, INSTANCE, dataset=3)),
            ("status", lambda: requestor.send_c_echo_response(1, 1, VERIFICATION, 70000)),
        )
        for name, call in rows:
            with self.subTest(argument=name), self.assertRaises(LDicomUsageError) as caught:
                call()
            self.assertIn(name, str(caught.exception))
        requestor.send_c_echo_request(1, 1)
        requestor.wait_for("on_receive_c_echo_response")

    def test_what_looks_like_the_last_arguments(self) -> None:
        """A context that equals an accepted one and is no number is refused, the second time too; a message ID may be
        anything that is a whole number."""

        class Index:
            def __index__(self) -> int:
                return 77

        client, _server = self.associated()
        client.send_c_echo_request(1, 1, VERIFICATION)
        client.wait_for("on_receive_c_echo_response")
        with self.assertRaises(LDicomUsageError) as caught:
            client.send_c_echo_request(1.0, 2, VERIFICATION)  # type: ignore[arg-type]
        self.assertEqual(caught.exception.code, ErrorCode.PDU_ID)
        client.send_c_echo_request(1, Index(), VERIFICATION)  # type: ignore[arg-type]
        self.assertEqual(client.wait_for("on_receive_c_echo_response", 2)[1], 77)
        assert client._conversation is not None
        self.assertEqual(client._conversation.engine._operations.awaited, {})

    def test_codes_instead_of_errors(self) -> None:
        requestor, _acceptor = self.associated()
        requestor.raise_errors = False
        self.assertEqual(requestor.send_c_echo_request(9, 1), ErrorCode.PDU_ID)
        self.assertEqual(requestor.connect("", 0, "127.0.0.1", 1), ErrorCode.NET_IS_CONNECTED)
        self.assertEqual(requestor.send_c_echo_request(1, 1), ErrorCode.SUCCESS)
        requestor.wait_for("on_receive_c_echo_response")
