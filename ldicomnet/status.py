"""The numbers that cross the API, each with its name and its table; knows nothing but `enum`.

Every enumeration keeps values it does not know, because peers and vendors add their own: `Status(0xA9F0)` is a
`Status` that prints as such and compares equal to the number.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum, IntFlag
from typing import Self, TypeVar


class Number(IntEnum):
    """An `IntEnum` that keeps unknown values instead of failing."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        unknown = int.__new__(cls, value)
        unknown._name_ = f"UNKNOWN_{value:04X}H"
        unknown._value_ = value
        return unknown

    @property
    def is_known(self) -> bool:
        """Whether the number has a name in its table."""
        return self._value_ in type(self)._value2member_map_


N = TypeVar("N", bound=Number)


def named(kind: type[N]) -> Callable[[int], N]:
    """What `kind(number)` gives, five times as fast for the numbers that have a name."""
    known: dict[object, N] = dict(kind._value2member_map_)

    def look_up(number: int) -> N:
        found = known.get(number)
        return kind(number) if found is None else found

    return look_up


# --- the connection ----------------------------------------------------------------------------------------------


class SecureMode(Number):
    """How a connection is protected; given when an `LDicomNet` is made."""

    NONE = 0xABCD0000
    ISCL = 0xABCD0001
    TLS = 0xABCD0002


class IpType(Number):
    """The internet protocols that `listen` and `connect` may use."""

    NONE = 0
    IPV4 = 1
    IPV6 = 2
    IPV4_OR_IPV6 = 3


class NetFlags(IntFlag):
    """Flags of `LDicomNet.set_flags`."""

    NONE = 0
    SENDDATA_WITH_GROUP_LENGTH = 1


class DebugMode(IntFlag):
    """Flags of `LDicomNet.set_debug_mode`."""

    NONE = 0
    SEND = 1
    RECEIVE = 2


# --- upper layer (PS3.8) -----------------------------------------------------------------------------------------


class PduType(Number):
    """Protocol data units, PS3.8 Section 9.3."""

    UNKNOWN = 0
    ASSOCIATE_REQUEST = 1
    ASSOCIATE_ACCEPT = 2
    ASSOCIATE_REJECT = 3
    DATA_TRANSFER = 4
    RELEASE_REQUEST = 5
    RELEASE_RESPONSE = 6
    ABORT = 7


class AcceptResult(Number):
    """Result of one presentation context, PS3.8 Table 9-18."""

    SUCCESS = 0
    USER_REJECT = 1
    PROVIDER_REJECT = 2
    ABSTRACT_SYNTAX = 3
    TRANSFER_SYNTAX = 4


class RejectResult(Number):
    """Result of an A-ASSOCIATE-RJ, PS3.8 Table 9-21."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectSource(Number):
    """Source of an A-ASSOCIATE-RJ, PS3.8 Table 9-21."""

    USER = 1
    PROVIDER1 = 2
    """Service provider, association control (ACSE)."""
    PROVIDER2 = 3
    """Service provider, presentation."""


class RejectReason(Number):
    """Reason of an A-ASSOCIATE-RJ; a number has a meaning only together with its source, PS3.8 Table 9-21."""

    UNKNOWN = 1
    """USER and PROVIDER1: no reason given."""
    APPLICATION = 2
    """USER: application context name not supported."""
    CALLING = 3
    """USER: calling AE title not recognized."""
    CALLED = 7
    """USER: called AE title not recognized."""
    VERSION = 2
    """PROVIDER1: protocol version not supported."""
    CONGESTION = 1
    """PROVIDER2: temporary congestion."""
    LIMIT = 2
    """PROVIDER2: local limit exceeded."""


class AbortSource(Number):
    """Source of an A-ABORT, PS3.8 Table 9-26."""

    USER = 0
    PROVIDER = 2


class AbortReason(Number):
    """Reason of a provider's A-ABORT, PS3.8 Table 9-26."""

    UNKNOWN = 0
    UNRECOGNIZED = 1
    UNEXPECTED = 2
    UNRECOGNIZED_PARAM = 4
    UNEXPECTED_PARAM = 5
    INVALID_PARAM = 6


class Role(Number):
    """One half of a role selection, PS3.7 Table D.3-9."""

    NON_SUPPORT = 0
    SUPPORT = 1


# --- messages (PS3.7) --------------------------------------------------------------------------------------------


