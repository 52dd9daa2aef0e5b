"""Objects that call any method from any hook, and the steps that they and the threads beside them take.

Knows nothing of what must hold afterwards; `stress` does.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pydicom

from ldicomnet import (
    Command,
    DebugMode,
    ErrorCode,
    LDicomAssociate,
    LDicomDS,
    LDicomNet,
    Message,
    SecureMode,
    Status,
    Timeouts,
    background,
)
from ldicomnet.message import BY_NAME, ROWS, Row

from .support import CT, EXPLICIT

if TYPE_CHECKING:
    from .stress import Walk

SECONDS = 30.0
"""How long anything may take before it counts as hanging."""
TIMEOUTS = Timeouts(
    connect=1, artim=0.5, association=1, dimse=1, release=0.5, pdu=1, send=1, idle=2, shutdown=0.2
)
LARGE = 3 << 20

VALUES: dict[str, Any] = {
    "sop_class_uid": CT,
    "sop_instance_uid": "1.2.3.4",
    "priority": 0,
    "move_ae": "MOVER",
    "move_message_id": 5,
    "status": Status.SUCCESS,
    "remaining": 1,
    "completed": 2,
    "failed": 0,
    "warning": None,
    "event": 1,
    "action": 2,
    "attributes": [0x00100010],
}


class OnPurpose(Exception):
    """What hooks raise to be a nuisance."""


# --- what is sent -------------------------------------------------------------------------------------------------


class Payloads:
    """Data sets of every kind that can be sent.

    Attributes:
        received: where temporary files of received data sets are.
        named: where those are that `on_begin_data` names.
        small, large: what to send.
    """

    def __init__(self, folder: Path) -> None:
        self.received, self.named = folder / "received", folder / "named"
        self.received.mkdir()
        self.named.mkdir()
        little, big = _dataset(0), _dataset(LARGE)
        encoded = LDicomDS.from_dataset(big, EXPLICIT)
        path = folder / "large.dcm"
        encoded.save(path, durable=False)
        self.small: tuple[Any, ...] = (LDicomDS.from_dataset(little, EXPLICIT), little)
        self.large: tuple[Any, ...] = (LDicomDS.from_bytes(encoded.read(), EXPLICIT, CT, "1.2"), big, path, encoded)

    def pick(self, rng: Random, large: float) -> Any:
        """One of them; with this probability a large one."""
        return rng.choice(self.large if rng.random() < large else self.small)


def _dataset(pixels: int) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.PatientName = CT, "1.2.3.4", "Stress^Test"
    if pixels:
        dataset.BitsAllocated = 16
        dataset.PixelData = bytes(pixels)
    return dataset


# --- an object that does what nobody expects ----------------------------------------------------------------------


class Wild(LDicomNet):
    """In each hook: count it, perhaps do something that has no place there, then do what a proper program does."""

    def __init__(self, walk: Walk) -> None:
        super().__init__(str(walk.payloads.received), SecureMode.ISCL if walk.is_secured else SecureMode.NONE)
        self.walk = walk
        self.counts: Counter[str] = Counter()
        self.timeouts = TIMEOUTS
        self.raise_errors = walk.rng.random() < 0.8
        for extra in walk.extras:
            EXTRAS[extra](self)
        if walk.is_secured:
            self.set_mutual_auth_key_iscl(1, 0x133457799BBCDFF1)
            self.set_encrypt_key_iscl(1, 0x0E329232EA6D0D73)
        walk.nets.append(self)

    def count(self, what: str) -> None:
        """Once more."""
        with self.walk.changed:
            self.counts[what] += 1
            self.walk.changed.notify_all()

    def visit(self, hook: str) -> None:
        """In each hook: a whim, maybe."""
        walk = self.walk
        if not walk.ended.is_set() and walk.rng.random() < walk.whimsy:
            WHIMS[walk.rng.choice(walk.whims)](walk, walk.rng, self)

    def do(self, method: Callable[..., Any], *arguments: Any) -> None:
        """What a proper program does in a hook: it does not expect an error, and so lets it out."""
        if self.walk.meddles:
            self.walk.attempt(method, *arguments)
        else:
            method(*arguments)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is open, and each thing was told once."""
        counts, statistics = self.counts, self.statistics
        ends = counts["on_close"] + counts["on_close of another"]
        return (
            not self.is_activated()
            and not self.get_client_count()
            and counts["on_connect"] == counts["connect"]
            and counts["on_close"] == counts["stood"]
            and counts["on_close of another"] == counts["accept"]
            and statistics.connections == ends
            and sum(statistics.endings.values()) == ends
        )

    def __del__(self) -> None:
        if vars(self).get("_conversation") is not None:  # it was made at all
            self.close()

    # --- methods that are counted ---------------------------------------------------------------------------------

    def attach(self, transport: Any, requestor: bool) -> None:
        super().attach(transport, requestor)
        self.count("connect" if requestor else "stood")

    def accept(self, net: LDicomNet) -> ErrorCode:
        code = super().accept(net)
        assert isinstance(net, Wild)
        net._counted("stood", code)
        return self._counted("accept", code)

    def _counted(self, what: str, code: ErrorCode) -> ErrorCode:
        if code == ErrorCode.SUCCESS:
            self.count(what)
        return code

    # --- hooks ----------------------------------------------------------------------------------------------------

    def on_connect(self, error: ErrorCode) -> None:
        self.count("on_connect")
        if error == ErrorCode.SUCCESS:
            self.count("stood")
        self.visit("on_connect")
        if error == ErrorCode.SUCCESS and not self.walk.is_secured:
            self.do(self.send_associate_request, self.walk.ask())

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        self.count("on_secure_link_ready")
        self.visit("on_secure_link_ready")
        if error == ErrorCode.SUCCESS and self.counts["on_connect"]:
            self.do(self.send_associate_request, self.walk.ask())

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        self.count("on_close" if net is self else "on_close of another")
        self.visit("on_close")
        if net is self and self.walk.reconnects:
            self.walk.join(self)

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        self.visit("on_receive_associate_request")
        self.do(self.send_associate_accept, self.walk.agree(associate))

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        self.count("associated")
        self.visit("on_receive_associate_accept")

    def on_receive_associate_reject(self, *numbers: Any) -> None:
        self.visit("on_receive_associate_reject")

    def on_receive_release_request(self) -> None:
        self.visit("on_receive_release_request")
        self.do(self.send_release_response)

    def on_receive_release_response(self) -> None:
        self.visit("on_receive_release_response")

    def on_receive_abort(self, *numbers: Any) -> None:
        self.visit("on_receive_abort")

    def take(self, dataset: LDicomDS) -> None:
        """Do something with a received data set, or keep it beyond the hook."""
        chance = self.walk.rng.random()
        if chance < 0.1:
            self.walk.kept.append(dataset)
        elif chance < 0.3:
            assert dataset.dataset.SOPClassUID == CT
        elif chance < 0.5:
            assert len(dataset.read()) == dataset.size

    def answer(self, row: Row, context: int, message_id: int) -> None:
        """Answer a request of the peer, as its kind is answered."""
        response = row.response
        if response is None or self.walk.rng.random() < 0.05:
            return
        if response.has_dataset and "find" in row.name:
            self.do(self.send_c_find_response, context, message_id, CT, Status.PENDING, self.walk.payloads.small[0])
        values = [message_id if each.name == "message_id" else VALUES[each.name] for each in response.parameters]
        self.do(getattr(self, f"send_{response.name}"), context, *values)


