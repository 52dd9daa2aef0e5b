"""The asynchronous operations window, requests that wait for it, and hooks beside the reader thread; over real TCP."""

from __future__ import annotations

import random
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO
from unittest import mock

from ldicomnet import (
    ANY_TRANSFER,
    ErrorCode,
    LDicomAssociate,
    LDicomDataError,
    LDicomDS,
    LDicomError,
    LDicomNet,
    LDicomTimeoutError,
    LDicomTransportError,
    LDicomUsageError,
    SocketOptions,
    Status,
    background,
)
from ldicomnet.body import MemoryBody
from ldicomnet.operations import Operations

from . import raw
from .support import CT, EXPLICIT, IMPLICIT, SECONDS, VERIFICATION, Ends, Recorder, request

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
ECHO_CONTEXT, STORE_CONTEXT, FIND_CONTEXT = 1, 3, 5
IDENTIFIER = LDicomDS.from_bytes(bytes.fromhex("10001000 02000000 412A"), IMPLICIT)
OBJECT = LDicomDS.from_bytes(bytes(1000), EXPLICIT, CT, "1.2.3")
Window = tuple[int, int]


def silent(*_: Any) -> None:
    """An answer to a hook: none."""


class Gated:
    """A body whose first bytes are there once the gate is open, or cannot be had then."""

    size = 1000

    def __init__(self, is_broken: bool = False) -> None:
        self.asked, self.gate, self.is_broken = threading.Event(), threading.Event(), is_broken

    def open(self) -> BinaryIO:
        """Not used."""
        raise AssertionError

    def chunks(self, size: int) -> Iterator[memoryview]:
        """All bytes at once, late."""
        self.asked.set()
        self.gate.wait(SECONDS)
        if self.is_broken:
            raise LDicomDataError(ErrorCode.READ, "it has gone")
        yield memoryview(bytes(1000))


class Called:
    """A call on a thread of its own, and what became of it."""

    def __init__(self, call: Callable[..., Any], *arguments: Any, **keywords: Any) -> None:
        self.error: LDicomError | None = None
        self.ended_at = 0.0

        def run() -> None:
            try:
                call(*arguments, **keywords)
            except LDicomError as error:
                self.error = error
            self.ended_at = monotonic()

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has returned or raised."""
        return self.ended_at > 0

    def join(self) -> LDicomError | None:
        """Its error, once it is over."""
        self.thread.join(SECONDS)
        assert not self.thread.is_alive(), "the call does not end"
        return self.error


class Held:
    """Requests that an end was sent and has not answered: noted on its reader thread, answered by the test."""

    def __init__(self, *ends: Recorder) -> None:
        self.changed = threading.Condition()
        self.waiting: list[tuple[Recorder, int, int]] = []
        self.order: list[int] = []
        self.most = 0
        for end in ends:
            end.answers["on_receive_c_echo_request"] = self.hold

    def hold(self, net: Recorder, context: int, message_id: int, *_: Any) -> None:
        """One more."""
        with self.changed:
            self.waiting.append((net, context, message_id))
            self.order.append(message_id)
            self.most = max(self.most, len(self.waiting))
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        """So many are there."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.waiting) >= count, SECONDS):
                raise AssertionError(f"{len(self.waiting)} requests came, not {count}; so far {self.order}")

    def answer(self, index: int = 0) -> int:
        """Answer one; the window has room for another from then on, so it is no longer counted."""
        with self.changed:
            net, context, message_id = self.waiting.pop(index)
        net.send_c_echo_response(context, message_id)
        return message_id


class Windows(Ends):
    """Tests with an association whose window was negotiated."""

    def ends(
        self, asked: Window | None, agreed: Window = (0, 0), prepare: Callable[[Recorder, Recorder], object] = silent
    ) -> tuple[Recorder, Recorder]:
        """Two ends over TCP; `asked` are the operations that the requestor invokes and performs, None for no item."""
        server, client = self.acceptor(), self.requestor()
        server.answers["on_receive_associate_request"] = lambda net, associate: net.send_associate_accept(
            associate.accept(lambda uid: ANY_TRANSFER, async_operations=agreed)
        )
        prepare(client, server)
        server.listen("127.0.0.1")
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_connect")
        client.send_associate_request(self.asked(asked))
        client.wait_for("on_receive_associate_accept")
        end = server.get_client(0)
        assert isinstance(end, Recorder)
        self.addCleanup(end.close_forced)
        return client, end

    def asked(self, window: Window | None) -> LDicomAssociate:
        """The request."""
        made = request((VERIFICATION, IMPLICIT), (CT, EXPLICIT), (FIND, IMPLICIT))
        if window is not None:
            made.set_async_operations(True, *window)
        return made

    def operations(self, net: LDicomNet) -> Operations:
        """Its outstanding requests."""
        assert net._conversation is not None
        return net._conversation.engine.sender.operations

    def wait_until(self, condition: Callable[[], object]) -> None:
        """What nobody tells of, but must come in time."""
        until, pause = monotonic() + SECONDS, threading.Event()
        while not condition():
            self.assertLess(monotonic(), until)
            pause.wait(0.002)

    def waiting(self, net: Recorder, message_id: int) -> Called:
        """A C-ECHO request on a thread of its own, that waits for the window."""
        operations = self.operations(net)
        before = len(getattr(operations._freed, "_waiters", ()))
        called = Called(net.send_c_echo_request, ECHO_CONTEXT, message_id)
        self.wait_until(lambda: len(getattr(operations._freed, "_waiters", ())) > before or called.is_over)
        self.assertFalse(called.is_over, called.error)
        return called

    def assert_goes_on(self, client: Recorder, end: Recorder) -> None:
        """The association stands, and a C-ECHO comes back."""
        end.answers.pop("on_receive_c_echo_request", None)
        count = client.count("on_receive_c_echo_response") + 1
        Called(client.send_c_echo_request, ECHO_CONTEXT, 9999).join()
        self.assertEqual(client.wait_for("on_receive_c_echo_response", count)[1], 9999)


class Negotiated(Windows):
    """What both sides keep to."""

    def test_each_side_has_its_own(self) -> None:
        """PS3.7 D.3.3.3: the acceptor invokes what the requestor performs."""
        rows: tuple[tuple[Window | None, Window, int | None, int | None], ...] = (
            # asked, agreed to at most, and what the requestor and the acceptor may invoke
            ((5, 4), (0, 0), 5, 4),
            ((5, 4), (2, 3), 2, 3),
            ((1, 1), (9, 9), 1, 1),
            ((0, 0), (0, 0), 0, 0),
            ((0, 7), (3, 0), 3, 7),
            ((0, 0), (1, 1), 1, 1),
            (None, (9, 9), None, None),
        )
        for asked, agreed, requestors, acceptors in rows:
            with self.subTest(asked=asked, agreed=agreed):
                client, end = self.ends(asked, agreed)
                self.assertEqual(self.operations(client).window, requestors)
                self.assertEqual(self.operations(end).window, acceptors)

    def test_an_answer_without_the_item(self) -> None:
        """PS3.7 D.3.3.3: then there is no window; nothing is enforced."""

        def accept(net: LDicomNet, associate: LDicomAssociate) -> None:
            answer = associate.accept(lambda uid: ANY_TRANSFER)
            answer.set_async_operations(False)
            net.send_associate_accept(answer)

        client, server = self.requestor(), self.acceptor()
        server.answers["on_receive_associate_request"] = accept
        self.join(client, server)
        client.wait_for("on_connect")
        client.send_associate_request(self.asked((3, 3)))
        client.wait_for("on_receive_associate_accept")
        both = {self.operations(client).window, self.operations(server).window}
        self.assertEqual(len(both), 1, "both sides have to mean the same")


