"""The storage SCP sample under bytes made by hand: what the standard allows, what it forbids, and what no one expects.

One server process with timers of a second serves all cases, many at once. A case is a row: number, title, what is sent,
and a regular expression for the whole of what comes back in the words of `raw`. Behind each area a normal client
must be served, no traceback may stand in the server's log, and nothing outside its folder may have been touched.
"""

from __future__ import annotations

import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import ClassVar, TextIO

from .raw import (
    APPLICATION,
    CLASS,
    COMMAND,
    CONTEXTS,
    CT,
    DATA,
    ECHO_CONTEXT,
    EXPLICIT,
    FIND,
    IMPLICIT,
    JPEG,
    LAST,
    NO_DATA,
    RELEASE,
    RELEASED,
    STORE_CONTEXT,
    USER,
    VERIFICATION,
    VERSION,
    Peer,
    Step,
    abort,
    accept,
    answer,
    answered,
    association,
    command,
    context,
    counted,
    data_set,
    drip,
    echo,
    echo_command,
    element,
    exchange,
    flood,
    fragments,
    instance_uid,
    item,
    max_length,
    message,
    other_command,
    p_data,
    pause,
    pdu,
    pdv,
    reject,
    request,
    store,
    store_command,
    user,
)

ROOT = Path(__file__).resolve().parent.parent
TIMER = 1.0
"""Seconds of the server's timers: ARTIM (-ta) and that of a started PDU or message (-td)."""
SLACK = 1.5
"""Seconds by which a loaded machine may be late."""
WORKERS = 48
OUR_MAXIMUM = 16384
"""What the server is told to announce as the longest PDU it receives."""

# --- expectations -------------------------------------------------------------------------------------------------

END = "(END|RESET)"
ACCEPTED = "AC 1:0 3:0"
SERVED = "8030/9 0000; RP"
"""The answers to `GOODBYE`."""
SOUND = f"{ACCEPTED}; {SERVED}"
"""A whole session."""
ABORTED = f"ABORT 2 .; {END}"
"""AA-8: the provider's abort, then the connection ends within ARTIM; the reason is not fixed by any action."""
REFUSED = f"(ABORT 0 .|RJ [12] [123] .); {END}"
"""AA-1, the abort that Sta2 knows, or a reject; then the end."""
TOLERATED = f"{SOUND}|{REFUSED}"
"""A receiver may be strict here, or not."""
FAILURE = "(0[12]..|[AC]...)"
NOT_STORED = f"(8001/1 {FAILURE}; {SERVED}|{ABORTED})"

GOODBYE: tuple[Step, ...] = (echo(9), answer, RELEASE)


@dataclass(frozen=True)
class Case:
    """One row: what is sent, what must come back, and within how many seconds of the last step."""

    number: int
    title: str
    steps: tuple[Step, ...]
    expected: str
    within: float = TIMER + SLACK


Row = tuple[int, str, "bytes | Step | tuple[Step, ...]", str]


def _steps(given: bytes | Step | tuple[Step, ...]) -> tuple[Step, ...]:
    return given if isinstance(given, tuple) else (given,)


def plain(rows: Iterable[Row], within: float = TIMER + SLACK) -> list[Case]:
    """Rows of what is sent on a new connection."""
    return [Case(number, title, _steps(steps), expected, within) for number, title, steps, expected in rows]


def asking(rows: Iterable[Row]) -> list[Case]:
    """Rows of requests; once accepted, an echo and a release follow."""
    return [
        Case(number, title, (*_steps(steps), answer, *GOODBYE), expected) for number, title, steps, expected in rows
    ]


def associated(rows: Iterable[Row], goodbye: bool = True, within: float = TIMER + SLACK) -> list[Case]:
    """Rows of what is sent in an established association; with `goodbye` an echo and a release follow."""
    tail = GOODBYE if goodbye else ()
    return [
        Case(number, title, (request(), answer, *_steps(steps), *tail), f"{ACCEPTED}; ({expected})", within)
        for number, title, steps, expected in rows
    ]


