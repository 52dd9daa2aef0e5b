"""`errors` and `timing`: whose fault an error is, and what deadlines and caps there are."""

from __future__ import annotations

import unittest
from dataclasses import fields
from math import isfinite
from unittest import mock

from ldicomnet import timing
from ldicomnet.errors import (
    LDicomDataError,
    LDicomError,
    LDicomProtocolError,
    LDicomSecurityError,
    LDicomTimeoutError,
    LDicomTransportError,
    LDicomUsageError,
)
from ldicomnet.status import AbortReason, ErrorCode
from ldicomnet.timing import NEVER, Limits, Timeouts, deadline


class Errors(unittest.TestCase):
    """The hierarchy and what each error carries."""

    # The error, its bases besides LDicomError, its code.
    ROWS = (
        (LDicomError(ErrorCode.NET_FAILURE, "the text"), (), ErrorCode.NET_FAILURE),
        (LDicomUsageError("the text"), (ValueError,), ErrorCode.PARAMETER),
        (LDicomUsageError("the text", ErrorCode.NET_INVALID), (ValueError,), ErrorCode.NET_INVALID),
        (LDicomProtocolError("the text"), (), ErrorCode.FORMAT),
        (LDicomProtocolError("the text", code=ErrorCode.PDU_TYPE), (), ErrorCode.PDU_TYPE),
        (LDicomTransportError(ErrorCode.NET_DOWN, "the text"), (), ErrorCode.NET_DOWN),
        (LDicomTimeoutError("the text"), (LDicomTransportError,), ErrorCode.NET_TIME_OUT),
        (LDicomDataError(ErrorCode.DISK_FULL, "the text"), (), ErrorCode.DISK_FULL),
        (LDicomSecurityError(ErrorCode.NET_SECURITY_BREACH, "the text"), (), ErrorCode.NET_SECURITY_BREACH),
        (LDicomError(ErrorCode(999), "the text"), (), 999),
    )

    def test_rows(self) -> None:
        for error, bases, code in self.ROWS:
            with self.subTest(error=repr(error)):
                for base in (LDicomError, *bases):
                    self.assertIsInstance(error, base)
                self.assertEqual(error.code, code)
                self.assertEqual(str(error), f"the text [{error.code.name}]")
                self.assertNotIsInstance(error, OSError)

    def test_faults_are_told_apart(self) -> None:
        kinds = (LDicomUsageError, LDicomProtocolError, LDicomTransportError, LDicomDataError, LDicomSecurityError)
        for kind in kinds:
            self.assertEqual([other for other in kinds if issubclass(kind, other)], [kind])

    def test_a_protocol_error_has_the_reason_for_the_abort(self) -> None:
        self.assertEqual(LDicomProtocolError("x").reason, AbortReason.INVALID_PARAM)
        self.assertEqual(LDicomProtocolError("x", AbortReason.UNEXPECTED).reason, AbortReason.UNEXPECTED)


class Deadlines(unittest.TestCase):
    """Points on the monotonic clock."""

    def test_deadline(self) -> None:
        with mock.patch.object(timing, "monotonic", return_value=100.0):
            for seconds, expected in ((0.0, 100.0), (2.5, 102.5), (None, NEVER)):
                self.assertEqual(deadline(seconds), expected)

    def test_never_comes(self) -> None:
        self.assertGreater(NEVER, deadline(1e300))

    def test_defaults_are_finite(self) -> None:
        for field in fields(Timeouts):
            with self.subTest(name=field.name):
                seconds = getattr(Timeouts(), field.name)
                if isinstance(seconds, bool):
                    continue
                self.assertTrue(seconds is not None and seconds > 0 and isfinite(seconds))

    def test_idle_wait_is_the_shortest_that_another_thread_can_start(self) -> None:
        never = dict.fromkeys(("artim", "association", "dimse", "release", "idle"))
        rows = (
            (dict(never), None),
            *((never | {name: 3.0}, 3.0) for name in never),
            (never | {"artim": 9.0, "dimse": 2.0}, 2.0),
            (never | {"connect": 1.0, "pdu": 1.0, "send": 1.0, "shutdown": 1.0}, None),
        )
        for values, expected in rows:
            with self.subTest(values=values):
                self.assertEqual(Timeouts(**values).idle_wait(), expected)


class Caps(unittest.TestCase):
    """The limits on what a peer may make us hold."""

    def test_defaults(self) -> None:
        limits = Limits()
        rows = (
            ("association_pdu", 272 << 10),
            ("command_set", 64 << 10),
            ("data_set", None),
            ("workers", 16),
            ("waiting_operations", 4096),
        )
        for name, expected in rows:
            self.assertEqual(getattr(limits, name), expected)
        for field in fields(Limits):
            value = getattr(limits, field.name)
            self.assertTrue(value is None or 0 < value <= 16 << 30, field.name)
        self.assertLess(limits.pdu_tolerance, 64)


if __name__ == "__main__":
    unittest.main()
