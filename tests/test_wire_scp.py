"""The storage SCP sample under bytes made by hand: what the standard allows, what it forbids, and what no one expects.

One server process with timers of a second serves all cases, many at once. A case is a row: number, title, what is sent,
and a regular expression for the whole of what comes back in the words of `raw`. Behind each case a normal client must
be served; behind each area no traceback may stand in the server's log, and nothing outside its folder may have been
touched.
"""

from __future__ import annotations

import os
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
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import ClassVar

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
from .support import some

ROOT = Path(__file__).resolve().parent.parent
TIMER = 1.0
"""Seconds of the server's timers: ARTIM (-ta) and that of a started PDU or message (-td)."""
SLACK = 1.5
"""Seconds by which a loaded machine may be late."""
SERVICE = 5.0
"""Seconds within which a normal client is served while the other cases go on."""
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
GIVEN_UP = f"ABORT [02] .; {END}|{END}"
"""What a deadline of our own does, one that PS3.8 does not have: an abort, if the peer takes it, then the end."""
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


Row = tuple[int, str, "Step | tuple[Step, ...]", str] | tuple[int, str, "Step | tuple[Step, ...]", str, float]
"""Number, title, step or steps, expectation, and the seconds where they are not those of the others."""


def plain(rows: Iterable[Row], within: float = TIMER + SLACK) -> list[Case]:
    """Rows of what is sent on a new connection."""
    cases = []
    for number, title, given, expected, *own in rows:
        steps = given if isinstance(given, tuple) else (given,)
        cases.append(Case(number, title, steps, expected, own[0] if own else within))
    return cases


def asking(rows: Iterable[Row]) -> list[Case]:
    """Rows of requests; once accepted, an echo and a release follow."""
    return [replace(case, steps=(*case.steps, answer, *GOODBYE)) for case in plain(rows)]


def associated(rows: Iterable[Row], goodbye: bool = True, within: float = TIMER + SLACK) -> list[Case]:
    """Rows of what is sent in an established association; with `goodbye` an echo and a release follow."""
    tail = GOODBYE if goodbye else ()
    return [
        replace(case, steps=(request(), answer, *case.steps, *tail), expected=f"{ACCEPTED}; ({case.expected})")
        for case in plain(rows, within)
    ]


def half_close(peer: Peer) -> None:
    """A step: say that nothing more comes."""
    peer.half_close()


def reset(peer: Peer) -> None:
    """A step: go without a goodbye."""
    peer.reset()
    peer.transcript.append("gone")


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
        (106, "maximum length 7: no fragment fits", _informs(max_length(7), CLASS),
         f"({ACCEPTED}; {ABORTED}|{REFUSED})"),
        (107, "maximum length 1: no fragment fits", _informs(max_length(1), CLASS),
         f"({ACCEPTED}; {ABORTED}|{REFUSED})"),
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
        (143, "common extended negotiation", _asks(item(0x57, counted(CT) + counted("1.2") + counted(counted("1.3")))),
         SOUND),
        (144, "common extended, nothing related", _asks(item(0x57, counted(CT) + counted("1.2") + counted(b""))),
         SOUND),
        (145, "common extended, version byte", _asks(item(0x57, counted(CT) + counted("1.2") + bytes(2), reserved=9)),
         SOUND),
        (146, "common extended: related run over", _asks(item(0x57, counted(CT) + counted("1.2") + counted(b"", 9))),
         REFUSED),
        (
            147,
            "common extended: a related UID runs over",
            _asks(item(0x57, counted(CT) + counted("1.2") + counted(counted("1.3", 9)))),
            REFUSED,
        ),
        (148, "common extended: cut behind the class", _asks(item(0x57, counted(CT))), REFUSED),
        (149, "common extended: reserved bytes behind", _asks(item(0x57, counted(CT) + counted("1.2") + bytes(9))),
         SOUND),
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
        (166, "user identity: passcode overruns", _asks(item(0x58, b"\2\0" + counted(b"u") + counted(b"p", 9))),
         REFUSED),
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
        (313, "unknown transfer syntax first", request(context(1, VERIFICATION, "1.2.3", IMPLICIT)),
         f"AC 1:0; {SERVED}"),
        (314, "64 transfer syntaxes", _offers(context(3, CT, *(f"1.2.{n}" for n in range(63)), IMPLICIT)), _with("0")),
        (315, "compressed transfer syntax (+xa)", _offers(context(3, CT, JPEG)), _with("0")),
        (316, "private transfer syntax (+xa)", _offers(context(3, CT, "1.2.3.4")), _with("0")),
        (317, "private storage class", _offers(context(3, "1.3.6.1.4.1.99999.1", EXPLICIT)), _with("0")),
        (318, "one class in two contexts", _offers(STORE_CONTEXT, context(5, CT, EXPLICIT)),
         f"AC 1:0 3:0 5:0; {SERVED}"),
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
        (331, "abstract syntax that is no UID", _offers(context(3, "../../x", IMPLICIT)),
         f"{REFUSED}|{_with('[0-4]')}"),
        (332, "transfer syntax that is no UID", _offers(context(3, CT, "\x1b[2J\r\n")), f"{REFUSED}|{_with('[0-4]')}"),
        (333, "abstract syntax of 10,000 bytes", _offers(context(3, "1." * 5000, IMPLICIT)),
         f"{REFUSED}|{_with('[0-4]')}"),
        (334, "transfer syntax of 10,000 bytes", _offers(context(3, CT, "1." * 5000)), f"{REFUSED}|{_with('[0-4]')}"),
        (335, "transfer syntax *", _offers(context(3, VERIFICATION, "*")), f"{REFUSED}|{_with('[1-4]')}"),
        (336, "context overruns the PDU", _offers(_raw_context(STORE_CONTEXT[4:], 900)), REFUSED),
        (337, "context cut behind its ID", _offers(_raw_context(b"\3")), REFUSED),
        (338, "context without content", _offers(_raw_context(b"")), REFUSED),
        (339, "context without sub-items", _offers(_raw_context(bytes((3, 0, 0, 0)))), f"{REFUSED}|AC 1:0 3:[1-4]; .*"),
        (340, "context too short: its rest is an item", _offers(_raw_context(STORE_CONTEXT[4:], 20)), REFUSED),
        (341, "abstract syntax overruns", _offers(_raw_context(b"\3\0\0\0" + item(0x30, CT, 999))), REFUSED),
        (342, "transfer syntax overruns", _offers(_raw_context(b"\3\0\0\0" + ABSTRACT + item(0x40, IMPLICIT, 99))),
         REFUSED),
        (343, "transfer syntax too short", _offers(_raw_context(b"\3\0\0\0" + ABSTRACT + item(0x40, IMPLICIT, 3))),
         REFUSED),
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


def _large(size: int) -> bytes:
    """A stored message of many PDUs."""
    command_set, data = stores(size)
    return message(3, command_set) + b"".join(map(p_data, fragments(3, 0, data, OUR_MAXIMUM - 6)))


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
            (401, "a whole session in segments of one byte", _one_by_one(),
             f"{ACCEPTED}; 8001/1 0000; 8030/9 0000; RP"),
            *(
                (402 + index, f"request cut at byte {at}",
                 (request()[:at], pause(0.02), request()[at:], answer, *GOODBYE), SOUND)
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
            (433, "a data set of 3 MiB, which does not stay in memory", _large(3 << 20), KEPT),
            (434, "a PDU of the whole maximum", _of_length(OUR_MAXIMUM), KEPT),
            (435, "a PDU of 6 bytes more, some do not count the header", _too_long(OUR_MAXIMUM + 6) + abort(),
             f"{END}|{ABORTED}"),
            (436, "a PDU of 7 bytes more", _too_long(OUR_MAXIMUM + 7), ABORTED),
            (437, "a PDU of a megabyte", _too_long(1 << 20), ABORTED),
            (438, "reserved byte of the P-DATA-TF header", b"\4\xff" + echo()[2:], f"8030/1 0000; {SERVED}"),
            (439, "everything in one segment", stored_message() + echo(1) + RELEASE, "8001/1 0000; 8030/1 0000; RP.*"),
        ]
    ),
]

