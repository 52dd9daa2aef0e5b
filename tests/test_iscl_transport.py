"""The contract of a transport, kept by each of them, and ISCL's own rules about who reads, who writes and who waits."""

from __future__ import annotations

import socket
import threading
import unittest
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random
from time import monotonic
from typing import Any
from unittest import mock

from ldicomnet import ErrorCode, IsclStatus, LDicomError, LDicomSecurityError, LDicomTimeoutError, LDicomTransportError
from ldicomnet.iscl.options import UNIQUE_KEYS, Setup, WireOptions
from ldicomnet.iscl.pace import Pace
from ldicomnet.iscl.transport import IsclTransport
from ldicomnet.iscl.wire import NAK, MessageId, Packet, Reader, encode, header
from ldicomnet.transport import Transport
from ldicomnet.transport.memory import MemoryTransport, pair
from ldicomnet.transport.tcp import TcpTransport

from .iscl_ends import SETUP, Ends, FixedCard, with_wire
from .support import SECONDS

E = ErrorCode
Pair = tuple[Transport, Transport]


class Calls(FixedCard):
    """Notes what it is told."""

    def __init__(self, wants_packets: bool = False) -> None:
        super().__init__()
        self.wants_packets = wants_packets
        self.packets: list[tuple[ErrorCode, bytes]] = []
        self.through: list[bytes] = []

    def packet_received(self, error: ErrorCode, data: bytes) -> None:
        self.packets.append((error, data))

    def through_received(self, data: bytes) -> None:
        self.through.append(data)


def tcp_pair(send_timeout: float | None = 10.0) -> tuple[TcpTransport, TcpTransport]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = socket.create_connection(server.getsockname()[:2])
        back, _address = server.accept()
    return TcpTransport(there, send_timeout=send_timeout), TcpTransport(back, send_timeout=send_timeout)


class Threads(unittest.TestCase):
    """Tests with threads that have to end, and whose errors count."""

    def run_beside(self, job: Callable[[], Any]) -> Callable[[], Any]:
        """Run on another thread; what is given back waits for its result."""
        result: list[Any] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                result.append(job())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def wait() -> Any:
            thread.join(SECONDS)
            self.assertFalse(thread.is_alive(), "it does not end")
            if errors:
                raise errors[0]
            return result[0]

        return wait

    def isclated(
        self, below: Pair, setups: tuple[Setup, Setup] = (SETUP, SETUP), **waits: float | None
    ) -> tuple[IsclTransport, IsclTransport]:
        """ISCL on both ends of a connection, which stands."""
        waits = {"send_timeout": SECONDS, "message_timeout": SECONDS, **waits}
        ends = tuple(
            IsclTransport(inner, setup, Calls(), number == 0, **waits)
            for number, (inner, setup) in enumerate(zip(below, setups, strict=True))
        )
        for end in ends:
            self.addCleanup(end.dispose)
            self.addCleanup(end.close)
        there = self.run_beside(lambda: ends[0].secure(SECONDS))
        self.assertTrue(ends[1].secure(SECONDS))
        self.assertTrue(there())
        return ends[0], ends[1]

    def read(self, transport: Transport, count: int, step: int = 1000) -> bytes:
        """So many bytes."""
        transport.set_timeout(SECONDS)
        found = bytearray()
        buffer = bytearray(step)
        while len(found) < count:
            got = transport.read_into(memoryview(buffer)[: count - len(found)], False)
            if not got:
                break
            found += buffer[:got]
        return bytes(found)


