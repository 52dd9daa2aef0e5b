"""`TLSContextSettings`: what a TLS context is made with. Knows no `ssl`, and reads no file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import LDicomSecurityError
from ..status import ErrorCode, TlsMethod, TlsOptions, TlsProfile, VerifyMode
from .profiles import PROFILES, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, VERSION_NAMES, Profile

if TYPE_CHECKING:
    from .link import SecureLink

Source = str | os.PathLike[str] | bytes
"""A path, or what would be in the file."""
Titles = Callable[["SecureLink", str], bool]
"""Whether the peer of a link may call itself by an AE title."""
_DEEPEST = 100


@dataclass(slots=True)
class TLSContextSettings:
    """How TLS is done on the connections of an object; the first five are the original's, in its order.

    Attributes:
        ca_file: a file, or several, of certificates that are trusted, PEM or DER: issuers, or peers' own. Without this,
            `ca_path` and `ca_data` a client trusts what the system trusts, and a server asks no client for a
            certificate.
        verify_mode: on a client PEER, the default, verifies the server, and NONE refuses nobody: `on_verify` is told
            what is wrong, and its answer stops nothing. On a server NONE asks for no certificate, PEER verifies the one
            that a client sends, and with FAIL_IF_NO_PEER_CERT it must send one.
        verify_depth: how many certificates may stand between the peer's and the one that is trusted.
        options: see `TlsOptions`; versions can be switched off, none on.
        method: TLS or SSLV23, which are as the profile says, or TLSV1 for nothing newer than 1.0.
        profile: which versions, suites and keys: see `TlsProfile`.
        ca_path: a folder of such files.
        ca_data: the same in memory, PEM or DER.
        crl_files: lists of revoked certificates, paths or contents, PEM or DER; a certificate whose issuer has no list
            here is refused then. A server that verifies needs trusted issuers with them.
        crl_chain: whether issuers are looked up in the lists too.
        check_name: whether a client compares the name or address that it connects to with the server's certificate.
        server_name: the name to compare with instead, which is also sent to the server (SNI).
        pins: SHA-256 fingerprints (hexadecimal, colons or not) of the certificates that the peer may have, by its AE
            title; "*" is for all other titles.
        titles: says which certificate may use which calling AE title; see `CertificateTitles`.
        minimum_version: the oldest version, 0x0301 for TLS 1.0 to 0x0304 for TLS 1.3; None is the profile's.
        allow_legacy: whether a profile, version or suite that protects too little today may be used.
        verify_by_hook: on a client with PEER: OpenSSL does not verify, this library looks at the chain in its place,
            and `on_verify` may also accept what is wrong.
        curve: the one curve for the key exchange of TLS 1.2 and 1.3, such as "prime256v1"; None leaves it to OpenSSL.
        dh_file: Diffie-Hellman parameters of a server, PEM; None is ffdhe2048 (RFC 7919).
        alpn: names of the protocol, for the ALPN extension.
        extra_suites: suites to be used after those of the profile, where it allows them; with a list of suites
            (`set_cipher_to_index_tls`) they do not count.
    """

    ca_file: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None
    verify_mode: int = VerifyMode.PEER
    verify_depth: int = 9
    options: int = TlsOptions.NONE
    method: int = TlsMethod.TLS
    profile: int = TlsProfile.BCP_195
    ca_path: str | os.PathLike[str] | None = None
    ca_data: bytes | str | None = None
    crl_files: Sequence[Source] = ()
    crl_chain: bool = False
    check_name: bool = True
    server_name: str | None = None
    pins: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    titles: Titles | None = None
    minimum_version: int | None = None
    allow_legacy: bool = False
    verify_by_hook: bool = False
    curve: str | None = None
    dh_file: Source | None = None
    alpn: Sequence[str] = ("dicom",)
    extra_suites: Sequence[int] = ()

    @property
    def has_trust(self) -> bool:
        """Whether it says who is trusted."""
        return not (self.ca_file is None and self.ca_path is None and self.ca_data is None)

    def versions(self, profile: Profile) -> tuple[int, int]:
        """The oldest and the newest version to be used.

        Raises:
            LDicomSecurityError: there is none.
        """
        method, options = self.checked_method(), self.checked_options()
        oldest = profile.oldest if self.minimum_version is None else self.minimum_version
        if oldest not in (TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3):
            raise _wrong("CONTEXT", "minimum_version", self.minimum_version, "0x0301 (TLS 1.0) to 0x0304 (TLS 1.3)")
        newest = profile.newest
        if oldest < profile.oldest and profile.number != TlsProfile.BCP_195_RFC_7525:  # the one that may fall back
            text = f"profile {profile.title} has no version before {VERSION_NAMES[profile.oldest]}"
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CONTEXT, text)
        if method == TlsMethod.TLSV1:
            oldest = newest = TLS_1_0
        switches = {
            TLS_1_0: TlsOptions.NO_TLSV1,
            TLS_1_1: TlsOptions.NO_TLSV1_1,
            TLS_1_2: TlsOptions.NO_TLSV1_2,
            TLS_1_3: TlsOptions.NO_TLSV1_3,
        }
        left = [version for version, off in switches.items() if oldest <= version <= newest and not options & off]
        if not left:
            raise LDicomSecurityError(
                ErrorCode.TLS_BAD_OPTIONS, f"no version of TLS is left of those that profile {profile.title} has"
            )
        if left[0] < TLS_1_2 and not self.allow_legacy:
            raise LDicomSecurityError(
                ErrorCode.TLS_BAD_CONTEXT, "TLS 1.0 and 1.1 must be asked for expressly (allow_legacy)"
            )
        return left[0], left[-1]

    def checked_profile(self) -> Profile:
        """The profile.

        Raises:
            LDicomSecurityError: it is none, or protects too little and was not asked for expressly.
        """
        profile = PROFILES.get(TlsProfile(self.profile)) if isinstance(self.profile, int) else None
        if profile is None:
            raise _wrong("CONTEXT", "profile", self.profile, "a TlsProfile")
        if profile.is_legacy and not self.allow_legacy:
            raise LDicomSecurityError(
                ErrorCode.TLS_BAD_CONTEXT,
                f"profile {profile.title} protects too little today, and must be asked for expressly (allow_legacy)",
            )
        return profile

    def checked_method(self) -> TlsMethod:
        """The method; those before TLS are in no library any more."""
        method = TlsMethod(self.method) if isinstance(self.method, int) else None
        if method is None or not method.is_known:
            raise _wrong("CONTEXT", "method", self.method, "a TlsMethod")
        if method in (TlsMethod.SSLV2, TlsMethod.SSLV3):
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CONTEXT, f"{method.name} is broken, and not to be had any more")
        return method

    def checked_options(self) -> TlsOptions:
        """The options that switch something off; what OpenSSL does anyway is left out.

        Raises:
            LDicomSecurityError: one is not known, and could switch something on.
        """
        known = TlsOptions.ALL
        for option in TlsOptions:
            known |= option
        if not isinstance(self.options, int) or self.options & ~int(known):
            raise _wrong("OPTIONS", "options", self.options, "TlsOptions")
        return TlsOptions(self.options & ~int(TlsOptions.ALL))

    def checked_mode(self) -> VerifyMode:
        """Whether the peer is verified.

        Raises:
            LDicomSecurityError: it says what is not known, or asks for a certificate that nobody could verify.
        """
        if not isinstance(self.verify_mode, int) or not 0 <= self.verify_mode <= 7:
            raise _wrong("VERIFY_MODE", "verify_mode", self.verify_mode, "a VerifyMode")
        if self.verify_mode and not self.verify_mode & VerifyMode.PEER:
            raise _wrong("VERIFY_MODE", "verify_mode", self.verify_mode, "PEER, which the others only add to,")
        if self.verify_by_hook and not self.verify_mode:
            text = "verify_by_hook lets on_verify decide whom verify_mode PEER verifies; NONE refuses nobody"
            raise LDicomSecurityError(ErrorCode.TLS_BAD_VERIFY_MODE, text)
        return VerifyMode(self.verify_mode)

    def check_for_server(self) -> None:
        """Raise where a server would verify nobody though it is told to.

        Raises:
            LDicomSecurityError: somebody is to be verified, and nobody is trusted; or OpenSSL is not to do it.
        """
        mode = self.checked_mode()
        if self.verify_by_hook:
            text = "verify_by_hook is for clients: OpenSSL always verifies what it asks a client for"
            raise LDicomSecurityError(ErrorCode.TLS_BAD_VERIFY_MODE, text)
        if self.has_trust or VerifyMode.PEER not in mode:
            return
        if VerifyMode.FAIL_IF_NO_PEER_CERT in mode:
            text = "clients must send a certificate, and no issuer is trusted (ca_file)"
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, text)
        if self.crl_files:
            text = "crl_files says which clients are refused, and none is asked: no issuer is trusted (ca_file)"
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, text)

    def checked_depth(self) -> int:
        """The longest chain."""
        if not isinstance(self.verify_depth, int) or not 0 <= self.verify_depth <= _DEEPEST:
            raise _wrong("VERIFY_DEPTH", "verify_depth", self.verify_depth, f"a number from 0 to {_DEEPEST}")
        return self.verify_depth


def _wrong(code: str, name: str, value: object, wanted: str) -> LDicomSecurityError:
    return LDicomSecurityError(ErrorCode[f"TLS_BAD_{code}"], f"{name} is {value!r}: {wanted} is wanted")
