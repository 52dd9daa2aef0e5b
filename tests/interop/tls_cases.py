"""What is tested of TLS with every other library; a class of `test_tls` says how to start it."""

from __future__ import annotations

import unittest
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from ldicomnet import ErrorCode, LDicomNet, SecureMode, TLSContextSettings, VerifyMode

from ..certificates import certificate, key, revoked
from . import objects, ours, peers
from .processes import Finished, temporary_folder

MUTUAL = VerifyMode.PEER | VerifyMode.FAIL_IF_NO_PEER_CERT


def secured(shows: str, **changes: Any) -> ours.Secure:
    """What sets TLS up on one of ours, that shows a certificate, or none."""

    def secure(net: LDicomNet) -> None:
        settings = TLSContextSettings(**{"ca_file": certificate("ca"), **changes})
        net.initialize(None, SecureMode.TLS, settings)
        if shows:
            net.set_client_certificate_tls(certificate(shows), key=key(shows))

    return secure


class Peer(unittest.TestCase):
    """Tests with one other library; those of a class that says how to start it."""

    peer: ClassVar[str]
    path: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        """Skip where the peer is not here."""
        peers.need(cls.peer)
        folder = cls.enterClassContext(temporary_folder())
        objects.copy_objects(folder, objects.EXPLICIT)
        cls.path = folder / objects.EXPLICIT

    def scp(self, mutual: bool) -> AbstractContextManager[peers.Scp]:
        """Its server, with the certificate "server_rsa"; whether it demands one of its clients."""
        raise NotImplementedError

    def scu(self, port: int, path: Path, shows: str, trusts: str) -> Finished:
        """Its client, which stores an object, with this certificate or none."""
        raise NotImplementedError

    mutual_only = False
    """Whether its client has a certificate in any case."""

    def test_our_client_and_its_server(self) -> None:
        """Server authenticated, and both; the object arrives."""
        for mutual, shows in ((False, ""), (False, "client"), (True, "client"), (True, "client_rsa")):
            with self.subTest(mutual=mutual, shows=shows), self.scp(mutual) as scp:
                with ours.association(scp.port, ours.request_for(self.path), secured(shows)) as client:
                    self.assertEqual(client.store(self.path), 0)
                    client.release()
                self.assertEqual(len(scp.stored()), 1)

    def test_our_client_without_the_certificate_that_is_asked_for(self) -> None:
        """It is told why, be it within the handshake or after."""
        with self.scp(True) as scp, ours.connection(scp.port, ours.request_for(), secured("")) as client:
            error = client.wait_event("closed")["error"]
            self.assertIn(error, (ErrorCode.TLS_HANDSHAKE_FAILURE, ErrorCode.TLS_CERTIFICATE_UNKNOWN))

    def test_our_client_does_not_trust_it(self) -> None:
        """Its issuer, its name, or that it is revoked."""
        with self.scp(False) as scp:
            for changes, code in (
                ({"ca_file": certificate("other_ca")}, ErrorCode.X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY),
                ({"server_name": "elsewhere.example"}, ErrorCode.X509_APPLICATION_VERIFICATION),
                ({"crl_files": [revoked("other_ca")]}, ErrorCode.X509_UNABLE_TO_GET_CRL),
            ):
                with ours.connection(scp.port, ours.request_for(), secured("client", **changes)) as client:
                    error = client.wait_event("secured")["error"]
                    if code == ErrorCode.X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:  # it may send its issuer, too
                        self.assertIn(error, (code, ErrorCode.X509_SELF_SIGNED_CERT_IN_CHAIN))
                    else:
                        self.assertEqual(error, code)

    def test_its_client_and_our_server(self) -> None:
        """Server authenticated, and both; an EC certificate of ours, and an RSA one."""
        optional = VerifyMode.PEER
        for mode, shows in ((VerifyMode.NONE, ""), (optional, "client"), (MUTUAL, "client"), (MUTUAL, "client_rsa")):
            if self.mutual_only and not shows:
                continue
            for own in ("server", "server_rsa"):
                with self.subTest(mode=mode, shows=shows, own=own):
                    with ours.server(secure=secured(own, verify_mode=mode)) as server:
                        self.scu(server.port, self.path, shows, "ca").check()
                        server.wait_event("released")
                        self.assertEqual(len(server.stored()), 1)

    def test_its_client_is_refused(self) -> None:
        """Without a certificate, with one of another issuer, and with one that is revoked."""
        secure = secured("server_rsa", verify_mode=MUTUAL, crl_files=[revoked()])
        with ours.server(secure=secure) as server:
            for shows in ("", "stranger", "revoked"):
                if self.mutual_only and not shows:
                    continue
                with self.subTest(shows=shows):
                    self.scu(server.port, self.path, shows, "ca").check(None)
            self.assertEqual(server.stored(), [])

    def test_its_client_does_not_trust_us(self) -> None:
        """And our server hears of it."""
        with ours.server(secure=secured("stranger", verify_mode=0)) as server:
            self.scu(server.port, self.path, "client", "ca").check(None)
            self.assertNotEqual(server.wait_event("closed")["error"], ErrorCode.SUCCESS)
            self.assertEqual(server.stored(), [])
