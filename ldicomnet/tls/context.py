"""Makes an `ssl.SSLContext` of the settings, and finds out whether it keeps to the profile. Knows no connection."""

from __future__ import annotations

import logging
import ssl
import warnings
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from cryptography import x509

from ..errors import LDicomSecurityError
from ..status import CipherSuite, ErrorCode, TlsOptions, VerifyMode
from .certificates import Identity, as_file
from .material import Material
from .profiles import TLS_1_2, TLS_1_3, VERSION_NAMES, Profile
from .settings import TLSContextSettings
from .suites import BY_NAME, BY_NUMBER, Suite, suite_of
from .texts import bits_of, kind_of

_log = logging.getLogger("ldicomnet.tls")
_VERSIONS = {int(version): version for version in ssl.TLSVersion}
_OPTIONS = (
    ssl.OP_NO_COMPRESSION
    | ssl.OP_NO_RENEGOTIATION
    | ssl.OP_NO_TICKET  # a session that is resumed passes the checks of certificates and revocation
    | ssl.OP_CIPHER_SERVER_PREFERENCE
    | ssl.OP_SINGLE_DH_USE
    | ssl.OP_SINGLE_ECDH_USE
)
_SWITCHES = {
    TlsOptions.NO_TLSV1: ssl.OP_NO_TLSv1,
    TlsOptions.NO_TLSV1_1: ssl.OP_NO_TLSv1_1,
    TlsOptions.NO_TLSV1_2: ssl.OP_NO_TLSv1_2,
    TlsOptions.NO_TLSV1_3: ssl.OP_NO_TLSv1_3,
}


class Plan:
    """What a context is to be: settings that were checked, and the suites in their order.

    Args:
        settings: as they are now.
        chosen: suites that were asked for one by one, in the order of preference; empty for the profile's.

    Attributes:
        profile: the profile.
        oldest, newest: versions.
        suites: what may be agreed on.

    Raises:
        LDicomSecurityError: the settings contradict each other, or the profile, or cannot be done here.
    """

    def __init__(self, settings: TLSContextSettings, chosen: Sequence[CipherSuite]) -> None:
        self.settings = settings
        self.profile: Profile = settings.checked_profile()
        self.oldest, self.newest = settings.versions(self.profile)
        self.mode: VerifyMode = settings.checked_mode()
        self.depth = settings.checked_depth()
        self.suites = self._suites(chosen)

    def verification(self, server: bool) -> ssl.VerifyMode:
        """What OpenSSL is to verify in a role."""
        if VerifyMode.PEER not in self.mode:
            return ssl.CERT_NONE
        if not server:
            return ssl.CERT_NONE if self.settings.verify_by_hook else ssl.CERT_REQUIRED
        needs = VerifyMode.FAIL_IF_NO_PEER_CERT in self.mode
        return ssl.CERT_NONE if not self.settings.has_trust else ssl.CERT_REQUIRED if needs else ssl.CERT_OPTIONAL

    def compares_name(self, server: bool) -> bool:
        """Whether OpenSSL is to compare the peer's name in a role."""
        return not server and self.settings.check_name and self.verification(server) == ssl.CERT_REQUIRED

    def _suites(self, chosen: Sequence[CipherSuite]) -> tuple[Suite, ...]:
        extra = [suite_of(number).number for number in self.settings.extra_suites]
        wanted = self._allowed(chosen or dict.fromkeys((*self.profile.suites, *extra)))
        present = available(self.profile.level)
        usable = [suite for suite in wanted if suite.name in present and self._has_version(suite)]
        if not usable:
            names = ", ".join(suite.name for suite in wanted) or "none was left"
            raise LDicomSecurityError(
                ErrorCode.TLS_BAD_CONTEXT,
                f"profile {self.profile.title} is not available: {ssl.OPENSSL_VERSION} has none of the suites {names} "
                f"from {VERSION_NAMES[self.oldest]} to {VERSION_NAMES[self.newest]}",
            )
        if all(suite.is_tls13 for suite in usable):
            self.oldest = max(self.oldest, TLS_1_3)
        elif not any(suite.is_tls13 for suite in usable):
            self.newest = min(self.newest, TLS_1_2)
        return tuple(usable)

    def _allowed(self, chosen: Iterable[CipherSuite]) -> list[Suite]:
        """Of the suites asked for, those of the profile, and any with `allow_legacy`."""
        within = {*self.profile.suites, *self.profile.optional}
        refused = [number.name for number in chosen if number not in within and not self.settings.allow_legacy]
        if refused:
            _log.warning("profile %s does not have %s; left out", self.profile.title, ", ".join(refused))
        return [BY_NUMBER[number] for number in chosen if number in within or self.settings.allow_legacy]

    def _has_version(self, suite: Suite) -> bool:
        return self.newest >= TLS_1_3 if suite.is_tls13 else self.oldest <= TLS_1_2

    def check(self, version: str, cipher: str) -> None:
        """Raise unless a handshake has agreed on what the profile has.

        Raises:
            LDicomSecurityError: it has not.
        """
        allowed = {VERSION_NAMES[number] for number in VERSION_NAMES if self.oldest <= number <= self.newest}
        if version not in allowed:
            text = f"{version} is not of profile {self.profile.title}"
            raise LDicomSecurityError(ErrorCode.TLS_PROTOCOL_VERSION, text)
        if cipher not in {suite.name for suite in self.suites}:
            raise LDicomSecurityError(
                ErrorCode.TLS_INSUFFICIENT_SECURITY, f"suite {cipher} is not of profile {self.profile.title}"
            )

    def check_key(self, certificate: x509.Certificate, whose: str) -> None:
        """Raise unless the key of a certificate is long enough; OpenSSL's levels are coarser than the profiles.

        Raises:
            LDicomSecurityError: it is too short, or of a kind that no profile has any more.
        """
        kind, bits = kind_of(certificate), bits_of(certificate)
        least = self.profile.curve_bits if kind == "EC" else self.profile.rsa_bits if kind == "RSA" else 0
        if kind == "DSA" or bits < least:
            raise LDicomSecurityError(
                ErrorCode.TLS_INSUFFICIENT_SECURITY,
                f"{whose} certificate has a {kind} key of {bits} bits, too weak for profile {self.profile.title}",
            )