def half_close(peer: Peer) -> None:
    """A step: say that nothing more comes."""
    peer.half_close()


def reset(peer: Peer) -> None:
    """A step: go without a goodbye."""
    peer.reset()


def still(peer: Peer) -> None:
    """A step: write into the transcript that the connection stands."""
    peer.transcript.append("still")


STORED: dict[str, bytes] = {}
"""Data sets that must be in the server's folder at the end, by instance UID."""
MAYBE_STORED: set[str] = set()
"""Instance UIDs that may be there as well."""


def kept(data: bytes, instance: str) -> bytes:
    """A data set that is to be stored."""
    STORED[instance] = data
    return data


def stores(size: int = 0) -> tuple[bytes, bytes]:
    """Command set and data set of an instance of its own that is to be stored."""
    instance = instance_uid()
    return store_command(instance), kept(data_set(instance, size), instance)


def stored_message(size: int = 0) -> bytes:
    """A C-STORE-RQ that is to be stored."""
    return message(3, *stores(size))


# --- 1xx: user information ----------------------------------------------------------------------------------------


def _asks(*sub_items: bytes) -> bytes:
    return request(user_information=user(*sub_items))


def _informs(*sub_items: bytes) -> bytes:
    return request(user_information=item(0x50, b"".join(sub_items)))


def _role(uid: str, scu: int, scp: int) -> bytes:
    return item(0x54, counted(uid) + bytes((scu, scp)))


def _identity(kind: int, wants_answer: int, primary: bytes, secondary: bytes = b"") -> bytes:
    return item(0x58, bytes((kind, wants_answer)) + counted(primary) + counted(secondary))


