"""DICOM bytes made by hand, for tests that must not trust the library: every length and field can be made to lie.

Knows nothing of `ldicomnet`. `Peer` is one TCP connection whose every answer becomes a line of its transcript:

    AC 1:0 3:0      A-ASSOCIATE-AC: presentation context IDs with their results
    RJ 1 2 2        A-ASSOCIATE-RJ: result, source, reason
    8030/1 0000     a response: command field, message ID responded to, status
    RQ, RP          A-RELEASE-RQ, A-RELEASE-RP
    ABORT 2 6       A-ABORT: source, reason
    END, RESET      the connection was closed, or reset
    OPEN            nothing more came in time, and the connection still stands

Whatever is wrong with an answer by the letter of the standard is added to its line behind a "!".
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Callable, Iterable
from time import monotonic

APPLICATION = "1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.70"
LOOPBACK = "127.0.0.1"

# --- PDUs and items, PS3.8 Section 9.3 ----------------------------------------------------------------------------


def pdu(kind: int, content: bytes = b"", length: int | None = None, reserved: int = 0) -> bytes:
    """A PDU; `length` is what its header claims."""
    return struct.pack(">BBI", kind, reserved, len(content) if length is None else length) + content


def item(kind: int, content: bytes | str = b"", length: int | None = None, reserved: int = 0) -> bytes:
    """An item or sub-item; `length` is what its header claims."""
    data = content if isinstance(content, bytes) else content.encode("latin-1")
    return struct.pack(">BBH", kind, reserved, len(data) if length is None else length) + data


def counted(content: bytes | str, length: int | None = None) -> bytes:
    """A value behind a two-byte length."""
    return item(0, content, length)[2:]


def context(number: int, abstract: str, *transfers: str, extra: bytes = b"", reserved: bytes = bytes(3)) -> bytes:
    """A presentation context of a request; `extra` goes behind its transfer syntaxes."""
    syntaxes = item(0x30, abstract) + b"".join(item(0x40, uid) for uid in transfers) + extra
    return item(0x20, bytes((number,)) + reserved + syntaxes)


def answered(number: int, result: int, transfer: str) -> bytes:
    """A presentation context of an accept."""
    return item(0x21, bytes((number, 0, result, 0)) + item(0x40, transfer))


def max_length(length: int) -> bytes:
    """A maximum length sub-item."""
    return item(0x51, struct.pack(">I", length))


CLASS = item(0x52, "1.2.3.4.5")
VERSION = item(0x55, "WIRE_1")
USER = item(0x50, max_length(16384) + CLASS + VERSION)
ECHO_CONTEXT = context(1, VERIFICATION, IMPLICIT)
STORE_CONTEXT = context(3, CT, IMPLICIT, EXPLICIT)
CONTEXTS = ECHO_CONTEXT + STORE_CONTEXT


def user(*sub_items: bytes) -> bytes:
    """A user information item: maximum length, implementation class, and these sub-items."""
    return item(0x50, max_length(16384) + CLASS + b"".join(sub_items))


def association(
    kind: int,
    items: bytes,
    version: int = 1,
    called: bytes = b"STORESCP",
    calling: bytes = b"WIRE",
    reserved: bytes = bytes(34),
    length: int | None = None,
) -> bytes:
    """An A-ASSOCIATE-RQ (1) or -AC (2) with these items; `reserved` are its 2 and its 32 reserved bytes."""
    fixed = struct.pack(">H", version) + reserved[:2] + called.ljust(16)[:16] + calling.ljust(16)[:16] + reserved[2:]
    return pdu(kind, fixed + items, length)


def request(
    contexts: bytes = CONTEXTS, user_information: bytes = USER, application: bytes | None = None, **fixed: object
) -> bytes:
    """An A-ASSOCIATE-RQ; the keywords of `association` are taken too."""
    head = item(0x10, APPLICATION) if application is None else application
    return association(1, head + contexts + user_information, **fixed)  # type: ignore[arg-type]


def accept(*contexts: bytes, user_information: bytes = USER, **fixed: object) -> bytes:
    """An A-ASSOCIATE-AC."""
    return association(2, item(0x10, APPLICATION) + b"".join(contexts) + user_information, **fixed)  # type: ignore[arg-type]


def reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ."""
    return pdu(3, bytes((0, result, source, reason)))


def abort(source: int = 0, reason: int = 0) -> bytes:
    """An A-ABORT."""
    return pdu(7, bytes((0, 0, source, reason)))


RELEASE = pdu(5, bytes(4))
RELEASED = pdu(6, bytes(4))

COMMAND, LAST = 1, 2


def pdv(number: int, control: int, data: bytes = b"", length: int | None = None) -> bytes:
    """A presentation data value item; `length` is what it claims."""
    return struct.pack(">IBB", len(data) + 2 if length is None else length, number, control) + data