# --- 5xx: the state table, PS3.8 Table 9-10, for the side that accepts ----------------------------------------------

ANSWERS = (("A-ASSOCIATE-AC", accept(answered(1, 0, IMPLICIT))), ("A-ASSOCIATE-RJ", reject(1, 1, 1)))
UNKNOWN_TYPES = (0x00, 0x08, 0x7F, 0x80, 0xFF)
RELEASED_THEN = f"RP; {END}|{ABORTED}|RP; {ABORTED}"
"""Sta8 or Sta13, that depends on timing."""


def after_abort(data: bytes) -> tuple[Step, ...]:
    """Provoke an abort, and send `data` in Sta13."""
    return (RELEASED, answer, data)


STATES = [
    *plain(
        [
            (501, "Sta2: A-ASSOCIATE-AC", ANSWERS[0][1], f"ABORT 0 .; {END}"),
            (502, "Sta2: A-ASSOCIATE-RJ", ANSWERS[1][1], f"ABORT 0 .; {END}"),
            (503, "Sta2: P-DATA-TF", echo(), f"ABORT 0 .; {END}"),
            (504, "Sta2: A-RELEASE-RQ", RELEASE, f"ABORT 0 .; {END}"),
            (505, "Sta2: A-RELEASE-RP", RELEASED, f"ABORT 0 .; {END}"),
            (506, "Sta2: A-ABORT", abort(), END, 0.5),
            (507, "Sta2: A-ABORT with odd source and reason", abort(255, 255), END, 0.5),
            *(
                (510 + index, f"Sta2: PDU type {kind:02X}H", pdu(kind, b"what"), f"ABORT 0 .; {END}")
                for index, kind in enumerate(UNKNOWN_TYPES)
            ),
            (515, "Sta2: malformed A-ASSOCIATE-AC", pdu(2), f"ABORT 0 .; {END}"),
            (516, "Sta2: A-RELEASE-RQ of 3 bytes", pdu(5, bytes(3)), f"ABORT 0 .; {END}"),
            (517, "Sta2: two requests in one segment", request() * 2, f"({ACCEPTED}; {ABORTED}|{ABORTED})"),
            (518, "Sta2: request and echo in one segment", (request() + echo(9), answer, answer, RELEASE),
             f"({SOUND}|({ACCEPTED}; )?{ABORTED})"),
            (519, "Sta2: request and release in one segment", request() + RELEASE, f"({ACCEPTED}; RP|{ABORTED}).*"),
            (520, "Sta2: request and abort in one segment", request() + abort(), f"({ACCEPTED}; )?{END}"),
            (521, "Sta13 behind a reject: nothing more", request(version=0), f"RJ 1 2 2; {END}"),
            (522, "Sta13 behind a reject: P-DATA-TF", (request(version=0), answer, echo()), f"RJ 1 2 2; {END}"),
            (523, "Sta13 behind a reject: A-ABORT", (request(version=0), answer, abort()), f"RJ 1 2 2; {END}", 0.5),
            (524, "Sta13 behind a reject: another request", (request(version=0), answer, request()),
             f"RJ 1 2 2; {ABORTED}"),
        ]
    ),
    *associated(
        [
            (530, "Sta6: A-ASSOCIATE-RQ", request(), ABORTED),
            (531, "Sta6: A-ASSOCIATE-AC", ANSWERS[0][1], ABORTED),
            (532, "Sta6: A-ASSOCIATE-RJ", ANSWERS[1][1], ABORTED),
            (533, "Sta6: A-RELEASE-RP", RELEASED, ABORTED),
            (534, "Sta6: A-RELEASE-RQ", RELEASE, f"RP; {END}"),
            (535, "Sta6: A-ABORT", abort(), END, 0.5),
            (536, "Sta6: A-ABORT of the provider", abort(2, 6), END, 0.5),
            (537, "Sta6: A-ABORT with odd source and reason", abort(9, 99), END, 0.5),
            *(
                (540 + index, f"Sta6: PDU type {kind:02X}H", pdu(kind, b"what"), ABORTED)
                for index, kind in enumerate(UNKNOWN_TYPES)
            ),
            (545, "Sta6: malformed A-ASSOCIATE-RQ", pdu(1), ABORTED),
            (546, "Sta6: malformed A-ASSOCIATE-AC", pdu(2, bytes(9)), ABORTED),
            (547, "Sta6: A-RELEASE-RQ of 0 bytes", pdu(5), ABORTED),
            (548, "Sta6: A-RELEASE-RQ of 8 bytes", pdu(5, bytes(8)), ABORTED),
            (549, "Sta6: A-RELEASE-RQ with reserved bytes set", pdu(5, b"\xff" * 4, reserved=0xFF), f"RP; {END}"),
            (550, "Sta6: A-ABORT of 0 bytes", pdu(7), f"{END}|{ABORTED}"),
            (551, "Sta6: A-ABORT of 5 bytes", pdu(7, bytes(5)), f"{END}|{ABORTED}"),
            (552, "Sta6: A-ABORT with reserved bytes set", pdu(7, b"\xff\xff\0\0", reserved=0xFF), END, 0.5),
            (553, "Sta8 or 13: A-RELEASE-RQ twice", RELEASE * 2, RELEASED_THEN),
            (554, "Sta8 or 13: P-DATA-TF behind A-RELEASE-RQ", RELEASE + echo(), RELEASED_THEN),
            (555, "Sta8 or 13: A-ASSOCIATE-RQ behind A-RELEASE-RQ", RELEASE + request(), RELEASED_THEN),
            (556, "Sta8 or 13: A-ASSOCIATE-AC behind A-RELEASE-RQ", RELEASE + ANSWERS[0][1], RELEASED_THEN),
            (557, "Sta8 or 13: A-RELEASE-RP behind A-RELEASE-RQ", RELEASE + RELEASED, RELEASED_THEN),
            (558, "Sta8 or 13: A-ABORT behind A-RELEASE-RQ", RELEASE + abort(), f"(RP; )?{END}", 0.5),
            (559, "Sta8 or 13: PDU type 99H behind A-RELEASE-RQ", RELEASE + pdu(0x99), RELEASED_THEN),
            (560, "Sta13 behind a release: A-RELEASE-RQ", (RELEASE, answer, RELEASE), f"RP; {END}"),
            (561, "Sta13 behind a release: P-DATA-TF", (RELEASE, answer, echo()), f"RP; {END}"),
            (562, "Sta13 behind a release: A-ASSOCIATE-RQ", (RELEASE, answer, request()), f"RP; {ABORTED}"),
            (563, "Sta13 behind a release: PDU type 99H", (RELEASE, answer, pdu(0x99)), f"RP; {ABORTED}"),
            (564, "Sta13 behind a release: A-ABORT", (RELEASE, answer, abort()), f"RP; {END}", 0.5),
            (570, "Sta13 behind an abort: P-DATA-TF", after_abort(echo()), ABORTED),
            (571, "Sta13 behind an abort: A-ASSOCIATE-AC", after_abort(ANSWERS[0][1]), ABORTED),
            (572, "Sta13 behind an abort: A-ASSOCIATE-RJ", after_abort(ANSWERS[1][1]), ABORTED),
            (573, "Sta13 behind an abort: A-RELEASE-RQ", after_abort(RELEASE), ABORTED),
            (574, "Sta13 behind an abort: A-RELEASE-RP", after_abort(RELEASED), ABORTED),
            (575, "Sta13 behind an abort: A-ASSOCIATE-RQ", after_abort(request()), f"ABORT 2 .; {ABORTED}"),
            (576, "Sta13 behind an abort: PDU type 99H", after_abort(pdu(0x99)), f"ABORT 2 .; {ABORTED}"),
            (577, "Sta13 behind an abort: A-ABORT", after_abort(abort()), ABORTED, 0.5),
            (578, "Sta6: abort within a data set: nothing is stored",
             message(3, store_command(instance_uid())) + p_data(pdv(3, 0, bytes(100))) + abort(), END, 0.5),
            (579, "Sta6: abort within a command set",
             p_data(pdv(3, COMMAND, store_command(instance_uid())[:40])) + abort(), END, 0.5),
            (580, "Sta6: release within a data set: nothing is stored",
             message(3, store_command("1.2.580")) + p_data(pdv(3, 0, bytes(100))) + RELEASE, f"RP; {END}|{ABORTED}"),
            (581, "Sta6: release within a command set",
             p_data(pdv(3, COMMAND, store_command(instance_uid())[:40])) + RELEASE, f"RP; {END}|{ABORTED}"),
        ],
        goodbye=False,
    ),
]

