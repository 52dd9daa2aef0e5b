"""A peer changes its keys (TLS 1.3, RFC 8446 4.6.3): the answers leave, and what comes with the new keys is read.

Python cannot ask for it, `openssl s_client` can: where a line begins with K.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import unittest

from ldicomnet import LDicomNet

from . import raw
from .support import SECONDS
from .test_tls import Tls

ASKED = b"KEYUPDATE\n"
RECORD = b">>> [^\n]*InnerContent"
ANSWERED = b"<<< [^\n]*KeyUpdate"
TIMES = 5


def reason_to_skip() -> str:
    """Why it cannot be tried here; "" where it can."""
    program = shutil.which("openssl")
    if program is None:
        return "the program openssl is not here, and nothing else asks for a change of keys"
    version = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60, check=False).stdout
    if not re.match(r"OpenSSL (1\.1\.1|[3-9]|\d\d)", version):
        return f"{version.strip() or program} has no TLS 1.3"
    return ""


WHY_NOT = reason_to_skip()


class Client:
    """`openssl s_client`, and all that it has said."""

    def __init__(self, server: LDicomNet) -> None:
        host, port = server.get_host_info()[:2]
        command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_3", "-msg"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, bufsize=0)
        self.said = b""
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        while data := self.process.stdout.read(65536):
            with self.changed:
                self.said += data
                self.changed.notify_all()

    def wait_for(self, what: bytes, count: int = 1) -> None:
        """It must say so that often, in time."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.count(what) >= count, SECONDS):
                raise AssertionError(f"{what!r} was said {self.count(what)} times, not {count}: {self.said!r}")

    def count(self, what: bytes) -> int:
        """How often it has said so."""
        return len(re.findall(what, self.said))

    def type(self, data: bytes) -> None:
        """Something at its keyboard."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def end(self) -> None:
        """It is gone."""
        self.process.kill()
        self.process.wait(SECONDS)
        self.thread.join(SECONDS)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@unittest.skipIf(WHY_NOT, WHY_NOT)
class KeyUpdates(Tls):
    """A request that changes keys after each of its first bytes: there is nothing to be answered but that."""

    def test_answers_leave(self) -> None:
        server = self.listening()
        client = Client(server)
        self.addCleanup(client.end)
        client.wait_for(b"Finished", 2)
        before, request = client.count(RECORD), raw.request()
        for count in range(1, TIMES + 1):
            client.type(b"K\n")
            client.wait_for(ASKED, count)
            client.type(request[count - 1 : count])
            client.wait_for(RECORD, before + 2 * count)  # the change, and that byte
            # OpenSSL makes an answer at the latest when the next one is asked for, and the server has nothing to say.
            client.wait_for(ANSWERED, count - 1)
        self.assertEqual(server.count("on_receive_associate_request"), 0)
        client.type(request[TIMES:])
        client.wait_for(ANSWERED, TIMES)
        accepted = self.accepted(server)
        accepted.wait_for("on_receive_associate_request")
        self.assertEqual(client.count(ANSWERED), TIMES)


if __name__ == "__main__":
    unittest.main()
