"""The members of `LDicomNet` for ISCL: what a site sets, what the peer has said, and the hooks of the layer.

Knows no association. The other rooms of `iscl` are imported by whoever sets something of it, or connects with it.

**ISCL is historic, and not safe.** PS3.15 Section B.2 was retired after edition 2018a; DES keys are found within a day,
and MD5 is broken. Much of the wire format was never published: that this library understands anybody else's ISCL is
unproven. It is off unless `SecureMode.ISCL` is asked for. Use TLS.
"""

from __future__ import annotations

import logging
import os
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from .. import checks
from ..errors import LDicomSecurityError, LDicomTransportError, LDicomUsageError
from ..hooks import overrides
from ..settings import Settings, reports
from ..status import ErrorCode, IsclEncryption, IsclMutualAuthentication, IsclSigning, IsclStatus, SecureMode
from ..transport import Transport

if TYPE_CHECKING:
    from ..engine import Engine
    from .options import Setup, WireOptions
    from .transport import IsclTransport

_log = logging.getLogger("ldicomnet.iscl")
_EIGHT = 8
_CLOSE_WAIT = 5.0
"""Seconds that the peer has to agree to a close, at most."""


class IsclMembers(Settings):
    """Settings, getters and hooks of ISCL. **Historic, not safe, and its interoperability is unproven: use TLS.**

    Settings count for the connections made after them. Both sides need the same authentication keys, and the same
    encryption, MAC and encryption keys; the defaults are DES-CBC and MD5, and keys with index 1.
    """

    _iscl_setup: Setup | None = None  # made when it is first asked for
    _iscl: IsclTransport | None = None  # of the last connection
    _iscl_refused = False  # whether its peer refused to close

    # --- what is set ----------------------------------------------------------------------------------------------

    @property
    def _setup_iscl(self) -> Setup:
        if self._iscl_setup is None:
            from .options import Setup

            self._iscl_setup = Setup()
        return self._iscl_setup

    def take_settings(self, other: Settings) -> None:
        """See `Settings.take_settings`."""
        super().take_settings(other)
        if isinstance(other, IsclMembers):
            self._iscl_setup = other._iscl_setup

    @property
    def wire_options_iscl(self) -> WireOptions:
        """How ISCL is written where the public record leaves it open, a `ldicomnet.iscl.options.WireOptions`; both
        sides have to agree. The default is "profile A", this library's own."""
        return self._setup_iscl.wire

    @wire_options_iscl.setter
    def wire_options_iscl(self, options: WireOptions) -> None:
        from .options import WireOptions

        if not isinstance(options, WireOptions):
            raise LDicomUsageError(f"wire_options_iscl is {options!r}: WireOptions are wanted")
        self._iscl_setup = replace(self._setup_iscl, wire=options)

    @property
    def allows_unkeyed_iscl(self) -> bool:
        """Whether messages may go without a MAC, or with MD5 and no encryption, which anybody can compute. False:
        PS3.15 B.2 makes integrity mandatory."""
        return self._setup_iscl.allows_unkeyed

    @allows_unkeyed_iscl.setter
    def allows_unkeyed_iscl(self, allows: bool) -> None:
        self._iscl_setup = replace(self._setup_iscl, allows_unkeyed=bool(allows))

    @reports
    def set_max_comm_block_length_iscl(self, length: int) -> None:
        """The longest data part of a packet, 64 to 65504 bytes; 8160 is the default. The smaller of the two counts."""
        from .options import LARGEST_BLOCK, SMALLEST_BLOCK

        if not isinstance(length, int) or not SMALLEST_BLOCK <= length <= LARGEST_BLOCK:
            raise LDicomUsageError(
                f"length is {length!r}: {SMALLEST_BLOCK} to {LARGEST_BLOCK} bytes are possible",
                ErrorCode.ISCL_BAD_COMM_BLOCK_LENGTH,
            )
        self._iscl_setup = replace(self._setup_iscl, block_length=int(length))

    @reports
    def set_max_message_length_iscl(self, length: int) -> None:
        """The longest message that is sent, and taken of the peer, up to 64 MiB; 1 MiB is the default.

        A PDU that is longer leaves as several messages.
        """
        from .options import LARGEST_MESSAGE

        number = checks.number("length", length, LARGEST_MESSAGE, ErrorCode.ISCL_BAD_LENGTH)
        if not number:
            raise LDicomUsageError("length is 0: a message has a byte at least", ErrorCode.ISCL_BAD_LENGTH)
        self._iscl_setup = replace(self._setup_iscl, message_length=number)

    @reports
    def set_mutual_auth_alg_iscl(self, algorithm: int) -> None:
        """The method of authentication: `IsclMutualAuthentication.THREE_PASS_FOUR_WAY`; there is no other."""
        if algorithm != IsclMutualAuthentication.THREE_PASS_FOUR_WAY:
            raise LDicomUsageError(
                f"algorithm is {algorithm!r}: ISCL 1.00 has none but three-pass-four-way",
                ErrorCode.ISCL_BAD_MUTUAL_AUTH_METHOD,
            )

    @reports
    def set_default_encryption_iscl(self, algorithm: int) -> None:
        """The encryption of messages, an `IsclEncryption`; DES-CBC is the default."""
        if algorithm not in set(IsclEncryption):
            raise LDicomUsageError(f"algorithm is {algorithm!r}: an IsclEncryption is wanted")
        self._iscl_setup = replace(self._setup_iscl, encryption=IsclEncryption(algorithm))

    @reports
    def set_default_signing_iscl(self, algorithm: int) -> None:
        """The MAC of messages, an `IsclSigning`; MD5, encrypted, is the default.

        What protects nothing is refused when a connection is made: none, and MD5 without encryption; see
        `allows_unkeyed_iscl`.
        """
        if algorithm not in set(IsclSigning):
            raise LDicomUsageError(f"algorithm is {algorithm!r}: an IsclSigning is wanted")
        self._iscl_setup = replace(self._setup_iscl, signing=IsclSigning(algorithm))

    @reports
    def set_auth_data_iscl(self, data: bytes) -> None:
        """1 to 128 bytes that the peer is told of this side while they authenticate; not secret, nor authenticated."""
        octets = checks.octets("data", data)
        if not 1 <= len(octets) <= 128:
            raise LDicomUsageError(f"data has {len(octets)} bytes: 1 to 128 are wanted")
        self._iscl_setup = replace(self._setup_iscl, auth_data=octets)

    @reports
    def set_mutual_auth_key_iscl(self, index: int, key: bytes | int) -> None:
        """The authentication key with an index of 1 to 8: eight bytes, or a number of 64 bits.

        Raises:
            LDicomUsageError: it is no key, or one of the weak ones.
        """
        self._iscl_setup = replace(self._setup_iscl, auth_keys=_put(self._setup_iscl.auth_keys, index, key))

    @reports
    def set_encrypt_key_iscl(self, index: int, key: bytes | int) -> None:
        """The encryption key with an index of 1 to 8; see `set_mutual_auth_key_iscl`."""
        self._iscl_setup = replace(self._setup_iscl, encrypt_keys=_put(self._setup_iscl.encrypt_keys, index, key))

    @reports
    def set_index_for_mutual_auth_iscl(self, index: int) -> None:
        """The authentication key, 1 to 8, that this side asks for when it has accepted a connection; 1 is the default.
        The side that has made it follows the other's word."""
        self._iscl_setup = replace(self._setup_iscl, auth_index=_slot(index))

    def get_index_for_mutual_auth_iscl(self) -> int:
        """What `set_index_for_mutual_auth_iscl` was given."""
        return self._setup_iscl.auth_index

    @reports
    def set_index_for_encrypt_iscl(self, index: int) -> None:
        """The encryption key, 1 to 8, of the messages that this side sends; 1 is the default. 0x10 is a key for each
        message, made of a random number and the authentication key."""
        from .options import UNIQUE_KEYS

        self._iscl_setup = replace(self._setup_iscl, encrypt_index=index if index == UNIQUE_KEYS else _slot(index))

    def get_index_for_encrypt_iscl(self) -> int:
        """What `set_index_for_encrypt_iscl` was given."""
        return self._setup_iscl.encrypt_index

    # --- the connection -------------------------------------------------------------------------------------------

    def get_comm_block_length_iscl(self) -> int:
        """The longest data part of a packet that was agreed on; before, what this side takes."""
        return self._setup_iscl.block_length if self._iscl is None else self._iscl.block_length

    def get_peer_auth_data_iscl(self) -> bytes:
        """The peer's authentication data; readable also when it was refused."""
        return b"" if self._iscl is None else self._iscl.peer_data

    def get_peer_encryption_iscl(self) -> IsclEncryption:
        """The encryption that the peer asked for last: why a message of its was refused."""
        transfer = None if self._iscl is None else self._iscl.transfer
        return IsclEncryption.NONE if transfer is None else transfer.peer_encryption

    def get_peer_mac_iscl(self) -> IsclSigning:
        """The MAC that the peer asked for last."""
        transfer = None if self._iscl is None else self._iscl.transfer
        return IsclSigning.NONE if transfer is None else transfer.peer_signing

    def get_peer_requested_message_length_iscl(self) -> int:
        """The length of the message that the peer asked to send last."""
        transfer = None if self._iscl is None else self._iscl.transfer
        return 0 if transfer is None else transfer.peer_length

    def get_status_iscl(self) -> IsclStatus:
        """How far the connection is; IDLE before the first."""
        return IsclStatus.IDLE if self._iscl is None else self._iscl.status

    def is_iscl_queue_empty(self) -> bool:
        """Whether nothing is being sent, or waits for that."""
        return self.get_queue_send() == 0 and (self._iscl is None or self._iscl.is_idle)

    @abstractmethod
    def get_queue_send(self) -> int:
        """Bytes that are sent, or wait for that."""

    @reports
    def send_non_secure_iscl(self, data: bytes) -> None:
        """Send data beside DICOM, **neither encrypted nor authenticated** (through mode); `on_non_secure_send_iscl`
        tells the result, and the peer gets `on_non_secure_received_iscl`.

        Raises:
            LDicomUsageError: the security mode is not ISCL, or there are no data, or too many.
            LDicomTransportError: the connection does not stand, or broke.
        """
        layer = self._iscl
        if self._mode != SecureMode.ISCL:
            raise LDicomUsageError("the security mode is not ISCL", ErrorCode.BAD_SECURE_MODE)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise LDicomUsageError(f"data is {type(data).__name__}: bytes are wanted")
        octets, most = bytes(data), self._setup_iscl.message_length
        if not 1 <= len(octets) <= most:
            raise LDicomUsageError(f"data has {len(octets)} bytes: 1 to {most} are wanted", ErrorCode.ISCL_BAD_LENGTH)
        if layer is None:
            raise LDicomTransportError(ErrorCode.NET_NOT_CONNECTED, "the object is not connected")
        error = ErrorCode.SUCCESS
        try:
            layer.send_through(octets)
        except (LDicomTransportError, LDicomSecurityError) as failure:
            error = failure.code
            raise
        finally:
            _call(self.on_non_secure_send_iscl, error, octets[0], len(octets))

    # --- hooks ----------------------------------------------------------------------------------------------------

    def get_challenge_iscl(self, parameter: bytes) -> bytes:
        """Hook: GET CHALLENGE of the card: eight random bytes. Override the three to ask a real card, or an HSM.

        Args:
            parameter: the authentication key that was agreed on; zeros where its slot is empty.
        """
        return os.urandom(_EIGHT)

    def internal_authenticate_iscl(self, challenge: bytes, parameter: bytes) -> bytes:
        """Hook: INTERNAL AUTHENTICATE: the eight bytes that answer the peer's challenge.

        The default is DES of the challenge, or what `wire_options_iscl` says. Whoever connects to this side, or is
        connected to, chooses the challenge.
        """
        if parameter == bytes(_EIGHT):
            raise LDicomSecurityError(ErrorCode.ISCL_LOCAL_IC_CARD, "the slot of the authentication key is empty")
        return self._setup_iscl.wire.response(parameter, challenge)

    def external_authenticate_iscl(self, challenge: bytes, response: bytes, parameter: bytes) -> ErrorCode:
        """Hook: EXTERNAL AUTHENTICATE: 0 when the peer's response to our challenge is right."""
        from .ciphers import is_same

        expected = self._setup_iscl.wire.response(parameter, challenge)
        is_right = parameter != bytes(_EIGHT) and is_same(expected, response)
        return ErrorCode.SUCCESS if is_right else ErrorCode.ISCL_LOCAL_IC_CARD

    def on_non_secure_send_iscl(self, error: ErrorCode, item_type: int, length: int) -> None:
        """Hook: data beside DICOM have left, or could not; `item_type` is their first byte. Runs on the thread that
        sends."""

    def on_non_secure_received_iscl(self, error: ErrorCode, buffer: bytes) -> None:
        """Hook: data beside DICOM have come. **Anybody on the way can have made them.**"""

    def on_received_iscl_packet(self, error: ErrorCode, buffer: bytes) -> None:
        """Hook, for looking for errors: an ISCL packet as it came, and whether it was right. Not paid for when not
        overridden. Messages of the upper layer that it carries may be refused yet."""

    # --- for who derives from it ----------------------------------------------------------------------------------

    def _check_iscl(self) -> None:
        """Raise unless connections can be made with these settings."""
        self._setup_iscl.check()
        has_card = overrides(self, "internal_authenticate_iscl", IsclMembers)
        if not has_card and not any(self._setup_iscl.auth_keys):
            raise LDicomSecurityError(ErrorCode.ISCL_LOCAL_IC_CARD, "no authentication key is set for ISCL")

    @property
    def _has_iscl_keys(self) -> bool:
        return any(self._setup_iscl.auth_keys) or any(self._setup_iscl.encrypt_keys)

    def _told_of_iscl(self) -> object | None:
        """What was set, to be compared; None where nothing was."""
        if self._iscl_setup is None:
            return None
        from .options import Setup

        return None if self._iscl_setup == Setup() else self._iscl_setup

    def _over_iscl(self, transport: Transport, requestor: bool) -> Transport:
        """The connection with ISCL on it."""
        from .transport import IsclTransport

        calls = _Hooks(self, requestor)
        layer = IsclTransport(
            transport, self._setup_iscl, calls, requestor, self.timeouts.send, self.timeouts.pdu
        )  # fmt: skip
        self._iscl, self._iscl_refused = layer, False
        return layer

    @property
    def _iscl_error(self) -> ErrorCode:
        """The last error of the layer."""
        if self._iscl_refused:
            return ErrorCode.ISCL_PEER_REFUSES_CLOSE
        return ErrorCode.SUCCESS if self._iscl is None else self._iscl.error

    def _agree_to_close(self, engine: Engine) -> None:
        """Ask the peer, before the connection is closed; in a hook it would be waited for in vain.

        Raises:
            LDicomSecurityError: the peer refuses.
        """
        layer, outbox = self._iscl, engine.sender.outbox
        seconds = min(self.timeouts.shutdown_wait(), _CLOSE_WAIT)
        if layer is None or engine.transport is not layer or outbox.is_reader or outbox.is_mine:
            return
        if not outbox.acquire(seconds):
            return
        try:
            layer.disconnect(seconds, lambda: engine.sender.ending.by(ErrorCode.SUCCESS, "closed by this side"))
        except LDicomSecurityError:
            self._iscl_refused = True
            raise
        finally:
            outbox.release()


