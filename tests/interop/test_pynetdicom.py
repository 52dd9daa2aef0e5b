"""This library and pynetdicom."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ldicomnet import LDicomAssociate

from . import cases, objects, ours, peers
from .objects import Encoded, PathName
from .processes import Finished

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
STORAGE_SERVICE = "1.2.840.10008.4.2"
EXTENDED = b"\x02\x00\x03\x00\x01\x00"


class OurClientAndPynetdicom(cases.TheirAbortingServer):
    """Our client against a pynetdicom server."""

    peer = "pynetdicom"
    max_pdus = (4097, 16382, 131072)  # an odd one too

    def scp(self, **options: Any) -> AbstractContextManager[peers.PynetdicomScp]:
        """Start pynetdicom."""
        return peers.pynetdicom_scp(**options)

    def test_unlimited_peer(self) -> None:
        """A peer that announces 0, no limit, as its maximum length."""
        path = self.large()
        with peers.pynetdicom_scp(max_pdu=0) as scp:
            with ours.association(scp.port, ours.request_for(path)) as client:
                self.assertEqual(client.store(path), 0)
                client.release()
            self.check_stored(scp, path)

    def test_everything_that_can_be_negotiated(self) -> None:
        """All user-information items of our request reach pynetdicom."""
        request = ours.request_for(more=[CT])
        context = request.find_abstract(CT)
        request.set_async_operations(True, 5, 3)
        request.set_role_select(context, True, 1, 1)
        request.set_extended(context, EXTENDED)
        request.set_common_extended(CT, STORAGE_SERVICE, [MR])
        request.set_user_identity(2, b"somebody", b"secret")
        with self.scp() as scp, ours.association(scp.port, request) as client:
            self.assertEqual(client.echo(), 0)
            asked = scp.wait_event("accepted")["asked"]
            self.assertEqual(asked.asynchronous_operations, (5, 3))
            self.assertTrue(asked.role_selection[CT].scu_role and asked.role_selection[CT].scp_role)
            self.assertEqual(asked.sop_class_extended, {CT: EXTENDED})
            common = asked.sop_class_common_extended[CT]
            self.assertEqual(common.service_class_uid, STORAGE_SERVICE)
            self.assertEqual(common.related_general_sop_class_identification, [MR])
            self.assertEqual(asked.user_identity.primary_field, b"somebody")
            self.assertEqual(asked.user_identity.secondary_field, b"secret")


class PynetdicomAndOurServer(cases.TheirObedientClient):
    """pynetdicom's client against our server; it sends a file's data set as it is."""

    peer = "pynetdicom"

    def scu(self, port: int, *paths: PathName, **options: Any) -> Finished:
        """Run pynetdicom."""
        return peers.pynetdicom_scu(port, *paths, **options)

    def expected(self, *paths: Path) -> list[Encoded]:
        """What the files hold."""
        return [objects.read_object(path) for path in paths]

    def test_unlimited_client(self) -> None:
        """A client that announces 0, no limit, as its maximum length."""
        with ours.server() as server:
            self.scu(server.port, self.path(objects.EXPLICIT), max_pdu=0).check()
            self.assertEqual(server.wait_event("accepted")["max_length"], 0)

    def test_release_by_the_acceptor(self) -> None:
        """We, who accepted the association, ask for its release (PS3.8 7.2 lets either side do so)."""
        with ours.server() as server:
            with peers.pynetdicom_association(server.port, [(ours.VERIFICATION, ours.IMPLICIT_LITTLE)]) as theirs:
                self.assertEqual(theirs.send_c_echo().Status, 0)
                server.get_client(0).send_release_request()
                server.wait_event("release answered")
                server.wait_event("closed")
            self.assertTrue(theirs.is_released)

    def test_everything_that_can_be_negotiated(self) -> None:
        """All user-information items of a request reach us, and what we answer to them reaches pynetdicom."""
        seen: list[LDicomAssociate] = []
        contexts = [(ours.VERIFICATION, ours.IMPLICIT_LITTLE), (CT, ours.EXPLICIT_LITTLE)]
        with ours.server() as server:
            server.look = seen.append
            with peers.pynetdicom_association(server.port, contexts, ext_neg=_every_item()) as theirs:
                self.assertEqual(theirs.send_c_echo().Status, 0)
                answer = theirs.acceptor
                self.assertEqual(answer.asynchronous_operations, (1, 1))
                self.assertTrue(answer.role_selection[CT].scu_role and answer.role_selection[CT].scp_role)
                self.assertEqual(answer.sop_class_extended, {CT: EXTENDED})
        request = seen[0]
        context = request.find_abstract(CT)
        self.assertEqual((request.get_invoked_operations(), request.get_performed_operations()), (5, 3))
        self.assertEqual((request.get_user_role(context), request.get_provider_role(context)), (1, 1))
        self.assertEqual(request.get_extended(context), EXTENDED)
        self.assertEqual(request.get_common_extended(CT), (STORAGE_SERVICE, (MR,)))
        identity = request.get_user_identity()
        assert identity is not None
        self.assertEqual((identity.identity_type, identity.primary, identity.secondary), (2, b"somebody", b"secret"))


def _every_item() -> list[Any]:
    """Each kind of user-information item that pynetdicom can add to a request."""
    from pynetdicom import pdu_primitives as pdu

    window = pdu.AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 3
    role = pdu.SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    extended = pdu.SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, EXTENDED
    common = pdu.SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, STORAGE_SERVICE
    common.related_general_sop_class_identification = [MR]
    user = pdu.UserIdentityNegotiation()
    user.user_identity_type, user.primary_field, user.secondary_field = 2, b"somebody", b"secret"
    return [window, role, extended, common, user]
