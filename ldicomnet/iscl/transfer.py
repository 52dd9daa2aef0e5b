"""Messages over an ISCL connection that stands: one at a time, agreed on, encrypted, and checked before it counts.

Pure: packets in; packets, messages and errors out. Knows no socket, lock or clock. Who asks while the other asks too
has to yield, or wins, by who made the connection; the winner then lets the other go first once (`owes_turn`), so that
one who sends without end does not silence the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import LDicomSecurityError
from ..status import ErrorCode, IsclEncryption, IsclSigning, IsclStatus
from . import ciphers
from .options import SLOTS, UNIQUE_KEYS, Setup
from .wire import ACK, NAK, MessageId, Packet, header

_MAC_LENGTHS = {IsclSigning.MD5: 16, IsclSigning.DESMAC: ciphers.BLOCK}
LONGEST_MAC = 24
_DRAWS = 16
"""How often a random number is drawn whose key would be weak; one in 2**52 is."""


class Reply(NamedTuple):
    """What follows from a packet."""

    packets: tuple[Packet, ...] = ()
    message: bytes | None = None
    """A whole message whose MAC was right."""
    through: bytes | None = None
    """Data that came beside the messages, from anybody."""
    error: LDicomSecurityError | None = None


class _Incoming:
    """The message that is being received."""

    __slots__ = ("content", "expected", "key", "length")

    def __init__(self, length: int, expected: int, key: bytes | None) -> None:
        self.length = length
        self.expected = expected
        self.key = key  # None: comes with the random number, or is not needed
        self.content = bytearray()


class Transfer:
    """One side of the connection; the thread that sends and the one that reads take turns under a lock of the caller's,
    but for `sealed`.

    Args:
        setup: what this side is set to.
        block_length: longest data part of a packet, as agreed on.
        auth_key: of which keys for single messages are made; None where a card has it, and nothing can be made of it.
        is_requestor: whether this side made the connection.
        order: byte order of what is sent.
        draw: gives a random number of eight bytes.

    Attributes:
        status: what is going on.
        peer_encryption, peer_signing, peer_length: what the peer asked for last.
        owes_turn: whether the peer is to send next.
        deferred: a request that has not been answered yet, as there is no room.
    """

    def __init__(
        self,
        setup: Setup,
        block_length: int,
        auth_key: bytes | None,
        is_requestor: bool,
        order: str,
        draw: Callable[[], bytes],
    ) -> None:
        self._setup = setup
        self._wire = setup.wire
        self._block = block_length
        self._has_auth_key = auth_key is not None
        self._auth_key = auth_key or ciphers.ZERO_IV  # which protects nothing, and is used where nothing is protected
        self._wins = is_requestor == (setup.wire.collision_winner == "requestor")
        self._order = order
        self._draw = draw
        goes_on = setup.wire.iv_chain != "none"
        self._out = ciphers.Chain(goes_on)
        self._in = self._out if setup.wire.iv_chain == "shared" else ciphers.Chain(goes_on)
        self._incoming: _Incoming | None = None
        self._waits_for_random = False
        self._wanted = 0  # length of the message that waits to be sent
        self._key = b""
        self.status = IsclStatus.READY
        self.peer_encryption = IsclEncryption(0)
        self.peer_signing = IsclSigning(0)
        self.peer_length = 0
        self.owes_turn = False
        self.deferred: Packet | None = None
        self.is_refused = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is sent or received any more."""
        return self.status in (IsclStatus.CLOSED, IsclStatus.FAILED)

    def most(self, message_id: MessageId) -> int:
        """The longest content of a raw packet."""
        if message_id == MessageId.THROUGH:
            return self._setup.message_length
        return LONGEST_MAC if message_id == MessageId.MAC else self._block

    # --- sending --------------------------------------------------------------------------------------------------

    @property
    def may_ask(self) -> bool:
        """Whether a message may be asked for: nothing is on its way, or the peer's question would not count."""
        return self.status == IsclStatus.READY and (self.deferred is None or self._wins)

    def want(self, length: int) -> tuple[Packet, ...]:
        """A message of so many bytes waits to be sent: it is asked for now, or as soon as that is possible; SENDING
        says that it may leave. To ask in the same moment in which a message of the peer is over is the only way to
        come in between two of them."""
        self._wanted = self._counted(length)
        return () if self.owes_turn else self._ask()

    @property
    def may_send(self) -> bool:
        """Whether the message that was wanted may leave."""
        return self.status == IsclStatus.SENDING

    def press(self) -> tuple[Packet, ...]:
        """The peer has not taken its turn: it is ours."""
        self.owes_turn = False
        return self._ask()

    def _ask(self) -> tuple[Packet, ...]:
        """Ask, if something is wanted and it is possible. What the peer asked for, and got no answer to, it will ask
        again."""
        if not self._wanted or not self.may_ask:
            return ()
        self.status = IsclStatus.SEND_REQUESTED
        if self.deferred is not None:
            self.deferred, self.owes_turn = None, True
        setup = self._setup
        words = setup.encryption, setup.encrypt_index, setup.signing, self._wanted
        return (Packet(MessageId.TRANSMISSION_REQUEST, words),)

    def sealed(self, message: bytes) -> list[bytes]:
        """The packets of a message that may be sent now, header and content in turn. The last two, which end it, leave
        only after `sent`."""
        setup, wire = self._setup, self._wire
        content, key = message, self._key
        if setup.encryption != IsclEncryption.NONE:
            content = self._out.encrypt(key, ciphers.pad(wire.padding, message))
        parts: list[bytes] = []
        for start in range(0, len(content), self._block):
            piece = content[start : start + self._block]
            parts += self._raw(MessageId.DATA, piece)
        if setup.signing != IsclSigning.NONE:
            covered = message if wire.mac_input == "plaintext" else content
            parts += self._raw(MessageId.MAC, self._sealed_mac(self._macs(key, covered)[0], key))
        return parts

    def _raw(self, message_id: MessageId, content: bytes) -> tuple[bytes, bytes]:
        return header(message_id, len(content), self._order), content

    def sent(self) -> None:
        """The end of the message is about to leave."""
        if self.status == IsclStatus.SENDING:  # else it is over meanwhile
            self.status = IsclStatus.READY

    def _sealed_mac(self, mac: bytes, key: bytes) -> bytes:
        if self._setup.encryption == IsclEncryption.NONE:
            return mac
        chain = self._out if self._wire.mac_iv == "chained" else ciphers.Chain(False)
        return chain.encrypt(key, ciphers.pad(self._wire.padding, mac))

    def _macs(self, key: bytes, covered: bytes) -> list[bytes]:
        """What the MAC may be; the first is what this side sends."""
        if self._setup.signing == IsclSigning.DESMAC:
            secret = key if self._wire.desmac_key == "encryption" else self._auth_key
            return [ciphers.desmac(secret, covered, self._wire.desmac_padding)]
        return [digest(key, covered) for digest in self._wire.md5_variants]

    def _counted(self, length: int) -> int:
        """The length of a message as a request names it."""
        return self._on_the_wire(length) if self._wire.length_counts == "ciphertext" else length

    def _on_the_wire(self, length: int) -> int:
        return length if self._setup.encryption == IsclEncryption.NONE else ciphers.padded(length)

    # --- disconnection --------------------------------------------------------------------------------------------

    def disconnect(self) -> Packet:
        """Ask to end the connection."""
        self.status, self.is_refused = IsclStatus.CLOSING, False
        return Packet(MessageId.DISCONNECTION_REQUEST)

    # --- receiving ------------------------------------------------------------------------------------------------

    def receive(self, packet: Packet, room: int) -> Reply:
        """A packet of the peer; `room` is how many bytes of messages can be kept."""
        name = _TAKES.get(packet.message_id)
        if name is None:
            return self._unexpected(packet)
        if packet.message_id == MessageId.TRANSMISSION_REQUEST:
            return self._requested(packet, room)
        take: Callable[[Packet], Reply] = getattr(self, name)
        return take(packet)

    def resume(self, room: int) -> Reply:
        """There is more room: a request that was not answered may be now."""
        packet = self.deferred
        if packet is None or self.status != IsclStatus.READY:
            return Reply()
        self.deferred = None
        return self._requested(packet, room)

    def _fail(self, code: ErrorCode, text: str, *packets: Packet) -> Reply:
        self.status = IsclStatus.FAILED
        self._incoming = None
        return Reply(packets, error=LDicomSecurityError(code, f"ISCL: {text}"))

    def _unexpected(self, packet: Packet) -> Reply:
        if self._waits_for_random:
            return self._fail(
                ErrorCode.ISCL_SESSION_KEY_EXPECTED, f"{packet.message_id.name} where a random number was awaited"
            )
        return self._fail(ErrorCode.ISCL_BAD_MESSAGE_ID, f"{packet.message_id.name} is unexpected ({self.status.name})")

    def _requested(self, packet: Packet, room: int) -> Reply:
        """TRANSMISSION_REQUEST: at rest, or while this side asks or ends."""
        if self.status == IsclStatus.SEND_REQUESTED:
            if self._wins:
                self.owes_turn = True
                return Reply()
            self.status = IsclStatus.READY  # ours is void
        if self.status == IsclStatus.CLOSING:
            self.deferred = packet
            return Reply()
        if self.status != IsclStatus.READY or self.deferred is not None:
            return self._unexpected(packet)
        encryption, index, signing, length = packet.words
        self.owes_turn = False
        self.peer_encryption, self.peer_signing = IsclEncryption(encryption), IsclSigning(signing)
        self.peer_length = length
        refusal = self._refusal(encryption, index, signing, length)
        if refusal is not None:
            answer = Packet(MessageId.TRANSMISSION_RESPONSE, (self._largest,), result=NAK)
            return self._fail(*refusal, answer)
        if length > room:
            self.deferred = packet
            return Reply()
        return self._accept(index, length)

    @property
    def _largest(self) -> int:
        return self._counted(self._setup.message_length)

    def _refusal(self, encryption: int, index: int, signing: int, length: int) -> tuple[ErrorCode, str] | None:
        setup = self._setup
        if (encryption, signing) != (setup.encryption, setup.signing):
            asked = f"encryption {encryption:08X}H and MAC {signing:08X}H"
            ours = f"{setup.encryption:08X}H and {setup.signing:08X}H"
            return ErrorCode.ISCL_MESSAGE_TRANSMISSION, f"the peer sends with {asked}, this side is set to {ours}"
        if index != UNIQUE_KEYS and not 1 <= index <= SLOTS:
            return ErrorCode.ISCL_BAD_OPTION, f"encryption key index {index}"
        if setup.uses_key and index != UNIQUE_KEYS and setup.encrypt_keys[index - 1] is None:
            return ErrorCode.ISCL_MESSAGE_TRANSMISSION, f"there is no encryption key with index {index}"
        if setup.uses_key and index == UNIQUE_KEYS and not self._has_auth_key:
            text = "there is no authentication key here to make the key of a message of, as where a card has it"
            return ErrorCode.ISCL_MESSAGE_TRANSMISSION, text
        if length > self._largest:
            return (
                ErrorCode.ISCL_LOCAL_LENGTH_TOO_SMALL,
                f"the peer wants to send {length} bytes, this side takes {self._largest}",
            )
        if length < 1 or self._is_no_ciphertext(length):
            return ErrorCode.ISCL_BAD_LENGTH, f"a message of {length} bytes"
        return None

    def _is_no_ciphertext(self, length: int) -> bool:
        counts_ciphertext = self._wire.length_counts == "ciphertext"
        return counts_ciphertext and self._setup.encryption != IsclEncryption.NONE and length % ciphers.BLOCK != 0

    def _accept(self, index: int, length: int) -> Reply:
        is_counted = self._wire.length_counts == "ciphertext"
        key = None if index == UNIQUE_KEYS else self._setup.encrypt_keys[index - 1]
        self._incoming = _Incoming(length, length if is_counted else self._on_the_wire(length), key)
        self._waits_for_random = index == UNIQUE_KEYS
        self.status = IsclStatus.RECEIVING
        return Reply((Packet(MessageId.TRANSMISSION_RESPONSE, (self._largest,)),))

    def _answered(self, packet: Packet) -> Reply:
        """TRANSMISSION_RESPONSE."""
        if self.status != IsclStatus.SEND_REQUESTED:
            return self._unexpected(packet)
        if packet.result == NAK:
            largest = packet.words[0] if packet.words else self._wanted
            if 0 < largest < self._wanted:
                text = f"the peer takes messages of {largest} bytes at most, not of {self._wanted}"
                return self._fail(ErrorCode.ISCL_PEER_LENGTH_TOO_SMALL, text)
            text = "the peer refuses the message: NAK; it knows why. Encryption, MAC and keys have to be the same"
            return self._fail(ErrorCode.ISCL_RECEIVED_NAK, text)
        if packet.result != ACK:
            return self._bad_option(packet)
        index = self._setup.encrypt_index
        if index == UNIQUE_KEYS:
            self.status = IsclStatus.SEND_KEY
            random, self._key = self._new_key()
            return Reply((Packet(MessageId.RANDOM_REQUEST, quantities=(random,)),))
        self._key = self._setup.encrypt_keys[index - 1] or b""
        self._begin()
        return Reply()

    def _new_key(self) -> tuple[bytes, bytes]:
        """A random number, and its key, which is none of the weak ones."""
        for _ in range(_DRAWS):
            random = self._draw()
            key = self._wire.session_key(self._auth_key, random)
            if not ciphers.is_weak(key):
                break
        return random, key

    def _bad_option(self, packet: Packet) -> Reply:
        return self._fail(
            ErrorCode.ISCL_BAD_OPTION, f"{packet.message_id.name} with option {packet.result:08X}H, neither ACK nor NAK"
        )

    def _random_came(self, packet: Packet) -> Reply:
        """RANDOM_REQUEST."""
        if not self._waits_for_random or self._incoming is None:
            return self._unexpected(packet)
        if packet.result != ACK:
            return self._fail(ErrorCode.ISCL_REMOTE_IC_CARD, "the peer has no random number")
        key = self._wire.session_key(self._auth_key, packet.quantities[0])
        if ciphers.is_weak(key):
            answer = Packet(MessageId.RANDOM_RESPONSE, result=NAK)
            return self._fail(ErrorCode.ISCL_BAD_OPTION, "a random number that makes a weak key", answer)
        self._waits_for_random = False
        self._incoming.key = key
        return Reply((Packet(MessageId.RANDOM_RESPONSE),))

    def _random_answered(self, packet: Packet) -> Reply:
        """RANDOM_RESPONSE."""
        if self.status != IsclStatus.SEND_KEY:
            return self._unexpected(packet)
        if packet.result == NAK:
            return self._fail(ErrorCode.ISCL_RECEIVED_NAK, "the peer refuses the random number: NAK")
        if packet.result != ACK:
            return self._bad_option(packet)
        self._begin()
        return Reply()

    def _begin(self) -> None:
        """The message may leave."""
        self.status, self._wanted = IsclStatus.SENDING, 0

    def _data_came(self, packet: Packet) -> Reply:
        """DATA."""
        incoming = self._incoming
        if incoming is None or self._waits_for_random:
            return self._unexpected(packet)
        length = len(incoming.content) + len(packet.data)
        if not packet.data or length > incoming.expected:
            return self._fail(
                ErrorCode.ISCL_BAD_LENGTH, f"{length} bytes of a message, {incoming.expected} were announced"
            )
        incoming.content += packet.data
        if length == incoming.expected and self._setup.signing == IsclSigning.NONE:
            return self._complete(incoming, None)
        return Reply()

    def _mac_came(self, packet: Packet) -> Reply:
        """MAC: the end of a message."""
        incoming = self._incoming
        if incoming is None or self._waits_for_random or self._setup.signing == IsclSigning.NONE:
            return self._unexpected(packet)
        length = _MAC_LENGTHS[IsclSigning(self._setup.signing)]
        if len(incoming.content) != incoming.expected or len(packet.data) != self._on_the_wire(length):
            return self._fail(
                ErrorCode.ISCL_BAD_LENGTH,
                f"a MAC of {len(packet.data)} bytes after {len(incoming.content)} of {incoming.expected} bytes",
            )
        return self._complete(incoming, packet.data)

    def _complete(self, incoming: _Incoming, mac: bytes | None) -> Reply:
        """Decrypt, and check all there is before anything is told: a wrong padding is a wrong MAC, to all who look."""
        content, key, is_right = bytes(incoming.content), incoming.key or b"", True
        message = content
        if self._setup.encryption != IsclEncryption.NONE:
            message, is_right = ciphers.unpad(self._wire.padding, self._in.decrypt(key, content))
        if self._wire.length_counts == "plaintext":
            is_right &= len(message) == incoming.length
        if mac is not None:
            covered = message if self._wire.mac_input == "plaintext" else content
            is_right &= self._is_mac(mac, key, covered)
            if not is_right:
                return self._fail(ErrorCode.ISCL_BAD_MAC, "the MAC of a message is wrong: it was changed, or its key")
        if not is_right:
            return self._fail(ErrorCode.ISCL_DECRYPT, "a message cannot be decrypted: it was changed, or its key")
        self._incoming = None
        self.status = IsclStatus.READY
        return Reply(self._ask(), message)

    def _is_mac(self, mac: bytes, key: bytes, covered: bytes) -> bool:
        is_right = True
        if self._setup.encryption != IsclEncryption.NONE:
            chain = self._in if self._wire.mac_iv == "chained" else ciphers.Chain(False)
            mac, is_right = ciphers.unpad(self._wire.padding, chain.decrypt(key, mac))
        return ciphers.is_any_of(mac, self._macs(key, covered)) & is_right

    def _through_came(self, packet: Packet) -> Reply:
        """THROUGH: at any time."""
        return Reply(through=packet.data)

    def _asked_to_end(self, packet: Packet) -> Reply:
        """DISCONNECTION_REQUEST: not within a message of the peer's own."""
        if self._incoming is not None:
            return self._unexpected(packet)
        self.status = IsclStatus.CLOSED
        return Reply((Packet(MessageId.DISCONNECTION_RESPONSE),))

    def _end_answered(self, packet: Packet) -> Reply:
        """DISCONNECTION_RESPONSE."""
        if self.status != IsclStatus.CLOSING:
            return self._unexpected(packet)
        if packet.result == ACK:
            self.status = IsclStatus.CLOSED
            return Reply()
        self.status, self.is_refused = IsclStatus.READY, True
        return Reply(self._ask())


