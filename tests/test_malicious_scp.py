"""The SCU samples against a server that misbehaves: each ends in bounded time, and with status 0 only on real success.

A row is a number, a title, what the server does, and how the program must end. The server is `raw` alone; both programs
run as processes, with timers of a second, many at once.
"""

from __future__ import annotations

import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import ClassVar

from . import sample_child
from .raw import (
    APPLICATION,
    CLASS,
    COMMAND,
    CT,
    DATA,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    LAST,
    LOOPBACK,
    NO_DATA,
    RELEASE,
    RELEASED,
    USER,
    VERIFICATION,
    Peer,
    Step,
    abort,
    accept,
    answer,
    answered,
    association,
    command,
    counted,
    data_set,
    drip,
    echo,
    element,
    exchange,
    flood,
    fragments,
    item,
    max_length,
    message,
    p_data,
    pause,
    pdu,
    pdv,
    reject,
    request,
)
from .support import some

ROOT = Path(__file__).resolve().parent.parent
TIMER = 1.0
"""Seconds of the programs' timers: connect (-to), association and release (-ta), response (-td)."""
BOUND = 4 * TIMER + 2.0
"""Seconds from the connection to the end of the program: one timer after the other, and a loaded machine."""
WORKERS = 64
INSTANCE = "1.2.826.0.1.3680043.9.7433.1000"
BIG_INSTANCE = "1.2.826.0.1.3680043.9.7433.1001"

FAILS, SUCCEEDS, EITHER = "fails", "succeeds", "either"


@dataclass(frozen=True)
class Program:
    """A sample: its name, what it asks for and how that is answered."""

    name: str
    accepted: bytes
    """The contexts that a well-behaved server answers with."""
    request: int
    uid: str
    files: tuple[str, ...] = ()


ECHO = Program("echo_scu", answered(1, 0, IMPLICIT), 0x30, VERIFICATION)
STORE = Program("store_scu", answered(1, 0, IMPLICIT) + answered(3, 0, EXPLICIT), 0x01, CT, ("one.dcm",))
PROGRAMS = (ECHO, STORE)
STORE_TWO = Program("store_scu", STORE.accepted, 0x01, CT, ("one.dcm", "two.dcm"))
STORE_BIG = Program("store_scu", STORE.accepted, 0x01, CT, ("big.dcm",))


class Visit(Peer):
    """The server's end of one connection.

    Attributes:
        program: who has connected.
    """

    program: Program

    @property
    def message_id(self) -> int:
        """That of the request last received, 2 before."""
        ids = [int(line.split("/")[1]) for line in self.transcript if re.fullmatch(r"00\d\d/\d+", line)]
        return ids[-1] if ids else 2


# --- what a server does -------------------------------------------------------------------------------------------


def accepts(visit: Peer) -> None:
    """A step: accept the association as a good server would."""
    assert isinstance(visit, Visit)
    visit.send(accept(visit.program.accepted))


def accepts_with(
    contexts: bytes | None = None, user_information: bytes = USER, application: bytes | None = None, **fixed: object
) -> Step:
    """A step: accept with other contexts, user information, application context, or fixed fields."""

    def send(visit: Peer) -> None:
        assert isinstance(visit, Visit)
        head = item(0x10, APPLICATION) if application is None else application
        answers = visit.program.accepted if contexts is None else contexts
        visit.send(association(2, head + answers + user_information, **fixed))  # type: ignore[arg-type]

    return send


def response(
    visit: Peer,
    status: int | None = 0,
    field: int | None = None,
    shift: int = 0,
    data_set_type: int = NO_DATA,
    without: int = -1,
    uid: str | None = None,
) -> bytes:
    """A response to the last request: its command set, altered as asked."""
    assert isinstance(visit, Visit)
    elements = {
        0x0002: element(0x0002, visit.program.uid if uid is None else uid),
        0x0100: element(0x0100, visit.program.request | 0x8000 if field is None else field),
        0x0120: element(0x0120, visit.message_id + shift),
        0x0800: element(0x0800, data_set_type),
        0x0900: element(0x0900, status or 0),
    }
    if visit.program.request == 1:
        elements[0x1000] = element(0x1000, INSTANCE)
    elements.pop(without, None)
    return command(*elements.values())


