"""One side of one TLS connection: the context for its handshake, and who decides about the peer. Knows no transport."""

from __future__ import annotations

import ssl

from ..status import VerifyMode
from .judgement import Judge, Verify
from .link import SecureLink
from .profiles import TLS_1_2
from .setup import Asker, Generation, TlsSetup


class Side:
    """What a `TlsTransport` asks.

    Args:
        setup: the TLS of the object.
        server: whether this side is the server.
        host: whom a client means to reach, if the settings name nobody else; None for a server.
        verify: the hook `on_verify`, None where nobody has overridden it.
        asker: whose other hooks are asked.

    Attributes:
        name: the name for SNI and for OpenSSL to compare; None where neither is wanted.
    """

    def __init__(self, setup: TlsSetup, server: bool, host: str | None, verify: Verify | None, asker: Asker) -> None:
        self._setup = setup
        self._server = server
        self._host = host
        self._verify = verify
        self._asker = asker
        self._take(setup.generation())

    def _take(self, generation: Generation) -> None:
        """One generation decides about all of a handshake."""
        self._generation = generation
        plan = generation.plan
        name = plan.settings.server_name or self._host if not self._server else None
        compares = not self._server and plan.settings.check_name and VerifyMode.PEER in plan.mode
        self.name = name if compares or plan.settings.server_name else None
        self._judge = Judge(plan, self._server, name if compares else None, self._verify, generation.material)

    def context(self) -> ssl.SSLContext:
        """See `tls.transport.Side`; what is in force now, since a peer may have been silent for long."""
        self._take(self._setup.generation())
        return self._generation.context(self._server, self._asker)

    def judge(self, tls: ssl.SSLObject) -> SecureLink:
        """See `tls.transport.Side`."""
        if self._server and self._generation.plan.oldest <= TLS_1_2 and tls.version() != "TLSv1.3":
            self._generation.spend(tls.context)
        return self._judge.judge(tls)

    def refused(self, error: ssl.SSLError) -> None:
        """See `tls.transport.Side`."""
        self._judge.refused(error)