def p_data(*values: bytes, length: int | None = None) -> bytes:
    """A P-DATA-TF."""
    return pdu(4, b"".join(values), length)


def fragments(number: int, control: int, data: bytes, size: int) -> list[bytes]:
    """Presentation data values of `size` bytes; the last says that it is."""
    starts = range(0, len(data), size)
    return [pdv(number, control | LAST * (at + size >= len(data)), data[at : at + size]) for at in starts]


# --- command sets, PS3.7 Section 6.3 and Annex E ------------------------------------------------------------------


def element(number: int, value: bytes | str | int, length: int | None = None, group: int = 0) -> bytes:
    """An element in Implicit VR Little Endian: a number is two bytes, text is padded with a null."""
    if isinstance(value, int):
        data = struct.pack("<H", value)
    else:
        data = value if isinstance(value, bytes) else value.encode("latin-1") + b"\0" * (len(value) & 1)
    return struct.pack("<HHI", group, number, len(data) if length is None else length) + data


def command(*elements: bytes, group_length: int | None = None) -> bytes:
    """A command set behind its group length."""
    data = b"".join(elements)
    return element(0, struct.pack("<I", len(data) if group_length is None else group_length)) + data


NO_DATA, DATA = 0x0101, 0x0001


def echo_command(message_id: int = 1, uid: str = VERIFICATION) -> bytes:
    """A C-ECHO-RQ."""
    return command(element(2, uid), element(0x100, 0x30), element(0x110, message_id), element(0x800, NO_DATA))


def store_command(instance: str, uid: str = CT, message_id: int = 1, data_set: int = DATA, extra: bytes = b"") -> bytes:
    """A C-STORE-RQ."""
    return command(
        element(2, uid),
        element(0x100, 1),
        element(0x110, message_id),
        element(0x700, 0),
        element(0x800, data_set),
        element(0x1000, instance),
        extra,
    )


def other_command(field: int, *elements: bytes, data_set: int = NO_DATA, uid: str = CT) -> bytes:
    """Any command set: class, field, message ID 1, data set type, and elements behind them."""
    head = element(0x110, 1) if field < 0x8000 and field != 0xFFF else element(0x120, 1)
    return command(element(2, uid), element(0x100, field), head, element(0x800, data_set), *elements)


def message(number: int, command_set: bytes, data_set: bytes | None = None) -> bytes:
    """A message in one P-DATA-TF for the command set and one for the data set."""
    data = b"" if data_set is None else p_data(pdv(number, LAST, data_set))
    return p_data(pdv(number, COMMAND | LAST, command_set)) + data


def echo(message_id: int = 1) -> bytes:
    """A C-ECHO-RQ on context 1."""
    return message(1, echo_command(message_id))


def store(instance: str, data_set: bytes, message_id: int = 1) -> bytes:
    """A C-STORE-RQ on context 3."""
    return message(3, store_command(instance, message_id=message_id), data_set)


_numbers = itertools.count(1)


def instance_uid() -> str:
    """A UID that no other test has."""
    return f"1.2.826.0.1.3680043.9.7433.{next(_numbers)}"