def replies(status: int = 0, number: int = 1, data: bytes | None = None, **altered: object) -> Step:
    """A step: send a response in one PDU, on a context."""

    def send(visit: Peer) -> None:
        visit.send(message(number, response(visit, status, **altered), data))  # type: ignore[arg-type]

    return send


def replies_as(cut: Callable[[bytes], bytes]) -> Step:
    """A step: send the bytes that `cut` makes of the command set of a good response."""
    return lambda visit: visit.send(cut(response(visit)))


def replies_bit_by_bit(seconds: float) -> Step:
    """A step: send a good response in segments of one byte."""
    return lambda visit: drip(message(1, response(visit)), seconds)(visit)


def floods(make: Callable[[Peer], bytes]) -> Step:
    """A step: send what `make` makes without end."""
    return lambda visit: flood(make(visit), BOUND + 1)(visit)


def half_close(visit: Peer) -> None:
    """A step: say that nothing more comes."""
    visit.half_close()


def close(visit: Peer) -> None:
    """A step: go."""
    visit.close()
    visit.ended = True


def reset(visit: Peer) -> None:
    """A step: go without a goodbye."""
    visit.reset()


def is_deaf(visit: Peer) -> None:
    """A step: read nothing for longer than a send may wait."""
    threading.Event().wait(3 * TIMER)


asked: Step = answer
"""A step: wait for the association request, for a message, or for the release request."""
ASSOCIATED: tuple[Step, ...] = (asked, accepts, asked)
"""The association stands, and the request has come."""
SUCCESS = replies()
ENDING: tuple[Step, ...] = (*ASSOCIATED, SUCCESS, asked)
"""The request was answered with success, and the release request has come."""


def whole(*accepting: Step) -> tuple[Step, ...]:
    """A session that differs from a good one in how the association is accepted."""
    return (asked, *accepting, asked, SUCCESS, asked, RELEASED)


def answering(*steps: Step) -> tuple[Step, ...]:
    """A session that differs from a good one in how the request is answered."""
    return (*ASSOCIATED, *steps, asked, RELEASED)


def _noise(seed: int) -> bytes:
    noise = random.Random(seed)
    return bytes((noise.randrange(8, 256),)) + noise.randbytes(20 << seed)


def _of_maximum(length: int) -> Step:
    """A step: accept, and state a maximum length."""
    return accepts_with(user_information=item(0x50, max_length(length) + CLASS))


def _is_response_shorter(size: int, lie: int | None = None) -> Callable[[bytes], bytes]:
    """A P-DATA-TF with the first bytes of the response in it, whatever its value claims."""
    return lambda data: p_data(pdv(1, COMMAND | LAST, data[:size], lie))


Row = tuple[int, str, tuple[Step, ...], str]

# --- 1xx: until the association stands ----------------------------------------------------------------------------

ACCEPTED_ECHO = accept(answered(1, 0, IMPLICIT), answered(3, 0, EXPLICIT))
UNKNOWN_ITEMS = item(0x60, bytes(60000))

