"""This library and dcmjs-dimse, a DICOM network library for Node.js."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from . import cases, objects, peers
from .objects import PathName
from .processes import Finished


class OurClientAndDcmjs(cases.TheirAbortingServer):
    """Our client against a dcmjs-dimse server."""

    peer = "dcmjs"

    def scp(self, **options: Any) -> AbstractContextManager[peers.Scp]:
        """Start dcmjs-dimse."""
        return peers.dcmjs_scp(**options)


class DcmjsAndOurServer(cases.TheirObedientClient):
    """dcmjs-dimse's client against our server."""

    peer = "dcmjs"
    # It does not know the deflated syntax, and changes no transfer syntax without its WebAssembly codecs.
    every = tuple(name for name in objects.EVERY if name not in (objects.DEFLATED, objects.IMPLICIT))
    for_sample = (objects.BIG_ENDIAN, *objects.COMPRESSED)  # it proposes implicit first, and prefers to send explicit

    def scu(self, port: int, *paths: PathName, **options: Any) -> Finished:
        """Run dcmjs-dimse."""
        return peers.dcmjs_scu(port, *paths, **options)
