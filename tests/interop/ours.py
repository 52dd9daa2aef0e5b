"""The library under test in both roles: the smallest server and client that these tests need.

Both are subclasses of `LDicomNet` that write what their hooks are told into a journal; a test waits on that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import pydicom.uid

from ldicomnet import (
    AbortReason,
    AbortSource,
    ErrorCode,
    LDicomAssociate,
    LDicomDS,
    LDicomNet,
    Priority,
    RejectReason,
    RejectResult,
    RejectSource,
    SecureMode,
    Status,
)

from . import objects
from .objects import Encoded, PathName
from .processes import LOOPBACK, STEP, Event, Journal

Secure = Callable[[LDicomNet], object]
"""Sets up the security of one of ours, before it listens or connects."""
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
COMPRESSED = (
    "1.2.840.10008.1.2.5",  # RLE lossless
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.70",  # JPEG lossless
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)
PREFERRED = (*COMPRESSED, DEFLATED_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE)


def every_class(abstract_syntax: str) -> Sequence[str]:
    """A negotiation policy: every abstract syntax, in the syntax that DCMTK's storescp would choose."""
    return PREFERRED


# --- the server ---------------------------------------------------------------------------------------------


class Server(LDicomNet):
    """Listens on a free port; its connections write into its journal and keep what they receive."""

    def __init__(self, title: str | None = None, max_length: int = 16384, abort_on_store: bool = False) -> None:
        super().__init__()
        self.title = title
        self.max_length = max_length
        self.abort_on_store = abort_on_store
        self.look: Callable[[LDicomAssociate], object] = lambda request: None
        self.journal: Journal[Event] = Journal()
        self.kept: list[Encoded] = []

    def create_client(self) -> LDicomNet:
        """An object for one more connection."""
        connection = Connection(self)
        connection.take_settings(self)
        return connection

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.get_host_info()[1]

    def stored(self) -> list[Encoded]:
        """The data sets received, as the bytes they came in."""
        return list(self.kept)

    def wait_event(self, name: str) -> Event:
        """Wait for "accepted", "rejected", "released", "aborted" or "closed"."""
        event = self.journal.find(lambda entry: entry["event"] == name)
        if event is None:
            raise AssertionError(f"our server saw no {name!r}; it saw {self.journal.entries()}")
        return event