ASSOCIATION: list[Row] = [
    (100, "all is well", (*ENDING, RELEASED), SUCCEEDS),
    (101, "accepts the connection and says nothing", (), FAILS),
    (102, "closes at once", (close,), FAILS),
    (103, "resets at once", (reset,), FAILS),
    (104, "closes one half at once", (half_close,), FAILS),
    (105, "closes behind the request", (asked, close), FAILS),
    (106, "resets behind the request", (asked, reset), FAILS),
    (107, "closes one half behind the request", (asked, half_close), FAILS),
    (108, "SSH banner", (b"SSH-2.0-OpenSSH_9.6\r\n",), FAILS),
    (109, "HTTP answer", (asked, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), FAILS),
    (110, "TLS alert", (asked, bytes.fromhex("15030300020228"), close), FAILS),
    (111, "nulls", (asked, bytes(100)), FAILS),
    (112, "nulls without end", (asked, floods(lambda visit: bytes(1 << 16))), FAILS),
    (113, "FFH", (asked, b"\xff" * 100), FAILS),
    *((114 + seed, f"noise of seed {seed}", (asked, _noise(seed)), FAILS) for seed in range(6)),
    (120, "answer byte by byte, quickly", whole(drip(ACCEPTED_ECHO)), SUCCEEDS),
    (121, "answer byte by byte, too slowly", (asked, drip(ACCEPTED_ECHO, 0.1)), FAILS),
    (122, "half an answer, then nothing", (asked, ACCEPTED_ECHO[:90]), FAILS),
    (123, "half an answer, then the end", (asked, ACCEPTED_ECHO[:90], close), FAILS),
    (124, "3 bytes of an answer", (asked, ACCEPTED_ECHO[:3]), FAILS),
    (125, "answer of FFFFFFFFH bytes", (asked, pdu(2, ACCEPTED_ECHO[6:], 0xFFFFFFFF)), FAILS),
    (126, "answer of 0 bytes", (asked, pdu(2)), FAILS),
    (127, "answer of 67 bytes", (asked, pdu(2, ACCEPTED_ECHO[6:73])), FAILS),
    (128, "answer of 300 KB", (asked, accepts_with(user_information=UNKNOWN_ITEMS * 5 + USER)), FAILS),
    (129, "answer of 240 KB", whole(accepts_with(user_information=UNKNOWN_ITEMS * 4 + USER)), SUCCEEDS),
    (130, "no context", (asked, accepts_with(b"")), FAILS),
    (131, "a context that was not offered", (asked, accepts_with(answered(99, 0, IMPLICIT)), asked), FAILS),
    (132, "an even context", (asked, accepts_with(answered(2, 0, IMPLICIT)), asked), FAILS),
    (133, "a transfer syntax that was not offered", (asked, accepts_with(answered(1, 0, JPEG)), asked, SUCCESS), FAILS),
    (134, "an empty transfer syntax", (asked, accepts_with(answered(1, 0, "")), asked, SUCCESS), FAILS),
    (135, "a context twice", (asked, accepts_with(answered(1, 0, IMPLICIT) * 2), asked), FAILS),
    (136, "a context accepted and refused", (asked, accepts_with(answered(1, 0, IMPLICIT) + answered(1, 3, IMPLICIT))),
     FAILS),
    *(
        (137 + index, f"result {result}", (asked, accepts_with(answered(1, result, IMPLICIT)), asked, RELEASED), FAILS)
        for index, result in enumerate((1, 2, 3, 4, 5, 255))
    ),
    (143, "a context without content", (asked, accepts_with(item(0x21))), FAILS),
    (144, "a context that overruns", (asked, accepts_with(item(0x21, answered(1, 0, IMPLICIT)[4:], 900))), FAILS),
    (145, "a transfer syntax that overruns",
     (asked, accepts_with(item(0x21, b"\1\0\0\0" + item(0x40, IMPLICIT, 99)))), FAILS),
    (146, "a good context and one that was not offered",
     whole(accepts_with(answered(1, 0, IMPLICIT) + answered(3, 0, EXPLICIT) + answered(99, 0, IMPLICIT))), EITHER),
    (147, "a request's context item", (asked, accepts_with(item(0x20, answered(1, 0, IMPLICIT)[4:]))), FAILS),
    *(
        (150 + length, f"maximum length {length}", (asked, _of_maximum(length), asked, SUCCESS, asked, RELEASED), FAILS)
        for length in range(1, 8)
    ),
    (158, "maximum length 8", whole(_of_maximum(8)), SUCCEEDS),
    (159, "maximum length 0: no limit", whole(_of_maximum(0)), SUCCEEDS),
    (160, "maximum length FFFFFFFFH", whole(_of_maximum(0xFFFFFFFF)), SUCCEEDS),
    (161, "no maximum length", whole(accepts_with(user_information=item(0x50, CLASS))), EITHER),
    (162, "maximum length of 2 bytes",
     whole(accepts_with(user_information=item(0x50, item(0x51, b"\x40\0") + CLASS))), FAILS),
    (163, "no user information", whole(accepts_with(user_information=b"")), EITHER),
    (164, "user information twice", whole(accepts_with(user_information=USER * 2)), EITHER),
    (165, "user information overruns", (asked, accepts_with(user_information=item(0x50, CLASS, 500))), FAILS),
    (166, "a sub-item overruns", (asked, accepts_with(user_information=item(0x50, item(0x52, "1.2", 99)))), FAILS),
    (167, "no application context", whole(accepts_with(application=b"")), EITHER),
    (168, "another application context", whole(accepts_with(application=item(0x10, "1.2.3"))), EITHER),
    (169, "protocol version 0", whole(accepts_with(version=0)), EITHER),
    (170, "other titles and reserved bytes: not tested",
     whole(accepts_with(called=b"\x1b[2J\r\n", calling=b"\xff" * 16, reserved=b"\xff" * 34)), SUCCEEDS),
    (171, "unknown items", whole(accepts_with(user_information=item(0x99, b"x") + USER + item(0))), SUCCEEDS),
    (172, "sub-items nobody asked for", whole(accepts_with(user_information=item(0x50, max_length(0) + CLASS + item(
        0x53, b"\0\1\0\1") + item(0x54, counted("1.2") + b"\1\1") + item(0x59, counted(b"x")) + item(0x5A)))), EITHER),
    (173, "version name with escapes", whole(accepts_with(user_information=item(
        0x50, max_length(0) + CLASS + item(0x55, "\x1b[2J\r\nE: x")))), SUCCEEDS),
    (174, "accepts twice", (asked, lambda visit: visit.send(ACCEPTED_ECHO * 2)), FAILS),
    (175, "accepts and rejects", (asked, accepts, reject(1, 1, 1)), FAILS),
    (176, "accepts and asks itself", (asked, accepts, request()), FAILS),
    (177, "accepts and answers a release", (asked, accepts, RELEASED), FAILS),
    (178, "accepts and asks for release", (asked, accepts, RELEASE), FAILS),
    (179, "accepts and aborts", (asked, accepts, abort()), FAILS),
    (180, "accepts and closes", (asked, accepts, close), FAILS),
    (181, "accepts and resets", (asked, accepts, reset), FAILS),
    (182, "accepts and closes one half", (asked, accepts, half_close), FAILS),
    (183, "accepts and answers without end what nobody asked",
     (asked, accepts, floods(lambda visit: message(1, response(visit, shift=77)) * 100)), FAILS),
    *(
        (185 + index, "rejects: result {}, source {}, reason {}".format(*numbers), (asked, reject(*numbers)), FAILS)
        for index, numbers in enumerate(((1, 1, 1), (1, 1, 7), (2, 3, 2), (2, 2, 1), (0, 0, 0), (9, 9, 9), (255,) * 3))
    ),
    (192, "rejects in 0 bytes", (asked, pdu(3)), FAILS),
    (193, "rejects in 5 bytes", (asked, pdu(3, bytes((0, 1, 1, 1, 1)))), FAILS),
    (194, "rejects and closes", (asked, reject(1, 1, 1), close), FAILS),
    (195, "aborts before it answers", (asked, abort()), FAILS),
    (196, "aborts with odd numbers", (asked, abort(9, 99)), FAILS),
    (197, "aborts before the request", (abort(2, 0),), FAILS),
    (198, "answers before the request", (ACCEPTED_ECHO, asked, asked, SUCCESS, asked, RELEASED), EITHER),
    (199, "data before the answer", (asked, echo()), FAILS),
    (200, "release request before the answer", (asked, RELEASE), FAILS),
    (201, "release answer before the answer", (asked, RELEASED), FAILS),
    (202, "a request of its own before the answer", (asked, request()), FAILS),
    (203, "PDU type 99H before the answer", (asked, pdu(0x99, b"what")), FAILS),
]

