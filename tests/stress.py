"""Any method from any hook and any thread, at any time, in any order: random walks, and what holds after each.

    python -m tests.stress --rounds 500 --seed 1

A round is a few connections, in memory or over TCP, threads that call whatever they like, and hooks that do the same.
Then everything is closed, and looked at: did every thread come back, was each connection's end told once, does anything
stay. Which calls are made depends on the seed; how they meet depends on the machine: a round that fails is run again
with the command that is printed, as often as it takes.

Knows no expected results, only what always holds; what a method does is in the tests of its room.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import socket
import sys
import tempfile
import threading
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import monotonic
from types import TracebackType
from typing import Any

import pydicom

from ldicomnet import (
    ANY_TRANSFER,
    Command,
    DebugMode,
    ErrorCode,
    LDicomAssociate,
    LDicomDS,
    LDicomError,
    LDicomNet,
    Message,
    Status,
    Timeouts,
    background,
)
from ldicomnet.message import BY_NAME, ROWS, Row
from ldicomnet.transport.memory import pair

from .leftovers import Baseline, join_all, resident, stacks
from .support import CT, EXPLICIT, IMPLICIT, VERIFICATION, request

SECONDS = 30.0
"""How long anything may take before it counts as hanging."""
LENGTH = 0.3
"""Seconds of a round before everything is closed."""
TIMEOUTS = Timeouts(
    connect=1, artim=0.5, association=1, dimse=1, release=0.5, pdu=1, send=1, idle=2, shutdown=0.2
)
LARGE = 3 << 20
MOST_CONNECTIONS = 60
"""Connections that one round makes at most."""

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
WINDOWS: tuple[tuple[int, int] | None, ...] = (None, None, (1, 1), (2, 3), (0, 0))


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
        super().__init__(str(walk.payloads.received))
        self.walk = walk
        self.counts: Counter[str] = Counter()
        self.timeouts = TIMEOUTS
        self.raise_errors = walk.rng.random() < 0.8
        for extra in walk.extras:
            EXTRAS[extra](self)
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
        if error == ErrorCode.SUCCESS:
            self.do(self.send_associate_request, self.walk.ask())

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        self.count("on_close" if net is self else "on_close of another")
        self.visit("on_close")
        if net is self and self.walk.reconnects:
            self.walk.join(self)

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        self.visit("on_receive_associate_request")
        self.do(self.send_associate_accept, associate.accept(lambda uid: ANY_TRANSFER))

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
    """A message of any kind."""
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
        (net.send_associate_accept, asked.accept(lambda uid: ANY_TRANSFER)),
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


# --- a round ------------------------------------------------------------------------------------------------------


class Walk:
    """One round.

    Attributes:
        ended: set when everybody is to come to an end.
        changed: notified when a count of one of `nets` has changed.
        failures: what went wrong, in words.
        kept: received data sets.
        sockets: plain ones, which are closed at the end.
        switching: seconds after which the interpreter takes another thread; the shorter, the stranger the order.
    """

    def __init__(self, seed: int, payloads: Payloads) -> None:
        self.rng = rng = Random(seed)
        self.payloads = payloads
        self.is_tcp = rng.random() < 0.5
        self.window = rng.choice(WINDOWS)
        self.kind = rng.choice((Wild, Wild, WildBeside))
        self.extras = [extra for extra in EXTRAS if rng.random() < 0.25]
        self.whims = rng.sample(list(WHIMS), rng.randint(1, 6))
        self.whimsy = rng.choice((0.0, 0.02, 0.1, 0.3))
        self.reconnects = rng.random() < 0.3
        self.waits = rng.random() < 0.7
        self.casts = [self._cast(rng) for _ in range(rng.randint(2, 6))]
        self.meddles = any("meddle" in cast for cast in self.casts)
        self.nets: list[Wild] = []
        self.servers: list[Wild] = []
        self.sockets: list[socket.socket] = []
        self.kept: list[LDicomDS] = []
        self.failures: list[str] = []
        self.slowest = 0.0
        self.ended = threading.Event()
        self.changed = threading.Condition()
        self._wanted = rng.randint(1, 4)
        self.switching = rng.choice((5e-3, 1e-4, 1e-6))
        self._connections = 0

    def _cast(self, rng: Random) -> list[str]:
        """The steps that one actor takes, the more often named the more often."""
        cast = rng.choices(list(SENDS), k=8) + rng.choices(list(ENDS), k=rng.choice((0, 1, 3)))
        return cast + rng.choices(list(RARE), k=rng.random() < 0.15)

    def __str__(self) -> str:
        casts = "; ".join(" ".join(sorted(set(cast))) for cast in self.casts)
        return (
            f"{'tcp' if self.is_tcp else 'memory'}, window {self.window}, {self.kind.__name__}, extras {self.extras}, "
            f"whims {self.whims} at {self.whimsy}, actors: {casts}"
        )

    # --- what steps use -------------------------------------------------------------------------------------------

    def attempt(self, method: Callable[..., Any], *arguments: Any) -> bool:
        """Call a public method; False when it raised, or returned the code of, an error that it may."""
        began = monotonic()
        try:
            done = method(*arguments)
        except (LDicomError, OnPurpose, SystemExit):
            return False
        except Exception:
            self.failures.append(f"{getattr(method, '__name__', method)} raised:\n{traceback.format_exc()}")
            return False
        finally:
            self.slowest = max(self.slowest, monotonic() - began)
        return not isinstance(done, ErrorCode) or done == ErrorCode.SUCCESS

    def new(self) -> Wild:
        """One more object."""
        return self.kind(self)

    def ask(self) -> LDicomAssociate:
        """An association request."""
        asked = request((VERIFICATION, IMPLICIT), (CT, EXPLICIT))
        if self.window is not None:
            asked.set_async_operations(True, *self.window)
        return asked

    def join(self, net: Wild) -> None:
        """Connect an object to something, if there have not been too many connections."""
        self._connections += 1
        if self.ended.is_set() or self._connections > MOST_CONNECTIONS:
            return
        if self.servers:
            self.attempt(net.connect, "", 0, *self.rng.choice(self.servers).get_host_info())
            return
        there, back = pair(1 << self.rng.randint(8, 18), send_timeout=TIMEOUTS.send)
        if self.attempt(self.new().attach, back, False) and not self.attempt(net.attach, there, True):
            there.close()

    # --- its course -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        """From the first connection to the last close; what went wrong is in `failures`."""
        if self.is_tcp:
            self.servers = [self.new() for _ in range(self.rng.randint(1, 2))]
            for server in self.servers:
                self.attempt(server.listen, "127.0.0.1")
        for _ in range(self._wanted):
            self.join(self.new())
        if self.waits:
            with self.changed:
                self.changed.wait_for(lambda: any(net.counts["associated"] for net in self.nets), 1)
        actors = {
            threading.Thread(target=self._act, args=(cast, Random(self.rng.random())), name=str(cast), daemon=True)
            for cast in self.casts
        }
        for actor in actors:
            actor.start()
        self._keep_going(monotonic() + LENGTH)
        self.ended.set()
        self._end()
        hanging = join_all(actors, SECONDS)
        self._end()
        if hanging:
            self.failures.append(f"hanging: {hanging}")
        elif not self._settle():
            self.failures += [f"{net} {dict(net.counts)} {net.statistics.as_dict()}" for net in self._unsettled()]
        if self.failures:
            stacks()

    def _keep_going(self, until: float) -> None:
        """Connect more objects where too few connections stand."""
        while (left := until - monotonic()) > 0:
            with self.changed:
                few = self.changed.wait_for(lambda: self._standing < self._wanted, left)
            if few:
                self.join(self.new())
                self.ended.wait(0.005)

    @property
    def _standing(self) -> int:
        return sum(net.counts["connect"] - net.counts["on_close"] for net in tuple(self.nets))

    def pick(self, rng: Random) -> Wild:
        """An object, rather one that has an association than one that is over."""
        for _ in range(4):
            net = rng.choice([*self.servers, *self.nets[-12:]])
            if net.is_associated():
                break
            self.ended.wait(0.001)
        return net

    def _act(self, cast: list[str], rng: Random) -> None:
        try:
            while not self.ended.is_set():
                step = rng.choice(cast)
                STEPS[step](self, rng, self.pick(rng))
                if step not in SENDS:
                    self.ended.wait(rng.random() / 10)
        except BaseException:
            self.failures.append(f"an actor failed:\n{traceback.format_exc()}")

    def _end(self) -> None:
        """Close what is open now."""
        for sock in self.sockets:
            sock.close()
        for net in tuple(self.nets):
            self.attempt(net.close_forced)

    def _settle(self) -> bool:
        """Wait until nothing is open, and every connection's end was told."""
        until = monotonic() + SECONDS
        while monotonic() < until:
            self._end()  # also what a hook has just connected
            with self.changed:
                if self.changed.wait_for(lambda: not self._unsettled(), 0.5):
                    return True
        return False

    def _unsettled(self) -> list[Wild]:
        return [net for net in tuple(self.nets) if not net.is_settled]


