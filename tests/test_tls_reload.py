"""Files of TLS count when they are read, by setters and by `reload_security`, whatever becomes of them meanwhile."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
import threading
import unittest
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from ldicomnet import (
    CipherSuite,
    ErrorCode,
    LDicomSecurityError,
    SecureMode,
    TLSContextSettings,
    TlsMethod,
    TlsOptions,
    TlsProfile,
)
from ldicomnet.tls.certificates import load_revoked
from ldicomnet.tls.context import ffdhe2048

from . import raw
from .certificates import PASSWORD, certificate, key, revoked
from .support import SECONDS, wait_until
from .test_tls import MUTUAL, Careful, End, Tls, settings

E_ = ErrorCode
V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def listed(*names: str) -> bytes:
    """A list of "ca" with these certificates on it."""
    issuer = x509.load_pem_x509_certificate(Path(certificate("ca")).read_bytes())
    now = datetime.now(UTC)
    made = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    made = made.last_update(now - timedelta(days=1)).next_update(now + timedelta(days=1))
    for name in names:
        number = x509.load_pem_x509_certificate(Path(certificate(name)).read_bytes()).serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - timedelta(hours=1))
        made = made.add_revoked_certificate(entry.build())
    signer = load_pem_private_key(Path(key("ca")).read_bytes(), None)
    return made.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]


def common_name(der: bytes) -> str:
    """Whose certificate it is."""
    return str(x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def context_of(shows: str, version: ssl.TLSVersion) -> ssl.SSLContext:
    """A client's that looks at nothing, with DHE where it can be chosen."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("DHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384")
    context.load_cert_chain(certificate(shows), key(shows))
    return context


class Served(Tls):
    """A server whose files are in a folder of the test's own."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def put(self, name: str, data: bytes | str) -> None:
        """A file, of these bytes or like that one."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else Path(data).read_bytes())

    def server(self) -> End:
        """It trusts "ca" by a file and "other_ca" by a folder, and nobody is revoked."""
        self.put("own.pem", certificate("server_rsa"))
        self.put("own.key", key("server_rsa"))
        self.put("trusted.pem", certificate("ca"))
        self.put("more/other.pem", certificate("other_ca"))
        self.put("revoked.crl", listed() + Path(revoked("other_ca")).read_bytes())
        self.put("dh.pem", ffdhe2048())
        given = TLSContextSettings(
            ca_file=self.folder / "trusted.pem",
            ca_path=self.folder / "more",
            crl_files=[self.folder / "revoked.crl"],
            dh_file=self.folder / "dh.pem",
            verify_mode=MUTUAL,
            profile=TlsProfile.NON_DOWNGRADING_BCP_195,
        )
        server = self.end(given)
        server.set_server_certificate_tls(str(self.folder / "own.pem"), key=str(self.folder / "own.key"))
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        return server

    def association(self, sock: socket.socket, shows: str, version: ssl.TLSVersion) -> str:
        """Whose certificate the server has shown where it accepts an association over TLS, else what went wrong."""
        try:
            with context_of(shows, version).wrap_socket(sock) as peer:
                peer.sendall(raw.request())
                self.assertEqual(peer.recv(1), b"\2")
                return common_name(peer.getpeercert(binary_form=True) or b"")
        except ssl.SSLError as error:
            return error.reason

    def connections(self, server: End) -> list[str]:
        """What comes of connections with each version and by clients of each issuer."""
        found = []
        for version in (V12, V13):
            for shows in ("client", "stranger"):
                sock = self.enterContext(socket.create_connection(server.get_host_info(), SECONDS))
                found.append(self.association(sock, shows, version))
        return found


