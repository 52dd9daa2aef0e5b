"""Two ends of ISCL without a network: setups, cards, and ways to hand packets across."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from ldicomnet import ErrorCode, IsclEncryption, IsclSigning, LDicomSecurityError
from ldicomnet.iscl.handshake import Client, Handshake, Server, Step
from ldicomnet.iscl.options import Setup, WireOptions
from ldicomnet.iscl.transfer import Reply, Transfer
from ldicomnet.iscl.wire import MessageId, Packet, Reader, encode

KEY = bytes.fromhex("133457799BBCDFF1")
OTHER_KEY = bytes.fromhex("0E329232EA6D0D73")
THIRD_KEY = bytes.fromhex("8000000000000010")
SETUP = Setup(
    auth_keys=(KEY, OTHER_KEY, *[None] * 6),
    encrypt_keys=(OTHER_KEY, KEY, THIRD_KEY, *[None] * 5),
)
SAFE = (
    (IsclEncryption.DESCBC, IsclSigning.MD5),
    (IsclEncryption.DESCBC, IsclSigning.DESMAC),
    (IsclEncryption.NONE, IsclSigning.DESMAC),
)
UNSAFE = (
    (IsclEncryption.NONE, IsclSigning.NONE),
    (IsclEncryption.NONE, IsclSigning.MD5),
    (IsclEncryption.DESCBC, IsclSigning.NONE),
)
"""Without a MAC, or with one that needs no key."""
WIRES = [WireOptions()] + [
    WireOptions(**{name: choice})  # type: ignore[arg-type]
    for name, one in WireOptions.__dataclass_fields__.items()
    for choice in one.metadata.get("choices", ())[:]
    if choice != one.default
]
"""Profile A, and every other choice of each field."""


class FixedCard:
    """Challenges in turn, and the responses of profile A; `broken` names operations that fail."""

    wants_packets = False

    def __init__(self, wire: WireOptions = SETUP.wire, broken: str = "") -> None:
        self._wire = wire
        self._broken = broken
        self._count = 0
        self.keys: list[bytes] = []

    def challenge(self, key: bytes) -> bytes:
        self._fail("challenge")
        self.keys.append(key)
        self._count += 1
        return bytes([self._count] * 8)

    def respond(self, challenge: bytes, key: bytes) -> bytes:
        self._fail("respond")
        return self._wire.response(key, challenge)

    def verify(self, challenge: bytes, response: bytes, key: bytes) -> int:
        self._fail("verify")
        return ErrorCode.SUCCESS if self._wire.response(key, challenge) == response else 7

    def _fail(self, name: str) -> None:
        if self._broken == name:
            raise OSError("no card in the reader")

    def packet_received(self, error: ErrorCode, data: bytes) -> None:
        raise AssertionError("not wanted")

    def through_received(self, data: bytes) -> None:
        """Not looked at."""


def across(
    packet: Packet, wire: WireOptions, order: str = "big", most: Callable[[MessageId], int] | None = None
) -> Packet:
    """A packet as the peer reads it."""
    reader = Reader(wire, most or (lambda _id: 1 << 20))
    reader.feed(encode(packet, wire, order))
    found = reader.take()
    assert found is not None and not reader.is_unfinished
    return found


class Shaken:
    """What became of a handshake: `errors` of server and client, and everything that was sent."""

    def __init__(
        self,
        server: Setup = SETUP,
        client: Setup = SETUP,
        cards: tuple[FixedCard, FixedCard] | None = None,
        change: Callable[[Packet], Packet] = lambda packet: packet,
    ) -> None:
        server_card, client_card = cards or (FixedCard(server.wire), FixedCard(client.wire))
        self.server, self.client = Server(server, server_card), Client(client, client_card)
        self.errors: list[ErrorCode | None] = [None, None]
        self.sent: list[Packet] = []
        self._change = change
        ends: tuple[Handshake, Handshake] = (self.server, self.client)
        waiting = deque((1, packet) for packet in self.server.begin())
        while waiting:
            to, packet = waiting.popleft()
            self.sent.append(packet)
            if self.errors[to] is not None or ends[to].is_done:
                continue
            wire = (server, client)[to].wire
            order = "little" if wire.byte_order == "little" else "big"
            step: Step = ends[to].receive(change(across(packet, wire, order)))
            if step.error is not None:
                self.errors[to] = step.error.code
            waiting += [(1 - to, each) for each in step.packets]

    @property
    def names(self) -> list[str]:
        return [packet.message_id.name for packet in self.sent]


class Ends:
    """Two `Transfer`s that stand, and what each of them has got."""

    def __init__(self, requestor: Setup = SETUP, acceptor: Setup | None = None, order: str = "big") -> None:
        count = iter(range(1, 1 << 20))
        draw = lambda: next(count).to_bytes(8, "big")  # noqa: E731
        setups = requestor, acceptor or requestor
        self.order = order
        self.sides = [
            Transfer(setup, setup.block_length, KEY, number == 0, order, draw) for number, setup in enumerate(setups)
        ]
        self.setups = setups
        self.got: list[list[bytes]] = [[], []]
        self.through: list[list[bytes]] = [[], []]
        self.errors: list[LDicomSecurityError | None] = [None, None]
        self.wires: list[deque[Packet]] = [deque(), deque()]  # on their way to each side

    def take(self, to: int, packet: Packet, room: int = 1 << 30) -> Reply:
        """One packet arrives; its answers are on their way back."""
        reply = self.sides[to].receive(packet, room)
        if reply.message is not None:
            self.got[to].append(reply.message)
        if reply.through is not None:
            self.through[to].append(reply.through)
        if reply.error is not None:
            self.errors[to] = reply.error
        self.wires[1 - to] += reply.packets
        return reply

    def ask(self, side: int, length: int) -> None:
        self.wires[1 - side] += self.sides[side].want(length)

    def deliver(self) -> None:
        """Everything that is on its way, until nothing is."""
        while any(self.wires):
            for to in (0, 1):
                if self.wires[to]:
                    self.take(to, across(self.wires[to].popleft(), self.setups[to].wire, self.order))

    def sealed(self, side: int, message: bytes) -> list[Packet]:
        """The packets of a message that was agreed on."""
        reader = Reader(self.setups[side].wire, lambda _id: 1 << 20)
        parts = self.sides[side].sealed(message)
        self.sides[side].sent()
        reader.feed(b"".join(parts))
        packets = []
        while (packet := reader.take()) is not None:
            packets.append(packet)
        return packets

    def send(self, side: int, message: bytes) -> list[Packet]:
        """A whole message; the packets of its body."""
        self.ask(side, len(message))
        self.deliver()
        if self.errors != [None, None]:
            return []
        packets = self.sealed(side, message)
        self.wires[1 - side] += packets
        self.deliver()
        return packets


def with_wire(wire: WireOptions, **changes: object) -> Setup:
    return replace(SETUP, wire=wire, **changes)  # type: ignore[arg-type]
