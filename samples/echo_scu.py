"""Ask a peer whether it is there: C-ECHO (PS3.4 Annex A). Exit status 0 when it answered with success."""

from __future__ import annotations

import argparse
import sys
import threading

import common
import security

from ldicomnet import (
    VERIFICATION,
    AbortReason,
    AbortSource,
    ErrorCode,
    LDicomAssociate,
    LDicomError,
    LDicomNet,
    RejectReason,
    RejectResult,
    RejectSource,
    SecureMode,
    Status,
)


class EchoScu(security.Entity):
    """One association with as many echoes as asked."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        common.configure(self, options)
        self._options = options
        self._left = options.repeat
        self._message_id = 0
        self._is_closed = threading.Event()
        self.failure = ""

    def run(self) -> None:
        """Connect, and wait for the end."""
        security.secure(self, self._options)
        self.connect("", 0, self._options.host, self._options.port)
        common.wait(self._is_closed)

    def _fail(self, why: str) -> None:
        self.failure = self.failure or why

    def on_connect(self, error: ErrorCode) -> None:
        if error:
            self._fail(f"no connection: {error.name}")
            self._is_closed.set()
        elif self.get_secure_mode() == SecureMode.NONE:
            self._request()

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        if error:
            self._fail(f"no secure link: {error.name}")
        else:
            self._request()

    def _request(self) -> None:
        """Ask for the association."""
        associate = common.associate(self._options)
        associate.add_context(VERIFICATION, common.IMPLICIT_LITTLE)
        self.send_associate_request(associate)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        if associate.get_presentation_count() == 0 or associate.get_result(1) != 0:
            self._fail("the peer does not accept the Verification SOP class")
            self.send_release_request()
            return
        self._echo()

    def _echo(self) -> None:
        self._message_id = self.next_message_id()
        self.send_c_echo_request(1, self._message_id)

    def on_receive_c_echo_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, status: Status
    ) -> None:
        if message_id != self._message_id or not self._left:
            self._fail(f"the peer answered message {message_id}, which was not sent")
            self.send_abort(AbortSource.USER, AbortReason.UNKNOWN)
            return
        self._left -= 1
        if status:
            self._fail(f"the peer answered with status {status:04X}H")
        if status or not self._left:
            self.send_release_request()
        else:
            self._echo()

    def on_receive_associate_reject(self, result: RejectResult, source: RejectSource, reason: RejectReason) -> None:
        self._fail(f"association rejected: result {result}, source {source}, reason {reason}")

    def on_receive_abort(self, source: AbortSource, reason: AbortReason) -> None:
        self._fail(f"association aborted: source {source}, reason {reason}")

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        if error or self._left > 0:
            self._fail(f"connection ended: {error.name}")
        self._is_closed.set()


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = common.parser(__doc__ or "", "ECHOSCU", "ANY-SCP")
    parser.add_argument("--repeat", metavar="N", type=int, default=1, help="how many echoes")
    parser.add_argument("host", help="name or address of the peer")
    parser.add_argument("port", type=common.port, help="port of the peer")
    options = parser.parse_args(arguments)
    if options.repeat < 1:
        parser.error("--repeat is at least 1")
    common.log_as(options)
    scu = EchoScu(options)
    try:
        scu.run()
    except LDicomError as error:
        scu.failure = str(error)
    except KeyboardInterrupt:
        scu.failure = "interrupted"
        scu.close_forced()
    if scu.failure:
        print(f"echo_scu: {scu.failure}", file=sys.stderr)
        return 1
    if options.verbose:
        print(f"{options.repeat} of {options.repeat} echoes answered")
    return 0


if __name__ == "__main__":
    sys.exit(main())