# --- 3xx: the answer to the request -------------------------------------------------------------------------------


def _statuses(first: int, statuses: Sequence[int], outcome: str) -> list[Row]:
    return [
        (first + index, f"status {status:04X}H", answering(replies(status)), outcome)
        for index, status in enumerate(statuses)
    ]


ANSWER: list[Row] = [
    (300, "no answer", ASSOCIATED, FAILS),
    (301, "closes", (*ASSOCIATED, close), FAILS),
    (302, "resets", (*ASSOCIATED, reset), FAILS),
    (303, "closes one half", (*ASSOCIATED, half_close), FAILS),
    (304, "aborts", (*ASSOCIATED, abort()), FAILS),
    (305, "aborts as provider", (*ASSOCIATED, abort(2, 5)), FAILS),
    (306, "aborts in 0 bytes", (*ASSOCIATED, pdu(7)), FAILS),
    (307, "asks for release", (*ASSOCIATED, RELEASE), FAILS),
    (308, "answers a release", (*ASSOCIATED, RELEASED), FAILS),
    (309, "rejects", (*ASSOCIATED, reject(1, 1, 1)), FAILS),
    (310, "accepts again", (*ASSOCIATED, accepts), FAILS),
    (311, "PDU type 99H", (*ASSOCIATED, pdu(0x99, b"what")), FAILS),
    (312, "wrong message ID", answering(replies(shift=1)), FAILS),
    (313, "message ID 0", answering(replies_as(lambda data: message(1, data.replace(
        element(0x120, 1), element(0x120, 0))))), FAILS),
    (314, "wrong message ID, then the right one", answering(replies(shift=1), SUCCESS), EITHER),
    (315, "context that was not offered", answering(replies(number=99)), FAILS),
    (316, "context 0", answering(replies(number=0)), FAILS),
    (317, "answer to another command", answering(replies(field=0x8020)), FAILS),
    (318, "answer to C-GET", answering(replies(field=0x8010)), FAILS),
    (319, "unknown answer 8FFFH", answering(replies(field=0x8FFF)), FAILS),
    (320, "a request instead", answering(echo()), FAILS),
    (321, "a C-CANCEL instead", answering(message(1, command(element(0x100, 0xFFF), element(0x120, 2), element(
        0x800, NO_DATA)))), FAILS),
    (322, "no status", answering(replies(without=0x900)), FAILS),
    (323, "no message ID", answering(replies(without=0x120)), FAILS),
    (324, "no command field", answering(replies(without=0x100)), FAILS),
    (325, "no data set type", answering(replies(without=0x800)), EITHER),
    (326, "no SOP class", answering(replies(without=0x002)), EITHER),
    (327, "another SOP class", answering(replies(uid="1.2.3")), EITHER),
    (328, "a SOP class with escapes", answering(replies(uid="\x1b[2J\r\n../x")), EITHER),
    (329, "an empty command set", answering(replies_as(lambda data: message(1, b""))), FAILS),
    (330, "half a command set", answering(replies_as(lambda data: message(1, data[:41]))), FAILS),
    (331, "a command set of noise", answering(replies_as(lambda data: message(1, b"\xa5" * 64))), FAILS),
    (332, "an endless command set", (*ASSOCIATED, floods(lambda visit: p_data(pdv(1, COMMAND, bytes(16000))))), FAILS),
    (333, "endless empty fragments", (*ASSOCIATED, floods(lambda visit: p_data(pdv(1, COMMAND)) * 1000)), FAILS),
    (334, "endless pending answers", (*ASSOCIATED, floods(lambda visit: message(1, response(visit, 0xFF00)) * 100)),
     FAILS),
    (335, "endless answers to another request",
     (*ASSOCIATED, floods(lambda visit: message(1, response(visit, shift=9)) * 100)), FAILS),
    (336, "a data set that never comes", answering(replies(data_set_type=DATA)), FAILS),
    (337, "a data set that comes", answering(replies(data_set_type=DATA, data=b"xx")), EITHER),
    (338, "the answer twice", answering(SUCCESS, SUCCESS), EITHER),
    (339, "the answer twice in one segment", answering(replies_as(lambda data: message(1, data) * 2)), EITHER),
    (340, "the answer 100 times", answering(replies_as(lambda data: message(1, data) * 100)), EITHER),
    (341, "half an answer, then nothing", (*ASSOCIATED, replies_as(lambda data: message(1, data)[:40])), FAILS),
    (342, "half an answer, then the end", (*ASSOCIATED, replies_as(lambda data: message(1, data)[:40]), close), FAILS),
    (343, "first fragment, then nothing",
     (*ASSOCIATED, replies_as(lambda data: p_data(pdv(1, COMMAND, data[:20])))), FAILS),
    (344, "the answer byte by byte, quickly", answering(replies_bit_by_bit(0)), SUCCEEDS),
    (345, "the answer byte by byte, too slowly", (*ASSOCIATED, replies_bit_by_bit(0.1)), FAILS),
    (346, "fragments of one byte", answering(replies_as(
        lambda data: b"".join(map(p_data, fragments(1, COMMAND, data, 1))))), EITHER),
    (347, "fragments of two bytes", answering(replies_as(lambda data: p_data(*fragments(1, COMMAND, data, 2)))),
     SUCCEEDS),
    (348, "empty fragments", answering(replies_as(
        lambda data: p_data(pdv(1, COMMAND), pdv(1, COMMAND, data), pdv(1, COMMAND | LAST)))), SUCCEEDS),
    (349, "P-DATA-TF of 0 bytes", (*ASSOCIATED, pdu(4)), FAILS),
    (350, "P-DATA-TF over the maximum", (*ASSOCIATED, p_data(pdv(1, COMMAND, bytes(131073)))), FAILS),
    (351, "P-DATA-TF of FFFFFFFFH bytes", (*ASSOCIATED, pdu(4, b"x", 0xFFFFFFFF)), FAILS),
    (352, "PDV of 0 bytes", (*ASSOCIATED, p_data(pdv(1, 3, b"", 0))), FAILS),
    (353, "PDV of FFFFFFFFH bytes", (*ASSOCIATED, replies_as(_is_response_shorter(999, 0xFFFFFFFF))), FAILS),
    (354, "PDV longer than its PDU", (*ASSOCIATED, replies_as(_is_response_shorter(20, 99))), FAILS),
    (355, "a data set where the answer belongs", (*ASSOCIATED, p_data(pdv(1, LAST, b"xx"))), FAILS),
    (356, "success, then an abort", (*ASSOCIATED, SUCCESS, abort()), FAILS),
    (357, "success, then the end", (*ASSOCIATED, SUCCESS, close), FAILS),
    (358, "an answer before the request", (asked, accepts, SUCCESS, asked, asked, RELEASED), EITHER),
    (359, "status with a failure, then the end", (*ASSOCIATED, replies(0xA700), close), FAILS),
    *_statuses(360, (0x0110, 0x0122, 0x0117, 0x0211, 0xA700, 0xA900, 0xC000, 0xCFFF), FAILS),
    *_statuses(370, (0xFE00, 0xFF00, 0xFF01, 0x1234, 0x7FFF, 0xFFFF, 0x0002, 0xD000), FAILS),
]

