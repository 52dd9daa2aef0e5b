"""Chains that this library looks at itself: it has to find what OpenSSL finds, and to accept what OpenSSL accepts."""

from __future__ import annotations

import ipaddress
import ssl
import unittest
from collections.abc import Iterator, Sequence
from typing import Any

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from ldicomnet import ErrorCode, LDicomSecurityError, TLSContextSettings, TlsProfile, VerifyMode
from ldicomnet.tls.faults import Fault
from ldicomnet.tls.reasons import of_verification

from .chains import (
    CLIENT,
    HOST,
    ISSUER,
    PEER,
    Made,
    changed,
    issuing,
    judged,
    key,
    made,
    name,
    of_version_1,
    other,
    revoked,
    signed_with,
    usage,
    with_two_algorithms,
)

Row = tuple[str, int, Sequence[Made], Sequence[Made], dict[str, Any]]
"""What it is, the X509_V_ERR number or 0, whom the client trusts, what the server shows, and further settings."""


def loaded(data: bytes, private: Any) -> Made:
    """A certificate made by hand."""
    return Made(x509.load_der_x509_certificate(data), private)


UNKNOWN = other("1.2.3.4")
ROOT = issuing("root")
MIDDLE = issuing("middle", ROOT)
LOW = issuing("low", MIDDLE)
OLD = (-9, -3)
"""Days of what is over."""
NAMELESS = PEER[:3]
SHORT = made("server", MIDDLE)


def good_and_bad_ways() -> Iterator[Row]:
    """Which way there is from the server's certificate to a trusted one."""
    server = made("server", LOW)
    of_root = made("server", ROOT)
    yield "two", 0, [ROOT], [of_root], {}
    yield "three", 0, [ROOT], [SHORT, MIDDLE], {}
    yield "four", 0, [ROOT], [server, LOW, MIDDLE], {}
    yield "the root is sent too", 0, [ROOT], [server, LOW, MIDDLE, ROOT], {}
    yield "unordered, and more than needed", 0, [ROOT], [server, issuing("x"), MIDDLE, LOW, made("y"), ROOT], {}
    yield "as deep as may be", 0, [ROOT], [server, LOW, MIDDLE], {"verify_depth": 2}
    yield "deeper", 22, [ROOT], [server, LOW, MIDDLE], {"verify_depth": 1}
    yield "one is missing", 20, [ROOT], [server, MIDDLE], {}
    yield "nobody trusted", 20, [issuing("stranger")], [of_root], {}
    yield "a root that is not trusted", 19, [issuing("stranger")], [SHORT, MIDDLE, ROOT], {}
    yield "an issuer below the root is trusted", 0, [MIDDLE], [SHORT], {}
    yield "it is, and the root was sent", 0, [MIDDLE], [SHORT, MIDDLE, ROOT], {}
    yield "its own issuer", 18, [ROOT], [made("server")], {}
    listed = made("server")
    yield "its own issuer, and trusted", 0, [listed], [listed], {}
    yield "trusted itself", 0, [of_root], [of_root], {}
    yield "trusted itself, below others", 0, [SHORT], [SHORT, MIDDLE, ROOT], {}
    over = issuing("over", ROOT, days=OLD)
    below = made("server", over)
    yield "trusted itself, below one that has expired", 10, [below], [below, over], {}
    yield "trusted itself, below a trusted one that has expired", 10, [over, below], [below], {}
    yield "names are compared as names", 0, [ROOT], [made("server", ROOT, issuer_name=name("ROOT "))], {}
    loose = made("server", issuing("root", links=False), links=False)
    mimic = issuing("root", of="mimic", links=False)
    yield "another of the trusted one's name has signed it", 7, [mimic], [loose], {}
    yield "the other was sent", 7, [mimic], [loose, issuing("root", links=False)], {}
    yield "the trusted one's own name", 18, [mimic], [made("server", subject=name("root"), links=False)], {}
    for title, serial, number in (
        ("of that number", MIDDLE.certificate.serial_number, 0),
        ("of another number", 7, 20),
    ):
        said = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name("root"))], serial)
        yield title, number, [ROOT], [made("server", MIDDLE, (*PEER, said), links=False), MIDDLE], {}
    said = x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(name("x"))], MIDDLE.certificate.serial_number)
    yield "of another's number", 20, [ROOT], [made("server", MIDDLE, (*PEER, said), links=False), MIDDLE], {}
    curved = issuing("edwards root")
    yield "Ed25519", 0, [curved], [made("server", curved)], {}
    both = [issuing("edwards root", links=False), issuing("edwards root", of="edwards y", links=False)]
    yield "Ed25519 was another's", 7, both[:1], [made("server", both[1], links=False)], {}
    kindred = issuing("root", of="rsa other", links=False)
    yield "the name, and a key of another kind", 20, [kindred], [loose], {}
    yield "it and the one that was sent", 19, [kindred], [loose, issuing("root", links=False)], {}
    tampered = changed(of_root, lambda tbs: tbs.replace(b"pacs.example", b"pacs.examplf"), made("y"))
    yield "two algorithms", 7, [ROOT], [with_two_algorithms(of_root, ROOT)], {}
    yield "changed", 7, [ROOT], [loaded(tampered, of_root.key)], {"check_name": False}


