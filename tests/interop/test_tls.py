"""DICOM over TLS between this library and each of the others, in both roles, with and without client certificates."""

from __future__ import annotations

import contextlib
import ssl
import unittest
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ldicomnet import ErrorCode, TlsProfile

from ..certificates import certificate, key
from . import ours, peers, tls_cases
from .processes import Finished, run
from .tls_cases import MUTUAL, secured

LEGACY = (TlsProfile.AES, TlsProfile.NULL)


class Dcmtk(tls_cases.Peer):
    """DCMTK's storescp and storescu, and each of its profile switches that this build has."""

    peer = "dcmtk"
    PROFILES = (
        ("+py", TlsProfile.NON_DOWNGRADING_BCP_195),
        ("+px", TlsProfile.BCP_195_RFC_7525),
        ("+pz", TlsProfile.EXTENDED_BCP_195),
        ("+pg", TlsProfile.BCP_195),
        ("+pm", TlsProfile.MODIFIED_BCP_195),
        ("+pa", TlsProfile.AES),
        ("+pb", TlsProfile.BASIC),
        ("+pn", TlsProfile.NULL),
    )

    @classmethod
    def setUpClass(cls) -> None:
        """Skip where this DCMTK has no TLS."""
        super().setUpClass()
        cls.help = run("storescu", "--help").output
        if "+tls" not in cls.help:
            raise unittest.SkipTest("this DCMTK was built without TLS")

    def scp(self, mutual: bool) -> AbstractContextManager[peers.Scp]:
        return self.storescp("-rc" if mutual else "-ic")

    def storescp(self, *options: str) -> AbstractContextManager[peers.Scp]:
        return peers.storescp("+tls", key("server_rsa"), certificate("server_rsa"), "+cf", certificate("ca"), *options)

    def scu(self, port: int, path: Path, shows: str, trusts: str, *options: str) -> Finished:
        own = ["+tls", key(shows), certificate(shows)] if shows else ["+tla"]
        return peers.storescu(port, path, options=["-R", *own, "+cf", certificate(trusts), *options])

    def test_each_profile_with_ours(self) -> None:
        """The same profile on both sides, in both roles; and DCMTK's with our default one, where they meet."""
        done = 0
        for switch, profile in self.PROFILES:
            if f" {switch} " not in self.help or profile == TlsProfile.BASIC:  # OpenSSL has no 3DES any more
                continue
            for meant in (profile, TlsProfile.BCP_195):
                if meant != profile and profile in LEGACY:
                    continue
                given = {"profile": meant, "allow_legacy": meant in LEGACY}
                with self.subTest(switch=switch, ours=meant.name), self.storescp(switch, "-rc") as scp:
                    secure = secured("client_rsa", **given)
                    with ours.association(scp.port, ours.request_for(self.path), secure) as client:
                        self.assertEqual(client.store(self.path), 0)
                        client.release()
                    self.assertEqual(len(scp.stored()), 1)
                    with ours.server(secure=secured("server_rsa", verify_mode=MUTUAL, **given)) as server:
                        self.scu(server.port, self.path, "client_rsa", "ca", switch).check()
                        server.wait_event("released")
                    done += 1
        self.assertGreaterEqual(done, 8)

    def test_a_legacy_profile_does_not_meet_ours(self) -> None:
        """DCMTK offers the weak suites only, and our default has none of them."""
        for switch in ("+pn", "+pb"):
            if f" {switch} " in self.help:
                with ours.server(secure=secured("server_rsa", verify_mode=0)) as server:
                    self.scu(server.port, self.path, "client_rsa", "ca", switch).check(None)
                    self.assertEqual(server.wait_event("closed")["error"], ErrorCode.TLS_HANDSHAKE_FAILURE)

    def test_plain_and_tls_do_not_meet(self) -> None:
        """In both roles, and both sides hear of it."""
        with ours.server(secure=secured("server_rsa", verify_mode=0)) as server:
            peers.echoscu(server.port).check(None)
            self.assertEqual(server.wait_event("closed")["error"], ErrorCode.TLS_UNEXPECTED_MESSAGE)
        with ours.server() as server:
            peers.echoscu(server.port, "+tla", "-ic").check(None)
        with peers.storescp() as scp, ours.connection(scp.port, ours.request_for(), secured("")) as client:
            self.assertNotEqual(client.wait_event("secured")["error"], ErrorCode.SUCCESS)

    def test_many_associations(self) -> None:
        """One after the other: none is a resumed session, and all are verified."""
        with ours.server(secure=secured("server", verify_mode=MUTUAL)) as server:
            for _ in range(5):
                peers.echoscu(
                    server.port, "+tls", key("client"), certificate("client"), "+cf", certificate("ca")
                ).check()


class Pynetdicom(tls_cases.Peer):
    """pynetdicom, which takes the program's own `ssl.SSLContext`."""

    peer = "pynetdicom"

    def scp(self, mutual: bool) -> AbstractContextManager[peers.Scp]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate("ca"))
        context.load_cert_chain(certificate("server_rsa"), key("server_rsa"))
        context.verify_mode = ssl.CERT_REQUIRED if mutual else ssl.CERT_NONE
        return peers.pynetdicom_scp(tls=context)

    def scu(self, port: int, path: Path, shows: str, trusts: str) -> Finished:
        context = ssl.create_default_context(cafile=certificate(trusts))
        if shows:
            context.load_cert_chain(certificate(shows), key(shows))
        return peers.pynetdicom_scu(port, path, tls=(context, "localhost"))


class Dcmjs(tls_cases.Peer):
    """dcmjs-dimse, whose TLS is that of Node.js."""

    peer = "dcmjs"

    def scp(self, mutual: bool) -> AbstractContextManager[peers.Scp]:
        own = {"key": key("server_rsa"), "cert": certificate("server_rsa"), "ca": certificate("ca")}
        return peers.dcmjs_scp(tls={**own, "requestCert": mutual, "rejectUnauthorized": mutual})

    def scu(self, port: int, path: Path, shows: str, trusts: str) -> Finished:
        own = {"key": key(shows), "cert": certificate(shows)} if shows else {}
        return peers.dcmjs_scu(port, path, tls={**own, "ca": certificate(trusts), "rejectUnauthorized": True})


class Orthanc(tls_cases.Peer):
    """Orthanc, which has a certificate in either role."""

    peer = "orthanc"
    mutual_only = True

    @contextlib.contextmanager
    def started(self, own: str, trusts: str, mutual: bool) -> Iterator[peers.Orthanc]:
        """Orthanc with its certificate."""
        with peers.orthanc(
            more={
                "DicomTlsEnabled": True,
                "DicomTlsCertificate": certificate(own),
                "DicomTlsPrivateKey": key(own),
                "DicomTlsTrustedCertificates": certificate(trusts),
                "DicomTlsRemoteCertificateRequired": mutual,
            }
        ) as running:
            yield running

    def scp(self, mutual: bool) -> AbstractContextManager[peers.Scp]:
        return self.started("server_rsa", "ca", mutual)

    def scu(self, port: int, path: Path, shows: str, trusts: str) -> Finished:
        with self.started(shows, trusts, mutual=False) as running:
            return running.scu(port, path, tls=True)


if __name__ == "__main__":
    unittest.main()
