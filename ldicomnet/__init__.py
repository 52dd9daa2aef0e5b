"""DICOM network communication: `LDicomNet` with its hooks, `LDicomAssociate`, `LDicomDS`, and the constants.

>>> from ldicomnet import LDicomNet
"""

from .associate import LDicomAssociate
from .dataset import LDicomDS
from .duplicates import Duplicates, FileTarget
from .errors import (
    LDicomDataError,
    LDicomError,
    LDicomProtocolError,
    LDicomSecurityError,
    LDicomTimeoutError,
    LDicomTransportError,
    LDicomUsageError,
)
from .message import Message
from .negotiation import ANY_TRANSFER, PresentationContext
from .net import LDicomNet
from .outbox import SendInfo
from .part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from .part_file import remove_abandoned_files
from .services import VERIFICATION
from .statistics import Statistics
from .status import (
    AbortReason,
    AbortSource,
    AcceptResult,
    AuthenticationAlgorithm,
    CertificateType,
    CipherSuite,
    Command,
    DebugMode,
    EncryptionAlgorithm,
    ErrorCode,
    IntegrityAlgorithm,
    IpType,
    IsclEncryption,
    IsclMutualAuthentication,
    IsclSigning,
    KeyExchangeAlgorithm,
    NetFlags,
    PduType,
    Priority,
    RejectReason,
    RejectResult,
    RejectSource,
    Role,
    SecureMode,
    Status,
    TlsProfile,
)
from .timing import DecodeLimits, Limits, Timeouts
from .transport.tcp import SocketOptions
from .workers import background

__version__ = "0.1.0"

__all__ = [
    "ANY_TRANSFER",
    "IMPLEMENTATION_CLASS_UID",
    "IMPLEMENTATION_VERSION_NAME",
    "VERIFICATION",
    "AbortReason",
    "AbortSource",
    "AcceptResult",
    "AuthenticationAlgorithm",
    "CertificateType",
    "CipherSuite",
    "Command",
    "DebugMode",
    "DecodeLimits",
    "Duplicates",
    "EncryptionAlgorithm",
    "ErrorCode",
    "FileTarget",
    "IntegrityAlgorithm",
    "IpType",
    "IsclEncryption",
    "IsclMutualAuthentication",
    "IsclSigning",
    "KeyExchangeAlgorithm",
    "LDicomAssociate",
    "LDicomDS",
    "LDicomDataError",
    "LDicomError",
    "LDicomNet",
    "LDicomProtocolError",
    "LDicomSecurityError",
    "LDicomTimeoutError",
    "LDicomTransportError",
    "LDicomUsageError",
    "Limits",
    "Message",
    "NetFlags",
    "PduType",
    "PresentationContext",
    "Priority",
    "RejectReason",
    "RejectResult",
    "RejectSource",
    "Role",
    "SecureMode",
    "SendInfo",
    "SocketOptions",
    "Statistics",
    "Status",
    "Timeouts",
    "TlsProfile",
    "background",
    "remove_abandoned_files",
]
