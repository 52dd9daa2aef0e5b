"""Walk through the set-up of an SCU and an SCP: both sides in one process, each call and each hook in its order.

Prints three columns: what the SCU calls and hears, and what the SCP calls and hears. The association sends one C-STORE.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from pathlib import Path

import common
import make_certificates

from ldicomnet import (
    ErrorCode,
    LDicomAssociate,
    LDicomDS,
    LDicomError,
    LDicomNet,
    PduType,
    Priority,
    SecureMode,
    Status,
    TLSContextSettings,
    VerifyMode,
)

WIDTH = 46
_printing = threading.Lock()
_accepted = threading.Event()
"""For TCP a connection stands before it is accepted: the SCU waits here, so that the order is the diagram's."""


def show(side: str, what: str) -> None:
    """One line: the SCU on the left, the SCP on the right."""
    with _printing:
        print(what if side == "SCU" else " " * WIDTH + what, flush=True)


class Side(LDicomNet):
    """Prints the calls it makes and the hooks it hears."""

    side = ""

    def on_receive(self, error: ErrorCode, pdu_type: PduType, buffer: bytes) -> None:
        show(self.side, f"on_receive({pdu_type.name})")

    def on_receive_data(self, presentation_id: int, command_set: object, dataset: LDicomDS | None) -> None:
        show(self.side, "  on_receive_data")

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        show(self.side, f"on_secure_link_ready({error.name})")


class Scp(Side):
    """The server: a listening object, and one object for each connection."""

    side = "SCP"

    def on_accept(self, error: ErrorCode) -> None:
        show("SCP", "on_accept")
        client = Scp(None, self.get_secure_mode())
        client.take_settings(self)
        show("SCP", "  accept(new object)")
        _accepted.set()
        self.accept(client)

    def on_receive_associate_request(self, associate: LDicomAssociate) -> None:
        show("SCP", "  on_receive_associate_request")
        show("SCP", "  send_associate_accept")
        self.send_associate_accept(associate.accept(lambda uid: common.UNCOMPRESSED))

    def on_receive_c_store_request(
        self,
        presentation_id: int,
        message_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        priority: Priority,
        move_ae: str,
        move_message_id: int,
        dataset: LDicomDS | None,
    ) -> None:
        show("SCP", "  on_receive_c_store_request")
        show("SCP", "  send_c_store_response")
        self.send_c_store_response(presentation_id, message_id, sop_class_uid, sop_instance_uid, Status.SUCCESS)

    def on_receive_release_request(self) -> None:
        show("SCP", "  on_receive_release_request")
        show("SCP", "  send_release_response")
        self.send_release_response()

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        if net is not self:
            show("SCP", f"on_close({error.name})")


class Scu(Side):
    """The client: each step follows from the answer to the one before."""

    side = "SCU"

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._dataset = LDicomDS.load(file)
        self.is_closed = threading.Event()
        self.status: Status | None = None

    def on_connect(self, error: ErrorCode) -> None:
        _accepted.wait(5)
        show("SCU", f"on_connect({error.name})")
        if error:
            self.is_closed.set()
        elif self.get_secure_mode() == SecureMode.NONE:
            self._request()

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        super().on_secure_link_ready(error)
        if not error:
            self._request()

    def _request(self) -> None:
        """The next step: ask for the association."""
        associate = LDicomAssociate(True)
        associate.default()
        associate.set_calling("SCU")
        associate.set_called("SCP")
        associate.add_context(self._dataset.sop_class_uid, self._dataset.transfer_syntax)
        show("SCU", "send_associate_request")
        self.send_associate_request(associate)

    def on_receive_associate_accept(self, associate: LDicomAssociate) -> None:
        show("SCU", "  on_receive_associate_accept")
        show("SCU", "  send_c_store_request")
        self.send_c_store_request(
            associate.find_abstract(self._dataset.sop_class_uid),
            self.next_message_id(),
            self._dataset.sop_class_uid,
            self._dataset.sop_instance_uid,
            dataset=self._dataset,
        )

    def on_receive_c_store_response(
        self, presentation_id: int, message_id: int, sop_class_uid: str, sop_instance_uid: str, status: Status
    ) -> None:
        show("SCU", f"  on_receive_c_store_response({status.name})")
        self.status = status
        show("SCU", "  send_release_request")
        self.send_release_request()

    def on_receive_release_response(self) -> None:
        show("SCU", "  on_receive_release_response")
        show("SCU", "  close")
        self.close()

    def on_close(self, error: ErrorCode, net: LDicomNet) -> None:
        show("SCU", f"on_close({error.name})")
        self.is_closed.set()


def use_tls(client: Scu, server: Scp) -> None:
    """TLS on both sides, with certificates made for the occasion; they are read here, and not needed after."""
    with tempfile.TemporaryDirectory(prefix="ldicomnet-setup-") as name:
        folder = Path(name)
        make_certificates.make(folder, wanted=["server", "client"])
        trusted = (folder / "ca.pem").read_bytes()
        both_sides = VerifyMode.PEER | VerifyMode.FAIL_IF_NO_PEER_CERT
        for side, own in ((client, "client"), (server, "server")):
            side.initialize(None, SecureMode.TLS, TLSContextSettings(ca_data=trusted, verify_mode=both_sides))
            side.set_client_certificate_tls(folder / f"{own}.pem", key=folder / f"{own}.key")


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="an uncompressed DICOM file; one of pydicom's by default")
    parser.add_argument("--tls", action="store_true", help="show it with TLS, both sides with a certificate")
    options = parser.parse_args(arguments)
    if options.file is None:
        from pydicom.data import get_testdata_file

        options.file = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    print("SCU".ljust(WIDTH) + "SCP")
    LDicomNet.start_up()
    server = Scp()
    try:
        client = Scu(options.file)
        if options.tls:
            use_tls(client, server)
        show("SCP", "listen")
        server.listen("127.0.0.1")
        show("SCU", "connect")
        client.connect("", 0, *server.get_host_info())
        client.is_closed.wait(30)
    except LDicomError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        LDicomNet.shut_down()
    return 0 if client.status == Status.SUCCESS else 1


if __name__ == "__main__":
    sys.exit(main())