def data_set(instance: str, size: int = 0) -> bytes:
    """A little data set in Implicit VR Little Endian, with `size` bytes of pixel data."""

    def implicit(group: int, number: int, value: bytes) -> bytes:
        return element(number, value + b"\0" * (len(value) & 1), group=group)

    pixels = implicit(0x7FE0, 0x10, bytes(range(256)) * (size // 256)) if size else b""
    head = implicit(8, 0x16, CT.encode()) + implicit(8, 0x18, instance.encode("latin-1", "replace"))
    return head + implicit(0x10, 0x10, b"Wire^Test ") + pixels


# --- reading ------------------------------------------------------------------------------------------------------


def split_items(data: bytes, start: int = 0) -> list[tuple[int, bytes]]:
    """Items of an association PDU or in another item, strictly.

    Raises:
        ValueError: a length runs over the end.
    """
    found, position = [], start
    while position < len(data):
        if position + 4 > len(data):
            raise ValueError("an item header is cut")
        kind, _reserved, length = struct.unpack_from(">BBH", data, position)
        position += 4 + length
        if position > len(data):
            raise ValueError("an item runs over the end")
        found.append((kind, data[position - length : position]))
    return found


def split_elements(data: bytes) -> dict[int, bytes]:
    """Elements of a command set, strictly: PS3.7 Section 6.3.1.

    Raises:
        ValueError: it is not of group 0000, ascending, of even lengths, or its group length is not right.
    """
    found, position, before = {}, 0, -1
    while position < len(data):
        group, number, length = struct.unpack_from("<HHI", data, position)
        position += 8 + length
        if group or number <= before or length & 1 or position > len(data):
            raise ValueError(f"element ({group:04X},{number:04X}) of {length} bytes behind (0000,{before:04X})")
        found[number], before = data[position - length : position], number
    if found.get(0) != struct.pack("<I", len(data) - 12):
        raise ValueError("the group length is wrong")
    return found


def accept_faults(rq: bytes, ac: bytes) -> list[str]:
    """What is wrong in the content of an A-ASSOCIATE-AC that answers the content of a well-formed -RQ."""
    faults = []
    if ac[4:68] != rq[4:68]:
        faults.append("bytes 11-74 are not those of the request")
    if not ac[1] & 1:
        faults.append("protocol version")
    asked, given = split_items(rq, 68), split_items(ac, 68)
    if [data for kind, data in given if kind == 0x10] != [APPLICATION.encode()]:
        faults.append("application context")
    offers = {data[0]: _syntaxes(data) for kind, data in asked if kind == 0x20}
    answers = [(data[0], data[2], _syntaxes(data)) for kind, data in given if kind == 0x21]
    if [number for number, _result, _syntax in answers] != list(offers):
        faults.append("contexts are not those of the request")
    for number, result, syntaxes in answers:
        if len(syntaxes) != 1 or (result == 0 and syntaxes[0] not in offers.get(number, [])):
            faults.append(f"transfer syntax of context {number}")
    wanted = {kind for kind, _ in _user_information(asked)}
    got = [kind for kind, _ in _user_information(given)]
    if got.count(0x51) != 1 or got.count(0x52) != 1:
        faults.append("maximum length or implementation class")
    faults += [f"sub-item {kind:02X}" for kind in got if kind not in wanted | {0x51, 0x52, 0x55, 0x59} or kind == 0x57]
    if 0x59 in got and 0x58 not in wanted:
        faults.append("an answer to no user identity")
    return faults


def _syntaxes(presentation: bytes) -> list[bytes]:
    return [data.rstrip(b"\0 ") for kind, data in split_items(presentation, 4) if kind == 0x40]


def _user_information(items: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return [sub_item for kind, data in items if kind == 0x50 for sub_item in split_items(data)]


class Peer:
    """One TCP connection, our end of it.

    Attributes:
        transcript: what was received, in the words of this module's docstring.
        ended: whether the other end has closed or reset the connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.transcript: list[str] = []
        self.ended = False
        self.received = bytearray()  # not yet parsed
        self._request = b""
        self._maximum = 0
        self._command = bytearray()
        self._data_set = bytearray()

    @classmethod
    def connect(cls, port: int, receive_buffer: int = 0) -> Peer:
        """A connection to a server on the loopback interface."""
        sock = socket.socket()
        sock.settimeout(5)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect((LOOPBACK, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    def send(self, data: bytes, seconds: float = 10) -> bool:
        """Send all of it; False when the other end is gone."""
        if data[:1] == b"\1" and not self._request:
            self._learn(data)
        self.sock.settimeout(seconds)
        try:
            self.sock.sendall(data)
        except TimeoutError:
            return True
        except OSError:
            return False
        return True

    def _learn(self, data: bytes) -> None:
        """Our own request, where it is well formed: its answer has to repeat some of it."""
        length = int.from_bytes(data[2:6], "big")
        content = data[6 : 6 + length]
        if len(content) < length:
            return
        try:
            lengths = [value for kind, value in _user_information(split_items(content, 68)) if kind == 0x51]
        except ValueError:
            return
        self._request = content
        self._maximum = int.from_bytes(lengths[0], "big") if lengths else 0

    def half_close(self) -> None:
        """Say that we send no more."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        """Go without a goodbye: the other end gets an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.ended = True

    def close(self) -> None:
        """Go."""
        self.sock.close()

    # --- receiving ------------------------------------------------------------------------------------------------

    def next_pdu(self, until: float) -> tuple[int, bytes] | None:
        """The next PDU, type and content; None, with a word in the transcript, when none comes until `until`."""
        while not (pair := self._take_pdu()):
            if self.ended or not self._receive(until):
                return None
        return pair

    def _take_pdu(self) -> tuple[int, bytes] | None:
        if len(self.received) < 6:
            return None
        kind, _reserved, length = struct.unpack_from(">BBI", self.received)
        if len(self.received) < 6 + length:
            return None
        content = bytes(self.received[6 : 6 + length])
        del self.received[: 6 + length]
        return kind, content

    def _receive(self, until: float) -> bool:
        left = until - monotonic()
        if left <= 0:
            return False
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 16)
        except TimeoutError:
            return False
        except OSError:
            return self._end("RESET")
        self.received += data
        return bool(data) or self._end("END" if not self.received else "END!within a PDU")

    def _end(self, how: str) -> bool:
        self.ended = True
        self.transcript.append(how)
        return False

    def next(self, until: float) -> bool:
        """Wait for one more line of the transcript; False when none came until `until`."""
        before = len(self.transcript)
        while len(self.transcript) == before:
            received = self.next_pdu(until)
            if received is None:
                return len(self.transcript) > before
            self._note(*received)
        return True

    def pause(self, seconds: float) -> None:
        """Note what comes for so long, or until the other end is gone."""
        until = monotonic() + seconds
        while not self.ended and self.next(until):
            pass

    def _note(self, kind: int, content: bytes) -> None:
        """Write what a PDU says into the transcript."""
        if kind == 2:
            self._note_accept(content)
        elif kind == 3 and len(content) == 4:
            self.transcript.append("RJ {} {} {}".format(*content[1:]))
        elif kind == 4:
            self._note_data(content)
        elif kind in (5, 6) and content == bytes(4):
            self.transcript.append("RQ" if kind == 5 else "RP")
        elif kind == 7 and len(content) == 4 and content[:2] == bytes(2):
            self.transcript.append("ABORT {} {}".format(*content[2:]))
        else:
            self.transcript.append(f"PDU {kind:02X} {content[:32].hex()}")

    def _note_accept(self, content: bytes) -> None:
        try:
            faults = accept_faults(self._request, content) if self._request else []
            results = [f"{data[0]}:{data[2]}" for kind, data in split_items(content, 68) if kind == 0x21]
        except (ValueError, IndexError) as error:
            faults, results = [str(error)], []
        self.transcript.append(" ".join(["AC", *results]) + "".join(f"!{fault}" for fault in faults))

    def _note_data(self, content: bytes) -> None:
        faults = []
        if self._maximum and len(content) > self._maximum:
            faults.append(f"!PDU of {len(content)} bytes")
        position = 0
        while position + 6 <= len(content):
            length, _number, control = struct.unpack_from(">IBB", content, position)
            fragment = content[position + 6 : position + 4 + length]
            position += 4 + length
            if length < 2 or len(fragment) & 1:
                faults.append(f"!fragment of {len(fragment)} bytes")
                break
            (self._command if control & COMMAND else self._data_set).extend(fragment)
            if control & LAST:
                self._note_last(is_command=bool(control & COMMAND))
        if position != len(content):
            faults.append("!presentation data values do not fill their PDU")
        if faults:
            self.transcript.append("DATA" + "".join(faults))

    def _note_last(self, is_command: bool) -> None:
        """The end of a command set, or of a data set."""
        if is_command and self._has_data_set():
            return
        self.transcript.append(describe(bytes(self._command)))
        self._command, self._data_set = bytearray(), bytearray()

    def _has_data_set(self) -> bool:
        try:
            return split_elements(bytes(self._command)).get(0x800) != struct.pack("<H", NO_DATA)
        except (ValueError, struct.error):
            return False


def describe(command_set: bytes) -> str:
    """A command set in a few words."""
    try:
        elements = split_elements(command_set)
    except (ValueError, struct.error) as error:
        return f"COMMAND!{error}"
    field, responded, own, status = (
        int.from_bytes(elements.get(number, b""), "little") for number in (0x100, 0x120, 0x110, 0x900)
    )
    missing = [f"!no ({number:04X})" for number in (0x100, 0x800) if number not in elements]
    if field & 0x8000:
        missing += [f"!no ({number:04X})" for number in (0x120, 0x900) if number not in elements]
        return f"{field:04X}/{responded} {status:04X}" + "".join(missing)
    return f"{field:04X}/{own}" + "".join(missing)


Step = bytes | Callable[[Peer], object]
"""Bytes are sent; anything else is called with the peer."""


def exchange(peer: Peer, steps: Iterable[Step]) -> None:
    """Go through `steps` until the other end is gone."""
    for step in steps:
        if peer.ended:
            return
        if isinstance(step, bytes):
            peer.send(step)
        else:
            step(peer)


def answer(peer: Peer) -> None:
    """A step: wait for one line of the transcript."""
    peer.next(monotonic() + 3)


def pause(seconds: float) -> Callable[[Peer], None]:
    """A step: note what comes for so long."""
    return lambda peer: peer.pause(seconds)


def drip(data: bytes, seconds: float = 0.0, size: int = 1) -> Callable[[Peer], None]:
    """A step: send `data` in segments of `size` bytes with a pause behind each."""

    def send(peer: Peer) -> None:
        for start in range(0, len(data), size):
            peer.send(data[start : start + size])
            if seconds:
                peer.pause(seconds)
            if peer.ended:
                return

    return send


def flood(data: bytes, seconds: float) -> Callable[[Peer], None]:
    """A step: send `data` again and again and read nothing until the other end is gone, or note that it stays."""

    def send(peer: Peer) -> None:
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            if not peer.send(data, left):
                return
        peer.transcript.append("STILL THERE")

    return send