class Command(Number):
    """Command fields (PS3.7 Table E.1-1) and values of the command data set type."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_REPORT = 0x0100
    N_GET = 0x0110
    N_SET = 0x0120
    N_ACTION = 0x0130
    N_CREATE = 0x0140
    N_DELETE = 0x0150
    C_CANCEL = 0x0FFF
    REQUEST = 0x0000
    RESPONSE = 0x8000
    """Added to the command field of a request."""
    PRESENT = 0x0000
    """Command data set type: a data set follows. Any value but ABSENT says so."""
    ABSENT = 0x0101
    """Command data set type: no data set follows."""
    IDENTIFIER = 0x0102


class Priority(Number):
    """Priority of a request, (0000,0700)."""

    MEDIUM = 0
    HIGH = 1
    LOW = 2


class Status(Number):
    """Status of a response, (0000,0900), PS3.7 Annex C and PS3.4."""

    SUCCESS = 0x0000
    NO_SUCH_ATTRIBUTE = 0x0105
    INVALID_ATTRIBUTE_VALUE = 0x0106
    ATTRIBUTE_LIST_ERROR = 0x0107
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_INSTANCE = 0x0111
    NO_SUCH_OBJECT_INSTANCE = 0x0112
    NO_SUCH_EVENT_TYPE = 0x0113
    NO_SUCH_ARGUMENT = 0x0114
    INVALID_ARGUMENT_VALUE = 0x0115
    ATTRIBUTE_OUT_OF_RANGE = 0x0116
    INVALID_OBJECT_INSTANCE = 0x0117
    NO_SUCH_CLASS = 0x0118
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASE_INSTANCE_CONFLICT = 0x0119
    """The older spelling of CLASS_INSTANCE_CONFLICT."""
    MISSING_ATTRIBUTE = 0x0120
    MISSING_ATTRIBUTE_VALUE = 0x0121
    CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION_TYPE = 0x0123
    REFUSED_NOT_AUTHORIZED = 0x0124
    DUPLICATE_TRANSACTION_UID = 0x0131
    DUPLICATE_INVOCATION = 0x0210
    UNRECOGNIZED_OPERATION = 0x0211
    MISTYPED_ARGUMENT = 0x0212
    RESOURCE_LIMITATION = 0x0213
    REFUSED_OUT_OF_RESOURCES = 0xA700
    REFUSED_UNABLE_CALCULATE_MATCHES = 0xA701
    REFUSED_UNABLE_PERFORM_SUB_OPS = 0xA702
    REFUSED_MOVE_DESTINATION_UNKNOWN = 0xA801
    WARNING = 0xB000
    FAILURE = 0xC001
    RESERVED2 = 0xC002
    RESERVED3 = 0xC003
    RESERVED4 = 0xC004
    CANCEL = 0xFE00
    PENDING = 0xFF00
    PENDING_WARNING = 0xFF01

    @property
    def is_pending(self) -> bool:
        """More responses to the same request follow, PS3.7 Annex C."""
        return self in (0xFF00, 0xFF01)

    @property
    def is_warning(self) -> bool:
        """The operation was done, with a remark, PS3.7 Annex C."""
        return self in (0x0001, 0x0107, 0x0116) or 0xB000 <= self <= 0xBFFF

    @property
    def is_failure(self) -> bool:
        """The operation was not done."""
        return not (self == 0 or self == 0xFE00 or self.is_pending or self.is_warning)


# --- errors ------------------------------------------------------------------------------------------------------


class ErrorCode(Number):
    """What went wrong, in the numbering of the original library (its names without the prefix)."""

    SUCCESS = 0
    LOCKED = 1
    MEMORY = 2
    OPEN = 3
    READ = 4
    WRITE = 5
    SEEK = 6
    END = 7
    FORMAT = 8
    PARAMETER = 9
    IMAGE = 10
    COMPRESSION = 11
    PHOTOMETRIC = 12
    CONVERSION = 13
    RANGE = 14
    BITSPERPIXEL = 15
    QFACTOR = 16
    PDU_TYPE = 17
    PDU_LENGTH = 18
    PDU_ID = 19
    BITSPERPIXEL_MISMATCH = 20
    NET_FAILURE = 29
    NET_ACCESS = 30
    NET_ADDRESS_IN_USE = 31
    NET_ADDRESS_NOT_AVAILABLE = 32
    NET_ADDRESS_NOT_SUPPORTED = 33
    NET_CONNECTION_ABORTED = 34
    NET_CONNECTION_REFUSED = 35
    NET_CONNECTION_RESET = 36
    NET_DESTINATION_REQUIRED = 37
    NET_ARGUMENT_INCORRECT = 38
    NET_IN_PROGRESS = 39
    NET_BLOCKING_CANCELED = 40
    NET_INVALID = 41
    NET_IS_CONNECTED = 42
    NET_NO_MORE_FILE = 43
    NET_MESSAGE_SIZE = 44
    NET_DOWN = 45
    NET_RESET = 46
    NET_UN_REACH = 47
    NET_NO_BUFFERS = 48
    NET_NOT_CONNECTED = 49
    NET_NOT_SOCKET = 50
    NET_OPERATION_NOT_SUPPORTED = 51
    NET_PROTOCOL_NOT_SUPPORTED = 52
    NET_PROTOCOL_TYPE = 53
    NET_SHUTDOWN = 54
    NET_SOCKET_NOT_SUPPORTED = 55
    NET_TIME_OUT = 56
    NET_WOULD_BLOCK = 57
    NET_HOST_NOT_FOUND = 58
    NET_NO_DATA = 59
    NET_NO_RECOVERY = 60
    NET_NOT_INITIALISED = 61
    NET_SYSTEM_NOT_READY = 62
    NET_TRY_AGAIN = 63
    NET_VERSION_NOT_SUPPORTED = 64
    NET_SECURITY_BREACH = 65
    TLS_INTERNAL_ERROR = 66
    SECURITY_LOCKED = 67
    TLS_DLL_NOT_LOADED = 68
    BAD_SECURE_MODE = 69
    # ISCL, 100 to 115
    ISCL_BAD_OPTION = 100
    ISCL_BAD_LENGTH = 101
    ISCL_LOCAL_IC_CARD = 102
    ISCL_REMOTE_IC_CARD = 103
    ISCL_BAD_MESSAGE_ID = 104
    ISCL_BAD_VERSION = 105
    ISCL_BAD_MUTUAL_AUTH_METHOD = 106
    ISCL_BAD_COMM_BLOCK_LENGTH = 107
    ISCL_RECEIVED_NAK = 108
    ISCL_MESSAGE_TRANSMISSION = 109
    ISCL_PEER_LENGTH_TOO_SMALL = 110
    ISCL_LOCAL_LENGTH_TOO_SMALL = 111
    ISCL_DECRYPT = 112
    ISCL_BAD_MAC = 113
    ISCL_SESSION_KEY_EXPECTED = 114
    ISCL_PEER_REFUSES_CLOSE = 115
    # TLS alerts and handshake results, 127 to 152
    TLS_CERTIFICATE_VERIFY_FAILED = 127
    TLS_CLOSE_NOTIFY = 128
    TLS_UNEXPECTED_MESSAGE = 129
    TLS_BAD_RECORD_MAC = 130
    TLS_DECRYPTION_FAILED = 131
    TLS_RECORD_OVERFLOW = 132
    TLS_DECOMPRESSION_FAILURE = 133
    TLS_HANDSHAKE_FAILURE = 134
    TLS_BAD_CERTIFICATE = 135
    TLS_UNSUPPORTED_CERTIFICATE = 136
    TLS_CERTIFICATE_REVOKED = 137
    TLS_CERTIFICATE_EXPIRED = 138
    TLS_CERTIFICATE_UNKNOWN = 139
    TLS_ILLEGAL_PARAMETER = 140
    TLS_UNKNOWN_CA = 141
    TLS_ACCESS_DENIED = 142
    TLS_DECODE_ERROR = 143
    TLS_DECRYPT_ERROR = 144
    TLS_EXPORT_RESTRICTION = 145
    TLS_PROTOCOL_VERSION = 146
    TLS_INSUFFICIENT_SECURITY = 147
    TLS_INTERNAL_ALERT = 148
    TLS_USER_CANCELLED = 149
    TLS_NO_RENEGOTIATION = 150
    TLS_NO_KEEPALIVE = 151
    TLS_CLOSED_CONTROLLED = 152
    # verification of a certificate chain, 160 to 191, in OpenSSL's order; the last stands for all reasons beyond it
    X509_UNABLE_TO_GET_ISSUER_CERT = 160
    X509_UNABLE_TO_GET_CRL = 161
    X509_UNABLE_TO_DECRYPT_CERT_SIGNATURE = 162
    X509_UNABLE_TO_DECRYPT_CRL_SIGNATURE = 163
    X509_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY = 164
    X509_CERT_SIGNATURE_FAILURE = 165
    X509_CRL_SIGNATURE_FAILURE = 166
    X509_CERT_NOT_YET_VALID = 167
    X509_CERT_HAS_EXPIRED = 168
    X509_CRL_NOT_YET_VALID = 169
    X509_CRL_HAS_EXPIRED = 170
    X509_CERT_NOT_BEFORE_FIELD = 171
    X509_CERT_NOT_AFTER_FIELD = 172
    X509_CRL_LAST_UPDATE_FIELD = 173
    X509_CRL_NEXT_UPDATE_FIELD = 174
    X509_OUT_OF_MEM = 175
    X509_SELF_SIGNED_CERT = 176
    X509_SELF_SIGNED_CERT_IN_CHAIN = 177
    X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY = 178
    X509_UNABLE_TO_VERIFY_LEAF_SIGNATURE = 179
    X509_CERT_CHAIN_TOO_LONG = 180
    X509_CERT_REVOKED = 181
    X509_INVALID_CA = 182
    X509_PATH_LENGTH_EXCEEDED = 183
    X509_INVALID_PURPOSE = 184
    X509_CERT_UNTRUSTED = 185
    X509_CERT_REJECTED = 186
    X509_SUBJECT_ISSUER_MISMATCH = 187
    X509_AKID_SKID_MISMATCH = 188
    X509_AKID_ISSUER_SERIAL_MISMATCH = 189
    X509_KEYUSAGE_NO_CERTSIGN = 190
    X509_APPLICATION_VERIFICATION = 191
    # what a TLS context was made with, 192 to 196
    TLS_BAD_CONTEXT = 192
    TLS_BAD_VERIFY_DEPTH = 193
    TLS_BAD_VERIFY_MODE = 194
    TLS_BAD_CA_FILE = 195
    TLS_BAD_OPTIONS = 196
    # the rest
    INVALID_STRUCT_SIZE = 213
    NULL_PTR = 214
    PRIVATE_KEY_LOAD = 218
    CERTIFICATE_LOAD = 219
    CERTIFICATE_READ = 220
    KEYS_MISMATCH = 221
    PRINTSCU_CLASS_NOT_SUPPORTED = 301
    PRINTSCU_TIME_OUT = 302
    PRINTSCU_ASSOCIATION_REJECTED = 303
    PRINTSCU_FAILURE_STATUS = 304
    PRINTSCU_INSTANCE_PRESENT = 305
    IPV4_IPV6_CONFLICT = 307
    TRANSFER_SYNTAX_NOT_SUPPORTED = 417
    CANCELED = 418
    CLASS_NOT_FOUND = 419
    TOO_MANY_OPEN_FILES = 421
    DISK_FULL = 422
    NET_HOST_UN_REACH = 423
    CLASS_NOT_SUPPORTED = 425


# --- security (PS3.15); the getters and setters of the original speak these private numbers ----------------------


class CertificateType(Number):
    """Encoding of a certificate file."""

    PEM = 1
    ASN1 = 2


class TlsMethod(Number):
    """Which versions of TLS the original was to use; `TLS` is as the profile says."""

    SSLV2 = 1
    SSLV3 = 2
    TLSV1 = 3
    SSLV23 = 4
    TLS = 5


class VerifyMode(IntFlag):
    """Whether the peer's certificate is asked for, and what follows from it; the last two are for servers."""

    NONE = 0
    PEER = 1
    FAIL_IF_NO_PEER_CERT = 2
    CLIENT_ONCE = 4