class Connection(LDicomNet):
    """One connection of a `Server`: C-ECHO and C-STORE as a provider."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        """Accept everything that is meant for us; the test may look at the request first."""
        self.server.look(associate)
        if self.server.title is not None and associate.get_called() != self.server.title:
            self.server.journal.add({"event": "rejected", "called": associate.get_called()})
            self.send_associate_reject(RejectResult.PERMANENT, RejectSource.USER, RejectReason.CALLED)
            return
        answer = associate.accept(every_class)
        answer.set_max_length(True, self.server.max_length)
        note = {"contexts": associate.get_presentation_count(), "max_length": associate.get_max_length()}
        self.server.journal.add({"event": "accepted", "called": associate.get_called(), **note})
        self.send_associate_accept(answer)

    def on_receive_c_echo_request(self, presentation_id: int, message_id: int, sop_class_uid: str) -> None:
        """Answer with success."""
        self.send_c_echo_response(presentation_id, message_id, sop_class_uid, Status.SUCCESS)

    def on_receive_c_store_request(
        self,
        presentation_id: int,
        message_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        priority: Priority,
        move_ae: str,
        move_message_id: int,
        dataset: LDicomDS | None,
    ) -> None:
        """Keep the data set and answer with success, or abort where the test wants that."""
        if self.server.abort_on_store:
            self.send_abort(AbortSource.USER, AbortReason.UNKNOWN)
            return
        assert dataset is not None
        self.server.kept.append(Encoded(sop_instance_uid, dataset.transfer_syntax, dataset.read()))
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, Status.SUCCESS)

    def on_receive_release_request(self) -> None:
        """Agree."""
        self.send_release_response()
        self.server.journal.add({"event": "released"})

    def on_receive_release_response(self) -> None:
        """Write it down."""
        self.server.journal.add({"event": "release answered"})

    def on_receive_abort(self, source: AbortSource, reason: AbortReason) -> None:
        """Write it down."""
        self.server.journal.add({"event": "aborted", "source": source, "reason": reason})

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        """Write it down."""
        self.server.journal.add({"event": "closed", "error": error})


@contextlib.contextmanager
def server(
    title: str | None = None, *, max_length: int = 16384, abort_on_store: bool = False, secure: Secure | None = None
) -> Iterator[Server]:
    """Our server on a free port of the loopback; `title` is the AE title that it insists on."""
    with Server(title, max_length, abort_on_store) as listening:
        if secure is not None:
            secure(listening)
        listening.listen(LOOPBACK, 0)
        yield listening


# --- the client ---------------------------------------------------------------------------------------------


class Client(LDicomNet):
    """One association as a user, whose calls return when the peer has answered."""

    def __init__(self, request: LDicomAssociate) -> None:
        super().__init__()
        self.request = request
        self.journal: Journal[Event] = Journal()

    # what the hooks are told

    def on_connect(self, error: ErrorCode) -> None:
        """Ask for the association as soon as there is a connection."""
        if error:
            self.journal.add({"event": "closed", "error": error})
        elif self.get_secure_mode() == SecureMode.NONE:
            self.send_associate_request(self.request)

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        """Ask for the association as soon as the connection is secure."""
        self.journal.add({"event": "secured", "error": error})
        if not error:
            self.send_associate_request(self.request)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        """Write down how much of what we proposed was accepted."""
        ids = [associate.get_presentation(index) for index in range(associate.get_presentation_count())]
        accepted = [one for one in ids if associate.get_result(one) == 0]
        note = {"contexts": len(accepted), "max_length": associate.get_max_length()}
        self.journal.add({"event": "accepted", **note})

    def on_receive_associate_reject(self, result: RejectResult, source: RejectSource, reason: RejectReason) -> None:
        """Write it down."""
        self.journal.add({"event": "rejected", "result": result, "source": source, "reason": reason})

    def on_receive_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status
    ) -> None:
        """Write it down."""
        self.journal.add({"event": "response", "message": message_id, "status": int(status)})

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
    ) -> None:
        """Write it down."""
        self.journal.add({"event": "response", "message": message_id, "status": int(status)})

    def on_receive_release_response(self) -> None:
        """Write it down."""
        self.journal.add({"event": "released"})

    def on_receive_abort(self, source: AbortSource, reason: AbortReason) -> None:
        """Write it down."""
        self.journal.add({"event": "aborted", "source": source, "reason": reason})

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        """Write it down: nothing comes after it."""
        self.journal.add({"event": "closed", "error": error})
        self.journal.end()

    # what the tests call

    def wait_event(self, name: str, message_id: int | None = None) -> Event:
        """Wait for an event, or for the response to one message."""
        event = self.journal.find(lambda entry: entry["event"] == name and entry.get("message") == message_id)
        if event is None:
            raise AssertionError(f"our client saw no {name!r} in {STEP} s; it saw {self.journal.entries()}")
        return event

    def echo(self) -> int:
        """C-ECHO; the status of the response."""
        message_id = self.next_message_id()
        self.send_c_echo_request(self.request.find_abstract(VERIFICATION), message_id, VERIFICATION)
        return int(self.wait_event("response", message_id)["status"])

    def store(self, path: PathName) -> int:
        """C-STORE of a file; the status of the response."""
        message_id = self.request_store(path)
        return int(self.wait_event("response", message_id)["status"])

    def request_store(self, path: PathName) -> int:
        """Send a C-STORE request, and do not wait; the message ID."""
        sop_class, syntax = objects.context_of(path)
        instance = objects.read_object(path).sop_instance_uid
        message_id = self.next_message_id()
        self.send_c_store_request(
            self._context(sop_class, syntax),
            message_id,
            sop_class,
            instance,
            Priority.MEDIUM,
            "",
            0,
            str(path),
        )
        return message_id

    def _context(self, sop_class: str, syntax: str) -> int:
        context = self.request.find_abstract(sop_class)
        while context and self.request.get_transfer(context, 0) != syntax:
            context = self.request.find_next_abstract(context, sop_class)
        if not context:
            raise AssertionError(f"{sop_class} in {syntax} was not proposed")
        return context

    def release(self) -> None:
        """Release the association and wait for the peer's consent."""
        self.send_release_request()
        self.wait_event("released")

    def abort(self) -> None:
        """Abort the association."""
        self.send_abort(AbortSource.USER, AbortReason.UNKNOWN)


def request_for(
    *paths: PathName, called: str = "ANY-SCP", max_length: int = 16384, more: Sequence[str] = ()
) -> LDicomAssociate:
    """A request with a context for C-ECHO, one for each kind of object, and one for each of `more`."""
    request = LDicomAssociate(True)
    request.default()
    request.set_called(called)
    request.set_calling("LDICOMNET")
    request.set_max_length(True, max_length)
    request.add_context(VERIFICATION, [IMPLICIT_LITTLE])
    for sop_class, syntax in sorted({objects.context_of(path) for path in paths}):
        request.add_context(sop_class, [syntax])
    for abstract_syntax in more:
        request.add_context(abstract_syntax, [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
    return request


@contextlib.contextmanager
def connection(port: int, request: LDicomAssociate, secure: Secure | None = None) -> Iterator[Client]:
    """Our client, which has asked for an association; whether that was accepted is for the test to see."""
    with Client(request) as client:
        if secure is not None:
            secure(client)
        client.connect("", 0, LOOPBACK, port)
        yield client


@contextlib.contextmanager
def association(port: int, request: LDicomAssociate, secure: Secure | None = None) -> Iterator[Client]:
    """Our client with an association that the peer has accepted."""
    with connection(port, request, secure) as client:
        client.wait_event("accepted")
        yield client


def storage_classes(count: int) -> list[str]:
    """That many different SOP classes of the storage service, for proposals of many contexts."""
    known = (value for value in vars(pydicom.uid).values() if isinstance(value, pydicom.uid.UID))
    return sorted({str(uid) for uid in known if uid.startswith("1.2.840.10008.5.1.4.1.1.")})[:count]
