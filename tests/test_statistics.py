"""`statistics` and `ending`: what is counted, by whom, and what a connection says of itself when it is over."""

from __future__ import annotations

import json
import logging
import socket
import threading
import unittest
from collections import Counter
from collections.abc import Callable

from ldicomnet import ErrorCode, LDicomDS, LDicomNet, Statistics, Status, Timeouts
from ldicomnet.ending import Ending
from ldicomnet.errors import LDicomTimeoutError
from ldicomnet.message import BY_NAME, build
from ldicomnet.statistics import Ledger, Tally

from .support import CT, EXPLICIT, SECONDS, VERIFICATION, Ends, Recorder, accept_all, associate_with, request

OBJECT = LDicomDS.from_bytes(b"\x10\0\x10\0PN\4\0A^B ", EXPLICIT, CT, "1.2.3")


class Cause(unittest.TestCase):
    """`Ending`."""

    def test_the_first_cause_counts(self) -> None:
        ending = Ending()
        self.assertEqual((ending.code, ending.why), (None, ""))
        ending.in_order("released")
        self.assertEqual((ending.code, ending.why), (None, "released"))
        ending.by_error(LDicomTimeoutError("late"))
        ending.by(ErrorCode.SUCCESS, "closed")
        ending.in_order("released")
        self.assertEqual(ending.code, ErrorCode.NET_TIME_OUT)
        self.assertIn("late", ending.why)
        ending.overrules(ErrorCode.NET_FAILURE, "bug")
        self.assertEqual((ending.code, ending.why), (ErrorCode.NET_FAILURE, "bug"))

    def test_an_error_of_the_program(self) -> None:
        ending = Ending()
        ending.by_error(ZeroDivisionError("x"))
        self.assertEqual((ending.code, ending.why), (ErrorCode.NET_FAILURE, "ZeroDivisionError on this side"))


class Counts(unittest.TestCase):
    """The records."""

    def test_a_tally(self) -> None:
        tally = Tally()
        rows = (
            ("c_echo_request", (1, VERIFICATION), False),
            ("c_find_response", (1, CT, 0xFF00), True),
            ("c_find_response", (1, CT, 0), False),
            ("c_find_response", (1, CT, 0), False),
        )
        for name, values, has_data_set in rows:
            kind = build(BY_NAME[name], 1, values, has_data_set).kind.number
            tally.received[kind] = tally.received.get(kind, 0) + 1
        for _ in range(3):
            tally.begin(tally.sent, 0x4567)
        tally.rejected(1, 2, 3)
        tally.aborted("ours", 0, 0)
        tally.late("dimse")
        tally.endings[ErrorCode.NET_TIME_OUT] = 1
        numbers = tally.snapshot()
        self.assertEqual(
            numbers.received,
            {
                ("c_echo_request", None): 1,
                ("c_find_response", Status.PENDING): 1,
                ("c_find_response", Status.SUCCESS): 2,
            },
        )
        self.assertEqual(numbers.sent, {("other", None): 3})
        self.assertEqual(tally.messages, (4, 3))
        self.assertEqual((numbers.rejects, numbers.aborts), ({(1, 2, 3): 1}, {("ours", 0, 0): 1}))
        self.assertEqual((numbers.timeouts, numbers.endings), ({"dimse": 1}, {ErrorCode.NET_TIME_OUT: 1}))

    def test_they_add_up(self) -> None:
        ledger, tallies = Ledger(), [Tally() for _ in range(3)]
        for sent, tally in enumerate(tallies):
            tally.connections, tally.bytes_sent = 1, sent
            tally.late("artim")
            ledger.open(tally)
        expected = Statistics(connections=3, turned_away=3, bytes_sent=3, timeouts=Counter({"artim": 3}))
        self.assertEqual(ledger.sum(3), expected)
        for tally in (*tallies, *tallies):
            ledger.close(tally)
            self.assertEqual(ledger.sum(3), expected, "it counts once, running or over")
        self.assertEqual(ledger._running, set())

    def test_they_never_go_back(self) -> None:
        ledger, over = Ledger(), threading.Event()
        seen: list[int] = []

        def look() -> None:
            while not over.is_set():
                seen.append(ledger.sum(0).connections)

        looking = threading.Thread(target=look)
        looking.start()
        for _ in range(2000):
            tally = Tally()
            tally.connections = 1
            ledger.open(tally)
            ledger.close(tally, ErrorCode.SUCCESS)
        over.set()
        looking.join(SECONDS)
        self.assertEqual(seen, sorted(seen))

    def test_a_peer_cannot_make_them_grow(self) -> None:
        tally, past = Tally(), Tally()
        for status in range(0x10000):
            kind = 0x8001 << 16 | status
            if kind in tally.received:
                tally.received[kind] += 1
            else:
                tally.begin(tally.received, kind)
        for field in range(0x4000, 0x8000):
            tally.begin(tally.sent, field)
        self.assertEqual((sum(tally.received.values()), tally.sent), (0x10000, {0: 0x4000}))
        self.assertLess(len(tally.received), 3000)
        for part in range(100):
            other = Tally()
            other.received.update({0x8001 << 16 | part << 8 | low: 1 for low in range(256)})
            for low in range(256):
                other.aborted("theirs", part, low)
            past.add(other)
        numbers = past.snapshot()
        self.assertEqual((numbers.received.total(), numbers.aborts.total()), (25600, 25600))
        self.assertLess(len(numbers.received) + len(numbers.aborts), 6000)

    def test_for_json(self) -> None:
        numbers = Statistics(
            connections=1,
            received=Counter({("c_store_request", None): 2}),
            sent=Counter({("c_store_response", Status(0xA700)): 2}),
            endings=Counter({ErrorCode.SUCCESS: 1, ErrorCode(9999): 1}),
            aborts=Counter({("theirs", 2, 0): 1}),
        )
        plain = json.loads(json.dumps(numbers.as_dict()))
        self.assertEqual(plain["received"], {"c_store_request": 2})
        self.assertEqual(plain["sent"], {"c_store_response A700H": 2})
        self.assertEqual(plain["endings"], {"SUCCESS": 1, "UNKNOWN_270FH": 1})
        self.assertEqual(plain["aborts"], {"theirs 2 0": 1})
        self.assertEqual(plain["connections"], 1)


