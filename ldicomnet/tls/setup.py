"""The TLS of one object and of those it has accepted: settings, certificates, suites, and the contexts made of them.

Knows no connection. What needs `ssl` is imported when the first context is made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

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
    from .material import Material

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

    def load(self, asker: Asker) -> Loaded:
        from .certificates import load_identity

        certificate, kind, key = self.place
        return Loaded(self, load_identity(certificate, kind, key, lambda: asker.on_private_key_password(False)))


class Loaded(NamedTuple):
    """An identity, and where it came from."""

    source: _Source
    identity: Identity


@dataclass(frozen=True)
class Given:
    """All that was set, and what was in the files when they were read.

    Attributes:
        settings: settings.
        ciphers: the list of the original.
        servers: certificates of this side as a server, by their algorithm.
        client: that as a client.
        material: what was in the files that `settings` name; None where no settings were given.
    """

    settings: TLSContextSettings
    ciphers: tuple[CipherSuite, ...] = (CipherSuite.NONE,) * SLOTS
    servers: Mapping[str, Loaded] = field(default_factory=dict)
    client: Loaded | None = None
    material: Material | None = None


class Generation:
    """What was given as it was at one time, never changed after, and the contexts made of it; no file is read here."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self._plan: Plan | None = None
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._roles: set[bool] = set()
        self._lock = threading.Lock()

    @property
    def plan(self) -> Plan:
        """What contexts are to be.

        Raises:
            LDicomSecurityError: what was set cannot be done here.
        """
        with self._lock:
            if self._plan is None:
                self._plan = self._planned()
            return self._plan

    def checked(self) -> Generation:
        """This, where what was set can be done here.

        Raises:
            LDicomSecurityError: it cannot.
        """
        _plan = self.plan
        return self

    def _planned(self) -> Plan:
        from .context import Plan

        given = self.given
        plan = Plan(given.settings, list(dict.fromkeys(each for each in given.ciphers if each != CipherSuite.NONE)))
        if plan.profile.is_legacy:
            _log.warning("profile %s protects too little today", plan.profile.title)
        for _source, identity in filter(None, (*given.servers.values(), given.client)):
            if not identity.is_in_time:
                _log.warning("this side's certificate is not valid now: %s", identity.subject)
        return plan

    @property
    def material(self) -> Material:
        """What was in the files."""
        from .material import Material

        return self.given.material or Material()

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

        plan, identities = self.plan, self._identities(server)
        if server and not identities:
            raise LDicomSecurityError(
                ErrorCode.CERTIFICATE_LOAD, "a server needs a certificate (set_server_certificate_tls)"
            )
        context = make(plan, server, identities, self.material)
        asker.on_create_ctx(context)
        check_made(context, plan)
        with self._lock:
            self._roles.add(server)
            return self._contexts.setdefault(server, context)

    def _identities(self, server: bool) -> list[Identity]:
        """What this side shows in a role."""
        own = self.given.servers.values() if server and self.given.servers else filter(None, (self.given.client,))
        return [each.identity for each in own]

    def spend(self, context: ssl.SSLContext) -> None:
        """Use a server's context no more, because it holds a session that a client could resume.

        Python cannot switch that off in TLS 1.2; the next connection gets a context of its own.
        """
        with self._lock:
            if self._contexts.get(True) is context:
                del self._contexts[True]