USER_INFORMATION = asking(
    [
        (101, "maximum length 0: no limit", _informs(max_length(0), CLASS), SOUND),
        (102, "no maximum length", _informs(CLASS), TOLERATED),
        (103, "maximum length 4096", _informs(max_length(4096), CLASS), SOUND),
        (104, "maximum length 8: fragments of two bytes", _informs(max_length(8), CLASS), SOUND),
        (105, "maximum length 17: fragments are even all the same", _informs(max_length(17), CLASS), SOUND),
        (106, "maximum length 7: no fragment fits", _informs(max_length(7), CLASS), f"({ACCEPTED}; {ABORTED}|{REFUSED})"),
        (107, "maximum length 1: no fragment fits", _informs(max_length(1), CLASS), f"({ACCEPTED}; {ABORTED}|{REFUSED})"),
        (108, "maximum length FFFFFFFFH", _informs(max_length(0xFFFFFFFF), CLASS), SOUND),
        (109, "maximum length in 3 bytes", _informs(item(0x51, bytes(3)), CLASS), REFUSED),
        (110, "maximum length in 8 bytes", _informs(item(0x51, bytes(8)), CLASS), TOLERATED),
        (111, "maximum length twice", _asks(max_length(4096)), TOLERATED),
        (112, "no implementation class", _informs(max_length(0)), TOLERATED),
        (113, "implementation class of 64 characters", _informs(max_length(0), item(0x52, "1." + "2" * 62)), SOUND),
        (114, "empty implementation class", _informs(max_length(0), item(0x52)), TOLERATED),
        (115, "implementation class that is no UID", _informs(max_length(0), item(0x52, "a/../b")), TOLERATED),
        (116, "implementation class padded with a null", _informs(max_length(0), item(0x52, "1.2.3\0")), SOUND),
        (117, "version name of 16 characters", _asks(item(0x55, "V" * 16)), SOUND),
        (118, "version name of 40 characters", _asks(item(0x55, "V" * 40)), TOLERATED),
        (119, "version name with control characters", _asks(item(0x55, "A\x1b[31m\r\nB")), TOLERATED),
        (120, "empty version name", _asks(item(0x55)), TOLERATED),
        (121, "asynchronous operations window 1, 1", _asks(item(0x53, b"\0\1\0\1")), SOUND),
        (122, "asynchronous operations window without limit", _asks(item(0x53, bytes(4))), SOUND),
        (123, "asynchronous operations window FFFFH", _asks(item(0x53, b"\xff" * 4)), SOUND),
        (124, "asynchronous operations window of 3 bytes", _asks(item(0x53, bytes(3))), REFUSED),
        (125, "role selection: SCU", _asks(_role(CT, 1, 0)), SOUND),
        (126, "role selection: both", _asks(_role(CT, 1, 1)), SOUND),
        (127, "role selection: SCP", _asks(_role(CT, 0, 1)), ACCEPTED + ".*|" + REFUSED),
        (128, "role selection: neither", _asks(_role(CT, 0, 0)), ACCEPTED + ".*|" + REFUSED),
        (129, "role selection with values 2 and FFH", _asks(_role(CT, 2, 255)), TOLERATED),
        (130, "role selection for a class without context", _asks(_role("1.2.3", 1, 1)), SOUND),
        (131, "role selection: UID overruns", _asks(item(0x54, counted(CT, 60) + b"\1\1")), REFUSED),
        (132, "role selection: no roles", _asks(item(0x54, counted(CT))), REFUSED),
        (133, "role selection: one role", _asks(item(0x54, counted(CT) + b"\1")), REFUSED),
        (134, "role selection: a byte too many", _asks(item(0x54, counted(CT) + b"\1\1\1")), TOLERATED),
        (135, "role selection twice", _asks(_role(CT, 1, 0), _role(CT, 1, 1)), SOUND),
        (136, "role selection: UID padded with a null", _asks(_role(CT + "\0", 1, 0)), SOUND),
        (137, "SOP class extended negotiation", _asks(item(0x56, counted(CT) + b"\2\0\3\0\1\0")), SOUND),
        (138, "extended negotiation without information", _asks(item(0x56, counted(CT))), SOUND),
        (139, "extended negotiation for a class without context", _asks(item(0x56, counted("1.2.3") + b"x")), SOUND),
        (140, "extended negotiation: UID overruns", _asks(item(0x56, counted(CT, 200))), REFUSED),
        (141, "extended negotiation: one byte", _asks(item(0x56, b"\0")), REFUSED),
        (142, "extended negotiation of 60,000 bytes", _asks(item(0x56, counted(CT) + bytes(60000))), SOUND),
        (143, "common extended negotiation", _asks(item(0x57, counted(CT) + counted("1.2") + counted(counted("1.3")))), SOUND),
        (144, "common extended, nothing related", _asks(item(0x57, counted(CT) + counted("1.2") + counted(b""))), SOUND),
        (145, "common extended, version byte", _asks(item(0x57, counted(CT) + counted("1.2") + bytes(2), reserved=9)), SOUND),
        (146, "common extended: related run over", _asks(item(0x57, counted(CT) + counted("1.2") + counted(b"", 9))), REFUSED),
        (
            147,
            "common extended: a related UID runs over",
            _asks(item(0x57, counted(CT) + counted("1.2") + counted(counted("1.3", 9)))),
            REFUSED,
        ),
        (148, "common extended: cut behind the class", _asks(item(0x57, counted(CT))), REFUSED),
        (149, "common extended: reserved bytes behind", _asks(item(0x57, counted(CT) + counted("1.2") + bytes(9))), SOUND),
        (150, "user identity 1: name", _asks(_identity(1, 0, b"user")), SOUND),
        (151, "user identity 2: passcode", _asks(_identity(2, 0, b"user", b"secret")), SOUND),
        (152, "user identity 3: Kerberos", _asks(_identity(3, 0, bytes(range(256)))), SOUND),
        (153, "user identity 4: SAML", _asks(_identity(4, 0, b"<saml>" * 9000)), SOUND),
        (154, "user identity 5: JSON web token", _asks(_identity(5, 0, b"e30.e30.")), SOUND),
        (155, "user identity 1, answer wanted", _asks(_identity(1, 1, b"user")), SOUND),
        (156, "user identity 2, answer wanted", _asks(_identity(2, 1, b"user", b"secret")), SOUND),
        (157, "user identity 3, answer wanted", _asks(_identity(3, 1, b"ticket")), SOUND),
        (158, "user identity 4, answer wanted", _asks(_identity(4, 1, b"<saml/>")), SOUND),
        (159, "user identity 5, answer wanted", _asks(_identity(5, 1, b"e30.e30.")), SOUND),
        (160, "user identity 0", _asks(_identity(0, 0, b"user")), TOLERATED),
        (161, "user identity 255", _asks(_identity(255, 1, b"user")), TOLERATED),
        (162, "user identity, answer wanted: 2", _asks(_identity(1, 2, b"user")), TOLERATED),
        (163, "user identity: empty name", _asks(_identity(1, 1, b"")), TOLERATED),
        (164, "user identity 1 with a passcode", _asks(_identity(1, 0, b"user", b"secret")), TOLERATED),
        (165, "user identity: name overruns", _asks(item(0x58, b"\1\0" + counted(b"user", 99))), REFUSED),
        (166, "user identity: passcode overruns", _asks(item(0x58, b"\2\0" + counted(b"u") + counted(b"p", 9))), REFUSED),
        (167, "user identity: no passcode field", _asks(item(0x58, b"\1\0" + counted(b"user"))), TOLERATED),
        (168, "user identity: empty", _asks(item(0x58)), REFUSED),
        (169, "user identity: terminal escapes", _asks(_identity(1, 0, b"\x1b]0;x\7\r\nE: fake")), SOUND),
        (170, "user identity answer in a request", _asks(item(0x59, counted(b"x"))), TOLERATED),
        (171, "unknown sub-item 5AH", _asks(item(0x5A, b"what")), SOUND),
        (172, "unknown sub-items 00H, FFH, empty", _asks(item(0), item(0xFF)), SOUND),
        (173, "unknown sub-item of 60,000 bytes", _asks(item(0xA0, bytes(60000))), SOUND),
        (174, "200 unknown sub-items", _asks(*(item(0x60 + number % 99, b"x") for number in range(200))), SOUND),
        (175, "sub-item overruns", _asks(item(0x55, b"V", 99)), REFUSED),
        (176, "sub-item header cut", _asks(b"\x55\0\0"), REFUSED),
        (177, "sub-item header of one byte", _asks(b"\x55"), REFUSED),
        (178, "unknown sub-item overruns", _asks(item(0x5A, b"V", 0xFFFF)), REFUSED),
        (179, "reserved bytes of all sub-items set", _informs(*(
            item(kind, value, reserved=0xFF) for kind, value in ((0x51, b"\0\0\x40\0"), (0x52, "1.2"), (0x55, "X"))
        )), SOUND),
        (180, "sub-items in reverse order", _informs(VERSION, _role(CT, 1, 0), CLASS, max_length(0)), SOUND),
        (181, "user information empty", _informs(), TOLERATED),
        (182, "no user information", request(user_information=b""), TOLERATED),
        (183, "user information twice", request(user_information=USER + USER), TOLERATED),
        (184, "user information overruns the PDU", request(user_information=item(0x50, CLASS, 500)), REFUSED),
        (185, "user information underruns: rest is an item", request(
            user_information=item(0x50, max_length(0) + CLASS, 8)), TOLERATED),
        (186, "items in reverse order", association(1, USER + CONTEXTS + item(0x10, APPLICATION)), SOUND),
        (187, "unknown items between all", request(
            item(0x11, b"x") + ECHO_CONTEXT + item(0x60) + STORE_CONTEXT + item(0xFF, bytes(999))), SOUND),
        (188, "reserved bytes of all items set", association(1, b"".join((
            item(0x10, APPLICATION, reserved=1), item(0x20, CONTEXTS[4:len(ECHO_CONTEXT)], reserved=2),
            item(0x20, STORE_CONTEXT[4:], reserved=0xFF), item(0x50, USER[4:], reserved=0x80)))), SOUND),
        (189, "context answer 21H in a request", request(CONTEXTS + answered(5, 0, IMPLICIT)), SOUND),
    ]
)

