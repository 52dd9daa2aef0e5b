"""What every transport promises, over TCP, in memory, and with TLS on each of them."""

from __future__ import annotations

import socket
import sys
import threading
import unittest
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from unittest import mock

from ldicomnet import (
    ErrorCode,
    LDicomNet,
    LDicomTimeoutError,
    LDicomTransportError,
    SecureMode,
    TLSContextSettings,
)
from ldicomnet.status import IpType
from ldicomnet.transport import Transport, tcp
from ldicomnet.transport.memory import pair
from ldicomnet.transport.tcp import Route, SocketOptions, TcpTransport

from . import certificates

SECONDS = 10.0


def over_memory(send_timeout: float | None) -> tuple[Transport, Transport]:
    """Two ends in memory."""
    return pair(1 << 16, send_timeout)


def over_tcp(send_timeout: float | None) -> tuple[Transport, Transport]:
    """Two ends of a TCP connection with small buffers."""
    options = SocketOptions(send_buffer_size=1 << 16, receive_buffer_size=1 << 16)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        there = TcpTransport(None, Route("", 0, *address, IpType.IPV4), options, send_timeout)
        there.open(SECONDS)
        return there, TcpTransport(listener.accept()[0], options=options, send_timeout=send_timeout)


def secured(ends: tuple[Transport, Transport]) -> tuple[Transport, Transport]:
    """TLS on two ends, which have shaken hands."""
    client, server = LDicomNet(None, SecureMode.TLS), LDicomNet(None, SecureMode.TLS)
    client.initialize(None, SecureMode.TLS, TLSContextSettings(ca_file=certificates.certificate("ca")))
    server.set_server_certificate_tls(certificates.certificate("server"), key=certificates.key("server"))
    layered = client._layered(ends[0], True), server._layered(ends[1], False)
    errors: list[BaseException] = []

    def secure() -> None:
        try:
            assert layered[1].secure(SECONDS)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=secure, daemon=True)
    thread.start()
    assert layered[0].secure(SECONDS)
    thread.join(SECONDS)
    if errors:
        raise errors[0]
    return layered


def read(transport: Transport, count: int, unfinished: bool = False) -> bytes:
    """So many bytes, or those until the end."""
    found = b""
    while len(found) < count:
        buffer = bytearray(min(1 << 16, count - len(found)))
        some = transport.read_into(memoryview(buffer), unfinished)
        if not some:
            break
        found += buffer[:some]
    return found


