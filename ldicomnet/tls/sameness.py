"""What an object was told of TLS, in a form that can be compared with another's. Knows no connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..status import CipherSuite
from .settings import TLSContextSettings

if TYPE_CHECKING:
    from .psk import Keys
    from .setup import TlsSetup


def told(setup: TlsSetup | None, keys: Keys | None) -> object | None:
    """Settings, suites, where certificates come from, and pre-shared keys; None where nobody has set anything.

    Args:
        setup: of the object; None before anybody has asked for it.
        keys: its pre-shared keys.
    """
    found = _told(setup), None if keys is None else (keys.own, keys._keys)
    return None if found == (None, None) else found


def _told(setup: TlsSetup | None) -> object | None:
    if setup is None:
        return None
    given = setup.given
    servers = {kind: each.source.place for kind, each in given.servers.items()}
    client = None if given.client is None else given.client.source.place
    is_untold = not (any(suite != CipherSuite.NONE for suite in given.ciphers) or servers or client)
    if is_untold and given.settings == TLSContextSettings():
        return None
    return given.settings, given.ciphers, servers, client