# --- 2xx: fixed fields and application context --------------------------------------------------------------------

VERSION_REFUSED = f"RJ 1 2 2; {END}"
NAMELESS = f"{SOUND}|RJ 1 1 [37]; {END}|{REFUSED}"

FIXED_FIELDS = asking(
    [
        (201, "protocol version 0", request(version=0), VERSION_REFUSED),
        (202, "protocol version 2", request(version=2), VERSION_REFUSED),
        (203, "protocol version 3: bit 0 counts", request(version=3), SOUND),
        (204, "protocol version FFFFH", request(version=0xFFFF), SOUND),
        (205, "protocol version FFFEH", request(version=0xFFFE), VERSION_REFUSED),
        (206, "protocol version 8001H", request(version=0x8001), SOUND),
        (207, "reserved bytes set: repeated in the answer", request(reserved=b"\xff" * 34), SOUND),
        (208, "reserved bytes counted up", request(reserved=bytes(range(34))), SOUND),
        (209, "reserved byte of the PDU header", b"\1\xff" + request()[2:], SOUND),
        (210, "title in lower case", request(called=b"storescp", calling=b"wire"), SOUND),
        (211, "titles of 16 characters", request(called=b"A" * 16, calling=b"B" * 16), SOUND),
        (212, "titles with leading spaces: repeated as they are", request(called=b"  X", calling=b"   Y"), SOUND),
        (213, "titles padded with nulls: repeated as they are", request(called=b"X".ljust(16, b"\0")), SOUND),
        (214, "called title of spaces", request(called=b""), NAMELESS),
        (215, "called title of nulls", request(called=bytes(16)), NAMELESS),
        (216, "calling title of spaces", request(calling=b""), NAMELESS),
        (217, "titles with control characters", request(called=b"A\r\nE: x", calling=b"\x1b[2J\7"), NAMELESS),
        (218, "titles with a backslash", request(called=b"A\\B", calling=b"..\\..\\x"), NAMELESS),
        (219, "titles in Latin-1", request(called=b"\xe4\xf6\xfc", calling=b"\xff" * 16), NAMELESS),
        (220, "titles like paths and formats", request(called=b"../../etc/x", calling=b"%s%n{0}{x}"), NAMELESS),
        (221, "application context unknown", request(application=item(0x10, "1.2.3")), f"RJ 1 1 2; {END}"),
        (222, "no application context", request(application=b""), REFUSED),
        (223, "application context twice", request(application=item(0x10, APPLICATION) * 2), TOLERATED),
        (224, "application context padded with a null", request(application=item(0x10, APPLICATION + "\0")), SOUND),
        (225, "application context padded with a space", request(application=item(0x10, APPLICATION + " ")), TOLERATED),
        (226, "application context empty", request(application=item(0x10)), REFUSED),
        (227, "application context of 60,000 bytes", request(application=item(0x10, "1" * 60000)), REFUSED),
        (228, "application context with escapes", request(application=item(0x10, "\x1b[2J\r\nE: x")), REFUSED),
        (229, "application context overruns", request(application=item(0x10, APPLICATION, 0xFFFF)), REFUSED),
        (230, "PDU of 20 bytes", pdu(1, request()[6:26]), REFUSED),
        (231, "PDU of 67 bytes", pdu(1, request()[6:73]), REFUSED),
        (232, "PDU of 68 bytes: no items", pdu(1, request()[6:74]), REFUSED),
        (233, "PDU of no bytes", pdu(1), REFUSED),
        (234, "title of 16 nulls both", request(called=bytes(16), calling=bytes(16)), NAMELESS),
    ]
)