def _message_hook(row: Row) -> Callable[..., None]:
    def hook(self: Wild, context: int, message_id: int, *rest: Any) -> None:
        self.visit(row.hook)
        if rest and isinstance(rest[-1], LDicomDS):
            self.take(rest[-1])
        if row.is_request:
            self.answer(row, context, message_id)

    return hook


class WildBeside(Wild):
    """The same, with its request hooks beside the reader thread."""


for _row in ROWS:
    setattr(Wild, _row.hook, _message_hook(_row))
    if _row.is_request:
        setattr(WildBeside, _row.hook, background(_message_hook(_row)))


# --- hooks that cost something where they are there ---------------------------------------------------------------


def _visits(name: str) -> Callable[[Wild], None]:
    """A hook of this name that only visits."""

    def add(net: Wild) -> None:
        setattr(net, name, lambda *_: net.visit(name))

    return add


def _progress(net: Wild) -> None:
    net.enable_progress_event = True
    _visits("on_progress_status")(net)


def _debug(net: Wild) -> None:
    net.set_debug_mode(DebugMode.SEND)
    _visits("on_send_ext")(net)


def _files(net: Wild) -> None:
    def on_begin_data(presentation_id: int, message: Message) -> str | None:
        net.visit("on_begin_data")
        rng = net.walk.rng
        if rng.random() < 0.2 and message.expects_response:
            message.refuse(Status.PROCESSING_FAILURE)
        return str(net.walk.payloads.named / f"{rng.random()}.dcm") if rng.random() < 0.5 else None

    net.on_begin_data = on_begin_data  # type: ignore[method-assign]


