"""This library and Orthanc, a server that keeps what it gets in a store of its own and is driven by REST."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from . import cases, objects, peers
from .objects import PathName
from .processes import Finished

KEPT_AS_THEY_ARE = (objects.EXPLICIT, objects.REPORT, "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_jpeg_gdcm.dcm")


class OurClientAndOrthanc(cases.TheirServer):
    """Our client against Orthanc.

    Orthanc decodes what it receives and encodes it anew for its store, so that only some objects come out
    with the same bytes; of the others the content is compared.
    """

    peer = "orthanc"

    def scp(self, **options: Any) -> AbstractContextManager[peers.Scp]:
        """Start Orthanc."""
        return peers.orthanc(**options)

    def check_stored(self, scp: peers.Scp, *paths: Path) -> None:
        """Every object with the same content, and the same bytes where Orthanc changes none."""
        stored = {one.sop_instance_uid: one for one in scp.stored()}
        self.assertEqual(len(stored), len(paths))
        for path in paths:
            with self.subTest(path=path.name):
                sent = objects.read_object(path)
                found = stored[sent.sop_instance_uid]
                self.assertEqual(found.transfer_syntax, sent.transfer_syntax)
                self.assertTrue(objects.same_content(found, sent))
                if path.name in KEPT_AS_THEY_ARE:
                    self.assertTrue(found == sent, "other bytes than were sent")


class OrthancAndOurServer(cases.TheirClient):
    """Orthanc's client against our server."""

    peer = "orthanc"
    orthanc: ClassVar[peers.Orthanc]

    @classmethod
    def setUpClass(cls) -> None:
        """One Orthanc serves all tests of the class."""
        super().setUpClass()
        cls.orthanc = cls.enterClassContext(peers.orthanc())

    def scu(self, port: int, *paths: PathName, **options: Any) -> Finished:
        """Let Orthanc send."""
        return self.orthanc.scu(port, *paths, **options)

    def rejection_seen(self, finished: Finished) -> tuple[int, int, int]:
        """Orthanc says no more than that it was rejected."""
        self.assertIn("Association Rejected", finished.output)
        return cases.CALLED_NOT_RECOGNIZED
