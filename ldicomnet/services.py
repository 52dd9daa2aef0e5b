"""The 23 messages as methods and hooks: `send_NAME(...)` to call, `on_receive_NAME(...)` to override (PS3.7).

Each is declared with its real signature and docstring and no body by hand: the decorators compile it from its row of
`message.MESSAGES`, and refuse at import a declaration that does not match the row. Knows no connection: what sends is
`_send_message`.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .dataset import LDicomDS
from .errors import LDicomError
from .message import ANSWERS, BY_NAME, Row
from .status import Command, ErrorCode, Priority, Status

if TYPE_CHECKING:
    from pydicom import Dataset

    DataSet = LDicomDS | Dataset | str | os.PathLike[str] | None
    Tags = Iterable[int | tuple[int, int]]

VERIFICATION = "1.2.840.10008.1.1"
"""The Verification SOP class, PS3.4 Annex A."""

P = ParamSpec("P")
S = TypeVar("S", bound="Services")


def _parameters(function: Callable[..., Any], row: Row) -> tuple[str, ...]:
    """The parameters of a declaration, which has those of its row, in its order."""
    names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    if names != row.signature:
        raise TypeError(f"{function.__name__}{names} does not match its row {row.signature}")
    return names


def _sends(function: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], ErrorCode]:
    """Compile a `send_NAME` to one positional call of `Services._send_message`."""
    row = BY_NAME[function.__name__.removeprefix("send_")]
    header = ", ".join(_parameters(function, row))
    values = "".join(f"{parameter.name}, " for parameter in row.parameters)
    dataset = "dataset" if row.has_dataset else "None"
    namespace: dict[str, Any] = {"_row": row, "LDicomError": LDicomError, "_SUCCESS": ErrorCode.SUCCESS}
    exec(
        f"""
def {function.__name__}(self, {header}):
    try:
        self._send_message(_row, presentation_id, ({values}), {dataset})
    except LDicomError as error:
        if self.raise_errors:
            raise
        return error.code
    return _SUCCESS