@cache
def available(level: int) -> frozenset[str]:
    """OpenSSL's names of the suites that it has at a security level, those of TLS 1.3 as they are switched on."""
    context = _bare(ssl.PROTOCOL_TLS_SERVER)
    found = {each["name"] for each in context.get_ciphers()}
    for name, suite in BY_NAME.items():
        if not suite.is_tls13:
            try:
                context.set_ciphers(f"{name}:@SECLEVEL={level}")
            except ssl.SSLError:
                continue
            found |= {each["name"] for each in context.get_ciphers()}
    return frozenset(found)


def _bare(protocol: int) -> ssl.SSLContext:
    try:
        return ssl.SSLContext(protocol)
    except ssl.SSLError as error:
        raise LDicomSecurityError(ErrorCode.TLS_INTERNAL_ERROR, f"OpenSSL makes no context: {error}") from error


def make(plan: Plan, server: bool, identities: Iterable[Identity], material: Material) -> ssl.SSLContext:
    """A context for one role; reads no file.

    Raises:
        LDicomSecurityError: OpenSSL does not take something of it.
    """
    settings = plan.settings
    context = _bare(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    ciphers = ":".join(suite.name for suite in plan.suites if not suite.is_tls13) or "ECDHE+AESGCM"  # which then rests
    context.set_ciphers(f"{ciphers}:@SECLEVEL={plan.profile.level}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that TLS 1.0 is old is what allow_legacy has said
        context.minimum_version, context.maximum_version = _VERSIONS[plan.oldest], _VERSIONS[plan.newest]
        context.options |= _OPTIONS
        for option, switch in _SWITCHES.items():
            if option in settings.checked_options():
                context.options |= switch
    if server:
        context.num_tickets = 0
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    _set_groups(context, plan, server, material)
    for identity in identities:
        plan.check_key(identity.chain[0], "this side's")
        identity.load_into(context)
    _set_verification(context, plan, server, material)
    return context


def _set_groups(context: ssl.SSLContext, plan: Plan, server: bool, material: Material) -> None:
    settings = plan.settings
    if settings.curve is not None:
        try:
            context.set_ecdh_curve(settings.curve)
        except (ValueError, TypeError, ssl.SSLError) as error:
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CONTEXT, f"curve is {settings.curve!r}: {error}") from error
    if not server or not any(suite.needs_dh_parameters for suite in plan.suites):
        return
    with as_file(ffdhe2048() if material.parameters is None else material.parameters) as path:
        try:
            context.load_dh_params(path)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CONTEXT, f"dh_file cannot be used: {error}") from error