class Contract:
    """The tests; for a class that says what `made` makes."""

    made: Callable[[float | None], tuple[Transport, Transport]]

    def ends(self: unittest.TestCase, send_timeout: float | None = SECONDS) -> tuple[Transport, Transport]:  # type: ignore[misc]
        made = type(self).made(send_timeout)  # type: ignore[attr-defined]
        for end in made:
            self.addCleanup(end.dispose)
            self.addCleanup(end.close)
            end.set_timeout(SECONDS)
        return made  # type: ignore[no-any-return]

    def beside(self: unittest.TestCase, work: Callable[[], object]) -> Callable[[], object]:  # type: ignore[misc]
        """Do something on another thread; the function waits for what it gives, or raises."""
        given: list[object] = []

        def run() -> None:
            try:
                given.append(work())
            except Exception as error:
                given.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def wait() -> object:
            thread.join(SECONDS)
            if not given:
                raise AssertionError("the other thread is stuck")
            return given[0]

        return wait

    # --- moving bytes ---------------------------------------------------------------------------------------------

    def test_bytes_arrive_in_order_both_ways(self) -> None:
        for one, other in (self.ends(), self.ends()[::-1]):
            one.write([b"a", b"bc", memoryview(b"def")])
            one.write([bytearray(b"ghi")], more=True)
            one.write([b"j"])
            self.assertEqual(read(other, 10), b"abcdefghij")

    def test_much_at_once(self) -> None:
        one, other = self.ends()
        data = bytes(range(256)) * 12_000  # 3 MB
        pieces = [memoryview(data)[start : start + 777] for start in range(0, len(data), 777)]
        wait = self.beside(lambda: one.write(list(pieces)))
        self.assertEqual(read(other, len(data), unfinished=True), data)
        self.assertIsNone(wait())

    def test_both_ways_at_once(self) -> None:
        one, other = self.ends()
        data = bytes(range(256)) * 8_000  # 2 MB, far more than is held on the way
        waits = [self.beside(lambda end=end: end.write([data])) for end in (one, other)]
        reads = [self.beside(lambda end=end: read(end, len(data))) for end in (one, other)]
        self.assertEqual([wait() for wait in waits], [None, None])
        self.assertEqual([wait() == data for wait in reads], [True, True])

    def test_a_small_room_is_filled_again_and_again(self) -> None:
        one, other = self.ends()
        one.write([b"x" * 1000])
        found = 0
        while found < 1000:
            room = bytearray(7)
            found += other.read_into(memoryview(room), True)
        self.assertEqual(found, 1000)

    # --- ends -----------------------------------------------------------------------------------------------------

    def test_the_end_comes_after_all_bytes(self) -> None:
        one, other = self.ends()
        one.write([b"farewell"])
        one.close()
        self.assertEqual(read(other, 100), b"farewell")
        self.assertEqual(read(other, 1), b"")

    def test_a_write_to_a_peer_that_is_gone(self) -> None:
        one, other = self.ends()
        other.close()
        other.dispose()
        with self.assertRaises(LDicomTransportError) as caught:
            for _ in range(1000):
                one.write([b"x" * 100_000])
        self.assertEqual(caught.exception.code, ErrorCode.NET_CONNECTION_RESET)

    def test_close_wakes_a_read(self) -> None:
        one, _other = self.ends()
        one.set_timeout(None)
        wait = self.beside(lambda: read(one, 1))
        began = monotonic()
        one.close()
        one.close()
        self.assertEqual(wait(), b"")
        self.assertLess(monotonic() - began, 2)

    def test_close_wakes_a_write(self) -> None:
        one, _other = self.ends(None)
        begun = threading.Event()

        def write() -> None:
            begun.set()
            while True:
                one.write([b"x" * 100_000])

        wait = self.beside(write)
        begun.wait(SECONDS)
        began = monotonic()
        one.close()
        error = wait()
        self.assertIsInstance(error, LDicomTransportError)
        self.assertNotIsInstance(error, LDicomTimeoutError)
        self.assertLess(monotonic() - began, 2)

    def test_close_waits_for_no_write(self) -> None:
        one, _other = self.ends(None)
        wait = self.beside(lambda: [one.write([b"x" * 1_000_000]) for _ in range(100)])
        with self.assertRaises(LDicomTimeoutError):  # so that the write has come to stand
            one.set_timeout(0.3)
            read(one, 1)
        began = monotonic()
        one.close()
        self.assertLess(monotonic() - began, 0.5)
        self.assertIsInstance(wait(), LDicomTransportError)

    def test_is_at_end(self) -> None:
        one, other = self.ends()
        one.write([b"x"])
        self.assertEqual(read(other, 1), b"x")
        one.close()
        one.dispose()
        self.assertEqual(read(other, 1), b"")
        self.assertTrue(other.is_at_end())

    # --- times ----------------------------------------------------------------------------------------------------

    def test_a_read_that_waits_too_long(self) -> None:
        one, other = self.ends()
        for seconds in (0.05, 0.2):
            one.set_timeout(seconds)
            began = monotonic()
            with self.assertRaises(LDicomTimeoutError):
                read(one, 1)
            self.assertLess(seconds * 0.5, monotonic() - began)
            self.assertLess(monotonic() - began, seconds + 1)
        one.set_timeout(SECONDS)
        other.write([b"late"])
        self.assertEqual(read(one, 4), b"late")

    def test_a_write_that_waits_too_long(self) -> None:
        one, _other = self.ends(0.3)
        began = monotonic()
        with self.assertRaises(LDicomTimeoutError):
            for _ in range(1000):
                one.write([b"x" * 100_000])
        self.assertLess(monotonic() - began, SECONDS / 2)

    def test_in_a_hurry(self) -> None:
        one, _other = self.ends(60.0)
        one.hurry(0.2)
        began = monotonic()
        with self.assertRaises(LDicomTimeoutError):
            for _ in range(1000):
                one.write([b"x" * 100_000])
        self.assertLess(monotonic() - began, SECONDS / 2)

    # --- addresses ------------------------------------------------------------------------------------------------

    def test_each_end_knows_the_other(self) -> None:
        one, other = self.ends()
        self.assertEqual((one.host, one.peer), (other.peer, other.host))
        one.close()
        one.dispose()
        self.assertEqual(one.peer, other.host)


class Memory(Contract, unittest.TestCase):
    """In memory."""

    made = staticmethod(over_memory)


class Tcp(Contract, unittest.TestCase):
    """Over TCP."""

    made = staticmethod(over_tcp)


