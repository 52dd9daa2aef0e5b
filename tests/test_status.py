"""`status`: the numbers of the API against their tables, and numbers that no table has."""

from __future__ import annotations

import copy
import pickle
import unittest
from enum import IntFlag

import ldicomnet
from ldicomnet import status
from ldicomnet.status import Number, Status

# Each line is an enumeration, then its members: name=value, hexadecimal with "0x"; a name without value is one more.
TABLES = """
AcceptResult SUCCESS=0 USER_REJECT PROVIDER_REJECT ABSTRACT_SYNTAX TRANSFER_SYNTAX
Role NON_SUPPORT=0 SUPPORT
RejectResult PERMANENT=1 TRANSIENT
RejectSource USER=1 PROVIDER1 PROVIDER2
RejectReason UNKNOWN=1 APPLICATION=2 CALLING=3 CALLED=7 VERSION=2 CONGESTION=1 LIMIT=2
AbortSource USER=0 PROVIDER=2
AbortReason UNKNOWN=0 UNRECOGNIZED=1 UNEXPECTED=2 UNRECOGNIZED_PARAM=4 UNEXPECTED_PARAM=5 INVALID_PARAM=6
PduType UNKNOWN=0 ASSOCIATE_REQUEST ASSOCIATE_ACCEPT ASSOCIATE_REJECT DATA_TRANSFER RELEASE_REQUEST RELEASE_RESPONSE
PduType ABORT=7
Command C_STORE=0x0001 C_GET=0x0010 C_FIND=0x0020 C_MOVE=0x0021 C_ECHO=0x0030 C_CANCEL=0x0FFF
Command N_REPORT=0x0100 N_GET=0x0110 N_SET=0x0120 N_ACTION=0x0130 N_CREATE=0x0140 N_DELETE=0x0150
Command REQUEST=0x0000 RESPONSE=0x8000 PRESENT=0x0000 ABSENT=0x0101 IDENTIFIER=0x0102
Priority MEDIUM=0 HIGH=1 LOW=2
Status SUCCESS=0x0000 CANCEL=0xFE00 PENDING=0xFF00 PENDING_WARNING=0xFF01 WARNING=0xB000
Status FAILURE=0xC001 RESERVED2 RESERVED3 RESERVED4
Status REFUSED_OUT_OF_RESOURCES=0xA700 REFUSED_UNABLE_CALCULATE_MATCHES=0xA701 REFUSED_UNABLE_PERFORM_SUB_OPS=0xA702
Status REFUSED_MOVE_DESTINATION_UNKNOWN=0xA801 NO_SUCH_ATTRIBUTE=0x0105 INVALID_ATTRIBUTE_VALUE=0x0106
Status ATTRIBUTE_LIST_ERROR=0x0107 PROCESSING_FAILURE=0x0110 DUPLICATE_INSTANCE=0x0111 NO_SUCH_OBJECT_INSTANCE=0x0112
Status NO_SUCH_EVENT_TYPE=0x0113 NO_SUCH_ARGUMENT=0x0114 INVALID_ARGUMENT_VALUE=0x0115 ATTRIBUTE_OUT_OF_RANGE=0x0116
Status INVALID_OBJECT_INSTANCE=0x0117 NO_SUCH_CLASS=0x0118 CLASS_INSTANCE_CONFLICT=0x0119 CLASE_INSTANCE_CONFLICT=0x0119
Status MISSING_ATTRIBUTE=0x0120 MISSING_ATTRIBUTE_VALUE=0x0121 CLASS_NOT_SUPPORTED=0x0122 NO_SUCH_ACTION_TYPE=0x0123
Status REFUSED_NOT_AUTHORIZED=0x0124 DUPLICATE_TRANSACTION_UID=0x0131 DUPLICATE_INVOCATION=0x0210
Status UNRECOGNIZED_OPERATION=0x0211 MISTYPED_ARGUMENT=0x0212 RESOURCE_LIMITATION=0x0213
SecureMode NONE=0xABCD0000 ISCL=0xABCD0001 TLS=0xABCD0002
IpType NONE=0 IPV4=1 IPV6=2 IPV4_OR_IPV6=3
NetFlags NONE=0 SENDDATA_WITH_GROUP_LENGTH=1
DebugMode NONE=0 SEND=1 RECEIVE=2
ErrorCode SUCCESS=0 LOCKED MEMORY OPEN READ WRITE SEEK END FORMAT PARAMETER
ErrorCode IMAGE=10 COMPRESSION PHOTOMETRIC CONVERSION RANGE BITSPERPIXEL QFACTOR
ErrorCode PDU_TYPE=17 PDU_LENGTH PDU_ID BITSPERPIXEL_MISMATCH
ErrorCode NET_FAILURE=29 NET_ACCESS NET_ADDRESS_IN_USE NET_ADDRESS_NOT_AVAILABLE NET_ADDRESS_NOT_SUPPORTED
ErrorCode NET_CONNECTION_ABORTED=34 NET_CONNECTION_REFUSED NET_CONNECTION_RESET NET_DESTINATION_REQUIRED
ErrorCode NET_ARGUMENT_INCORRECT=38 NET_IN_PROGRESS NET_BLOCKING_CANCELED NET_INVALID NET_IS_CONNECTED
ErrorCode NET_NO_MORE_FILE=43 NET_MESSAGE_SIZE NET_DOWN NET_RESET NET_UN_REACH NET_NO_BUFFERS NET_NOT_CONNECTED
ErrorCode NET_NOT_SOCKET=50 NET_OPERATION_NOT_SUPPORTED NET_PROTOCOL_NOT_SUPPORTED NET_PROTOCOL_TYPE NET_SHUTDOWN
ErrorCode NET_SOCKET_NOT_SUPPORTED=55 NET_TIME_OUT NET_WOULD_BLOCK NET_HOST_NOT_FOUND NET_NO_DATA NET_NO_RECOVERY
ErrorCode NET_NOT_INITIALISED=61 NET_SYSTEM_NOT_READY NET_TRY_AGAIN NET_VERSION_NOT_SUPPORTED NET_SECURITY_BREACH
ErrorCode TLS_INTERNAL_ERROR=66 SECURITY_LOCKED TLS_DLL_NOT_LOADED BAD_SECURE_MODE
ErrorCode ISCL_BAD_OPTION=100 ISCL_BAD_LENGTH ISCL_LOCAL_IC_CARD ISCL_REMOTE_IC_CARD ISCL_BAD_MESSAGE_ID
ErrorCode ISCL_BAD_VERSION=105 ISCL_BAD_MUTUAL_AUTH_METHOD ISCL_BAD_COMM_BLOCK_LENGTH ISCL_RECEIVED_NAK
ErrorCode ISCL_MESSAGE_TRANSMISSION=109 ISCL_PEER_LENGTH_TOO_SMALL ISCL_LOCAL_LENGTH_TOO_SMALL ISCL_DECRYPT ISCL_BAD_MAC
ErrorCode ISCL_SESSION_KEY_EXPECTED=114 ISCL_PEER_REFUSES_CLOSE
ErrorCode TLS_CERTIFICATE_VERIFY_FAILED=127 TLS_CLOSE_NOTIFY TLS_UNEXPECTED_MESSAGE TLS_BAD_RECORD_MAC
ErrorCode TLS_DECRYPTION_FAILED=131 TLS_RECORD_OVERFLOW TLS_DECOMPRESSION_FAILURE TLS_HANDSHAKE_FAILURE
ErrorCode TLS_BAD_CERTIFICATE=135 TLS_UNSUPPORTED_CERTIFICATE TLS_CERTIFICATE_REVOKED TLS_CERTIFICATE_EXPIRED
ErrorCode TLS_CERTIFICATE_UNKNOWN=139 TLS_ILLEGAL_PARAMETER TLS_UNKNOWN_CA TLS_ACCESS_DENIED TLS_DECODE_ERROR
ErrorCode TLS_DECRYPT_ERROR=144 TLS_EXPORT_RESTRICTION TLS_PROTOCOL_VERSION TLS_INSUFFICIENT_SECURITY TLS_INTERNAL_ALERT
ErrorCode TLS_USER_CANCELLED=149 TLS_NO_RENEGOTIATION TLS_NO_KEEPALIVE TLS_CLOSED_CONTROLLED
ErrorCode X509_UNABLE_TO_GET_ISSUER_CERT=160 X509_UNABLE_TO_GET_CRL X509_UNABLE_TO_DECRYPT_CERT_SIGNATURE
ErrorCode X509_UNABLE_TO_DECRYPT_CRL_SIGNATURE=163 X509_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY X509_CERT_SIGNATURE_FAILURE
ErrorCode X509_CRL_SIGNATURE_FAILURE=166 X509_CERT_NOT_YET_VALID X509_CERT_HAS_EXPIRED
ErrorCode X509_CRL_NOT_YET_VALID=169 X509_CRL_HAS_EXPIRED X509_CERT_NOT_BEFORE_FIELD
ErrorCode X509_CERT_NOT_AFTER_FIELD=172 X509_CRL_LAST_UPDATE_FIELD X509_CRL_NEXT_UPDATE_FIELD
ErrorCode X509_OUT_OF_MEM=175 X509_SELF_SIGNED_CERT X509_SELF_SIGNED_CERT_IN_CHAIN
ErrorCode X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY=178 X509_UNABLE_TO_VERIFY_LEAF_SIGNATURE X509_CERT_CHAIN_TOO_LONG
ErrorCode X509_CERT_REVOKED=181 X509_INVALID_CA X509_PATH_LENGTH_EXCEEDED
ErrorCode X509_INVALID_PURPOSE=184 X509_CERT_UNTRUSTED X509_CERT_REJECTED
ErrorCode X509_SUBJECT_ISSUER_MISMATCH=187 X509_AKID_SKID_MISMATCH X509_AKID_ISSUER_SERIAL_MISMATCH
ErrorCode X509_KEYUSAGE_NO_CERTSIGN=190 X509_APPLICATION_VERIFICATION
ErrorCode TLS_BAD_CONTEXT=192 TLS_BAD_VERIFY_DEPTH TLS_BAD_VERIFY_MODE TLS_BAD_CA_FILE TLS_BAD_OPTIONS
ErrorCode INVALID_STRUCT_SIZE=213 NULL_PTR PRIVATE_KEY_LOAD=218 CERTIFICATE_LOAD CERTIFICATE_READ KEYS_MISMATCH
ErrorCode PRINTSCU_CLASS_NOT_SUPPORTED=301 PRINTSCU_TIME_OUT PRINTSCU_ASSOCIATION_REJECTED PRINTSCU_FAILURE_STATUS
ErrorCode PRINTSCU_INSTANCE_PRESENT=305 IPV4_IPV6_CONFLICT=307 TRANSFER_SYNTAX_NOT_SUPPORTED=417 CANCELED
ErrorCode CLASS_NOT_FOUND=419 TOO_MANY_OPEN_FILES=421 DISK_FULL NET_HOST_UN_REACH CLASS_NOT_SUPPORTED=425
CertificateType PEM=1 ASN1=2
TlsMethod SSLV2=1 SSLV3 TLSV1 SSLV23 TLS
VerifyMode NONE=0 PEER=1 FAIL_IF_NO_PEER_CERT=2 CLIENT_ONCE=4
CipherSuite DHE_RSA_DES_CBC_SHA=0x12 DHE_RSA_3DES_EDE_CBC_SHA DHE_RSA_AES256_SHA RSA_AES_128_CBC_SHA
CipherSuite RSA_3DES_EDE_CBC_SHA=0x16 DHE_RSA_AES_128_GCM_SHA256 ECDHE_RSA_AES_128_GCM_SHA256
CipherSuite DHE_RSA_AES_256_GCM_SHA384=0x19 ECDHE_RSA_AES_256_GCM_SHA384
EncryptionAlgorithm NONE=0 DES TRIPLE_DES RC4 RC2 IDEA FORTEZZA AES
IntegrityAlgorithm NONE=0 SHA1=0x10 MD5
AuthenticationAlgorithm NONE=0 RSA=0x20 DSS DH
KeyExchangeAlgorithm NONE=0 RSA_SIGNED_DHE=0x40 RSA DH DH_DSS FORTEZZA
IsclEncryption NONE=0 DESCBC=0x1212
IsclSigning NONE=0 MD5=0x1441 DESMAC=0x4001
IsclStatus IDLE LINE_CHECK AUTH_REQUESTED PASS1 PASS2 PASS3 READY SEND_REQUESTED SEND_KEY SENDING RECEIVING CLOSING
IsclStatus CLOSED=12 FAILED
"""

