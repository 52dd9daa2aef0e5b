"""A server and a client that behave, and a process of its own that ends while something stands, runs or hangs in it.

    python -m tests.stress_child in_a_hook /tmp

prints the time, on the monotonic clock, and ends. Imports little, so that it begins at once.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from ldicomnet import ANY_TRANSFER, ErrorCode, LDicomAssociate, LDicomDS, LDicomNet, Status, background
from ldicomnet.body import MemoryBody
from ldicomnet.message import BY_NAME, build
from ldicomnet.pdu import DataTransfer, DataValue

from .support import CT, EXPLICIT, IMPLICIT, SECONDS, VERIFICATION, request

MB = 1 << 20
ASSOCIATE = request((VERIFICATION, IMPLICIT)).to_request().encode()
ECHO = DataTransfer(
    [DataValue(1, True, True, build(BY_NAME["c_echo_request"], 1, (1, VERIFICATION), False).command_set)]
).encode()


class Server(LDicomNet):
    """Accepts everything, and answers as a server should."""

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        self.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER))

    def on_receive_c_store_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, *rest: Any
    ) -> None:
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, Status.SUCCESS)


class Client(LDicomNet):
    """Associates, echoes, stores, releases; `done` says how that went, once it is over."""

    def __init__(self, size: int = 1000) -> None:
        super().__init__()
        self.object = LDicomDS(MemoryBody(bytes(size)), EXPLICIT)
        self.answered: list[int] = []
        self.ending: ErrorCode | None = None
        self.done = threading.Event()

    def on_connect(self, error: ErrorCode) -> None:
        if error == ErrorCode.SUCCESS:
            self.send_associate_request(request((VERIFICATION, IMPLICIT), (CT, EXPLICIT)))
        else:
            self.done.set()

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        self.send_c_echo_request(1, 1)

    def on_receive_c_echo_response(self, context: int, message_id: int, sop_class: str, status: Status) -> None:
        self.answered.append(status)
        self.send_c_store_request(3, 2, CT, "1.2.3", dataset=self.object)

    def on_receive_c_store_response(self, *arguments: Any) -> None:
        self.answered.append(arguments[-1])
        self.send_release_request()

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        self.ending = error
        self.done.set()


class Child:
    """What stands, runs and hangs in a process that is about to end."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.server = Server(folder)
        self.server.listen("127.0.0.1")
        self.entered = threading.Event()
        self.kept: list[Any] = []

    def never(self) -> None:
        """Not return."""
        self.entered.set()
        threading.Event().wait()

    def talk(self, *said: bytes) -> socket.socket:
        """A plain socket that associates, says more, and reads nothing any more."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(self.server.get_host_info())
        sock.sendall(ASSOCIATE)
        sock.recv(1)
        for each in said:
            sock.sendall(each)
        self.kept.append(sock)
        return sock

    def flood(self, net: LDicomNet) -> None:
        """Send more than the kernel takes."""
        self.entered.set()
        net.send_c_store_request(1, 1, CT, "1.2", dataset=LDicomDS(MemoryBody(bytes(64 * MB)), IMPLICIT))

    def listening(self) -> None:
        """With connections that say nothing."""
        self.kept += [socket.create_connection(self.server.get_host_info()) for _ in range(20)]
        self.entered.set()

    def associated(self) -> None:
        """From both sides."""
        client = Client()
        client.on_receive_associate_accept = lambda _: self.entered.set()  # type: ignore[method-assign]
        client.connect("", 0, *self.server.get_host_info())
        self.kept.append(client)
        self.talk()

    def in_a_hook(self) -> None:
        """On a reader thread."""
        Server.on_receive_c_echo_request = lambda *_: self.never()  # type: ignore[method-assign]
        self.talk(ECHO)

    def beside(self) -> None:
        """On a thread beside it."""
        Server.on_receive_c_echo_request = background(lambda *_: self.never())  # type: ignore[method-assign]
        self.talk(ECHO)

    def in_on_close(self) -> None:
        """Of a connection that said nothing."""
        Server.on_close = lambda *_: self.never()  # type: ignore[method-assign]
        socket.create_connection(self.server.get_host_info()).close()

    def sending(self) -> None:
        """From a hook, to a peer that does not read."""
        Server.on_receive_c_echo_request = lambda net, *_: self.flood(net)  # type: ignore[method-assign]
        self.talk(ECHO)

    def sending_beside(self) -> None:
        """From a thread of the program's own."""
        self.talk()
        threading.Thread(target=self.flood, args=(self.server.get_client(0),), daemon=True).start()

    def receiving(self) -> None:
        """A large data set, of which the end does not come; its temporary file goes."""
        store = build(BY_NAME["c_store_request"], 1, (1, CT, "1.2", 0, "", 0), True).command_set
        self.talk(
            DataTransfer([DataValue(1, True, True, store)]).encode(),
            *[DataTransfer([DataValue(1, False, False, bytes(50_000))]).encode()] * 100,
        )
        until = monotonic() + SECONDS
        while not list(Path(self.folder).iterdir()) and monotonic() < until:
            threading.Event().wait(0.01)
        self.entered.set()


WAYS: dict[str, Callable[[Child], None]] = {
    member.__name__: member
    for member in (
        Child.listening, Child.associated, Child.in_a_hook, Child.beside, Child.in_on_close, Child.sending,
        Child.sending_beside, Child.receiving,
    )
}  # fmt: skip


def main() -> None:
    """In a child: bring it about, say when it ends, and end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=WAYS)
    parser.add_argument("folder")
    arguments = parser.parse_args()
    child = Child(arguments.folder)
    WAYS[arguments.name](child)
    if not child.entered.wait(SECONDS):
        sys.exit("it did not come about")
    threading.Event().wait(0.1)
    print(monotonic(), flush=True)
    sys.exit(3)


if __name__ == "__main__":
    main()
