"""The server and the client of the README run as they are shown."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from ldicomnet import LDicomDS

from .test_dataset import path_of

ROOT = Path(__file__).parent.parent
PORT = "11112"


class Readme(unittest.TestCase):
    """Its two programs."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        self.server, self.client = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    def test_they_are_as_short_as_promised(self) -> None:
        for program in (self.server, self.client):
            self.assertLessEqual(sum(bool(line.strip()) for line in program.splitlines()), 25)

    def test_they_run(self) -> None:
        """On a free port instead of the one shown, which may be taken here."""
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        listening = self.server.replace(PORT, "0").replace(
            'input("Enter', 'print(*server.get_host_info(), flush=True)\n    input("Enter'
        )
        server = subprocess.Popen(
            [sys.executable, "-c", listening],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(server.communicate)
        self.addCleanup(server.kill)
        assert server.stdout is not None
        port = server.stdout.readline().split()[-1]
        file = path_of("CT_small.dcm")
        client = subprocess.run(
            [sys.executable, "-c", self.client.replace(PORT, port), str(file)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=30,
            check=False,
        )
        self.assertEqual((client.stdout, client.stderr, client.returncode), ("stored\n", "", 0))
        nobody = subprocess.run(
            [sys.executable, "-c", self.client.replace(PORT, "1"), str(file)],
            capture_output=True,
            text=True,
            env=environment,
            timeout=20,
            check=False,
        )
        self.assertEqual(nobody.stdout, "no connection: NET_CONNECTION_REFUSED\n")
        _output, errors = server.communicate("\n", timeout=30)
        self.assertEqual((server.returncode, errors), (0, ""))
        (stored,) = self.folder.glob("*.dcm")
        self.assertEqual(LDicomDS.load(stored).read(), LDicomDS.load(file).read())
