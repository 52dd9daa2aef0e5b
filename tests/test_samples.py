"""The sample programs, run as a user runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from ldicomnet import LDicomDS

from .support import DEFLATED
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


class Samples(unittest.TestCase):
    """Echo and store, client and server."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def serve(self, *arguments: str) -> str:
        """Start a server sample; its port."""
        process = start(*arguments, "--bind", "127.0.0.1", "0")
        self.addCleanup(self.finish, process)
        assert process.stdout is not None
        line = process.stdout.readline()
        self.assertRegex(line, r"^listening on 127\.0\.0\.1 port \d+$")
        return line.split()[-1]

    def finish(self, process: subprocess.Popen[str]) -> None:
        """SIGTERM ends a server in order."""
        process.send_signal(signal.SIGTERM)
        _output, errors = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, errors), (0, ""))

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

    def compare(self, files: list[Path]) -> None:
        for path in files:
            sent = LDicomDS.load(path)
            stored = LDicomDS.load(self.folder / f"{sent.sop_instance_uid}.dcm")
            expected = sent.read()
            if sent.transfer_syntax == DEFLATED:  # padded to an even length (PS3.5 Annex A.5)
                expected += b"\0" * (len(expected) & 1)
            self.assertEqual((stored.read(), stored.transfer_syntax), (expected, sent.transfer_syntax))
        self.assertEqual(len(os.listdir(self.folder)), len(files))

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
        for name in ("echo_scu.py", "echo_scp.py", "store_scu.py", "store_scp.py", "scu_scp_setup.py"):
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
