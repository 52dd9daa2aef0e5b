"""Spoiled conversations: one end is a real `LDicomNet`, what the other end sends is given, as bytes.

Nothing is left to chance: the bytes lie in the transport before the connection begins, with an end behind them, and are
read in pieces that the bytes themselves decide.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from random import Random
from typing import Any, BinaryIO

from pydicom import Dataset

from ldicomnet import ANY_TRANSFER, LDicomAssociate, LDicomDataError, LDicomNet, Status, background
from ldicomnet.message import Message
from ldicomnet.pdu import AssociateRequest, decode
from ldicomnet.transport import Transport
from ldicomnet.transport.memory import MemoryTransport, pair

from .. import raw
from . import seeds

SECONDS = 10.0
"""How long a connection may take to end once the peer has."""
_CAPACITY = 16 << 20
_MOST_PIECES = 400


# --- the two roles ------------------------------------------------------------------------------------------------


class End(LDicomNet):
    """An end of a conversation; looks at whatever it gets.

    Attributes:
        over: set when the connection has ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self.over = threading.Event()

    def on_close(self, error: int, net: LDicomNet) -> None:
        """See `LDicomNet`; a listening object is told of its connections too."""
        if net is self:
            self.over.set()

    def on_receive_data(self, presentation_id: int, command_set: Dataset, dataset: Any) -> None:
        """Decode what there is; whoever wants to look at a data set has to be ready for one that is none."""
        if dataset is not None:
            with contextlib.suppress(LDicomDataError):
                _ = dataset.dataset
            with contextlib.suppress(LDicomDataError):
                _ = dataset.file_name


class Acceptor(End):
    """Accepts everything and answers everything; C-FIND with two answers."""

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        """See `LDicomNet`."""
        self.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER, user_identity_response=b"ticket"))

    def on_receive_c_store_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, *_: Any
    ) -> None:
        """See `LDicomNet`."""
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, Status.SUCCESS)

    def on_receive_c_find_request(self, presentation_id: int, message_id: int, sop_class_uid: str, *_: Any) -> None:
        """See `LDicomNet`."""
        answer = Dataset()
        answer.PatientName = "Wire^Test"
        for status, dataset in ((Status.PENDING, answer), (Status.PENDING, answer), (Status.SUCCESS, None)):
            self.send_c_find_response(presentation_id, message_id, sop_class_uid, status, dataset)


class Curious(Acceptor):
    """Overrides all that is not paid for otherwise: PDUs are held until they are whole, data sets go to a file object,
    some are refused, responses are changed, and C-FIND is answered beside the reader thread."""

    def __init__(self) -> None:
        super().__init__()
        self.enable_progress_event = True

    def on_receive(self, error: int, pdu_type: int, buffer: bytes) -> None:
        """See `LDicomNet`."""

    def on_send(self, error: int, pdu_type: int, length: int) -> None:
        """See `LDicomNet`."""

    def on_progress_status(self, sent: int, received: int, total: int | None) -> None:
        """See `LDicomNet`."""

    def on_before_send_command_set(self, command_set: Dataset) -> None:
        """See `LDicomNet`."""
        command_set.ErrorComment = "what a comment"

    def on_begin_data(self, presentation_id: int, message: Message) -> BinaryIO | None:
        """See `LDicomNet`."""
        if message.expects_response and message.row is not None and message.message_id % 3 == 0:
            message.refuse(Status.PROCESSING_FAILURE)
        return BytesIO() if message.message_id % 3 == 1 else None

    @background
    def on_receive_c_find_request(self, *arguments: Any) -> None:
        """See `LDicomNet`."""
        super().on_receive_c_find_request(*arguments)


_REQUEST = decode(seeds.REQUEST)
assert isinstance(_REQUEST, AssociateRequest)
OUR_REQUEST = LDicomAssociate.from_request(_REQUEST).to_request().encode()


class Requestor(End):
    """Asks for an echo, a store and a find as soon as it may, and releases when all three are answered."""

    def __init__(self) -> None:
        super().__init__()
        self._open = set[int]()

    def on_connect(self, error: int) -> None:
        """See `LDicomNet`."""
        self.send_associate_request(LDicomAssociate.from_request(_REQUEST))

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        """See `LDicomNet`; what was refused is not asked for."""
        accepted = {one.presentation_id: one for one in associate.presentation_contexts if one.is_accepted}
        keys = Dataset()
        keys.PatientName = "Wire^Test"
        self._open = {number for number in (1, 2, 3) if 2 * number - 1 in accepted}
        if 1 in accepted:
            self.send_c_echo_request(1, 1, raw.VERIFICATION)
        if 3 in accepted:
            self.send_c_store_request(3, 2, raw.CT, seeds.INSTANCE, dataset=keys)
        if 5 in accepted:
            self.send_c_find_request(5, 3, raw.FIND, dataset=keys)

    def _answered(self, message_id: int, status: int) -> None:
        if status in (Status.PENDING, 0xFF01):
            return
        self._open.discard(message_id)
        if not self._open and self.is_associated():
            self.send_release_request()

    def on_receive_c_echo_response(self, presentation_id: int, message_id: int, uid: str, status: int) -> None:
        """See `LDicomNet`."""
        self._answered(message_id, status)

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, uid: str, instance: str, status: int
    ) -> None:
        """See `LDicomNet`."""
        self._answered(message_id, status)

    def on_receive_c_find_response(
        self, presentation_id: int, message_id: int, uid: str, status: int, dataset: Any
    ) -> None:
        """See `LDicomNet`."""
        self._answered(message_id, status)


# --- feeding ------------------------------------------------------------------------------------------------------