class Files(Served):
    """Each file that is read, and what can happen to it while connections come and go."""

    READ = (
        ("own.pem", E_.CERTIFICATE_READ, E_.CERTIFICATE_LOAD),
        ("own.key", E_.PRIVATE_KEY_LOAD, E_.PRIVATE_KEY_LOAD),
        ("trusted.pem", E_.TLS_BAD_CA_FILE, E_.TLS_BAD_CA_FILE),
        ("more/other.pem", E_.TLS_BAD_CA_FILE, E_.TLS_BAD_CA_FILE),
        ("revoked.crl", E_.TLS_BAD_CA_FILE, E_.TLS_BAD_CA_FILE),
        ("dh.pem", E_.TLS_BAD_CONTEXT, E_.TLS_BAD_CONTEXT),
    )
    """A file, and what a reload says where it is missing and where it is broken."""
    BEFORE = ["server_rsa"] * 4

    def test_missing_and_broken(self) -> None:
        """Connections go on as they did, before and after the reload that fails."""
        for name, missing, broken in self.READ:
            server = self.server()
            self.assertEqual(self.connections(server), self.BEFORE)
            for way, code in (("broken", broken), ("missing", missing)):
                with self.subTest(name=name, way=way):
                    if way == "broken":
                        self.put(name, b"broken")
                    else:
                        (self.folder / name).unlink()
                    self.assertEqual(self.connections(server), self.BEFORE)
                    with self.assertRaises(LDicomSecurityError) as caught:
                        server.reload_security()
                    self.assertEqual(caught.exception.code, code)
                    self.assertEqual(self.connections(server), self.BEFORE)
            server.close_forced()

    def test_changed(self) -> None:
        """What is new counts after the reload, in each version, and not before."""
        own = {"own.pem": certificate("client_rsa"), "own.key": key("client_rsa")}
        client, stranger = ["{}", "server_rsa"] * 2, ["server_rsa", "{}"] * 2
        for files, expected, reason in (
            (own, ["client_rsa"] * 4, ""),
            ({"trusted.pem": certificate("self")}, client, "TLSV1_ALERT_UNKNOWN_CA"),
            ({"more/other.pem": certificate("self")}, stranger, "TLSV1_ALERT_UNKNOWN_CA"),
            ({"revoked.crl": listed("client") + Path(revoked("other_ca")).read_bytes()}, client,
             "SSLV3_ALERT_CERTIFICATE_REVOKED"),
        ):  # fmt: skip
            with self.subTest(files=list(files)), self.assertLogs("ldicomnet", "DEBUG"):
                server = self.server()
                self.assertEqual(self.connections(server), self.BEFORE)
                for name, data in files.items():
                    self.put(name, data)
                self.assertEqual(self.connections(server), self.BEFORE)
                server.reload_security()
                self.assertEqual(self.connections(server), [each.format(reason) for each in expected])
                server.close_forced()

    def test_of_a_client_that_decides_by_its_hook(self) -> None:
        """This library's own look at the chain has the same lists as all else."""
        self.put("revoked.crl", listed())
        server = self.listening()
        client = self.end(settings(crl_files=[self.folder / "revoked.crl"], verify_by_hook=True), kind=Careful)
        for spoil, code in (
            (lambda: None, 0),
            (lambda: self.put("revoked.crl", b"broken"), 0),
            (lambda: (self.folder / "revoked.crl").unlink(), 0),
            (lambda: self.put("revoked.crl", listed("server")), 0),
            (lambda: client.reload_security(), E_.X509_CERT_REVOKED),
        ):
            spoil()
            client.calls.clear()
            with self.assertLogs("ldicomnet", "DEBUG"):
                client.connect("", 0, *server.get_host_info())
                self.assertEqual(client.ready(), code)
                client.close()
                client.wait_for("on_close")

    def test_settings_that_cannot_be_had_change_nothing(self) -> None:
        server = self.server()
        for wrong in ({"ca_file": "/nowhere"}, {"profile": TlsProfile.BASIC, "allow_legacy": True}):
            with self.assertRaises(LDicomSecurityError):
                server.initialize(None, SecureMode.TLS, TLSContextSettings(**wrong))  # type: ignore[arg-type]
            self.assertEqual(self.connections(server), self.BEFORE)