def crossed() -> Iterator[Row]:
    """One key with certificates of two issuers."""
    newer = issuing("newer")
    cross, stale = issuing("root", newer), issuing("root", newer, days=OLD)
    yield "by the new root", 0, [newer], [SHORT, MIDDLE, cross], {}
    yield "by the old root, whatever else was sent", 0, [ROOT], [SHORT, MIDDLE, cross, newer], {}
    yield "an expired way besides", 0, [ROOT], [SHORT, MIDDLE, stale], {}
    yield "the trusted one goes first", 10, [issuing("root", days=OLD), newer], [SHORT, MIDDLE, cross], {}


def issuers() -> Iterator[Row]:
    """Who may sign certificates, and how far down."""
    for title, number, extensions in (
        ("a peer's", 79, PEER),
        ("says that it is none", 79, (x509.BasicConstraints(False, None), ISSUER[1])),
        ("says nothing of it", 79, (ISSUER[1],)),
        ("may sign lists only", 79, (ISSUER[0], usage("crl_sign"))),
        ("says nothing of its use", 0, (ISSUER[0],)),
        ("of Netscape's time", 79, (other("2.16.840.1.113730.1.1", "03020204"),)),
    ):
        middle = made("middle", ROOT, extensions)
        yield f"between: {title}", number, [ROOT], [made("server", middle), middle], {}
    for title, number, extensions in (
        ("says that it is none", 79, (x509.BasicConstraints(False, None), ISSUER[1])),
        ("says only its use", 0, (ISSUER[1],)),
        ("says nothing at all", 79, ()),
        ("may not sign", 79, (ISSUER[0], usage("digital_signature"))),
    ):
        root = made("root", None, extensions)
        yield f"root: {title}", number, [root], [made("server", root)], {}
    plain, bare = made("root", None, ()), made("middle", ROOT, ())
    first = loaded(changed(plain, of_version_1), plain.key)
    yield "a root of version 1", 0, [first], [made("server", plain, links=False)], {}
    second = loaded(changed(bare, of_version_1, ROOT), bare.key)
    yield "one between of version 1", 79, [ROOT], [made("server", bare, links=False), second], {}
    for length, number in ((0, 25), (1, 0)):
        root = issuing("root", length=length)
        middle = issuing("middle", root)
        yield f"path length {length}", number, [root], [made("server", middle), middle], {}
    root = issuing("root", length=0)
    renewed = issuing("root", root, of="renewed")
    yield "who renews itself does not count", 0, [root], [made("server", renewed), renewed], {}