def _accepts(net: Wild) -> None:
    def on_accept(error: ErrorCode) -> None:
        net.visit("on_accept")
        net.accept(net.create_client())

    net.on_accept = on_accept  # type: ignore[method-assign]


EXTRAS: dict[str, Callable[[Wild], None]] = {
    "on_receive": _visits("on_receive"),
    "on_send": _visits("on_send"),
    "on_receive_data": _visits("on_receive_data"),
    "on_before_send_command_set": _visits("on_before_send_command_set"),
    "on_progress_status": _progress,
    "on_send_ext": _debug,
    "on_begin_data": _files,
    "on_accept": _accepts,
}


# --- what actors and hooks do: one step ---------------------------------------------------------------------------


Step = Callable[["Walk", Random, Wild], None]


def send(walk: Walk, rng: Random, net: Wild, rows: tuple[Row, ...] = ROWS, large: float = 0.3) -> None:
    """A message of any kind, or something beside them."""
    if walk.is_secured and rng.random() < 0.1:
        walk.attempt(net.send_non_secure_iscl, bytes(rng.randint(1, 5000)))
    row = rng.choice(rows)
    number = net.next_message_id()
    values = [number if each.name == "message_id" else VALUES[each.name] for each in row.parameters]
    dataset = [walk.payloads.pick(rng, large)] if row.has_dataset else []
    walk.attempt(getattr(net, f"send_{row.name}"), rng.choice((1, 3)), *values, *dataset)


def store(walk: Walk, rng: Random, net: Wild) -> None:
    """A large C-STORE."""
    send(walk, rng, net, (BY_NAME["c_store_request"],), large=1.0)


def echo(walk: Walk, rng: Random, net: Wild) -> None:
    """A C-ECHO."""
    send(walk, rng, net, (BY_NAME["c_echo_request"],))


def send_data(walk: Walk, rng: Random, net: Wild) -> None:
    """A command set of one's own."""
    command = LDicomDS.init_cs(rng.choice((Command.C_ECHO, Command.N_GET, Command.C_FIND)), rng.random() < 0.5)
    walk.attempt(net.send_data, 1, command, None)


def raise_it(walk: Walk, rng: Random, net: Wild) -> None:
    """Fail."""
    raise OnPurpose


def leave_it(walk: Walk, rng: Random, net: Wild) -> None:
    """Fail as if the program was to end."""
    raise SystemExit


def pause(walk: Walk, rng: Random, net: Wild) -> None:
    """Take a while."""
    walk.ended.wait(rng.random() / 50)


def stall(walk: Walk, rng: Random, net: Wild) -> None:
    """Not return before the round is over."""
    walk.ended.wait(SECONDS)