class Waiting(Served):
    """A reload while a peer is silent, or within its handshake: one generation decides about all of it."""

    def test_accepted_and_silent(self) -> None:
        """What it gets is what is in force when it begins to speak, all of it."""
        for version in (V12, V13):
            for shows, expected in (("client", "TLSV1_ALERT_UNKNOWN_CA"), ("stranger", "client_rsa")):
                with self.subTest(version=version.name, shows=shows), self.assertLogs("ldicomnet", "DEBUG"):
                    server = self.server()
                    sock = self.enterContext(socket.create_connection(server.get_host_info(), SECONDS))
                    wait_until(lambda server=server: server.get_client_count() == 1)  # type: ignore[misc]
                    self.put("own.pem", certificate("client_rsa"))
                    self.put("own.key", key("client_rsa"))
                    self.put("trusted.pem", certificate("self"))
                    server.reload_security()
                    self.assertEqual(self.association(sock, shows, version), expected)
                    server.close_forced()

    def test_within_the_handshake(self) -> None:
        """A client has said hello, and its lists are read again: the server is judged by those it began with."""
        self.put("revoked.crl", listed())
        client = self.end(settings(crl_files=[self.folder / "revoked.crl"], verify_by_hook=True), kind=Careful)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate("server"), key("server"))
        listener = self.enterContext(socket.create_server(("127.0.0.1", 0)))
        for now, code in (("server", 0), ("server", E_.X509_CERT_REVOKED)):
            client.calls.clear()
            with self.assertLogs("ldicomnet", "DEBUG"):
                client.connect("", 0, *listener.getsockname()[:2])
                peer = self.enterContext(listener.accept()[0])
                peer.recv(1, socket.MSG_PEEK)
                self.put("revoked.crl", listed(now))
                client.reload_security()
                self.enterContext(context.wrap_socket(peer, server_side=True))
                self.assertEqual(client.ready(), code)
                client.close_forced()
                client.wait_for("on_close")


class Lists(Tls):
    """Several lists of revoked certificates in one file."""

    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        lists = [Path(revoked(name)).read_bytes() for name in ("ca", "other_ca")]
        self.files = []
        for name, order in (("one.crl", lists), ("two.crl", lists[::-1])):
            (folder / name).write_bytes(b"notes\n" + b"\n".join(order) + Path(certificate("ca")).read_bytes())
            self.files.append(folder / name)

    def given(self, file: Path, **changes: Any) -> TLSContextSettings:
        """Settings with both issuers."""
        return settings(ca_file=[certificate("ca"), certificate("other_ca")], crl_files=[file], **changes)

    def test_of_servers(self) -> None:
        """Whoever looks: OpenSSL, or this library."""
        for file in self.files:
            for by_hook in (False, True):
                for shows, code in (("server", 0), ("stranger", 0), ("revoked", E_.X509_CERT_REVOKED)):
                    with self.subTest(file=file.name, by_hook=by_hook, shows=shows):
                        kind = Careful if by_hook else End
                        self.outcome(self.end(self.given(file, verify_by_hook=by_hook), kind=kind), shows, code)

    def outcome(self, client: End, shows: str, code: int) -> None:
        server = self.end(shows=shows)
        with self.assertLogs("ldicomnet", "DEBUG"):
            self.join(client, server)
            self.assertEqual(client.ready(), code)
            client.close_forced()
            server.wait_for("on_close")

    def test_of_clients(self) -> None:
        for file in self.files:
            for shows, code in (("client", 0), ("stranger", 0), ("revoked", E_.X509_CERT_REVOKED)):
                with self.subTest(file=file.name, shows=shows), self.assertLogs("ldicomnet", "DEBUG"):
                    server, client = self.end(self.given(file, verify_mode=MUTUAL), "server"), self.end(shows=shows)
                    self.join(client, server)
                    self.assertEqual(server.ready(), code)
                    client.close_forced()
                    server.wait_for("on_close")

    def test_a_broken_one_among_them(self) -> None:
        good = Path(revoked("ca")).read_bytes()
        self.assertEqual(len(load_revoked(good + good)), 2)
        self.assertEqual(len(load_revoked(x509.load_pem_x509_crl(good).public_bytes(Encoding.DER))), 1)
        lines = good.splitlines(keepends=True)
        cut = b"".join(lines[:-1])
        for data in (good + cut, cut + good, good + lines[0], good + good.replace(b"M", b"!"), b"\n" + lines[-1]):
            with self.assertRaises(LDicomSecurityError) as caught:
                load_revoked(data)
            self.assertEqual(caught.exception.code, E_.TLS_BAD_CA_FILE)