def purposes() -> Iterator[Row]:
    """Extensions, and what they allow."""
    netscape = "2.16.840.1.113730.1.1"
    any_purpose = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://a"))
    for title, number, extensions, critical in (
        ("unknown", 0, (*PEER, UNKNOWN), []),
        ("unknown and critical", 34, PEER, [UNKNOWN]),
        ("known, and never critical", 34, PEER, [x509.AuthorityInformationAccess([access])]),
        ("another never critical", 34, PEER, [x509.TLSFeature([x509.TLSFeatureType.status_request])]),
        ("critical policies", 0, PEER, [x509.CertificatePolicies([x509.PolicyInformation(UNKNOWN.oid, None)])]),
        ("no check", 0, PEER, [x509.OCSPNoCheck()]),
        ("no purpose said", 0, (*PEER[:2], PEER[3]), []),
        ("for clients", 26, (*PEER[:2], x509.ExtendedKeyUsage([CLIENT]), PEER[3]), []),
        ("for anything", 26, (*PEER[:2], x509.ExtendedKeyUsage([any_purpose]), PEER[3]), []),
        ("to encrypt data", 26, (PEER[0], usage("data_encipherment"), *PEER[2:]), []),
        ("to agree on keys", 0, (PEER[0], usage("key_agreement"), *PEER[2:]), []),
        ("Netscape's client", 26, (*PEER, other(netscape, "03020780")), []),
        ("Netscape's server", 0, (*PEER, other(netscape, "03020640")), []),
    ):
        yield title, number, [ROOT], [made("server", ROOT, extensions, critical=critical)], {}
    proxy = (*NAMELESS, other("1.3.6.1.5.5.7.1.14", "300c300a06082b06010505071501"))
    yield "a proxy's", 40, [ROOT], [made("server", ROOT, proxy)], {"check_name": False}
    changes: dict[str, Any]
    for title, number, changes in (
        ("unknown and critical", 34, {"critical": [UNKNOWN]}),
        ("for clients", 26, {"more": [x509.ExtendedKeyUsage([CLIENT])]}),
        ("for servers", 0, {"more": [PEER[2]]}),
        ("policies are required", 0, {"critical": [x509.PolicyConstraints(0, None)]}),
        ("policies are mapped", 0, {"critical": [other("2.5.29.33", "300a300806022a0306022a03")]}),
    ):
        middle = issuing("middle", ROOT, **changes)
        yield f"between: {title}", number, [ROOT], [made("server", middle), middle], {}
        top = issuing("top", **changes)
        yield f"root: {title}", number, [top], [made("server", top)], {}


def dates_and_strength() -> Iterator[Row]:
    """When, and how well."""
    early, over = issuing("early", ROOT, days=(3, 9)), issuing("over", ROOT, days=OLD)
    yield "not yet", 9, [ROOT], [made("server", ROOT, days=(3, 9))], {}
    yield "no more", 10, [ROOT], [made("server", ROOT, days=OLD)], {}
    yield "between: not yet", 9, [ROOT], [made("server", early), early], {}
    yield "between: no more", 10, [ROOT], [made("server", over), over], {}
    gone = issuing("gone", days=OLD)
    yield "root: no more", 10, [gone], [made("server", gone)], {}
    for title in ("weak root", "weak middle"):
        weak = issuing(title, None if title == "weak root" else ROOT)
        chain = [made("server", weak), weak]
        yield title, 67, [weak if title == "weak root" else ROOT], chain, {}
    yield "RSA", 0, [top := issuing("rsa root")], [made("rsa server", top)], {}
    yield "SHA-1 between", 68, [ROOT], [made("server", MIDDLE), signed_with("sha1", MIDDLE, ROOT)], {}
    yield "SHA-224 between", 0, [ROOT], [made("server", MIDDLE), signed_with("sha224", MIDDLE, ROOT)], {}
    yield "SHA-1 of the root, which proves nothing", 0, [signed_with("sha1", ROOT)], [made("server", ROOT)], {}
    old = {"profile": TlsProfile.AES, "allow_legacy": True}
    weak = issuing("weak root")
    yield "weak, and old enough to be allowed to", 0, [weak], [made("weak server", weak)], old
    hosts = ("*.example", "*", "pacs.*", "xn--pcs-ela.example", "*.star.example", "p*.part.example")
    names = x509.SubjectAlternativeName([*map(x509.DNSName, hosts), x509.IPAddress(ipaddress.ip_address("192.0.2.2"))])
    server = made("server", ROOT, (*NAMELESS, names))
    for host, number in (
        ("a.star.example", 0), ("A.STAR.example", 0), ("a.b.star.example", 62), ("star.example", 62), ("example", 62),
        ("pacs.org", 62), ("p\u00e1cs.example", 0), ("pa.part.example", 62), ("192.0.2.1", 64), ("192.0.2.2", 0),
        ("a.b.example", 62), ("::1", 64),
    ):  # fmt: skip
        yield host, number, [ROOT], [server], {"host": host}


POINT = [x509.UniformResourceIdentifier("http://crl.example/a")]


