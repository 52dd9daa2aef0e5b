"""`upper_layer`, and `machine` around it: every cell of PS3.8 Table 9-10, typed a second time, the other way round."""

from __future__ import annotations

import threading
import unittest

from ldicomnet.errors import LDicomProtocolError, LDicomUsageError
from ldicomnet.machine import Machine
from ldicomnet.status import AbortReason, ErrorCode
from ldicomnet.upper_layer import ACTIONS, RECEIVES_DATA, SENDS_DATA, Action, Effect, Event, State, UpperLayer

from .spoiling import need

# PS3.8 Tables 9-6 to 9-9: each action, the state that follows, and the cells of Table 9-10 that name it: a state with
# its events. AE-6 and AR-8 have two next states.
CELLS = """
AE-1   4     1: 1
AE-2   5     4: 2
AE-3   6     5: 3
AE-4   1     5: 4
AE-5   2     1: 5
AE-6   3/13  2: 6
AE-7   6     3: 7
AE-8   13    3: 8
DT-1   6     6: 9
DT-2   6     6: 10
AR-1   7     6: 11
AR-2   8     6: 12
AR-3   1     7: 13        11: 13
AR-4   13    8: 14        12: 14
AR-5   1     13: 17
AR-6   7     7: 10
AR-7   8     8: 9
AR-8   9/10  7: 12
AR-9   11    9: 14
AR-10  12    10: 13
AA-1   13    2: 3 4 10 12 13 19   3: 15  5: 15  6: 15  7: 15  8: 15  9: 15  10: 15  11: 15  12: 15
AA-2   1     2: 16 18     4: 15   13: 16 18
AA-3   1     3: 16  5: 16  6: 16  7: 16  8: 16  9: 16  10: 16  11: 16  12: 16
AA-4   1     3: 17  4: 17  5: 17  6: 17  7: 17  8: 17  9: 17  10: 17  11: 17  12: 17
AA-5   1     2: 17
AA-6   13    13: 3 4 10 12 13
AA-7   13    13: 6 19
AA-8   13    3: 3 4 6 10 12 13 19     5: 6 10 12 13 19        6: 3 4 6 13 19           7: 3 4 6 19
AA-8   13    8: 3 4 6 10 12 13 19     9: 3 4 6 10 12 13 19    10: 3 4 6 10 12 19       11: 3 4 6 10 12 19
AA-8   13    12: 3 4 6 10 12 13 19
"""

# What each action does, PS3.8 Tables 9-6 to 9-9, in the standard's order.
EFFECTS = """
AE-1   OPEN
AE-2   SEND
AE-3   INDICATE
AE-4   INDICATE CLOSE
AE-5   START_ARTIM
AE-6   STOP_ARTIM INDICATE
AE-7   SEND
AE-8   SEND START_ARTIM
DT-1   SEND
DT-2   INDICATE
AR-1   SEND
AR-2   INDICATE
AR-3   INDICATE CLOSE
AR-4   SEND START_ARTIM
AR-5   STOP_ARTIM
AR-6   INDICATE
AR-7   SEND
AR-8   INDICATE
AR-9   SEND
AR-10  INDICATE
AA-1   SEND_ABORT START_ARTIM
AA-2   STOP_ARTIM CLOSE
AA-3   INDICATE CLOSE
AA-4   INDICATE_ABORT
AA-5   STOP_ARTIM
AA-6
AA-7   SEND_ABORT
AA-8   SEND_ABORT INDICATE_ABORT START_ARTIM
"""

# Role, then events with the state that each leads to: whole lives of an association.
LIVES = (
    ("requestor: association, data, release", True, "1>4 2>5 3>6 9>6 10>6 11>7 10>7 13>1"),
    ("requestor: rejected", True, "1>4 2>5 4>1"),
    ("requestor: the peer releases", True, "1>4 2>5 3>6 12>8 9>8 14>13 17>1"),
    ("acceptor: association, data, release", False, "5>2 6>3 7>6 10>6 9>6 12>8 14>13 17>1"),
    ("acceptor: rejects", False, "5>2 6>3 8>13 17>1"),
    ("acceptor: nobody asks", False, "5>2 18>1"),
    ("release collision, requestor", True, "1>4 2>5 3>6 11>7 12>9 14>11 13>1"),
    ("release collision, acceptor", False, "5>2 6>3 7>6 11>7 12>10 13>12 14>13 17>1"),
    ("abort, then its ARTIM timer", True, "1>4 2>5 3>6 15>13 10>13 12>13 6>13 19>13 18>1"),
    ("aborted by the peer", False, "5>2 6>3 7>6 16>1"),
    ("an invalid PDU", False, "5>2 6>3 7>6 19>13 16>1"),
    ("connection lost", True, "1>4 17>1"),
    ("one object after the other", True, "1>4 17>1 1>4 2>5 4>1"),
)