class Counted(Ends):
    """What a listening object and a requestor count of real connections."""

    def served(self) -> Recorder:
        """A listening object."""
        server = self.acceptor()
        server.timeouts = Timeouts(artim=0.2, dimse=0.2)
        self.addCleanup(server.server_close)
        server.listen("127.0.0.1")
        return server

    def client(self, server: Recorder) -> Recorder:
        """A connection to it."""
        client = self.requestor()
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")
        return client

    def associate(self, server: Recorder) -> Recorder:
        """An association with it."""
        client = self.client(server)
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        return client

    def test_messages_and_bytes(self) -> None:
        server = self.served()
        client = self.associate(server)
        for message_id in (1, 2):
            client.send_c_echo_request(1, message_id)
        client.send_c_store_request(3, 3, CT, "1.2.3", dataset=OBJECT)
        client.wait_for("on_receive_c_store_response")
        while_running = server.statistics
        client.send_release_request()
        server.wait_for("on_close")
        client.wait_for("on_close")
        for numbers in (while_running, server.statistics):
            self.assertEqual(numbers.received, {("c_echo_request", None): 2, ("c_store_request", None): 1})
            self.assertEqual(numbers.sent[("c_echo_response", Status.SUCCESS)], 2)
            self.assertEqual((numbers.connections, numbers.associations), (1, 1))
        self.assertEqual(while_running.endings, {})
        theirs, ours = client.statistics, server.statistics
        self.assertEqual(ours.endings, {ErrorCode.SUCCESS: 1})
        self.assertEqual((theirs.received, theirs.sent), (ours.sent, ours.received))
        self.assertEqual((theirs.bytes_received, theirs.bytes_sent), (ours.bytes_sent, ours.bytes_received))
        self.assertGreater(theirs.bytes_sent, OBJECT.size)

    def test_connections_of_one_object_add_up(self) -> None:
        server = self.served()
        client = self.requestor()
        for number in range(1, 4):
            client.connect("", 0, *server.get_host_info())
            client.wait_for("on_connect", number)
            client.send_associate_request(request())
            client.wait_for("on_receive_associate_accept", number)
            client.send_c_echo_request(1, number)
            client.wait_for("on_receive_c_echo_response", number)
            client.close()
            self.assertEqual(client.statistics.sent, {("c_echo_request", None): number})
            server.wait_for("on_close", number)
            self.assertEqual(server.statistics.received, {("c_echo_request", None): number})
        self.assertEqual((client.statistics.connections, server.statistics.associations), (3, 3))

    def test_rejects_and_aborts(self) -> None:
        server = self.served()
        server.answers["on_receive_associate_request"] = lambda net, associate: net.send_associate_reject(1, 1, 7)
        client = self.client(server)
        client.send_associate_request(request())
        client.wait_for("on_close")
        server.wait_for("on_close")
        server.answers["on_receive_associate_request"] = accept_all
        aborting = self.associate(server)
        aborting.send_abort(0, 0)
        server.wait_for("on_close", 2)
        self.assertEqual((client.statistics.rejects, server.statistics.rejects), ({(1, 1, 7): 1}, {(1, 1, 7): 1}))
        self.assertEqual(aborting.statistics.aborts, {("ours", 0, 0): 1})
        self.assertEqual(server.statistics.aborts, {("theirs", 0, 0): 1})
        self.assertEqual(
            server.statistics.endings, {ErrorCode.SUCCESS: 1, ErrorCode.NET_CONNECTION_ABORTED: 1}
        )

    def test_deadlines(self) -> None:
        server = self.served()
        silent = socket.create_connection(server.get_host_info())
        self.addCleanup(silent.close)
        server.wait_for("on_close")
        self.assertEqual(server.statistics.timeouts, {"artim": 1})
        server.answers["on_receive_c_echo_request"] = lambda *_: None
        client = self.requestor()
        client.timeouts = Timeouts(dimse=0.1)
        associate_with(client, server)
        client.send_c_echo_request(1, 1)
        self.assertEqual(client.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)
        self.assertEqual(client.statistics.timeouts, {"dimse": 1})

    def test_a_connection_that_cannot_be_made(self) -> None:
        client = self.requestor()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            client.connect("", 0, *bound.getsockname())
            client.wait_for("on_connect")
        self.assertEqual(client.statistics, Statistics())

    def test_of_an_object_that_did_nothing(self) -> None:
        self.assertEqual(LDicomNet().statistics, Statistics())


