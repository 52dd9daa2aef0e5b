"""A stream of bytes through `Inbound`: in one piece and in others, with every cap small enough to be reached.

What follows an event is decided as the engine does it, without its threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ldicomnet.errors import LDicomDataError, LDicomProtocolError
from ldicomnet.inbound import Inbound
from ldicomnet.message import Message
from ldicomnet.pdu import decode_content
from ldicomnet.sinks import Sink, Spool
from ldicomnet.timing import Limits

from ..spoiling import scratch
from .conversations import sizes

CONTEXTS = frozenset((1, 3, 5))
MAXIMUM = 4096
LIMITS = Limits(association_pdu=2048, maximum_pdu=4096, command_set=1024, memory_data_set=512, data_set=8192)
HEADER = 6
SMALLEST_BUFFER, LARGEST_BUFFER = 64 << 10, 1 << 20
_folder = Path(scratch())


class Told:
    """Notes what it is told; after an invalid PDU it takes no more P-DATA-TF, as Sta13 does.

    Attributes:
        events: what it was told, in a form that can be compared.
        goes_on: whether it takes P-DATA-TF even so.
    """

    def __init__(self, goes_on: bool) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.goes_on = goes_on
        self._is_open = True

    def data_pdu(self) -> bool:
        """See `Events`; how often this is asked depends on what came together."""
        return self._is_open

    def control_pdu(self, pdu_type: int, content: bytes) -> None:
        """See `Events`."""
        self.events.append(("control_pdu", pdu_type, content))
        try:
            decode_content(pdu_type, content)
        except LDicomProtocolError as error:
            self.invalid(error)

    def invalid(self, error: LDicomProtocolError) -> None:
        """See `Events`."""
        self.events.append(("invalid", error.reason, error.code, str(error)))
        self._is_open = self.goes_on

    def sink(self, message: Message) -> Sink | None:
        """See `Events`; of every third message the data set is not wanted."""
        if message.row is not None:
            message.arguments()
        self.events.append(("sink", message.command_set))
        return Spool(str(_folder), LIMITS.memory_data_set) if message.message_id % 3 else None

    def message(self, message: Message) -> None:
        """See `Events`."""
        try:
            arguments = message.arguments() if message.row else ()
        except LDicomProtocolError as error:
            self.invalid(error)
            return
        body, message.body = message.body, None
        data = None
        if body is not None:
            with body.open() as file:
                data = file.read()
        self.events.append(("message", message.presentation_id, message.command_set, arguments, data))

    def message_lost(self, message: Message, error: LDicomDataError) -> None:
        """See `Events`."""
        self.events.append(("message_lost", message.presentation_id, message.command_set, error.code))


def feed(data: bytes, pieces: Iterable[int], raw: bool = False, goes_on: bool = False) -> Told:
    """What `Inbound` tells of `data` that comes in pieces of these sizes, then by what room there is.

    Raises:
        AssertionError: it holds more than its caps allow, or has no room, or leaves something behind.
    """
    told = Told(goes_on)
    inbound = Inbound(told, LIMITS)
    inbound.establish(CONTEXTS, MAXIMUM)
    if raw:
        inbound.raw = lambda _pdu_type, _data: None
    position, sizes = 0, iter(pieces)
    while position < len(data):
        room = inbound.room()
        piece = data[position : position + min(next(sizes, len(data)), len(room))]
        assert piece, "there is no room"
        room[: len(piece)] = piece
        del room
        inbound.received(len(piece))
        position += len(piece)
        check_caps(inbound, raw)
    inbound.end()
    left = list(_folder.iterdir())
    assert not left, f"files are left: {left}"
    return told


def check_caps(inbound: Inbound, is_raw: bool) -> None:
    """What is held is within the caps: of a PDU that is awaited whole, of the buffer, of a command set."""
    whole = max(LIMITS.association_pdu, LIMITS.maximum_pdu + LIMITS.pdu_tolerance if is_raw else 0)
    held = inbound._high - inbound._low
    assert held < HEADER + whole, f"{held} bytes are held"
    assert SMALLEST_BUFFER <= len(inbound._buffer) <= LARGEST_BUFFER, f"a buffer of {len(inbound._buffer)} bytes"
    assert len(inbound._command) <= LIMITS.command_set, f"a command set of {len(inbound._command)} bytes"
    spool = inbound._sink
    if isinstance(spool, Spool):
        in_memory = sum(map(len, spool._parts))
        assert in_memory <= LIMITS.memory_data_set, f"{in_memory} bytes of a data set in memory"
        assert spool.size <= (LIMITS.data_set or 0), f"a data set of {spool.size} bytes"


def inbound(data: bytes) -> None:
    """In one piece and as the bytes themselves decide, streaming and whole: all tell the same."""
    for raw, goes_on in ((False, False), (False, True), (True, False)):
        expected, found = (feed(data, pieces, raw, goes_on).events for pieces in ((), sizes(data)))
        assert found == expected, f"raw={raw}, goes_on={goes_on}: in pieces\n{found}\nin one\n{expected}"
