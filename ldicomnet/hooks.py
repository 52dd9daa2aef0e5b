"""The hooks of connection and association: methods to override, with what each means and on which thread it runs.

The hooks of the 23 messages are in `services`. Knows no engine: what a default does, it does with public methods.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING

from .associate import LDicomAssociate
from .dataset import LDicomDS
from .duplicates import FileTarget
from .message import Message
from .outbox import SendInfo
from .services import Services
from .sinks import SupportsWrite
from .status import (
    AbortReason,
    AbortSource,
    Command,
    ErrorCode,
    PduType,
    RejectReason,
    RejectResult,
    RejectSource,
    Status,
)

if TYPE_CHECKING:
    import ssl

    from pydicom import Dataset


class Hooks(Services):
    """What `LDicomNet` calls; override what you need.

    Unless said otherwise a hook runs on the reader thread of its connection, no lock is held while it runs, and it may
    call any method. A slow hook stops the reading of its connection, and TCP then stops the peer. An exception in a
    hook is logged and answered (status 0110H, or an abort where no answer is possible); it ends no thread.

    A message that a hook sends is written by the reader thread, which reads nothing meanwhile. That is right for
    answers, and for a client that sends one request after the other. Where both sides send large messages to each other
    at the same time, send them from a thread of your own: two readers that write wait for each other until
    `Timeouts.send`.

    Order: of every PDU `on_receive` comes first; of a DIMSE message then `on_receive_data`, then its own hook.
    """

    # --- the connection -------------------------------------------------------------------------------------------

    def on_connect(self, error: ErrorCode) -> None:
        """The connection that `connect` asked for stands (0), or could not be made.

        The next step is `send_associate_request`; on a connection with a security layer that is for
        `on_secure_link_ready` to do.
        """

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        """The security layer of a connection stands (0), on either side, or why it could not be set up.

        Not called on a connection that has none. Only now can an association be requested. After an error the
        connection is closed.
        """

    def on_verify(self, ok: bool, certificate: str, error: int, error_text: str) -> bool:
        """TLS: a certificate of the peer's chain was looked at, the trusted issuer's first and the peer's own last.

        It is called once for each certificate, and where this library has looked itself (`verify_by_hook`, or a client
        with `VerifyMode.NONE`) once for each thing that is wrong with one.

        Args:
            ok: whether nothing is wrong with it.
            certificate: what it says: subject, issuer, validity, serial number, purposes; "" where OpenSSL has refused
                the chain, and keeps it.
            error: OpenSSL's number for what is wrong (X509_V_ERR), 0 for nothing.
            error_text: the same in words.

        Returns:
            False refuses the peer, but on a client with `VerifyMode.NONE`, which refuses nobody: it ends the calls, and
            leaves a warning in the log. True accepts this fault of a certificate only on a client with
            `TLSContextSettings.verify_by_hook`, and changes nothing else. The default returns `ok`.
        """
        return ok

    def on_private_key_password(self, encryption: bool) -> str:
        """TLS: the password of an encrypted private key is wanted; `encryption` is always False, for reading it.

        Runs on the thread that sets the certificate, or reloads it. The default has none.
        """
        return ""

    def on_create_ctx(self, context: ssl.SSLContext) -> None:
        """TLS: a context was made, and may be changed before it is used; not against the profile, and what the settings
        ask for cannot be switched off here: verification, names, revocation. That raises `TLS_BAD_CONTEXT`."""

    def on_receive(self, error: ErrorCode, pdu_type: PduType, buffer: bytes) -> None:
        """A whole PDU has arrived, header included, and nothing was made of it yet. Costs nothing unless overridden."""

    def on_send(self, error: ErrorCode, pdu_type: PduType, length: int) -> None:
        """A PDU of `length` bytes has left, or could not. Runs on the thread that sent.

        Costs nothing unless overridden.
        """

    def on_send_ext(self, info: SendInfo) -> None:
        """In debug mode: a PDU has left, with its bytes. Runs on the thread that sent."""

    def on_progress_status(self, sent: int, received: int, total: int | None) -> None:
        """With `enable_progress_event`: bytes of the running message's data set so far; `total` None where not known.

        Runs on the thread that sends, or on the reader thread for what is received. It may abort or close; it cannot
        send another message into the one that is being sent.
        """

    def _stranger(self, title: str) -> str:
        """Why the peer may not call itself by an AE title, "" where it may: the security layer may know better."""
        return ""

    # --- the association (PS3.8 Section 7) ------------------------------------------------------------------------

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        """The peer requests an association; answer with `send_associate_accept` or `send_associate_reject`.

        The default rejects: permanent, service user, no reason given.
        """
        self.send_associate_reject(RejectResult.PERMANENT, RejectSource.USER, RejectReason.UNKNOWN)

    @abstractmethod
    def send_associate_reject(self, result: int, source: int, reason: int) -> ErrorCode:
        """Reject the association."""

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        """The peer accepted our request: `associate` says which contexts, with the abstract syntaxes of the request."""

    def on_receive_associate_reject(self, result: RejectResult, source: RejectSource, reason: RejectReason) -> None:
        """The peer rejected our request. The connection is closed next."""

    def on_receive_release_request(self) -> None:
        """The peer asks to release the association. The default agrees: `send_release_response()`."""
        self.send_release_response()

    @abstractmethod
    def send_release_response(self) -> ErrorCode:
        """Agree to a release."""

    def on_receive_release_response(self) -> None:
        """The peer agreed to our release. The connection is closed next (PS3.8 AR-3)."""

    def on_receive_abort(self, source: AbortSource, reason: AbortReason) -> None:
        """The association was aborted: by the peer, or (source provider) by this side, because the peer broke the
        protocol. The connection is closed next."""

    # --- messages -------------------------------------------------------------------------------------------------

    def on_before_send_command_set(self, command_set: Dataset) -> None:
        """A response is about to leave: optional elements, such as an error comment, may be added or removed.

        Runs on the thread that sends; costs nothing unless overridden.
        """

    def on_begin_data(
        self, presentation_id: int, message: Message
    ) -> str | os.PathLike[str] | FileTarget | SupportsWrite | None:
        """A command set has arrived, and its data set has not: say where that goes.

        A path: the data set streams into that file, as a DICOM file, which appears complete or not at all (on the disk,
        with `sync_files`), in the place of one that is there; an empty data set makes no file. A `FileTarget` says what
        else is done with one that is there. A binary file object: it is handed the encoded data set in
        pieces that are valid only while it writes them, stays open, and is yours. None: memory, and beyond
        `Limits.memory_data_set` a file in the temporary folder. `message.refuse(status)` answers at once and lets the
        data set pass by unread. The message's own hook is called once all has arrived, with an `LDicomDS` of the file.
        Where the data set cannot be kept no part of it stays, and the request is answered: A700H for what may pass,
        such as a full disk, C000H for what will not, such as a name that the file system does not take.

        `message` has `name`, `sop_class_uid`, `sop_instance_uid`, `file_name` and `message_id`. Costs nothing unless
        overridden.
        """
        return None

    def on_receive_data(self, presentation_id: int, command_set: Dataset, dataset: LDicomDS | None) -> None:
        """A DIMSE message has arrived, before its own hook. Costs nothing unless overridden."""

    def on_receive_unknown(self, presentation_id: int, command_set: Dataset, dataset: LDicomDS | None) -> None:
        """A message with a command field of no known kind. The default answers a request with status 0211H."""
        field = int(command_set.CommandField)
        if field & Command.RESPONSE:
            return
        answer = command_set[0x00000002:0x00000003]
        answer.CommandField = field | Command.RESPONSE
        answer.MessageIDBeingRespondedTo = command_set.MessageID
        answer.Status = Status.UNRECOGNIZED_OPERATION
        self.send_data(presentation_id, answer, None)

    @abstractmethod
    def send_data(self, presentation_id: int, command_set: Dataset, dataset: LDicomDS | None) -> ErrorCode:
        """Send any command set, and a data set."""


def overrides(net: Hooks, name: str, base: type = Hooks) -> bool:
    """Whether `net` has a hook of its own, in its class or as an attribute.

    Args:
        net: whose.
        name: of the hook.
        base: the class of this library that has the default.
    """
    return getattr(type(net), name) is not getattr(base, name) or name in vars(net)