@unittest.skipUnless(sys.platform == "linux", "other systems do not say what a peer has taken")
class Unread(unittest.TestCase):
    """Who does not read gets a reset in the end: the kernel keeps nothing for it, and it hears of the end."""

    def end_of(self, spoil: Callable[[Transport], None]) -> None:
        """What the peer reads, after this."""
        one, other = over_tcp(0.3)
        self.addCleanup(other.dispose)
        other.set_timeout(SECONDS)
        spoil(one)
        one.close()
        one.dispose()
        while other.read_into(memoryview(bytearray(1 << 20)), False):
            pass

    def test_after_a_write_that_waited_too_long(self) -> None:
        def fill(one: Transport) -> None:
            with self.assertRaises(LDicomTimeoutError):
                for _ in range(1000):
                    one.write([b"x" * 100_000])

        with self.assertRaises(LDicomTransportError) as caught:
            self.end_of(fill)
        self.assertEqual(caught.exception.code, ErrorCode.NET_CONNECTION_RESET)

    def test_what_was_sent_before_a_farewell_counts(self) -> None:
        def say_farewell(one: Transport) -> None:
            one.write([b"x" * 150_000])  # the kernel takes it, and the peer does not
            with mock.patch.object(tcp, "_A_WHILE", 0.0):
                one.hurry(0.1)
            with suppress(LDicomTimeoutError):
                one.write([b"farewell"])

        with self.assertRaises(LDicomTransportError) as caught:
            self.end_of(say_farewell)
        self.assertEqual(caught.exception.code, ErrorCode.NET_CONNECTION_RESET)

    def test_who_may_still_read_is_left_alone(self) -> None:
        self.end_of(lambda one: one.write([b"x" * 1000]))


class TlsOverMemory(Contract, unittest.TestCase):
    """TLS in memory."""

    @staticmethod
    def made(send_timeout: float | None) -> tuple[Transport, Transport]:
        return secured(over_memory(send_timeout))


class TlsOverTcp(Contract, unittest.TestCase):
    """TLS over TCP."""

    @staticmethod
    def made(send_timeout: float | None) -> tuple[Transport, Transport]:
        return secured(over_tcp(send_timeout))

    def test_a_peer_that_reads_next_to_nothing(self) -> None:
        one, other = self.ends(0.6)
        stop = threading.Event()

        def creep() -> None:
            other.set_timeout(SECONDS)
            while not stop.wait(0.05):
                below = other._below._sock  # type: ignore[attr-defined]
                if not below.recv(10):
                    return

        wait = self.beside(creep)
        began = monotonic()
        with self.assertRaises(LDicomTimeoutError):
            for _ in range(100):
                one.write([b"x" * 1_000_000])
        self.assertLess(monotonic() - began, 5)
        stop.set()
        self.assertIsNone(wait())

    def test_a_record_that_drips_is_no_record(self) -> None:
        one, other = self.ends()
        below = one._below  # type: ignore[attr-defined]
        record = one._encrypt(memoryview(b"x" * 1000))  # type: ignore[attr-defined]
        other.set_timeout(0.4)
        stop = threading.Event()

        def drip() -> None:
            for octet in record[:-1]:
                below.write([bytes([octet])])
                if stop.wait(0.02):
                    return

        wait = self.beside(drip)
        began = monotonic()
        with self.assertRaises(LDicomTimeoutError):
            read(other, 1)
        self.assertLess(monotonic() - began, 2)
        stop.set()
        self.assertIsNone(wait())

    def test_the_rest_of_a_record_is_not_awaited_anew(self) -> None:
        one, other = self.ends()
        below = one._below  # type: ignore[attr-defined]
        record = one._encrypt(memoryview(b"x" * 1000))  # type: ignore[attr-defined]
        other.set_timeout(0.5)
        begun = threading.Event()

        def send() -> None:
            begun.wait(SECONDS)
            threading.Event().wait(0.35)
            below.write([record[:500]])

        wait = self.beside(send)
        began = monotonic()
        begun.set()
        with self.assertRaises(LDicomTimeoutError):
            read(other, 1)
        self.assertLess(monotonic() - began, 0.75)
        self.assertIsNone(wait())
        below.write([record[500:]])
        other.set_timeout(SECONDS)
        self.assertEqual(read(other, 1000), b"x" * 1000)

    def test_what_came_before_a_broken_record_is_read_first(self) -> None:
        one, other = self.ends()
        one.write([b"whole"])
        one._below.write([b"\x17\x03\x03\x00\x20" + bytes(32)])  # type: ignore[attr-defined]
        self.assertEqual(read(other, 5), b"whole")
        with self.assertRaises(Exception) as caught:
            read(other, 1)
        self.assertEqual(getattr(caught.exception, "code", None), ErrorCode.TLS_BAD_RECORD_MAC)

    def test_a_farewell_or_none(self) -> None:
        for has_farewell in (True, False):
            with self.subTest(has_farewell=has_farewell):
                one, other = self.ends()
                one.write([b"whole"])
                (one if has_farewell else one._below).close()  # type: ignore[attr-defined]
                self.assertEqual(read(other, 100), b"whole")
                self.assertEqual(read(other, 1), b"")


if __name__ == "__main__":
    unittest.main()
