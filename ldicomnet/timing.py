"""Deadlines and caps: how long a wait may take, how much a peer may send, and decoding take. Knows only the clock.

There is one kind of deadline, a point on the monotonic clock, so that a change of the wall clock moves none.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

NEVER = float("inf")
"""The deadline that does not come."""


def bounded(seconds: float | None) -> float | None:
    """`seconds` as the system's calls take it: None for what is longer than they can count."""
    return None if seconds is None or seconds > _LONGEST else max(0.0, seconds)


def finite(seconds: float) -> float:
    """`seconds` of a wait that always has an end, and which the system can count."""
    return min(max(0.0, seconds), _LONGEST)


def deadline(seconds: float | None) -> float:
    """The point on the monotonic clock `seconds` from now; `NEVER` for None."""
    return NEVER if seconds is None else monotonic() + seconds


_LONGEST = 4e6
"""Seconds, about 46 days: Windows counts the milliseconds of a wait in 32 bits."""


@dataclass(slots=True)
class Timeouts:
    """How long each wait may take, in seconds above 0; None waits without end, but for `shutdown`.

    Set them before `listen` or `connect`; the objects that a listening object creates share its `Timeouts`.
    """

    connect: float | None = 30.0
    """Until the TCP connection stands."""
    secure: float | None = 30.0
    """Until the security layer stands (TLS handshake, ISCL authentication): from the connection of this side, or from
    its accepting on the other; there it ends with `artim` too, which counts from the same point."""
    artim: float | None = 30.0
    """The ARTIM timer of PS3.8 Section 9.1.5: until the whole A-ASSOCIATE-RQ has arrived on an accepted connection,
    and until the peer closes after an abort, a reject or a release."""
    association: float | None = 30.0
    """Until the answer to an A-ASSOCIATE-RQ."""
    dimse: float | None = 60.0
    """Until the response to a DIMSE request; a pending response starts it anew."""
    release: float | None = 30.0
    """Until the answer to an A-RELEASE-RQ."""
    pdu: float | None = 60.0
    """Until the rest of a PDU or message that has begun, or at least 1 KB of it for each of these seconds."""
    send: float | None = 60.0
    """How long the peer may leave sent bytes unread before a send gives up, or take less than 1 KB of them for each of
    these seconds."""
    idle: float | None = 1800.0
    """How long an association may stand without a message and without an operation under way; then it is released, or
    with `idle_aborts` aborted."""
    shutdown: float | None = 5.0
    """How long `close` waits for sends that are under way, and for the reader to end, and `drain` for associations;
    None is 5 seconds."""
    idle_aborts: bool = False
    """Whether an association that has been idle too long is aborted rather than released."""

    def idle_wait(self) -> float | None:
        """The longest time a reader may sleep without missing a deadline that another thread starts meanwhile."""
        startable = (self.artim, self.association, self.dimse, self.release, self.idle)
        return min([seconds for seconds in startable if seconds and seconds > 0], default=None)

    def shutdown_wait(self) -> float:
        """`shutdown`, which always has an end."""
        return 5.0 if self.shutdown is None else finite(self.shutdown)


@dataclass(slots=True)
class Limits:
    """How much a peer may make us hold; a declared length alone never allocates anything."""

    connections: int = 4096
    """Accepted connections of a listening object at once, those without an association included; more are closed at
    once."""
    associations: int | None = 2048
    """Associations of a listening object at once; more are rejected: transient, local limit exceeded (PS3.8 9.3.4)."""
    associations_of_host: int | None = None
    """The same, of one host; None is no limit of its own."""
    associations_of_title: int | None = None
    """The same, of one calling AE title."""
    association_pdu: int = 272 << 10
    """Bytes of an A-ASSOCIATE-RQ or A-ASSOCIATE-AC. The most of what the standard has, 128 contexts with all of its 59
    transfer syntaxes each and 64 KB of user information, is 267 KB."""
    contexts: int = 128
    """Presentation contexts in one of these: as many as have an ID."""
    user_items: int = 1024
    """Sub-items of the user information in one of these, 1,024 at most; together they have 65,535 bytes at most (PS3.8
    9.3.2.3)."""
    maximum_pdu: int = 16 << 20
    """Bytes of a P-DATA-TF PDU that is kept whole for `on_receive`, where an association has no maximum length; before
    there is one, `association_pdu` counts. PDUs that stream are not held."""
    pdu_tolerance: int = 6
    """Bytes by which a P-DATA-TF may pass the announced maximum: some peers do not count its header."""
    command_set: int = 64 << 10
    """Bytes of a command set."""
    memory_data_set: int = 1 << 20
    """Bytes of a received data set that stay in memory; a longer one goes to a file in the temporary folder."""
    data_set: int | None = None
    """Bytes of a received data set altogether; None is no limit."""
    spool: int | None = 16 << 30
    """Bytes in the temporary folder for one connection, those of data sets that the program still holds included."""
    waiting_requests: int = 4096
    """Connection requests that wait in a listening object to be accepted."""
    workers: int = 16
    """Threads of one connection that run hooks marked `@background`."""
    waiting_operations: int = 4096
    """Requests sent in hooks that wait for the asynchronous operations window."""
    unanswered: int = 1024
    """Requests of the peer that await an answer of the program's; more are refused, out of resources."""
    waiting_sends: int = 1 << 20
    """Bytes that answers given in hooks may wait for while another thread sends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """What decoding a data set may take; what takes more is an `LDicomDataError`.

    Assign one to `LDicomDS.decode_limits`: on an object before its `dataset` is used, or on the class for all.
    """

    depth: int = 32
    """Sequences within each other. Structured reports have about 10; copying a data set with 64 takes more calls within
    each other than Python allows."""
    elements: int = 1_000_000
    """Elements, items and fragments altogether, as 30,000 frames of an enhanced image have; an empty item is 8 bytes in
    the data set, 650 in memory, and takes pydicom 15 microseconds."""
    inflated: int = 1 << 30
    """Bytes of a deflated data set when it is inflated."""
    inflated_freely: int = 256 << 20
    """Bytes up to which it may inflate at any rate: masks of segmentations shrink to a thousandth."""
    inflated_times: int = 100
    """How many times its size it may become beyond that."""

    def most_inflated(self, size: int) -> int:
        """Bytes that `size` deflated ones may become."""
        return min(self.inflated, max(self.inflated_freely, size * self.inflated_times))
