"""`LDicomNet`: the life of a connection and the verbs of its association; users derive from it and override hooks.

Knows sockets and PDUs only through the rooms below.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from . import checks, threads
from .application import Application, close_all
from .associate import LDicomAssociate
from .clients import Clients
from .command_set import to_dataset
from .conversation import Conversation, beside
from .dataset import LDicomDS, to_command_set
from .engine import Park
from .errors import LDicomError, LDicomTransportError, LDicomUsageError
from .hooks import overrides
from .listener import Listener, adopt, bind
from .message import Row
from .pdu import Abort, AssociateReject, ReleaseRequest, ReleaseResponse
from .settings import reports
from .statistics import Ledger, Statistics
from .status import DebugMode, ErrorCode, IpType, SecureMode
from .timing import finite
from .transport import Address, Transport
from .transport.tcp import Route, TcpTransport, family
from .upper_layer import Event

if TYPE_CHECKING:
    from pydicom import Dataset

_log = logging.getLogger("ldicomnet.net")
_numbers = itertools.count(1)


class LDicomNet(Application):
    """A DICOM connection, or a listening object that hands its connections to objects of their own.

    Derive from it and override the hooks. Methods may be called from any thread and from any hook; hooks run on the
    connection's reader thread, unless their docstring says otherwise. Methods raise `LDicomError`.

    Args:
        path: folder for temporary files of received data sets; None for the default.
        mode: a `SecureMode`; an unknown value means none.
        defer_init: security is set up later, by `initialize`.

    Attributes:
        raise_errors, enable_progress_event, sync_files, timeouts, limits: see `Settings`.
    """

    _made_with: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        """Remembers what it was made with, for `create_client`."""
        made = super().__new__(cls)
        made._made_with = (arguments, keywords)
        return made

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        mode: SecureMode = SecureMode.NONE,
        *,
        defer_init: bool = False,
    ) -> None:
        super().__init__(path, mode, is_initialized=not defer_init)
        self._conversation: Conversation | None = None
        self._listener: Listener | None = None
        self._accepting: Listener | None = None  # the same, and still there when it has been closed
        self._server: LDicomNet | None = None
        self._ledger = Ledger()
        self._message_ids = itertools.count()
        self._life = threading.Lock()  # one connection or listening socket at a time

    # --- listening ------------------------------------------------------------------------------------------------

    @reports
    def listen(
        self,
        host_address: str | None = "",
        host_port: int = 0,
        peers: int = 5,
        ip_type: IpType = IpType.IPV4,
    ) -> None:
        """Listen for connections; each calls `on_accept`.

        Args:
            host_address: own address; "", None and "*" for all addresses of the family.
            host_port: port; 0 for the first that is free, which `get_host_info` then tells.
            peers: backlog of connections that the kernel holds, at least 1,024; no limit of clients.
            ip_type: address family, or both.

        Raises:
            LDicomTransportError: the address cannot be had.
            LDicomUsageError: the object is in use.
        """
        self._check_idle()
        self._check_serving(self._has_default("on_accept") and self._has_default("create_client"))
        family(ip_type)
        checks.number("peers", peers, 0x7FFFFFFF)
        host = _host("host_address", host_address)
        address = host, checks.number("host_port", host_port, 0xFFFF, ErrorCode.NET_ARGUMENT_INCORRECT)
        with self._life:
            self._check_idle()
            self._accept_from(bind(address, peers, IpType(ip_type), self._socket_options))

    @reports
    def listen_on(self, sock: socket.socket) -> None:
        """Listen on a socket that listens already and was inherited, or handed over by a service manager.

        Several processes that share one such socket share its connections: the one that is free takes the next. This
        object closes its copy of the socket when it closes.

        Args:
            sock: a listening TCP socket.

        Raises:
            LDicomUsageError: it is none, or the object is in use.
        """
        self._check_serving(self._has_default("on_accept") and self._has_default("create_client"))
        with self._life:
            self._check_idle()
            adopt(sock)
            self._accept_from(sock)

    def _accept_from(self, sock: socket.socket) -> None:
        listener = self._listener = self._accepting = Listener(sock, self.limits, self._clients.has_room, self._arrived)
        self._clients.open(self.limits)
        try:
            self._register()
            listener.start()
        except LDicomError:
            self._listener = None
            raise
        _log.info("listening on %s port %s", *listener.host)

    def on_accept(self, error: ErrorCode) -> None:
        """Hook of a listening object: a connection request has arrived. Runs on the accept thread.

        The default gives it to a new object: `self.accept(self.create_client())`. A request that is not accepted stays
        at the head of the queue, and the next `accept` gets it; to refuse one, accept and close it.
        """
        if error == ErrorCode.SUCCESS:
            self.accept(self.create_client())

    def _arrived(self, listener: Listener) -> None:
        """A connection request waits; on the accept thread. By now this object may listen no more, or anew."""
        if not self._has_default("on_accept"):
            listener.unpark()  # the hook could keep the accept thread from them
        try:
            self.on_accept(ErrorCode.SUCCESS)
        except LDicomTransportError as error:
            has_nothing_left = error.code == ErrorCode.NET_NO_BUFFERS
            _log.log(logging.ERROR if has_nothing_left else logging.DEBUG, "a connection was not accepted: %s", error)
        except (Exception, SystemExit):
            if self._listener is not listener:
                _log.info("a connection request came while the listening object was closed")
            else:
                _log.exception("on_accept failed; the request waits for the next accept")

    def _has_default(self, hook: str) -> bool:
        """Whether a hook of this file is the default."""
        return not overrides(self, hook, LDicomNet)

    def create_client(self) -> LDicomNet:
        """The object for an accepted connection, made by the default `on_accept`.

        It is of the listening object's class, made with the same arguments, and has its settings. Override this
        method to make it otherwise.
        """
        arguments, keywords = self._made_with
        client = type(self)(*arguments, **keywords)
        client.take_settings(self)
        return client

    @reports
    def accept(self, net: LDicomNet) -> None:
        """Give the oldest waiting connection request to `net`, an unused object; from `on_accept`, or later.

        The connection is secured as this object says: where `net` was not set up for that, it gets what this one has.

        Raises:
            LDicomUsageError: this object does not listen, no request waits, or `net` is in use.
            LDicomSecurityError: `net` has another security mode, or other settings of its own; the request waits on.
        """
        listener = self._listener
        if listener is None:
            raise LDicomUsageError("the object does not listen", ErrorCode.NET_OPERATION_NOT_SUPPORTED)
        if not isinstance(net, LDicomNet):
            raise LDicomUsageError(f"net is {net!r}: an LDicomNet is wanted")
        net._check_idle()
        net._secure_as(self)
        transport = TcpTransport(listener.take(), options=net._socket_options, send_timeout=net.timeouts.send)
        self._clients.add(net)
        may_park = listener.may_park and self._has_default("on_accept")
        park = functools.partial(listener.park, transport.fileno()) if may_park else None
        try:
            net._attach(transport, False, self, park)
        except BaseException:
            self._clients.discard(net)
            transport.dispose()
            raise

    def get_server(self) -> LDicomNet | None:
        """Of an accepted object: the listening object."""
        return self._server

    @property
    def _clients(self) -> Clients[LDicomNet]:
        """The accepted connections; made when they are first asked for, since most objects never listen."""
        try:
            found: Clients[LDicomNet] = vars(self)["_accepted"]
        except KeyError:
            found = vars(self).setdefault("_accepted", Clients())
        return found

    def get_client_count(self) -> int:
        """Of a listening object: how many accepted connections stand."""
        return len(self._clients)

    def get_client(self, index: int) -> LDicomNet:
        """Of a listening object: the accepted object at a position, counted from 0.

        Raises:
            LDicomUsageError: there are not so many.
        """
        return self._clients.at(index)

    # --- connecting -----------------------------------------------------------------------------------------------

    @reports
    def connect(
        self,
        host_address: str | None,
        host_port: int,
        peer_address: str,
        peer_port: int,
        ip_type: IpType = IpType.IPV4,
    ) -> None:
        """Connect to a peer; returns at once, and `on_connect` tells the result.

        Args:
            host_address: own address; "", None or "*" for any.
            host_port: own port; 0 for any.
            peer_address: name or address of the peer.
            peer_port: its port.
            ip_type: address family, or both.

        Raises:
            LDicomUsageError: the object is in use, or an argument is wrong.
        """
        self._check_idle()
        self._check_ready()
        if not _host("peer_address", peer_address):
            raise LDicomUsageError(f"peer_address is {peer_address!r}", ErrorCode.NET_DESTINATION_REQUIRED)
        family(ip_type)
        host = _host("host_address", host_address)
        ports = [
            checks.number(name, port, 0xFFFF, ErrorCode.NET_ARGUMENT_INCORRECT)
            for name, port in (("host_port", host_port), ("peer_port", peer_port))
        ]
        route = Route(host, ports[0], peer_address, ports[1], IpType(ip_type))
        self.attach(TcpTransport(None, route, self._socket_options, self.timeouts.send), requestor=True)

    def attach(self, transport: Transport, requestor: bool) -> None:
        """Run this object over a transport of one's own, such as one of `transport.memory.pair()`.

        Args:
            transport: the connection.
            requestor: whether this side requests the association; then `on_connect` is called first.
        """
        self._attach(transport, requestor, None, None)

    def _attach(self, transport: Transport, requestor: bool, server: LDicomNet | None, park: Park | None) -> None:
        self._check_ready()
        conversation = Conversation(
            self,
            self._layered(transport, requestor),
            requestor,
            self.timeouts,
            self.limits,
            wants_bytes=overrides(self, "on_send_ext") and bool(self._debug_mode & DebugMode.SEND),
            wants_progress=self.enable_progress_event,
            syncs_files=self.sync_files,
            folder=self._folder,
            finished=functools.partial(self._finished, server),
            admission=None if server is None else server._clients.admission,
            number=next(_numbers),
        )
        with self._life:
            self._check_idle()
            before = self._conversation
            if before is not None and not before.tally.connections:  # it never stood, and so has no end
                self._ledger.close(before.tally)
            self._conversation, self._server = conversation, server
        for net in filter(None, (self, server)):
            net._ledger.open(conversation.tally)
        self._register()
        try:
            conversation.engine.start(park, functools.partial(self._ends_anywhere, server))
        except RuntimeError as error:  # the process may have no more threads
            for net in filter(None, (self, server)):
                net._ledger.close(conversation.tally, None if requestor else ErrorCode.NET_NO_BUFFERS)
            conversation.engine.is_over = True
            transport.close()
            transport.dispose()
            raise LDicomTransportError(ErrorCode.NET_NO_BUFFERS, f"the connection gets no thread: {error}") from error

    def _ends_anywhere(self, server: LDicomNet | None) -> bool:
        """Whether no hook of the program is called when a connection ends that has said nothing."""
        return self._has_default("on_secure_link_ready") and all(
            net._has_default("on_close") for net in filter(None, (self, server))
        )

    def _check_idle(self) -> None:
        if self.is_activated():
            raise LDicomUsageError("the object listens or is connected already", ErrorCode.NET_IS_CONNECTED)

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        """Hook: the connection `net` has ended: 0 after a release, an abort of our own or `close`, else why.

        Called once for each connection, on its reader thread: on the connection itself, then on its listening object.
        """

    def _finished(self, server: LDicomNet | None, error: ErrorCode, conversation: Conversation) -> None:
        """A connection is over: `on_close` here, then on the listening object that accepted it."""
        for net in filter(None, (self, server)):
            net._ledger.close(conversation.tally, error)
        if server is not None:
            server._clients.discard(self)
        for net in filter(None, (self, server)):
            try:
                net.on_close(error, self)
            except (Exception, SystemExit):
                _log.exception("on_close failed")

    @property
    def statistics(self) -> Statistics:
        """What the connections of this object have done so far; of a listening object, those that it has accepted.

        A snapshot, made when it is asked for; counting costs next to nothing.
        """
        return self._ledger.sum(self._clients.turned_away)

    @property
    def passed_timeout(self) -> str:
        """The field of `Timeouts` that ended the connection, such as "artim", else ""; as `LDicomTimeoutError` has."""
        conversation = self._association()
        return "" if conversation is None else conversation.engine.sender.ending.timeout

    # --- closing --------------------------------------------------------------------------------------------------

    @reports
    def close(self) -> None:
        """Close the connection, or stop listening; the peer gets `on_close`, and so does this object.

        Sends that are under way may finish, and the call waits for the hooks to end, up to `timeouts.shutdown`; in a
        hook it waits for nothing. Connections that a listening object has accepted stay.
        """
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
            listener.join(self.timeouts.shutdown_wait())
            threads.let_idle_end(self.timeouts.shutdown_wait())
        conversation = self._association()
        if conversation is not None:
            self._agree_to_close(conversation.engine)
            conversation.engine.close()

    @reports
    def close_forced(self, forced: bool = True) -> None:
        """Close at once, without waiting for anything; `forced=False` is `close()`."""
        if not forced:
            self.close()
            return
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        conversation = self._association()
        if conversation is not None:
            conversation.engine.close_forced()

    @reports
    def server_close(self) -> None:
        """Stop listening and close all accepted connections."""
        self._close_silent()
        self.close()
        close_all(self._clients.everyone())

    @reports
    def drain(self, seconds: float | None = None) -> None:
        """Stop listening, let the associations that stand come to their end, and abort what has not by then.

        Connections without an association are closed at once, and who asks for one now is rejected. An object that
        does not listen is closed. In a hook of an accepted connection, that one is not waited for.

        Args:
            seconds: how long the associations have; None is `timeouts.shutdown`.
        """
        shutdown = self.timeouts.shutdown_wait()
        until = monotonic() + (shutdown if seconds is None else finite(seconds))
        self._clients.admission.close()
        self._close_silent()
        self.close()
        self._close_silent()  # what came meanwhile
        conversations = [client._conversation for client in self._clients.everyone()]
        running = [each for each in conversations if each is not None and not each.is_in_hook]
        self._clients.wait_for(len(conversations) - len(running), until - monotonic())
        for conversation in running:
            conversation.abort_at_once()
        until = max(until, monotonic() + shutdown)
        for conversation in running:
            conversation.engine.join(until - monotonic())

    def _close_silent(self) -> None:
        """Close the accepted connections that have no association."""
        for client in self._clients.everyone():
            conversation = client._conversation
            if conversation is not None and conversation.associate is None and not conversation.is_in_hook:
                conversation.engine.close_forced()

    @property
    def _is_listening(self) -> bool:
        return self._listener is not None

    def _end(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        if self._conversation is not None:
            self._conversation.engine.close_forced()

    def _await_end(self, seconds: float) -> None:
        until = monotonic() + seconds
        if self._accepting is not None and self._listener is None:
            self._accepting.join(seconds)
        if self._conversation is not None:
            self._conversation.engine.join(until - monotonic())

    # --- state ----------------------------------------------------------------------------------------------------

    def is_activated(self) -> bool:
        """Whether the object listens, connects or is connected."""
        return self._listener is not None or (self._conversation is not None and not self._conversation.engine.is_over)

    def is_connected(self) -> bool:
        """Whether the connection stands."""
        return self._conversation is not None and self._conversation.engine.is_connected

    def is_associated(self) -> bool:
        """Whether an association is established."""
        conversation = self._association()
        return conversation is not None and conversation.is_associated

    def get_host_info(self) -> Address:
        """Own address and port."""
        if (listener := self._listener) is not None:
            return listener.host
        return ("", 0) if self._conversation is None else self._conversation.engine.transport.host

    def get_peer_info(self) -> Address:
        """The peer's address and port."""
        return ("", 0) if self._conversation is None else self._conversation.engine.transport.peer

    def get_associate(self) -> LDicomAssociate | None:
        """The negotiated association, with the abstract syntaxes of the request on both sides; None before."""
        conversation = self._association()
        return None if conversation is None else conversation.associate

    def get_command_set(self) -> Dataset:
        """The command set last received, with its optional elements.

        Raises:
            LDicomUsageError: none was received.
        """
        if self._conversation is None or not self._conversation.command_set:
            raise LDicomUsageError("no command set was received", ErrorCode.NET_NO_DATA)
        return to_dataset(self._conversation.command_set)

    def get_queue_send(self) -> int:
        """Bytes accepted by `send_*`: of the message that is being sent, and of those that wait for it."""
        return 0 if self._conversation is None else self._conversation.engine.sender.queued

    def next_message_id(self) -> int:
        """A message ID for the next request: 1 to 65535, in turn."""
        return next(self._message_ids) % 0xFFFF + 1

    # --- the association ------------------------------------------------------------------------------------------

    @reports
    def send_associate_request(self, associate: LDicomAssociate) -> None:
        """Request an association, once `on_connect` was called (PS3.8 Section 7.1).

        Raises:
            LDicomUsageError: there is no connection, an association was requested, or `associate` is not complete.
            LDicomSecurityError: the peer's certificate is not the one that is pinned for the called AE title.
        """
        conversation = self._running()
        self._check_called(_associate(associate).get_called())
        conversation.request(associate)

    @reports
    def send_associate_accept(self, associate: LDicomAssociate) -> None:
        """Accept the requested association; contexts that `associate` does not mention are refused.

        Raises:
            LDicomUsageError: there is no request, or `associate` accepts what was not offered.
        """
        self._running().accept(_associate(associate))

    @reports
    def send_associate_reject(self, result: int, source: int, reason: int) -> None:
        """Reject the requested association: `RejectResult`, `RejectSource`, `RejectReason`."""
        octets = [
            checks.number(name, value, 0xFF)
            for name, value in (("result", result), ("source", source), ("reason", reason))
        ]
        self._running().reject(AssociateReject(*octets))

    @reports
    def send_release_request(self) -> None:
        """Ask to release the association (PS3.8 Section 7.2)."""
        self._running().engine.send_pdu(Event.RELEASE_REQUEST, ReleaseRequest())

    @reports
    def send_release_response(self) -> None:
        """Agree to release the association; the default of `on_receive_release_request` does."""
        self._running().engine.send_pdu(Event.RELEASE_RESPONSE, ReleaseResponse())

    @reports
    def send_abort(self, source: int, reason: int) -> None:
        """Abort the association: `AbortSource`, `AbortReason`; a message that is being sent breaks off."""
        abort = Abort(checks.number("source", source, 0xFF), checks.number("reason", reason, 0xFF))
        self._running().engine.sender.send_abort(abort)

    # --- messages -------------------------------------------------------------------------------------------------

    @reports
    def send_data(
        self,
        presentation_id: int,
        command_set: LDicomDS | Dataset,
        dataset: LDicomDS | Dataset | str | os.PathLike[str] | None,
    ) -> None:
        """Send any command set, with a data set or None; group length and data set type are set as they have to be.

        Raises:
            LDicomUsageError: the context was not accepted, or the command set is none.
        """
        encoded = to_command_set(command_set, dataset is not None)
        self._running().send_data(presentation_id, encoded, dataset, self._group_length)

    def _send_message(self, row: Row, presentation_id: int, values: tuple[Any, ...], dataset: Any) -> None:
        conversation = self._conversation
        if conversation is None or conversation.engine.is_over or beside.conversation is not None:
            conversation = self._running()
        conversation.send(row, presentation_id, values, dataset, self._group_length)

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer has cancelled its request with this message ID (C-CANCEL), or the association is over.

        For hooks marked `@background`, which ask now and then, answer a C-CANCEL with `Status.CANCEL`, and return.
        """
        conversation = self._association()
        return conversation is None or conversation.is_cancelled(message_id)

    def _association(self) -> Conversation | None:
        """The association that the caller means: of a hook beside the reader thread, the one it was called for."""
        mine = beside.conversation
        return mine if mine is not None and mine.net is self else self._conversation

    def _running(self) -> Conversation:
        conversation = self._conversation if beside.conversation is None else self._association()
        if conversation is None or conversation.engine.is_over:
            raise LDicomUsageError("the object is not connected", ErrorCode.NET_NOT_CONNECTED)
        return conversation


def _host(name: str, address: object) -> str:
    """A host name or address; "" for any."""
    if address is None or address == "*":
        return ""
    if isinstance(address, str) and address.isprintable():
        return address
    raise LDicomUsageError(f"{name} is {address!r}: a host name or address is wanted", ErrorCode.NET_ARGUMENT_INCORRECT)


def _associate(associate: object) -> LDicomAssociate:
    if isinstance(associate, LDicomAssociate):
        return associate
    raise LDicomUsageError(f"associate is {associate!r}: an LDicomAssociate is wanted")