# --- 4xx: the release ---------------------------------------------------------------------------------------------

RELEASING: list[Row] = [
    (400, "no answer to the release", ENDING, FAILS),
    (401, "closes without an answer", (*ENDING, close), FAILS),
    (402, "resets without an answer", (*ENDING, reset), FAILS),
    (403, "closes one half without an answer", (*ENDING, half_close), FAILS),
    (404, "aborts instead", (*ENDING, abort()), FAILS),
    (405, "rejects instead", (*ENDING, reject(1, 1, 1)), FAILS),
    (406, "accepts instead", (*ENDING, accepts), FAILS),
    (407, "answers in 0 bytes", (*ENDING, pdu(6)), FAILS),
    (408, "answers in 8 bytes", (*ENDING, pdu(6, bytes(8))), FAILS),
    (409, "half an answer", (*ENDING, RELEASED[:5]), FAILS),
    (410, "an answer byte by byte", (*ENDING, drip(RELEASED)), SUCCEEDS),
    (411, "an answer with reserved bytes", (*ENDING, pdu(6, b"\xff" * 4, reserved=0xFF)), SUCCEEDS),
    (412, "release collision", (*ENDING, RELEASE, asked, RELEASED), SUCCEEDS),
    (413, "release collision, no answer", (*ENDING, RELEASE), FAILS),
    (414, "answers twice", (*ENDING, RELEASED * 2), SUCCEEDS),
    (415, "answers, then rubbish", (*ENDING, RELEASED + b"\xff" * 50), SUCCEEDS),
    (416, "another answer to the request first", (*ENDING, SUCCESS, RELEASED), EITHER),
    (417, "requests without end", (*ENDING, floods(lambda visit: echo() * 200)), FAILS),
    (418, "PDU type 99H instead", (*ENDING, pdu(0x99)), FAILS),
    (419, "answers and keeps the connection", (*ENDING, RELEASED), SUCCEEDS),
    (420, "answers and resets", (*ENDING, RELEASED, pause(0.05), reset), SUCCEEDS),
]

