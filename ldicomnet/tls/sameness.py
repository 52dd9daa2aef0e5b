"""What an object was told of TLS, in a form that can be compared with another's. Knows no connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..status import CipherSuite
from .settings import TLSContextSettings
from .setup import SLOTS

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
    suites = tuple(map(setup.cipher, range(SLOTS)))
    servers = {kind: source.place for kind, (source, _identity) in setup._servers.items()}
    client = None if setup._client is None else setup._client[0].place
    is_untold = not (any(suite != CipherSuite.NONE for suite in suites) or servers or client)
    if is_untold and setup.settings == TLSContextSettings():
        return None
    return setup.settings, suites, servers, client