@cache
def ffdhe2048() -> bytes:
    """The Diffie-Hellman parameters of RFC 7919 Appendix A.1, from their definition: the digits of e, as PEM."""
    e, term = 0, 1 << (1918 + 64)  # 64 bits more than wanted, for what each division loses
    for n in range(1, 500):
        e += term
        term //= n
    prime = (1 << 2048) - (1 << 1984) + ((e >> 64) + 560316) * (1 << 64) - 1
    content = b"\x02\x82\x01\x01" + prime.to_bytes(257, "big") + b"\x02\x01\x02"  # two INTEGERs: the prime, and 2
    encoded = b64encode(b"\x30\x82\x01\x08" + content).decode()
    lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    return "\n".join(["-----BEGIN DH PARAMETERS-----", *lines, "-----END DH PARAMETERS-----", ""]).encode()


def _set_verification(context: ssl.SSLContext, plan: Plan, server: bool, material: Material) -> None:
    settings = plan.settings
    if server:
        settings.check_for_server()
    context.check_hostname = False
    context.verify_mode = plan.verification(server)
    context.check_hostname = plan.compares_name(server)
    context.hostname_checks_common_name = False  # RFC 9525: names are in the subject alternative name
    if context.verify_mode != ssl.CERT_NONE or (not server and (plan.mode or settings.has_trust)):
        _load_trust(context, settings, server, material)


def _load_trust(context: ssl.SSLContext, settings: TLSContextSettings, server: bool, material: Material) -> None:
    if settings.has_trust:
        try:
            context.load_verify_locations(cadata=material.anchors)
        except ssl.SSLError as error:
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, f"a trusted certificate: {error}") from error
    elif not server:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    # What is listed is trusted, be it an issuer below the root or the peer's own certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if material.revoked:
        context.verify_flags |= _crl_flags(settings)
        with as_file(material.lists) as path:
            try:
                context.load_verify_locations(cafile=path)
            except OSError as error:  # such as ssl.SSLError
                raise LDicomSecurityError(ErrorCode.TLS_BAD_CA_FILE, f"a list of revoked ones: {error}") from error


def check_made(context: ssl.SSLContext, plan: Plan) -> None:
    """Raise unless a context still keeps to the plan after `on_create_ctx` has had it.

    Raises:
        LDicomSecurityError: the hook has loosened it.
    """
    names = {each["name"] for each in context.get_ciphers()}
    wanted = {suite.name for suite in plan.suites}
    extra = {name for name in names - wanted if name not in BY_NAME or not BY_NAME[name].is_tls13}
    oldest = _number(context.minimum_version)
    if oldest >= TLS_1_3:
        extra.clear()  # those of older versions rest
    if extra or oldest < plan.oldest:
        what = f"suites {', '.join(sorted(extra))}" if extra else f"{context.minimum_version.name}"
        raise LDicomSecurityError(
            ErrorCode.TLS_BAD_CONTEXT, f"on_create_ctx has added {what}, which profile {plan.profile.title} has not"
        )
    loosened = ", ".join(_loosened(context, plan))
    if loosened:
        text = f"on_create_ctx has switched off what the settings ask for: {loosened}; the settings can, openly"
        raise LDicomSecurityError(ErrorCode.TLS_BAD_CONTEXT, text)


def _loosened(context: ssl.SSLContext, plan: Plan) -> Iterator[str]:
    """What a context does not do any more."""
    server = context.protocol == ssl.PROTOCOL_TLS_SERVER
    if context.verify_mode < plan.verification(server):
        yield "verification of the peer (verify_mode)"
    if plan.compares_name(server) and (not context.check_hostname or context.hostname_checks_common_name):
        yield "comparing its name (check_hostname)"
    flags = _crl_flags(plan.settings) if plan.verification(server) != ssl.CERT_NONE else 0
    if flags & ~context.verify_flags:
        yield "looking it up in lists of revoked certificates (verify_flags)"
    if context.verify_flags & ssl.VERIFY_ALLOW_PROXY_CERTS:
        yield "refusing proxy certificates (verify_flags)"
    if context.security_level < plan.profile.level:
        yield f"the security level, {plan.profile.level} (set_ciphers)"
    if _OPTIONS & ~context.options:
        yield "compression, renegotiation or sessions being off (options)"


def _crl_flags(settings: TLSContextSettings) -> int:
    if not settings.crl_files:
        return 0
    return ssl.VERIFY_CRL_CHECK_CHAIN if settings.crl_chain else ssl.VERIFY_CRL_CHECK_LEAF


def _number(version: ssl.TLSVersion) -> int:
    return 0 if version == ssl.TLSVersion.MINIMUM_SUPPORTED else int(version)