# --- 6xx: lengths that lie ----------------------------------------------------------------------------------------

LENGTHS = [
    *plain(
        [
            (601, "request: length too short by 10", association(1, request()[74:], length=len(request()) - 16),
             f"ABORT 0 .; (ABORT 2 .; )*{END}"),
            (602, "request: length too long by 10", request(length=len(request()) + 4), f"(ABORT 0 .; )?{END}"),
            (603, "request: length FFFFFFFFH", request(length=0xFFFFFFFF), f"(ABORT 0 .; )?{END}"),
            (604, "request: length 80000000H", request(length=0x80000000), f"(ABORT 0 .; )?{END}"),
            (605, "request of 240,000 bytes", (request(CONTEXTS + item(0x60, bytes(60000)) * 4), answer, *GOODBYE),
             SOUND),
            (606, "request of 300,000 bytes", request(CONTEXTS + item(0x60, bytes(60000)) * 5), REFUSED),
            (607, "unknown type, length FFFFFFFFH", pdu(0x42, b"x", 0xFFFFFFFF), f"ABORT 0 .; {END}"),
            (608, "release, length FFFFFFFFH", pdu(5, bytes(4), 0xFFFFFFFF), f"ABORT 0 .; {END}"),
            (609, "P-DATA-TF, length FFFFFFFFH", pdu(4, bytes(4), 0xFFFFFFFF), f"ABORT 0 .; {END}"),
        ]
    ),
    *associated(
        [
            (620, "P-DATA-TF of 0 bytes", pdu(4), ABORTED),
            (621, "P-DATA-TF of 1 byte", pdu(4, b"\0"), ABORTED),
            (622, "P-DATA-TF of 5 bytes", pdu(4, bytes(5)), ABORTED),
            (623, "P-DATA-TF: length FFFFFFFFH", pdu(4, echo()[6:], 0xFFFFFFFF), ABORTED),
            (624, "P-DATA-TF: length 80000000H", pdu(4, echo()[6:], 0x80000000), ABORTED),
            (625, "P-DATA-TF: too short by 1", pdu(4, echo()[6:], len(echo()) - 7), f"{ABORTED}|ABORT 2 .; {ABORTED}"),
            (626, "P-DATA-TF: too long by 1, then nothing", pdu(4, echo()[6:], len(echo()) - 5),
             f"(8030/1 0000; )?{ABORTED}"),
            (627, "A-RELEASE-RQ: length FFFFFFFFH", pdu(5, bytes(4), 0xFFFFFFFF), ABORTED),
            (628, "A-ABORT: length FFFFFFFFH", pdu(7, bytes(4), 0xFFFFFFFF), f"{END}|{ABORTED}"),
            (629, "A-ASSOCIATE-RQ: length FFFFFFFFH", pdu(1, bytes(4), 0xFFFFFFFF), ABORTED),
            (630, "unknown type: length FFFFFFFFH", pdu(0x42, bytes(4), 0xFFFFFFFF), ABORTED),
            (631, "PDV length 0", p_data(pdv(1, 3, b"", 0)), ABORTED),
            (632, "PDV length 1", p_data(pdv(1, 3, b"", 1)), ABORTED),
            (633, "PDV length FFFFFFFFH", p_data(pdv(1, 3, echo_command(), 0xFFFFFFFF)), ABORTED),
            (634, "PDV length FFFFFFFCH", p_data(pdv(1, 3, echo_command(), 0xFFFFFFFC)), ABORTED),
            (635, "PDV length 80000000H", p_data(pdv(1, 3, echo_command(), 0x80000000)), ABORTED),
            (636, "PDV longer than its PDU by 1", p_data(pdv(1, 3, echo_command(), len(echo_command()) + 3)), ABORTED),
            (637, "PDV shorter than its PDU by 1", p_data(pdv(1, 3, echo_command(), len(echo_command()) + 1)), ABORTED),
            (638, "1 byte behind the last PDV", p_data(pdv(1, 3, echo_command()), b"\0"), f"(8030/1 0000; )?{ABORTED}"),
            (639, "5 bytes behind the last PDV", p_data(pdv(1, 3, echo_command()), bytes(5)),
             f"(8030/1 0000; )?{ABORTED}"),
            (640, "6 null bytes behind the last PDV", p_data(pdv(1, 3, echo_command()), bytes(6)),
             f"(8030/1 0000; )?{ABORTED}"),
            (641, "second PDV overruns", p_data(pdv(1, 3, echo_command()), pdv(1, 3, b"xx", 999)),
             f"(8030/1 0000; )?{ABORTED}"),
            (642, "context not offered", message(5, echo_command()), ABORTED),
            (643, "context 0", message(0, echo_command()), ABORTED),
            (644, "context even", message(2, echo_command()), ABORTED),
            (645, "context 255", message(255, echo_command()), ABORTED),
            (646, "context changes within a command set",
             p_data(pdv(1, COMMAND, echo_command()[:20]), pdv(3, 3, echo_command()[20:])), ABORTED),
            (647, "context changes between command set and data set",
             message(3, store_command(instance_uid())) + p_data(pdv(1, LAST, b"xx")), ABORTED),
            (648, "context changes within a data set", message(3, store_command(instance_uid())) + p_data(
                pdv(3, 0, b"xx")) + p_data(pdv(1, LAST, b"xx")), ABORTED),
            (649, "empty last fragment alone", p_data(pdv(1, 3)), ABORTED),
            (650, "empty fragment that is not the last, then an echo", p_data(pdv(1, COMMAND)) + echo(9) + RELEASE,
             SERVED),
            (651, "endless empty fragments, then an abort", p_data(*[pdv(1, COMMAND)] * 2000) * 20 + abort(), END),
        ],
        goodbye=False,
    ),
    *plain(
        [
            (660, "context refused in negotiation", (
                request(ECHO_CONTEXT + context(3, FIND, IMPLICIT)), answer, message(3, echo_command())),
             f"AC 1:0 3:3; {ABORTED}"),
        ]
    ),
]

# --- 7xx: command sets --------------------------------------------------------------------------------------------

UID, FIELD, ID, TYPE = element(2, VERIFICATION), element(0x100, 0x30), element(0x110, 1), element(0x800, NO_DATA)
ECHOED = f"8030/1 0000; {SERVED}"
EITHER = f"({ECHOED}|{ABORTED})"
ANSWERED_SOMEHOW = f"(8030/1 ....; {SERVED}|{ABORTED})"