class Contract(Threads):
    """What each transport does, in memory and over TCP, with ISCL and without."""

    def pairs(self, send_timeout: float | None = SECONDS) -> list[tuple[str, Pair]]:
        kinds: list[tuple[str, Pair]] = [("memory", pair(send_timeout=send_timeout)), ("tcp", tcp_pair(send_timeout))]
        kinds += [
            ("iscl over memory", self.isclated(pair(), send_timeout=send_timeout)),
            ("iscl over tcp", self.isclated(tcp_pair(), send_timeout=send_timeout)),
        ]
        for _name, ends in kinds:
            for end in ends:
                self.addCleanup(end.dispose)
                self.addCleanup(end.close)
        return kinds

    def test_bytes_come_as_they_were_written(self) -> None:
        random = Random(1)
        pieces = [[random.randbytes(random.choice((0, 1, 6, 500, 70_000))) for _ in range(5)] for _ in range(10)]
        whole = b"".join(b"".join(each) for each in pieces)
        for name, ends in self.pairs():
            for one, other in (ends, ends[::-1]):

                def write(one: Transport = one) -> None:
                    for each in pieces:
                        one.write(list(each))

                with self.subTest(name):
                    done = self.run_beside(write)
                    self.assertEqual(self.read(other, len(whole)), whole)
                    done()

    def test_both_ways_at_once(self) -> None:
        data = [Random(number).randbytes(700_000) for number in (0, 1)]
        for name, ends in self.pairs():

            def write(number: int, ends: Pair = ends) -> None:
                for start in range(0, 700_000, 50_000):
                    ends[number].write([data[number][start : start + 50_000]])

            with self.subTest(name):
                jobs = [self.run_beside(lambda number=number: write(number)) for number in (0, 1)]
                other = self.run_beside(lambda ends=ends: self.read(ends[0], 700_000))
                self.assertEqual(self.read(ends[1], 700_000), data[0])
                self.assertEqual(other(), data[1])
                for job in jobs:
                    job()

    def test_nothing_comes(self) -> None:
        for name, (one, other) in self.pairs():
            with self.subTest(name):
                other.set_timeout(0.05)
                began = monotonic()
                for _ in range(2):
                    with self.assertRaises(LDicomTimeoutError):
                        other.read_into(memoryview(bytearray(10)), False)
                self.assertLess(monotonic() - began, SECONDS / 2)
                done = self.run_beside(lambda one=one: one.write([b"after all"]))
                self.assertEqual(self.read(other, 9), b"after all")
                done()

    def test_the_end_comes_after_what_was_written(self) -> None:
        for name, (one, other) in self.pairs():

            def write_and_end(one: Transport = one) -> None:
                one.write([b"last words"])
                one.close()

            with self.subTest(name):
                done = self.run_beside(write_and_end)
                self.assertEqual(self.read(other, 100), b"last words")
                self.assertEqual(other.read_into(memoryview(bytearray(10)), False), 0)
                self.assertTrue(other.is_at_end())
                done()

    def test_close_wakes_whoever_reads(self) -> None:
        for name, (one, _other) in self.pairs():
            with self.subTest(name):
                one.set_timeout(None)
                done = self.run_beside(lambda one=one: one.read_into(memoryview(bytearray(10)), False))
                one.close()
                one.close()
                self.assertEqual(done(), 0)

    def test_close_wakes_whoever_writes(self) -> None:
        for name, (one, _other) in self.pairs():
            with self.subTest(name):
                done = self.run_beside(lambda one=one: one.write([bytes(64 << 20)]))
                one.close()
                with self.assertRaises(LDicomTransportError):
                    done()
                with self.assertRaises(LDicomTransportError):
                    one.write([b"too late"])

    def test_a_peer_that_does_not_read(self) -> None:
        for name, (one, _other) in self.pairs(send_timeout=0.2):
            with self.subTest(name), self.assertRaises(LDicomTimeoutError):
                one.write([bytes(64 << 20)])

    def test_hurry(self) -> None:
        for name, (one, _other) in self.pairs():
            with self.subTest(name):
                one.hurry(0.1)
                began = monotonic()
                with self.assertRaises(LDicomTimeoutError):
                    one.write([bytes(64 << 20)])
                self.assertLess(monotonic() - began, SECONDS / 2)

    def test_addresses(self) -> None:
        for name, (one, other) in self.pairs():
            with self.subTest(name):
                self.assertEqual((one.host[0], one.peer[0]), (other.peer[0], other.host[0]))


