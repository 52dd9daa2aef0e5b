"""How an ISCL connection begins: line connection check, then each side proves to the other that it has the key.

Pure: packets in, packets out. The server (who accepted) begins each of the two. Whoever finds something wrong says so
in the packet that it owes, where it owes one, and ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from ..errors import LDicomSecurityError
from ..status import ErrorCode, IsclMutualAuthentication, IsclStatus
from . import ciphers
from .options import LARGEST_BLOCK, LONGEST_DATA, SLOTS, SMALLEST_BLOCK, Setup
from .wire import ACK, DATA_CARRIERS, NAK, MessageId, Packet

_CARD_FAILED = 1
"""A result that is not 0; the record has no others."""


class Card(Protocol):
    """The three operations of ISO/IEC 7816-4 that a smart card would do; `key` is that of the slot, zeros where it is
    empty."""

    def challenge(self, key: bytes) -> bytes:
        """GET CHALLENGE: eight bytes that nobody foresees."""
        ...

    def respond(self, challenge: bytes, key: bytes) -> bytes:
        """INTERNAL AUTHENTICATE: the response to the peer's challenge."""
        ...

    def verify(self, challenge: bytes, response: bytes, key: bytes) -> int:
        """EXTERNAL AUTHENTICATE: 0 when the response to our challenge is right."""
        ...


class Step(NamedTuple):
    """What follows from a packet: others to send, and then the end, where there is an error."""

    packets: tuple[Packet, ...] = ()
    error: LDicomSecurityError | None = None


class _CardError(Exception):
    """A card operation of this side failed."""


class Handshake:
    """One side; `Server` or `Client`.

    Attributes:
        status: how far it is.
        block_length: what was agreed on.
        peer_data: authentication data of the peer.
        key_index: slot of the authentication key, by the server's word.
        is_done: whether it has succeeded.
    """

    EXPECTED: tuple[tuple[MessageId, str], ...]
    """What comes, in this order, and the method that takes it."""

    def __init__(self, setup: Setup, card: Card) -> None:
        self._setup = setup
        self._card = card
        self._steps = iter(self.EXPECTED)
        self._next = next(self._steps, None)
        self._challenge = b""
        self.status = IsclStatus.IDLE
        self.block_length = setup.block_length
        self.peer_data = b""
        self.key_index = setup.auth_index
        self.is_done = False

    def begin(self) -> tuple[Packet, ...]:
        """The first packets of this side."""
        return ()

    def receive(self, packet: Packet) -> Step:
        """A packet of the peer."""
        assert self._next is not None
        expected, name = self._next
        if packet.message_id != expected:
            return self._failed(
                _error(ErrorCode.ISCL_BAD_MESSAGE_ID, f"{packet.message_id.name} where {expected.name} was awaited")
            )
        self._next = next(self._steps, None)
        take: Callable[[Packet], Step] = getattr(self, name)
        step = take(packet)
        if step.error is not None:
            self.status = IsclStatus.FAILED
        elif self._next is None:
            self.status, self.is_done = IsclStatus.READY, True
        return step

    @property
    def key(self) -> bytes | None:
        """The authentication key; None where its slot is empty."""
        return self._setup.auth_keys[self.key_index - 1]

    def _failed(self, error: LDicomSecurityError, *answer: Packet) -> Step:
        self.status = IsclStatus.FAILED
        return Step(answer, error)

    def _refusal(self, packet: Packet) -> LDicomSecurityError | None:
        """The error of an answer that is not ACK."""
        if packet.result == ACK:
            return None
        if packet.result == NAK:
            return _error(ErrorCode.ISCL_RECEIVED_NAK, f"the peer refuses: NAK in {packet.message_id.name}")
        return _error(ErrorCode.ISCL_BAD_OPTION, f"{packet.message_id.name} with option {packet.result:08X}H")

    def _take_data(self, packet: Packet) -> LDicomSecurityError | None:
        """The peer's authentication data, where this message carries it."""
        if packet.message_id not in _carriers(self._setup):
            return None
        if len(packet.data) > LONGEST_DATA:
            return _error(ErrorCode.ISCL_BAD_LENGTH, f"authentication data of {len(packet.data)} bytes")
        self.peer_data = packet.data
        if self._setup.wire.auth_data_agrees and packet.data != self._setup.auth_data:
            return _error(ErrorCode.ISCL_MESSAGE_TRANSMISSION, "the peer's authentication data are not ours")
        return None

    # --- the card -------------------------------------------------------------------------------------------------

    def _draw(self) -> bytes:
        self._challenge = self._ask(lambda key: self._card.challenge(key))
        return self._challenge

    def _respond(self, challenge: bytes) -> bytes:
        return self._ask(lambda key: self._card.respond(challenge, key))

    def _ask(self, operation: Callable[[bytes], bytes]) -> bytes:
        """Whatever a card may do, it ends in eight bytes or in an error of this side."""
        made = self._run(operation)
        if not isinstance(made, bytes | bytearray) or len(made) != ciphers.BLOCK:
            raise _CardError(f"it gave {type(made).__name__} that are not {ciphers.BLOCK} bytes")
        return bytes(made)

    def _verify(self, response: bytes) -> None:
        result = self._run(lambda key: self._card.verify(self._challenge, response, key))
        if isinstance(result, bool) or not isinstance(result, int):  # False would be 0, which is success
            raise _CardError(f"external_authenticate gave {type(result).__name__}: an ErrorCode is wanted")
        if result != ErrorCode.SUCCESS:
            raise _CardError("the peer's response is wrong: it has another key, or none")

    def _run(self, operation: Callable[[bytes], object]) -> object:
        try:
            return operation(self.key or bytes(ciphers.BLOCK))
        except (Exception, SystemExit) as error:
            raise _CardError(f"{type(error).__name__}: {error}") from error

    def _card_failed(self, error: _CardError, message_id: MessageId) -> Step:
        """An operation of this side's card failed; the peer is told with the packet that was to carry its result."""
        return self._failed(
            _error(ErrorCode.ISCL_LOCAL_IC_CARD, f"authentication: {error}"), Packet(message_id, result=_CARD_FAILED)
        )

    def _peer_card(self, packet: Packet) -> LDicomSecurityError | None:
        if packet.result == ACK:
            return None
        return _error(
            ErrorCode.ISCL_REMOTE_IC_CARD,
            f"the peer's authentication failed, or ours did not satisfy it: {packet.message_id.name} "
            f"with result {packet.result:08X}H",
        )


