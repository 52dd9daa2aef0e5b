"""The sample programs, run as a user runs them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from ldicomnet import LDicomDS

from . import raw
from .certificates import PASSWORD, certificate, folder, key
from .raw import Peer
from .support import DEFLATED, wait_until
from .test_dataset import path_of

ROOT = Path(__file__).parent.parent
SECONDS = 30


def start(*arguments: str) -> subprocess.Popen[str]:
    """A sample in a process of its own."""
    program = str(ROOT / "samples" / arguments[0])
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, program, *arguments[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit status, output and errors of a sample."""
    with start(*arguments) as process:
        output, errors = process.communicate(timeout=SECONDS)
        return process.returncode, output, errors


class Servers(unittest.TestCase):
    """Server samples that are ended in order, and a folder."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def serve(self, *arguments: str) -> str:
        """Start a server sample; its port."""
        process = self.server = start(*arguments, "--bind", "127.0.0.1", "0")
        self.addCleanup(self.finish, process)
        assert process.stdout is not None
        line = process.stdout.readline()
        self.assertRegex(line, r"^listening on 127\.0\.0\.1 port \d+$")
        return line.split()[-1]

    def finish(self, process: subprocess.Popen[str]) -> None:
        """SIGTERM ends a server in order."""
        process.send_signal(signal.SIGTERM)
        _output, errors = process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, 0)
        self.check_errors(errors)

    def check_errors(self, errors: str) -> None:
        """A server has nothing to say of what these tests do."""
        self.assertEqual(errors, "")

    def compare(self, files: list[Path]) -> None:
        for path in files:
            sent = LDicomDS.load(path)
            stored = LDicomDS.load(self.folder / f"{sent.sop_instance_uid}.dcm")
            expected = sent.read()
            if sent.transfer_syntax == DEFLATED:  # padded to an even length (PS3.5 Annex A.5)
                expected += b"\0" * (len(expected) & 1)
            self.assertEqual((stored.read(), stored.transfer_syntax), (expected, sent.transfer_syntax))
        self.assertEqual(len(os.listdir(self.folder)), len(files))


class Iscl(Servers):
    """`--iscl`, with a file of keys."""

    KEYS = "authentication 1 133457799BBCDFF1\nencryption 1 0E329232EA6D0D73 # a comment\n\n"

    def file(self, text: str) -> str:
        path = self.folder / "keys.txt"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_echo_and_store(self) -> None:
        stored = self.folder / "stored"
        stored.mkdir()
        keys = self.file(self.KEYS + "name SERVER\nsign md5\n")
        port = self.serve("store_scp.py", "--iscl", keys, "-od", str(stored))
        keys = self.file(self.KEYS + "encrypt des\n")
        self.assertEqual(run("echo_scu.py", "--iscl", keys, "127.0.0.1", port)[0], 0)
        status, _output, errors = run("store_scu.py", "--iscl", keys, "127.0.0.1", port, str(path_of("CT_small.dcm")))
        self.assertEqual((status, errors, len(os.listdir(stored))), (0, "", 1))

    def test_files_that_are_none(self) -> None:
        for text, words in (
            ("authentication 1 133457799BBCDFF1\n", "no encryption key"),
            ("authentication 1\n", "line 1"),
            (self.KEYS + "sign sha1\n", "line 4"),
            ("authentication 9 133457799BBCDFF1\n", "indexes 1 to 8"),
            ("what 1\n", "line 1"),
        ):
            status, output, errors = run("echo_scu.py", "--iscl", self.file(text), "127.0.0.1", "1")
            with self.subTest(text):
                self.assertEqual((status, errors.count("\n")), (1, 1), errors)
                self.assertIn(words, errors)
                self.assertNotIn("133457799BBCDFF1".lower(), errors.lower() + output)
        for more in (("--iscl", str(self.folder / "nothing")), ("--iscl", self.file(self.KEYS), "+tla")):
            status, _output, errors = run("echo_scu.py", *more, "127.0.0.1", "1")
            self.assertEqual((status, errors.count("\n")), (1, 1), errors)


class Samples(Servers):
    """Echo and store, client and server."""

    def test_echo(self) -> None:
        port = self.serve("echo_scp.py")
        status, output, errors = run("echo_scu.py", "-v", "--repeat", "3", "127.0.0.1", port)
        self.assertEqual((status, output), (0, "3 of 3 echoes answered\n"), errors)

    def test_store(self) -> None:
        port = self.serve("store_scp.py", "+xa", "-od", str(self.folder))
        files = [path_of(name) for name in ("CT_small.dcm", "JPEG2000.dcm", "image_dfl.dcm", "rtplan.dcm")]
        status, output, errors = run("store_scu.py", "127.0.0.1", port, *map(str, files))
        self.assertEqual((status, output, errors), (0, "", ""))
        self.compare(files)

    def test_without_xa_only_uncompressed(self) -> None:
        port = self.serve("store_scp.py", "-od", str(self.folder))
        good, bad = path_of("CT_small.dcm"), path_of("JPEG2000.dcm")
        status, output, errors = run("store_scu.py", "127.0.0.1", port, str(bad), str(good), __file__)
        self.assertEqual((status, output), (1, "1 stored, 2 failed\n"))
        self.assertIn("JPEG2000.dcm: the peer accepts neither", errors)
        self.assertIn("test_samples.py is not a DICOM file", errors)
        self.compare([good])

    def test_a_title_of_another(self) -> None:
        port = self.serve("store_scp.py", "-aet", "MINE", "--strict", "-od", str(self.folder))
        status, _output, errors = run("store_scu.py", "-aec", "OTHER", "127.0.0.1", port, str(path_of("CT_small.dcm")))
        self.assertEqual(status, 1)
        self.assertIn("association rejected: result 1, source 1, reason 7", errors)
        self.assertEqual(run("store_scu.py", "-aec", "MINE", "127.0.0.1", port, str(path_of("CT_small.dcm")))[0], 0)

    def test_nobody_there(self) -> None:
        for program, *path in (("echo_scu.py",), ("store_scu.py", str(path_of("CT_small.dcm")))):
            status, output, errors = run(program, "-to", "2", "127.0.0.1", "1", *path)
            self.assertEqual((status, errors.count("\n")), (1, 1), errors)
            self.assertIn("NET_CONNECTION_REFUSED", errors)
            self.assertNotIn("Traceback", errors + output)

    def test_wrong_arguments(self) -> None:
        for arguments in (
            ("echo_scu.py", "127.0.0.1", "70000"),
            ("echo_scu.py", "-aet", "A" * 17, "127.0.0.1", "104"),
            ("echo_scu.py", "-to", "0", "127.0.0.1", "104"),
            ("store_scp.py", "-od", "/no/such/folder", "0"),
            ("store_scp.py", "-pdu", "5", "0"),
            ("store_scu.py", "127.0.0.1", "104"),
        ):
            with self.subTest(arguments=arguments):
                status, _output, errors = run(*arguments)
                self.assertEqual(status, 2)
                self.assertIn("error:", errors)

    def test_help(self) -> None:
        programs = "echo_scu echo_scp store_scu store_scp scu_scp_setup make_certificates"
        for name in (f"{program}.py" for program in programs.split()):
            with self.subTest(program=name):
                status, output, _errors = run(name, "--help")
                self.assertEqual(status, 0)
                self.assertIn("usage:", output)

    def test_the_set_up_in_its_order(self) -> None:
        status, output, errors = run("scu_scp_setup.py")
        self.assertEqual((status, errors), (0, ""))
        steps = [line.strip() for line in output.splitlines()[1:]]
        order = (
            "listen",
            "connect",
            "on_accept",
            "accept(new object)",
            "on_connect(SUCCESS)",
            "send_associate_request",
            "on_receive_associate_request",
            "send_associate_accept",
            "on_receive_associate_accept",
            "send_c_store_request",
            "on_receive_c_store_request",
            "send_c_store_response",
            "on_receive_c_store_response(SUCCESS)",
            "send_release_request",
            "on_receive_release_request",
            "send_release_response",
            "on_receive_release_response",
            "close",
            "on_close(SUCCESS)",
        )
        positions = [steps.index(step) for step in order]
        self.assertEqual(positions, sorted(positions))

    def test_the_demo(self) -> None:
        status, output, errors = run("demo.py")
        self.assertEqual((status, errors), (0, ""), output)
        self.assertRegex(output.splitlines()[-1], r"^(\d+) of \1 objects, .* \1 stored data sets are the same bytes")


class Signals(unittest.TestCase):
    """SIGTERM, as a service manager sends it."""

    def serving(self) -> tuple[subprocess.Popen[str], Peer]:
        """A server, and a peer that has an association with it."""
        stored = self.enterContext(tempfile.TemporaryDirectory())
        process = self.enterContext(start("store_scp.py", "--drain", "60", "-od", stored, "--bind", "127.0.0.1", "0"))
        self.addCleanup(process.kill)
        assert process.stdout is not None
        peer = Peer.connect(int(process.stdout.readline().split()[-1]))
        self.addCleanup(peer.close)
        peer.send(raw.request())
        self.heard(peer, "AC 1:0 3:0")
        return process, peer

    def heard(self, peer: Peer, expected: str) -> None:
        """The next thing that the peer hears."""
        self.assertTrue(peer.next(time.monotonic() + SECONDS), peer.transcript)
        self.assertEqual(peer.transcript[-1], expected)

    def refusing(self, peer: Peer) -> None:
        """Its port is closed: the signal has come."""
        address = peer.sock.getpeername()

        def is_refused() -> bool:
            try:
                socket.create_connection(address, SECONDS).close()
            except ConnectionRefusedError:
                return True
            except ConnectionResetError:  # it was in the backlog when the port closed
                return False
            return False

        wait_until(is_refused)

    def test_the_first_lets_associations_end(self) -> None:
        process, peer = self.serving()
        process.send_signal(signal.SIGTERM)
        self.refusing(peer)
        peer.send(raw.echo(7))
        self.heard(peer, "8030/7 0000")
        self.assertIsNone(process.poll())
        peer.send(raw.RELEASE)
        self.heard(peer, "RP")
        peer.close()
        self.assertEqual((process.wait(SECONDS), *process.communicate()), (0, "", ""))

    def test_the_second_ends_it_at_once(self) -> None:
        process, peer = self.serving()
        process.send_signal(signal.SIGTERM)
        self.refusing(peer)
        process.send_signal(signal.SIGTERM)
        self.assertEqual((process.wait(SECONDS / 3), *process.communicate()), (-signal.SIGTERM, "", ""))


class Tls(Servers):
    """The same through TLS, with the switches of DCMTK."""

    def own(self, name: str, trusts: str = "ca") -> tuple[str, ...]:
        return "+tls", key(name), certificate(name), "+cf", certificate(trusts)

    def check_errors(self, errors: str) -> None:
        """Each peer that was refused is one line."""
        for line in errors.splitlines():
            self.assertRegex(line, r"^W: \[\d+\] no secure link with 127\.0\.0\.1 port \d+: ")

    def test_store_and_what_is_refused(self) -> None:
        port = self.serve("store_scp.py", "-od", str(self.folder), "--workers", "2", *self.own("server_rsa"))
        path = path_of("CT_small.dcm")
        for program, arguments, status, said in (
            ("store_scu.py", self.own("client"), 0, ""),
            ("echo_scu.py", (*self.own("locked"), "+pw", PASSWORD), 0, ""),
            ("echo_scu.py", (*self.own("locked"), "-pw"), 1, "on_private_key_password gave no password"),
            ("echo_scu.py", (*self.own("client"), "+pz"), 0, ""),
            ("echo_scu.py", (*self.own("client"), "+pb"), 1, "is not available"),
            ("echo_scu.py", ("+tla", "+cf", certificate("ca")), 1, "TLS_HANDSHAKE_FAILURE"),
            ("echo_scu.py", (*self.own("client"), "+cf", certificate("other_ca")), 0, ""),
            ("echo_scu.py", self.own("client", "other_ca"), 1, "X509_SELF_SIGNED_CERT_IN_CHAIN"),
            ("echo_scu.py", (), 1, "NET_CONNECTION_ABORTED"),
        ):
            with self.subTest(arguments=arguments):
                files = [str(path)] if program == "store_scu.py" else []
                done, _output, errors = run(program, *arguments, "127.0.0.1", port, *files)
                self.assertEqual(done, status, errors)
                self.assertIn(said, errors)
                self.assertNotIn("Traceback", errors)
        self.compare([path])

    def test_hangup_reads_certificates_again(self) -> None:
        own = str(self.folder / "server.key"), str(self.folder / "server.pem")
        for program, more in (("echo_scp.py", ()), ("store_scp.py", ("--workers", "2", "-od", str(self.folder)))):
            with self.subTest(program=program):
                self.show("server")
                port = self.serve(program, *more, "+tls", *own, "-ic")
                self.assertTrue(self.shows("server", port))
                self.show("self")
                self.server.send_signal(signal.SIGHUP)
                until = time.monotonic() + SECONDS
                while not self.shows("self", port) and time.monotonic() < until:
                    pass
                self.assertTrue(self.shows("self", port))

    def shows(self, name: str, port: str) -> bool:
        """Whether this is the certificate that a server shows."""
        expected = ssl.PEM_cert_to_DER_cert(Path(certificate(name)).read_text(encoding="ascii"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", int(port)), SECONDS) as sock, context.wrap_socket(sock) as peer:
            return peer.getpeercert(binary_form=True) == expected

    def show(self, name: str) -> None:
        """This is the certificate of the servers, from the next time that they read it."""
        for suffix in ("pem", "key"):
            shutil.copy(folder() / f"{name}.{suffix}", self.folder / f"server.{suffix}")

    def test_a_server_that_cannot_serve(self) -> None:
        for arguments, said in (
            (("+tls", key("client"), certificate("server"), "-ic"), "KEYS_MISMATCH"),
            (("+tls", key("server"), certificate("server")), "no issuer is trusted"),
            (("+tls", key("server"), "/nowhere", "-ic"), "CERTIFICATE_READ"),
        ):
            status, output, errors = run("echo_scp.py", *arguments, "0")
            self.assertEqual((status, output, errors.count("\n")), (1, "", 1), errors)
            self.assertIn(said, errors)

    def test_the_set_up_and_the_demo(self) -> None:
        status, output, errors = run("scu_scp_setup.py", "--tls")
        self.assertEqual((status, errors, output.count("on_secure_link_ready(SUCCESS)")), (0, "", 2))
        status, output, errors = run("demo.py", "--tls")
        self.assertEqual((status, errors), (0, ""), output)
        self.assertRegex(output.splitlines()[-1], r"^(\d+) of \1 objects, .* \1 stored data sets are the same bytes")

    def test_making_certificates(self) -> None:
        status, output, errors = run("make_certificates.py", str(self.folder), "--only", "below", "--name", "a.example")
        self.assertEqual((status, errors), (0, ""))
        made = {f"{name}.{suffix}" for name in ("ca", "middle") for suffix in ("pem", "key", "crl")}
        self.assertEqual(set(os.listdir(self.folder)), {*made, "below.pem", "below.key"})
        self.assertIn("below.key", output)
        if os.name == "posix":
            self.assertEqual((self.folder / "ca.key").stat().st_mode & 0o777, 0o600)