def _echoes(command_set: bytes) -> bytes:
    return message(1, command_set)


def _explicit(number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", 0, number, vr, len(value)) + value


def _big_endian() -> bytes:
    values = ((0x0002, VERIFICATION.encode() + b"\0"), (0x0100, b"\0\x30"), (0x0110, b"\0\1"), (0x0800, b"\1\1"))
    return b"".join(struct.pack(">HHI", 0, number, len(value)) + value for number, value in values)


def _unknown(field: int, *elements: bytes) -> bytes:
    return message(3, other_command(field, *elements))


def _request_of(field: int, *elements: bytes) -> bytes:
    """A request that a storage SCP does not serve, with a data set."""
    return message(3, other_command(field, *elements, data_set=DATA), b"\x08\0\x52\0\6\0\0\0STUDY ")


def _refused(field: int) -> str:
    return f"({field | 0x8000:04X}/1 {FAILURE}; {SERVED}|{ABORTED})"


REQUESTED = (element(3, CT), element(0x1001, "1.2.3"))

COMMAND_SETS = associated(
    [
        (701, "group length too small", _echoes(command(UID, FIELD, ID, TYPE, group_length=10)), EITHER),
        (702, "group length too large", _echoes(command(UID, FIELD, ID, TYPE, group_length=1000)), EITHER),
        (703, "group length FFFFFFFFH", _echoes(command(UID, FIELD, ID, TYPE, group_length=0xFFFFFFFF)), EITHER),
        (704, "no group length", _echoes(UID + FIELD + ID + TYPE), EITHER),
        (705, "group length of 2 bytes", _echoes(element(0, 56) + UID + FIELD + ID + TYPE), EITHER),
        (706, "group length last", _echoes(UID + FIELD + ID + TYPE + element(0, bytes(4))), EITHER),
        (707, "elements in falling order", _echoes(command(TYPE, ID, FIELD, UID)), EITHER),
        (708, "an element twice", _echoes(command(UID, FIELD, ID, ID, TYPE)), EITHER),
        (709, "no command field", _echoes(command(UID, ID, TYPE)), ABORTED),
        (710, "no message ID", _echoes(command(UID, FIELD, TYPE)), f"({ABORTED}|8030/0 ....; {SERVED})"),
        (711, "no data set type", _echoes(command(UID, FIELD, ID)), EITHER),
        (712, "no SOP class", _echoes(command(FIELD, ID, TYPE)), ANSWERED_SOMEHOW),
        (713, "command field of 1 byte", _echoes(command(UID, element(0x100, b"\x30"), ID, TYPE)), ABORTED),
        (714, "command field of 4 bytes", _echoes(command(UID, element(0x100, b"\x30\0\0\0"), ID, TYPE)), EITHER),
        (715, "empty command field", _echoes(command(UID, element(0x100, b""), ID, TYPE)), ABORTED),
        (716, "message ID of 4 bytes", _echoes(command(UID, FIELD, element(0x110, b"\1\0\0\0"), TYPE)), EITHER),
        (717, "empty message ID", _echoes(command(UID, FIELD, element(0x110, b""), TYPE)), f"({ABORTED}|8030/0 .*)"),
        (718, "data set type of 1 byte", _echoes(command(UID, FIELD, ID, element(0x800, b"\1"))), EITHER),
        (719, "message ID 0", echo(0), f"8030/0 0000; {SERVED}"),
        (720, "message ID FFFFH", echo(0xFFFF), f"8030/65535 0000; {SERVED}"),
        (721, "elements unknown and retired",
         _echoes(command(UID, FIELD, ID, TYPE, element(0x5010, 0), element(0xFFFE, b""))),
         ECHOED),
        (722, "length of an odd number of bytes", _echoes(command(element(2, b"1.2.840.10008.1.1"), FIELD, ID, TYPE)),
         ANSWERED_SOMEHOW),
        (723, "an element of group 0008", _echoes(command(UID, FIELD, ID, TYPE, element(5, b"x ", group=8))), EITHER),
        (724, "an element of group 0002 first", _echoes(element(1, b"xx", group=2) + command(UID, FIELD, ID, TYPE)),
         EITHER),
        (725, "last element overruns", _echoes(command(UID, FIELD, ID, element(0x800, NO_DATA, 4))), ABORTED),
        (726, "an element of FFFFFFFFH bytes", _echoes(command(UID, FIELD, ID, element(0x800, NO_DATA, 0xFFFFFFFF))),
         ABORTED),
        (727, "an element of 80000000H bytes", _echoes(command(element(2, "1.2", 0x80000000), FIELD, ID, TYPE)),
         ABORTED),
        (728, "cut within a tag", _echoes(command(UID, FIELD, ID, TYPE) + b"\0\0"), ABORTED),
        (729, "cut within a length", _echoes(command(UID, FIELD, ID, TYPE) + bytes(7)), ABORTED),
        (730, "big endian", _echoes(_big_endian()), ABORTED),
        (731, "explicit value representations", _echoes(b"".join((
            _explicit(2, b"UI", VERIFICATION.encode() + b"\0"), _explicit(0x100, b"US", b"\x30\0"),
            _explicit(0x110, b"US", b"\1\0"), _explicit(0x800, b"US", b"\1\1")))), ABORTED),
        (732, "nothing but a group length", _echoes(command()), ABORTED),
        (733, "null bytes", _echoes(bytes(64)), ABORTED),
        (734, "text", _echoes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ABORTED),
        (735, "an element of 15,900 bytes", p_data(*fragments(1, COMMAND, command(UID, FIELD, ID, TYPE, element(
            0x902, bytes(15900))), 15000)), ECHOED),
        (736, "an endless command set", b"".join(p_data(pdv(1, COMMAND, bytes(16000))) for _ in range(64)), ABORTED),
        (737, "10,000 elements", b"".join(map(p_data, fragments(1, COMMAND, command(UID, FIELD, ID, TYPE, *(
            element(number, b"") for number in range(0x2000, 0x2000 + 10000))), 16000))), f"{ECHOED}|{ABORTED}"),
        (740, "unknown request 0002H", _unknown(0x0002), f"(8002/1 0211; {SERVED}|{ABORTED})"),
        (741, "unknown request 0000H", _unknown(0x0000), f"(8000/1 0211; {SERVED}|{ABORTED})"),
        (742, "unknown request 7FFFH", _unknown(0x7FFF), f"(FFFF/1 0211; {SERVED}|{ABORTED})"),
        (743, "unknown request with a data set", message(3, other_command(0x40, data_set=DATA), b"xx"),
         f"(8040/1 0211; {SERVED}|{ABORTED})"),
        (744, "unknown request with odd elements",
         _unknown(0x0002, element(0x1000, b"\xff" * 3), element(0x900, b"\1")),
         f"(8002/1 0211; {SERVED}|{ABORTED})"),
        (745, "unknown request without message ID", message(3, command(element(0x100, 2), TYPE)), ABORTED),
        (746, "unknown request with a class that is no UID", message(3, other_command(2, uid="../\x1b[2J")),
         f"(8002/1 0211; {SERVED}|{ABORTED})"),
        (747, "unknown response C030H", _unknown(0xC030, element(0x900, 0)), f"({SERVED}|{ABORTED})"),
        (748, "unknown response 8FFFH", _unknown(0x8FFF, element(0x900, 0)), f"({SERVED}|{ABORTED})"),
        (750, "C-FIND", _request_of(0x20, element(0x700, 0)), _refused(0x20)),
        (751, "C-GET", _request_of(0x10, element(0x700, 0)), _refused(0x10)),
        (752, "C-MOVE", _request_of(0x21, element(0x600, "DEST"), element(0x700, 0)), _refused(0x21)),
        (753, "C-MOVE to nowhere", _request_of(0x21), _refused(0x21)),
        (754, "N-EVENT-REPORT", _request_of(0x100, element(0x1000, "1.2.3"), element(0x1002, 1)), _refused(0x100)),
        (755, "N-EVENT-REPORT without event type", _request_of(0x100), _refused(0x100)),
        (756, "N-GET", message(3, other_command(0x110, *REQUESTED, element(0x1005, b"\x10\0\x10\0"))), _refused(0x110)),
        (757, "N-GET with half a tag", message(3, other_command(0x110, *REQUESTED, element(0x1005, b"\x10\0"))),
         _refused(0x110)),
        (758, "N-SET", _request_of(0x120, *REQUESTED), _refused(0x120)),
        (759, "N-ACTION", _request_of(0x130, *REQUESTED, element(0x1008, 1)), _refused(0x130)),
        (760, "N-ACTION without action type", _request_of(0x130), _refused(0x130)),
        (761, "N-ACTION with an action type of 4 bytes", _request_of(0x130, element(0x1008, bytes(4))),
         _refused(0x130)),
        (762, "N-CREATE", _request_of(0x140, element(0x1000, "1.2.3")), _refused(0x140)),
        (763, "N-DELETE", message(3, other_command(0x150, *REQUESTED)), _refused(0x150)),
        (764, "N-DELETE of what is no UID", message(3, other_command(0x150, element(3, "x"), element(0x1001, "../y"))),
         _refused(0x150)),
        (765, "N-GET of what is no UID", message(3, other_command(0x110, element(0x1001, "\x1b[2J\n"))),
         _refused(0x110)),
        (770, "C-CANCEL for nothing", message(3, other_command(0xFFF)), SERVED),
        (771, "C-CANCEL without message ID", message(3, command(element(0x100, 0xFFF), TYPE)), f"({SERVED}|{ABORTED})"),
        (772, "100 C-CANCEL", message(3, other_command(0xFFF)) * 100, SERVED),
        (773, "C-ECHO response nobody asked for", _unknown(0x8030, element(0x900, 0)), f"({SERVED}|{ABORTED})"),
        (774, "C-STORE response nobody asked for", _unknown(0x8001, element(0x900, 0)), f"({SERVED}|{ABORTED})"),
        (775, "C-FIND response with a data set", message(3, other_command(
            0x8020, element(0x900, 0xFF00), data_set=DATA), b"xx"), f"({SERVED}|{ABORTED})"),
        (776, "C-ECHO response without status", _unknown(0x8030), f"({SERVED}|{ABORTED})"),
        (777, "N-GET response with an empty status", _unknown(0x8110, element(0x900, b"")), f"({SERVED}|{ABORTED})"),
        (780, "C-ECHO with a data set", message(1, command(UID, FIELD, ID, element(0x800, DATA)), b"xx"),
         ANSWERED_SOMEHOW),
        (781, "C-ECHO of another class", _echoes(echo_command(uid=CT)), ANSWERED_SOMEHOW),
        (782, "C-ECHO of an empty class", _echoes(echo_command(uid="")), ANSWERED_SOMEHOW),
        (783, "C-ECHO of ../../x", _echoes(echo_command(uid="../../x")), ANSWERED_SOMEHOW),
        (784, "C-ECHO of a class of 10,000 bytes", _echoes(echo_command(uid="1." * 5000)), ANSWERED_SOMEHOW),
        (785, "C-ECHO of control characters", _echoes(echo_command(uid="\x1b[2J\r\nE: x")), ANSWERED_SOMEHOW),
        (786, "C-ECHO on the storage context", message(3, echo_command()), ANSWERED_SOMEHOW),
        (787, "message ID used again", echo(9) + echo(9), f"8030/9 0000; 8030/9 0000; {SERVED}"),
        (788, "UID padded with many nulls", _echoes(command(element(2, VERIFICATION + "\0" * 9), FIELD, ID, TYPE)),
         ANSWERED_SOMEHOW),
    ]
)

# --- 8xx: C-STORE, and messages out of order ----------------------------------------------------------------------

STORE = store_command(instance_uid())
SOME_DATA = data_set("1.2.3")


def _named(instance: str, size: int = 0) -> bytes:
    """A C-STORE-RQ of a peer that chooses its own name."""
    return message(3, store_command(instance), data_set(instance[:64], size))


def _of_class(uid: str) -> bytes:
    return message(3, store_command(instance_uid(), uid), SOME_DATA)


def _twice() -> bytes:
    instance = instance_uid()
    return store(instance, data_set("1.2"), 1) + store(instance, kept(data_set("1.2.3"), instance), 2)


def _allowed(instance: str) -> str:
    MAYBE_STORED.add(instance)
    return f"(8001/1 0000; {SERVED}|{NOT_STORED})"


def _stores_with(*elements: bytes, data_set_type: int = DATA) -> bytes:
    instance = instance_uid()
    extra = b"".join(elements)
    return message(
        3, store_command(instance, data_set=data_set_type, extra=extra), kept(data_set(instance), instance)
    )


MESSAGES = associated(
    [
        (801, "C-STORE", stored_message(), KEPT),
        (802, "a data set before its command set", p_data(pdv(3, LAST, SOME_DATA)) + message(3, STORE), ABORTED),
        (803, "a command set where the data set begins", message(3, STORE) * 2, ABORTED),
        (804, "a command set within the data set", message(3, STORE) + p_data(pdv(3, 0, b"xx")) + message(3, STORE),
         ABORTED),
        (805, "an echo within the data set", message(3, STORE) + p_data(pdv(3, 0, b"xx")) + echo(), ABORTED),
        (806, "a data set behind a whole message", stored_message() + p_data(pdv(3, LAST, b"xx")),
         f"(8001/1 0000; )?{ABORTED}"),
        (807, "a data set behind an echo", echo() + p_data(pdv(1, LAST, b"xx")), f"(8030/1 0000; )?{ABORTED}"),
        (808, "a data set within the command set", p_data(pdv(3, COMMAND, STORE[:20]), pdv(3, LAST, SOME_DATA)),
         ABORTED),
        (810, "instance ../../x", _named("../../x"), NOT_STORED),
        (811, "instance ..", _named(".."), NOT_STORED),
        (812, "instance .", _named("."), NOT_STORED),
        (813, "instance /tmp/x", _named("/tmp/ldicomnet-evil"), NOT_STORED),
        (814, "instance with backslashes", _named("..\\..\\x"), NOT_STORED),
        (815, "instance C:x", _named("C:1.2.3"), NOT_STORED),
        (816, "instance of 10,000 bytes", _named("1." * 4999 + "1"), NOT_STORED),
        (817, "instance of 65 characters", _named("1." + "2" * 63), NOT_STORED),
        (818, "instance empty", _named(""), NOT_STORED),
        (819, "instance missing", message(3, command(element(2, CT), element(0x100, 1), element(0x110, 1), element(
            0x700, 0), element(0x800, DATA)), SOME_DATA), NOT_STORED),
        (820, "instance with control characters", _named("1.2\r\n\x1b[2J"), NOT_STORED),
        (821, "instance with a null within", _named("1.2\0/../x"), NOT_STORED),
        (822, "instance in Latin-1", _named("1.\xb2.\xb3"), NOT_STORED),
        (823, "instance of a format", _named("%s%n{0}"), NOT_STORED),
        (824, "instance 1..2", _named("1..2"), NOT_STORED),
        (825, "instance .1.2", _named(".1.2"), NOT_STORED),
        (826, "instance 1.2.", _named("1.2."), NOT_STORED),
        (827, "instance with a newline last", _named("1.2.3\n"), NOT_STORED),
        (828, "instance with leading zeros", _named("1.02.003"), _allowed("1.02.003")),
        (829, "instance of 64 characters", _named("1." + "3" * 62), _allowed("1." + "3" * 62)),
        (830, "instance padded with spaces", _named("1.2.7433  "), _allowed("1.2.7433")),
        (831, "instance with two values", _named("1.2\\1.3"), NOT_STORED),
        (832, "instance of 60,000 nulls", b"".join((*map(p_data, fragments(
            3, COMMAND, store_command("\0" * 60000), 16000)), p_data(pdv(3, LAST, SOME_DATA)))), NOT_STORED),
        (840, "class of another context", _of_class(VERIFICATION), NOT_STORED),
        (841, "class unknown", _of_class("1.2.3"), NOT_STORED),
        (842, "class empty", _of_class(""), NOT_STORED),
        (843, "class ../../x", _of_class("../../x"), NOT_STORED),
        (844, "class of 10,000 bytes", _of_class("1." * 5000), NOT_STORED),
        (845, "class of control characters", _of_class("\x1b[2J\r\nE: x"), NOT_STORED),
        (846, "class in Latin-1", _of_class("\xb2\xb3"), NOT_STORED),
        (847, "class missing", message(3, command(element(0x100, 1), element(0x110, 1), element(0x800, DATA), element(
            0x1000, instance_uid())), SOME_DATA), NOT_STORED),
        (848, "class of 65 characters", _of_class("1." + "2" * 63), NOT_STORED),
        (849, "C-STORE on the echo context", message(1, store_command(instance_uid()), SOME_DATA), NOT_STORED),
        (850, "verification stored on its context", message(1, store_command(instance_uid(), VERIFICATION), SOME_DATA),
         NOT_STORED),
        (855, "no data set", message(3, store_command(instance_uid(), data_set=NO_DATA)), NOT_STORED),
        (856, "an empty data set", message(3, store_command(instance_uid()), b""), NOT_STORED),
        (857, "data set type 0000H", _stores_with(data_set_type=0), KEPT),
        (858, "data set type FFFFH", _stores_with(data_set_type=0xFFFF), KEPT),
        (859, "data set type 0102H", _stores_with(data_set_type=0x102), KEPT),
        (860, "priority 7", message(3, command(element(2, CT), element(0x100, 1), element(0x110, 1), element(
            0x700, 7), element(0x800, DATA), element(0x1000, "1.2.860")), SOME_DATA), _allowed("1.2.860")),
        (861, "priority missing", message(3, command(element(2, CT), element(0x100, 1), element(0x110, 1), element(
            0x800, DATA), element(0x1000, "1.2.861")), SOME_DATA), _allowed("1.2.861")),
        (862, "priority of 4 bytes", message(3, command(element(2, CT), element(0x100, 1), element(0x110, 1), element(
            0x700, bytes(4)), element(0x800, DATA), element(0x1000, "1.2.862")), SOME_DATA), _allowed("1.2.862")),
        (863, "move originator", _stores_with(element(0x1030, "ORIGIN"), element(0x1031, 7)), KEPT),
        (864, "move originator with escapes", _stores_with(element(0x1030, "\x1b[2J\n../")), KEPT),
        (865, "move originator of 300 bytes", _stores_with(element(0x1030, "A" * 300)), KEPT),
        (866, "a data set that is none", message(3, store_command("1.2.866"), b"\xff" * 1000), _allowed("1.2.866")),
        (867, "a data set of an odd number of bytes", message(3, store_command("1.2.867"), b"x"), _allowed("1.2.867")),
        (868, "an instance twice", _twice(), f"8001/1 0000; 8001/2 ....; {SERVED}"),
        (869, "10 stores in one segment", b"".join(stored_message() for _ in range(10)),
         "(8001/1 0000; ){10}" + SERVED),
    ]
)


# --- 9xx: closes, garbage and time --------------------------------------------------------------------------------


def _noise(seed: int, length: int) -> bytes:
    """Random bytes that do not begin like a PDU."""
    noise = random.Random(seed)
    return bytes((noise.randrange(8, 256),)) + noise.randbytes(length - 1)


def _mutated(seed: int) -> tuple[Step, ...]:
    """A whole session with some bytes changed, left out or put in."""
    chance = random.Random(seed)
    parts = [bytearray(part) for part in (request(), echo(1), message(3, STORE, SOME_DATA), RELEASE)]
    for _ in range(chance.randrange(1, 6)):
        part = chance.choice(parts)
        at = chance.randrange(len(part))
        match chance.randrange(3):
            case 0:
                part[at] ^= 1 << chance.randrange(8)
            case 1:
                del part[at : at + chance.randrange(1, 9)]
            case _:
                part[at:at] = chance.randbytes(chance.randrange(1, 9))
    steps: list[Step] = []
    for part in parts:
        steps += [bytes(part), pause(0.02)]
    return tuple(steps)


TLS_HELLO = bytes.fromhex("160301007b010000770303") + bytes(range(32)) + bytes.fromhex(
    "20" + "ab" * 32 + "0006130113021303010000280000000e000c0000096c6f63616c686f7374000b00020100000a00040002001d"
)
RUBBISH = f"ABORT 0 .; (ABORT 2 .; )*{END}"

BYTES_OF_OTHERS = plain(
    [
        (901, "HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: x\r\n\r\n", RUBBISH),
        (902, "TLS ClientHello", TLS_HELLO, RUBBISH),
        (903, "SSH banner", b"SSH-2.0-OpenSSH_9.6\r\n", RUBBISH),
        (904, "SMTP", b"EHLO example.org\r\n", RUBBISH),
        (905, "SMB", b"\0\0\0\x45\xffSMB\x72" + bytes(60), RUBBISH),
        (906, "MLLP", b"\x0bMSH|^~\\&|A|B|C|D|20240101||ADT^A01|1|P|2.3\r\x1c\r", RUBBISH),
        (907, "RDP", bytes.fromhex("0300000b06e00000000000"), RUBBISH),
        (908, "newlines", b"\r\n" * 50, RUBBISH),
        (909, "one newline", b"\n", END),
        (910, "100 nulls", bytes(100), RUBBISH),
        (911, "nulls without end, answers unread", flood(bytes(1 << 16), TIMER + SLACK), RUBBISH),
        (912, "100 times FFH", b"\xff" * 100, RUBBISH),
        (913, "a DICOM file", bytes(128) + b"DICM" + data_set("1.2.3", 1024), RUBBISH),
        *((920 + seed, f"noise of seed {seed}", _noise(seed, 20 << seed), RUBBISH) for seed in range(8)),
    ]
) + associated(
    [
        (930, "HTTP in an association", b"GET / HTTP/1.1\r\n\r\n", ABORTED),
        (931, "TLS ClientHello in an association", TLS_HELLO, ABORTED),
        *((932 + seed, f"noise of seed {seed} in an association", _noise(seed, 20 << seed), f"(ABORT 2 .; )+{END}")
          for seed in range(6)),
    ],
    goodbye=False,
)
MUTATIONS = plain(((1000 + seed, f"session mutated by seed {seed}", _mutated(seed), ".*") for seed in range(60)), 0.2)

HALVES = [
    *plain(
        [
            (940, "close at once", half_close, END),
            (941, "close behind 3 bytes", (request()[:3], half_close), END),
            (942, "close within the request", (request()[:100], half_close), END),
            (943, "close behind the request", (request(), half_close), f"({ACCEPTED}; )?{END}"),
            (944, "close behind the answer", (request(), answer, half_close), f"{ACCEPTED}; {END}"),
            (945, "close behind a reject", (request(version=0), answer, half_close), f"RJ 1 2 2; {END}"),
            (946, "reset at once", reset, "gone"),
            (947, "reset behind 3 bytes", (request()[:3], reset), "gone"),
            (948, "reset within the request", (request()[:100], reset), "gone"),
            (949, "reset behind the request", (request(), reset), "gone"),
            (950, "reset behind the answer", (request(), answer, reset), f"{ACCEPTED}; gone"),
            (951, "reset behind a reject", (request(version=0), answer, reset), "RJ 1 2 2; gone"),
        ],
        0.5,
    ),
    *associated(
        [
            (952, "close within a PDU", (echo()[:20], half_close), END),
            (953, "close within a command set", (p_data(pdv(1, COMMAND, echo_command()[:20])), half_close), END),
            (954, "close between command set and data set", (message(3, STORE), half_close), END),
            (955, "close within a data set", (message(3, STORE) + p_data(pdv(3, 0, b"xx")), half_close), END),
            (956, "close behind an echo", (echo(), half_close), f"(8030/1 0000; )?{END}"),
            (957, "close behind a store", (stored_message(), half_close), f"(8001/1 0000; )?{END}"),
            (958, "close behind a release request", (RELEASE, half_close), f"(RP; )?{END}"),
            (959, "close behind a release", (RELEASE, answer, half_close), f"RP; {END}"),
            (960, "close behind an abort of ours", (abort(), half_close), END),
            (961, "close behind an abort of theirs", (RELEASED, answer, half_close), ABORTED),
            (962, "reset within a PDU", (echo()[:20], reset), "gone"),
            (963, "reset between command set and data set", (message(3, STORE), reset), "gone"),
            (964, "reset within a data set", (message(3, STORE) + p_data(pdv(3, 0, b"xx")), reset), "gone"),
            (965, "reset behind an echo", (echo(), reset), "gone"),
            (966, "reset behind a release request", (RELEASE, reset), "gone"),
            (967, "reset behind a release", (RELEASE, answer, reset), "RP; gone"),
        ],
        goodbye=False,
        within=0.5,
    ),
]


def _never_reads() -> tuple[Step, ...]:
    """Echo after echo, and the answers stay where they are."""
    tiny = request(user_information=item(0x50, max_length(8) + CLASS))
    return (tiny, answer, flood(b"".join(map(echo, range(1, 500))), 20 * TIMER + SLACK))


def _restless() -> tuple[Step, ...]:
    """A message that takes longer than a PDU may, in segments that each end within a PDU."""
    command_set, data = stores(4096)
    stream = message(3, command_set) + b"".join(map(p_data, fragments(3, 0, data, 200)))
    size = len(stream) // 20 + 1
    return (request(), answer, drip(stream, 0.1, size), *GOODBYE)


SLOW = b"\0" * 40
TIME = [
    *plain([(980, "silence: closed at ARTIM, not before", (pause(TIMER - 0.4), still), f"still; {END}")]),
    *plain(
        [
            (981, "3 bytes, then silence", request()[:3], f"(ABORT 0 .; )?{END}"),
            (982, "half a request, then silence", request()[:99], f"(ABORT 0 .; )?{END}"),
            (983, "all but a byte, then silence", request()[:-1], f"(ABORT 0 .; )?{END}"),
            (988, "echoes, answers never read", _never_reads(),
             f"{ACCEPTED}(; 8030/.*)?; (END!within a PDU|{END})"),
            (989, "an association with a PDU that began before the last one ended, for longer than a PDU may take",
             _restless(), f"{ACCEPTED}; 8001/1 0000; {SERVED}"),
            (990, "idle for longer than any of these timers", (request(), answer, pause(1.5 * TIMER), *GOODBYE), SOUND),
        ]
    ),
    *plain(
        [
            (984, "a request byte by byte: ARTIM is over the whole", drip(request()[:50], 0.05),
             f"(ABORT 0 .; )?{END}"),
            (985, "a request of 250,000 bytes, slowly", (pdu(1, request()[6:100], 250_000), drip(bytes(50), 0.05)),
             f"(ABORT 0 .; )?{END}"),
        ],
        0.1,
    ),
    *associated(
        [
            (986, "empty fragments without end", flood(p_data(pdv(1, COMMAND)) * 1000, 2 * TIMER + SLACK), GIVEN_UP),
            (987, "a command set in fragments of two bytes, each in time: the whole is not",
             drip(b"".join(map(p_data, fragments(1, COMMAND, echo_command(), 2)[:-1])), 0.1, 14), GIVEN_UP, 0.3),
            (991, "3 bytes of a PDU, then silence", echo()[:3], GIVEN_UP),
            (992, "half a PDU, then silence", echo()[:40], GIVEN_UP),
            (993, "half a data set, then silence", message(3, STORE) + p_data(pdv(3, 0, b"x" * 50))[:40], GIVEN_UP),
            (994, "a command set without end, then silence", p_data(pdv(1, COMMAND, b"\0" * 8)), GIVEN_UP),
            (995, "a command set whose data set never comes", message(3, STORE), GIVEN_UP),
            (996, "a data set whose end never comes", message(3, STORE) + p_data(pdv(3, 0, b"xx")), GIVEN_UP),
        ],
        goodbye=False,
        within=2 * TIMER + SLACK,
    ),
    *associated(
        [
            (997, "a PDU byte by byte", drip(echo()[:60], 0.05), GIVEN_UP),
            (998, "a P-DATA-TF of the whole maximum byte by byte",
             drip(pdu(4, pdv(1, 1, SLOW, OUR_MAXIMUM - 4), OUR_MAXIMUM) +
             bytes(20), 0.05), GIVEN_UP),
        ],
        goodbye=False,
        within=0.3,
    ),
    *associated(
        [
            (999, "a flood behind an abort: ARTIM ends it", (
                RELEASED, flood(pdu(4, bytes(4)) * 10000, TIMER + SLACK)), ABORTED),
        ],
        goodbye=False,
        within=0.1,
    ),
]


# --- the server ---------------------------------------------------------------------------------------------------

_LOG_LINE = re.compile(r"[DIWEC]: \S.*")


class Scp:
    """The storage SCP sample as a process of its own, with everything it could leave behind in one folder."""

    def __init__(self, root: Path, *more: str) -> None:
        self.root = root
        self.folder = root / "deep" / "inside" / "store"
        self.spool = root / "spool"
        for folder in (self.folder, self.spool):
            folder.mkdir(parents=True)
        written = (root / "stderr").open("w", encoding="utf-8")
        self._log = (root / "stderr").open(encoding="utf-8")
        program = [sys.executable, "-X", "dev", str(ROOT / "samples" / "store_scp.py")]
        options = f"-v +xa -ta {TIMER} -td {TIMER} -pdu {OUR_MAXIMUM} --no-sync --bind 127.0.0.1 0".split()
        self.process = subprocess.Popen(
            [*program, "-od", str(self.folder), *more, *options],
            stdout=subprocess.PIPE,
            stderr=written,
            text=True,
            env=os.environ | {"TMPDIR": str(self.spool), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)},
        )
        written.close()
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split()[-1])
        self.said: list[str] = []
        self._reading = threading.Thread(target=self.said.extend, args=(self.process.stdout,), daemon=True)
        self._reading.start()

    def log(self) -> str:
        """What it wrote to standard error since the last call."""
        return self._log.read()

    def holds(self) -> tuple[int, int]:
        """Threads and descriptors; nothing where the system does not tell."""
        own = Path("/proc", str(self.process.pid))
        return (len(list((own / "task").iterdir())), len(list((own / "fd").iterdir()))) if own.is_dir() else (0, 0)

    def stop(self) -> int:
        """End it as an operator would; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self._reading.join(5)
            self._log.close()


def run(case: Case, port: int) -> str:
    """Run one case; what is wrong, or nothing."""
    started = monotonic()
    peer = Peer.connect(port, receive_buffer=1 << 16)
    try:
        exchange(peer, case.steps)
        until = monotonic() + case.within
        while not _fits(case, peer) and peer.next(until):
            pass
    finally:
        peer.close()
    if not peer.ended and not _fits(case, peer):
        peer.transcript.append("OPEN")
    if _fits(case, peer, long=True):
        return ""
    got = "; ".join(peer.transcript)
    seconds = monotonic() - started
    if len(got) > 400:
        got = f"{got[:200]} ... {got[-200:]}"
    return f"{case.number} {case.title}\n     got {got!r} in {seconds:.1f} s\n  wanted {case.expected!r}"


def run_and_serve(case: Case, port: int) -> str:
    """Run one case, and then a normal client, beside which other cases go on; what is wrong, or nothing."""
    normal = Case(case.number, f"a normal client behind {case.title!r}", (request(), answer, *GOODBYE), SOUND, SERVICE)
    return run(case, port) or run(normal, port)


def run_all(cases: Sequence[Case], port: int) -> list[str]:
    """Run these cases at once, a normal client behind each; what is wrong with each, or nothing."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(lambda case: run_and_serve(case, port), cases))