NUMBERS = [kind for kind in vars(status).values() if isinstance(kind, type) and issubclass(kind, Number | IntFlag)]
ENUMERATIONS = [kind for kind in NUMBERS if kind.__module__ == status.__name__ and kind is not Number]
UNKNOWN = 0x7E57


def expected() -> list[tuple[str, str, int]]:
    """Enumeration, member and value of everything in `TABLES`."""
    found = []
    for enumeration, *members in map(str.split, TABLES.strip().splitlines()):
        value = -1
        for member in members:
            name, equals, text = member.partition("=")
            value = int(text, 0) if equals else value + 1
            found.append((enumeration, name, value))
    return found


class Names(unittest.TestCase):
    """Names and values."""

    def test_tables(self) -> None:
        for enumeration, name, value in expected():
            with self.subTest(enumeration=enumeration, name=name):
                self.assertEqual(int(getattr(status, enumeration)[name]), value)

    def test_the_package_exports_every_enumeration(self) -> None:
        self.assertLessEqual({kind.__name__ for kind in ENUMERATIONS}, set(ldicomnet.__all__))
        for kind in ENUMERATIONS:
            self.assertIs(getattr(ldicomnet, kind.__name__), kind)


class Unknown(unittest.TestCase):
    """Numbers that no table has survive as members of their enumeration."""

    def test_they_are_themselves(self) -> None:
        for kind in ENUMERATIONS:
            with self.subTest(kind=kind.__name__):
                unknown = kind(UNKNOWN)
                self.assertIsInstance(unknown, kind)
                self.assertEqual((unknown, int(unknown), unknown.value), (UNKNOWN,) * 3)
                self.assertEqual(f"{unknown:04X}", "7E57")
                self.assertEqual({UNKNOWN: 1}[unknown], 1)
                self.assertEqual(unknown, kind(UNKNOWN))
                for twin in (copy.copy(unknown), copy.deepcopy(unknown), pickle.loads(pickle.dumps(unknown))):
                    self.assertEqual((type(twin), twin), (kind, UNKNOWN))

    def test_they_have_a_name_and_join_no_table(self) -> None:
        for kind in (kind for kind in ENUMERATIONS if issubclass(kind, Number)):
            with self.subTest(kind=kind.__name__):
                unknown = kind(UNKNOWN)
                self.assertEqual(unknown.name, "UNKNOWN_7E57H")
                self.assertIn("UNKNOWN_7E57H", repr(unknown))
                self.assertEqual((unknown.is_known, next(iter(kind)).is_known), (False, True))
                self.assertNotIn(UNKNOWN, list(kind))
                self.assertNotIn("UNKNOWN_7E57H", kind.__members__)

    def test_what_is_no_number_is_refused(self) -> None:
        for kind in ENUMERATIONS:
            for value in ("SUCCESS", None, 1.5):
                with self.subTest(kind=kind.__name__, value=value), self.assertRaises((ValueError, TypeError)):
                    kind(value)


class Statuses(unittest.TestCase):
    """What a status says of its operation, PS3.7 Annex C."""

    ROWS = (
        ("pending", "FF00 FF01"),
        ("warning", "0001 0107 0116 B000 B006 B007 B00A BFFF"),
        ("failure", "0105 0106 0110 0122 0124 0210 0211 0213 A700 A701 A9F0 AFFF C000 C001 CFFF 0002 FF02 FE01"),
        ("neither", "0000 FE00"),
    )

    def test_kinds(self) -> None:
        for kind, values in self.ROWS:
            for value in values.split():
                with self.subTest(value=value):
                    one = Status(int(value, 16))
                    told = {"pending": one.is_pending, "warning": one.is_warning, "failure": one.is_failure}
                    self.assertEqual([name for name, holds in told.items() if holds], [kind] * (kind != "neither"))


if __name__ == "__main__":
    unittest.main()
