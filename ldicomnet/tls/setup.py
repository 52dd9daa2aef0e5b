"""The TLS of one object and of those it has accepted: settings, certificates, suites, and the contexts made of them.

Knows no connection. What needs `ssl` is imported when the first context is made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from .. import checks
from ..errors import LDicomSecurityError, LDicomUsageError
from ..status import CipherSuite, ErrorCode
from .link import SecureLink, fingerprint
from .settings import Source, TLSContextSettings
from .suites import suite_of

if TYPE_CHECKING:
    import ssl

    from .certificates import Identity
    from .context import Plan

SLOTS = 16
"""Cipher suites in the list of the original."""
_log = logging.getLogger("ldicomnet.tls")


class Asker(Protocol):
    """Whose hooks are asked while certificates are loaded and contexts made."""

    def on_private_key_password(self, encryption: bool) -> str:
        """The password of a key."""
        ...

    def on_create_ctx(self, context: ssl.SSLContext) -> None:
        """A context was made."""


class _Source:
    """Where an identity comes from, so that it can be loaded again."""

    def __init__(self, certificate: Source, kind: int, key: Source | None) -> None:
        self.place = certificate, kind, key

    def load(self, asker: Asker) -> Identity:
        from .certificates import load_identity

        certificate, kind, key = self.place
        return load_identity(certificate, kind, key, lambda: asker.on_private_key_password(False))


Loaded = tuple[_Source, "Identity"]


class Generation:
    """Settings, certificates and suites as they were at one time, and the contexts made of them."""

    def __init__(self, plan: Plan, servers: tuple[Identity, ...], client: Identity | None) -> None:
        self.plan = plan
        self._servers = servers
        self._client = client
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._roles: set[bool] = set()
        self._lock = threading.Lock()

    def has_served(self, server: bool) -> bool:
        """Whether there ever was a context for a role."""
        return server in self._roles

    def context(self, server: bool, asker: Asker) -> ssl.SSLContext:
        """The context for a role.

        Raises:
            LDicomSecurityError: it cannot be made.
        """
        context = self._contexts.get(server)
        if context is not None:
            return context
        from .context import check_made, make

        identities = self._servers or tuple(filter(None, (self._client,))) if server else (self._client,)
        if server and not identities:
            raise LDicomSecurityError(
                ErrorCode.CERTIFICATE_LOAD, "a server needs a certificate (set_server_certificate_tls)"
            )
        context = make(self.plan, server, filter(None, identities))
        asker.on_create_ctx(context)
        check_made(context, self.plan)
        with self._lock:
            self._roles.add(server)
            return self._contexts.setdefault(server, context)

    def spend(self, context: ssl.SSLContext) -> None:
        """Use a server's context no more, because it holds a session that a client could resume.

        Python cannot switch that off in TLS 1.2; the next connection gets a context of its own.
        """
        with self._lock:
            if self._contexts.get(True) is context:
                del self._contexts[True]


class TlsSetup:
    """The TLS of an object; shared with what it accepts, so that a reload reaches all of them."""

    def __init__(self) -> None:
        self.settings = TLSContextSettings()
        self._ciphers: list[CipherSuite] = [CipherSuite.NONE] * SLOTS
        self._servers: dict[str, Loaded] = {}
        self._client: Loaded | None = None
        self._generation: Generation | None = None
        self._lock = threading.Lock()

    # --- what is set ----------------------------------------------------------------------------------------------

    def configure(self, settings: TLSContextSettings) -> None:
        """Use these settings from now on; a copy of them.

        Raises:
            LDicomUsageError: they are none.
        """
        if not isinstance(settings, TLSContextSettings):
            raise LDicomUsageError(f"settings is {settings!r}: TLSContextSettings are wanted")
        pins = {title: _fingerprints(given) for title, given in settings.pins.items()}
        self.settings = replace(settings, pins=pins)
        self._generation = None

    def set_cipher(self, index: int, cipher: int) -> None:
        """Put a suite into the list; NONE empties a slot."""
        self._check_index(index)
        self._ciphers[index] = CipherSuite.NONE if cipher == CipherSuite.NONE else suite_of(cipher).number
        self._generation = None

    def cipher(self, index: int) -> CipherSuite:
        """The suite in a slot."""
        self._check_index(index)
        return self._ciphers[index]

    @staticmethod
    def _check_index(index: int) -> None:
        checks.number("index", index, SLOTS - 1)

    def set_client(self, certificate: Source, kind: int, key: Source | None, asker: Asker) -> None:
        """The certificate of this side as a client, and as a server that has none of its own."""
        source = _Source(certificate, kind, key)
        self._client = source, source.load(asker)
        self._generation = None

    def set_server(self, certificate: Source, kind: int, key: Source | None, asker: Asker) -> None:
        """A certificate of this side as a server; one of each algorithm, the last one counts."""
        source = _Source(certificate, kind, key)
        identity = source.load(asker)
        self._servers = {**self._servers, identity.kind: (source, identity)}
        self._generation = None

    @property
    def serves(self) -> bool:
        """Whether there is a certificate for a server."""
        return bool(self._servers)

    @property
    def has_certificate(self) -> bool:
        """Whether there is one that a server can show."""
        return bool(self._servers) or self._client is not None

    def is_pinned(self, link: SecureLink, title: str) -> bool:
        """Whether the peer has a certificate that is pinned for its AE title, or none is."""
        pins = self.settings.pins.get(title, self.settings.pins.get("*"))
        return pins is None or link.fingerprint in pins

    # --- what follows from it -------------------------------------------------------------------------------------

    def generation(self) -> Generation:
        """What is in force now.

        Raises:
            LDicomSecurityError: the settings cannot be done here.
        """
        generation = self._generation
        if generation is not None:
            return generation
        with self._lock:
            if self._generation is None:
                self._generation = self._made(self._servers, self._client)
            return self._generation

    def _made(self, servers: Mapping[str, Loaded], client: Loaded | None) -> Generation:
        from .context import Plan

        chosen = list(dict.fromkeys(cipher for cipher in self._ciphers if cipher != CipherSuite.NONE))
        plan = Plan(self.settings, chosen)
        if plan.profile.is_legacy:
            _log.warning("profile %s protects too little today", plan.profile.title)
        identities = tuple(identity for _source, identity in servers.values())
        own = client[1] if client else None
        for identity in filter(None, (*identities, own)):
            if not identity.is_in_time:
                _log.warning("this side's certificate is not valid now: %s", identity.subject)
        return Generation(plan, identities, own)

    def check(self, server: bool, asker: Asker) -> None:
        """Raise unless connections can be made in that role.

        Raises:
            LDicomSecurityError: they cannot.
        """
        generation = self.generation()
        if not generation.has_served(server):
            generation.context(server, asker)

    def reload(self, asker: Asker) -> None:
        """Read all certificates, keys, issuers and lists of revoked ones again; what stands goes on as it is.

        Raises:
            LDicomSecurityError: one cannot be read; then everything stays as it was.
        """
        before = self._generation
        client = None if self._client is None else (self._client[0], self._client[0].load(asker))
        loaded = [(source, source.load(asker)) for source, _identity in self._servers.values()]
        servers = {identity.kind: (source, identity) for source, identity in loaded}
        fresh = self._made(servers, client)
        for server in (True, False):
            if before is not None and before.has_served(server):
                fresh.context(server, asker)
        with self._lock:  # which no hook was called under
            self._client, self._servers, self._generation = client, servers, fresh


def _fingerprints(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        return (fingerprint(given),)
    if isinstance(given, (list, tuple, set, frozenset)):
        return tuple(map(fingerprint, given))
    raise LDicomUsageError(f"pins has {given!r}: SHA-256 fingerprints are wanted")
