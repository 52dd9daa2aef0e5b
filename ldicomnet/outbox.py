"""The writing side of a connection: one lock, so that messages never interleave, and who may leave work to its holder.

Knows what a PDU's first byte means and nothing else of it. No lock is held while `told` is called.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .errors import LDicomError, LDicomTimeoutError
from .status import ErrorCode, PduType
from .timing import Limits, Timeouts, bounded
from .transport import Buffer, Transport

Job = Callable[[], None]


@dataclass(slots=True)
class SendInfo:
    """One PDU that left, or did not; what `on_send_ext` is given in debug mode.

    Attributes:
        error: 0, or why the PDU did not leave.
        pdu_type: its `PduType`.
        length: its bytes.
        data: the PDU itself; empty unless asked for.
    """

    error: ErrorCode
    pdu_type: PduType
    length: int
    data: bytes


class Outbox:
    """Writes of one connection, one after the other.

    Args:
        transport: where they go.
        told: gets the PDUs that left; None where nobody asks.
        with_bytes: whether `told` wants their bytes.
        failed: gets the error of a job that was left to another thread.
    """

    def __init__(
        self,
        transport: Transport,
        timeouts: Timeouts,
        limits: Limits,
        told: Callable[[list[SendInfo]], None] | None,
        with_bytes: bool,
        failed: Callable[[Exception], None],
    ) -> None:
        self._transport = transport
        self._timeouts = timeouts
        self._limits = limits
        self._told = told
        self._with_bytes = with_bytes
        self._failed = failed
        self._lock = threading.RLock()  # a hook that is called within a send may abort it
        self._depth = 0  # how often its holder has it
        self._holder = 0
        self._running = 0
        self._jobs: deque[tuple[Job, int]] = deque()
        self._sent: list[SendInfo] = []

    @property
    def queued(self) -> int:
        """Bytes of the message that is being sent, and of those that wait for it."""
        return self._running + self._waiting

    @property
    def _waiting(self) -> int:
        return sum(size for _job, size in tuple(self._jobs))

    def submit(self, job: Job, size: int, may_leave: bool) -> None:
        """Run `job` under the lock.

        A hook must not wait for a thread that sends to a peer whose own hook may be waiting likewise: with
        `may_leave`, where the lock is taken, the job is left to its holder, as long as little waits.

        Raises:
            LDicomTimeoutError: another send went on for too long.
        """
        if may_leave and not self._lock.acquire(blocking=False):
            if self._waiting + size <= self._limits.waiting_sends:
                self._jobs.append((job, size))
                if self._lock.acquire(blocking=False):
                    self._hold()
                    self._leave()
                return
            self._enter()
        elif not may_leave:
            self._enter()
        self._hold()
        try:
            if self._depth == 1:
                self._run_jobs()
            self._running += size
            job()
        finally:
            self._running = max(0, self._running - size)
            self._leave()

    def _hold(self) -> None:
        """The lock was taken, for the first time or once more."""
        self._depth += 1
        self._holder = threading.get_ident()

    def acquire(self, seconds: float) -> bool:
        """The bare lock, for at most so long; for the one PDU that must go before what waits."""
        if self._lock.acquire(timeout=seconds):
            self._hold()
            return True
        return False

    @property
    def is_mine(self) -> bool:
        """Whether the caller is within a send of its own."""
        return self._depth > 0 and self._holder == threading.get_ident()

    def release(self) -> None:
        """Give the lock back."""
        self._leave()

    def discard(self) -> None:
        """The connection is over: what waits is dropped."""
        self._jobs.clear()

    def write(self, buffers: list[Buffer]) -> None:
        """Write PDUs, under the lock: one alone, or header and fragment in turn."""
        if self._told is None:
            self._transport.write(buffers)
            return
        kept = list(buffers)
        try:
            self._transport.write(buffers)
        except LDicomError as error:
            self._note(kept, error.code)
            raise
        self._note(kept, ErrorCode.SUCCESS)

    def _enter(self) -> None:
        seconds = bounded(self._timeouts.send)
        if not self._lock.acquire(timeout=-1 if seconds is None else seconds):
            raise LDicomTimeoutError(f"another send has kept the connection for {seconds} seconds")

    def _leave(self) -> None:
        """Release the lock; not before the jobs are done that came meanwhile."""
        if self._depth > 1:
            self._depth -= 1
            self._lock.release()
            return
        sent: list[SendInfo] = []
        while True:
            try:
                self._run_jobs()
            finally:
                sent += self._sent
                self._sent = []
                self._depth = 0
                self._lock.release()
            if not self._jobs or not self._lock.acquire(blocking=False):
                break
            self._hold()
        if sent and self._told is not None:
            self._told(sent)

    def _run_jobs(self) -> None:
        while self._jobs:
            job, _size = self._jobs.popleft()
            try:
                job()
            except Exception as error:
                self._failed(error)

    def _note(self, buffers: list[Buffer], error: ErrorCode) -> None:
        step = 1 if len(buffers) == 1 else 2
        for start in range(0, len(buffers), step):
            parts = buffers[start : start + step]
            data = b"".join(parts) if self._with_bytes else b""
            self._sent.append(SendInfo(error, PduType(parts[0][0]), sum(map(len, parts)), data))