class Kept(Windows):
    """Requests of threads that wait for room."""

    def test_never_more_than_agreed_at_once(self) -> None:
        """Eight threads that send as fast as they can, and answers in any order."""
        client, end = self.ends((3, 1))
        held, threads, each = Held(end), 8, 15
        total = threads * each

        def send() -> None:
            for _ in range(each):
                client.send_c_echo_request(ECHO_CONTEXT, client.next_message_id())

        calls = [Called(send) for _ in range(threads)]
        generator = random.Random(3)
        for answered in range(total):
            held.wait_for(min(3, total - answered))
            held.answer(generator.randrange(len(held.waiting)))
        self.assertEqual([call.join() for call in calls], [None] * threads)
        client.wait_for("on_receive_c_echo_response", total)
        got = [call[2] for call in client.calls if call[0] == "on_receive_c_echo_response"]
        self.assertEqual(sorted(got), list(range(1, total + 1)))
        self.assertEqual(held.most, 3)
        self.assertEqual(self.operations(client).awaited, {})

    def test_one_waits_until_another_is_answered(self) -> None:
        client, end = self.ends((1, 1))
        held = Held(end)
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        held.wait_for(1)
        second = self.waiting(client, 2)
        self.assertEqual(held.order, [1])
        held.answer()
        held.wait_for(1)
        self.assertIsNone(second.join())
        self.assertEqual(held.order, [1, 2])
        held.answer()

    def test_answers_in_any_order(self) -> None:
        """Each makes room for one, and belongs to its request by message ID."""
        client, end = self.ends((3, 3))
        held = Held(end)
        for message_id in (11, 12, 13):
            client.send_c_echo_request(ECHO_CONTEXT, message_id)
        fourth = self.waiting(client, 14)
        held.wait_for(3)
        self.assertEqual(held.answer(1), 12)
        self.assertEqual(client.wait_for("on_receive_c_echo_response"), (ECHO_CONTEXT, 12, VERIFICATION, 0))
        self.assertIsNone(fourth.join())
        held.wait_for(3)
        self.assertEqual(set(self.operations(client).awaited), {11, 13, 14})
        for index, expected in ((2, 14), (1, 13), (0, 11)):
            self.assertEqual(held.answer(index), expected)
        client.wait_for("on_receive_c_echo_response", 4)
        self.assertEqual(self.operations(client).awaited, {})

    def test_a_pending_response_makes_no_room(self) -> None:
        client, end = self.ends((1, 1))
        end.answers["on_receive_c_find_request"] = silent
        client.send_c_find_request(FIND_CONTEXT, 1, FIND, dataset=IDENTIFIER)
        end.wait_for("on_receive_c_find_request")
        second = self.waiting(client, 2)
        for _ in range(3):
            end.send_c_find_response(FIND_CONTEXT, 1, FIND, Status.PENDING, IDENTIFIER)
        client.wait_for("on_receive_c_find_response", 3)
        self.assertFalse(second.is_over)
        self.assertEqual(end.count("on_receive_c_echo_request"), 0)
        end.send_c_find_response(FIND_CONTEXT, 1, FIND, 0)
        end.wait_for("on_receive_c_echo_request")
        self.assertIsNone(second.join())

    def test_what_answers_nothing_makes_no_room(self) -> None:
        """A wrong message ID, or a wrong context."""
        client, end = self.ends((1, 1))
        held = Held(end)
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        held.wait_for(1)
        second = self.waiting(client, 2)
        end.send_c_echo_response(ECHO_CONTEXT, 77)
        end.send_c_echo_response(FIND_CONTEXT, 1)
        client.wait_for("on_receive_c_echo_response", 2)
        self.assertFalse(second.is_over)
        self.assertEqual(held.order, [1])
        held.answer()
        self.assertIsNone(second.join())

    def test_a_cancel_needs_no_room(self) -> None:
        client, end = self.ends((1, 1))
        end.answers["on_receive_c_find_request"] = silent
        client.send_c_find_request(FIND_CONTEXT, 1, FIND, dataset=IDENTIFIER)
        client.send_c_cancel_request(FIND_CONTEXT, 1)
        end.wait_for("on_receive_c_cancel_request")

    def test_answers_need_no_room(self) -> None:
        client, end = self.ends((1, 1))
        Held(end)
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        self.waiting(client, 2)
        end.send_c_echo_request(ECHO_CONTEXT, 1)
        end.wait_for("on_receive_c_echo_response")

    def test_a_request_that_could_not_be_sent_makes_room(self) -> None:
        client, end = self.ends((1, 1))
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "x.dcm"
        OBJECT.save(path)
        loaded = LDicomDS.load(path)
        path.unlink()
        for _ in range(3):
            with self.assertRaises(LDicomDataError):
                client.send_c_store_request(STORE_CONTEXT, 1, CT, "1.2.3", dataset=loaded)
        self.assertEqual(self.operations(client).awaited, {})
        self.assert_goes_on(client, end)

    def test_a_failed_request_makes_room_for_who_waits(self) -> None:
        client, _end = self.ends((1, 1))
        body = Gated(is_broken=True)
        broken = Called(
            client.send_c_store_request, STORE_CONTEXT, 1, CT, "1.2.3", dataset=LDicomDS(body, EXPLICIT)
        )
        self.assertTrue(body.asked.wait(SECONDS))
        second = self.waiting(client, 2)
        body.gate.set()
        self.assertIsInstance(broken.join(), LDicomDataError)
        self.assertIsNone(second.join())
        client.wait_for("on_receive_c_echo_response")

    def test_message_ids_in_use(self) -> None:
        for window in (3, 0):
            client, end = self.ends((window, 1))
            held = Held(end)
            client.send_c_echo_request(ECHO_CONTEXT, 1)
            with self.assertRaises(LDicomUsageError) as caught:
                client.send_c_echo_request(ECHO_CONTEXT, 1)
            self.assertEqual(caught.exception.code, ErrorCode.NET_IN_PROGRESS)
            held.wait_for(1)
            held.answer()
            client.wait_for("on_receive_c_echo_response")
            client.send_c_echo_request(ECHO_CONTEXT, 1)
            held.wait_for(1)

    def test_without_limit(self) -> None:
        """0 is no limit; and where nothing was negotiated nothing is enforced, not even distinct message IDs."""
        for asked in ((0, 0), None):
            with self.subTest(asked=asked):
                client, end = self.ends(asked)
                held = Held(end)
                for number in range(100):
                    client.send_c_echo_request(ECHO_CONTEXT, 7 if asked is None else number)
                held.wait_for(100)
                for _ in range(100):
                    held.answer(-1)
                client.wait_for("on_receive_c_echo_response", 100)
                self.assert_goes_on(client, end)

    def test_both_directions_at_once(self) -> None:
        """Threads of both ends send and wait, and their hooks answer."""
        client, end = self.ends((2, 2))

        def send(net: Recorder) -> None:
            for _ in range(40):
                net.send_c_echo_request(ECHO_CONTEXT, net.next_message_id())

        calls = [Called(send, net) for net in (client, end) for _ in range(3)]
        self.assertEqual([call.join() for call in calls], [None] * 6)
        for net in (client, end):
            net.wait_for("on_receive_c_echo_response", 120)
            self.assertEqual(self.operations(net).awaited, {})

    def test_large_objects_with_a_window(self) -> None:
        """Several on their way to a hook that answers each."""
        client, end = self.ends((4, 1))
        end.answers["on_receive_c_store_request"] = lambda net, context, message_id, sop_class, instance, *_: (
            net.send_c_store_response(context, message_id, sop_class, instance, 0)
        )
        large = LDicomDS.from_bytes(bytes(2 << 20), EXPLICIT, CT, "1.2.3")

        def send() -> None:
            for _ in range(3):
                client.send_c_store_request(STORE_CONTEXT, client.next_message_id(), CT, "1.2.3", dataset=large)

        calls = [Called(send) for _ in range(4)]
        self.assertEqual([call.join() for call in calls], [None] * 4)
        client.wait_for("on_receive_c_store_response", 12)