# --- 5xx: what only one of the programs can meet ------------------------------------------------------------------

ONLY_ECHO: list[Row] = [(500, "answer to C-STORE", answering(replies(field=0x8001)), FAILS)]
ONLY_STORE: list[Row] = [
    (510, "answer to C-ECHO", answering(replies(field=0x8030)), FAILS),
    (511, "answer on the other accepted context", answering(replies(number=3)), EITHER),
    (512, "aborts within the data set", (asked, accepts, pause(0.02), abort()), FAILS),
    (513, "only the class refused", (asked, accepts_with(answered(1, 3, IMPLICIT) + answered(3, 3, EXPLICIT)), asked,
                                     RELEASED), FAILS),
    *_statuses(520, (0xB000, 0xB006, 0xB007, 0x0001), SUCCEEDS),
]
TWO_FILES: list[Row] = [
    (530, "two files, all is well", (*ASSOCIATED, SUCCESS, asked, SUCCESS, asked, RELEASED), SUCCEEDS),
    (531, "the first of two refused", (*ASSOCIATED, replies(0xA700), asked, SUCCESS, asked, RELEASED), FAILS),
    (532, "the second of two refused", (*ASSOCIATED, SUCCESS, asked, replies(0xA700), asked, RELEASED), FAILS),
    (533, "closes between two", (*ASSOCIATED, SUCCESS, asked, close), FAILS),
    (534, "the second is never answered", (*ASSOCIATED, SUCCESS, asked), FAILS),
    (535, "the second is answered with the first one's ID",
     (*ASSOCIATED, SUCCESS, asked, replies(shift=-1), asked, RELEASED), FAILS),
    (536, "both answers to the first", (*ASSOCIATED, SUCCESS, replies(shift=0), asked, asked, RELEASED), EITHER),
]
BIG_FILE: list[Row] = [
    (540, "the data set is never read", (asked, accepts, is_deaf), FAILS),
    (541, "success before the data set has come", (asked, accepts, SUCCESS, asked, asked, RELEASED), EITHER),
    (542, "closes within the data set", (asked, accepts, pause(0.01), close), FAILS),
    (543, "aborts within the data set, which nobody reads", (asked, accepts, abort(),
                                                            is_deaf), FAILS),
    (544, "all is well with a large file", (*ENDING, RELEASED), SUCCEEDS),
]