_TAKES = {
    MessageId.TRANSMISSION_REQUEST: "_requested",
    MessageId.TRANSMISSION_RESPONSE: "_answered",
    MessageId.RANDOM_REQUEST: "_random_came",
    MessageId.RANDOM_RESPONSE: "_random_answered",
    MessageId.DATA: "_data_came",
    MessageId.MAC: "_mac_came",
    MessageId.THROUGH: "_through_came",
    MessageId.DISCONNECTION_REQUEST: "_asked_to_end",
    MessageId.DISCONNECTION_RESPONSE: "_end_answered",
}


class Units:
    """Cuts what is written into messages: at the end of each PDU of the upper layer, and at the longest message.

    A PDU has its length in bytes 2 to 5 (PS3.8 9.3.1). One that is longer becomes several messages, which its length
    joins again on the other side.
    """

    def __init__(self, unit: str, longest: int) -> None:
        self._is_pdu = unit == "pdu"
        self._longest = longest
        self._left = 0  # of a PDU whose beginning has left

    def cut(self, data: bytes) -> Iterator[bytes]:
        """The messages of what is written at once."""
        at = 0
        while at < len(data):
            end = at + self._next(data, at) if self._is_pdu else len(data)
            for start in range(at, end, self._longest):
                yield data[start : min(end, start + self._longest)]
            at = end

    def _next(self, data: bytes, at: int) -> int:
        """Bytes until the end of the PDU, or of the data."""
        if not self._left:
            if len(data) - at < 6:
                return len(data) - at  # not what the upper layer writes; nothing is held back
            self._left = 6 + int.from_bytes(data[at + 2 : at + 6], "big")
        count = min(self._left, len(data) - at)
        self._left -= count
        return count