class TlsSetup:
    """The TLS of an object; shared with what it accepts, so that a reload reaches all of them.

    All that can change is which generation is in force. Each change makes another one of that, and puts it there in one
    step: so changes on several threads lose nothing of each other. Files are read and hooks asked under no lock.
    """

    def __init__(self) -> None:
        self._generation = Generation(Given(TLSContextSettings()))
        self._roles: set[bool] = set()  # in which connections were wanted, by any generation
        self._reloads = 0
        self._lock = threading.Lock()

    def _exchange(self, change: Callable[[Given], Given]) -> None:
        """Put what `change` makes of what was given in force."""
        with self._lock:
            self._generation = Generation(change(self._generation.given))

    # --- what is set ----------------------------------------------------------------------------------------------

    @property
    def given(self) -> Given:
        """All that was set."""
        return self._generation.given

    @property
    def settings(self) -> TLSContextSettings:
        """The settings in force."""
        return self._generation.given.settings

    def configure(self, settings: TLSContextSettings) -> None:
        """Use these settings from now on; a copy of them, and what is now in the files that they name.

        Raises:
            LDicomUsageError: they are none.
            LDicomSecurityError: they cannot be done here, or a file not be read; then everything stays as it was.
        """
        if not isinstance(settings, TLSContextSettings):
            raise LDicomUsageError(f"settings is {settings!r}: TLSContextSettings are wanted")
        pins = {title: _fingerprints(given) for title, given in settings.pins.items()}
        copied = replace(settings, pins=pins)
        material = _gathered(copied)
        with self._lock:
            given = replace(self._generation.given, settings=copied, material=material)
            self._generation = Generation(given).checked()
            self._roles.clear()  # with other settings, it may be for others

    def change(self, changed: Callable[[TLSContextSettings], TLSContextSettings]) -> None:
        """Use settings that differ from those in force, though not in the files that they name."""
        self._exchange(lambda given: replace(given, settings=changed(given.settings)))

    def set_cipher(self, index: int, cipher: int) -> None:
        """Put a suite into the list; NONE empties a slot."""
        self._check_index(index)
        number = CipherSuite.NONE if cipher == CipherSuite.NONE else suite_of(cipher).number
        self._exchange(
            lambda given: replace(given, ciphers=(*given.ciphers[:index], number, *given.ciphers[index + 1 :]))
        )

    def cipher(self, index: int) -> CipherSuite:
        """The suite in a slot."""
        self._check_index(index)
        return self._generation.given.ciphers[index]

    @staticmethod
    def _check_index(index: int) -> None:
        checks.number("index", index, SLOTS - 1)

    def set_client(self, certificate: Source, kind: int, key: Source | None, asker: Asker) -> None:
        """The certificate of this side as a client, and as a server that has none of its own."""
        loaded = _Source(certificate, kind, key).load(asker)
        self._exchange(lambda given: replace(given, client=loaded))

    def set_server(self, certificate: Source, kind: int, key: Source | None, asker: Asker) -> None:
        """A certificate of this side as a server; one of each algorithm, the last one counts."""
        loaded = _Source(certificate, kind, key).load(asker)
        self._exchange(lambda given: replace(given, servers={**given.servers, loaded.identity.kind: loaded}))

    @property
    def serves(self) -> bool:
        """Whether there is a certificate for a server."""
        return bool(self._generation.given.servers)

    @property
    def has_certificate(self) -> bool:
        """Whether there is one that a server can show."""
        given = self._generation.given
        return bool(given.servers) or given.client is not None

    def is_pinned(self, link: SecureLink, title: str) -> bool:
        """Whether the peer has a certificate that is pinned for its AE title, or none is."""
        settings = self.settings
        pins = settings.pins.get(title, settings.pins.get("*"))
        return pins is None or link.fingerprint in pins

    # --- what follows from it -------------------------------------------------------------------------------------

    def generation(self) -> Generation:
        """What is in force now.

        Raises:
            LDicomSecurityError: the settings cannot be done here.
        """
        return self._generation.checked()

    def check(self, server: bool, asker: Asker) -> None:
        """Raise unless connections can be made in that role.

        Raises:
            LDicomSecurityError: they cannot.
        """
        generation = self.generation()
        if not generation.has_served(server):
            generation.context(server, asker)
        self._roles.add(server)

    def reload(self, asker: Asker) -> None:
        """Read all certificates, keys, issuers and lists of revoked ones again; what stands goes on as it is.

        Raises:
            LDicomSecurityError: one cannot be read; then everything stays as it was.
        """
        while not self._reloaded(asker):
            continue  # another reload was done meanwhile, and may have read before or after this one

    def _reloaded(self, asker: Asker) -> bool:
        with self._lock:
            before, count = self._generation, self._reloads
        fresh = self._read_again(before.given, asker)
        with self._lock:
            if self._reloads != count:
                return False
            self._reloads += 1
            now = self._generation
            merged = fresh if now is before else Generation(_merged(now.given, before.given, fresh.given))
            self._generation = merged
        return True

    def _read_again(self, given: Given, asker: Asker) -> Generation:
        client = None if given.client is None else given.client.source.load(asker)
        loaded = [each.source.load(asker) for each in given.servers.values()]
        servers = {each.identity.kind: each for each in loaded}
        if len(servers) != len(loaded):
            text = "two certificates of this side as a server have come to be of one algorithm"
            raise LDicomSecurityError(ErrorCode.CERTIFICATE_LOAD, text)
        fresh = Generation(replace(given, client=client, servers=servers, material=_gathered(given.settings))).checked()
        for server in (True, False):
            if server in self._roles:
                fresh.context(server, asker)
        return fresh


def _merged(now: Given, before: Given, fresh: Given) -> Given:
    """What was set while all that had been set before was read again: what is new stays, the rest is as it was read."""
    read = {each.source: each for each in fresh.servers.values()}
    again = [read[each.source] for each in now.servers.values() if each.source in read]
    new = [each for each in now.servers.values() if each.source not in read]
    return replace(
        now,
        servers={each.identity.kind: each for each in (*again, *new)},
        client=fresh.client if now.client is before.client else now.client,
        material=fresh.material if now.material is before.material else now.material,
    )


def _gathered(settings: TLSContextSettings) -> Material:
    from .material import gather

    return gather(settings)


def _fingerprints(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        return (fingerprint(given),)
    if isinstance(given, (list, tuple, set, frozenset)):
        return tuple(map(fingerprint, given))
    raise LDicomUsageError(f"pins has {given!r}: SHA-256 fingerprints are wanted")
