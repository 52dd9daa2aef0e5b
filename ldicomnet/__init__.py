"""DICOM network communication: `LDicomNet` with its hooks, `LDicomAssociate`, `LDicomDS`, and the constants.

>>> from ldicomnet import LDicomNet
"""

from typing import TYPE_CHECKING

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
    IsclStatus,
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
    TlsMethod,
    TlsOptions,
    TlsProfile,
    VerifyMode,
)
from .timing import DecodeLimits, Limits, Timeouts
from .transport.tcp import SocketOptions
from .workers import background

if TYPE_CHECKING:
    from .tls.link import CertificateTitles, SecureLink
    from .tls.settings import TLSContextSettings

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
    "CertificateTitles",
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
    "IsclStatus",
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
    "SecureLink",
    "SecureMode",
    "SendInfo",
    "SocketOptions",
    "Statistics",
    "Status",
    "TLSContextSettings",
    "Timeouts",
    "TlsMethod",
    "TlsOptions",
    "TlsProfile",
    "VerifyMode",
    "background",
    "remove_abandoned_files",
]


def __getattr__(name: str) -> object:
    """The names of TLS, whose rooms a program without TLS does not pay for."""
    if name not in ("CertificateTitles", "SecureLink", "TLSContextSettings"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .tls import link, settings

    return getattr(settings if name == "TLSContextSettings" else link, name)