# --- 3xx: presentation contexts -----------------------------------------------------------------------------------


def _offers(*contexts: bytes) -> bytes:
    return request(ECHO_CONTEXT + b"".join(contexts))


def _with(result: str, number: int = 3) -> str:
    return f"AC 1:0 {number}:{result}; {SERVED}"


def _raw_context(content: bytes, length: int | None = None) -> bytes:
    return item(0x20, content, length)


ABSTRACT, TRANSFER = item(0x30, CT), item(0x40, IMPLICIT)
MANY = "; ".join(("AC 1:0 " + " ".join(f"{number}:0" for number in range(3, 256, 2)), SERVED))

PRESENTATION_CONTEXTS = asking(
    [
        (301, "no presentation context", request(b""), f"{REFUSED}|AC; .*"),
        (302, "an ID twice", _offers(STORE_CONTEXT, STORE_CONTEXT), REFUSED),
        (303, "an ID twice, both echo", request(ECHO_CONTEXT * 2), REFUSED),
        (304, "even ID", _offers(context(4, CT, IMPLICIT)), f"{REFUSED}|{_with('[1-4]', 4)}"),
        (305, "ID 0", _offers(context(0, CT, IMPLICIT)), f"{REFUSED}|{_with('[1-4]', 0)}"),
        (306, "ID 255", _offers(context(255, CT, IMPLICIT)), _with("0", 255)),
        (307, "IDs in falling order", request(STORE_CONTEXT + ECHO_CONTEXT), f"AC 3:0 1:0; {SERVED}"),
        (308, "128 contexts", _offers(*(context(n, CT, IMPLICIT) for n in range(3, 256, 2))), MANY),
        (309, "10,000 contexts", _offers(*(context(n % 256 | 1, CT, IMPLICIT) for n in range(10000))), REFUSED),
        (310, "abstract syntax not supported", _offers(context(3, FIND, IMPLICIT)), _with("3")),
        (311, "only what is not supported", request(context(1, FIND, IMPLICIT)), f"AC 1:3; {ABORTED}"),
        (312, "transfer syntax not supported", request(context(1, VERIFICATION, "1.2.3.4")), f"AC 1:4; {ABORTED}"),
        (313, "unknown transfer syntax first", request(context(1, VERIFICATION, "1.2.3", IMPLICIT)), f"AC 1:0; {SERVED}"),
        (314, "64 transfer syntaxes", _offers(context(3, CT, *(f"1.2.{n}" for n in range(63)), IMPLICIT)), _with("0")),
        (315, "compressed transfer syntax (+xa)", _offers(context(3, CT, JPEG)), _with("0")),
        (316, "private transfer syntax (+xa)", _offers(context(3, CT, "1.2.3.4")), _with("0")),
        (317, "private storage class", _offers(context(3, "1.3.6.1.4.1.99999.1", EXPLICIT)), _with("0")),
        (318, "one class in two contexts", _offers(STORE_CONTEXT, context(5, CT, EXPLICIT)), f"AC 1:0 3:0 5:0; {SERVED}"),
        (319, "two abstract syntaxes", _offers(_raw_context(b"\3\0\0\0" + ABSTRACT * 2 + TRANSFER)), REFUSED),
        (320, "no abstract syntax", _offers(_raw_context(b"\3\0\0\0" + TRANSFER)), f"{REFUSED}|{_with('[1-4]')}"),
        (321, "no transfer syntax", _offers(_raw_context(b"\3\0\0\0" + ABSTRACT)), f"{REFUSED}|{_with('[1-4]')}"),
        (322, "transfer before abstract syntax", _offers(_raw_context(b"\3\0\0\0" + TRANSFER + ABSTRACT)), _with("0")),
        (323, "unknown sub-item", _offers(context(3, CT, IMPLICIT, extra=item(0x41, b"x") + item(0))), _with("0")),
        (324, "reserved bytes set", _offers(context(3, CT, IMPLICIT, reserved=b"\xff\4\xff")), _with("0")),
        (325, "the same transfer syntax twice", _offers(context(3, CT, IMPLICIT, IMPLICIT)), _with("0")),
        (326, "UIDs padded with a null", _offers(context(3, CT + "\0", IMPLICIT + "\0")), _with("0")),
        (327, "UIDs padded with a space", _offers(context(3, CT + " ", IMPLICIT + " ")), f"{REFUSED}|{_with('[0-4]')}"),
        (328, "UIDs padded with many nulls", _offers(context(3, CT + "\0" * 9, IMPLICIT + "\0" * 7)), _with("[0-4]")),
        (329, "empty abstract syntax", _offers(context(3, "", IMPLICIT)), f"{REFUSED}|{_with('[1-4]')}"),
        (330, "empty transfer syntax", _offers(context(3, CT, "")), f"{REFUSED}|{_with('[0-4]')}"),
        (331, "abstract syntax that is no UID", _offers(context(3, "../../x", IMPLICIT)), f"{REFUSED}|{_with('[0-4]')}"),
        (332, "transfer syntax that is no UID", _offers(context(3, CT, "\x1b[2J\r\n")), f"{REFUSED}|{_with('[0-4]')}"),
        (333, "abstract syntax of 10,000 bytes", _offers(context(3, "1." * 5000, IMPLICIT)), f"{REFUSED}|{_with('[0-4]')}"),
        (334, "transfer syntax of 10,000 bytes", _offers(context(3, CT, "1." * 5000)), f"{REFUSED}|{_with('[0-4]')}"),
        (335, "transfer syntax *", _offers(context(3, VERIFICATION, "*")), f"{REFUSED}|{_with('[1-4]')}"),
        (336, "context overruns the PDU", _offers(_raw_context(STORE_CONTEXT[4:], 900)), REFUSED),
        (337, "context cut behind its ID", _offers(_raw_context(b"\3")), REFUSED),
        (338, "context without content", _offers(_raw_context(b"")), REFUSED),
        (339, "context without sub-items", _offers(_raw_context(bytes((3, 0, 0, 0)))), f"{REFUSED}|AC 1:0 3:[1-4]; .*"),
        (340, "context too short: its rest is an item", _offers(_raw_context(STORE_CONTEXT[4:], 20)), REFUSED),
        (341, "abstract syntax overruns", _offers(_raw_context(b"\3\0\0\0" + item(0x30, CT, 999))), REFUSED),
        (342, "transfer syntax overruns", _offers(_raw_context(b"\3\0\0\0" + ABSTRACT + item(0x40, IMPLICIT, 99))), REFUSED),
        (343, "transfer syntax too short", _offers(_raw_context(b"\3\0\0\0" + ABSTRACT + item(0x40, IMPLICIT, 3))), REFUSED),
        (344, "sub-item header cut", _offers(context(3, CT, IMPLICIT, extra=b"\x40\0")), REFUSED),
        (345, "item header of one byte", request(user_information=USER + b"\x50"), REFUSED),
        (346, "item header of three bytes", request(user_information=USER + b"\x50\0\0"), REFUSED),
        (347, "item of FFFFH behind all", request(user_information=USER + item(0x60, b"x", 0xFFFF)), REFUSED),
        (348, "storage class with a big endian syntax", _offers(context(3, CT, "1.2.840.10008.1.2.2")), _with("0")),
    ]
)