class FromHooks(Windows):
    """Requests that the reader thread sends: it cannot wait, so they are queued."""

    def queue(self, count: int, window: Window = (2, 1), **limits: int) -> tuple[Recorder, Recorder, Held]:
        """An association whose requestor sends so many requests as soon as it stands, in its hook."""
        helds: list[Held] = []
        self.errors: list[LDicomError] = []

        def send(net: Recorder, _associate: LDicomAssociate) -> None:
            for message_id in range(1, count + 1):
                try:
                    net.send_c_echo_request(ECHO_CONTEXT, message_id)
                except LDicomError as error:
                    self.errors.append(error)
            net.note("sent")

        def prepare(client: Recorder, server: Recorder) -> None:
            for name, value in limits.items():
                setattr(client.limits, name, value)
            helds.append(Held(server))
            client.answers["on_receive_associate_accept"] = send

        client, end = self.ends(window, prepare=prepare)
        client.wait_for("sent")
        return client, end, helds[0]

    def test_they_leave_in_order_and_no_more_than_agreed(self) -> None:
        for window in (1, 2, 3):
            client, end, held = self.queue(20, (window, 1))
            self.assertEqual(self.errors, [])
            for answered in range(20):
                held.wait_for(min(window, 20 - answered))
                held.answer(random.Random(answered).randrange(len(held.waiting)))
            client.wait_for("on_receive_c_echo_response", 20)
            self.assertEqual(held.order, list(range(1, 21)))
            self.assertEqual(held.most, window)
            self.assertEqual(client.get_queue_send(), 0)
            self.assert_goes_on(client, end)

    def test_what_waits_counts_as_queued(self) -> None:
        client, _end, held = self.queue(10)
        held.wait_for(2)
        waiting = client.get_queue_send()
        self.assertGreater(waiting, 0)
        held.answer()
        held.wait_for(2)
        self.assertLess(client.get_queue_send(), waiting)

    def test_so_many_may_wait_and_no_more(self) -> None:
        client, _end, held = self.queue(10, waiting_operations=5)
        self.assertEqual([error.code for error in self.errors], [ErrorCode.NET_NO_BUFFERS] * 3)
        for _ in range(7):
            held.wait_for(1)
            held.answer()
        client.wait_for("on_receive_c_echo_response", 7)
        self.assertEqual(held.order, list(range(1, 8)))

    def test_without_a_window_none_waits(self) -> None:
        for window in ((0, 0), None):
            _client, _end, held = self.queue(50, window)  # type: ignore[arg-type]
            held.wait_for(50)
            self.assertEqual(held.order, list(range(1, 51)))

    def test_requests_sent_in_the_hook_of_a_response(self) -> None:
        """The way of a client without threads: one after the other, or two for each answer."""
        client, end = self.ends((1, 1))
        left = iter(range(2, 31))

        def send_two(net: Recorder, *_: Any) -> None:
            for message_id in (next(left, 0), next(left, 0)):
                if message_id:
                    net.send_c_echo_request(ECHO_CONTEXT, message_id)

        client.answers["on_receive_c_echo_response"] = send_two
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        client.wait_for("on_receive_c_echo_response", 30)
        got = [call[2] for call in end.calls if call[0] == "on_receive_c_echo_request"]
        self.assertEqual(got, list(range(1, 31)))

    def test_a_c_get_with_its_c_stores(self) -> None:
        """The final response leaves behind the last C-STORE, and pending ones where they were sent."""
        client, end = self.ends((1, 1))
        got: list[tuple[str, int]] = []
        order = ("on_receive_c_store_request", "on_receive_c_get_response")

        def get(net: Recorder, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            for number in range(1, 6):
                net.send_c_store_request(STORE_CONTEXT, number, CT, "1.2.3", dataset=OBJECT)
                net.send_c_get_response(context, message_id, sop_class, Status.PENDING, 5 - number, number, 0, 0)
            net.send_c_get_response(context, message_id, sop_class, 0, 0, 5, 0, 0)

        end.answers["on_receive_c_get_request"] = get
        client.answers["on_receive_c_store_request"] = lambda net, context, message_id, sop_class, instance, *_: (
            net.send_c_store_response(context, message_id, sop_class, instance, 0)
        )
        client.send_c_get_request(FIND_CONTEXT, 9, FIND, dataset=IDENTIFIER)
        client.wait_for("on_receive_c_get_response", 6)
        got = [(call[0], call[2] if call[0] == order[0] else call[4]) for call in client.calls if call[0] in order]
        expected = [one for number in range(1, 6) for one in ((order[0], number), (order[1], 0xFF00))]
        self.assertEqual(got, [*expected, (order[1], 0)])

    def test_a_cancel_overtakes(self) -> None:
        client, end = self.ends((1, 1))
        end.answers["on_receive_c_find_request"] = silent

        def more(net: Recorder, *_: Any) -> None:
            net.send_c_echo_request(ECHO_CONTEXT, 2)
            net.send_c_cancel_request(FIND_CONTEXT, 1)

        client.answers["on_receive_c_find_response"] = more
        client.send_c_find_request(FIND_CONTEXT, 1, FIND, dataset=IDENTIFIER)
        end.wait_for("on_receive_c_find_request")
        end.send_c_find_response(FIND_CONTEXT, 1, FIND, Status.PENDING, IDENTIFIER)
        end.wait_for("on_receive_c_cancel_request")
        self.assertEqual(end.count("on_receive_c_echo_request"), 0)
        client.answers.clear()
        end.send_c_find_response(FIND_CONTEXT, 1, FIND, Status.CANCEL)
        end.wait_for("on_receive_c_echo_request")

    def test_a_cancel_does_not_overtake_what_it_cancels(self) -> None:
        client, end = self.ends((1, 1))
        for name in ("on_receive_c_find_request", "on_receive_c_cancel_request"):
            end.answers[name] = silent

        def more(net: Recorder, *_: Any) -> None:
            net.send_c_find_request(FIND_CONTEXT, 2, FIND, dataset=IDENTIFIER)
            net.send_c_cancel_request(FIND_CONTEXT, 2)

        client.answers["on_receive_c_find_response"] = more
        client.send_c_find_request(FIND_CONTEXT, 1, FIND, dataset=IDENTIFIER)
        end.wait_for("on_receive_c_find_request")
        end.send_c_find_response(FIND_CONTEXT, 1, FIND, Status.PENDING, IDENTIFIER)
        client.wait_for("on_receive_c_find_response")
        self.wait_until(lambda: client.get_queue_send() > 0)
        client.answers.clear()
        end.send_c_find_response(FIND_CONTEXT, 1, FIND, Status.SUCCESS)
        end.wait_for("on_receive_c_cancel_request")
        self.assertEqual(end.wait_for("on_receive_c_find_request", 2)[1], 2)
        self.assertEqual([name for name in end.names() if "c_" in name][-2:], list(end.answers)[-2:])

    def test_both_ends_send_from_hooks(self) -> None:
        """Each has one request under way and one queued, and then gets the other's: both answer, and all is done.

        An answer to the peer must not wait for the peer's answer, or both wait for ever.
        """
        def send(net: Recorder, *_: Any) -> None:
            net.send_c_echo_request(ECHO_CONTEXT, 1)
            net.send_c_echo_request(ECHO_CONTEXT, 2)
            net.note("sent")

        def accept_and_send(net: Recorder, associate: LDicomAssociate) -> None:
            net.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER, async_operations=(1, 1)))
            send(net)

        def prepare(client: Recorder, server: Recorder) -> None:
            server.answers["on_receive_associate_request"] = accept_and_send
            client.answers["on_receive_associate_accept"] = send

        client, end = self.ends((1, 1), prepare=prepare)
        for net in (client, end):
            net.wait_for("sent")
            net.wait_for("on_receive_c_echo_response", 2)
            self.assertEqual(self.operations(net).awaited, {})

    def test_a_response_in_the_hook_of_another_request_does_not_wait(self) -> None:
        """What waits for the window is ours; the peer's C-ECHO is answered meanwhile."""
        client, end, held = self.queue(3, (1, 1))
        held.wait_for(1)
        end.send_c_echo_request(ECHO_CONTEXT, 500)
        self.assertEqual(end.wait_for("on_receive_c_echo_response")[1], 500)
        self.assertEqual(client.count("on_receive_c_echo_response"), 0)

    def test_left_to_the_holder_of_the_lock(self) -> None:
        """While another thread sends, what was queued is left to it: each message once, and in order."""
        client, end = self.ends((1, 1))
        end.answers["on_receive_c_find_response"] = silent
        for name in ("on_receive_c_find_request", "on_receive_c_get_request", "on_receive_c_echo_request"):
            end.answers[name] = client.answers[name] = silent
        end.send_c_find_request(FIND_CONTEXT, 40, FIND, dataset=IDENTIFIER)
        client.wait_for("on_receive_c_find_request")
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        end.wait_for("on_receive_c_echo_request")

        def queue(net: Recorder, context: int, *_: Any) -> None:
            net.send_c_echo_request(ECHO_CONTEXT, 2)
            for status in (0xFF00, 0xFF01, 0xFF00, 0xA700):
                net.send_c_find_response(context, 40, FIND, status, IDENTIFIER if status > 0xFE00 else None)
            net.note("queued")

        client.answers["on_receive_c_cancel_request"] = queue
        end.send_c_cancel_request(FIND_CONTEXT, 40)
        client.wait_for("queued")
        body = Gated()
        sending = Called(
            client.send_c_get_response, FIND_CONTEXT, 99, FIND, Status.PENDING, dataset=LDicomDS(body, IMPLICIT)
        )
        self.assertTrue(body.asked.wait(SECONDS))
        end.send_c_echo_response(ECHO_CONTEXT, 1)
        self.assertEqual(client.wait_for("on_receive_c_echo_response")[1], 1)
        body.gate.set()
        self.assertIsNone(sending.join())
        self.assertEqual(end.wait_for("on_receive_c_echo_request", 2)[1], 2)
        end.wait_for("on_receive_c_find_response", 4)
        statuses = [call[4] for call in end.calls if call[0] == "on_receive_c_find_response"]
        self.assertEqual(statuses, [0xFF00, 0xFF01, 0xFF00, 0xA700])

    def test_behind_a_request_that_fails(self) -> None:
        """A thread's request had the window and could not be sent: what hooks queued meanwhile leaves all the same."""
        client, end = self.ends((1, 1))

        def queue(net: Recorder, *_: Any) -> None:
            net.send_c_echo_request(ECHO_CONTEXT, 2)
            net.note("queued")

        client.answers["on_receive_c_cancel_request"] = queue
        body = Gated(is_broken=True)
        broken = Called(
            client.send_c_store_request, STORE_CONTEXT, 1, CT, "1.2.3", dataset=LDicomDS(body, EXPLICIT)
        )
        self.assertTrue(body.asked.wait(SECONDS))
        end.send_c_cancel_request(FIND_CONTEXT, 1)
        client.wait_for("queued")
        body.gate.set()
        self.assertIsInstance(broken.join(), LDicomDataError)
        self.assertEqual(client.wait_for("on_receive_c_echo_response")[1], 2)

    def test_one_that_cannot_be_sent_in_its_turn(self) -> None:
        """Its hook has returned and believes it sent: the association is aborted, and nothing behind it leaves."""
        client, end = self.ends((1, 1))
        held = Held(end)
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "x.dcm"
        OBJECT.save(path)
        loaded = LDicomDS.load(path)

        def queue(net: Recorder, *_: Any) -> None:
            net.send_c_store_request(STORE_CONTEXT, 2, CT, "1.2.3", dataset=loaded)
            net.send_c_echo_request(ECHO_CONTEXT, 3)
            net.note("queued")

        client.answers["on_receive_c_cancel_request"] = queue
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        held.wait_for(1)
        end.send_c_cancel_request(FIND_CONTEXT, 1)
        client.wait_for("queued")
        path.unlink()
        with self.assertLogs("ldicomnet", "ERROR"):
            held.answer()
            self.assertEqual(end.wait_for("on_receive_abort"), (0, 0))
        end.wait_for("on_close")
        self.assertEqual(client.wait_for("on_close")[0], ErrorCode.READ)
        self.assertEqual(held.order, [1])

    def test_one_whose_turn_comes_when_the_connection_has_broken(self) -> None:
        """Nothing of ours is wrong then: no error in the log, and the reader finds out why it broke."""
        client, _end, held = self.queue(3, (1, 1))
        held.wait_for(1)
        assert client._conversation is not None
        outbox = client._conversation.engine.sender.outbox
        broken = LDicomTransportError(ErrorCode.NET_CONNECTION_RESET, "gone")
        with mock.patch.object(outbox, "write", side_effect=broken), self.assertLogs("ldicomnet", "WARNING") as logs:
            held.answer()
            self.assertEqual(client.wait_for("on_close")[0], ErrorCode.NET_CONNECTION_RESET)
        self.assertIn("message 2>, which waited for its turn, could not be sent: gone", "".join(logs.output))
        self.assertEqual({record.levelname for record in logs.records}, {"WARNING"})

    def test_within_a_message_nothing_is_queued(self) -> None:
        """`on_progress_status` is refused what it sends, and neither waits for the window nor ends the association."""
        self.check_that_nothing_is_queued(from_hook=False)

    def test_nor_within_one_that_a_hook_sends(self) -> None:
        """What it has queued before leaves in its turn."""
        self.check_that_nothing_is_queued(from_hook=True)

    def check_that_nothing_is_queued(self, from_hook: bool) -> None:
        """Within a message that the test sends, or a hook that has queued a request."""
        self.refused: list[ErrorCode] = []

        def prepare(client: Recorder, _server: Recorder) -> None:
            client.enable_progress_event = True
            client.on_progress_status = lambda sent, *_: sent and self.meddle(client)  # type: ignore[method-assign]

        def queue(net: Recorder, *_: Any) -> None:
            net.send_c_echo_request(ECHO_CONTEXT, 2)
            if from_hook:
                self.respond(net)
            net.note("queued")

        client, end = self.ends((1, 1), prepare=prepare)
        held = Held(end)
        client.answers["on_receive_c_cancel_request"] = queue
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        held.wait_for(1)
        end.send_c_cancel_request(FIND_CONTEXT, 1)
        client.wait_for("queued")
        if not from_hook:
            self.respond(client)
        held.answer()
        held.wait_for(1)
        self.assertEqual(held.order, [1, 2])
        held.answer()
        self.assertEqual(client.wait_for("on_receive_c_echo_response", 2)[1], 2)
        end.wait_for("on_receive_c_get_response")
        self.assertEqual(set(self.refused), {ErrorCode.NET_IN_PROGRESS})
        self.assertTrue(client.is_associated())

    def respond(self, net: Recorder) -> None:
        """A large message that needs no room in the window."""
        body = LDicomDS(MemoryBody(bytes(4 << 20)), IMPLICIT)
        net.send_c_get_response(FIND_CONTEXT, 99, FIND, Status.PENDING, dataset=body)

    def meddle(self, net: Recorder) -> None:
        """A request and a response, within a message."""
        for send in (
            lambda: net.send_c_echo_request(ECHO_CONTEXT, 50), lambda: net.send_c_echo_response(ECHO_CONTEXT, 50)
        ):  # fmt: skip
            try:
                send()
            except LDicomUsageError as error:
                self.refused.append(error.code)

    def test_what_waits_at_the_end_is_dropped(self) -> None:
        client, end, held = self.queue(10, (1, 1))
        held.wait_for(1)
        end.close()
        client.wait_for("on_close")
        self.assertEqual((client.get_queue_send(), held.order), (0, [1]))


