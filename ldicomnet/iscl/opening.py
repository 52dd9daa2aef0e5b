"""The handshake of ISCL over another transport, on one thread and under one deadline; knows no message.

Nothing is held but what the handshake allows, and every failure ends the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from ..errors import LDicomSecurityError, LDicomTimeoutError, LDicomTransportError
from ..status import ErrorCode
from ..timing import bounded, deadline
from ..transport import Transport
from .handshake import Card, Handshake, Step
from .wire import Packet, Reader

_READ = 1 << 10
"""Bytes of one read; the longest packet of the handshake has 180."""


class Calls(Card, Protocol):
    """Whom the transport calls, on the thread that is in `secure` or `read_into`."""

    @property
    def wants_packets(self) -> bool:
        """Whether `packet_received` is called."""
        ...

    def packet_received(self, error: ErrorCode, data: bytes) -> None:
        """A packet as it came."""

    def through_received(self, data: bytes) -> None:
        """Data that were sent beside the secured messages."""


class Opening:
    """One side's handshake.

    Args:
        inner: carries the packets.
        handshake: what is said.
        reader: what has come; what comes behind the handshake stays in it.
        calls: who is told of each packet.
        encoded: a packet as it is written.
    """

    def __init__(
        self,
        inner: Transport,
        handshake: Handshake,
        reader: Reader,
        calls: Calls,
        encoded: Callable[[Packet], bytes],
    ) -> None:
        self._inner = inner
        self._handshake = handshake
        self._reader = reader
        self._calls = calls
        self._encoded = encoded
        self._has_heard = False

    def greet(self) -> None:
        """What this side says before it has heard anything."""
        self._inner.write([self._encoded(packet) for packet in self._handshake.begin()])

    def run(self, seconds: float | None) -> bool:
        """See `Transport.secure`."""
        until = deadline(seconds)
        view = memoryview(bytearray(_READ))
        while not self._handshake.is_done:
            left = until - monotonic()
            if left <= 0:
                raise _late(seconds)
            self._inner.set_timeout(bounded(left))
            try:
                count = self._inner.read_into(view, True)
            except LDicomTimeoutError:
                raise _late(seconds) from None
            except LDicomTransportError as error:
                if not self._has_heard:
                    raise
                raise _left(f": {error}") from error
            if not count and not self._has_heard:
                return False
            if not count:
                raise _left()
            self._has_heard = True
            self._reader.feed(view[:count])
            self._digest()
        return True

    def _digest(self) -> None:
        """Take the packets that have come whole."""
        while not self._handshake.is_done:
            try:
                packet = self._reader.take()
            except LDicomSecurityError as error:
                self._tell(error.code, self._reader.rest)
                raise
            if packet is None:
                return
            step = self._handshake.receive(packet)
            self._tell(ErrorCode.SUCCESS if step.error is None else step.error.code, self._reader.raw)
            self._answer(step)

    def _answer(self, step: Step) -> None:
        """Send what follows; a failure is said before it ends the connection, where the peer still listens."""
        try:
            if step.packets:
                self._inner.write([self._encoded(packet) for packet in step.packets])
        except LDicomTransportError as error:
            if step.error is None:
                raise error if isinstance(error, LDicomTimeoutError) else _left(f": {error}") from error
        if step.error is not None:
            raise step.error

    def _tell(self, error: ErrorCode, data: bytes) -> None:
        if self._calls.wants_packets:
            self._calls.packet_received(error, data)


def _left(why: str = "") -> LDicomTransportError:
    return LDicomTransportError(ErrorCode.NET_CONNECTION_ABORTED, f"the peer left within the ISCL handshake{why}")


def _late(seconds: float | None) -> LDicomTimeoutError:
    return LDicomTimeoutError(f"ISCL did not stand within {seconds} seconds")