def scope(**changes: Any) -> list[tuple[x509.ExtensionType, bool]]:
    """An extension that says whom a list speaks of."""
    given = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False, "only_contains_ca_certs": False,
        "only_some_reasons": None, "indirect_crl": False, "only_contains_attribute_certs": False, **changes,
    }  # fmt: skip
    return [(x509.IssuingDistributionPoint(**given), True)]


def lists() -> Iterator[Row]:
    """Lists of revoked certificates."""
    chain, server = [SHORT, MIDDLE], SHORT
    reasons = frozenset([x509.ReasonFlags.key_compromise])
    others_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(key("stranger").public_key())
    for title, number, given in (
        ("not on it", 0, [revoked(MIDDLE)]),
        ("on it", 23, [revoked(MIDDLE, [server])]),
        ("none of that issuer", 3, [revoked(ROOT)]),
        ("old", 12, [revoked(MIDDLE, days=OLD)]),
        ("on an old one", 12, [revoked(MIDDLE, [server], days=OLD)]),
        ("an old and a new one", 0, [revoked(MIDDLE, [server], days=OLD), revoked(MIDDLE)]),
        ("a new and an old one", 23, [revoked(MIDDLE, [server]), revoked(MIDDLE, days=OLD)]),
        ("understood, and not understood", 0, [revoked(MIDDLE), revoked(MIDDLE, days=(0, 9), more=[(UNKNOWN, True)])]),
        ("of tomorrow", 11, [revoked(MIDDLE, days=(3, 9))]),
        ("of another's hand", 8, [revoked(MIDDLE, signer=ROOT)]),
        ("of a hand of another kind", 8, [revoked(MIDDLE, signer=issuing("rsa root"))]),
        ("of another key", 3, [revoked(MIDDLE, more=[(others_key, False)])]),
        ("with what is not understood", 36, [revoked(MIDDLE, [server], more=[(UNKNOWN, True)])]),
        ("one in it with what is not understood", 36, [revoked(MIDDLE, [LOW], of_entries=[(UNKNOWN, True)])]),
        ("one in it with what need not be", 0, [revoked(MIDDLE, [LOW], of_entries=[(UNKNOWN, False)])]),
        ("with what need not be understood", 0, [revoked(MIDDLE, more=[(UNKNOWN, False)])]),
        ("for peers", 0, [revoked(MIDDLE, more=scope(only_contains_user_certs=True))]),
        ("for issuers", 44, [revoked(MIDDLE, more=scope(only_contains_ca_certs=True))]),
        ("for attributes", 44, [revoked(MIDDLE, more=scope(only_contains_attribute_certs=True))]),
        ("for other issuers", 3, [revoked(MIDDLE, more=scope(indirect_crl=True))]),
        ("for some reasons", 3, [revoked(MIDDLE, more=scope(only_some_reasons=reasons))]),
        ("of a point", 44, [revoked(MIDDLE, more=scope(full_name=POINT))]),
        ("the issuer is on the root's", 0, [revoked(MIDDLE), revoked(ROOT, [MIDDLE])]),
    ):
        yield title, number, [ROOT], chain, {"crl_files": given}
    for title, number, given in (
        ("all", 0, [revoked(MIDDLE), revoked(ROOT)]),
        ("the root's is missing", 3, [revoked(MIDDLE)]),
        ("the issuer is on it", 23, [revoked(MIDDLE), revoked(ROOT, [MIDDLE])]),
        ("the root's is for issuers", 0, [revoked(MIDDLE), revoked(ROOT, more=scope(only_contains_ca_certs=True))]),
        ("the root's is for peers", 44, [revoked(MIDDLE), revoked(ROOT, more=scope(only_contains_user_certs=True))]),
    ):
        yield f"deep: {title}", number, [ROOT], chain, {"crl_files": given, "crl_chain": True}
    both = {"crl_files": [revoked(MIDDLE), revoked(ROOT)], "crl_chain": True}
    yield "deep: below a trusted one whose issuer is not there", 8, [MIDDLE], chain, both
    silent = made("silent", ROOT, (ISSUER[0], usage("key_cert_sign")))
    yield "of who may sign none", 35, [ROOT], [made("server", silent), silent], {"crl_files": [revoked(silent)]}
    pointing = x509.CRLDistributionPoints([x509.DistributionPoint(POINT, None, None, None)])
    server = made("server", MIDDLE, (*PEER, pointing))
    yield "of its point", 0, [ROOT], [server, MIDDLE], {"crl_files": [revoked(MIDDLE, more=scope(full_name=POINT))]}
    yield "of no point", 0, [ROOT], [server, MIDDLE], {"crl_files": [revoked(MIDDLE)]}
    yield "of who is trusted itself", 35, [SHORT], [SHORT], {"crl_files": [revoked(MIDDLE)]}