@dataclass(frozen=True)
class Case:
    """A row and the program that meets it."""

    program: Program
    number: int
    title: str
    steps: tuple[Step, ...]
    outcome: str


def _cases(program: Program, *tables: Sequence[Row]) -> list[Case]:
    return [Case(program, *row) for table in tables for row in table]


# --- running them -------------------------------------------------------------------------------------------------


@contextmanager
def _server(case: Case) -> Iterator[tuple[int, list[float]]]:
    """A server that does what the case says with its first connection; its port, and when the connection came."""
    begun: list[float] = []
    listening = socket.create_server((LOOPBACK, 0))
    if case.program is STORE_BIG:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    listening.settimeout(10)

    def serve() -> None:
        try:
            sock, _address = listening.accept()
        except OSError:
            return
        begun.append(monotonic())
        visit = Visit(sock)
        visit.program = case.program
        exchange(visit, case.steps)
        until = begun[0] + BOUND + 1
        while not visit.ended and visit.next(until):
            pass
        visit.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1], begun
    finally:
        listening.close()
        thread.join(BOUND + 12)


AS_COMMANDS = frozenset((100, 101, 112, 121, 300, 400))
"""Cases in which the program is started as a user starts it; the others fork a process that has imported it."""


def _ending(case: Case, folder: Path, port: int, since: list[float]) -> tuple[int, str, float]:
    """Run a program; its exit status, what it wrote to standard error, and its seconds since the connection."""
    name, started = case.program.name, monotonic()
    arguments = f"-ta {TIMER} -td {TIMER} -to {TIMER} {LOOPBACK} {port}".split()
    arguments += [str(folder / file) for file in case.program.files]
    log = folder / f"{case.program.name}-{port}.stderr"
    if case.number in AS_COMMANDS:
        status = _command([sys.executable, str(ROOT / "samples" / f"{name}.py"), *arguments], log)
    else:
        status = sample_child.run(name, arguments, log, BOUND + 10)
    seconds = monotonic() - (since[0] if since else started)
    return status, log.read_text("utf-8", "backslashreplace"), seconds