class InPieces:
    """A transport that hands over what came in pieces of these sizes, then as it likes."""

    def __init__(self, transport: Transport, sizes: Iterator[int]) -> None:
        self._transport = transport
        self._sizes = sizes

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """See `Transport`."""
        return self._transport.read_into(view[: next(self._sizes, len(view))], unfinished)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def sizes(data: bytes) -> Iterator[int]:
    """How bytes are cut, decided by themselves: not at all, at every byte, at one place, or anyhow."""
    random = Random(zlib.crc32(data))
    match random.randrange(4):
        case 1:
            yield from [1] * _MOST_PIECES
        case 2:
            yield random.randint(1, len(data) + 1)
        case 3:
            yield from random.choices((1, 2, 5, 6, 7, 11, 12, 13, 100, 1000), k=_MOST_PIECES)


def half_close(transport: MemoryTransport) -> None:
    """Send no more; the pair has no call for it, since `Transport` has none."""
    transport._outgoing.end()


def begin(net: End, data: bytes, pieces: Iterable[int] = (), is_over: bool = True) -> MemoryTransport:
    """Begin a conversation in which the peer sends `data`, and then ends it or is silent; the peer's end of it."""
    there, back = pair(_CAPACITY)
    is_requestor = isinstance(net, Requestor)
    ours, peers = (there, back) if is_requestor else (back, there)
    peers.write([data])
    if is_over:
        half_close(peers)
    net.attach(InPieces(ours, iter(pieces)), is_requestor)  # type: ignore[arg-type]
    return peers


def answer_of(net: End, data: bytes, pieces: Iterable[int] = ()) -> bytes:
    """What `net` says to a peer that sends `data` in these pieces and ends; it must end then too."""
    peers = begin(net, data, pieces)
    await_end(net)
    net.close()
    answer = bytearray()
    view = memoryview(bytearray(1 << 16))
    while count := peers.read_into(view, unfinished=False):
        answer += view[:count]
    return bytes(answer)


def await_end(net: End) -> None:
    """The connection ends in time."""
    assert net.over.wait(SECONDS), "the connection did not end"


def check_answer(data: bytes, answer: bytes) -> None:
    """Whatever `data` was, its answer follows the letter of the standard.

    Raises:
        AssertionError: otherwise.
    """
    peer = raw.Peer(None)  # type: ignore[arg-type]  # which reads what it has got, and no more
    peer.ended = True
    if data[:1] == b"\1":
        peer._learn(data)
    peer.received += answer
    while (found := peer.next_pdu(0)) is not None:
        peer._note(*found)
    faults = [line for line in peer.transcript if "!" in line or line.startswith("PDU")]
    assert not faults, faults
    assert not peer.received, f"{len(peer.received)} bytes of an unfinished PDU"


# --- the rules ----------------------------------------------------------------------------------------------------


class _Errors(logging.Handler):
    """Keeps records from ERROR on."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(logging.Formatter().format(record))


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Within it nothing may be logged as an error, no thread may end by an exception, and none may stay.

    Raises:
        AssertionError: otherwise.
    """
    errors, failures = _Errors(), list[threading.ExceptHookArgs]()
    logger, before, hook = logging.getLogger("ldicomnet"), set(threading.enumerate()), threading.excepthook
    logger.addHandler(errors)
    threading.excepthook = failures.append
    try:
        yield
    finally:
        logger.removeHandler(errors)
        threading.excepthook = hook
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:  # one may wait a moment for another connection
        thread.join(SECONDS)
    assert not errors.lines, "\n".join(errors.lines)
    assert not failures, f"a thread ended by {failures[0].exc_value!r}"
    assert not any(thread.is_alive() for thread in left), f"threads are left: {left}"


def acceptor(data: bytes) -> None:
    """What a requestor sends, to an acceptor; in pieces it is answered as in one."""
    with nothing_left():
        answer = answer_of(Acceptor(), data)
        in_pieces = answer_of(Acceptor(), data, sizes(data))
    check_answer(data, answer)
    assert in_pieces == answer, f"in pieces {in_pieces.hex()}, in one {answer.hex()}"


def curious(data: bytes) -> None:
    """What a requestor sends, to an acceptor that overrides everything; what it answers in which order is open."""
    with nothing_left():
        answer = answer_of(Curious(), data, sizes(data))
    check_answer(data, answer)


def requestor(data: bytes) -> None:
    """What an acceptor sends, to a requestor; in pieces it is answered as in one."""
    with nothing_left():
        answer = answer_of(Requestor(), data)
        in_pieces = answer_of(Requestor(), data, sizes(data))
    check_answer(b"", answer[len(OUR_REQUEST) :])
    assert in_pieces == answer, f"in pieces {in_pieces.hex()}, in one {answer.hex()}"


def server(data: bytes) -> None:
    """What a requestor sends, to a server over TCP, which then serves the next one as if nothing had been."""
    with nothing_left(), Acceptor() as net:
        net.listen(raw.LOOPBACK)
        port = net.get_host_info()[1]
        over_tcp(port, data)
        answer = over_tcp(port, NORMAL)
        assert answer == NORMAL_ANSWER, f"a normal session was answered {answer}"
        net.server_close()
        assert net.get_client_count() == 0, "connections are left"


def over_tcp(port: int, data: bytes) -> list[str]:
    """Send `data`, say that no more comes, and wait for the end: the transcript."""
    peer = raw.Peer.connect(port)
    try:
        peer.send(data)
        peer.half_close()
        peer.pause(SECONDS)
        assert peer.ended, "the connection did not end"
        return peer.transcript
    finally:
        peer.close()


NORMAL = b"".join(seeds.REQUESTOR_SENDS["store"])
NORMAL_ANSWER = ["AC 1:0 3:0", "8001/1 0000", "RP", "END"]