class Server(Handshake):
    """The side that accepted the connection."""

    EXPECTED = (
        (MessageId.LINE_CHECK_RESPONSE, "_line_checked"),
        (MessageId.AUTHENTICATION_RESPONSE, "_agreed"),
        (MessageId.PASS_2, "_answered"),
        (MessageId.COMPLETION, "_completed"),
    )

    def begin(self) -> tuple[Packet, ...]:
        """The line connection check."""
        self.status = IsclStatus.LINE_CHECK
        words = self._setup.wire.version_word, self._setup.block_length
        return (Packet(MessageId.LINE_CHECK_REQUEST, words if _is_version_first(self._setup) else words[::-1]),)

    def _line_checked(self, packet: Packet) -> Step:
        error = self._refusal(packet)
        if error is not None:
            return Step((), error)
        length = packet.words[0]
        if not SMALLEST_BLOCK <= length <= self._setup.block_length:
            return Step((), _bad_block(length, self._setup.block_length))
        self.block_length = length
        self.status = IsclStatus.AUTH_REQUESTED
        words = IsclMutualAuthentication.THREE_PASS_FOUR_WAY, self._setup.auth_index
        return Step((_with_data(MessageId.AUTHENTICATION_REQUEST, self._setup, words),))

    def _agreed(self, packet: Packet) -> Step:
        error = self._refusal(packet) or self._take_data(packet)
        if error is not None:
            return Step((), error)
        try:
            challenge = self._draw()
        except _CardError as failure:
            return self._card_failed(failure, MessageId.PASS_1)
        self.status = IsclStatus.PASS1
        return Step((_with_data(MessageId.PASS_1, self._setup, quantities=(challenge,)),))

    def _answered(self, packet: Packet) -> Step:
        error = self._peer_card(packet) or self._take_data(packet)
        if error is not None:
            return Step((), error)
        response, challenge = packet.quantities
        try:
            self._verify(response)
            answer = self._respond(challenge)
        except _CardError as failure:
            return self._card_failed(failure, MessageId.PASS_3)
        self.status = IsclStatus.PASS3
        return Step((Packet(MessageId.PASS_3, quantities=(answer,)),))

    def _completed(self, packet: Packet) -> Step:
        return Step((), self._peer_card(packet))


