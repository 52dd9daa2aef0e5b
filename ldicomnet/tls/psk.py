"""TLS with pre-shared keys (RFC 8446 4.2.11): two sides that have a key need no certificates. Knows no transport.

TLS 1.3 only, with a fresh key exchange on each connection, so that who gets the key later cannot read what was
recorded. Python has it from 3.13 on.
"""

from __future__ import annotations

import logging
import os
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import LDicomSecurityError, LDicomUsageError
from ..status import ErrorCode
from .link import SecureLink

SHORTEST_KEY, LONGEST_KEY = 16, 64
"""Bytes; of a key that is as random as it is long."""
_LONGEST_IDENTITY = 128
_log = logging.getLogger("ldicomnet.tls")


@dataclass(frozen=True)
class PskLink(SecureLink):
    """A TLS connection that stands on a key that both sides had.

    Attributes:
        identity: the name of that key, by the client's word; who has the key may use it.
    """

    identity: str = ""


class Keys:
    """The keys of one side by their identity.

    Args:
        keys: as given.
        own: the identity that this side uses as a client; None for the first.

    Raises:
        LDicomUsageError: they are none.
    """

    def __init__(self, keys: object, own: object) -> None:
        if not isinstance(keys, Mapping) or not keys:
            raise LDicomUsageError("keys is none: a mapping of identities to keys is wanted")
        self._keys = {_identity(name): _key(value) for name, value in keys.items()}
        self.own = next(iter(self._keys)) if own is None else _identity(own)
        if self.own not in self._keys:
            raise LDicomUsageError("identity is none of those for which there is a key")

    def __getitem__(self, identity: str) -> bytes:
        """The key; of an unknown identity there is none."""
        return self._keys.get(identity, b"")


def _identity(name: object) -> str:
    if isinstance(name, str) and name.isprintable() and 1 <= len(name.encode()) <= _LONGEST_IDENTITY:
        return name
    # Not what was given: it may be a key, in the wrong place.
    raise LDicomUsageError(f"an identity is none: printable text of up to {_LONGEST_IDENTITY} bytes is wanted")


def _key(key: object) -> bytes:
    if isinstance(key, bytes | bytearray) and SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        return bytes(key)
    raise LDicomUsageError(f"a key is none: {SHORTEST_KEY} to {LONGEST_KEY} random bytes are wanted")


def check_available() -> None:
    """Whether this Python has it.

    Raises:
        LDicomSecurityError: it has not.
    """
    if not hasattr(ssl.SSLContext, "set_psk_client_callback") or not getattr(ssl, "HAS_PSK", False):
        version = ".".join(map(str, sys.version_info[:2]))
        raise LDicomSecurityError(
            ErrorCode.TLS_DLL_NOT_LOADED,
            f"TLS with pre-shared keys needs Python 3.13, and an OpenSSL that has it; this is Python {version} "
            f"with {ssl.OPENSSL_VERSION}",
        )


class PskSide:
    """What a `TlsTransport` asks, of one connection.

    Args:
        keys: of this side.
        server: whether it is the server.

    Attributes:
        name: see `tls.transport.Side`; a key is nobody's in particular.
    """

    name: str | None = None

    def __init__(self, keys: Keys, server: bool) -> None:
        self._keys = keys
        self._server = server
        self._identity = "" if server else keys.own

    def context(self) -> ssl.SSLContext:
        """See `tls.transport.Side`; one for each connection, as its callback notes the peer's identity."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if self._server else ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the key is what proves who the peer is
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["dicom"])
        if self._server:
            context.num_tickets = 0
            context.set_psk_server_callback(self._look_up)  # type: ignore[attr-defined,unused-ignore]
        else:
            own = self._keys.own, self._keys[self._keys.own]
            context.set_psk_client_callback(lambda _hint: own)  # type: ignore[attr-defined,unused-ignore]
        return context

    def _look_up(self, identity: str | None) -> bytes:
        """The key that a client says it has; in place of one that is not known, one that nobody has, so that a client
        does not find out which ones are."""
        self._identity = identity or ""
        return self._keys[self._identity] or os.urandom(LONGEST_KEY)

    def judge(self, tls: ssl.SSLObject) -> PskLink:
        """See `tls.transport.Side`.

        Raises:
            LDicomSecurityError: something else than the key was agreed on.
        """
        cipher = tls.cipher()
        if tls.version() != "TLSv1.3" or not tls.session_reused or cipher is None:
            raise LDicomSecurityError(ErrorCode.TLS_INSUFFICIENT_SECURITY, "the pre-shared key was not used")
        alpn = tls.selected_alpn_protocol()
        return PskLink("TLSv1.3", cipher[0], (), False, alpn, None, self._identity)

    def refused(self, error: ssl.SSLError) -> None:
        """See `tls.transport.Side`; on a server, OpenSSL's reasons do not say what is wrong.

        Raises:
            LDicomSecurityError: this says it.
        """
        who = f"the client with the pre-shared identity {self._identity!a}"
        if self._server and self._identity and not self._keys[self._identity]:
            raise LDicomSecurityError(ErrorCode.TLS_HANDSHAKE_FAILURE, f"{who} is not known here") from error
        if self._server and error.reason == "BINDER_DOES_NOT_VERIFY":
            raise LDicomSecurityError(ErrorCode.TLS_DECRYPT_ERROR, f"{who} has another key") from error
