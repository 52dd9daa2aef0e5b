"""The upper layer machine of one connection, which two threads may turn: `upper_layer.UpperLayer` under its lock."""

from __future__ import annotations

import threading

from .errors import LDicomProtocolError, LDicomUsageError
from .status import AbortReason
from .upper_layer import Action, Event, State, UpperLayer


class Machine:
    """Steps are taken one at a time, in microseconds, and never over a system call.

    Attributes:
        state: the state, which may be read at any time.
    """

    def __init__(self, requestor: bool) -> None:
        self._machine = UpperLayer(requestor)
        self._lock = threading.Lock()
        self.state = State.STA1

    def react(self, event: Event, acceptable: bool = True) -> Action:
        """One step.

        Raises:
            LDicomUsageError: a local primitive that is not possible in this state.
        """
        with self._lock:
            action = self._machine.react(event, acceptable)
            self.state = self._machine.state
        return action

    def react_to_peer(self, event: Event, acceptable: bool = True) -> Action:
        """One step that the peer caused.

        Raises:
            LDicomProtocolError: it cannot happen in this state.
        """
        try:
            return self.react(event, acceptable)
        except LDicomUsageError:
            raise LDicomProtocolError(
                f"the peer sent a PDU before the association was requested ({event.name})", AbortReason.UNEXPECTED
            ) from None

    def end(self) -> None:
        """The connection is over, whatever was going on."""
        with self._lock:
            self._machine.state = self.state = State.STA1
