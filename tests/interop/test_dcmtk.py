"""This library and DCMTK: storescp, echoscu, storescu and dcmsend."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from . import cases, objects, ours, peers
from .objects import PathName
from .processes import Finished


class OurClientAndStorescp(cases.TheirAbortingServer):
    """Our client against DCMTK's storescp."""

    peer = "dcmtk"
    rejection = (1, 1, 1)  # storescp looks at no AE title; told to refuse, it gives no reason

    def scp(self, **options: Any) -> AbstractContextManager[peers.Scp]:
        """Start storescp."""
        return peers.storescp(**options)

    def refusing_scp(self) -> AbstractContextManager[peers.Scp]:
        """Start storescp so that it refuses everybody."""
        return peers.storescp(refuse=True)


class DcmtkClientsAndOurServer(cases.TheirObedientClient):
    """DCMTK's clients against our server: echoscu and dcmsend, and storescu where the test says so."""

    peer = "dcmtk"

    def scu(self, port: int, *paths: PathName, **options: Any) -> Finished:
        """Run the client that fits."""
        return peers.dcmtk_scu(port, *paths, **options)

    def rejection_seen(self, finished: Finished) -> tuple[int, int, int]:
        """DCMTK prints the result, source and reason in words."""
        words = ("Rejected Permanent", "Source: Service User", "Called AE Title Not Recognized")
        for word in words:
            self.assertIn(word, finished.output)
        return cases.CALLED_NOT_RECOGNIZED

    def test_storescu_proposes_every_class(self) -> None:
        """storescu as it is proposes its whole list: about 128 contexts, of which every one is answered."""
        path = self.path(objects.EXPLICIT)
        with ours.server() as server:
            peers.storescu(server.port, path).check()
            self.assertGreater(server.wait_event("accepted")["contexts"], 100)
            self.assertEqual(len(server.stored()), 1)

    def test_storescu_many_times(self) -> None:
        """A hundred objects over one association."""
        with ours.server() as server:
            options = ["--repeat", "100", "-R"]
            peers.storescu(server.port, self.path(objects.EXPLICIT), options=options).check()
            server.wait_event("released")
            self.assertEqual(len(server.stored()), 100)
            self.assertEqual(len(set(server.stored())), 1)

    def test_echoscu_many_transfer_syntaxes(self) -> None:
        """A context with all 38 transfer syntaxes that echoscu can propose."""
        with ours.server() as server:
            peers.echoscu(server.port, "-pts", "38").check()