def _fits(case: Case, peer: Peer, long: bool = False) -> bool:
    """Whether the transcript is what was expected; a long one is looked at when all is over."""
    if len(peer.transcript) > 200 and not long:
        return False
    return re.fullmatch(case.expected, "; ".join(peer.transcript)) is not None


def serves(port: int) -> str:
    """A normal client: an echo and a store; what is wrong, or nothing."""
    steps = (request(), answer, stored_message(), answer, *GOODBYE)
    return run(Case(0, "a normal client", steps, f"{ACCEPTED}; 8001/1 0000; {SERVED}"), port)


class WireScp(unittest.TestCase):
    """All areas against one server."""

    scp: ClassVar[Scp]
    baseline: ClassVar[tuple[int, int]]
    more: ClassVar[tuple[str, ...]] = ()
    """Options for the server."""

    @classmethod
    def setUpClass(cls) -> None:
        root = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.scp = Scp(Path(root), *cls.more)
        cls.addClassCleanup(cls.scp.process.kill)
        assert not serves(cls.scp.port)
        cls.baseline = cls.scp.holds()

    @classmethod
    def tearDownClass(cls) -> None:
        status = cls.scp.stop()
        assert status == 0, f"exit status {status} after SIGTERM"

    def check(self, cases: Sequence[Case]) -> None:
        """Run these cases at once; then a normal client is served, and nothing was left behind."""
        cases = some(cases)
        for case, wrong in zip(cases, run_all(cases, self.scp.port), strict=True):
            with self.subTest(case.number):
                self.assertEqual(wrong, "")
        self.check_health()

    def check_health(self) -> None:
        """A normal client is served; the log has no traceback; threads, descriptors and folders are as they were."""
        with self.subTest("service"):
            self.assertIsNone(self.scp.process.poll(), "the server has ended")
            self.assertEqual(serves(self.scp.port), "")
        with self.subTest("log"):
            self.check_log()
        with self.subTest("threads and descriptors"):
            self.check_leaks()
        with self.subTest("files"):
            self.check_files()

    def check_log(self) -> None:
        """One line for each record, and nothing of a peer's in it that is not printable."""
        log = self.scp.log()
        before, found, after = log.partition("Traceback")
        self.assertFalse(found, f"{log.count(found or '-')} tracebacks: {before[-200:]}{found}{after[:4000]}")
        for line in log.splitlines():
            self.assertRegex(line, _LOG_LINE)
            self.assertTrue(line.isprintable(), ascii(line))

    def check_leaks(self) -> None:
        """Threads and descriptors return to where they were once all timers have run off."""
        waiting, until = threading.Event(), monotonic() + 2 * TIMER + SLACK
        while any(now > then for now, then in zip(self.scp.holds(), self.baseline, strict=True)):
            self.assertLess(monotonic(), until, f"{self.scp.holds()} threads and descriptors, {self.baseline} at first")
            waiting.wait(0.05)

    def check_files(self) -> None:
        """What had to be stored is there as it was sent, and nothing else is anywhere."""
        names = {path.name.removesuffix(".dcm"): path for path in self.scp.folder.iterdir()}
        others = set(names) - STORED.keys() - MAYBE_STORED
        MAYBE_STORED.update(others)  # once is enough
        self.assertEqual(others, set())
        for instance in STORED.keys() & names.keys():
            stored = names[instance].read_bytes()
            self.assertEqual(stored[128:132], b"DICM")
            self.assertTrue(stored.endswith(STORED[instance]), f"{instance} is not what was sent")
        everywhere = [path for path in self.scp.root.rglob("*") if path.is_file() and path.parent != self.scp.folder]
        self.assertEqual([path.name for path in everywhere], ["stderr"])
        self.assertFalse(Path("/tmp/ldicomnet-evil.dcm").exists())

    def test_1_user_information(self) -> None:
        self.check(USER_INFORMATION)

    def test_2_fixed_fields(self) -> None:
        self.check(FIXED_FIELDS)

    def test_3_presentation_contexts(self) -> None:
        self.check(PRESENTATION_CONTEXTS)

    def test_4_fragmentation(self) -> None:
        self.check(FRAGMENTATION)

    def test_5_states(self) -> None:
        self.check(STATES)

    def test_6_lengths(self) -> None:
        self.check(LENGTHS)

    def test_7_command_sets(self) -> None:
        self.check(COMMAND_SETS)

    def test_8_messages(self) -> None:
        self.check(MESSAGES)

    def test_9_closes_garbage_and_time(self) -> None:
        self.check([*HALVES, *BYTES_OF_OTHERS, *TIME])

    def test_mutated_sessions(self) -> None:
        """A changed name may be a name all the same; whatever else comes out of it, the server goes on."""
        before = set(self.scp.folder.iterdir())
        wrong = run_all(MUTATIONS, self.scp.port)
        names = {path.name.removesuffix(".dcm") for path in set(self.scp.folder.iterdir()) - before}
        MAYBE_STORED.update(name for name in names if re.fullmatch(r"\d+(\.\d+)*", name))
        self.assertEqual([each for each in wrong if each], [])
        self.check_health()

    def test_silent_crowd(self) -> None:
        """Connections that say nothing, or 3 bytes, keep nobody waiting, and each is closed at ARTIM."""
        crowd = [Peer.connect(self.scp.port) for _ in range(200)]
        for peer in crowd[::2]:
            peer.send(request()[:3])
        begun = monotonic()
        self.assertEqual(serves(self.scp.port), "")
        self.assertLess(monotonic() - begun, 1.0)
        until = begun + TIMER + SLACK
        for peer in crowd:
            while peer.next(until):
                pass
            self.assertTrue(peer.ended, f"open after {TIMER + SLACK} seconds: {peer.transcript}")
            peer.close()
        self.check_health()

    def test_numbers(self) -> None:
        """A number names one case."""
        areas = (USER_INFORMATION, FIXED_FIELDS, PRESENTATION_CONTEXTS, FRAGMENTATION, STATES, LENGTHS, COMMAND_SETS)
        cases = [case for area in (*areas, MESSAGES, HALVES, BYTES_OF_OTHERS, TIME, MUTATIONS) for case in area]
        self.assertEqual(len({case.number for case in cases}), len(cases))


if __name__ == "__main__":
    unittest.main()