def _command(command_line: list[str], log: Path) -> int:
    with log.open("wb") as errors:
        try:
            return subprocess.run(
                command_line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, timeout=BOUND + 10
            ).returncode
        except subprocess.TimeoutExpired:
            return -1


def _wrong(case: Case, status: int, errors: str, seconds: float) -> str:
    """What is wrong with how a program ended, or nothing."""
    lines = errors.splitlines()
    clear = [line for line in lines if line.startswith(f"{case.program.name}: ")]
    faults = []
    if "Traceback" in errors:
        faults.append("a traceback")
    if seconds > BOUND:
        faults.append(f"{seconds:.1f} seconds, {BOUND} are allowed")
    if status not in (0, 1):
        faults.append(f"exit status {status}")
    elif case.outcome != EITHER and (status == 0) != (case.outcome == SUCCEEDS):
        faults.append(f"exit status {status}, but it {case.outcome}")
    if (status != 0) != (len(clear) == 1):
        faults.append(f"{len(clear)} lines say what is wrong")
    if not all(line.isprintable() for line in lines):
        faults.append("a line that is not printable")
    if not faults:
        return ""
    return f"{case.program.name} {case.number} {case.title}: {', '.join(faults)}\n{errors[-2500:]}"


def run(case: Case, folder: Path) -> str:
    """Run one case; what is wrong, or nothing."""
    with _server(case) as (port, begun):
        return _wrong(case, *_ending(case, folder, port, begun))


def part10(instance: str, data: bytes) -> bytes:
    """A DICOM file in Implicit VR Little Endian."""

    def meta(number: int, vr: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) & 1)
        return struct.pack("<HH2sH", 2, number, vr, len(value)) + value

    uids = ((0x02, CT), (0x03, instance), (0x10, IMPLICIT), (0x12, "1.2.3.4.5"))
    group = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    group += b"".join(meta(number, b"UI", uid.encode()) for number, uid in uids)
    return bytes(128) + b"DICM" + meta(0, b"UL", struct.pack("<I", len(group))) + group + data


class MaliciousScp(unittest.TestCase):
    """Both programs against all of it."""

    folder: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        sizes = (("one", INSTANCE, 1 << 16), ("two", INSTANCE + ".2", 1 << 10), ("big", BIG_INSTANCE, 32 << 20))
        for name, instance, size in sizes:
            (cls.folder / f"{name}.dcm").write_bytes(part10(instance, data_set(instance, size)))

    def check(self, cases: Sequence[Case]) -> None:
        """Run these cases, many at once."""
        cases = some(cases)
        with ThreadPoolExecutor(WORKERS) as pool:
            for case, wrong in zip(cases, pool.map(lambda case: run(case, self.folder), cases), strict=True):
                with self.subTest(case.number):
                    self.assertEqual(wrong, "")

    def test_echo_scu(self) -> None:
        self.check(_cases(ECHO, ASSOCIATION, ANSWER, RELEASING, ONLY_ECHO))

    def test_store_scu(self) -> None:
        rest = _cases(STORE_TWO, TWO_FILES) + _cases(STORE_BIG, BIG_FILE)
        self.check(_cases(STORE, ASSOCIATION, ANSWER, RELEASING, ONLY_STORE) + rest)

    def test_no_server(self) -> None:
        """Nobody listens, nobody accepts, or the queue of those who wait is full."""
        with socket.create_server((LOOPBACK, 0)) as nobody:
            refused = nobody.getsockname()[1]
        deaf = self.enterContext(socket.create_server((LOOPBACK, 0), backlog=5)).getsockname()[1]
        with socket.create_server((LOOPBACK, 0), backlog=0) as full:
            waiting = [socket.socket() for _ in range(4)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(full.getsockname())
            places = (("nobody listens", refused), ("nobody accepts", deaf), ("full", full.getsockname()[1]))
            cases = [(Case(program, 100, title, (), FAILS), port) for title, port in places for program in PROGRAMS]
            with ThreadPoolExecutor(len(cases)) as pool:
                endings = pool.map(lambda case: _ending(case[0], self.folder, case[1], []), cases)
                wrong = [_wrong(case, *ending) for (case, _port), ending in zip(cases, endings, strict=True)]
            self.assertEqual(list(filter(None, wrong)), [])
            for sock in waiting:
                sock.close()


if __name__ == "__main__":
    unittest.main()