class TlsOptions(IntFlag):
    """Options of a TLS context, in the numbering of OpenSSL."""

    NONE = 0
    NO_COMPRESSION = 0x00020000
    NO_SSLV2 = 0x01000000
    NO_SSLV3 = 0x02000000
    NO_TLSV1 = 0x04000000
    NO_TLSV1_2 = 0x08000000
    NO_TLSV1_1 = 0x10000000
    NO_TLSV1_3 = 0x20000000
    ALL = 0x80000BFF
    """Ways round the faults of other implementations; OpenSSL has those that are harmless by itself."""


class CipherSuite(Number):
    """Cipher suites: the original's in its own numbering, those that it does not know by their IANA codes."""

    NONE = 0
    DHE_RSA_DES_CBC_SHA = 0x12
    DHE_RSA_3DES_EDE_CBC_SHA = 0x13
    DHE_RSA_AES256_SHA = 0x14
    RSA_AES_128_CBC_SHA = 0x15
    RSA_3DES_EDE_CBC_SHA = 0x16
    DHE_RSA_AES_128_GCM_SHA256 = 0x17
    ECDHE_RSA_AES_128_GCM_SHA256 = 0x18
    DHE_RSA_AES_256_GCM_SHA384 = 0x19
    ECDHE_RSA_AES_256_GCM_SHA384 = 0x1A
    RSA_NULL_SHA = 0x0002
    AES_128_GCM_SHA256 = 0x1301
    AES_256_GCM_SHA384 = 0x1302
    CHACHA20_POLY1305_SHA256 = 0x1303
    AES_128_CCM_SHA256 = 0x1304
    AES_128_CCM_8_SHA256 = 0x1305
    ECDHE_ECDSA_AES_128_GCM_SHA256 = 0xC02B
    ECDHE_ECDSA_AES_256_GCM_SHA384 = 0xC02C
    ECDHE_ECDSA_AES_128_CCM = 0xC0AC
    ECDHE_ECDSA_AES_256_CCM = 0xC0AD
    ECDHE_ECDSA_AES_128_CCM_8 = 0xC0AE
    ECDHE_ECDSA_AES_256_CCM_8 = 0xC0AF
    ECDHE_RSA_CHACHA20_POLY1305_SHA256 = 0xCCA8
    ECDHE_ECDSA_CHACHA20_POLY1305_SHA256 = 0xCCA9


