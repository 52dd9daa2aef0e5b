"""Two ends that talk: an `LDicomNet` that records what its hooks are told, and ways to connect a pair of them."""

from __future__ import annotations

import os
import sys
import threading
import unittest
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, TypeVar

from ldicomnet import ANY_TRANSFER, LDicomAssociate, LDicomNet, Status, Timeouts
from ldicomnet.message import ROWS
from ldicomnet.transport.memory import pair

from . import raw
from .raw import Peer

SECONDS = 10.0
"""How long a test waits for what must happen."""
SHARE = float(os.environ.get("LDICOMNET_TEST_SHARE", "1"))
"""How much is done of what is drawn by chance or repeated often, 1 is all; CI does all of it on one interpreter."""
STRIDE = max(1, round(1 / SHARE))
IMPLICIT, EXPLICIT, BIG, DEFLATED = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
T = TypeVar("T")


def some(cases: Sequence[T]) -> Sequence[T]:
    """Of a long list as much as `SHARE` says, each interpreter another part of it."""
    return cases[sys.version_info.minor % STRIDE :: STRIDE]


VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
QUICK = Timeouts(
    connect=5, artim=0.3, association=0.3, dimse=0.3, release=0.3, pdu=0.3, send=5, shutdown=2
)


def hook_names() -> list[str]:
    """Every hook that is told of something, messages included."""
    plain = (
        "on_connect on_close on_receive_associate_request on_receive_associate_accept on_receive_associate_reject "
        "on_receive_release_request on_receive_release_response on_receive_abort"
    )
    return plain.split() + [row.hook for row in ROWS]


class Recorder(LDicomNet):
    """Notes each hook with its arguments, then does what the default does, or what `answers` says instead."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.calls: list[tuple[Any, ...]] = []
        self.answers: dict[str, Callable[..., None]] = {}
        self.changed = threading.Condition()

    def create_client(self) -> Recorder:
        """A client records for itself, and answers like its server."""
        client = super().create_client()
        assert isinstance(client, Recorder)
        client.answers = self.answers
        return client

    def note(self, name: str, *arguments: Any) -> None:
        """Note one call."""
        with self.changed:
            self.calls.append((name, *arguments))
            self.changed.notify_all()

    def names(self) -> list[str]:
        """The hooks called so far."""
        with self.changed:
            return [call[0] for call in self.calls]

    def wait_for(self, name: str, count: int = 1) -> tuple[Any, ...]:
        """Arguments of the `count`-th call of a hook, which must come in time."""
        with self.changed:
            self.changed.wait_for(lambda: self.count(name) >= count, SECONDS)
            found = [call[1:] for call in self.calls if call[0] == name]
        if len(found) < count:
            raise AssertionError(f"{name} was called {len(found)} times, not {count}; calls: {self.calls}")
        return found[count - 1]

    def count(self, name: str) -> int:
        """How often a hook was called."""
        return sum(call[0] == name for call in self.calls)


def _recording(name: str) -> Callable[..., None]:
    def hook(self: Recorder, *arguments: Any) -> None:
        self.note(name, *arguments)
        answer = self.answers.get(name)
        if answer is not None:
            answer(self, *arguments)
        else:
            getattr(super(Recorder, self), name)(*arguments)

    return hook


for _name in hook_names():
    setattr(Recorder, _name, _recording(_name))


def accept_all(net: LDicomNet, associate: LDicomAssociate) -> None:
    """An answer to `on_receive_associate_request`: every context, in the requestor's first transfer syntax."""
    net.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER))


def request(*contexts: tuple[str, Any]) -> LDicomAssociate:
    """An association request with these contexts; verification and CT by default."""
    associate = LDicomAssociate(True)
    associate.default()
    associate.set_called("ACCEPTOR")
    associate.set_calling("REQUESTOR")
    for abstract, transfers in contexts or ((VERIFICATION, IMPLICIT), (CT, EXPLICIT)):
        associate.add_context(abstract, transfers)
    return associate


def associate_with(requestor: Recorder, server: LDicomNet, *contexts: tuple[str, Any]) -> None:
    """Connect to a listening object over TCP, and associate."""
    requestor.connect("", 0, *server.get_host_info())
    requestor.wait_for("on_connect")
    requestor.send_associate_request(request(*contexts))
    requestor.wait_for("on_receive_associate_accept")


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody tells."""
    until = monotonic() + SECONDS
    while not condition():
        assert monotonic() < until, "it did not come about"
        threading.Event().wait(0.005)


class Taking(LDicomNet):
    """Accepts everything, and takes every object without looking at it."""

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        """Whatever is wanted."""
        accept_all(self, associate)

    def on_receive_c_store_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, *rest: Any
    ) -> None:
        """It is there; that is all."""
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, Status.SUCCESS)


class ByHand(unittest.TestCase):
    """Tests with a peer made by hand."""

    def peer_of(self, server: LDicomNet) -> Peer:
        """A peer, associated: context 1 for C-ECHO, 3 for CT."""
        peer = Peer.connect(server.get_host_info()[1])
        self.addCleanup(peer.close)
        peer.send(raw.request())
        self.answer(peer, "AC 1:0 3:0")
        return peer

    def answer(self, peer: Peer, expected: str) -> None:
        """The next thing that the peer hears."""
        self.assertTrue(peer.next(monotonic() + SECONDS), peer.transcript)
        self.assertEqual(peer.transcript[-1], expected)


class Ends(unittest.TestCase):
    """Tests with a requestor and an acceptor; every connection is closed at the end."""

    def acceptor(self) -> Recorder:
        """An end that accepts every association."""
        net = Recorder()
        net.answers["on_receive_associate_request"] = accept_all
        self.addCleanup(net.close_forced)
        return net

    def requestor(self) -> Recorder:
        """An end that waits to be told."""
        net = Recorder()
        self.addCleanup(net.close_forced)
        return net

    def join(self, requestor: LDicomNet, acceptor: LDicomNet, capacity: int = 1 << 16) -> None:
        """Connect two ends in memory."""
        there, back = pair(capacity)
        acceptor.attach(back, requestor=False)
        requestor.attach(there, requestor=True)

    def connected(self) -> tuple[Recorder, Recorder]:
        """Two ends, connected in memory, without an association."""
        requestor, acceptor = self.requestor(), self.acceptor()
        self.join(requestor, acceptor)
        requestor.wait_for("on_connect")
        return requestor, acceptor

    def associated(self, *contexts: tuple[str, Any]) -> tuple[Recorder, Recorder]:
        """Two ends with an association in memory."""
        requestor, acceptor = self.connected()
        requestor.send_associate_request(request(*contexts))
        requestor.wait_for("on_receive_associate_accept")
        return requestor, acceptor

    def associated_over_tcp(self, *contexts: tuple[str, Any]) -> tuple[Recorder, Recorder]:
        """Two ends with an association over TCP."""
        server = self.acceptor()
        server.listen("127.0.0.1")
        requestor = self.requestor()
        associate_with(requestor, server, *contexts)
        client = server.get_client(0)
        assert isinstance(client, Recorder)
        self.addCleanup(client.close_forced)
        return requestor, client
