"""The upper layer protocol machine, PS3.8 Section 9.2; pure: no socket, no thread, no clock, no PDU.

`TABLE` is Table 9-10 as the standard prints it and `ACTIONS` are its Tables 9-6 to 9-9. `UpperLayer.react` looks an
event up, moves to the next state and says what is to be done; the engine does it.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import NamedTuple

from .errors import LDicomUsageError
from .status import ErrorCode


class State(IntEnum):
    """States of an association, PS3.8 Tables 9-1 to 9-5."""

    STA1 = 1
    """Idle."""
    STA2 = 2
    """Transport connection open, awaiting A-ASSOCIATE-RQ."""
    STA3 = 3
    """Awaiting the local answer to an A-ASSOCIATE-RQ."""
    STA4 = 4
    """Awaiting the transport connection."""
    STA5 = 5
    """Awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ."""
    STA6 = 6
    """Association established, ready for data transfer."""
    STA7 = 7
    """Awaiting A-RELEASE-RP."""
    STA8 = 8
    """Awaiting the local answer to an A-RELEASE-RQ."""
    STA9 = 9
    """Release collision, requestor: awaiting the local answer."""
    STA10 = 10
    """Release collision, acceptor: awaiting A-RELEASE-RP."""
    STA11 = 11
    """Release collision, requestor: awaiting A-RELEASE-RP."""
    STA12 = 12
    """Release collision, acceptor: awaiting the local answer."""
    STA13 = 13
    """Awaiting the close of the transport connection."""


class Event(IntEnum):
    """Events, the rows of PS3.8 Table 9-10."""

    ASSOCIATE_REQUEST = 1
    TRANSPORT_CONFIRM = 2
    ASSOCIATE_AC_PDU = 3
    ASSOCIATE_RJ_PDU = 4
    TRANSPORT_INDICATION = 5
    ASSOCIATE_RQ_PDU = 6
    ASSOCIATE_ACCEPT = 7
    ASSOCIATE_REJECT = 8
    P_DATA_REQUEST = 9
    P_DATA_PDU = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ_PDU = 12
    RELEASE_RP_PDU = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT_PDU = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Effect(StrEnum):
    """What an action asks of the engine."""

    OPEN = "open the transport connection"
    SEND = "send the PDU of the primitive"
    SEND_REJECT = "send A-ASSOCIATE-RJ from the service provider"
    SEND_ABORT = "send A-ABORT"
    INDICATE = "hand the received PDU to the user"
    INDICATE_ABORT = "tell the user of the provider's abort"
    START_ARTIM = "start the ARTIM timer, anew if it runs"
    STOP_ARTIM = "stop the ARTIM timer"
    CLOSE = "close the transport connection"


class Action(NamedTuple):
    """One action of PS3.8 Tables 9-6 to 9-9: what is done, and the state that follows."""

    name: str
    effects: tuple[Effect, ...]
    next_state: State


def _action(name: str, next_state: int, *effects: Effect) -> Action:
    return Action(name, effects, State(next_state))


_E = Effect

ACTIONS = {
    action.name: action
    for action in (
        # Table 9-6, association establishment
        _action("AE-1", 4, _E.OPEN),
        _action("AE-2", 5, _E.SEND),
        _action("AE-3", 6, _E.INDICATE),
        _action("AE-4", 1, _E.INDICATE, _E.CLOSE),
        _action("AE-5", 2, _E.START_ARTIM),
        _action("AE-6", 3, _E.STOP_ARTIM, _E.INDICATE),
        _action("AE-7", 6, _E.SEND),
        _action("AE-8", 13, _E.SEND, _E.START_ARTIM),
        # Table 9-7, data transfer
        _action("DT-1", 6, _E.SEND),
        _action("DT-2", 6, _E.INDICATE),
        # Table 9-8, association release
        _action("AR-1", 7, _E.SEND),
        _action("AR-2", 8, _E.INDICATE),
        _action("AR-3", 1, _E.INDICATE, _E.CLOSE),
        _action("AR-4", 13, _E.SEND, _E.START_ARTIM),
        _action("AR-5", 1, _E.STOP_ARTIM),
        _action("AR-6", 7, _E.INDICATE),
        _action("AR-7", 8, _E.SEND),
        _action("AR-8", 9, _E.INDICATE),
        _action("AR-9", 11, _E.SEND),
        _action("AR-10", 12, _E.INDICATE),
        # Table 9-9, abort
        _action("AA-1", 13, _E.SEND_ABORT, _E.START_ARTIM),
        _action("AA-2", 1, _E.STOP_ARTIM, _E.CLOSE),
        _action("AA-3", 1, _E.INDICATE, _E.CLOSE),
        _action("AA-4", 1, _E.INDICATE_ABORT),
        _action("AA-5", 1, _E.STOP_ARTIM),
        _action("AA-6", 13),
        _action("AA-7", 13, _E.SEND_ABORT),
        _action("AA-8", 13, _E.SEND_ABORT, _E.INDICATE_ABORT, _E.START_ARTIM),
    )
}

# The two actions that branch inside.
AE_6_NOT_ACCEPTABLE = _action("AE-6", 13, _E.STOP_ARTIM, _E.SEND_REJECT, _E.START_ARTIM)
AR_8_ACCEPTOR = _action("AR-8", 10, _E.INDICATE)

# PS3.8 Table 9-10: event down, state across; a dot is an event that cannot happen.
TABLE = """
event  1     2     3     4     5     6     7     8     9     10    11    12    13
  1    AE-1  .     .     .     .     .     .     .     .     .     .     .     .
  2    .     .     .     AE-2  .     .     .     .     .     .     .     .     .
  3    .     AA-1  AA-8  .     AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
  4    .     AA-1  AA-8  .     AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
  5    AE-5  .     .     .     .     .     .     .     .     .     .     .     .
  6    .     AE-6  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
  7    .     .     AE-7  .     .     .     .     .     .     .     .     .     .
  8    .     .     AE-8  .     .     .     .     .     .     .     .     .     .
  9    .     .     .     .     .     DT-1  .     AR-7  .     .     .     .     .
 10    .     AA-1  AA-8  .     AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
 11    .     .     .     .     .     AR-1  .     .     .     .     .     .     .
 12    .     AA-1  AA-8  .     AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6
 13    .     AA-1  AA-8  .     AA-8  AA-8  AR-3  AA-8  AA-8  AR-10 AR-3  AA-8  AA-6
 14    .     .     .     .     .     .     .     AR-4  AR-9  .     .     AR-4  .
 15    .     .     AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  .
 16    .     AA-2  AA-3  .     AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2
 17    .     AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5
 18    .     AA-2  .     .     .     .     .     .     .     .     .     .     AA-2
 19    .     AA-1  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7
