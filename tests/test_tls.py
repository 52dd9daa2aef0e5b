"""DICOM over TLS between two ends: handshakes, profiles, hooks, and what each fault is called on each side."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import socket
import ssl
import tempfile
import threading
import unittest
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ldicomnet import (
    AbortReason,
    AbortSource,
    CertificateTitles,
    CertificateType,
    CipherSuite,
    ErrorCode,
    LDicomAssociate,
    LDicomError,
    LDicomSecurityError,
    LDicomTimeoutError,
    RejectReason,
    RejectResult,
    RejectSource,
    SecureMode,
    Status,
    Timeouts,
    TLSContextSettings,
    TlsMethod,
    TlsOptions,
    TlsProfile,
    VerifyMode,
)
from ldicomnet.tls.profiles import PROFILES
from ldicomnet.tls.suites import BY_NUMBER
from ldicomnet.tls.texts import kind_of
from ldicomnet.tls.transport import TlsTransport
from ldicomnet.transport import Transport
from ldicomnet.transport.memory import pair

from . import chains
from .certificates import certificate, key, revoked
from .support import CT, EXPLICIT, SECONDS, VERIFICATION, Ends, Recorder, accept_all, request

MUTUAL = VerifyMode.PEER | VerifyMode.FAIL_IF_NO_PEER_CERT
E_ = ErrorCode


def settings(**changes: Any) -> TLSContextSettings:
    """Settings that trust the CA of the tests."""
    return TLSContextSettings(**{"ca_file": certificate("ca"), **changes})


class End(Recorder):
    """An end with TLS that notes what its security hooks are told."""

    password = ""

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        self.note("on_secure_link_ready", error)
        if "on_secure_link_ready" in self.answers:
            self.answers["on_secure_link_ready"](self, error)

    def on_private_key_password(self, encryption: bool) -> str:
        self.note("on_private_key_password", encryption)
        return self.password

    def ready(self) -> ErrorCode:
        """What it was told of the secure link."""
        code: ErrorCode = self.wait_for("on_secure_link_ready")[0]
        return code


class Careful(End):
    """Notes each certificate that it is shown, too, and says what `accepts` says."""

    accepts: Any = staticmethod(lambda ok, error: ok)

    def on_verify(self, ok: bool, certificate: str, error: int, error_text: str) -> bool:
        self.note("on_verify", ok, certificate, error, error_text)
        return bool(self.accepts(ok, error))


class Tls(Ends):
    """Ends with TLS."""

    def end(self, given: TLSContextSettings | None = None, shows: str = "", kind: type[End] = End) -> End:
        """An end with these settings, that shows a certificate in either role."""
        net = kind(None, SecureMode.TLS, defer_init=True)
        net.answers["on_receive_associate_request"] = accept_all
        net.initialize(None, SecureMode.TLS, settings() if given is None else given)
        if shows:
            net.set_client_certificate_tls(certificate(shows), key=key(shows))
        self.addCleanup(net.close_forced)
        return net

    def listening(self, given: TLSContextSettings | None = None, shows: str = "server", kind: type[End] = End) -> End:
        """A server with TLS, on a port."""
        net = self.end(given, shows, kind)
        net.listen("127.0.0.1")
        self.addCleanup(net.server_close)
        return net

    def ends(self, over_tcp: bool, client: End, server: End) -> End:
        """Connect two ends; the one that the server accepted with."""
        if not over_tcp:
            self.join(client, server)
            return server
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_secure_link_ready")
        return self.accepted(server)

    def accepted(self, server: End) -> End:
        """The first connection that a server has accepted."""
        until = monotonic() + SECONDS
        while not server.get_client_count():
            if monotonic() > until:
                raise AssertionError("no connection was accepted")
        found = server.get_client(0)
        assert isinstance(found, End)
        return found

    def talk(self, client: End, calling: str = "REQUESTOR", called: str = "ACCEPTOR") -> None:
        """An association with an echo and a store, released."""
        associate = request((VERIFICATION, "1.2.840.10008.1.2"), (CT, EXPLICIT))
        associate.set_calling(calling)
        associate.set_called(called)
        client.send_associate_request(associate)
        client.wait_for("on_receive_associate_accept")
        client.send_c_echo_request(1, 1, VERIFICATION)
        self.assertEqual(client.wait_for("on_receive_c_echo_response")[3], Status.SUCCESS)
        client.send_release_request()
        self.assertEqual(client.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def refused(self, client: End, server: End, client_code: ErrorCode, server_code: ErrorCode) -> None:
        """A connection in memory that fails; each side is told its own error, and none of them twice."""
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            self.join(client, server)
            for end, code in ((client, client_code), (server, server_code)):
                if end is client and not client.ready():
                    with contextlib.suppress(LDicomSecurityError, Exception):
                        client.send_associate_request(request())
                ended = end.wait_for("on_close")[0]
                side = "client" if end is client else "server"
                self.assertEqual((side, ended), (side, code))
                self.assertEqual(end.count("on_secure_link_ready"), 1)
                self.assertEqual(end.get_error_secure(), code)
        self.assertFalse(server.count("on_receive_associate_request"))


class Profiles(Tls):
    """Each profile over memory and over TCP, with each certificate that its suites ask for."""

    LEGACY = (TlsProfile.NULL, TlsProfile.AES)
    IMPOSSIBLE = (TlsProfile.BASIC,)

    def check(self, over_tcp: bool, profile: TlsProfile, shows: str, trusts: str = "ca") -> None:
        given = settings(profile=profile, allow_legacy=profile in self.LEGACY, ca_file=certificate(trusts))
        with contextlib.ExitStack() as stack:
            if profile in self.LEGACY:
                stack.enter_context(self.assertLogs("ldicomnet.tls", "WARNING"))
            client, server = self.end(given), self.end(given, shows)
            accepted = self.ends(over_tcp, client, server)
        self.assertEqual((client.ready(), accepted.ready()), (0, 0))
        link = client.get_secure_link()
        assert link is not None
        self.assertIn(link.number, PROFILES[profile].suites)
        self.assertEqual(link.version, "TLSv1.3" if PROFILES[profile].newest == 0x0304 else "TLSv1.2")
        self.assertEqual(link.cipher, BY_NUMBER[link.number].name)
        self.assertEqual(client.get_ciphersuite_tls(), accepted.get_ciphersuite_tls())
        self.assertEqual((link.is_verified, link.alpn), (True, "dicom"))
        self.talk(client)

    def test_each_over_memory_and_tcp(self) -> None:
        for profile in TlsProfile:
            if profile in self.IMPOSSIBLE:
                continue
            for over_tcp in (False, True):
                with self.subTest(profile=profile.name, over_tcp=over_tcp):
                    self.check(over_tcp, profile, "server_rsa")

    def test_with_an_ec_certificate(self) -> None:
        for profile in (TlsProfile.EXTENDED_BCP_195, TlsProfile.BCP_195, TlsProfile.MODIFIED_BCP_195):
            with self.subTest(profile=profile.name):
                self.check(False, profile, "server")

    def test_each_suite_alone(self) -> None:
        """Of TLS 1.2, where a suite can be chosen: every suite of every profile that this OpenSSL has."""
        from ldicomnet.tls.context import available

        done = 0
        for number, suite in BY_NUMBER.items():
            having = (each for each in PROFILES.values() if number in (*each.suites, *each.optional))
            profile = next(having, PROFILES[TlsProfile.AES])
            if suite.is_tls13 or suite.name not in available(profile.level):
                continue
            with self.subTest(suite=suite.name):
                given = settings(profile=profile.number, allow_legacy=profile.is_legacy)
                client, server = self.end(given), self.end(given, "server" if "ECDSA" in suite.name else "server_rsa")
                for net in (client, server):
                    net.set_cipher_to_index_tls(0, number)
                self.join(client, server)
                self.assertEqual((client.ready(), server.ready()), (0, 0))
                self.assertEqual(client.get_ciphersuite_tls(), number)
                self.assertEqual(server.get_ciphersuite_tls(), number)
                self.talk(client)
                done += 1
        self.assertGreaterEqual(done, 14)

    def test_what_this_openssl_has_not_is_said(self) -> None:
        net = End(None, SecureMode.TLS, defer_init=True)
        with self.assertRaises(LDicomSecurityError) as caught:
            net.initialize(None, SecureMode.TLS, settings(profile=TlsProfile.BASIC, allow_legacy=True))
        self.assertEqual(caught.exception.code, ErrorCode.TLS_BAD_CONTEXT)
        self.assertIn("not available", str(caught.exception))
        self.assertIn(ssl.OPENSSL_VERSION, str(caught.exception))

    def test_a_server_has_certificates_of_two_algorithms(self) -> None:
        server = self.end()
        for name in ("server", "server_rsa"):
            server.set_server_certificate_tls(certificate(name), key=key(name))
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        for cipher, algorithm in (
            (CipherSuite.ECDHE_ECDSA_AES_256_GCM_SHA384, "EC"),
            (CipherSuite.ECDHE_RSA_AES_256_GCM_SHA384, "RSA"),
        ):
            client = self.end()
            client.set_cipher_to_index_tls(0, cipher)
            client.connect("", 0, *server.get_host_info())
            self.assertEqual(client.ready(), 0)
            link = client.get_secure_link()
            assert link is not None and link.certificate is not None
            self.assertEqual(kind_of(link.certificate), algorithm)
            self.assertEqual(client.get_mutual_auth_key_length_tls(cipher), 2048 if algorithm == "RSA" else 256)
            client.close()

    def test_profiles_that_have_nothing_in_common(self) -> None:
        null = self.end(settings(profile=TlsProfile.NULL, allow_legacy=True))
        self.refused(null, self.end(shows="server_rsa"), E_.TLS_HANDSHAKE_FAILURE, E_.TLS_HANDSHAKE_FAILURE)

    def test_versions_that_have_nothing_in_common(self) -> None:
        old = self.end(settings(profile=TlsProfile.EXTENDED_BCP_195))
        new = self.end(settings(minimum_version=0x0304), shows="server_rsa")
        self.refused(old, new, E_.TLS_PROTOCOL_VERSION, E_.TLS_PROTOCOL_VERSION)

    def test_tls_1_0_is_refused_and_can_be_asked_for(self) -> None:
        given = settings(
            profile=TlsProfile.AES, allow_legacy=True, options=TlsOptions.NO_TLSV1_1 | TlsOptions.NO_TLSV1_2
        )
        client = self.end(given)
        self.refused(client, self.end(shows="server_rsa"), E_.TLS_PROTOCOL_VERSION, E_.TLS_PROTOCOL_VERSION)
        client, server = self.end(given), self.end(settings(profile=TlsProfile.AES, allow_legacy=True), "server_rsa")
        self.join(client, server)
        self.assertEqual((client.ready(), server.ready()), (0, 0))
        link = client.get_secure_link()
        assert link is not None
        self.assertEqual((link.version, link.number), ("TLSv1", CipherSuite.RSA_AES_128_CBC_SHA))
        self.talk(client)


class Faults(Tls):
    """What each fault of a certificate is called, by who finds it and by whose it is."""

    SERVER = (
        ("expired", E_.X509_CERT_HAS_EXPIRED, E_.TLS_CERTIFICATE_EXPIRED),
        ("early", E_.X509_CERT_NOT_YET_VALID, E_.TLS_BAD_CERTIFICATE),
        ("revoked", E_.X509_CERT_REVOKED, E_.TLS_CERTIFICATE_REVOKED),
        ("stranger", E_.X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, E_.TLS_UNKNOWN_CA),
        ("self", E_.X509_SELF_SIGNED_CERT, E_.TLS_UNKNOWN_CA),
        ("wrong_name", E_.X509_APPLICATION_VERIFICATION, E_.TLS_BAD_CERTIFICATE),
        ("client", E_.X509_INVALID_PURPOSE, E_.TLS_UNSUPPORTED_CERTIFICATE),
    )
    """A server's certificate, what the client that refuses it is told, and what the server hears."""
    CLIENT = (
        ("expired", E_.X509_CERT_HAS_EXPIRED, E_.TLS_CERTIFICATE_EXPIRED),
        ("early", E_.X509_CERT_NOT_YET_VALID, E_.TLS_BAD_CERTIFICATE),
        ("revoked", E_.X509_CERT_REVOKED, E_.TLS_CERTIFICATE_REVOKED),
        ("stranger", E_.X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, E_.TLS_UNKNOWN_CA),
        ("self", E_.X509_SELF_SIGNED_CERT, E_.TLS_UNKNOWN_CA),
        ("server", E_.X509_INVALID_PURPOSE, E_.TLS_UNSUPPORTED_CERTIFICATE),
        ("", E_.TLS_HANDSHAKE_FAILURE, E_.TLS_HANDSHAKE_FAILURE),
    )
    """A client's, what the server that refuses it is told, and what the client hears."""

    def test_of_a_server(self) -> None:
        for newest in ("1.2", "1.3"):
            for shows, client_code, server_code in self.SERVER:
                with self.subTest(shows=shows, newest=newest):
                    given = settings(options=TlsOptions.NO_TLSV1_3 if newest == "1.2" else 0, crl_files=[revoked()])
                    client = self.end(given)
                    self.refused(client, self.server_showing(shows), client_code, server_code)
                    self.assertEqual(client.ready(), client_code)

    def server_showing(self, shows: str) -> End:
        if shows in ("expired", "early"):
            with self.assertNoLogs("ldicomnet.tls", "ERROR"):
                return self.end(shows=shows)
        return self.end(shows=shows)

    def test_of_a_client(self) -> None:
        for newest in ("1.2", "1.3"):
            for shows, server_code, client_code in self.CLIENT:
                with self.subTest(shows=shows, newest=newest):
                    given = settings(verify_mode=MUTUAL, crl_files=[revoked()])
                    server = self.end(given, "server")
                    client = self.end(settings(options=TlsOptions.NO_TLSV1_3 if newest == "1.2" else 0), shows)
                    self.refused(client, server, client_code, server_code)
                    self.assertEqual(server.ready(), server_code)
                    # TLS 1.3 looks at it after the client is done; TLS 1.2 before.
                    self.assertEqual(client.ready(), 0 if newest == "1.3" else client_code)

    def test_late_rejection_over_tcp_says_what_it_is(self) -> None:
        server = self.listening(settings(verify_mode=MUTUAL))
        for shows, code in (("", E_.TLS_HANDSHAKE_FAILURE), ("expired", E_.TLS_CERTIFICATE_EXPIRED)) * 5:
            client = self.end(shows=shows)
            # The request may leave before the alert comes, or be cut off by it; the cause is the same.
            client.answers["on_secure_link_ready"] = lambda net, error: net.send_associate_request(request())
            with self.assertLogs("ldicomnet.engine", "WARNING") as logs:
                client.connect("", 0, *server.get_host_info())
                self.assertEqual(client.wait_for("on_close")[0], code)
            self.assertIn("looks at only after the handshake (TLS 1.3)", "".join(logs.output))
            self.assertEqual(client.get_error_secure(), code)

    def test_revoked_needs_a_list(self) -> None:
        self.refused(
            self.end(settings(crl_files=[revoked("other_ca")])), self.end(shows="server"),
            E_.X509_UNABLE_TO_GET_CRL, E_.TLS_UNKNOWN_CA,
        )  # fmt: skip
        client, server = self.end(), self.end(shows="revoked")
        self.join(client, server)
        self.assertEqual(client.ready(), 0)

    def test_weak_keys(self) -> None:
        server = self.end(settings(profile=TlsProfile.AES, allow_legacy=True), "weak")
        server.set_cipher_to_index_tls(0, CipherSuite.ECDHE_RSA_AES_256_GCM_SHA384)
        self.refused(self.end(), server, E_.TLS_INSUFFICIENT_SECURITY, E_.TLS_BAD_CERTIFICATE)
        # OpenSSL makes no signature with a curve that short.
        self.refused(self.end(), self.end(shows="small"), E_.TLS_HANDSHAKE_FAILURE, E_.TLS_HANDSHAKE_FAILURE)

    def test_own_weak_keys(self) -> None:
        for shows, profile in (("weak", TlsProfile.BCP_195), ("small", TlsProfile.MODIFIED_BCP_195)):
            server = self.end(settings(profile=profile), shows)
            with self.assertRaises(LDicomSecurityError) as caught:
                server.listen("127.0.0.1")
            self.assertEqual(caught.exception.code, E_.TLS_INSUFFICIENT_SECURITY)

    def test_a_chain_with_one_between(self) -> None:
        for depth, code in ((1, 0), (0, E_.X509_CERT_CHAIN_TOO_LONG)):
            client, server = self.end(settings(verify_depth=depth)), self.end(shows="below")
            with contextlib.ExitStack() as stack:
                if code:
                    stack.enter_context(self.assertLogs("ldicomnet.engine", "WARNING"))
                self.join(client, server)
                self.assertEqual(client.ready(), code)
                if code:
                    client.wait_for("on_close")
                    server.wait_for("on_close")