def network(text: str) -> x509.IPAddress:
    """Addresses, or one."""
    return x509.IPAddress(ipaddress.ip_network(text) if "/" in text else ipaddress.ip_address(text))


def mail(text: str) -> x509.RFC822Name:
    """An address of mail, or what stands for several."""
    return x509.RFC822Name(text)


def place(text: str) -> x509.UniformResourceIdentifier:
    """A URI, or a host of some."""
    return x509.UniformResourceIdentifier(text)


def names() -> Iterator[Row]:
    """Which names an issuer may give: permitted, excluded, and the names given besides the host's."""
    dns, number_ = x509.DNSName, x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))

    def directory(text: str) -> x509.DirectoryName:
        return x509.DirectoryName(name(text))

    rows: tuple[tuple[int, list[Any] | None, list[Any] | None, list[Any]], ...] = (
        (0, [dns("example")], None, []),
        (0, [dns(".example")], None, []),
        (0, [dns("EXAMPLE")], None, []),
        (0, [dns("no"), dns("example")], None, []),
        (47, [dns("no")], None, []),
        (47, [dns("acs.example")], None, []),
        (47, [dns(".pacs.example")], None, []),
        (48, None, [dns("example")], []),
        (48, None, [dns("")], []),
        (48, [dns("example")], [dns("pacs.example")], []),
        (0, None, [dns("no")], []),
        (0, [network("10.0.0.0/8")], None, []),
        (0, [network("10.0.0.0/8")], None, [network("10.1.2.3")]),
        (47, [network("10.0.0.0/8")], None, [network("11.1.2.3")]),
        (47, [network("10.0.0.0/8")], None, [network("::1")]),
        (48, None, [network("0.0.0.0/0")], [network("10.1.2.3")]),
        (0, [directory("SERVER")], None, []),
        (47, [directory("no")], None, []),
        (48, None, [directory("server")], []),
        (0, [mail("a.example")], None, [mail("x@a.example")]),
        (47, [mail("a.example")], None, [mail("x@b.a.example")]),
        (0, [mail(".a.example")], None, [mail("x@b.a.example")]),
        (47, [mail(".a.example")], None, [mail("x@a.example")]),
        (0, [mail("x@a.example")], None, [mail("x@A.example")]),
        (47, [mail("y@a.example")], None, [mail("x@a.example")]),
        (0, [place("a.example")], None, [place("http://a.example:80/x")]),
        (47, [place("a.example")], None, [place("http://u@a.example/x")]),
        (47, [place("a.example")], None, [place("http://b.a.example/x")]),
        (0, [place(".a.example")], None, [place("http://b.a.example")]),
        (53, [place("a.example")], None, [place("urn:x")]),
        (53, [place("a.example")], None, [place("a.example/x")]),
        (51, [number_], None, [number_]),
        (0, [number_], None, []),
    )
    for number, permitted, excluded, given in rows:
        middle = issuing("middle", ROOT, more=[x509.NameConstraints(permitted, excluded)])
        server = made("server", middle, (*NAMELESS, x509.SubjectAlternativeName([x509.DNSName(HOST), *given])))
        yield f"{permitted} {excluded} {given}", number, [ROOT], [server, middle], {}
    for count, number in ((1021, 0), (1022, 1)):  # with its subject and the host's: 1 << 20 comparisons
        middle = issuing("middle", ROOT, more=[x509.NameConstraints(None, [dns(f"x{n}") for n in range(1025)])])
        given = [dns(f"y{n}") for n in range(count)]
        server = made("server", middle, (*NAMELESS, x509.SubjectAlternativeName([x509.DNSName(HOST), *given])))
        yield f"{count} names", number, [ROOT], [server, middle], {}
    forbidding = [x509.NameConstraints([dns("no")], None)]
    root, renewed = issuing("root", more=forbidding), issuing("root", ROOT, of="renewed", more=forbidding)
    yield "of the root", 47, [root], [made("server", root)], {}
    yield "of who renews itself", 47, [ROOT], [made("server", renewed), renewed], {}
    root = issuing("root", more=[x509.NameConstraints(None, [directory("root")])])
    renewed = issuing("root", root, of="renewed")
    yield "the name of who renews itself", 0, [root], [made("server", renewed), renewed], {}
    of_mail = [x509.NameConstraints([mail("a.example")], None)]
    middle = issuing("middle", ROOT, more=of_mail)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "x@b.example")])
    yield "an address in the subject", 47, [ROOT], [made("server", middle, subject=subject), middle], {}
    for bound in ("800101", "810105"):  # minimum 1, maximum 5
        base = "8207" + b"example".hex()
        middle = issuing("middle", ROOT, critical=[other("2.5.29.30", f"3010a00e300c{base}{bound}")])
        yield f"bounded by {bound}", 49, [ROOT], [made("server", middle), middle], {}