class _Hooks:
    """The hooks of one `LDicomNet`, as the layer calls them.

    A server without the key could let a second connection of its client answer the challenge of the first. So no client
    answers what a client of this process has asked, on a connection that it still has. (A server's challenge may be
    from this process, of both ends of one connection.)
    """

    def __init__(self, net: IsclMembers, requestor: bool) -> None:
        self._net = net
        self._is_client = requestor
        self.wants_packets = overrides(net, "on_received_iscl_packet", IsclMembers)

    def challenge(self, key: bytes) -> bytes:
        drawn = self._net.get_challenge_iscl(key)
        if self._is_client and isinstance(drawn, bytes | bytearray):
            _asked[bytes(drawn)] = self
        return drawn

    def respond(self, challenge: bytes, key: bytes) -> bytes:
        if self._is_client and challenge in _asked:
            raise LDicomSecurityError(
                ErrorCode.ISCL_LOCAL_IC_CARD, "the challenge is one of this side's own, reflected by the peer"
            )
        return self._net.internal_authenticate_iscl(challenge, key)

    def verify(self, challenge: bytes, response: bytes, key: bytes) -> int:
        return self._net.external_authenticate_iscl(challenge, response, key)

    def packet_received(self, error: ErrorCode, data: bytes) -> None:
        _call(self._net.on_received_iscl_packet, error, data)

    def through_received(self, data: bytes) -> None:
        _call(self._net.on_non_secure_received_iscl, ErrorCode.SUCCESS, data)


_asked: WeakValueDictionary[bytes, _Hooks] = WeakValueDictionary()
"""Challenges of the clients of this process."""


def _call(hook: Callable[..., None], *arguments: object) -> None:
    """Call a hook; an exception is logged."""
    try:
        hook(*arguments)
    except (Exception, SystemExit):
        _log.exception("the hook of %s failed", getattr(hook, "__name__", hook))


def _slot(index: object) -> int:
    if isinstance(index, int) and 1 <= index <= 8:
        return int(index)
    raise LDicomUsageError("index is none: keys have the indexes 1 to 8")  # it may be a key, in the wrong place


def _put(keys: tuple[bytes | None, ...], index: object, key: object) -> tuple[bytes | None, ...]:
    """The keys with one more in its slot."""
    from . import ciphers

    at = _slot(index) - 1
    return *keys[:at], ciphers.key("key", key), *keys[at + 1 :]