class Ended(Windows):
    """Whoever waits is woken by the end, with one error that says so."""

    def check(self, end_it: Callable[[Recorder, Recorder], object], is_in_hook: bool = False) -> None:
        """Three threads wait; the association ends, while the reader thread is in a hook or while it is not."""
        client, end = self.ends((1, 1))
        held, gate, entered = Held(end), threading.Event(), threading.Event()
        self.addCleanup(gate.set)
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        held.wait_for(1)
        calls = [self.waiting(client, message_id) for message_id in (2, 3, 4)]
        if is_in_hook:
            client.answers["on_receive_c_cancel_request"] = lambda *_: (entered.set(), gate.wait(SECONDS))
            end.send_c_cancel_request(FIND_CONTEXT, 1)
            self.assertTrue(entered.wait(SECONDS))
        begun = monotonic()
        end_it(client, end)
        try:
            for call in calls:
                call.thread.join(max(0.0, begun + 1 - monotonic()))
                self.assertFalse(call.thread.is_alive(), "it waits although all is over")
                self.assertIsInstance(call.error, LDicomError)
        finally:
            gate.set()
        self.assertEqual(held.order, [1])
        client.wait_for("on_close")
        with self.assertRaises(LDicomUsageError):
            client.send_c_echo_request(ECHO_CONTEXT, 9)

    def test_by_an_abort_of_ours(self) -> None:
        self.check(lambda client, _end: client.send_abort(0, 0))

    def test_by_an_abort_of_the_peers(self) -> None:
        self.check(lambda _client, end: end.send_abort(0, 0))

    def test_by_the_peer_that_closes(self) -> None:
        self.check(lambda _client, end: end.close_forced())

    def test_by_closing(self) -> None:
        self.check(lambda client, _end: client.close())
        self.check(lambda client, _end: client.close_forced())

    def test_by_a_release_of_ours(self) -> None:
        self.check(lambda client, _end: client.send_release_request())

    def test_by_a_release_of_the_peers(self) -> None:
        self.check(lambda _client, end: end.send_release_request())

    def test_by_an_abort_while_the_reader_is_in_a_hook(self) -> None:
        """Who waits for the window does not wait for the hook."""
        self.check(lambda client, _end: client.send_abort(0, 0), is_in_hook=True)

    def test_by_closing_while_the_reader_is_in_a_hook(self) -> None:
        self.check(lambda client, _end: client.close_forced(), is_in_hook=True)

    def test_by_the_time(self) -> None:
        """No response comes: the association ends, and who waits is told within the same time."""
        client, end = self.ends((1, 1), prepare=lambda client, _server: setattr(client.timeouts, "dimse", 0.3))
        Held(end)
        client.send_c_echo_request(ECHO_CONTEXT, 1)
        begun = monotonic()
        call = Called(client.send_c_echo_request, ECHO_CONTEXT, 2)
        error = call.join()
        self.assertIsInstance(error, (LDicomTimeoutError, LDicomUsageError))
        self.assertLess(call.ended_at - begun, 2)
        self.assertEqual(client.wait_for("on_close")[0], ErrorCode.NET_TIME_OUT)

    def test_and_a_new_association_begins_anew(self) -> None:
        client, _server = self.requestor(), None
        for _ in range(2):
            server = self.acceptor()
            server.answers["on_receive_associate_request"] = lambda net, associate: net.send_associate_accept(
                associate.accept(lambda uid: ANY_TRANSFER, async_operations=(1, 1))
            )
            held = Held(server)
            self.join(client, server)
            client.wait_for("on_connect")
            client.send_associate_request(self.asked((1, 1)))
            client.wait_for("on_receive_associate_accept")
            client.send_c_echo_request(ECHO_CONTEXT, 1)
            held.wait_for(1)
            call = self.waiting(client, 2)
            client.close()
            self.assertIsInstance(call.join(), LDicomUsageError)
            client.wait_for("on_close")
            client.calls.clear()


