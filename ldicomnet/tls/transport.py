"""TLS on a connection, whatever that is: handshake, records, and the farewell of `close_notify`. Knows no PDU.

OpenSSL works on memory here, and the connection below moves what comes of it: so every wait is that of the connection
below, which `close` wakes, and no thread holds OpenSSL while it waits. (OpenSSL's objects are not for two threads at
once, and a blocking `ssl.SSLSocket` would keep the writer out while the reader waits.)
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
from contextlib import suppress
from time import monotonic
from typing import Protocol

from ..buffers import make_buffer
from ..errors import LDicomError, LDicomSecurityError, LDicomTimeoutError, LDicomTransportError
from ..status import ErrorCode
from ..transport import Address, Buffer, Transport
from .link import SecureLink
from .reasons import is_about_certificate, translate

_ROOM, _LARGEST_ROOM = 16 << 10, 256 << 10
"""Bytes read from below at once, at first and once data stream."""
_PIECE = 256 << 10
"""Bytes encrypted at once."""
_FAREWELL = 0.001
"""Seconds that the farewell may wait for a peer that does not read."""
_DICOM = re.compile(rb"[\x01-\x07]\0\0")
"""How a PDU begins, and no TLS record."""
_log = logging.getLogger("ldicomnet.tls")


class Side(Protocol):
    """Which side of TLS this is; decides about the peer."""

    @property
    def name(self) -> str | None:
        """Whom a client means to reach, for the certificate's name and SNI, once it was asked for a context; None for
        nobody in particular."""
        ...

    def context(self) -> ssl.SSLContext:
        """What to make the handshake with; asked when it begins, on a server once the client has spoken."""
        ...

    def judge(self, tls: ssl.SSLObject) -> SecureLink:
        """What was agreed on; raises where that cannot be accepted."""
        ...

    def refused(self, error: ssl.SSLError) -> None:
        """OpenSSL has refused the peer."""
        ...


class TlsTransport:
    """TLS on `below`.

    Args:
        below: the connection.
        side: has the context, and decides about the peer.
        server: whether this side is the server.

    Attributes:
        link: what was agreed on; None before the handshake is done.
        failure: why it failed, None where it did not.
    """

    is_secure = True

    def __init__(self, below: Transport, side: Side, server: bool) -> None:
        self._below = below
        self._side = side
        self._server = server
        self._timeout: float | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._room = memoryview(bytearray(_ROOM))
        self._lock = threading.Lock()  # of OpenSSL's objects; never held over a system call
        self._writing = threading.Lock()  # of the order in which records leave
        self._stands = False
        self._heard = b""  # how the peer began
        self._has_data = False
        self._is_drained = False  # whether OpenSSL has nothing more to give before more comes
        self._error: LDicomError | None = None  # for the next read
        self.link: SecureLink | None = None
        self.failure: LDicomError | None = None

    def open(self, seconds: float | None) -> None:
        """See `Transport.open`."""
        self._below.open(seconds)

    # --- the handshake --------------------------------------------------------------------------------------------

    def secure(self, seconds: float | None) -> bool:
        """See `Transport.secure`."""
        until = None if seconds is None else monotonic() + seconds
        try:
            if not self._shake_hands(until):
                return False
            assert self._tls is not None
            self._stands = True
            self.link = self._side.judge(self._tls)
        except LDicomError as error:
            self.failure = error
            raise
        _log.debug("%s with %s port %s: %s", self.link.version, *self.peer, self.link.cipher)
        return True

    def _shake_hands(self, until: float | None) -> bool:
        if self._server and not self._hear(until):  # what is in force when a client speaks counts, not when it came
            return False
        context = self._side.context()
        try:
            tls = self._tls = context.wrap_bio(self._incoming, self._outgoing, self._server, self._side.name)
        except (ssl.SSLError, ValueError) as error:
            raise LDicomSecurityError(ErrorCode.TLS_INTERNAL_ERROR, f"TLS handshake: {error}") from error
        while True:
            try:
                with self._lock:
                    tls.do_handshake()
                self._flush()
                return True
            except ssl.SSLWantReadError:
                self._flush()
                if not self._hear(until):
                    return False
            except ssl.SSLError as error:
                self._refuse(error)

    def _refuse(self, error: ssl.SSLError) -> None:
        """The handshake has failed: the peer gets the alert, if it still reads."""
        with suppress(LDicomError):
            self._flush()
        self._side.refused(error)
        if _DICOM.match(self._heard):
            raise LDicomSecurityError(
                ErrorCode.TLS_UNEXPECTED_MESSAGE, "TLS handshake: the peer speaks DICOM without TLS"
            ) from error
        raise translate(error, "TLS handshake") from error

    def _hear(self, until: float | None) -> bool:
        """Read what the peer says next; False where it has left without a word."""
        left = None if until is None else until - monotonic()
        if left is not None and left <= 0:
            raise LDicomTimeoutError("TLS handshake: the peer did not finish it in time")
        self._below.set_timeout(left)
        try:
            count = self._below.read_into(self._room, True)
        except LDicomTimeoutError:
            raise LDicomTimeoutError("TLS handshake: the peer did not finish it in time") from None
        except LDicomTransportError as error:
            if not self._heard:
                raise
            text = f"TLS handshake: the peer broke it off: {error}"
            raise LDicomTransportError(ErrorCode.NET_CONNECTION_ABORTED, text) from error
        if count:
            self._heard = self._heard or bytes(self._room[:8])
            self._incoming.write(self._room[:count])
            return True
        if not self._heard:
            return False
        raise LDicomTransportError(ErrorCode.NET_CONNECTION_ABORTED, "TLS handshake: the peer broke it off")

    def _flush(self) -> None:
        """Send what OpenSSL has to say."""
        with self._lock:
            data = self._outgoing.read()
        if data:
            self._below.write([data])

    # --- moving bytes ---------------------------------------------------------------------------------------------

    def read_into(self, view: memoryview, unfinished: bool) -> int:
        """See `Transport.read_into`."""
        if self._error is not None:
            raise self._error
        if not self._is_drained:
            count = self._decrypt(view)
            if count >= 0:
                return count
        began = monotonic()
        self._fill(unfinished)
        count = self._decrypt(view)
        return count if count >= 0 else self._await_record(view, unfinished, began)

    def _await_record(self, view: memoryview, unfinished: bool, began: float) -> int:
        """A part of a record has come; one that drips gains no time."""
        try:
            count = -1
            while count < 0:
                if self._timeout is not None:
                    left = self._timeout - (monotonic() - began)
                    if left <= 0:
                        raise LDicomTimeoutError("nothing was received in time")
                    self._below.set_timeout(left)
                self._fill(unfinished)
                count = self._decrypt(view)
            return count
        finally:
            self._below.set_timeout(self._timeout)

    def _decrypt(self, view: memoryview) -> int:
        """Bytes of the records that are there; 0 at the end, -1 where a whole record is yet to come."""
        tls, count, size = self._tls, 0, len(view)
        assert tls is not None
        try:
            with self._lock:
                while count < size:
                    some = _read(tls, size - count, view[count:])
                    if not some:
                        break
                    count += some
                    if not self._incoming.pending and not tls.pending():
                        self._is_drained = True
                        break
        except ssl.SSLWantReadError:
            self._is_drained = True
            count = count or -1
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            pass  # ended with or without a farewell: within an association, either is an abort
        except ssl.SSLError as error:
            self._note(error)
            if not count and self._error is not None:
                raise self._error from error
        if count > 0:
            self._has_data = True
        if self._outgoing.pending:  # answers to a change of keys: a peer could ask for any number of them
            self._flush_unless_written()
        return count

    def _note(self, error: ssl.SSLError) -> None:
        """A record that is none, or an alert: it counts once all that came before has been read."""
        what = "TLS"
        if not self._server and not self._has_data and is_about_certificate(error):
            what = "TLS: this side's certificate, which the peer looks at only after the handshake (TLS 1.3)"
        self._error = self.failure = translate(error, what)
        self._flush_unless_written()  # our alert

    def _flush_unless_written(self) -> None:
        """Of the reader: send what OpenSSL has to say, unless a writer is at work, who takes it along."""
        if self._writing.acquire(blocking=False):
            try:
                self._flush()
            except LDicomTimeoutError as error:  # a part of it may have left, and nothing can follow that
                why = "the peer let no answer of TLS be sent"
                self._error = self._error or LDicomTransportError(error.code, why, "send")
                self._below.close()
            except LDicomError as error:
                _log.debug("an answer of TLS could not be sent: %s", error)
            finally:
                self._writing.release()

    def _fill(self, unfinished: bool) -> None:
        """Read from below what is there."""
        count = self._below.read_into(self._room, unfinished)
        self._is_drained = False
        with self._lock:
            if count:
                self._incoming.write(self._room[:count])
            else:
                self._incoming.write_eof()
        if count == len(self._room) < _LARGEST_ROOM:
            self._room = memoryview(make_buffer(4 * count))

    def is_at_end(self) -> bool:
        """See `Transport.is_at_end`."""
        return not self._incoming.pending and self._below.is_at_end()

    def write(self, buffers: list[Buffer], more: bool = False) -> None:
        """See `Transport.write`."""
        data = memoryview(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        with self._writing:
            for start in range(0, len(data), _PIECE):
                self._below.write([self._encrypt(data[start : start + _PIECE])], more)

    def _encrypt(self, data: memoryview) -> bytes:
        tls = self._tls
        try:
            if tls is None:
                raise ssl.SSLError("the handshake is not done")
            with self._lock:
                written = 0
                while written < len(data):
                    written += tls.write(data[written:])
                return self._outgoing.read()
        except ssl.SSLError as error:
            text = f"send to {self.peer[0]} port {self.peer[1]}: the TLS connection is over"
            raise LDicomTransportError(ErrorCode.NET_CONNECTION_RESET, text) from error

    def set_timeout(self, seconds: float | None) -> None:
        """See `Transport.set_timeout`."""
        self._timeout = seconds
        self._below.set_timeout(seconds)

    def hurry(self, seconds: float) -> None:
        """See `Transport.hurry`."""
        self._below.hurry(seconds)

    # --- ending ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """See `Transport.close`; the peer is told so where nobody is just writing, and it still reads."""
        if self._stands and self._writing.acquire(blocking=False):
            try:
                self._say_farewell()
            finally:
                self._writing.release()
        self._below.close()

    def _say_farewell(self) -> None:
        self._stands = False
        with suppress(ssl.SSLError, LDicomError):
            with self._lock, suppress(ssl.SSLWantReadError):
                if self._tls is None:  # it is over already
                    return
                self._tls.unwrap()  # the peer's own is not waited for
            self._below.hurry(_FAREWELL)
            self._flush()

    def dispose(self) -> None:
        """See `Transport.dispose`."""
        self._below.dispose()
        with self._lock:
            self._tls = None
            self._incoming = self._outgoing = ssl.MemoryBIO()
        self._room = memoryview(b"")

    @property
    def context(self) -> ssl.SSLContext | None:
        """What the handshake was made with."""
        tls = self._tls
        return None if tls is None else tls.context

    @property
    def host(self) -> Address:
        """The address on this side."""
        return self._below.host

    @property
    def peer(self) -> Address:
        """The address on the other side."""
        return self._below.peer


def _read(tls: ssl.SSLObject, count: int, view: memoryview) -> int:
    """Of what `SSLObject.read` gives, the case with a buffer."""
    return tls.read(count, view)  # type: ignore[return-value]