def typed_cells() -> dict[tuple[int, int], tuple[str, list[int]]]:
    """Action and next states by state and event, of `CELLS`."""
    cells: dict[tuple[int, int], tuple[str, list[int]]] = {}
    for name, following, *words in map(str.split, CELLS.strip().splitlines()):
        state = 0
        for word in words:
            if word.endswith(":"):
                state = int(word[:-1])
            else:
                assert (state, int(word)) not in cells, f"{name} {state}: {word} is typed twice"
                cells[state, int(word)] = name, [int(number) for number in following.split("/")]
    return cells


def step(state: int, event: int, requestor: bool, acceptable: bool = True) -> tuple[Action, int]:
    """The action of one cell, and the state after it."""
    machine = UpperLayer(requestor)
    machine.state = State(state)
    action = machine.react(Event(event), acceptable)
    return action, machine.state


class Table(unittest.TestCase):
    """All 13 x 19 cells in both roles."""

    def test_every_cell(self) -> None:
        cells = typed_cells()
        self.assertEqual(len(cells), 123)
        for state in range(1, 14):
            for event in range(1, 20):
                for requestor in (True, False):
                    for acceptable in (True, False):
                        with self.subTest(state=state, event=event, requestor=requestor, acceptable=acceptable):
                            self.check(cells.get((state, event)), state, event, requestor, acceptable)

    def check(
        self, cell: tuple[str, list[int]] | None, state: int, event: int, requestor: bool, acceptable: bool
    ) -> None:
        """One cell."""
        if cell is None:
            self.check_impossible(state, event, requestor)
            return
        name, following = cell
        first = {"AE-6": acceptable, "AR-8": requestor}.get(name, True)
        action, after = step(state, event, requestor, acceptable)
        self.assertEqual(action.name, name)
        self.assertEqual(after, following[0 if first else 1])
        self.assertEqual(action.next_state, after)

    def check_impossible(self, state: int, event: int, requestor: bool) -> None:
        """A dot: an error, and nothing else."""
        machine = UpperLayer(requestor)
        machine.state = State(state)
        with self.assertRaises(LDicomUsageError) as caught:
            machine.react(Event(event))
        self.assertEqual(machine.state, state)
        self.assertEqual(caught.exception.code, ErrorCode.NET_INVALID)
        self.assertIn(f"Sta{state})", str(caught.exception))

    def test_pynetdicom_has_the_same_cells(self) -> None:
        fsm = need("pynetdicom.fsm")
        theirs = {(int(state[3:]), int(event[3:])): name for (event, state), name in fsm.TRANSITION_TABLE.items()}
        self.assertEqual({cell: name for cell, (name, _following) in typed_cells().items()}, theirs)


class Actions(unittest.TestCase):
    """What the actions ask for."""

    def test_effects(self) -> None:
        cells = typed_cells()
        rows = {name: words for name, *words in map(str.split, EFFECTS.strip().splitlines())}
        self.assertEqual(len(rows), 28)
        for (state, event), (name, _following) in cells.items():
            with self.subTest(name, state=state, event=event):
                action, _after = step(state, event, requestor=True)
                self.assertEqual([effect.name for effect in action.effects], rows[name])

    def test_every_action_has_a_cell(self) -> None:
        self.assertEqual(set(ACTIONS), {name for name, _following in typed_cells().values()})

    def test_ae_6_for_a_request_that_is_not_acceptable(self) -> None:
        action, after = step(2, Event.ASSOCIATE_RQ_PDU, requestor=False, acceptable=False)
        self.assertEqual(action.effects, (Effect.STOP_ARTIM, Effect.SEND_REJECT, Effect.START_ARTIM))
        self.assertEqual(after, State.STA13)

    def test_ar_8_in_both_roles_indicates(self) -> None:
        for requestor in (True, False):
            self.assertEqual(step(7, Event.RELEASE_RQ_PDU, requestor)[0].effects, (Effect.INDICATE,))