class DeafPeer(Windows):
    """A peer that answers the association and then reads nothing: the kernel's small buffers are full at once."""

    LARGE = LDicomDS.from_bytes(bytes(8 << 20), EXPLICIT, CT, "1.2.3")

    def deaf(self, asked: Window | None = None, agreed: bytes = b"") -> tuple[Recorder, socket.socket]:
        """The requestor, associated, and the peer's socket."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind((raw.LOOPBACK, 0))
        listening.listen()
        self.addCleanup(listening.close)
        client = self.requestor()
        client.set_socket_options(SocketOptions(send_buffer_size=4096))
        client.connect("", 0, *listening.getsockname())
        sock, _address = listening.accept()
        self.addCleanup(sock.close)
        client.wait_for("on_connect")
        client.send_associate_request(self.asked(asked))
        sock.settimeout(SECONDS)
        sock.recv(1 << 16)
        contexts = [raw.answered(number, 0, uid) for number, uid in ((1, IMPLICIT), (3, EXPLICIT), (5, IMPLICIT))]
        sock.sendall(raw.accept(*contexts, user_information=raw.user(agreed)))
        client.wait_for("on_receive_associate_accept")
        return client, sock

    def stuck(self, client: Recorder, sock: socket.socket) -> Called:
        """A C-STORE that has begun to leave and does not get on."""
        call = Called(client.send_c_store_request, STORE_CONTEXT, 1, CT, "1.2.3", dataset=self.LARGE)
        sock.recv(1, socket.MSG_PEEK)
        return call

    def test_an_abort_waits_a_second_and_cuts(self) -> None:
        client, sock = self.deaf()
        call = self.stuck(client, sock)
        begun = monotonic()
        client.send_abort(0, 0)
        self.assertLess(monotonic() - begun, 2)
        self.assertIsInstance(call.join(), LDicomError)
        self.assertLess(call.ended_at - begun, 2)
        self.assertEqual(client.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def test_an_abort_from_a_hook(self) -> None:
        client, sock = self.deaf()
        call = self.stuck(client, sock)
        client.answers["on_receive_c_cancel_request"] = lambda net, *_: net.send_abort(0, 0)
        begun = monotonic()
        command = raw.other_command(0xFFF, uid=FIND)
        sock.sendall(raw.p_data(raw.pdv(FIND_CONTEXT, raw.COMMAND | raw.LAST, command)))
        self.assertIsInstance(call.join(), LDicomError)
        self.assertLess(call.ended_at - begun, 2)
        client.wait_for("on_close")

    def test_who_waits_for_the_window_is_told_too(self) -> None:
        client, sock = self.deaf((1, 1), raw.item(0x53, bytes((0, 1, 0, 1))))
        call = self.stuck(client, sock)
        second = self.waiting(client, 2)
        begun = monotonic()
        client.send_abort(0, 0)
        for one in (call, second):
            self.assertIsInstance(one.join(), LDicomError)
            self.assertLess(one.ended_at - begun, 2)

    def test_closing_by_force_waits_for_nothing(self) -> None:
        client, sock = self.deaf()
        call = self.stuck(client, sock)
        begun = monotonic()
        client.close_forced()
        self.assertLess(monotonic() - begun, 0.5)
        self.assertIsInstance(call.join(), LDicomError)
        self.assertLess(call.ended_at - begun, 1)

    def test_a_request_from_a_hook_meanwhile(self) -> None:
        """It is left to the thread that sends, and the reader thread goes on reading."""
        client, sock = self.deaf()
        self.stuck(client, sock)
        client.answers["on_receive_c_cancel_request"] = lambda net, *_: net.send_c_echo_request(ECHO_CONTEXT, 2)
        command = raw.p_data(raw.pdv(FIND_CONTEXT, raw.COMMAND | raw.LAST, raw.other_command(0xFFF, uid=FIND)))
        sock.sendall(command * 2)
        client.wait_for("on_receive_c_cancel_request", 2)


class Slow(Recorder):
    """Its C-FIND, C-GET and C-STORE requests are worked on beside the reader thread."""

    work: Callable[..., None] = staticmethod(silent)

    def create_client(self) -> Recorder:
        """A client works as its server does."""
        client = super().create_client()
        assert isinstance(client, Slow)
        client.work = self.work
        return client

    @background
    def on_receive_c_find_request(self, *arguments: Any) -> None:  # type: ignore[override]
        """Note it, with the thread, and work."""
        self.note("on_receive_c_find_request", *arguments)
        self.note("thread", threading.current_thread().name)
        self.work(self, *arguments)

    @background
    def on_receive_c_get_request(self, *arguments: Any) -> None:  # type: ignore[override]
        """The same."""
        self.note("on_receive_c_get_request", *arguments)
        self.work(self, *arguments)


class Background(Windows):
    """`@background`: hooks that run while others do, and while the reader thread reads."""

    def acceptor(self) -> Slow:
        """The server."""
        net = Slow()
        self.addCleanup(net.close_forced)
        return net

    def slow(self, asked: Window | None, work: Callable[..., None], **limits: int) -> tuple[Recorder, Slow]:
        """An association whose acceptor works so."""

        def prepare(_client: Recorder, server: Recorder) -> None:
            assert isinstance(server, Slow)
            server.work = work
            for name, value in limits.items():
                setattr(server.limits, name, value)

        client, end = self.ends(asked, prepare=prepare)
        assert isinstance(end, Slow)
        return client, end

    def find(self, client: Recorder, *message_ids: int) -> None:
        """Send C-FIND requests."""
        for message_id in message_ids:
            client.send_c_find_request(FIND_CONTEXT, message_id, FIND, dataset=IDENTIFIER)

    def statuses(self, client: Recorder, count: int) -> dict[int, int]:
        """The final responses by message ID, once there are so many."""
        client.wait_for("on_receive_c_find_response", count)
        return {call[2]: call[4] for call in client.calls if call[0] == "on_receive_c_find_response"}

    def test_several_at_the_same_time(self) -> None:
        """They meet: each waits for all the others, and none could alone."""
        meeting = threading.Barrier(3)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            meeting.wait(SECONDS)
            net.send_c_find_response(context, message_id, sop_class, 0)

        for asked in ((3, 1), (0, 1)):
            client, end = self.slow(asked, work)
            self.find(client, 1, 2, 3)
            self.assertEqual(self.statuses(client, 3), {1: 0, 2: 0, 3: 0})
            names = {call[1] for call in end.calls if call[0] == "thread"}
            self.assertEqual({name.rpartition("-")[2] for name in names}, {"worker"})

    def test_requests_of_one_message_id_whose_class_is_no_uid(self) -> None:
        """Each is answered without it: what a peer sends makes no hook fail."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            gate.wait(SECONDS)
            net.send_c_find_response(context, message_id, sop_class, 0)

        def answer_echo(net: LDicomNet, context: int, message_id: int, *_: Any) -> None:
            net.send_c_echo_response(context, message_id)
            gate.set()

        server = self.acceptor()
        server.work = work
        server.answers["on_receive_c_echo_request"] = answer_echo
        server.answers["on_receive_associate_request"] = lambda net, associate: net.send_associate_accept(
            associate.accept(lambda uid: ANY_TRANSFER, async_operations=(0, 0))
        )
        server.listen("127.0.0.1")
        peer = raw.Peer.connect(server.get_host_info()[1])
        self.addCleanup(peer.close)
        finds = [raw.other_command(0x20, raw.element(0x700, 0), data_set=raw.DATA, uid=uid) for uid in ("a", "b")]
        peer.send(raw.request(user_information=raw.user(raw.item(0x53, bytes(4)))))
        with self.assertNoLogs("ldicomnet", "ERROR"):
            peer.send(b"".join(raw.message(3, find, raw.data_set("1.2")) for find in finds) + raw.echo(7))
            while len(peer.transcript) < 4 and peer.next(monotonic() + SECONDS):
                pass
            server.server_close()
        self.assertEqual(sorted(peer.transcript), ["8020/1 0000"] * 2 + ["8030/7 0000", "AC 1:0 3:0"])

    def test_the_reader_reads_meanwhile(self) -> None:
        """C-ECHO is answered, and the answer to a request of the hook's own arrives."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            net.send_c_echo_request(ECHO_CONTEXT, 77)
            net.wait_for("on_receive_c_echo_response")
            gate.wait(SECONDS)
            net.send_c_find_response(context, message_id, sop_class, 0)

        client, end = self.slow(None, work)
        self.find(client, 1)
        client.send_c_echo_request(ECHO_CONTEXT, 5)
        client.wait_for("on_receive_c_echo_response")
        end.wait_for("on_receive_c_echo_response")
        self.assertEqual(client.count("on_receive_c_find_response"), 0)
        gate.set()
        self.assertEqual(self.statuses(client, 1), {1: 0})

    def test_one_at_a_time_where_nothing_was_negotiated(self) -> None:
        """A second one waits, while the reader hears what comes; a third runs on the reader thread."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            gate.wait(SECONDS)
            net.send_c_find_response(context, message_id, sop_class, 0)

        client, end = self.slow(None, work)
        self.find(client, 1, 2)
        client.send_c_echo_request(ECHO_CONTEXT, 5)
        client.wait_for("on_receive_c_echo_response")
        self.find(client, 3)
        end.wait_for("thread", 2)
        client.send_c_echo_request(ECHO_CONTEXT, 6)
        names = [call[1].rpartition("-")[2] == "worker" for call in end.calls if call[0] == "thread"]
        self.assertEqual(sorted(names), [False, True])
        self.assertEqual(client.count("on_receive_c_echo_response"), 1)
        gate.set()
        self.assertEqual(self.statuses(client, 3), {1: 0, 2: 0, 3: 0})
        client.wait_for("on_receive_c_echo_response", 2)

    def test_a_hook_that_goes_on_after_its_answer(self) -> None:
        """The next request comes as soon as the peer has its answer, and waits for a worker."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            net.send_c_find_response(context, message_id, sop_class, 0)
            gate.wait(SECONDS)

        client, end = self.slow(None, work)
        self.find(client, 1)
        self.assertEqual(self.statuses(client, 1), {1: 0})
        self.find(client, 2)
        client.send_c_echo_request(ECHO_CONTEXT, 5)
        client.wait_for("on_receive_c_echo_response")
        gate.set()
        self.assertEqual(self.statuses(client, 2), {1: 0, 2: 0})
        self.assertEqual({call[1].rpartition("-")[2] for call in end.calls if call[0] == "thread"}, {"worker"})

    def test_no_more_than_the_limit(self) -> None:
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            gate.wait(SECONDS)
            net.send_c_find_response(context, message_id, sop_class, 0)

        for asked, limit, expected in (((0, 1), 2, 2), ((3, 1), 16, 3), ((9, 1), 4, 4)):
            with self.subTest(asked=asked, limit=limit):
                gate.clear()
                client, end = self.slow(asked, work, workers=limit)
                self.find(client, *range(1, expected + 1))
                end.wait_for("thread", expected)
                assert end._conversation is not None
                workers = end._conversation._workers
                assert workers is not None
                taken = [workers.run(silent) for _ in range(expected + 1)]
                self.assertEqual(taken, [True] * expected + [False], "as many wait, and one more has no room")
                names = [call[1].rpartition("-")[2] for call in end.calls if call[0] == "thread"]
                self.assertEqual(names, ["worker"] * expected)
                gate.set()
                self.statuses(client, expected)

    def test_a_hook_that_raises(self) -> None:
        def work(net: Slow, *_: Any) -> None:
            raise ZeroDivisionError("in a hook")

        client, end = self.slow((3, 1), work)
        with self.assertLogs("ldicomnet", "ERROR") as logs:
            self.find(client, 1, 2, 3)
            self.assertEqual(self.statuses(client, 3), dict.fromkeys((1, 2, 3), Status.PROCESSING_FAILURE))
        self.assertIn("ZeroDivisionError", logs.output[0])
        self.assert_goes_on(client, end)

    def test_a_hook_that_ends_its_thread(self) -> None:
        """`sys.exit()` in a hook is an exception like any other."""

        def work(net: Slow, *_: Any) -> None:
            raise SystemExit

        client, end = self.slow((2, 1), work)
        with self.assertLogs("ldicomnet", "ERROR"):
            for message_id in range(1, 6):
                self.find(client, message_id)
                self.assertEqual(self.statuses(client, message_id)[message_id], Status.PROCESSING_FAILURE)
        self.assert_goes_on(client, end)

    def test_a_cancel_is_heard(self) -> None:
        """The hook asks now and then, and stops; the other one that runs goes on."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            pause, until = threading.Event(), monotonic() + SECONDS
            while monotonic() < until and not (message_id == 2 and gate.is_set()):
                if net.is_cancelled(message_id):
                    net.send_c_find_response(context, message_id, sop_class, Status.CANCEL)
                    net.note("cancelled is over", net.is_cancelled(message_id))
                    return
                net.send_c_find_response(context, message_id, sop_class, Status.PENDING, IDENTIFIER)
                pause.wait(0.01)
            net.send_c_find_response(context, message_id, sop_class, 0)

        client, end = self.slow((2, 1), work)
        self.find(client, 1, 2)
        client.wait_for("on_receive_c_find_response", 4)
        self.assertFalse(end.is_cancelled(1) or end.is_cancelled(2))
        client.send_c_cancel_request(FIND_CONTEXT, 1)
        end.wait_for("on_receive_c_cancel_request")
        self.wait_until(lambda: any(call[2] == 1 and call[4] == Status.CANCEL for call in self.responses(client)))
        self.assertEqual(end.wait_for("cancelled is over"), (False,), "an ID that was answered is free")
        self.assertFalse(end.is_cancelled(2))
        gate.set()
        self.wait_until(lambda: any(call[2] == 2 and call[4] == 0 for call in self.responses(client)))
        self.find(client, 1)
        end.wait_for("thread", 3)
        self.assertFalse(end.is_cancelled(1), "a new request with an ID that was cancelled is not")

    def responses(self, client: Recorder) -> list[tuple[Any, ...]]:
        """The C-FIND responses so far."""
        with client.changed:
            return [call for call in client.calls if call[0] == "on_receive_c_find_response"]

    def test_without_an_association_all_is_cancelled(self) -> None:
        """Nobody waits for an answer."""
        client, server = self.requestor(), self.acceptor()
        self.assertTrue(client.is_cancelled(1))
        self.join(client, server)
        client.wait_for("on_connect")
        self.assertTrue(client.is_cancelled(1))
        client.close()
        self.assertTrue(client.is_cancelled(1))

    def test_what_was_not_asked_cannot_be_cancelled(self) -> None:
        client, end = self.slow((2, 1), silent)
        client.send_c_cancel_request(FIND_CONTEXT, 9)
        end.wait_for("on_receive_c_cancel_request")
        self.assertFalse(end.is_cancelled(9))
        self.find(client, 9)
        end.wait_for("on_receive_c_find_request")
        self.assertFalse(end.is_cancelled(9), "it came before")

    def test_the_end_is_heard(self) -> None:
        """By whatever means: `is_cancelled` says so, what is sent then is one error, and the thread goes."""
        ways: tuple[Callable[[Recorder, Recorder], object], ...] = (
            lambda client, _end: client.send_abort(0, 0),
            lambda client, _end: client.close_forced(),
            lambda client, _end: client.send_release_request(),
            lambda _client, end: end.send_abort(0, 0),
            lambda _client, end: end.close(),
        )
        for number, way in enumerate(ways):
            with self.subTest(number=number):

                def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
                    pause, until = threading.Event(), monotonic() + SECONDS
                    net.note("begun")
                    while monotonic() < until and not net.is_cancelled(message_id):
                        pause.wait(0.005)
                    try:
                        net.send_c_find_response(context, message_id, sop_class, 0)
                    except LDicomError as error:
                        net.note("error", error)
                    net.note("thread object", threading.current_thread())

                client, end = self.slow((2, 1), work)
                self.find(client, 1)
                end.wait_for("begun")
                begun = monotonic()
                way(client, end)
                self.assertIsInstance(end.wait_for("error")[0], LDicomError)
                self.assertLess(monotonic() - begun, 2)
                end.wait_for("on_close")
                (thread,) = end.wait_for("thread object")
                thread.join(SECONDS)
                self.assertFalse(thread.is_alive())

    def test_a_hook_that_outlives_its_association_does_not_speak_on_the_next(self) -> None:
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            net.note("begun")
            gate.wait(SECONDS)
            net.note("is", net.is_cancelled(message_id), net.is_associated(), net.get_associate())
            sends: tuple[Callable[[], object], ...] = (
                lambda: net.send_c_find_response(context, message_id, sop_class, 0),
                lambda: net.send_release_request(),
                lambda: net.send_abort(0, 0),
            )
            net.close()
            net.close_forced()
            for send in sends:
                with self.assertRaises(LDicomUsageError) as caught:
                    send()
                net.note("code", caught.exception.code)

        client, end = self.slow((2, 1), work)
        old = end.get_associate()
        self.find(client, 1)
        end.wait_for("begun")
        client.close_forced()
        end.wait_for("on_close")
        server = Ends.acceptor(self)
        server.listen("127.0.0.1")
        end.connect("", 0, *server.get_host_info())
        end.wait_for("on_connect")
        end.send_associate_request(self.asked((2, 1)))
        end.wait_for("on_receive_associate_accept")
        gate.set()
        self.assertEqual(end.wait_for("code", 3), (ErrorCode.NET_NOT_CONNECTED,))
        self.assertEqual(end.wait_for("is"), (True, False, old))
        self.assertTrue(end.is_associated(), "its close() was for the association that is over")
        end.send_c_echo_request(ECHO_CONTEXT, 4)
        end.wait_for("on_receive_c_echo_response")
        self.assertTrue(end.is_associated())

    def test_no_hook_begins_after_the_end(self) -> None:
        """One that waited for its turn when the connection ended is not called any more."""
        gate = threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, *_: Any) -> None:
            net.note("begun")
            gate.wait(SECONDS)

        client, end = self.slow(None, work)
        self.find(client, 1, 2)
        end.wait_for("begun")
        assert end._conversation is not None
        workers = end._conversation._workers
        assert workers is not None
        self.wait_until(lambda: workers._unfinished == 2)
        client.close_forced()
        end.wait_for("on_close")
        gate.set()
        self.wait_until(lambda: not workers._threads)
        self.assertEqual(end.count("begun"), 1)

    def test_a_hook_that_raises_because_of_the_end_is_no_bug(self) -> None:
        """It is noted, and no error with a trace."""
        gate = threading.Event()

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            net.note("begun")
            gate.wait(SECONDS)
            net.send_c_find_response(context, message_id, sop_class, 0)

        client, end = self.slow((2, 1), work)
        self.find(client, 1)
        end.wait_for("begun")
        client.close_forced()
        end.wait_for("on_close")
        with self.assertNoLogs("ldicomnet", "ERROR"):
            threads = [thread for thread in threading.enumerate() if thread.name.endswith("-worker")]
            gate.set()
            for thread in threads:
                thread.join(SECONDS)

    def test_a_hook_that_waits_while_this_side_closes_is_no_bug(self) -> None:
        """The machine says that the association stands, as long as the reader thread is in a hook."""
        gate, entered, ended = threading.Event(), threading.Event(), threading.Event()
        self.addCleanup(gate.set)

        def work(net: Slow, *_: Any) -> None:
            try:
                for number in (1, 2):
                    net.send_c_store_request(STORE_CONTEXT, number, CT, "1.2.3", dataset=OBJECT)
            finally:
                ended.set()

        client, end = self.slow((1, 1), work)
        client.answers["on_receive_c_store_request"] = silent
        end.answers["on_receive_c_cancel_request"] = lambda *_: (entered.set(), gate.wait(SECONDS))
        self.find(client, 1)
        client.wait_for("on_receive_c_store_request")
        self.wait_until(lambda: getattr(self.operations(end)._freed, "_waiters", ()))
        client.send_c_cancel_request(FIND_CONTEXT, 1)
        self.assertTrue(entered.wait(SECONDS))
        threads = [thread for thread in threading.enumerate() if thread.name.endswith("-worker")]
        self.assertFalse(end.is_cancelled(2))
        with self.assertNoLogs("ldicomnet", "ERROR"):
            end.close_forced()
            self.assertTrue(ended.wait(SECONDS))
            self.assertTrue(end.is_cancelled(2))
            gate.set()
            for thread in threads:
                thread.join(SECONDS)

    def test_requests_of_a_background_hook_wait_for_the_window(self) -> None:
        """On its own thread it may wait: a C-GET with its C-STOREs one by one, the final response last."""

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            for number in range(1, 11):
                net.send_c_store_request(STORE_CONTEXT, number, CT, "1.2.3", dataset=OBJECT)
            net.send_c_get_response(context, message_id, sop_class, 0, 0, 10, 0, 0)

        client, _end = self.slow((1, 1), work)
        most, outstanding = 0, 0
        gate = threading.Semaphore(0)

        def stored(net: Recorder, context: int, message_id: int, sop_class: str, instance: str, *_: Any) -> None:
            nonlocal most, outstanding
            outstanding += 1
            most = max(most, outstanding)
            gate.acquire(timeout=SECONDS)
            outstanding -= 1
            net.send_c_store_response(context, message_id, sop_class, instance, 0)

        client.answers["on_receive_c_store_request"] = stored
        client.send_c_get_request(FIND_CONTEXT, 5, FIND, dataset=IDENTIFIER)
        for _ in range(10):
            gate.release()
        client.wait_for("on_receive_c_get_response")
        order = [name for name in client.names() if name in ("on_receive_c_store_request", "on_receive_c_get_response")]
        self.assertEqual(order, ["on_receive_c_store_request"] * 10 + ["on_receive_c_get_response"])
        self.assertEqual(most, 1)

    def test_the_association_ends_while_a_background_hook_waits_for_the_window(self) -> None:
        errors: list[LDicomError] = []
        done = threading.Event()

        def work(net: Slow, context: int, message_id: int, sop_class: str, *_: Any) -> None:
            try:
                for number in (1, 2):
                    net.send_c_store_request(STORE_CONTEXT, number, CT, "1.2.3", dataset=OBJECT)
            except LDicomError as error:
                errors.append(error)
            done.set()

        client, end = self.slow((1, 1), work)
        client.answers["on_receive_c_store_request"] = silent
        client.send_c_get_request(FIND_CONTEXT, 5, FIND, dataset=IDENTIFIER)
        client.wait_for("on_receive_c_store_request")
        self.wait_until(lambda: getattr(self.operations(end)._freed, "_waiters", ()))
        begun = monotonic()
        client.send_abort(0, 0)
        self.assertTrue(done.wait(SECONDS))
        self.assertLess(monotonic() - begun, 1)
        self.assertEqual(len(errors), 1)

    def test_not_marked_runs_on_the_reader(self) -> None:
        class Quick(Slow):
            def on_receive_c_find_request(self, *arguments: Any) -> None:  # type: ignore[override]
                """Not slow."""
                self.note("thread", threading.get_ident())

        client, server = self.requestor(), Quick()
        self.addCleanup(server.close_forced)
        server.answers["on_receive_associate_request"] = lambda net, associate: (
            net.send_associate_accept(associate.accept(lambda uid: ANY_TRANSFER)),
            net.note("reader", threading.get_ident()),
        )
        self.join(client, server)
        client.wait_for("on_connect")
        client.send_associate_request(self.asked(None))
        client.wait_for("on_receive_associate_accept")
        self.find(client, 1)
        self.assertEqual(server.wait_for("thread"), server.wait_for("reader"))
