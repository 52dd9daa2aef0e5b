"""What the public record of ISCL leaves open, as one frozen record, and what a site sets for its connections.

Knows no packet. `WireOptions` with nothing given is "profile A", this library's own reading: two ends of this library
understand each other with it. A site that has the standard, or a capture, matches another implementation here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import LDicomSecurityError, LDicomUsageError
from ..status import ErrorCode, IsclEncryption, IsclSigning
from . import ciphers

SLOTS = 8
"""Keys of each kind, with indexes from 1."""
UNIQUE_KEYS = 0x10
"""In the place of an index: a key for each message, made from a random number."""
SMALLEST_BLOCK, USUAL_BLOCK, LARGEST_BLOCK = 64, 8160, 65504
"""Bytes of the data part of a packet."""
USUAL_MESSAGE = 1 << 20
"""Bytes of a message."""
LARGEST_MESSAGE = 64 << 20
LONGEST_DATA = 128
"""Bytes of authentication data."""
VERSION_1 = 0x00000100


def _one_of(*choices: str) -> dict[str, tuple[str, ...]]:
    return {"choices": choices}


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """How ISCL is written, where the public record does not say. Both sides have to agree.

    Attributes:
        name: for the log.
        byte_order: of the 32-bit words. "auto" sends big endian first, and then as the peer does.
        quantities: whether 64-bit challenges, responses and random numbers are "bytes" in the order given, or
            "numbers", which turn with the byte order.
        version_word: version 1.00 in the line connection check.
        line_check_layout: the two words of the request in their order.
        auth_data_in: the messages that carry the authentication data of the server and of the client.
        auth_data_agrees: whether the two have to be the same. One record of the original says so; here they name
            the two ends, unless this is set.
        result_in: where ACK, NAK and results are: header word 3, header word 5, or the first word of the content.
        response: (authentication key, challenge) to response.
        session_key: (authentication key, random number) to the key of one message. No response to a challenge may be
            that key, since a client answers any challenge: of the default, the one that was proposed, it is, and
            `ciphers.separate_session_key` is better where both ends have it.
        padding: what fills the last block before encryption.
        iv_chain: whether the IV goes on from message to message in each direction, as one for both, or not at all.
        mac_iv: whether the MAC is encrypted with the IV that goes on from the message's, or with zero.
        mac_input: what the MAC is computed of.
        desmac_key: of which key DESMAC is made. With that of the encryption, which the public record suggests, and
            DES-CBC, changes of the first message of each side go unnoticed: both end in the same block.
        desmac_padding: what fills the last block for DESMAC.
        length_counts: whether the length that a transmission request names is that of the plain message, or of what is
            sent.
        md5_variants: what takes the place of MD5; the first is sent, any is accepted. PS3.15 B.2 knows a second order,
            in which something is encrypted before; each is a function of (encryption key, message).
        message_unit: what one ISCL message is: one PDU of the upper layer, or all that is written at once.
        collision_winner: whose request counts when both ends ask at once; the other is asked again.
    """

    name: str = "profile A"
    byte_order: str = field(default="auto", metadata=_one_of("auto", "big", "little"))
    quantities: str = field(default="bytes", metadata=_one_of("bytes", "numbers"))
    version_word: int = VERSION_1
    line_check_layout: str = field(default="version,length", metadata=_one_of("version,length", "length,version"))
    auth_data_in: str = field(default="request+response", metadata=_one_of("request+response", "pass1+pass2", "none"))
    auth_data_agrees: bool = False
    result_in: str = field(default="option", metadata=_one_of("option", "error", "content"))
    response: Callable[[bytes, bytes], bytes] = ciphers.des_response
    session_key: Callable[[bytes, bytes], bytes] = ciphers.des_session_key
    padding: str = field(default="pkcs5", metadata=_one_of(*ciphers.PADDINGS))
    iv_chain: str = field(default="per-direction", metadata=_one_of("per-direction", "shared", "none"))
    mac_iv: str = field(default="chained", metadata=_one_of("chained", "zero"))
    mac_input: str = field(default="plaintext", metadata=_one_of("plaintext", "ciphertext"))
    desmac_key: str = field(default="encryption", metadata=_one_of("encryption", "authentication"))
    desmac_padding: str = field(default="zero", metadata=_one_of("zero", *ciphers.PADDINGS))
    length_counts: str = field(default="plaintext", metadata=_one_of("plaintext", "ciphertext"))
    md5_variants: tuple[ciphers.Digest, ...] = (ciphers.md5,)
    message_unit: str = field(default="pdu", metadata=_one_of("pdu", "write"))
    collision_winner: str = field(default="requestor", metadata=_one_of("requestor", "acceptor"))

    def __post_init__(self) -> None:
        for name, one in type(self).__dataclass_fields__.items():
            choices = one.metadata.get("choices")
            if choices and getattr(self, name) not in choices:
                raise LDicomUsageError(f"{name} is {getattr(self, name)!r}: one of {', '.join(choices)} is wanted")
        if not isinstance(self.version_word, int) or not 0 <= self.version_word <= 0xFFFFFFFF:
            raise LDicomUsageError(f"version_word is {self.version_word!r}: a number of 32 bits is wanted")
        for name in ("response", "session_key"):
            if not callable(getattr(self, name)):
                raise LDicomUsageError(f"{name} is not a function")
        if not self.md5_variants or not all(map(callable, self.md5_variants)):
            raise LDicomUsageError("md5_variants has to hold functions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What one side of a connection is set to; the hooks of the three card operations are not part of it.

    Attributes:
        block_length: longest data part of a packet that this side takes.
        message_length: longest message that this side takes.
        encryption, signing: used for what is sent, and demanded of what comes.
        auth_data: what the peer is told of this side.
        auth_keys, encrypt_keys: the slots; None is empty.
        auth_index: slot that the acceptor asks for.
        encrypt_index: slot for what is sent, or `UNIQUE_KEYS`.
        allows_unkeyed: whether messages without a MAC, or with one that anybody can compute, may be.
        wire: how it is written.
    """

    block_length: int = USUAL_BLOCK
    message_length: int = USUAL_MESSAGE
    encryption: int = IsclEncryption.DESCBC
    signing: int = IsclSigning.MD5
    auth_data: bytes = b""
    auth_keys: tuple[bytes | None, ...] = field(default=(None,) * SLOTS, repr=False)
    auth_index: int = 1
    encrypt_keys: tuple[bytes | None, ...] = field(default=(None,) * SLOTS, repr=False)
    encrypt_index: int = 1
    allows_unkeyed: bool = False
    wire: WireOptions = WireOptions()

    @property
    def uses_key(self) -> bool:
        """Whether messages of this side need a key."""
        return self.encryption != IsclEncryption.NONE or self.signing == IsclSigning.DESMAC

    @property
    def _is_unkeyed(self) -> bool:
        is_plain = self.encryption == IsclEncryption.NONE
        return self.signing == IsclSigning.NONE or (is_plain and self.signing == IsclSigning.MD5)

    @property
    def weaknesses(self) -> tuple[str, ...]:
        """What protects less than it seems to, for the log; no key is in it."""
        found = []
        is_des_twice = self.encryption == IsclEncryption.DESCBC and self.signing == IsclSigning.DESMAC
        if is_des_twice and self.wire.desmac_key == "encryption":
            found.append("DES-CBC and DESMAC of one key: who is between can change the first messages unseen")
        has_responses = (self.wire.session_key, self.wire.response) == (ciphers.des_session_key, ciphers.des_response)
        if has_responses and self.uses_key and self.encrypt_index == UNIQUE_KEYS:
            found.append("keys of single messages that are responses: who can send a client a challenge has them")
        if any(ciphers.is_same_key(one, other) for one in filter(None, self.auth_keys)
               for other in filter(None, self.encrypt_keys)):  # fmt: skip
            found.append("one key for both purposes: who can send a client a challenge can encrypt with it")
        return tuple(found)

    def check_authentication_key(self, key: bytes | None) -> None:
        """Whether what this side sends can be protected with the authentication key that was agreed on.

        Raises:
            LDicomSecurityError: it is needed, and a card has it; zeros in its place would be a key that anybody knows.
        """
        is_made_of_it = self.uses_key and self.encrypt_index == UNIQUE_KEYS
        signs_with_it = self.signing == IsclSigning.DESMAC and self.wire.desmac_key == "authentication"
        if key is None and (is_made_of_it or signs_with_it):
            raise LDicomSecurityError(
                ErrorCode.ISCL_LOCAL_IC_CARD,
                "messages are to be protected by the authentication key, and its slot is empty, as where a card has it",
            )

    def check(self) -> None:
        """Whether a connection can be made with it; the authentication keys are the card's.

        Raises:
            LDicomSecurityError: what is missing, or refused; or DES is not to be had.
        """
        if not self.allows_unkeyed and self._is_unkeyed:
            what = "no MAC" if self.signing == IsclSigning.NONE else "MD5 without encryption, which needs no key"
            raise LDicomSecurityError(
                ErrorCode.ISCL_MESSAGE_TRANSMISSION,
                f"{what}: anybody could change messages (PS3.15 B.2 wants integrity); see allows_unkeyed_iscl",
            )
        if self.uses_key and self.encrypt_index != UNIQUE_KEYS and self.encrypt_keys[self.encrypt_index - 1] is None:
            raise LDicomSecurityError(
                ErrorCode.ISCL_MESSAGE_TRANSMISSION, f"there is no encryption key with index {self.encrypt_index}"
            )
        ciphers.check_available()