class AtOnce(Threads):
    """Who reads, who writes: nobody waits for each other for ever."""

    def stress(self, below: Pair, seed: int) -> None:
        """On each side a writer, and a reader that answers now and then; seeded, but for the threads' order."""
        setup = replace(
            with_wire(WireOptions(iv_chain=Random(seed).choice(("per-direction", "shared")))),
            encrypt_index=Random(seed).choice((1, UNIQUE_KEYS)),
            block_length=2000,
            message_length=20_000,
        )
        ends = self.isclated(below, (setup, setup))
        total, answers = 200_000, 20
        got: list[bytearray] = [bytearray(), bytearray()]
        locks = [threading.Lock(), threading.Lock()]  # as the outbox has one: writes of one end do not mix

        def write(number: int) -> None:
            random, left = Random(seed + number), total
            while left:
                count = min(left, random.choice((1, 100, 5000, 30_000)))
                with locks[number]:
                    ends[number].write([b"w" * count])
                left -= count

        def read(number: int) -> None:
            random, buffer, left = Random(seed + 10 + number), bytearray(3000), answers
            ends[number].set_timeout(SECONDS)
            while len(got[number]) < total + 10 * answers:
                count = ends[number].read_into(memoryview(buffer), False)
                self.assertTrue(count)
                got[number] += buffer[:count]
                if left and random.random() < 0.3 and locks[number].acquire(False):
                    try:
                        ends[number].write([b"r" * 10])
                        left -= 1
                    finally:
                        locks[number].release()
                elif left and got[number].count(b"w") == total:
                    break
            with locks[number]:
                ends[number].write([b"r" * 10 * left])
            got[number] += self.read(ends[number], total + 10 * answers - len(got[number]))

        jobs = [
            self.run_beside(lambda job=job, number=number: job(number)) for job in (write, read) for number in (0, 1)
        ]
        for job in jobs:
            job()
        for found in got:
            self.assertEqual((found.count(b"w"), found.count(b"r")), (total, 10 * answers))

    def test_in_memory(self) -> None:
        for seed, capacity in ((1, 1 << 16), (2, 1 << 10), (3, 100)):
            with self.subTest(seed):
                self.stress(pair(capacity), seed)

    def test_over_tcp(self) -> None:
        for seed in (4, 5):
            with self.subTest(seed):
                self.stress(tcp_pair(), seed)

    def test_two_readers_that_write(self) -> None:
        """As hooks do: nobody else reads while they wait, so they read themselves, and keep what comes."""
        for below in (pair(1000), tcp_pair()):
            ends = self.isclated(below)

            def write_and_read(end: IsclTransport) -> bytes:
                end.write([b"x" * 50_000] * 3)
                return self.read(end, 150_000)

            jobs = [self.run_beside(lambda end=end: write_and_read(end)) for end in ends]
            for job in jobs:
                self.assertEqual(job(), b"x" * 150_000)

    def test_a_writer_beside_a_reader_that_is_busy(self) -> None:
        """The reader is in a hook and does not read: the writer does not need it."""
        ends = self.isclated(pair())
        done = self.run_beside(lambda: ends[0].write([b"without a reader"]))
        self.assertEqual(self.read(ends[1], 16), b"without a reader")
        done()
        done = self.run_beside(lambda: ends[1].write([b"and back"]))
        ends[0].write([b"while the other writes"])
        done_too = self.run_beside(lambda: self.read(ends[1], 22))
        self.assertEqual(self.read(ends[0], 8), b"and back")
        self.assertEqual((done(), done_too()), (None, b"while the other writes"))

    def test_the_other_gets_its_turn(self) -> None:
        """One who sends without end does not silence the other, whichever has the precedence."""
        for busy in (0, 1):
            ends = self.isclated(pair())
            is_over = threading.Event()
            heard = threading.Event()

            def send(busy: int = busy, ends: Pair = ends, is_over: threading.Event = is_over) -> None:
                while not is_over.is_set():
                    ends[busy].write([bytes(100)])

            def read(
                busy: int = busy, ends: Pair = ends, is_over: threading.Event = is_over, heard: threading.Event = heard
            ) -> None:
                buffer = memoryview(bytearray(1000))
                ends[1 - busy].set_timeout(SECONDS)
                while not is_over.is_set() and ends[1 - busy].read_into(buffer, False):
                    heard.set()

            sending, reading = self.run_beside(send), self.run_beside(read)
            listening = self.run_beside(lambda busy=busy, ends=ends: self.read(ends[busy], 300))
            self.assertTrue(heard.wait(SECONDS))
            began = monotonic()
            for _ in range(3):
                ends[1 - busy].write([b"y" * 100])
            with self.subTest(busy=busy):
                self.assertEqual(listening(), b"y" * 300)
                self.assertLess(monotonic() - began, 3.0)
            is_over.set()
            ends[busy].close()
            with suppress(LDicomError):
                sending()
            with suppress(LDicomError):
                reading()

    def test_more_than_is_kept(self) -> None:
        """A peer that sends to one who does not read waits; what is kept is bounded, and nothing is lost."""
        setup = replace(SETUP, message_length=10_000)
        ends = self.isclated(pair(), (setup, setup), send_timeout=0.5)
        kept = []

        def flood() -> None:
            with self.assertRaises(LDicomTimeoutError):
                while True:
                    ends[0].write([b"f" * 10_000])
                    kept.append(10_000)

        flooding = self.run_beside(flood)
        self.assertFalse(ends[1]._wait(lambda: False, monotonic() + 1.5))
        flooding()
        self.assertLessEqual(sum(kept), 4 * (64 << 10))
        self.assertGreater(sum(kept), 2 * (64 << 10))
        self.assertEqual(self.read(ends[1], sum(kept)), b"f" * sum(kept))

    def test_a_message_that_had_to_wait_comes_when_there_is_room(self) -> None:
        """A writer that reads for a busy reader takes what fits; the rest comes as the reader takes it."""
        setup = replace(SETUP, message_length=50_000)
        ends = self.isclated(pair(), (setup, setup))
        transfer = ends[1].transfer
        assert transfer is not None
        writing = self.run_beside(lambda: ends[0].write([bytes([100 + number]) * 50_000 for number in range(20)]))
        self.assertTrue(ends[1]._wait(lambda: transfer.deferred is not None, monotonic() + SECONDS))
        self.assertEqual(self.read(ends[1], 1_000_000)[::50_000], bytes(range(100, 120)))
        writing()


