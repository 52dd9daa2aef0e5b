"""What is checked once a handshake is done, and who is asked: version, suite, keys, chain, `on_verify`.

Knows no connection: it is given the `ssl.SSLObject` that has just agreed.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509

from ..errors import LDicomSecurityError
from ..status import ErrorCode, VerifyMode
from .context import Plan
from .examine import examine
from .link import SecureLink
from .reasons import of_verification
from .texts import describe, hash_of, name_of

Verify = Callable[[bool, str, int, str], bool]
"""The hook `on_verify`."""
_DER = 2
"""What OpenSSL calls this encoding."""
_WEAK_HASHES = ("md2", "md4", "md5", "sha1", "sha224", "unknown")


class Judge:
    """Decides about the peers of one side's connections.

    Args:
        plan: what is wanted.
        server: whether this side is the server.
        name: whom a client compares the certificate with; None where it does not.
        verify: the hook, None where nobody has overridden it.
        revoked: lists of revoked certificates, as they were read with the plan.
    """

    def __init__(
        self,
        plan: Plan,
        server: bool,
        name: str | None,
        verify: Verify | None,
        revoked: Sequence[x509.CertificateRevocationList],
    ) -> None:
        self._plan = plan
        self._revoked = revoked
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
        is_verified = tls.context.verify_mode != ssl.CERT_NONE
        chain = chain_of(tls, is_verified)
        if chain:
            is_verified = self._judge_chain(_decoded(chain), is_verified, tls.context)
        else:
            is_verified = False
        return SecureLink(version, name, tuple(chain), is_verified, tls.selected_alpn_protocol(), self._name)

    def refused(self, error: ssl.SSLError) -> None:
        """OpenSSL has refused the peer's certificate; the hook is told, and changes nothing."""
        if self._verify is not None and isinstance(error, ssl.SSLCertVerificationError):
            self._verify(False, "", getattr(error, "verify_code", 0), getattr(error, "verify_message", ""))

    def _judge_chain(self, chain: list[x509.Certificate], is_verified: bool, context: ssl.SSLContext) -> bool:
        if is_verified:
            if len(chain) - 2 > self._plan.depth:
                raise LDicomSecurityError(
                    ErrorCode.X509_CERT_CHAIN_TOO_LONG,
                    f"{len(chain) - 2} certificates stand between the peer's and the trusted one; "
                    f"{self._plan.depth} may (verify_depth)",
                )
            self._check_strength(chain[0])
            self._tell_all(chain)
            return True
        if self._plan.settings.verify_by_hook:
            self._check_strength(chain[0])
        return self._judge_unverified(chain, context)

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
        """A server that OpenSSL was told not to verify: the hook decides, where the settings say so."""
        decides = self._plan.settings.verify_by_hook and VerifyMode.PEER in self._plan.mode
        if not decides and self._verify is None:
            return False
        trusted = [x509.load_der_x509_certificate(each) for each in context.get_ca_certs(binary_form=True)]
        findings = examine(chain, trusted, self._revoked, self._name)
        for finding in findings:
            certificate, number, text = finding.certificate, finding.number, finding.text
            is_good = number == 0
            accepted = is_good if self._verify is None else self._verify(is_good, describe(certificate), number, text)
            if decides and not accepted:
                raise LDicomSecurityError(
                    of_verification(number) if number else ErrorCode.X509_CERT_REJECTED,
                    f"certificate {name_of(certificate)} is not accepted: {text} (X.509 error {number})",
                )
        return False  # OpenSSL, which looks at more, has not verified it


def _decoded(chain: list[bytes]) -> list[x509.Certificate]:
    try:
        return [x509.load_der_x509_certificate(each) for each in chain]
    except ValueError as error:  # OpenSSL is not as strict
        raise LDicomSecurityError(ErrorCode.TLS_BAD_CERTIFICATE, f"a certificate of the peer's: {error}") from error


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