class Compared(unittest.TestCase):
    """The same chain by OpenSSL, which verifies as ever, and by this library, which asks the hook."""

    def check(self, rows: Iterator[Row]) -> None:
        count = 0
        for title, number, trusted, shown, given in rows:
            with self.subTest(title=title):
                count += 1
                host, settings = given.pop("host", HOST), {**given, "ca_data": b"".join(each.pem for each in trusted)}
                chain, private = [each.der for each in shown], shown[0].key
                self.assertEqual(self.by_openssl(settings, chain, private, host), self.expected(number))
                self.assertEqual(self.by_hook(settings, chain, private, host), number)
                settings["verify_by_hook"] = True
                code = self.outcome(settings, chain, private, host)
                self.assertEqual(code, of_verification(number) if number else ErrorCode.SUCCESS)
        self.assertGreater(count, 3)

    @staticmethod
    def expected(number: int) -> int:
        """OpenSSL's number; 24 was another before OpenSSL 3."""
        return 24 if number == Fault.NO_CA and ssl.OPENSSL_VERSION_INFO < (3,) else number

    def by_openssl(self, settings: dict[str, Any], chain: Sequence[bytes], private: Any, host: str) -> int:
        try:
            link = judged(TLSContextSettings(**settings), chain, private, None, host)
        except ssl.SSLCertVerificationError as error:
            return error.verify_code
        except LDicomSecurityError as error:  # this library counts the depth itself
            self.assertEqual(error.code, ErrorCode.X509_CERT_CHAIN_TOO_LONG)
            return Fault.TOO_LONG
        self.assertTrue(link.is_verified)
        return 0

    def by_hook(self, settings: dict[str, Any], chain: Sequence[bytes], private: Any, host: str) -> int:
        """The first fault that the hook is told of; accepting all of them verifies nothing."""
        told: list[int] = []

        def verify(ok: bool, certificate: str, error: int, text: str) -> bool:
            self.assertEqual(ok, not error)
            self.assertEqual(text == "ok", ok)
            self.assertIn("Subject: ", certificate)
            told.append(error)
            return True

        link = judged(TLSContextSettings(**settings, verify_by_hook=True), chain, private, verify, host)
        self.assertEqual(link.is_verified, not any(told))
        return next(filter(None, told), 0)

    def outcome(self, settings: dict[str, Any], chain: Sequence[bytes], private: Any, host: str) -> ErrorCode:
        """What comes of it without a hook."""
        try:
            self.assertTrue(judged(TLSContextSettings(**settings), chain, private, None, host).is_verified)
        except LDicomSecurityError as error:
            return error.code
        return ErrorCode.SUCCESS

    def test_ways(self) -> None:
        self.check(good_and_bad_ways())

    def test_crossed(self) -> None:
        self.check(crossed())

    def test_issuers(self) -> None:
        self.check(issuers())

    def test_purposes(self) -> None:
        self.check(purposes())

    def test_dates_and_strength(self) -> None:
        self.check(dates_and_strength())

    def test_lists(self) -> None:
        self.check(lists())

    def test_names(self) -> None:
        self.check(names())


