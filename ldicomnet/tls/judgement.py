"""What is checked once a handshake is done, and who is asked: version, suite, keys, chain, `on_verify`.

Knows no connection: it is given the `ssl.SSLObject` that has just agreed.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from cryptography import x509

from ..errors import LDicomSecurityError
from ..status import ErrorCode
from .context import Plan
from .examine import Finding, Terms, examine
from .faults import ODD
from .link import SecureLink
from .material import Material
from .reasons import of_verification
from .texts import describe, hash_of, name_of, oddity_of

Verify = Callable[[bool, str, int, str], bool]
"""The hook `on_verify`."""
_DER = 2
"""What OpenSSL calls this encoding."""
_log = logging.getLogger("ldicomnet.tls")
_WEAK_HASHES = ("md2", "md4", "md5", "sha1", "sha224", "unknown")


class Judge:
    """Decides about the peers of one side's connections.

    Args:
        plan: what is wanted.
        server: whether this side is the server.
        name: whom a client compares the certificate with; None where it does not.
        verify: the hook, None where nobody has overridden it.
        material: who is trusted and what is revoked, as it was read with the plan.
    """

    def __init__(
        self, plan: Plan, server: bool, name: str | None, verify: Verify | None, material: Material
    ) -> None:
        self._plan = plan
        self._material = material
        self._server = server
        self._name = name
        self._verify = verify

    def judge(self, tls: ssl.SSLObject) -> SecureLink:
        """What was agreed on, where it can be accepted.

        Raises:
            LDicomSecurityError: it cannot.
        """
        cipher = tls.cipher()
        version, name = tls.version() or "", cipher[0] if cipher else ""
        self._plan.check(version, name)
        if tls.session_reused:
            raise LDicomSecurityError(ErrorCode.TLS_HANDSHAKE_FAILURE, "the peer has resumed an old session")
        has_verified = tls.context.verify_mode != ssl.CERT_NONE and not self._plan.settings.verify_by_hook
        chain = chain_of(tls, has_verified)
        is_verified = bool(chain) and self._judge_chain(_decoded(chain), has_verified, tls.context)
        return SecureLink(version, name, tuple(chain), is_verified, tls.selected_alpn_protocol(), self._name)

    def refused(self, error: ssl.SSLError) -> None:
        """OpenSSL has refused the peer's certificate; the hook is told, and changes nothing."""
        if self._verify is not None and isinstance(error, ssl.SSLCertVerificationError):
            self._verify(False, "", getattr(error, "verify_code", 0), getattr(error, "verify_message", ""))

    def _judge_chain(self, chain: list[x509.Certificate], has_verified: bool, context: ssl.SSLContext) -> bool:
        """Whether the peer counts as verified."""
        if not has_verified:
            return self._judge_unverified(chain, context)
        if len(chain) - 2 > self._plan.depth:
            raise LDicomSecurityError(
                ErrorCode.X509_CERT_CHAIN_TOO_LONG,
                f"{len(chain) - 2} certificates stand between the peer's and the trusted one; "
                f"{self._plan.depth} may (verify_depth)",
            )
        self._check_strength(chain[0])
        self._tell_all(chain)
        return True

    def _check_strength(self, certificate: x509.Certificate) -> None:
        """OpenSSL's security level has looked at the chain already, where the profile is not one of the old ones."""
        self._plan.check_key(certificate, "the peer's")
        if not self._plan.profile.is_legacy and hash_of(certificate) in _WEAK_HASHES:
            raise LDicomSecurityError(
                ErrorCode.TLS_INSUFFICIENT_SECURITY,
                f"the peer's certificate is signed with {hash_of(certificate)}, too weak for profile "
                f"{self._plan.profile.title}",
            )

    def _tell_all(self, chain: list[x509.Certificate]) -> None:
        """`on_verify` for each certificate, the trusted one first, as OpenSSL does it; it may veto."""
        if self._verify is None:
            return
        for certificate in reversed(chain):
            if not self._verify(True, describe(certificate), 0, "ok"):
                raise LDicomSecurityError(
                    ErrorCode.X509_CERT_REJECTED, f"on_verify has rejected certificate {name_of(certificate)}"
                )

    def _judge_unverified(self, chain: list[x509.Certificate], context: ssl.SSLContext) -> bool:
        """A server that OpenSSL was told not to verify: the hook decides where the settings say so, else it is told."""
        if self._plan.settings.verify_by_hook:
            self._check_strength(chain[0])
            return self._let_decide(examine(chain, self._terms(context)))
        if self._verify is not None:
            self._tell(examine(chain, self._terms(context)))
        return False  # nobody was to verify it

    def _terms(self, context: ssl.SSLContext) -> Terms:
        """What OpenSSL would measure by; of certificates it lists only those of issuers, hence the settings' own."""
        plan = self._plan
        return Terms(
            trusted=(*self._material.trusted, *_listed(context)),
            revoked=self._material.revoked,
            is_deep=plan.settings.crl_chain,
            name=self._name,
            between=plan.depth,
            level=max(plan.profile.level, context.security_level),
        )

    def _let_decide(self, findings: list[Finding]) -> bool:
        """`on_verify` accepts or refuses each finding; without it, what is good is accepted."""
        for finding in findings:
            if not self._accepts(finding):
                fault = finding.fault
                raise LDicomSecurityError(
                    of_verification(fault) if fault else ErrorCode.X509_CERT_REJECTED,
                    f"certificate {name_of(finding.certificate)} is not accepted: {fault.text} (X.509 error {fault:d})",
                )
        return not any(finding.fault for finding in findings)

    def _tell(self, findings: list[Finding]) -> None:
        """`on_verify` of who does not verify (NONE): as in the original a no ends the telling, and not the link."""
        refused = next((finding for finding in findings if not self._accepts(finding)), None)
        if refused is not None:
            _log.warning(
                "on_verify has refused certificate %s (%s), and verify_mode NONE refuses nobody",
                name_of(refused.certificate),
                refused.fault.text,
            )

    def _accepts(self, finding: Finding) -> bool:
        fault = finding.fault
        if self._verify is None:
            return not fault
        return self._verify(not fault, describe(finding.certificate), int(fault), fault.text)