class Trust(Tls):
    """Whom a side trusts, and who decides."""

    def check(self, client: End, server: End) -> End:
        self.join(client, server)
        self.assertEqual((client.ready(), server.ready()), (0, 0))
        self.talk(client)
        return client

    def test_a_file_a_folder_and_memory_pem_and_der(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copy(certificate("ca"), folder / "one.pem")
        (folder / "notes.txt").write_text("no certificate")
        pem = Path(certificate("ca")).read_text(encoding="ascii")
        der = ssl.PEM_cert_to_DER_cert(pem)
        (folder / "two.der").write_bytes(der)
        for given in (
            {"ca_file": folder / "one.pem"}, {"ca_file": folder / "two.der"}, {"ca_path": folder, "ca_file": None},
            {"ca_data": pem, "ca_file": None}, {"ca_data": der, "ca_file": None},
            {"ca_data": pem.encode(), "ca_file": certificate("other_ca")},
        ):  # fmt: skip
            with self.subTest(given=list(given)):
                self.check(self.end(settings(**given)), self.end(shows="server"))

    def test_the_peers_own_certificate_is_trusted_when_it_is_listed(self) -> None:
        for name in ("self", "server"):
            for by_hook in (False, True):
                with self.subTest(name=name, by_hook=by_hook):
                    client = self.end(settings(ca_file=certificate(name), verify_by_hook=by_hook))
                    self.check(client, self.end(shows=name))
                    link = client.get_secure_link()
                    assert link is not None
                    self.assertTrue(link.is_verified)

    def test_without_any_a_client_trusts_the_system(self) -> None:
        self.refused(
            self.end(TLSContextSettings()), self.end(TLSContextSettings(), "server"),
            E_.X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, E_.TLS_UNKNOWN_CA,
        )  # fmt: skip

    def test_a_client_that_does_not_verify(self) -> None:
        for shows in ("self", "expired", "wrong_name"):
            client = self.end(TLSContextSettings(verify_mode=VerifyMode.NONE))
            self.check(client, self.end(shows=shows))
            link = client.get_secure_link()
            assert link is not None
            self.assertFalse(link.is_verified)
            self.assertIn(f"CN={shows}", link.subject)

    def test_names(self) -> None:
        for given, shows, code in (
            ({"check_name": False}, "wrong_name", 0),
            ({"server_name": "elsewhere.example"}, "wrong_name", 0),
            ({"server_name": "192.0.2.1"}, "wrong_name", 0),
            ({"server_name": "192.0.2.2"}, "wrong_name", E_.X509_APPLICATION_VERIFICATION),
            ({"server_name": "a.star.example"}, "server", 0),
            ({"server_name": "a.b.star.example"}, "server", E_.X509_APPLICATION_VERIFICATION),
        ):
            with self.subTest(given=given):
                client, server = self.end(settings(**given)), self.end(shows=shows)
                if not code:
                    self.check(client, server)
                else:
                    self.refused(client, server, code, E_.TLS_BAD_CERTIFICATE)

    def test_the_name_of_a_tcp_peer_is_what_connect_was_given(self) -> None:
        server = self.listening(shows="server")
        for host in ("localhost", "127.0.0.1"):
            client = self.end()
            client.connect("", 0, host, server.get_host_info()[1])
            self.assertEqual(client.ready(), 0)
            link = client.get_secure_link()
            assert link is not None
            self.assertEqual(link.name, host)
            client.close()

    def test_mutual_optional_and_none(self) -> None:
        for mode, shows, subject in (
            (MUTUAL, "client", "CN=client"),
            (VerifyMode.PEER, "client", "CN=client"),
            (VerifyMode.PEER, "", ""),
            (VerifyMode.NONE, "client", ""),
            (MUTUAL | VerifyMode.CLIENT_ONCE, "client_rsa", "CN=client_rsa"),
        ):
            with self.subTest(mode=mode, shows=shows):
                server = self.end(settings(verify_mode=mode), "server")
                self.check(self.end(shows=shows), server)
                link = server.get_secure_link()
                assert link is not None
                self.assertEqual(link.subject.split(",")[0], subject)
                self.assertEqual(link.is_verified, bool(subject))

    def test_the_hook_sees_each_certificate(self) -> None:
        client, server = self.end(kind=Careful), self.end(settings(verify_mode=MUTUAL), "below", Careful)
        client.set_client_certificate_tls(certificate("client"), key=key("client"))
        self.check(client, server)
        told = [call[1:] for call in client.calls if call[0] == "on_verify"]
        self.assertEqual([(ok, error, text) for ok, _certificate, error, text in told], [(True, 0, "ok")] * 3)
        subjects = [text.splitlines()[0] for _ok, text, _error, _text in told]
        expected = [f"Subject: CN={name}" for name in ("ca", "middle", "below")]
        self.assertEqual([each.split(",")[0] for each in subjects], expected)
        for line in ("Issuer: CN=middle", "Basic constraints: no CA", "Purposes: serverAuth, clientAuth", "Names: "):
            self.assertIn(line, told[2][1])
        self.assertEqual(server.count("on_verify"), 2)

    def test_the_hook_vetoes(self) -> None:
        for refuser in ("client", "server"):
            with self.subTest(refuser=refuser), self.assertLogs("ldicomnet.engine", "WARNING"):
                client = self.end(shows="client", kind=Careful)
                server = self.end(settings(verify_mode=MUTUAL), "server", Careful)
                mine = client if refuser == "client" else server
                mine.accepts = lambda ok, error: False
                self.join(client, server)
                self.assertEqual(mine.ready(), E_.X509_CERT_REJECTED)
                self.assertEqual(mine.wait_for("on_close")[0], E_.X509_CERT_REJECTED)
                self.assertEqual(mine.count("on_verify"), 1)
                (server if mine is client else client).wait_for("on_close")

    def test_the_hook_cannot_accept_what_openssl_has_refused(self) -> None:
        client = self.end(kind=Careful)
        client.accepts = lambda ok, error: True
        self.refused(client, self.end(shows="expired"), E_.X509_CERT_HAS_EXPIRED, E_.TLS_CERTIFICATE_EXPIRED)
        self.assertEqual(client.wait_for("on_verify"), (False, "", 10, "certificate has expired"))

    def test_the_hook_decides_where_it_may(self) -> None:
        given = settings(verify_by_hook=True, crl_files=[revoked()])
        for shows, number in (
            ("server", 0), ("expired", 10), ("early", 9), ("revoked", 23), ("stranger", 20), ("self", 18),
            ("wrong_name", 64), ("client", 26),
        ):  # fmt: skip
            for accepts in (True, False):
                with self.subTest(shows=shows, accepts=accepts), contextlib.ExitStack() as stack:
                    client = self.end(settings(verify_by_hook=True, crl_files=[revoked()]), kind=Careful)
                    client._tls.settings.server_name = None if shows != "wrong_name" else "127.0.0.1"
                    client.accepts = (lambda ok, error: True) if accepts else (lambda ok, error: ok)
                    if number and not accepts:
                        stack.enter_context(self.assertLogs("ldicomnet.engine", "WARNING"))
                    self.join(client, self.end(shows=shows))
                    ready = client.ready()
                    told = [call[1:] for call in client.calls if call[0] == "on_verify"]
                    self.assertIn(number, [error for _ok, _certificate, error, _text in told])
                    self.assertEqual([ok for ok, *_rest in told], [not error for _ok, _text, error, _words in told])
                    self.assertEqual(ready == 0, accepts or not number)
                    if ready:
                        client.wait_for("on_close")
                    else:
                        link = client.get_secure_link()
                        assert link is not None
                        self.assertEqual(link.is_verified, not number, "what was accepted all the same is not verified")
        with self.assertRaises(LDicomSecurityError) as caught:
            self.end(given, "server").listen("127.0.0.1")
        self.assertEqual(caught.exception.code, E_.TLS_BAD_VERIFY_MODE)

    def test_the_hook_of_who_verifies_nobody_is_told(self) -> None:
        """As in the original: a no of the hook ends what it is told, and refuses nobody; but the log says so."""
        for shows, accepts, numbers in (
            ("server", True, [0, 0]),
            ("expired", True, [0, 10]),
            ("expired", False, [0, 10]),
            ("below", None, [0]),
        ):
            with self.subTest(shows=shows, accepts=accepts), contextlib.ExitStack() as stack:
                client = self.end(settings(verify_mode=VerifyMode.NONE), kind=Careful)
                client.accepts = lambda ok, error, accepts=accepts: accepts or (ok and accepts is False)
                if not accepts:
                    logs = stack.enter_context(self.assertLogs("ldicomnet.tls", "WARNING"))
                self.check(client, self.end(shows=shows))
                self.assertEqual([call[3] for call in client.calls if call[0] == "on_verify"], numbers)
                link = client.get_secure_link()
                assert link is not None
                self.assertFalse(link.is_verified, "nobody was to verify it")
                if not accepts:
                    said = [each for each in logs.output if "verify_mode NONE refuses nobody" in each]
                    self.assertEqual(len(said), 1)

    def test_a_certificate_that_cannot_be_decoded_is_one_clear_refusal(self) -> None:
        """OpenSSL takes it, and `cryptography` raises as soon as somebody asks for an extension."""
        root = chains.issuing("root")
        unknown = [chains.other("1.2.3.4"), chains.other("1.2.3.5")]
        twice = chains.made("server", root, (*chains.PEER, *unknown))
        data = chains.changed(twice, lambda tbs: tbs.replace(b"\x2a\3\5", b"\x2a\3\4"), root)
        private = twice.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        for kind in (End, Careful):
            for given in ({}, {"verify_by_hook": True}, {"verify_mode": VerifyMode.NONE}):
                with self.subTest(kind=kind.__name__, given=given):
                    server = self.end()
                    server.set_server_certificate_tls(data, CertificateType.ASN1, private)
                    client = self.end(TLSContextSettings(ca_data=root.pem, check_name=False, **given), kind=kind)
                    with self.assertLogs("ldicomnet.engine", "WARNING") as logs:
                        self.join(client, server)
                        self.assertEqual(client.ready(), E_.TLS_BAD_CERTIFICATE)
                        self.assertEqual(client.wait_for("on_close")[0], E_.TLS_BAD_CERTIFICATE)
                        server.wait_for("on_close")
                    self.assertNotIn("Traceback", "".join(logs.output))
                    self.assertFalse(client.count("on_verify"))

    def test_without_the_hook_what_it_may_decide_is_refused(self) -> None:
        client = self.end(settings(verify_by_hook=True))
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            self.join(client, self.end(shows="self"))
            self.assertEqual(client.ready(), E_.X509_SELF_SIGNED_CERT)
            client.wait_for("on_close")

    def test_a_hook_that_raises_refuses(self) -> None:
        def fail(ok: bool, error: int) -> bool:
            raise ZeroDivisionError

        client = self.end(kind=Careful)
        client.accepts = fail
        with self.assertLogs("ldicomnet.engine", "WARNING") as logs:
            self.join(client, self.end(shows="server"))
            self.assertEqual(client.ready(), E_.NET_FAILURE)
        self.assertIn("ZeroDivisionError", "".join(logs.output))

    def test_on_create_ctx_may_tighten_and_not_loosen(self) -> None:
        def tighten(context: ssl.SSLContext) -> None:
            context.minimum_version = ssl.TLSVersion.TLSv1_3

        client = self.end()
        client.on_create_ctx = tighten  # type: ignore[method-assign]
        self.check(client, self.end(shows="server"))
        for loosen in (
            lambda context: context.set_ciphers("ALL:@SECLEVEL=0"),
            lambda context: setattr(context, "minimum_version", ssl.TLSVersion.MINIMUM_SUPPORTED),
        ):
            self.loosened(loosen, settings(), True)

    def loosened(self, hook: Any, given: TLSContextSettings, requestor: bool) -> str:
        """What a context that a hook has loosened is refused with, on the side that has it."""
        end = self.end(given, "" if requestor else "server")
        end.on_create_ctx = hook  # type: ignore[method-assign]
        with self.assertRaises(LDicomSecurityError) as caught:
            end.attach(pair()[0], requestor)
        self.assertEqual(caught.exception.code, E_.TLS_BAD_CONTEXT)
        return str(caught.exception)

    def test_on_create_ctx_cannot_switch_verification_off(self) -> None:
        def no_verification(context: ssl.SSLContext) -> None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE

        def no_name(context: ssl.SSLContext) -> None:
            context.check_hostname = False

        def common_name(context: ssl.SSLContext) -> None:
            context.hostname_checks_common_name = True

        def no_lists(context: ssl.SSLContext) -> None:
            context.verify_flags &= ~ssl.VERIFY_CRL_CHECK_CHAIN

        def no_issuers(context: ssl.SSLContext) -> None:
            context.verify_flags &= ~ssl.VERIFY_CRL_CHECK_CHAIN
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

        def proxies(context: ssl.SSLContext) -> None:
            context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS

        def optional(context: ssl.SSLContext) -> None:
            context.verify_mode = ssl.CERT_OPTIONAL

        def level(context: ssl.SSLContext) -> None:
            names = [each["name"] for each in context.get_ciphers() if "TLS_" not in each["name"]]
            context.set_ciphers(":".join(names) + ":@SECLEVEL=1")

        def renegotiation(context: ssl.SSLContext) -> None:
            context.options &= ~ssl.OP_NO_RENEGOTIATION

        lists = {"crl_files": [revoked()], "crl_chain": True}
        for hook, given, requestor, word in (
            (no_verification, {}, True, "verify_mode"),
            (no_verification, {"verify_mode": VerifyMode.PEER}, False, "verify_mode"),
            (optional, {"verify_mode": MUTUAL}, False, "verify_mode"),
            (no_name, {}, True, "check_hostname"),
            (common_name, {}, True, "check_hostname"),
            (no_lists, lists, True, "verify_flags"),
            (no_issuers, lists, False, "verify_flags"),
            (proxies, {}, True, "verify_flags"),
            (level, {}, True, "security level"),
            (renegotiation, {}, False, "options"),
        ):
            with self.subTest(hook=hook.__name__, requestor=requestor):
                self.assertIn(word, self.loosened(hook, settings(**given), requestor))

    def test_on_create_ctx_may_leave_off_what_the_settings_have_off(self) -> None:
        def off(context: ssl.SSLContext) -> None:
            context.check_hostname = False

        def on(context: ssl.SSLContext) -> None:
            context.verify_mode = ssl.CERT_REQUIRED

        for hook, given in (
            (off, {"check_name": False}),
            (off, {"verify_by_hook": True}),
            (on, {"verify_by_hook": True}),
        ):
            client = self.end(settings(**given))
            client.on_create_ctx = hook  # type: ignore[method-assign]
            self.check(client, self.end(shows="server"))
            link = client.get_secure_link()
            assert link is not None
            self.assertTrue(link.is_verified)


class Titles(Tls):
    """Certificates and AE titles."""

    def fingerprint(self, name: str) -> str:
        pem = Path(certificate(name)).read_text(encoding="ascii")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    def rejected(self, client: End, server: End) -> None:
        self.join(client, server)
        with self.assertLogs("ldicomnet.net", "WARNING"):
            self.assertEqual(client.ready(), 0)
            client.send_associate_request(request())
            told = client.wait_for("on_receive_associate_reject")
        self.assertEqual(told, (RejectResult.PERMANENT, RejectSource.USER, RejectReason.CALLING))
        self.assertEqual(server.count("on_receive_associate_request"), 0)

    def test_which_certificate_may_use_which_title(self) -> None:
        colons = ":".join(self.fingerprint("client")[at : at + 2] for at in range(0, 64, 2)).upper()
        for allowed, is_good in (
            ({"CN:client": "REQUESTOR"}, True),
            ({"CN:client": ("OTHER", "REQUESTOR")}, True),
            ({colons: "*"}, True),
            ({"CN:client": "OTHER"}, False),
            ({"CN:server": "*"}, False),
            ({}, False),
        ):
            with self.subTest(allowed=allowed):
                server = self.end(settings(verify_mode=MUTUAL, titles=CertificateTitles(allowed)), "server")
                client = self.end(shows="client")
                if is_good:
                    self.join(client, server)
                    self.assertEqual(client.ready(), 0)
                    self.talk(client)
                else:
                    self.rejected(client, server)

    def test_a_peer_without_a_certificate_has_no_title(self) -> None:
        self.rejected(self.end(), self.end(settings(titles=CertificateTitles({"CN:client": "*"})), "server"))

    def test_a_policy_that_fails_admits_nobody(self) -> None:
        with self.assertLogs("ldicomnet.tls", "ERROR"):
            self.rejected(self.end(), self.end(settings(titles=lambda link, title: 1 / 0 > 0), "server"))

    def test_pins_of_a_server(self) -> None:
        right, wrong = self.fingerprint("server"), self.fingerprint("client")
        for pins, is_good in (
            ({"ACCEPTOR": right}, True), ({"ACCEPTOR": [wrong, right]}, True), ({"*": right}, True),
            ({"OTHER": wrong}, True), ({"ACCEPTOR": wrong}, False), ({"*": wrong}, False),
        ):  # fmt: skip
            with self.subTest(pins=list(pins)):
                # Nothing but the pin says who it is.
                client = self.end(TLSContextSettings(verify_mode=VerifyMode.NONE, pins=pins))
                self.join(client, self.end(shows="server"))
                self.assertEqual(client.ready(), 0)
                if is_good:
                    self.talk(client)
                    continue
                with self.assertRaises(LDicomSecurityError) as caught:
                    client.send_associate_request(request())
                self.assertEqual(caught.exception.code, E_.X509_CERT_REJECTED)
                client.close()

    def test_pins_of_a_client(self) -> None:
        pins = {"REQUESTOR": self.fingerprint("client")}
        self.rejected(self.end(shows="client_rsa"), self.end(settings(verify_mode=MUTUAL, pins=pins), "server"))
        client = self.end(shows="client")
        self.join(client, self.end(settings(verify_mode=MUTUAL, pins=pins), "server"))
        self.assertEqual(client.ready(), 0)
        self.talk(client)

    def test_the_hook_of_the_request_knows_the_peer(self) -> None:
        seen: list[Any] = []

        def look(net: Any, associate: LDicomAssociate) -> None:
            link = net.get_secure_link()
            seen.append((sorted(link.names), link.version, link.number, link.is_verified, link.fingerprint))
            accept_all(net, associate)

        server = self.end(settings(verify_mode=MUTUAL), "server")
        server.answers["on_receive_associate_request"] = look
        client = self.end(shows="client")
        self.join(client, server)
        client.ready()
        self.talk(client)
        expected = ["CN:client"], "TLSv1.3", CipherSuite.AES_256_GCM_SHA384, True, self.fingerprint("client")
        self.assertEqual(seen, [expected])


class Strangers(Tls):
    """Peers that do not speak TLS, or not to the end."""

    def raw(self, server: End) -> socket.socket:
        return self.enterContext(socket.create_connection(server.get_host_info(), SECONDS))

    def ended(self, server: End, code: ErrorCode, count: int = 1) -> None:
        ended, client = server.wait_for("on_close", count)
        self.assertEqual((ended, client.ready(), client.get_error_secure()), (code, code, code))

    def test_plain_dicom_at_the_tls_port(self) -> None:
        server, client = self.listening(), self.requestor()
        with self.assertLogs("ldicomnet", "WARNING") as logs:
            client.connect("", 0, *server.get_host_info())
            client.wait_for("on_connect")
            client.send_associate_request(request())
            self.ended(server, E_.TLS_UNEXPECTED_MESSAGE)
            client.wait_for("on_close")
        self.assertIn("the peer speaks DICOM without TLS", "".join(logs.output))

    def test_tls_at_the_plain_port(self) -> None:
        server, client = self.acceptor(), self.end()
        server.listen("127.0.0.1")
        with self.assertLogs("ldicomnet", "WARNING") as logs:
            client.connect("", 0, *server.get_host_info())
            self.assertEqual(client.ready(), E_.TLS_UNEXPECTED_MESSAGE)
            client.wait_for("on_close")
            server.wait_for("on_close")
        self.assertIn("the peer speaks DICOM without TLS", "".join(logs.output))

    def test_garbage(self) -> None:
        server = self.listening()
        for count, data in enumerate(
            (b"GET / HTTP/1.0\r\n\r\n", bytes(100), b"\xff" * 100, b"\x16\x03\x01\xff\xff" + bytes(100)), 1
        ):
            with self.subTest(data=data[:5]), self.assertLogs("ldicomnet.engine", "WARNING") as logs:
                self.raw(server).sendall(data)
                ended, _client = server.wait_for("on_close", count)
                self.assertIn(ended, (E_.TLS_UNEXPECTED_MESSAGE, E_.TLS_RECORD_OVERFLOW, E_.TLS_DECODE_ERROR))
                self.assertEqual(len(logs.output), 1)

    def test_a_silent_client(self) -> None:
        server = self.end(shows="server")
        server.timeouts = Timeouts(secure=0.3)
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            peer = self.raw(server)
            self.ended_in_time(server)
        self.assertEqual(peer.recv(10), b"")

    def ended_in_time(self, server: End) -> None:
        ended, client = server.wait_for("on_close")
        self.assertEqual((ended, client.ready()), (E_.NET_TIME_OUT, E_.NET_TIME_OUT))
        self.assertEqual(server.statistics.timeouts, {"secure": 1})

    def test_half_a_hello_and_a_trickle(self) -> None:
        hello = self.hello()
        for drips in (False, True):
            with self.subTest(drips=drips), self.assertLogs("ldicomnet.engine", "WARNING"):
                server = self.end(shows="server")
                server.timeouts = Timeouts(secure=0.4)
                server.listen("127.0.0.1")
                self.addCleanup(server.server_close)
                peer = self.raw(server)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                began = monotonic()
                peer.sendall(hello[:20])
                over = threading.Event()

                def drip(peer: socket.socket = peer, over: threading.Event = over) -> None:
                    with contextlib.suppress(OSError):
                        for octet in hello[20:]:
                            peer.sendall(bytes([octet]))
                            if over.wait(0.02):
                                return

                thread = threading.Thread(target=drip, daemon=True)
                if drips:
                    thread.start()
                self.ended_in_time(server)
                self.assertLess(monotonic() - began, 2)
                over.set()
                if drips:
                    thread.join(SECONDS)

    def hello(self) -> bytes:
        """How a client begins."""
        context = ssl.create_default_context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
        return outgoing.read()

    def test_a_hello_that_is_spoiled_or_cut(self) -> None:
        """Whatever of it is wrong, wherever it ends: one error of the library, at once."""
        random, hello, server = Random(7), self.hello(), self.end(shows="server")
        inputs = [hello[:length] for length in range(1, len(hello), 23)]
        for _ in range(150):
            spoiled = bytearray(hello)
            for _ in range(random.randint(1, 4)):
                at = random.randrange(len(spoiled))
                spoiled[at : at + random.randint(0, 3)] = random.randbytes(random.randint(0, 3))
            inputs.append(bytes(spoiled))
        codes = set()
        for data in inputs:
            there, back = pair()
            there.write([data])
            there._outgoing.end()  # it says no more
            transport = server._layered(back, False)
            with self.assertRaises(LDicomError) as caught:
                transport.secure(5)
            self.assertNotIsInstance(caught.exception, LDicomTimeoutError)
            codes.add(caught.exception.code)
            transport.close()
            transport.dispose()
        self.assertIn(E_.NET_CONNECTION_ABORTED, codes)
        self.assertGreater(len(codes), 4, codes)

    def test_a_client_that_leaves_within_the_handshake(self) -> None:
        server = self.listening()
        with self.assertLogs("ldicomnet.engine", "WARNING") as logs:
            peer = self.raw(server)
            peer.sendall(self.hello())
            peer.recv(10)
            peer.close()
            self.ended(server, E_.NET_CONNECTION_ABORTED)
        self.assertEqual(len(logs.output), 1)

    def test_probes_are_quiet_with_and_without_a_handshake(self) -> None:
        server = self.listening()
        context = ssl.create_default_context(cafile=certificate("ca"))
        with self.assertNoLogs("ldicomnet", "INFO"):
            self.raw(server).close()
            server.wait_for("on_close", 1)
            with context.wrap_socket(self.raw(server), server_hostname="localhost") as peer:
                self.assertEqual(peer.selected_alpn_protocol(), None)
            server.wait_for("on_close", 2)
        self.assertEqual(server.statistics.probes, 2)

    def associated_above(self) -> tuple[End, End, Transport]:
        """A server, a client with an association, and what carries the client's TLS."""
        server, client = self.listening(), self.end()
        client.connect("", 0, *server.get_host_info())
        self.assertEqual(client.ready(), 0)
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        below = client._conversation.engine.transport._below  # type: ignore[union-attr, attr-defined]
        return server, client, below

    def test_a_connection_cut_within_an_association_is_an_abort(self) -> None:
        """No farewell of TLS, and no release: what has been cut off is not taken for all."""
        server, _client, below = self.associated_above()
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            below.close()
            self.assertIn(server.wait_for("on_close")[0], (E_.NET_CONNECTION_ABORTED, E_.NET_CONNECTION_RESET))
        self.assertEqual(server.count("on_receive_release_request"), 0)

    def test_a_broken_record_within_an_association(self) -> None:
        server, client, below = self.associated_above()
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            below.write([b"\x17\x03\x03\x00\x30" + bytes(48)])
            self.assertEqual(server.wait_for("on_close")[0], E_.TLS_BAD_RECORD_MAC)
            self.assertEqual(client.wait_for("on_close")[0], E_.TLS_BAD_RECORD_MAC)  # the alert says so
        accepted = server.wait_for("on_close")[1]
        for end in (accepted, client):  # PS3.15 B.12
            self.assertEqual(end.wait_for("on_receive_abort"), (AbortSource.PROVIDER, AbortReason.UNKNOWN))
            self.assertLess(end.names().index("on_receive_abort"), end.names().index("on_close"))


class Sessions(Tls):
    """Nothing of one connection opens the next."""

    def test_no_session_is_resumed(self) -> None:
        server = self.listening()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context(cafile=certificate("ca"))
            context.maximum_version = version
            session = None
            for _ in range(3):
                sock = socket.create_connection(server.get_host_info(), SECONDS)
                with context.wrap_socket(sock, server_hostname="localhost", session=session) as peer:
                    self.assertFalse(peer.session_reused)
                    peer.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        peer.recv(1)  # TLS 1.3 tells its sessions after the handshake
                    session = peer.session

    def test_reload(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        for source, target in (("server", "own"), ("ca", "trusted")):
            shutil.copy(certificate(source), folder / f"{target}.pem")
            shutil.copy(key(source), folder / f"{target}.key")
        shutil.copy(revoked("other_ca"), folder / "revoked.crl")
        server = self.end(settings(ca_file=folder / "trusted.pem", verify_mode=VerifyMode.PEER))
        server.set_server_certificate_tls(str(folder / "own.pem"), key=str(folder / "own.key"))
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        address = server.get_host_info()

        def connected(shows: str = "") -> End:
            client = self.end(settings(ca_data=Path(certificate("self")).read_bytes()), shows)
            client.connect("", 0, *address)
            self.assertEqual(client.ready(), 0)
            return client

        before = connected("client")
        self.assertIn("CN=server", before.get_secure_link().subject)  # type: ignore[union-attr]
        (folder / "own.key").write_text("no key")
        with self.assertRaises(LDicomSecurityError) as caught:
            server.reload_security()
        self.assertEqual(caught.exception.code, E_.PRIVATE_KEY_LOAD)
        self.assertIn("CN=server", connected().get_secure_link().subject)  # type: ignore[union-attr]
        shutil.copy(certificate("self"), folder / "own.pem")
        shutil.copy(key("self"), folder / "own.key")
        shutil.copy(certificate("other_ca"), folder / "trusted.pem")
        server.reload_security()
        self.assertIn("CN=self", connected().get_secure_link().subject)  # type: ignore[union-attr]
        with self.assertLogs("ldicomnet.engine", "WARNING"):
            refused = self.end(settings(ca_data=Path(certificate("self")).read_bytes()), "client")
            refused.connect("", 0, *address)
            refused.wait_for("on_close")
            self.assertEqual(refused.get_error_secure(), E_.TLS_UNKNOWN_CA)
        self.talk(before)  # what stood goes on

    def test_a_reload_by_what_was_accepted_reaches_the_listener(self) -> None:
        server, client = self.listening(), self.end()
        client.connect("", 0, *server.get_host_info())
        client.ready()
        accepted = self.accepted(server)
        context = server.get_ctx()
        accepted.reload_security()
        accepted.close()
        self.assertIsNot(server.get_ctx(), context)

    def test_the_accepted_object_has_tls_of_its_own(self) -> None:
        """As the original's server sample does it: the listening object has no certificate."""

        class Listening(End):
            def on_accept(self, error: ErrorCode) -> None:
                made = End(None, SecureMode.TLS, defer_init=True)
                made.answers["on_receive_associate_request"] = accept_all
                made.initialize(None, SecureMode.TLS, TLSContextSettings(method=TlsMethod.SSLV23, verify_mode=0))
                made.set_cipher_to_index_tls(0, CipherSuite.ECDHE_RSA_AES_256_GCM_SHA384)
                made.set_server_certificate_tls(certificate("server_rsa"), key=key("server_rsa"))
                self.accept(made)

        server = Listening(None, SecureMode.TLS)
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        client = self.end()
        client.connect("", 0, *server.get_host_info())
        self.assertEqual(client.ready(), 0)
        self.assertEqual(client.get_ciphersuite_tls(), CipherSuite.ECDHE_RSA_AES_256_GCM_SHA384)
        self.talk(client)

    def test_what_is_accepted_is_never_plain(self) -> None:
        class Forgetful(End):
            def create_client(self) -> Recorder:
                return self.made

            made = Recorder()

        server = Forgetful(None, SecureMode.TLS)
        server.set_server_certificate_tls(certificate("server"), key=key("server"))
        with self.assertLogs("ldicomnet.net", "ERROR") as logs:
            server.listen("127.0.0.1")
            self.addCleanup(server.server_close)
            with socket.create_connection(server.get_host_info(), SECONDS):
                until = monotonic() + SECONDS
                while not logs.output and monotonic() < until:
                    pass
        self.assertIn("the listening object is for TLS, and the accepting one for NONE", logs.output[0])
        self.assertFalse(server.made.is_activated())

    def test_close_wakes_a_handshake(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = self.end()
            client.connect("", 0, *listener.getsockname()[:2])
            peer = listener.accept()[0]
            peer.recv(10)
            began = monotonic()
            client.close_forced()
            self.assertEqual(client.wait_for("on_close")[0], 0)
            self.assertLess(monotonic() - began, 2)
            self.assertEqual(client.ready(), E_.NET_BLOCKING_CANCELED)
            peer.close()

    def test_an_answer_of_tls_that_the_peer_does_not_let_leave(self) -> None:
        """It may have left by half: nothing else is sent behind it, and the connection ends, told."""
        client, server = self.end(), self.end(shows="server")
        self.join(client, server)
        client.ready()
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        assert server._conversation is not None
        transport = server._conversation.engine.transport
        assert isinstance(transport, TlsTransport)
        answer, write = b"the answer to a change of keys", transport._below.write

        def stuck(buffers: list[Any], more: bool = False) -> None:
            if buffers == [answer]:
                raise LDicomTimeoutError("nothing was read", "send")
            write(buffers, more)

        with mock.patch.object(transport._below, "write", stuck), self.assertLogs("ldicomnet", "WARNING"):
            transport._outgoing.write(answer)
            client.send_c_echo_request(1, 1)
            self.assertEqual(server.wait_for("on_close")[0], E_.NET_TIME_OUT)
        self.assertEqual(server.statistics.timeouts, {"send": 1})
        self.assertEqual(client.wait_for("on_close")[0], E_.NET_CONNECTION_ABORTED)

    def test_a_certificate_valid_soon_is_one_line_in_the_log(self) -> None:
        with self.assertLogs("ldicomnet.tls", "WARNING") as logs:
            server = self.end(shows="early")
            server.listen("127.0.0.1")
            self.addCleanup(server.server_close)
        self.assertEqual(len(logs.output), 1)
        self.assertIn("not valid now", logs.output[0])


if __name__ == "__main__":
    unittest.main()