class Apart(unittest.TestCase):
    """Where this library is stricter than OpenSSL, or chooses better; and what else it does with what it finds."""

    def told(self, trusted: Sequence[Made], shown: Sequence[Made], **given: Any) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []

        def verify(ok: bool, certificate: str, error: int, text: str) -> bool:
            found.append((certificate.splitlines()[0].removeprefix("Subject: CN="), error))
            return True

        settings = TLSContextSettings(ca_data=b"".join(each.pem for each in trusted), verify_by_hook=True, **given)
        judged(settings, [each.der for each in shown], shown[0].key, verify)
        return found

    def refused(self, code: ErrorCode, shown: Sequence[Made], **given: Any) -> str:
        settings = TLSContextSettings(ca_data=ROOT.pem, **given)
        with self.assertRaises(LDicomSecurityError) as caught:
            judged(settings, [each.der for each in shown], shown[0].key, lambda *_: True)
        self.assertEqual(caught.exception.code, code)
        return str(caught.exception)

    def test_each_fault_is_told(self) -> None:
        """Who accepts one number has not accepted another."""
        over = issuing("over", ROOT, 0, days=OLD, more=[x509.ExtendedKeyUsage([CLIENT])])
        server = made("server", over, NAMELESS, days=OLD)
        expected = [("root", 0), ("over", 26), ("over", 10), ("server", 62), ("server", 23), ("server", 10)]
        lists = [revoked(over, [server])]
        self.assertEqual(self.told([ROOT], [server, over], crl_files=lists), expected)

    def test_who_may_not_sign_is_no_issuer_and_has_signed(self) -> None:
        middle = made("middle", ROOT, (ISSUER[0], usage("crl_sign")))
        expected = [("root", 0), ("middle", 79), ("middle", 32), ("server", 0)]
        self.assertEqual(self.told([ROOT], [made("server", middle), middle]), expected)

    def test_accepting_one_number_accepts_no_other(self) -> None:
        server = made("server", issuing("stranger"), days=OLD)
        settings = TLSContextSettings(ca_data=ROOT.pem, verify_by_hook=True)
        with self.assertRaises(LDicomSecurityError) as caught:
            judged(settings, [server.der], server.key, lambda ok, _text, error, _words: ok or error == Fault.EXPIRED)
        self.assertEqual(caught.exception.code, ErrorCode.X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)

    def test_who_has_signed_goes_before_who_has_the_name_only(self) -> None:
        mimic, real = issuing("root", of="mimic", links=False), issuing("root", links=False)
        server = made("server", real, links=False)
        for trusted in ([mimic, real], [real, mimic]):
            self.assertEqual(self.told(trusted, [server]), [("root", 0), ("server", 0)])

    def test_a_list_of_the_issuer_s_hand_goes_before_another(self) -> None:
        mine, forged = revoked(MIDDLE, [SHORT]), revoked(MIDDLE, signer=ROOT, days=(0, 30))
        for lists in ([mine, forged], [forged, mine]):
            self.assertIn(("server", 23), self.told([ROOT], [SHORT, MIDDLE], crl_files=lists))

    def test_of_two_lists_of_one_second_the_worse_counts(self) -> None:
        plain, worse = revoked(MIDDLE), revoked(MIDDLE, [SHORT])
        for lists in ([plain, worse], [worse, plain]):
            self.assertIn(("server", 23), self.told([ROOT], [SHORT, MIDDLE], crl_files=lists))

    def test_a_list_that_adds_to_another_is_none(self) -> None:
        added = revoked(MIDDLE, more=[(x509.CRLNumber(2), False), (x509.DeltaCRLIndicator(1), True)])
        self.assertIn(("server", 3), self.told([ROOT], [SHORT, MIDDLE], crl_files=[added]))

    def test_the_profile_s_own_bounds_are_nobody_s_choice(self) -> None:
        weak, sha1 = made("weak server", ROOT), signed_with("sha1", made("server", ROOT), ROOT)
        for shown in (weak, sha1):
            self.refused(ErrorCode.TLS_INSUFFICIENT_SECURITY, [shown], verify_by_hook=True)

    def test_a_loop_of_issuers_ends(self) -> None:
        """Each has signed the other; and a hundred of one name are tried, and no more than may stand between."""
        one, two = issuing("one", issuing("two")), issuing("two", issuing("one"))
        self.assertEqual(self.told([ROOT], [made("server", one), one, two])[0], ("two", 20))
        many = [issuing("many", of="many") for _each in range(60)]
        crowd = [issuing(f"c{place}", issuing(f"c{place + 1}")) for place in range(30)]
        self.assertEqual(self.told([ROOT], [made("server", many[0]), *many])[0], ("many", 19))
        found = self.told([ROOT], [made("server", crowd[0]), *crowd])
        self.assertEqual((len(found), found[0][1]), (11, 22))