# --- 4xx: fragmentation -------------------------------------------------------------------------------------------


def _one_by_one() -> tuple[Step, ...]:
    """A whole session in segments of one byte."""
    session = (request(), stored_message(), echo(9), RELEASE)
    return tuple(step for data in session for step in (drip(data), answer))


def _cut(size: int, in_pdus: bool) -> bytes:
    """A stored message in fragments of `size` bytes, a PDU for each or one for all of a kind."""
    command_set, data = stores()
    kinds = (fragments(3, COMMAND, command_set, size), fragments(3, 0, data, size))
    return b"".join(map(p_data, (*kinds[0], *kinds[1]))) if in_pdus else p_data(*kinds[0]) + p_data(*kinds[1])


def _everywhere() -> tuple[Step, ...]:
    """An echo for each place where its PDU can be cut into two segments."""
    one = echo(1)
    return tuple(part for at in range(1, len(one)) for part in (one[:at], pause(0.001), one[at:]))


def _of_length(length: int) -> tuple[Step, ...]:
    """A stored message whose data set comes in one PDU of so many bytes; a rest follows where it is too short."""
    command_set, data = stores(1 << 17)
    first = length - 6
    rest = fragments(3, 0, data[first:], 8192)
    return (message(3, command_set), p_data(pdv(3, 0, data[:first])), b"".join(map(p_data, rest)))


