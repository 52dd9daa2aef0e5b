"""Answer C-ECHO (PS3.4 Annex A) until Ctrl-C or SIGTERM; the library's default answers each request with success."""

from __future__ import annotations

import argparse
import sys

import common
import security

from ldicomnet import VERIFICATION, ErrorCode, LDicomAssociate, LDicomNet


class EchoScp(security.Entity):
    """Accepts the Verification SOP class and nothing else."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__()
        common.configure(self, options)
        self._options = options

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        supported = {VERIFICATION: common.UNCOMPRESSED}
        self.send_associate_accept(associate.accept(supported, max_length=self._options.max_pdu))

    def on_receive_c_echo_request(self, presentation_id: int, message_id: int, sop_class_uid: str) -> None:
        if self._options.verbose:
            print("echo from {} port {}".format(*self.get_peer_info()), flush=True)
        super().on_receive_c_echo_request(presentation_id, message_id, sop_class_uid)

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        if self._options.verbose and net is self:
            print(f"connection ended: {error.name}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    options = common.parser(__doc__ or "", "ECHOSCP", None).parse_args(arguments)
    common.log_as(options)
    return common.serve(EchoScp(options), options)


if __name__ == "__main__":
    sys.exit(main())