class Told(Counted):
    """One line in the log for each connection: who ended it, why, and how far it got."""

    def said(self, end: Callable[[Recorder, Recorder], object]) -> dict[str, str]:
        """What the requestor ("ours") and the acceptor say."""
        server = self.served()
        client = self.associate(server)
        client.send_c_echo_request(1, 1)
        client.wait_for("on_receive_c_echo_response")
        numbers = {client._conversation._log.extra["association"]: "ours"}  # type: ignore[union-attr, index]
        with self.assertLogs("ldicomnet.engine", "INFO") as logs:
            end(client, server)
            client.wait_for("on_close")
            server.wait_for("on_close")
        lines = [record for record in logs.records if "ended:" in record.getMessage()]
        self.assertEqual({record.levelno for record in lines}, {logging.INFO})
        return {
            numbers.get(record.association, "theirs"): record.getMessage().partition("ended: ")[2]  # type: ignore[attr-defined]
            for record in lines
        }

    def test_who_and_why(self) -> None:
        rows: tuple[tuple[Callable[[Recorder, Recorder], object], str, str], ...] = (
            (
                lambda client, _: client.send_release_request(),
                "released by this side (SUCCESS)",
                "released by the peer (SUCCESS)",
            ),
            (
                lambda client, _: client.send_abort(0, 0),
                "aborted by this side: source 0, reason 0 (SUCCESS)",
                "aborted by the peer: source 0, reason 0 (NET_CONNECTION_ABORTED)",
            ),
            (
                lambda client, _: client.close(),
                "closed by this side (SUCCESS)",
                "the peer closed the connection within an association (NET_CONNECTION_ABORTED)",
            ),
        )  # fmt: skip
        for end, ours, theirs in rows:
            with self.subTest(ours=ours):
                said = self.said(end)
                self.assertEqual(said["ours"], f"{ours}; 1 messages received, 1 sent")
                self.assertEqual(said["theirs"], f"{theirs}; 1 messages received, 1 sent")

    def test_rejected(self) -> None:
        server = self.served()
        server.answers["on_receive_associate_request"] = lambda net, associate: net.send_associate_reject(1, 1, 7)
        with self.assertLogs("ldicomnet.engine", "INFO") as logs:
            client = self.client(server)
            client.send_associate_request(request())
            client.wait_for("on_close")
            server.wait_for("on_close")
        told = " ".join(logs.output)
        self.assertIn("ended: rejected by the peer: result 1, source 1, reason 7 (SUCCESS)", told)
        self.assertIn("ended: rejected by this side: result 1, source 1, reason 7 (SUCCESS)", told)

    def test_a_probe_says_nothing(self) -> None:
        server = self.served()
        with self.assertNoLogs("ldicomnet", "INFO"):
            for number in range(1, 6):
                socket.create_connection(server.get_host_info()).close()
                self.assertEqual(server.wait_for("on_close", number)[0], ErrorCode.SUCCESS)
        self.assertEqual((server.statistics.probes, server.statistics.connections), (5, 5))

    def test_a_read_that_finds_the_reset_finds_the_abort_before_it(self) -> None:
        """The peer aborted, which is why the send fails: that is what is told."""
        server = self.served()
        held: list[Recorder] = []

        def hold(net: Recorder, *_: object) -> None:
            held.append(net)
            net.note("held")
            server.wait_for("go")
            for message_id in range(50):
                try:
                    net.send_c_echo_request(1, message_id)
                except Exception as error:
                    net.note("failed", error)
                    return

        server.answers["on_receive_c_echo_request"] = hold
        client = self.associate(server)
        client.send_c_echo_request(1, 1)
        accepted = server.get_client(0)
        assert isinstance(accepted, Recorder)
        accepted.wait_for("held")
        client.send_abort(0, 0)
        client.close_forced()
        client.wait_for("on_close")
        server.note("go")
        self.assertEqual(accepted.wait_for("on_receive_abort"), (0, 0))
        self.assertEqual(accepted.wait_for("on_close")[0], ErrorCode.NET_CONNECTION_ABORTED)


if __name__ == "__main__":
    unittest.main()