"""


def _rows(table: str) -> dict[int, dict[int, Action]]:
    """The table by state and event; only the cells that are not dots."""
    header, *lines = (line.split() for line in table.strip().splitlines())
    states = [int(state) for state in header[1:]]
    cells: dict[int, dict[int, Action]] = {state: {} for state in states}
    for event, *names in lines:
        for state, name in zip(states, names, strict=True):
            if name != ".":
                cells[state][int(event)] = ACTIONS[name]
    return cells


_CELLS = _rows(TABLE)

SENDS_DATA, RECEIVES_DATA = (
    frozenset(
        State(state)
        for state, cells in _CELLS.items()
        if event in cells and cells[event].effects == (effect,) and cells[event].next_state == state
    )
    for event, effect in ((Event.P_DATA_REQUEST, Effect.SEND), (Event.P_DATA_PDU, Effect.INDICATE))
)
"""The states in which P-DATA changes nothing but hands data over, so that whole messages need not ask for each PDU."""

_MISUSE = {
    Event.ASSOCIATE_REQUEST: "the object is connected already",
    Event.TRANSPORT_CONFIRM: "an association can be requested once, on a connection of our own",
    Event.ASSOCIATE_ACCEPT: "there is no association request to accept",
    Event.ASSOCIATE_REJECT: "there is no association request to reject",
    Event.P_DATA_REQUEST: "there is no association to send on",
    Event.RELEASE_REQUEST: "there is no association to release",
    Event.RELEASE_RESPONSE: "there is no release request to answer",
    Event.ABORT_REQUEST: "there is no association to abort",
}


class UpperLayer:
    """The state of one association; not thread safe, the engine holds its state lock around `react`."""

    __slots__ = ("_requestor", "state")

    def __init__(self, requestor: bool) -> None:
        self._requestor = requestor
        self.state = State.STA1

    def react(self, event: Event, acceptable: bool = True) -> Action:
        """Do one step: move to the next state and return the action.

        Args:
            event: what happened.
            acceptable: for `ASSOCIATE_RQ_PDU`, whether the service provider can accept the request (AE-6).

        Raises:
            LDicomUsageError: the event cannot happen in this state; the state is unchanged.
        """
        action = _CELLS[self.state].get(event)
        if action is None:
            why = _MISUSE.get(event, f"event {event} cannot happen")
            raise LDicomUsageError(f"{why} (PS3.8 {self.state.name.capitalize()})", ErrorCode.NET_INVALID)
        if event == Event.ASSOCIATE_RQ_PDU and not acceptable and action.name == "AE-6":
            action = AE_6_NOT_ACCEPTABLE
        elif action.name == "AR-8" and not self._requestor:
            action = AR_8_ACCEPTOR
        self.state = action.next_state
        return action