def calls(name: str, *arguments: Any) -> Step:
    """A method without arguments, or with these."""

    def step(walk: Walk, rng: Random, net: Wild) -> None:
        walk.attempt(getattr(net, name), *arguments)

    return step


def drain(walk: Walk, rng: Random, net: Wild) -> None:
    """Of this object, or of its listening one."""
    walk.attempt((net.get_server() or net).drain, rng.random() / 5)


def leave(walk: Walk, rng: Random, net: Wild) -> None:
    """The end of a `with` block."""
    walk.attempt(net.__exit__, None, None, None)


def connect(walk: Walk, rng: Random, net: Wild) -> None:
    """Again, or another object."""
    walk.join(net if rng.random() < 0.7 else walk.new())


def meddle(walk: Walk, rng: Random, net: Wild) -> None:
    """What belongs into a hook, from anywhere."""
    asked = walk.ask()
    walk.attempt(*rng.choice((
        (net.send_associate_request, asked),
        (net.send_associate_accept, walk.agree(asked)),
        (net.send_associate_reject, 1, 1, 1),
        (net.send_release_response,),
    )))  # fmt: skip


def look(walk: Walk, rng: Random, net: Wild) -> None:
    """Ask for everything that can be asked."""
    for method in (
        net.is_activated, net.is_connected, net.is_associated, net.get_host_info, net.get_peer_info, net.get_associate,
        net.get_queue_send, net.get_client_count, net.get_server, net.next_message_id, net.get_command_set,
        lambda: net.get_client(0), lambda: net.is_cancelled(1), lambda: net.statistics.as_dict(),
    ):  # fmt: skip
        walk.attempt(method)


def listen(walk: Walk, rng: Random, net: Wild) -> None:
    """Again, where a listening object has stopped; or stop."""
    if walk.servers:
        server = rng.choice(walk.servers)
        walk.attempt(server.listen, "127.0.0.1") if rng.random() < 0.7 else walk.attempt(server.close)


def accept(walk: Walk, rng: Random, net: Wild) -> None:
    """A request that a hook has left waiting."""
    walk.attempt(net.accept, walk.new())


def shut_down(walk: Walk, rng: Random, net: Wild) -> None:
    """Close everything."""
    walk.attempt(LDicomNet.shut_down)


def intrude(walk: Walk, rng: Random, net: Wild) -> None:
    """A plain socket: silence, garbage, half a PDU, an association that is just dropped."""
    if not walk.servers:
        return
    asked = walk.ask().to_request().encode()
    said = rng.choice((b"", b"", b"GET / HTTP/1.0\r\n\r\n", b"\1", asked[:40], asked, asked + b"\4\0\0\0\0\0"))
    try:
        sock = socket.create_connection(rng.choice(walk.servers).get_host_info(), 1)
        walk.sockets.append(sock)
        sock.sendall(said)
        if rng.random() < 0.7:
            sock.close()
    except OSError:
        pass  # nobody listens just then


SENDS: dict[str, Step] = {
    "send": send,
    "store": store,
    "echo": echo,
    "send_data": send_data,
    "look": look,
    "intrude": intrude,
}
ENDS: dict[str, Step] = {
    "close": calls("close"),
    "close_forced": calls("close_forced"),
    "server_close": calls("server_close"),
    "drain": drain,
    "leave": leave,
    "abort": calls("send_abort", 0, 0),
    "release": calls("send_release_request"),
    "connect": connect,
}
RARE: dict[str, Step] = {"listen": listen, "shut_down": shut_down, "meddle": meddle, "accept": accept}
STEPS = SENDS | ENDS | RARE
WHIMS: dict[str, Step] = ENDS | {
    "raise": raise_it,
    "exit": leave_it,
    "pause": pause,
    "stall": stall,
    "echo": echo,
    "send": lambda walk, rng, net: send(walk, rng, net, large=0.05),
    "look": look,
    "shut_down": shut_down,
    "end another": lambda walk, rng, net: ENDS[rng.choice(list(ENDS))](walk, rng, rng.choice(walk.nets)),
}