class Changes(Served):
    """Changes on several threads, and reloads among them: nothing is lost."""

    TIMES = 60

    def test_within_a_reload(self) -> None:
        """A hook is asked in the middle of one, and waits for a thread that changes all that can be changed."""
        shutil.copy(certificate("locked"), self.folder / "own.pem")
        net = self.end()
        net.password = PASSWORD
        net.set_client_certificate_tls(str(self.folder / "own.pem"), key=key("locked"))
        asked: list[int] = []

        def change() -> None:
            net.set_server_certificate_tls(certificate("server_rsa"), key=key("server_rsa"))
            net.set_client_certificate_tls(certificate("client"), key=key("client"))
            net.set_cipher_to_index_tls(3, CipherSuite.ECDHE_RSA_AES_256_GCM_SHA384)
            net.ctx_set_options(TlsOptions.NO_TLSV1_3)

        def ask(encryption: bool) -> str:
            if not asked:
                thread = threading.Thread(target=change, daemon=True)
                thread.start()
                thread.join(SECONDS)
                self.assertFalse(thread.is_alive(), "a lock is held while a hook is asked")
            asked.append(encryption)
            return PASSWORD

        net.on_private_key_password = ask  # type: ignore[method-assign]
        net.reload_security()
        given = net._tls.generation().given
        self.assertEqual(list(given.servers), ["RSA"])
        assert given.client is not None
        self.assertIn("client", given.client.identity.subject)
        self.assertEqual(given.ciphers[3], CipherSuite.ECDHE_RSA_AES_256_GCM_SHA384)
        self.assertEqual(given.settings.options, TlsOptions.NO_TLSV1_3)
        self.assertEqual(asked, [False])

    def test_of_a_hook_that_changes_something_each_time(self) -> None:
        """The reload ends, has read all, and what the hook has set is in force."""
        self.put("own.pem", certificate("server"))
        self.put("own.key", key("server"))
        self.put("trusted.pem", certificate("ca"))
        server = self.end(settings(ca_file=self.folder / "trusted.pem"))
        server.set_server_certificate_tls(str(self.folder / "own.pem"), key=str(self.folder / "own.key"))
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)

        def made(context: ssl.SSLContext) -> None:
            server.ctx_set_options(TlsOptions.NO_TLSV1)
            server.set_client_certificate_tls(certificate("client"), key=key("client"))

        server.on_create_ctx = made  # type: ignore[method-assign]
        self.put("own.pem", certificate("below"))
        self.put("own.key", key("below"))
        self.put("trusted.pem", certificate("other_ca"))
        thread = threading.Thread(target=server.reload_security, daemon=True)
        thread.start()
        thread.join(SECONDS)
        self.assertFalse(thread.is_alive())
        given = server._tls.generation().given
        assert given.client is not None and given.material is not None
        self.assertIn("CN=below", given.servers["EC"].identity.subject)
        self.assertIn("CN=client", given.client.identity.subject)
        self.assertEqual(given.settings.options, TlsOptions.NO_TLSV1)
        self.assertIn("CN=other_ca", given.material.trusted[0].subject.rfc4514_string())

    def test_of_two_reloads_the_later_reading_counts(self) -> None:
        """The trust is changed and read by another one, after the first has begun and before it is done."""
        self.put("trusted.pem", certificate("ca"))
        net = self.end(settings(ca_file=self.folder / "trusted.pem"))
        net.get_ctx()
        net._tls.check(False, net)
        times: list[int] = []

        def made(context: ssl.SSLContext) -> None:  # by a reload, once all was read
            times.append(len(times))
            if times == [0]:
                self.put("trusted.pem", certificate("other_ca"))
                thread = threading.Thread(target=net.reload_security, daemon=True)
                thread.start()
                thread.join(SECONDS)

        net.on_create_ctx = made  # type: ignore[method-assign]
        net.reload_security()
        material = net._tls.generation().given.material
        assert material is not None
        self.assertIn("CN=other_ca", material.trusted[0].subject.rfc4514_string())
        self.assertEqual(len(times), 3, "the first one has read again")

    def test_all_at_once(self) -> None:
        """Each thread finds what it has set itself, time after time, whatever the others do, and reloads among them."""
        net = self.end(settings(ca_file=certificate("ca")))
        setup = net._tls
        wrong: list[str] = []
        done = threading.Event()

        def shown(servers: bool) -> str:
            given = setup.generation().given
            loaded = given.servers.get("EC") if servers else given.client
            return "" if loaded is None else common_name(loaded.identity.chain[0].public_bytes(Encoding.DER))

        small, large = CipherSuite.ECDHE_RSA_AES_128_GCM_SHA256, CipherSuite.ECDHE_RSA_AES_256_GCM_SHA384
        rows: tuple[tuple[Callable[[Any], object], Callable[[], Any], tuple[Any, Any]], ...] = (
            (partial(net.set_cipher_to_index_tls, 0), lambda: net.get_cipher_from_index_tls(0), (small, large)),
            (partial(net.set_cipher_to_index_tls, 9), lambda: net.get_cipher_from_index_tls(9), (large, small)),
            (net.ctx_set_options, lambda: setup.settings.options, (TlsOptions.NO_TLSV1, TlsOptions.NO_TLSV1_1)),
            (net.set_ssl_method_type, lambda: setup.settings.method, (TlsMethod.TLS, TlsMethod.SSLV23)),
            (lambda name: net.set_client_certificate_tls(certificate(name), key=key(name)), lambda: shown(False),
             ("client", "stranger")),
            (lambda name: net.set_server_certificate_tls(certificate(name), key=key(name)), lambda: shown(True),
             ("server", "below")),
        )  # fmt: skip

        def run(put: Callable[[Any], object], get: Callable[[], Any], values: tuple[Any, Any]) -> None:
            try:
                for time in range(self.TIMES):
                    put(values[time % 2])
                    found = {get() for _ in range(20)}
                    if found != {values[time % 2]}:
                        wrong.append(f"{values[time % 2]!r} was set, and then it was {found!r}")
            except Exception as error:
                wrong.append(repr(error))

        def reload() -> None:
            while not done.is_set():
                net.reload_security()

        reloading = threading.Thread(target=reload, daemon=True)
        threads = [threading.Thread(target=run, args=row, daemon=True) for row in rows]
        for thread in (reloading, *threads):
            thread.start()
        for thread in threads:
            thread.join(6 * SECONDS)
        done.set()
        reloading.join(SECONDS)
        self.assertFalse(any(thread.is_alive() for thread in (reloading, *threads)))
        self.assertEqual(wrong, [])
        for _put, get, values in rows:
            self.assertEqual(get(), values[(self.TIMES - 1) % 2])

    def test_the_first_of_all_settings(self) -> None:
        """What holds them is made by whoever needs it first; two at once get the same."""
        for _ in range(20):
            net = End(None, SecureMode.TLS)
            barrier, found = threading.Barrier(4), []

            def first(net: End = net, barrier: threading.Barrier = barrier, found: list[object] = found) -> None:
                barrier.wait(SECONDS)
                found.append(net._tls)

            threads = [threading.Thread(target=first, daemon=True) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(SECONDS)
            self.assertEqual([each is net._tls for each in found], [True] * 4)


if __name__ == "__main__":
    unittest.main()