def _too_long(length: int) -> bytes:
    """The same, but nothing that could be stored."""
    return message(3, store_command(instance_uid())) + p_data(pdv(3, 0, bytes(length - 6)))


def _command_and_data(empty: bool = False, bits: int = 0) -> bytes:
    """A stored message in one PDU, with empty fragments or with reserved bits of the control header set."""
    command_set, data = stores()
    nothing = [pdv(3, COMMAND)] * empty, [pdv(3, 0)] * empty
    values = (pdv(3, COMMAND | LAST | bits, command_set), pdv(3, LAST | bits, data))
    return p_data(*nothing[0], values[0], *nothing[1], values[1])


def _ending_empty() -> bytes:
    """A stored message whose last fragments are empty."""
    command_set, data = stores()
    parts = ((COMMAND, command_set), (COMMAND | LAST, b""), (0, data), (LAST, b""))
    return b"".join(p_data(pdv(3, control, part)) for control, part in parts)


KEPT = f"8001/1 0000; {SERVED}"

FRAGMENTATION = [
    *plain(
        [
            (401, "a whole session in segments of one byte", _one_by_one(), f"{ACCEPTED}; 8001/1 0000; 8030/9 0000; RP"),
            *(
                (402 + index, f"request cut at byte {at}", (request()[:at], pause(0.02), request()[at:], answer, *GOODBYE), SOUND)
                for index, at in enumerate((1, 2, 5, 6, 7, 73, 74, 75, 77, 78, 150, len(request()) - 1))
            ),
        ]
    ),
    *associated(
        [
            (420, "fragments of one byte", _cut(1, in_pdus=False), f"({KEPT}|{ABORTED})"),
            (421, "PDUs of fragments of one byte", _cut(1, in_pdus=True), f"({KEPT}|{ABORTED})"),
            (422, "fragments of two bytes", _cut(2, in_pdus=False), KEPT),
            (423, "PDUs of fragments of two bytes", _cut(2, in_pdus=True), KEPT),
            (424, "odd fragments", _cut(7, in_pdus=True), f"({KEPT}|{ABORTED})"),
            (425, "empty fragments first", _command_and_data(empty=True), KEPT),
            (426, "empty fragments last", _ending_empty(), KEPT),
            (427, "command and data in one PDU", _command_and_data(), KEPT),
            (428, "reserved bits of the control header", _command_and_data(bits=0xFC), KEPT),
            (429, "an echo cut at every byte", _everywhere(), "(8030/1 0000; ){" + str(len(echo()) - 1) + "}" + SERVED),
            (430, "20 echoes in one segment", b"".join(map(echo, range(101, 121))),
             "".join(f"8030/{n} 0000; " for n in range(101, 121)) + SERVED),
            (431, "store and echo in one segment", stored_message() + echo(2), f"8001/1 0000; 8030/2 0000; {SERVED}"),
            (432, "two messages in one PDU", p_data(*(pdv(1, 3, echo_command(n)) for n in (1, 2))),
             f"(8030/1 0000; 8030/2 0000; {SERVED}|(8030/1 0000; )?{ABORTED})"),
            (433, "a data set of 3 MiB", stored_message_in_pdus(3 << 20) if False else (), ".*"),
            (434, "a PDU of the whole maximum", _of_length(OUR_MAXIMUM), KEPT),
            (435, "a PDU of 6 bytes more, some do not count the header", _too_long(OUR_MAXIMUM + 6) + abort(), f"{END}|{ABORTED}"),
            (436, "a PDU of 7 bytes more", _too_long(OUR_MAXIMUM + 7), ABORTED),
            (437, "a PDU of a megabyte", _too_long(1 << 20), ABORTED),
            (438, "reserved byte of the P-DATA-TF header", b"\4\xff" + echo()[2:], f"8030/1 0000; {SERVED}"),
            (439, "everything in one segment", stored_message() + echo(1) + RELEASE, "8001/1 0000; 8030/1 0000; RP.*"),
        ]
    ),
]