# --- many rounds --------------------------------------------------------------------------------------------------


class Watch(logging.Handler):
    """While it is entered: notes what no round may bring about, but for what hooks raise on purpose.

    Attributes:
        found: errors in the log, exceptions that ended a thread, exceptions that nobody could raise.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.exc_info or not isinstance(record.exc_info[1], OnPurpose | SystemExit):
            self.found.append(logging.Formatter("%(levelname)s %(name)s: %(message)s").format(record))

    def _note(self, ending: Any) -> None:
        """Of a thread, or of a finalizer."""
        self.found.append("".join(traceback.format_exception(ending.exc_type, ending.exc_value, ending.exc_traceback)))

    def __enter__(self) -> Watch:
        logging.getLogger("ldicomnet").addHandler(self)
        self._hooks = threading.excepthook, sys.unraisablehook
        threading.excepthook = sys.unraisablehook = self._note
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        threading.excepthook, sys.unraisablehook = self._hooks
        logging.getLogger("ldicomnet").removeHandler(self)


class Rounds:
    """Rounds one after the other.

    Attributes:
        slowest: seconds of the call that took longest.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self.slowest = 0.0
        self.run(0)  # what is made once and stays
        self._baseline = Baseline()

    def run(self, seed: int) -> list[str]:
        """One round; what went wrong, in words."""
        with Watch() as watch:
            failures = self._walk(seed)
            failures += self._left()
        return failures + watch.found

    def _walk(self, seed: int) -> list[str]:
        walk = Walk(seed, self._payloads)
        before = sys.getswitchinterval()
        sys.setswitchinterval(walk.switching)
        try:
            walk.run()
        finally:
            sys.setswitchinterval(before)
        self.slowest = max(self.slowest, walk.slowest)
        return [str(walk), *walk.failures] if walk.failures else []

    def _left(self) -> list[str]:
        left = self._baseline.left(SECONDS) if hasattr(self, "_baseline") else []
        temporary = os.listdir(self._payloads.received)
        parts = [name for name in os.listdir(self._payloads.named) if name.endswith(".part")]
        for path in self._payloads.named.iterdir():
            path.unlink()
        return left + [f"files left: {names}" for names in (temporary, parts) if names]