class Data(unittest.TestCase):
    """The states in which P-DATA is only handed on, so that not every PDU asks the machine."""

    def test_they_are_those_of_the_table(self) -> None:
        for states, event, names in (
            (SENDS_DATA, Event.P_DATA_REQUEST, ("DT-1", "AR-7")),
            (RECEIVES_DATA, Event.P_DATA_PDU, ("DT-2", "AR-6")),
        ):
            typed = {state for (state, number), (name, _) in typed_cells().items() if number == event and name in names}
            self.assertEqual(states, typed)
            for state in State:
                with self.subTest(event=event, state=state):
                    self.check(state in states, state, event)

    def check(self, is_plain: bool, state: State, event: Event) -> None:
        """In such a state nothing changes and one thing is done; in any other something else happens."""
        for requestor in (True, False):
            machine = UpperLayer(requestor)
            machine.state = state
            try:
                action = machine.react(event)
            except LDicomUsageError:
                self.assertFalse(is_plain)
                continue
            effect = Effect.SEND if event == Event.P_DATA_REQUEST else Effect.INDICATE
            self.assertEqual((machine.state, action.effects) == (state, (effect,)), is_plain)

    def test_states_written_down(self) -> None:
        """PS3.8 Sections 9.2.2 and 7.2: data may be sent until we ask for release, and received until the peer does."""
        self.assertEqual(SENDS_DATA, {State.STA6, State.STA8})
        self.assertEqual(RECEIVES_DATA, {State.STA6, State.STA7})


class UnderALock(unittest.TestCase):
    """`machine.Machine`: the same steps, from any thread."""

    def test_the_same_steps(self) -> None:
        for name, requestor, steps in LIVES:
            with self.subTest(name):
                machine, plain = Machine(requestor), UpperLayer(requestor)
                for event in (Event(int(one.split(">")[0])) for one in steps.split()):
                    self.assertEqual(machine.react(event), plain.react(event))
                    self.assertEqual(machine.state, plain.state)

    def test_a_request_that_is_not_acceptable(self) -> None:
        machine = Machine(False)
        machine.react(Event.TRANSPORT_INDICATION)
        self.assertIn(Effect.SEND_REJECT, machine.react_to_peer(Event.ASSOCIATE_RQ_PDU, acceptable=False).effects)
        self.assertEqual(machine.state, State.STA13)

    def test_whose_fault_it_is(self) -> None:
        machine = Machine(True)
        machine.react(Event.ASSOCIATE_REQUEST)
        with self.assertRaises(LDicomProtocolError) as caught:
            machine.react_to_peer(Event.P_DATA_PDU)
        self.assertEqual(caught.exception.reason, AbortReason.UNEXPECTED)
        with self.assertRaises(LDicomUsageError):
            machine.react(Event.P_DATA_REQUEST)
        self.assertEqual(machine.state, State.STA4, "neither is a step")

    def test_the_end(self) -> None:
        for name, requestor, steps in LIVES:
            machine = Machine(requestor)
            for event in (Event(int(one.split(">")[0])) for one in steps.split()[:-1]):
                machine.react(event)
            machine.end()
            self.assertEqual(machine.state, State.STA1, name)
            machine.react(Event.ASSOCIATE_REQUEST)
            self.assertEqual(machine.state, State.STA4, "its next life begins where every one does")

    def test_one_step_at_a_time(self) -> None:
        """Of many threads that abort, one does."""
        machine = Machine(False)
        machine.react(Event.TRANSPORT_INDICATION)
        machine.react(Event.ASSOCIATE_RQ_PDU)
        gate, done = threading.Barrier(8), []

        def abort() -> None:
            gate.wait(10)
            try:
                done.append(machine.react(Event.ABORT_REQUEST).name)
            except LDicomUsageError:
                done.append("")

        threads = [threading.Thread(target=abort) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        self.assertEqual(sorted(done), [""] * 7 + ["AA-1"])


class Lives(unittest.TestCase):
    """One step after the other."""

    def test_lives(self) -> None:
        for name, requestor, steps in LIVES:
            with self.subTest(name):
                machine = UpperLayer(requestor)
                self.assertEqual(machine.state, State.STA1)
                for event, state in (one.split(">") for one in steps.split()):
                    machine.react(Event(int(event)))
                    self.assertEqual(machine.state, int(state), f"after event {event}")

    def test_states_and_events_are_those_of_the_standard(self) -> None:
        self.assertEqual([(state.name, state.value) for state in State], [(f"STA{one}", one) for one in range(1, 14)])
        self.assertEqual(sorted(Event), list(range(1, 20)))

    def test_machines_are_independent(self) -> None:
        one, other = UpperLayer(True), UpperLayer(True)
        one.react(Event.ASSOCIATE_REQUEST)
        self.assertEqual((one.state, other.state), (State.STA4, State.STA1))


if __name__ == "__main__":
    unittest.main()