def _listed(context: ssl.SSLContext) -> Iterator[x509.Certificate]:
    """The issuers that a context trusts: the system's, and what `on_create_ctx` has added."""
    for data in context.get_ca_certs(binary_form=True):
        with suppress(*ODD):
            yield x509.load_der_x509_certificate(data)


def _decoded(chain: list[bytes]) -> list[x509.Certificate]:
    """A chain all of which can be asked for: who decides gets no exception from the middle of it."""
    found = []
    for data in chain:
        try:
            certificate = x509.load_der_x509_certificate(data)
            oddity = oddity_of(certificate)
        except ODD as error:  # OpenSSL is not as strict
            oddity = str(error)
        if oddity:
            text = f"a certificate of the peer's cannot be decoded: {oddity}"
            raise LDicomSecurityError(ErrorCode.TLS_BAD_CERTIFICATE, text)
        found.append(certificate)
    return found


def chain_of(tls: ssl.SSLObject, is_verified: bool) -> list[bytes]:
    """The peer's certificates in DER, its own first: up to the trusted one, or as they were sent."""
    own: bytes | None = tls.getpeercert(binary_form=True)
    if own is None:
        return []
    name = "get_verified_chain" if is_verified else "get_unverified_chain"
    ask = getattr(tls, name, None)
    if ask is not None:  # Python 3.13
        return list(ask()) or [own]
    ask = getattr(getattr(tls, "_sslobj", None), name, None)  # 3.10 has it, without a name of its own
    found: Any = ask() if ask is not None else None
    return [each.public_bytes(_DER) for each in found] if found else [own]