class Peer(Threads):
    """Against a peer made by hand."""

    def raw(
        self, is_requestor: bool, setup: Setup = SETUP, stands: bool = True, **waits: float | None
    ) -> tuple[IsclTransport, MemoryTransport, Reader]:
        """This side's transport, the other end of the pair, and what reads packets of it."""
        there, back = pair()
        waits = {"send_timeout": SECONDS, "message_timeout": SECONDS, **waits}
        end = IsclTransport(there, setup, Calls(wants_packets=True), is_requestor, **waits)
        self.addCleanup(end.close)
        reader = Reader(setup.wire, lambda _id: 1 << 20)
        if stands:
            self.shake(end, back, reader, is_requestor)
        return end, back, reader

    def shake(self, end: IsclTransport, back: MemoryTransport, reader: Reader, is_requestor: bool) -> None:
        from ldicomnet.iscl.handshake import Client, Server

        other = (Server if is_requestor else Client)(SETUP, FixedCard())
        done = self.run_beside(lambda: end.secure(SECONDS))
        for packet in other.begin():
            self.send(back, packet)
        while not other.is_done:
            for packet in other.receive(self.receive(back, reader)).packets:
                self.send(back, packet)
        self.assertTrue(done())

    def send(self, back: MemoryTransport, *packets: Packet, order: str = "big") -> None:
        back.write([encode(packet, SETUP.wire, order) for packet in packets])

    def receive(self, back: MemoryTransport, reader: Reader) -> Packet:
        buffer = bytearray(1000)
        back.set_timeout(SECONDS)
        while (packet := reader.take()) is None:
            count = back.read_into(memoryview(buffer), False)
            self.assertTrue(count, "it ended")
            reader.feed(buffer[:count])
        return packet

    def read_error(self, end: IsclTransport) -> LDicomError:
        end.set_timeout(SECONDS)
        with self.assertRaises(LDicomError) as caught:
            end.read_into(memoryview(bytearray(1000)), False)
        return caught.exception

    # --- the handshake --------------------------------------------------------------------------------------------

    def test_silence(self) -> None:
        for is_requestor in (True, False):
            end, _back, _reader = self.raw(is_requestor, stands=False)
            began = monotonic()
            with self.subTest(is_requestor), self.assertRaises(LDicomTimeoutError):
                end.secure(0.1)
            self.assertLess(monotonic() - began, SECONDS / 2)
            self.assertEqual((end.status, end.error), (IsclStatus.FAILED, E.NET_TIME_OUT))

    def test_a_byte_now_and_then(self) -> None:
        """The time is for all of it."""
        end, back, _reader = self.raw(False, stands=False)
        done = self.run_beside(lambda: end.secure(0.3))
        ticking = threading.Event()
        began = monotonic()
        for byte in encode(Packet(MessageId.LINE_CHECK_RESPONSE, (8160,)), SETUP.wire, "big"):
            if end.status == IsclStatus.FAILED or monotonic() - began > SECONDS:
                break
            back.write([bytes([byte])])
            ticking.wait(0.02)
        with self.assertRaises(LDicomTimeoutError):
            done()

    def test_who_leaves(self) -> None:
        end, back, _reader = self.raw(False, stands=False)
        back.close()
        self.assertFalse(end.secure(SECONDS))
        end, back, _reader = self.raw(False, stands=False)
        back.write([b"\0"])
        back.close()
        with self.assertRaises(LDicomTransportError) as caught:
            end.secure(SECONDS)
        self.assertEqual(caught.exception.code, E.NET_CONNECTION_ABORTED)

    def test_garbage(self) -> None:
        for is_requestor in (True, False):
            for data, text in (
                (bytes.fromhex("0100000000cd0001") + bytes(60), "DICOM without"),
                (bytes.fromhex("16030100c8010000c4") + bytes(60), "TLS"),
                (b"GET / HTTP/1.1\r\n\r\n", "no ISCL packet"),
                (bytes(64), "no ISCL packet"),
            ):
                end, back, _reader = self.raw(is_requestor, stands=False)
                back.write([data])
                with self.subTest(text), self.assertRaisesRegex(LDicomSecurityError, text) as caught:
                    end.secure(SECONDS)
                self.assertEqual(caught.exception.code, E.ISCL_BAD_MESSAGE_ID)
                calls = end._calls
                assert isinstance(calls, Calls)
                self.assertEqual(calls.packets, [(E.ISCL_BAD_MESSAGE_ID, data)])

    def test_data_before_authentication(self) -> None:
        """Nothing that is not of the handshake is taken, however short."""
        for message_id in (MessageId.THROUGH, MessageId.DATA, MessageId.MAC):
            end, back, _reader = self.raw(False, stands=False)
            self.send(back, Packet(message_id, data=b"hello"))
            with self.assertRaises(LDicomSecurityError) as caught:
                end.secure(SECONDS)
            self.assertEqual(caught.exception.code, E.ISCL_BAD_MESSAGE_ID)
            calls = end._calls
            assert isinstance(calls, Calls)
            self.assertEqual(calls.through, [])

    def test_nothing_is_written_before_it_stands(self) -> None:
        end, _back, _reader = self.raw(False, stands=False)
        with self.assertRaises(LDicomTransportError):
            end.write([b"data"])
        with self.assertRaises(LDicomTransportError):
            end.send_through(b"data")

    def test_a_connection_that_is_gone_when_it_is_greeted(self) -> None:
        there, back = pair()
        back.close()
        end = IsclTransport(there, SETUP, Calls(), False)
        with self.assertRaises(LDicomTransportError):
            end.secure(SECONDS)

    def test_the_byte_order_of_the_peer(self) -> None:
        """Each side answers in the order in which it is spoken to."""
        end, back, reader = self.raw(True, stands=False)
        done = self.run_beside(lambda: end.secure(SECONDS))
        self.send(back, Packet(MessageId.LINE_CHECK_REQUEST, (0x100, 8160)), order="little")
        self.assertEqual(self.receive(back, reader).words, (8160,))
        self.assertEqual(reader.order, "little")
        end.close()
        with self.assertRaises(LDicomError):
            done()
        both = self.isclated(
            pair(), (with_wire(WireOptions(byte_order="little")), with_wire(WireOptions(byte_order="little")))
        )
        self.assertEqual([each._order for each in both], ["little", "little"])

    def test_a_client_of_the_other_order(self) -> None:
        """A server speaks first, in its own order, and then in the client's."""
        end, back, reader = self.raw(False, stands=False)
        done = self.run_beside(lambda: end.secure(SECONDS))
        self.receive(back, reader)
        self.assertEqual(reader.order, "big")
        self.send(back, Packet(MessageId.LINE_CHECK_RESPONSE, (8160,)), order="little")
        turned = Reader(SETUP.wire, lambda _id: -1)
        self.assertEqual(self.receive(back, turned).message_id, MessageId.AUTHENTICATION_REQUEST)
        self.assertEqual(turned.order, "little")
        end.close()
        with self.assertRaises(LDicomError):
            done()

    def test_what_comes_with_the_end_of_the_handshake(self) -> None:
        """The first request may be in the same bytes as the last packet of the handshake."""
        from ldicomnet.iscl.handshake import Client

        end, back, reader = self.raw(False, stands=False)
        client = Client(SETUP, FixedCard())
        done = self.run_beside(lambda: end.secure(SECONDS))
        while not client.is_done:
            packets = list(client.receive(self.receive(back, reader)).packets)
            if client.is_done:
                packets.append(Packet(MessageId.TRANSMISSION_REQUEST, (0x1212, 1, 0x1441, 10)))
            self.send(back, *packets)
        self.assertTrue(done())
        self.assertEqual(self.receive(back, reader).message_id, MessageId.TRANSMISSION_RESPONSE)

    # --- messages -------------------------------------------------------------------------------------------------

    def test_refused(self) -> None:
        """The receiver says NAK, knows why, and ends; the bytes before are not lost."""
        end, back, reader = self.raw(False)
        self.send(back, Packet(MessageId.TRANSMISSION_REQUEST, (0, 1, 0x4001, 10)))
        error = self.read_error(end)
        self.assertEqual((error.code, end.status), (E.ISCL_MESSAGE_TRANSMISSION, IsclStatus.FAILED))
        answer = self.receive(back, reader)
        self.assertEqual((answer.message_id, answer.result), (MessageId.TRANSMISSION_RESPONSE, NAK))
        with self.assertRaises(LDicomSecurityError):
            end.write([b"too late"])

    def test_refused_by_the_peer(self) -> None:
        for largest, code in ((1 << 20, E.ISCL_RECEIVED_NAK), (5, E.ISCL_PEER_LENGTH_TOO_SMALL)):
            end, back, reader = self.raw(True)
            done = self.run_beside(lambda end=end: end.write([b"0123456789"]))
            self.assertEqual(self.receive(back, reader).words, (0x1212, 1, 0x1441, 10))
            self.send(back, Packet(MessageId.TRANSMISSION_RESPONSE, (largest,), result=NAK))
            with self.subTest(largest), self.assertRaises(LDicomSecurityError) as caught:
                done()
            self.assertEqual((caught.exception.code, self.read_error(end).code), (code, code))

    def test_a_reader_that_comes_back_while_a_writer_reads(self) -> None:
        """It waits for what the writer reads for it, as long as it would wait for the network."""
        end, back, reader = self.raw(True)
        writing = self.run_beside(lambda: end.write([b"data"]))
        self.assertEqual(self.receive(back, reader).message_id, MessageId.TRANSMISSION_REQUEST)
        end.set_timeout(0.05)
        with self.assertRaises(LDicomTimeoutError):
            end.read_into(memoryview(bytearray(10)), False)
        self.send(back, Packet(MessageId.THROUGH, data=b"x"), Packet(MessageId.TRANSMISSION_RESPONSE, (10,)))
        writing()

    def test_no_answer(self) -> None:
        end, _back, _reader = self.raw(True, send_timeout=0.2)
        began = monotonic()
        with self.assertRaises(LDicomTimeoutError):
            end.write([b"data"])
        self.assertLess(monotonic() - began, SECONDS / 2)

    def test_a_request_that_lost_and_is_never_asked_again(self) -> None:
        """Whoever owes the peer a turn does not wait for it for ever."""
        end, back, reader = self.raw(True)
        done = self.run_beside(lambda: end.write([b"1"]))
        self.receive(back, reader)
        self.send(back, Packet(MessageId.TRANSMISSION_REQUEST, (0x1212, 1, 0x1441, 10)))
        self.send(back, Packet(MessageId.TRANSMISSION_RESPONSE, (1 << 20,)))
        done()
        for expected in (MessageId.DATA, MessageId.MAC):
            self.assertEqual(self.receive(back, reader).message_id, expected)
        done = self.run_beside(lambda: end.write([b"2"]))
        self.assertEqual(self.receive(back, reader).message_id, MessageId.TRANSMISSION_REQUEST)
        self.send(back, Packet(MessageId.TRANSMISSION_RESPONSE, (1 << 20,)))
        done()

    def test_a_message_that_does_not_go_on(self) -> None:
        """Neither silence nor dripping keeps it alive; a wait of the reader that ends before does not hide it."""
        for drips in (False, True):
            end, back, reader = self.raw(False, message_timeout=0.3)
            self.send(back, Packet(MessageId.TRANSMISSION_REQUEST, (0x1212, 1, 0x1441, 100_000)))
            end.set_timeout(0.05)
            errors = []
            began = monotonic()
            while not errors and monotonic() - began < SECONDS:
                try:
                    end.read_into(memoryview(bytearray(10)), False)
                except LDicomTimeoutError:
                    if drips:
                        self.send(back, Packet(MessageId.DATA, data=b"drop"))
                except LDicomTransportError as error:
                    errors.append(error.code)
            with self.subTest(drips=drips):
                self.assertEqual(errors, [E.NET_TIME_OUT])
                self.assertLess(monotonic() - began, 3.0)
                self.assertEqual(self.receive(back, reader).message_id, MessageId.TRANSMISSION_RESPONSE)

    def test_a_reader_that_was_away(self) -> None:
        """What came while nobody read counts as if it had come at once."""
        end, back, reader = self.raw(False, message_timeout=0.2)
        ends = Ends()
        ends.ask(0, 5000)
        self.send(back, ends.wires[1].popleft())
        end.set_timeout(0.01)
        with self.assertRaises(LDicomTimeoutError):
            end.read_into(memoryview(bytearray(10)), False)
        ends.take(0, self.receive(back, reader))
        packets = ends.sealed(0, bytes(5000))
        threading.Event().wait(0.4)
        self.send(back, replace(packets[0], data=packets[0].data[:8]))
        with self.assertRaises(LDicomTimeoutError):
            end.read_into(memoryview(bytearray(10)), False)
        self.send(back, replace(packets[0], data=packets[0].data[8:]), *packets[1:])
        self.assertEqual(self.read(end, 5000), bytes(5000))

    def test_a_packet_that_does_not_go_on(self) -> None:
        end, back, _reader = self.raw(False, message_timeout=0.2)
        back.write([header(MessageId.DATA, 100, "big")[:20]])
        error = self.read_error(end)
        self.assertEqual((type(error), error.code), (LDicomTransportError, E.NET_TIME_OUT))
        self.assertEqual(getattr(error, "timeout", None), "pdu")

    def test_an_answer_that_the_peer_does_not_let_leave(self) -> None:
        """An end for who reads: were it told that nothing came in time, it would ask again and again."""
        there, back = pair(400, send_timeout=0.2)
        end = IsclTransport(there, SETUP, Calls(wants_packets=True), False, send_timeout=0.2, message_timeout=SECONDS)
        self.addCleanup(end.close)
        self.shake(end, back, Reader(SETUP.wire, lambda _id: 1 << 20), False)
        with self.assertRaises(LDicomTimeoutError):
            end.send_through(bytes(1000))  # which fills the line
        ends = Ends()
        ends.ask(0, 5000)
        self.send(back, ends.wires[1].popleft())
        error = self.read_error(end)
        self.assertEqual((type(error), error.code), (LDicomTransportError, E.NET_TIME_OUT))
        self.assertEqual(getattr(error, "timeout", None), "send")

    def test_what_came_before_an_error_is_read_first(self) -> None:
        ends = self.isclated(pair())
        done = self.run_beside(lambda: ends[0].write([b"good"]))
        ends[1]._wait(lambda: bool(ends[1]._inbox), monotonic() + SECONDS)
        done()
        ends[0].inner.write([b"garbage that is no packet"])
        ends[1]._wait(lambda: ends[1]._is_ended, monotonic() + SECONDS)
        self.assertEqual(self.read(ends[1], 4), b"good")
        self.assertEqual(self.read_error(ends[1]).code, E.ISCL_BAD_MESSAGE_ID)

    def test_a_site_function_that_fails(self) -> None:
        for kind in (ZeroDivisionError, SystemExit):

            def fails(_key: bytes, _message: bytes, kind: type[BaseException] = kind) -> bytes:
                raise kind("site")

            setup = with_wire(WireOptions(md5_variants=(fails,)))
            ends = self.isclated(pair(), (SETUP, setup))
            done = self.run_beside(lambda ends=ends: ends[0].write([b"data"]))  # type: ignore[misc]
            with self.subTest(kind), self.assertLogs("ldicomnet.iscl", "ERROR"):
                self.assertEqual(self.read_error(ends[1]).code, E.NET_SECURITY_BREACH)
            done()

    def test_packets_are_told(self) -> None:
        """In the order in which they came, to the reader."""
        end, back, reader = self.raw(False)
        calls = end._calls
        assert isinstance(calls, Calls)
        count = len(calls.packets)
        self.assertEqual(count, 4)
        self.send(back, Packet(MessageId.THROUGH, data=b"beside"), Packet(MessageId.COMPLETION))
        self.read_error(end)
        ids = [(error, int.from_bytes(data[4:8], "big")) for error, data in calls.packets[count:]]
        self.assertEqual(ids, [(E.SUCCESS, MessageId.THROUGH), (E.ISCL_BAD_MESSAGE_ID, MessageId.COMPLETION)])
        self.assertEqual(calls.through, [b"beside"])
        self.assertEqual(self.receive_nothing(back, reader), b"")

    def receive_nothing(self, back: MemoryTransport, _reader: Reader) -> bytes:
        back.set_timeout(0.05)
        buffer = bytearray(100)
        with suppress(LDicomTimeoutError):
            return bytes(buffer[: back.read_into(memoryview(buffer), False)])
        return b""

    def test_through_data_without_end(self) -> None:
        """They have no answer that could be kept back, so too many are an error."""
        setup = replace(SETUP, message_length=1000)
        end, back, _reader = self.raw(False, setup)
        end._calls.wants_packets = False  # type: ignore[misc]
        writing = self.run_beside(
            lambda: [self.send(back, Packet(MessageId.THROUGH, data=bytes(1000))) for _ in range(300)]
        )
        with suppress(LDicomError):
            end._wait(lambda: False, monotonic() + SECONDS)
        self.assertEqual(end.error, E.ISCL_LOCAL_LENGTH_TOO_SMALL)
        self.assertLessEqual(4 * (64 << 10) - end._inbox.free, 4 * (64 << 10))
        back.close()
        with suppress(LDicomError):
            writing()

    # --- the end --------------------------------------------------------------------------------------------------

    def test_agreed_end(self) -> None:
        told: list[int] = []
        end, back, reader = self.raw(True)
        done = self.run_beside(lambda: end.disconnect(SECONDS, lambda: told.append(1)))
        self.assertEqual(self.receive(back, reader).message_id, MessageId.DISCONNECTION_REQUEST)
        self.send(back, Packet(MessageId.DISCONNECTION_RESPONSE))
        done()
        self.assertEqual((end.status, end.error, told), (IsclStatus.CLOSED, E.SUCCESS, [1]))
        self.assertEqual(end.read_into(memoryview(bytearray(10)), False), 0)

    def test_refused_end(self) -> None:
        told: list[int] = []
        end, back, reader = self.raw(True)
        done = self.run_beside(lambda: end.disconnect(SECONDS, lambda: told.append(1)))
        self.receive(back, reader)
        self.send(back, Packet(MessageId.DISCONNECTION_RESPONSE, result=NAK))
        with self.assertRaises(LDicomSecurityError) as caught:
            done()
        self.assertEqual((caught.exception.code, told), (E.ISCL_PEER_REFUSES_CLOSE, []))
        self.assertEqual(end.status, IsclStatus.READY)
        writing = self.run_beside(lambda: end.write([b"goes on"]))
        self.assertEqual(self.receive(back, reader).message_id, MessageId.TRANSMISSION_REQUEST)
        self.send(back, Packet(MessageId.TRANSMISSION_RESPONSE, (1 << 20,)))
        writing()

    def test_an_end_without_an_answer(self) -> None:
        end, _back, _reader = self.raw(True)
        began = monotonic()
        end.disconnect(0.1, lambda: None)
        self.assertLess(monotonic() - began, SECONDS / 2)

    def test_the_peer_asks_for_the_end(self) -> None:
        end, back, reader = self.raw(False)
        self.send(back, Packet(MessageId.DISCONNECTION_REQUEST))
        self.assertEqual(end.read_into(memoryview(bytearray(10)), False), 0)
        self.assertEqual(self.receive(back, reader).message_id, MessageId.DISCONNECTION_RESPONSE)
        self.assertEqual(end.status, IsclStatus.CLOSED)
        with self.assertRaises(LDicomTransportError):
            end.write([b"too late"])

    def test_close_tells_the_peer_and_waits_for_nothing(self) -> None:
        end, back, reader = self.raw(True)
        began = monotonic()
        end.close()
        self.assertLess(monotonic() - began, 1.0)
        self.assertEqual(self.receive(back, reader).message_id, MessageId.DISCONNECTION_REQUEST)
        self.assertEqual(back.read_into(memoryview(bytearray(10)), False), 0)

    def test_close_to_a_peer_that_has_stopped_reading(self) -> None:
        there, back = pair(capacity=1 << 12)
        ends = self.isclated((there, back))
        there.write([bytes(1 << 11)])
        with suppress(LDicomTimeoutError):
            there.hurry(0.01)
            there.write([bytes(1 << 12)])
        began = monotonic()
        ends[0].close()
        self.assertLess(monotonic() - began, 1.0)