class Client(Handshake):
    """The side that made the connection."""

    EXPECTED = (
        (MessageId.LINE_CHECK_REQUEST, "_check_line"),
        (MessageId.AUTHENTICATION_REQUEST, "_agree"),
        (MessageId.PASS_1, "_answer"),
        (MessageId.PASS_3, "_complete"),
    )

    def _check_line(self, packet: Packet) -> Step:
        self.status = IsclStatus.LINE_CHECK
        version, length = packet.words if _is_version_first(self._setup) else packet.words[::-1]
        refused = Packet(MessageId.LINE_CHECK_RESPONSE, (0,), result=NAK)
        if version != self._setup.wire.version_word:
            return Step((refused,), _error(ErrorCode.ISCL_BAD_VERSION, f"version {version:08X}H of ISCL"))
        if not SMALLEST_BLOCK <= length <= LARGEST_BLOCK:
            return Step((refused,), _bad_block(length, LARGEST_BLOCK))
        self.block_length = min(length, self._setup.block_length)
        return Step((Packet(MessageId.LINE_CHECK_RESPONSE, (self.block_length,)),))

    def _agree(self, packet: Packet) -> Step:
        self.status = IsclStatus.AUTH_REQUESTED
        error = self._wrong_request(packet) or self._take_data(packet)
        if error is not None:
            return Step((Packet(MessageId.AUTHENTICATION_RESPONSE, result=NAK),), error)
        return Step((_with_data(MessageId.AUTHENTICATION_RESPONSE, self._setup),))

    def _wrong_request(self, packet: Packet) -> LDicomSecurityError | None:
        method, index = packet.words
        if method != IsclMutualAuthentication.THREE_PASS_FOUR_WAY:
            return _error(ErrorCode.ISCL_BAD_MUTUAL_AUTH_METHOD, f"authentication method {method:08X}H")
        if not 1 <= index <= SLOTS:
            return _error(ErrorCode.ISCL_BAD_OPTION, f"authentication key index {index}")
        self.key_index = index
        return None

    def _answer(self, packet: Packet) -> Step:
        self.status = IsclStatus.PASS1
        error = self._peer_card(packet) or self._take_data(packet)
        if error is not None:
            return Step((), error)
        try:
            response, challenge = self._respond(packet.quantities[0]), self._draw()
        except _CardError as failure:
            return self._card_failed(failure, MessageId.PASS_2)
        self.status = IsclStatus.PASS2
        return Step((_with_data(MessageId.PASS_2, self._setup, quantities=(response, challenge)),))

    def _complete(self, packet: Packet) -> Step:
        self.status = IsclStatus.PASS3
        error = self._peer_card(packet)
        if error is not None:
            return Step((), error)
        try:
            self._verify(packet.quantities[0])
        except _CardError as failure:
            return self._failed(
                _error(ErrorCode.ISCL_LOCAL_IC_CARD, f"authentication: {failure}"),
                Packet(MessageId.COMPLETION, result=NAK),
            )
        return Step((Packet(MessageId.COMPLETION),))


def _with_data(
    message_id: MessageId, setup: Setup, words: tuple[int, ...] = (), quantities: tuple[bytes, ...] = ()
) -> Packet:
    """A packet, with our authentication data where it is a carrier of them."""
    return Packet(message_id, words, quantities, setup.auth_data if message_id in _carriers(setup) else b"")


def _carriers(setup: Setup) -> tuple[MessageId, ...]:
    return DATA_CARRIERS[setup.wire.auth_data_in]


def _is_version_first(setup: Setup) -> bool:
    return setup.wire.line_check_layout == "version,length"


def _bad_block(length: int, most: int) -> LDicomSecurityError:
    return _error(
        ErrorCode.ISCL_BAD_COMM_BLOCK_LENGTH, f"blocks of {length} bytes; {SMALLEST_BLOCK} to {most} are possible"
    )


def _error(code: ErrorCode, text: str) -> LDicomSecurityError:
    return LDicomSecurityError(code, f"ISCL: {text}")
