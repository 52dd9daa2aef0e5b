"""The writing side of a connection: one lock, so that messages never interleave, and who may leave work to its holder.

Knows what a PDU's first byte means and nothing else of it. No lock is held while `told` is called.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import LDicomError, LDicomTimeoutError
from .status import ErrorCode, PduType
from .timing import Limits, Timeouts, bounded
from .transport import Buffer, Transport

Job = Callable[..., None]


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

    Attributes:
        reader: the thread that leaves its jobs to others rather than wait.
        write: writes PDUs, under the lock: one alone, or header and fragment in turn.
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
        self._running = 0
        self._jobs: deque[tuple[Job, int, tuple[Any, ...]]] = deque()
        self._sent: list[SendInfo] = []
        self.reader = 0
        self.write = transport.write if told is None else self._write_and_note

    @property
    def queued(self) -> int:
        """Bytes of the message that is being sent, and of those that wait for it."""
        return self._running + self._waiting

    @property
    def _waiting(self) -> int:
        return sum(size for _job, size, _arguments in tuple(self._jobs))

    @property
    def is_reader(self) -> bool:
        """Whether the caller is the thread that must not wait."""
        return threading.get_ident() == self.reader

    def submit(self, job: Job, size: int, *arguments: Any) -> None:
        """Run `job` with its arguments under the lock; `size` is how many bytes it writes.

        A hook must not wait for a thread that sends to a peer whose own hook may be waiting likewise: where the lock is
        taken, the reader leaves the job to its holder, as long as little waits.

        Raises:
            LDicomTimeoutError: another send went on for too long.
        """
        if not self._lock.acquire(False) and not self._enter_or_leave_job(job, size, arguments):
            return
        self._depth += 1
        self._running += size
        try:
            if self._jobs and self._depth == 1:
                self._run_jobs()
            job(*arguments)
        finally:
            self._running -= size
            if self._depth > 1 or self._sent:
                self._leave()
            else:
                self._depth = 0
                self._lock.release()
                if self._jobs:
                    self._take_over()

    def _enter_or_leave_job(self, job: Job, size: int, arguments: tuple[Any, ...]) -> bool:
        """The lock is taken: wait for it, or, on the reader thread, leave the job to its holder (False)."""
        if self.is_reader and self._waiting + size <= self._limits.waiting_sends:
            self._jobs.append((job, size, arguments))
            self._take_over()
            return False
        self._enter()
        return True

    def _take_over(self) -> None:
        """Jobs may have come just after their holder looked for the last time."""
        if self._lock.acquire(False):
            self._depth += 1
            self._leave()

    def acquire(self, seconds: float) -> bool:
        """The bare lock, for at most so long; for the one PDU that must go before what waits."""
        if self._lock.acquire(timeout=seconds):
            self._depth += 1
            return True
        return False

    @property
    def is_mine(self) -> bool:
        """Whether the caller is within a send of its own."""
        if not self._lock.acquire(False):
            return False
        mine = self._depth > 0
        self._lock.release()
        if self._jobs and not mine:
            self._take_over()
        return mine

    def release(self) -> None:
        """Give the lock back."""
        self._leave()

    def discard(self) -> None:
        """The connection is over: what waits is dropped."""
        self._jobs.clear()

    def _write_and_note(self, buffers: list[Buffer], more: bool = False) -> None:
        kept = list(buffers)
        try:
            self._transport.write(buffers, more)
        except LDicomError as error:
            self._note(kept, error.code)
            raise
        self._note(kept, ErrorCode.SUCCESS)

    def _enter(self) -> None:
        seconds = bounded(self._timeouts.send)
        if not self._lock.acquire(timeout=-1 if seconds is None else seconds):
            raise LDicomTimeoutError(f"another send has kept the connection for {seconds} seconds", "send")

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
            if not self._jobs or not self._lock.acquire(False):
                break
            self._depth += 1
        if sent and self._told is not None:
            self._told(sent)

    def _run_jobs(self) -> None:
        while self._jobs:
            job, _size, arguments = self._jobs.popleft()
            try:
                job(*arguments)
            except Exception as error:
                self._failed(error)

    def _note(self, buffers: list[Buffer], error: ErrorCode) -> None:
        step = 1 if len(buffers) == 1 else 2
        for start in range(0, len(buffers), step):
            parts = buffers[start : start + step]
            data = b"".join(parts) if self._with_bytes else b""
            self._sent.append(SendInfo(error, PduType(parts[0][0]), sum(map(len, parts)), data))