class Paces(unittest.TestCase):
    """What goes on fast enough."""

    def test_enough_and_too_little(self) -> None:
        for count, is_lost in ((1023, True), (1024, False)):
            pace = Pace(1.0)
            with (
                mock.patch("ldicomnet.iscl.pace.monotonic") as now,
                mock.patch("ldicomnet.iscl.pace.deadline", lambda seconds: now() + seconds),
            ):
                now.return_value = 100.0
                pace.note(True, 10)
                pace.note(True, count)
                now.return_value = 100.9
                self.assertFalse(pace.is_lost())
                now.return_value = 101.1
                self.assertEqual(pace.is_lost(), is_lost)

    def test_what_nobody_reads_is_nobodys_fault(self) -> None:
        pace = Pace(1.0)
        with (
            mock.patch("ldicomnet.iscl.pace.monotonic") as now,
            mock.patch("ldicomnet.iscl.pace.deadline", lambda seconds: now() + seconds),
        ):
            now.return_value = 100.0
            pace.end_read()
            pace.note(True, 10)
            now.return_value = 200.0
            pace.begin_read()
            self.assertFalse(pace.is_lost())
            now.return_value = 201.1
            self.assertTrue(pace.is_lost())

    def test_without_a_limit(self) -> None:
        pace = Pace(None)
        pace.note(True, 1)
        self.assertFalse(pace.is_lost())


if __name__ == "__main__":
    unittest.main()
