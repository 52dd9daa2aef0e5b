"""ISCL: a peer of either role whose bytes are given, against the real transport; and what it says when all is right.

The keys are known, the challenges are fixed: so the valid conversations go to their end, and of whatever is spoiled
nothing may be handed on that was not sent.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import accumulate
from typing import Any

from ldicomnet import LDicomError
from ldicomnet.iscl.options import WireOptions
from ldicomnet.iscl.transport import IsclTransport
from ldicomnet.iscl.wire import ACK, MessageId, Packet, Reader, encode
from ldicomnet.transport.memory import MemoryTransport, pair

from ..iscl_ends import SETUP, Ends, FixedCard, Shaken

_CAPACITY = 16 << 20
_SETUP = replace(SETUP, block_length=512, message_length=2048, auth_data=b"data")
_OURS = b"\4\0\0\0\0\4ours"
"""What this side sends, as soon as it may."""
MESSAGES = (b"\4\0\0\0\0\4hers", b"\1\0\0\0\2\x58" + bytes(600), b"\7\0\0\0\0\0")
"""What the peer sends."""


class _Calls(FixedCard):
    wants_packets = True

    def packet_received(self, error: int, data: bytes) -> None:
        """Not looked at."""


def packets(data: bytes) -> None:
    """Packets one by one, as they come before and after authentication; what was read, written and read again is the
    same, but for what a failure need not have."""
    for most in (-1, 1 << 12):
        with suppress(LDicomError):
            _read(data, most)


def _read(data: bytes, most: int) -> None:
    options = WireOptions()
    reader = Reader(options, lambda _id: most)
    reader.feed(data)
    while (packet := reader.take()) is not None:
        assert reader.order is not None and len(packet.data) <= 1 << 12
        again = Reader(options, lambda _id: most)
        again.feed(encode(packet, options, reader.order))
        expected = packet if packet.result == ACK else replace(packet, quantities=(), data=b"")
        assert again.take() == expected, "it is another one when it is encoded"


def acceptor(data: bytes) -> None:
    """What a peer sends that has connected to this side."""
    _converse(data, is_requestor=False)


def requestor(data: bytes) -> None:
    """What a peer sends that this side has connected to."""
    _converse(data, is_requestor=True)


def _converse(data: bytes, is_requestor: bool) -> None:
    got = bytearray()
    with suppress(LDicomError):
        talk(data, is_requestor, got)
    assert bytes(got) in _PREFIXES, f"{len(got)} bytes were handed on that were not sent"


def talk(data: bytes, is_requestor: bool, got: bytearray) -> None:
    """The handshake, a message of this side, and whatever comes, into `got`; all in one thread.

    The handshake is read in words, as what comes behind it is an answer to what is only sent then.
    """
    there, back = pair(_CAPACITY)
    back.write([data])
    there._incoming.end()  # nothing more comes; what this side says still goes somewhere
    inner = _Pieces(there)
    end = IsclTransport(inner, _SETUP, _Calls(), is_requestor, 5.0, 5.0)  # type: ignore[arg-type]
    if end.secure(5.0):
        try:
            end.write([_OURS])
        finally:
            inner.most = 1000
            view = memoryview(bytearray(700))
            while count := end.read_into(view, False):
                got += view[:count]


class _Pieces:
    """A transport that gives `most` bytes at once."""

    def __init__(self, inner: MemoryTransport) -> None:
        self._inner = inner
        self.most = 4

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        return self._inner.read_into(view[: self.most], unfinished)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


_PREFIXES = {b"", *accumulate(MESSAGES)}


# --- the valid ones ----------------------------------------------------------------------------------------------


def _conversation(of_requestor: bool) -> bytes:
    """Everything that a peer of this role says. The requestor has the first word, so an acceptor answers first."""
    said = Shaken(_SETUP, _SETUP).sent[of_requestor::2]
    answer = Packet(MessageId.TRANSMISSION_RESPONSE, (2048,))
    ends, peer = Ends(_SETUP), 0 if of_requestor else 1
    for number, message in enumerate(MESSAGES):
        if number == of_requestor:
            said.append(answer)
        ends.ask(peer, len(message))
        said += ends.wires[1 - peer]
        ends.deliver()
        said += (body := ends.sealed(peer, message))
        ends.wires[1 - peer] += body
        ends.deliver()
        said.append(Packet(MessageId.THROUGH, data=b"beside"))
    said.append(Packet(MessageId.DISCONNECTION_REQUEST))
    return b"".join(encode(packet, _SETUP.wire, "big") for packet in said)


SEEDS = {
    "iscl_acceptor": {"messages": _conversation(of_requestor=True)},
    "iscl_requestor": {"messages": _conversation(of_requestor=False)},
}