class Odd(unittest.TestCase):
    """Certificates that OpenSSL takes, and `cryptography` does not when the odd part is asked for."""

    def taken(self) -> Iterator[tuple[str, bytes, Any]]:
        """Those that a server of OpenSSL shows as its own."""
        twice = made("server", ROOT, (*PEER, UNKNOWN, other("1.2.3.5")))
        yield "an extension twice", changed(twice, lambda tbs: tbs.replace(b"\x2a\3\5", b"\x2a\3\4"), ROOT), twice.key
        for title, data in (
            ("a name of a kind that nobody uses", "3004a3023000"),
            ("a name that is no text", "30058203fffe41"),
            ("an address of three bytes", "300587030a0b0c"),
        ):
            server = made("server", ROOT, (*NAMELESS, other("2.5.29.17", data)))
            yield title, server.der, server.key
        plain = made("server", ROOT)
        version = changed(plain, lambda tbs: tbs.replace(b"\xa0\3\2\1\2", b"\xa0\3\2\1\7"), ROOT)
        yield "a version that is none", version, plain.key

    def others(self) -> Iterator[tuple[str, bytes]]:
        """Those that it shows only among the issuers."""
        for oid, data in (
            ("2.5.29.17", "ff00"),
            ("2.5.29.15", "0400"),
            ("2.5.29.37", "3003040100"),
            ("2.5.29.31", "3003020100"),
            ("2.5.29.30", "30"),
        ):
            yield f"extension {oid} is {data}", made("server", ROOT, (PEER[0], other(oid, data))).der

    def refused(self, chain: Sequence[bytes], private: Any, **given: Any) -> None:
        settings = TLSContextSettings(ca_data=ROOT.pem, **given)
        with self.assertRaises(LDicomSecurityError) as caught:
            judged(settings, chain, private, lambda *_: True)
        self.assertEqual(caught.exception.code, ErrorCode.TLS_BAD_CERTIFICATE)
        self.assertIn("cannot be decoded", str(caught.exception))

    def test_are_refused_whoever_verifies(self) -> None:
        for title, data, private in self.taken():
            for given in ({"verify_by_hook": True}, {"verify_mode": VerifyMode.NONE}, {"check_name": False}):
                with self.subTest(title=title, given=given):
                    self.refused([data], private, **given)

    def test_among_the_issuers_too(self) -> None:
        server = made("server", ROOT)
        for title, data in (*(each[:2] for each in self.taken()), *self.others()):
            with self.subTest(title=title):
                self.refused([server.der, data], server.key, verify_by_hook=True)

    def test_a_trusted_one_is_no_issuer(self) -> None:
        root = issuing("root", extensions=(*ISSUER, UNKNOWN, other("1.2.3.5")))
        data = changed(root, lambda tbs: tbs.replace(b"\x2a\3\5", b"\x2a\3\4"))
        settings = TLSContextSettings(ca_data=data, verify_by_hook=True)
        server = made("server", ROOT)
        with self.assertRaises(LDicomSecurityError) as caught:
            judged(settings, [server.der], server.key, None)
        self.assertEqual(caught.exception.code, ErrorCode.X509_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)

    def test_a_list_is_no_list(self) -> None:
        point = other("2.5.29.28", "3003810100")
        settings = TLSContextSettings(
            ca_data=ROOT.pem, verify_by_hook=True, crl_files=[revoked(ROOT, more=[(point, True)])]
        )
        server = made("server", ROOT)
        with self.assertRaises(LDicomSecurityError) as caught:
            judged(settings, [server.der], server.key, None)
        self.assertEqual(caught.exception.code, ErrorCode.X509_APPLICATION_VERIFICATION)

    def test_a_file_with_one(self) -> None:
        plain = made("server", ROOT)
        version = changed(plain, lambda tbs: tbs.replace(b"\xa0\3\2\1\2", b"\xa0\3\2\1\7"), ROOT)
        with self.assertRaises(LDicomSecurityError) as caught:
            judged(TLSContextSettings(ca_data=version), [plain.der], plain.key, None)
        self.assertEqual(caught.exception.code, ErrorCode.TLS_BAD_CA_FILE)


if __name__ == "__main__":
    unittest.main()