@contextmanager
def rounds() -> Iterator[Rounds]:
    """Rounds, in a folder that goes at the end."""
    with tempfile.TemporaryDirectory() as folder:
        yield Rounds(Payloads(Path(folder)))


def main() -> int:
    """Run rounds; 1 where one has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next ones count on")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--keep-going", action="store_true", help="also after a round that failed")
    parser.add_argument("--traced", action="store_true", help="with tracemalloc, which makes everything slower")
    arguments = parser.parse_args()
    faulthandler.enable()
    if arguments.traced:
        tracemalloc.start()
    until, failed = monotonic() + arguments.seconds, 0
    with rounds() as each:
        for number in range(arguments.rounds):
            if monotonic() > until:
                break
            failures = each.run(arguments.seed + number)
            if failures:
                failed += 1
                print(*failures, sep="\n")
                print(f"again: python -m tests.stress --rounds 1 --seed {arguments.seed + number}", flush=True)
                if not arguments.keep_going:
                    break
            if number % 50 == 0:
                _say(number, each)
        _say(number, each)
    print(f"{failed} rounds failed")
    return int(failed > 0)


def _say(number: int, each: Rounds) -> None:
    traced = f", traced {tracemalloc.get_traced_memory()[0] >> 10} KB" if tracemalloc.is_tracing() else ""
    print(f"round {number}: {resident() >> 20} MB{traced}, slowest call {each.slowest:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