""",
        namespace,
    )
    compiled = _dressed(namespace[function.__name__], function)
    compiled.__defaults__ = function.__defaults__
    compiled.__annotations__ = function.__annotations__ | {"return": "ErrorCode"}
    sending: Callable[Concatenate[S, P], ErrorCode] = compiled
    return sending


def _receives(function: Callable[Concatenate[S, P], None]) -> Callable[Concatenate[S, P], None]:
    """Compile an `on_receive_NAME` to its default: a request is answered, so that no peer waits for ever."""
    row = BY_NAME[function.__name__.removeprefix("on_receive_")]
    _parameters(function, row)
    status = default_status(row)
    answer = ANSWERS.get(row.field)

    def default(self: Services, presentation_id: int, *arguments: Any) -> None:
        if answer is not None:
            self._send_message(answer.row, presentation_id, answer.values(arguments, status), None)

    compiled = _dressed(default, function)
    compiled.__wrapped__ = function  # where `inspect` finds the signature
    receiving: Callable[Concatenate[S, P], None] = compiled
    return receiving


def _dressed(compiled: Any, declared: Any) -> Any:
    """`compiled` with the name and docstring that were declared."""
    compiled.__name__, compiled.__qualname__ = declared.__name__, declared.__qualname__
    compiled.__doc__, compiled.__module__ = declared.__doc__, declared.__module__
    compiled.__annotations__ = declared.__annotations__
    return compiled


def default_status(row: Row) -> Status:
    """How a request is answered that nobody handles: C-ECHO succeeds, anything else is 0211H (PS3.7 C.5.22)."""
    return Status.SUCCESS if row.field == Command.C_ECHO else Status.UNRECOGNIZED_OPERATION


class Services:
    """The messages of PS3.7; `LDicomNet` is one.

    Every `send_*` may be called from any thread and from any hook. It returns when the message is with the kernel (in a
    hook, while another thread sends or the operations window is full: when it is queued), raises `LDicomError`, and
    with `raise_errors = False` returns the `ErrorCode` instead. Every `on_receive_*` runs on the connection's reader
    thread, unless it is marked `@background`.

    Parameters that they share:
        presentation_id: ID of an accepted presentation context, odd, 1 to 255.
        message_id: 0 to 65535; of a request chosen by the caller, of a response that of the request.
        sop_class_uid, sop_instance_uid: UIDs; "" where a peer left them out.
        status: a `Status`, or any number from 0 to 65535.
        dataset: to send: `LDicomDS`, `pydicom.Dataset`, path of a DICOM file, or None. In hooks: `LDicomDS` or None.
    """

    raise_errors: bool

    @abstractmethod
    def _send_message(self, row: Row, presentation_id: int, values: tuple[Any, ...], dataset: Any) -> None:
        """Send the message of `row`."""

    def _answer(self, request: Row, presentation_id: int, values: Sequence[Any], status: int) -> None:
        """Answer a request with a bare status; nothing for what has no response."""
        answer = ANSWERS.get(request.field)
        if answer is not None:
            self._send_message(answer.row, presentation_id, answer.values(values, status), None)

    # --- C-STORE, PS3.7 Section 9.3.1 -----------------------------------------------------------------------------

    @_sends
    def send_c_store_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str,
        priority: int = Priority.MEDIUM, move_ae: str = "", move_message_id: int = 0, dataset: DataSet = None,
    ) -> None:
        """Ask the peer to store an instance.

        `move_ae` and `move_message_id` name the C-MOVE, and its requestor, that this is a part of; "" and 0 otherwise.
        """

    @_receives
    def on_receive_c_store_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, priority: Priority,
        move_ae: str, move_message_id: int, dataset: LDicomDS | None,
    ) -> None:
        """The peer asks to store an instance.

        `move_ae` and `move_message_id` name the C-MOVE, and its requestor, that this is a part of; "" and 0 otherwise.
        """

    @_sends
    def send_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int,
    ) -> None:
        """Answer a C-STORE request."""

    @_receives
    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status,
    ) -> None:
        """The peer answers a C-STORE request."""

    # --- C-FIND, PS3.7 Section 9.3.2 ------------------------------------------------------------------------------

    @_sends
    def send_c_find_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, priority: int = Priority.MEDIUM,
        dataset: DataSet = None,
    ) -> None:
        """Ask the peer for what matches an identifier."""

    @_receives
    def on_receive_c_find_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, priority: Priority, dataset: LDicomDS | None,
    ) -> None:
        """The peer asks for what matches an identifier."""

    @_sends
    def send_c_find_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: int, dataset: DataSet = None,
    ) -> None:
        """Answer a C-FIND request: pending with each match, then finally without."""

    @_receives
    def on_receive_c_find_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status, dataset: LDicomDS | None,
    ) -> None:
        """The peer answers a C-FIND request: pending with each match, then finally without."""

    # --- C-GET, PS3.7 Section 9.3.3 -------------------------------------------------------------------------------

    @_sends
    def send_c_get_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, priority: int = Priority.MEDIUM,
        dataset: DataSet = None,
    ) -> None:
        """Ask the peer to send instances over this association."""

    @_receives
    def on_receive_c_get_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, priority: Priority, dataset: LDicomDS | None,
    ) -> None:
        """The peer asks for instances over this association."""

    @_sends
    def send_c_get_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: int, remaining: int | None = None,
        completed: int | None = None, failed: int | None = None, warning: int | None = None, dataset: DataSet = None,
    ) -> None:
        """Answer a C-GET request, or tell how far it is.

        Counts of sub-operations; None leaves the element out, or was left out.
        """

    @_receives
    def on_receive_c_get_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status, remaining: int | None,
        completed: int | None, failed: int | None, warning: int | None, dataset: LDicomDS | None,
    ) -> None:
        """The peer answers a C-GET request, or tells how far it is.

        Counts of sub-operations; None leaves the element out, or was left out.
        """

    # --- C-MOVE, PS3.7 Section 9.3.4 ------------------------------------------------------------------------------

    @_sends
    def send_c_move_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, priority: int = Priority.MEDIUM,
        move_ae: str = "", dataset: DataSet = None,
    ) -> None:
        """Ask the peer to send instances to the application entity `move_ae`."""

    @_receives
    def on_receive_c_move_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, priority: Priority, move_ae: str,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer asks to have instances sent to the application entity `move_ae`."""

    @_sends
    def send_c_move_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: int, remaining: int | None = None,
        completed: int | None = None, failed: int | None = None, warning: int | None = None, dataset: DataSet = None,
    ) -> None:
        """Answer a C-MOVE request, or tell how far it is.

        Counts of sub-operations; None leaves the element out, or was left out.
        """

    @_receives
    def on_receive_c_move_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status, remaining: int | None,
        completed: int | None, failed: int | None, warning: int | None, dataset: LDicomDS | None,
    ) -> None:
        """The peer answers a C-MOVE request, or tells how far it is.

        Counts of sub-operations; None leaves the element out, or was left out.
        """

    # --- C-CANCEL, PS3.7 Section 9.3.2.3 --------------------------------------------------------------------------

    @_sends
    def send_c_cancel_request(self, presentation_id: int, message_id: int) -> None:
        """Ask the peer to cancel its C-FIND, C-GET or C-MOVE with this message ID; there is no response."""

    @_receives
    def on_receive_c_cancel_request(self, presentation_id: int, message_id: int) -> None:
        """The peer asks to cancel the C-FIND, C-GET or C-MOVE with this message ID; there is no response."""

    # --- C-ECHO, PS3.7 Section 9.3.5 ------------------------------------------------------------------------------

    @_sends
    def send_c_echo_request(self, presentation_id: int, message_id: int, sop_class_uid: str = VERIFICATION) -> None:
        """Ask the peer whether it is there."""

    @_receives
    def on_receive_c_echo_request(self, presentation_id: int, message_id: int, sop_class_uid: str) -> None:
        """The peer asks whether we are there."""

    @_sends
    def send_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str = VERIFICATION, status: int = Status.SUCCESS,
    ) -> None:
        """Answer a C-ECHO request."""

    @_receives
    def on_receive_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status,
    ) -> None:
        """The peer answers a C-ECHO request."""

    # --- N-EVENT-REPORT, PS3.7 Section 10.3.1 ---------------------------------------------------------------------

    @_sends
    def send_n_report_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, event: int,
        dataset: DataSet = None,
    ) -> None:
        """Report an event about an instance."""

    @_receives
    def on_receive_n_report_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, event: int,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer reports an event about an instance."""

    @_sends
    def send_n_report_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int,
        event: int | None = None, dataset: DataSet = None,
    ) -> None:
        """Answer an N-EVENT-REPORT request."""

    @_receives
    def on_receive_n_report_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status,
        event: int | None, dataset: LDicomDS | None,
    ) -> None:
        """The peer answers an N-EVENT-REPORT request."""

    # --- N-GET, PS3.7 Section 10.3.2 ------------------------------------------------------------------------------

    @_sends
    def send_n_get_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, attributes: Tags = (),
    ) -> None:
        """Ask for attributes of an instance; an empty list asks for all.

        Attributes are tags as numbers (0x00100010).
        """

    @_receives
    def on_receive_n_get_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, attributes: list[int],
    ) -> None:
        """The peer asks for attributes of an instance; an empty list asks for all.

        Attributes are tags as numbers (0x00100010).
        """

    @_sends
    def send_n_get_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int,
        dataset: DataSet = None,
    ) -> None:
        """Answer an N-GET request."""

    @_receives
    def on_receive_n_get_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer answers an N-GET request."""

    # --- N-SET, PS3.7 Section 10.3.3 ------------------------------------------------------------------------------

    @_sends
    def send_n_set_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str,
        dataset: DataSet = None,
    ) -> None:
        """Ask to change attributes of an instance."""

    @_receives
    def on_receive_n_set_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer asks to change attributes of an instance."""

    @_sends
    def send_n_set_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int,
        dataset: DataSet = None,
    ) -> None:
        """Answer an N-SET request."""

    @_receives
    def on_receive_n_set_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer answers an N-SET request."""

    # --- N-ACTION, PS3.7 Section 10.3.4 ---------------------------------------------------------------------------

    @_sends
    def send_n_action_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, action: int,
        dataset: DataSet = None,
    ) -> None:
        """Ask for an action on an instance."""

    @_receives
    def on_receive_n_action_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, action: int,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer asks for an action on an instance."""

    @_sends
    def send_n_action_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int,
        action: int | None = None, dataset: DataSet = None,
    ) -> None:
        """Answer an N-ACTION request."""

    @_receives
    def on_receive_n_action_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status,
        action: int | None, dataset: LDicomDS | None,
    ) -> None:
        """The peer answers an N-ACTION request."""

    # --- N-CREATE, PS3.7 Section 10.3.5 ---------------------------------------------------------------------------

    @_sends
    def send_n_create_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str = "",
        dataset: DataSet = None,
    ) -> None:
        """Ask to create an instance; "" leaves its UID to the peer."""

    @_receives
    def on_receive_n_create_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer asks to create an instance; "" leaves its UID to us."""

    @_sends
    def send_n_create_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int,
        dataset: DataSet = None,
    ) -> None:
        """Answer an N-CREATE request."""

    @_receives
    def on_receive_n_create_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status,
        dataset: LDicomDS | None,
    ) -> None:
        """The peer answers an N-CREATE request."""

    # --- N-DELETE, PS3.7 Section 10.3.6 ---------------------------------------------------------------------------

    @_sends
    def send_n_delete_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str,
    ) -> None:
        """Ask to delete an instance."""

    @_receives
    def on_receive_n_delete_request(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str,
    ) -> None:
        """The peer asks to delete an instance."""

    @_sends
    def send_n_delete_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: int,
    ) -> None:
        """Answer an N-DELETE request."""

    @_receives
    def on_receive_n_delete_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status,
    ) -> None:
        """The peer answers an N-DELETE request."""