class EncryptionAlgorithm(Number):
    """Bulk cipher of a TLS suite."""

    NONE = 0
    DES = 1
    TRIPLE_DES = 2
    RC4 = 3
    RC2 = 4
    IDEA = 5
    FORTEZZA = 6
    AES = 7
    CHACHA20_POLY1305 = 8


class IntegrityAlgorithm(Number):
    """Message authentication of a TLS suite."""

    NONE = 0
    SHA1 = 0x10
    MD5 = 0x11
    SHA256 = 0x12
    SHA384 = 0x13


class AuthenticationAlgorithm(Number):
    """Authentication of a TLS suite."""

    NONE = 0
    RSA = 0x20
    DSS = 0x21
    DH = 0x22
    ECDSA = 0x23
    ANY = 0x24
    """TLS 1.3: whatever the certificate has; the suite does not say."""


class KeyExchangeAlgorithm(Number):
    """Key exchange of a TLS suite."""

    NONE = 0
    RSA_SIGNED_DHE = 0x40
    RSA = 0x41
    DH = 0x42
    DH_DSS = 0x43
    FORTEZZA = 0x44
    ECDHE = 0x45
    """Ephemeral Diffie-Hellman of curves, signed by something else than RSA; what TLS 1.3 does by itself."""


class TlsProfile(Number):
    """Secure transport connection profiles; the number is that of the section in PS3.15 Annex B."""

    NULL = 0
    BASIC = 1
    AES = 3
    BCP_195_RFC_7525 = 9
    NON_DOWNGRADING_BCP_195 = 10
    EXTENDED_BCP_195 = 11
    BCP_195 = 12
    MODIFIED_BCP_195 = 13


class IsclEncryption(Number):
    """Bulk cipher of ISCL, PS3.15 Section B.2."""

    NONE = 0
    DESCBC = 0x1212


class IsclSigning(Number):
    """Message authentication of ISCL, PS3.15 Section B.2."""

    NONE = 0
    MD5 = 0x1441
    DESMAC = 0x4001


class IsclMutualAuthentication(Number):
    """Mutual authentication of ISCL, PS3.15 Section B.2."""

    THREE_PASS_FOUR_WAY = 0


class IsclStatus(Number):
    """How far an ISCL connection is; the numbers are this library's own."""

    IDLE, LINE_CHECK, AUTH_REQUESTED, PASS1, PASS2, PASS3, READY = range(7)
    SEND_REQUESTED, SEND_KEY, SENDING, RECEIVING, CLOSING, CLOSED, FAILED = range(7, 14)
