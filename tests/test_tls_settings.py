"""What TLS can be told, and what of it is refused: settings, profiles, suites, certificates and keys."""

from __future__ import annotations

import errno
import inspect
import os
import ssl
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

import ldicomnet
from ldicomnet import (
    AuthenticationAlgorithm,
    CertificateTitles,
    CertificateType,
    CipherSuite,
    EncryptionAlgorithm,
    ErrorCode,
    IntegrityAlgorithm,
    KeyExchangeAlgorithm,
    LDicomError,
    LDicomNet,
    LDicomSecurityError,
    LDicomUsageError,
    SecureLink,
    SecureMode,
    TLSContextSettings,
    TlsMethod,
    TlsOptions,
    TlsProfile,
    VerifyMode,
)
from ldicomnet.tls import certificates as loading
from ldicomnet.tls.context import Plan, ffdhe2048
from ldicomnet.tls.profiles import PROFILES, TLS_1_0, TLS_1_2, TLS_1_3
from ldicomnet.tls.reasons import of_verification, translate
from ldicomnet.tls.suites import BY_NUMBER, SUITES
from ldicomnet.tls.texts import describe, hash_of, names_of

from . import chains
from .certificates import PASSWORD, certificate, key, revoked

_C = CipherSuite
PARAMETERS = {
    "set_client_certificate_tls": ["certificate", "certificate_type", "key"],
    "set_server_certificate_tls": ["certificate", "certificate_type", "key"],
    "set_cipher_to_index_tls": ["index", "cipher"],
    "get_cipher_from_index_tls": ["index"],
    "get_ciphersuite_tls": [],
    "get_encryption_algorithm_tls": ["cipher"],
    "get_authentication_algorithm_tls": ["cipher"],
    "get_integrity_algorithm_tls": ["cipher"],
    "get_key_exchange_algorithm_tls": ["cipher"],
    "get_encrypt_key_length_tls": ["cipher"],
    "get_mutual_auth_key_length_tls": ["cipher"],
    "ctx_set_options": ["options"],
    "get_ctx": [],
    "set_ssl_method_type": ["method"],
    "get_error_secure": [],
    "on_secure_link_ready": ["error"],
    "on_private_key_password": ["encryption"],
    "on_verify": ["ok", "certificate", "error", "error_text"],
    "on_create_ctx": ["context"],
}


def tls(settings: TLSContextSettings | None = None, kind: type[LDicomNet] = LDicomNet) -> LDicomNet:
    """An object for TLS."""
    net = kind(None, SecureMode.TLS, defer_init=True)
    net.initialize(None, SecureMode.TLS, settings)
    return net


class Members(unittest.TestCase):
    """Names, parameters and values of the original's members."""

    def test_parameters(self) -> None:
        for name, parameters in PARAMETERS.items():
            with self.subTest(name=name):
                method = getattr(LDicomNet, name)
                self.assertEqual(list(inspect.signature(method).parameters)[1:], parameters)
                self.assertTrue(method.__doc__)
        first = list(inspect.signature(TLSContextSettings).parameters)[:6]
        self.assertEqual(first, ["ca_file", "verify_mode", "verify_depth", "options", "method", "profile"])

    def test_what_suites_are_made_of(self) -> None:
        net = LDicomNet()
        rows = (
            (_C.NONE, 0, 0, 0, 0, 0),
            (_C.DHE_RSA_DES_CBC_SHA, 1, 0x20, 0x10, 0x40, 56),
            (_C.DHE_RSA_3DES_EDE_CBC_SHA, 2, 0x20, 0x10, 0x40, 168),
            (_C.DHE_RSA_AES256_SHA, 7, 0x20, 0x10, 0x40, 256),
            (_C.RSA_AES_128_CBC_SHA, 7, 0x20, 0x10, 0x41, 128),
            (_C.RSA_3DES_EDE_CBC_SHA, 2, 0x20, 0x10, 0x41, 168),
            (_C.ECDHE_RSA_AES_256_GCM_SHA384, 7, 0x20, IntegrityAlgorithm.SHA384, 0x40, 256),
            (_C.AES_128_GCM_SHA256, 7, AuthenticationAlgorithm.ANY, IntegrityAlgorithm.SHA256,
             KeyExchangeAlgorithm.ECDHE, 128),
            (_C.RSA_NULL_SHA, EncryptionAlgorithm.NONE, 0x20, 0x10, 0x41, 0),
        )  # fmt: skip
        for number, *expected in rows:
            with self.subTest(number=number.name):
                got = [
                    net.get_encryption_algorithm_tls(number),
                    net.get_authentication_algorithm_tls(number),
                    net.get_integrity_algorithm_tls(number),
                    net.get_key_exchange_algorithm_tls(number),
                    net.get_encrypt_key_length_tls(number),
                ]
                self.assertEqual(got, expected)
        self.assertEqual(net.get_mutual_auth_key_length_tls(_C.ECDHE_RSA_AES_256_GCM_SHA384), 2048)
        self.assertEqual(net.get_mutual_auth_key_length_tls(_C.NONE), 0)
        for wrong in (0x7777, "AES", None):
            with self.assertRaises(LDicomUsageError):
                net.get_encrypt_key_length_tls(wrong)  # type: ignore[arg-type]

    def test_the_list_of_suites(self) -> None:
        net = tls()
        self.assertEqual([net.get_cipher_from_index_tls(index) for index in range(16)], [_C.NONE] * 16)
        net.set_cipher_to_index_tls(0, _C.ECDHE_RSA_AES_128_GCM_SHA256)
        net.set_cipher_to_index_tls(15, 0x1A)
        self.assertEqual(net.get_cipher_from_index_tls(0), _C.ECDHE_RSA_AES_128_GCM_SHA256)
        self.assertIs(net.get_cipher_from_index_tls(15), _C.ECDHE_RSA_AES_256_GCM_SHA384)
        names = [each["name"] for each in net.get_ctx().get_ciphers() if "TLS_" not in each["name"]]
        self.assertEqual(names, ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"])
        self.assertEqual(net.get_ctx().maximum_version, ssl.TLSVersion.TLSv1_2)
        net.set_cipher_to_index_tls(15, _C.NONE)
        self.assertEqual(net.get_cipher_from_index_tls(15), _C.NONE)
        for index in (-1, 16, "0"):
            with self.subTest(index=index), self.assertRaises(LDicomUsageError):
                net.set_cipher_to_index_tls(index, _C.NONE)  # type: ignore[arg-type]
        with self.assertRaises(LDicomUsageError):
            net.set_cipher_to_index_tls(1, 0x7777)

    def test_the_original_s_whole_list_keeps_to_the_profile(self) -> None:
        """Its server sample sets all nine; what protects too little is left out, and the log says so."""
        for allow_legacy in (False, True):
            net = tls(TLSContextSettings(allow_legacy=allow_legacy))
            for index, number in enumerate(range(0x12, 0x1B)):
                net.set_cipher_to_index_tls(index, number)
            if allow_legacy:
                names = {each["name"] for each in net.get_ctx().get_ciphers()}
                self.assertIn("AES128-SHA", names)
                continue
            with self.assertLogs("ldicomnet.tls", "WARNING") as logs:
                names = {each["name"] for each in net.get_ctx().get_ciphers()}
            self.assertIn("RSA_3DES_EDE_CBC_SHA", logs.output[0])
            self.assertIn("ECDHE-RSA-AES256-GCM-SHA384", names)
            self.assertNotIn("AES128-SHA", names)

    def test_before_there_is_a_connection(self) -> None:
        net = tls()
        self.assertEqual(net.get_ciphersuite_tls(), _C.NONE)
        self.assertEqual(net.get_error_secure(), ErrorCode.SUCCESS)
        self.assertIsNone(net.get_secure_link())

    def test_another_mode(self) -> None:
        net = LDicomNet()
        for call in (
            lambda: net.set_server_certificate_tls(certificate("server")),
            lambda: net.set_client_certificate_tls(certificate("server")),
            net.reload_security,
            net.get_ctx,
        ):
            with self.assertRaises(LDicomSecurityError) as caught:
                call()
            self.assertEqual(caught.exception.code, ErrorCode.BAD_SECURE_MODE)
        net.raise_errors = False
        self.assertEqual(net.reload_security(), ErrorCode.BAD_SECURE_MODE)

    def test_deferred(self) -> None:
        net = LDicomNet(None, SecureMode.TLS, defer_init=True)
        with self.assertRaises(LDicomUsageError) as caught:
            net.listen("127.0.0.1")
        self.assertEqual(caught.exception.code, ErrorCode.NET_NOT_INITIALISED)
        net.initialize(None, SecureMode.TLS)
        with self.assertRaises(LDicomSecurityError) as lacking:
            net.listen("127.0.0.1")
        self.assertEqual(lacking.exception.code, ErrorCode.CERTIFICATE_LOAD)
        net.initialize(None, SecureMode.NONE)
        net.listen("127.0.0.1")
        net.close()

    def test_a_program_without_tls_imports_none_of_it(self) -> None:
        program = (
            "import sys, ldicomnet\n"
            "net = ldicomnet.LDicomNet(); net.listen('127.0.0.1'); net.close()\n"
            "print([name for name in sys.modules if name in ('ssl', 'hashlib', 'cryptography') or '.tls.' in name])"
        )
        root = Path(ldicomnet.__file__).parent.parent
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60, check=True
        )
        self.assertEqual(done.stdout.strip(), "['ldicomnet.tls.members']")


class Settings(unittest.TestCase):
    """What settings are refused, and with which error."""

    def refused(self, code: ErrorCode, **given: Any) -> str:
        with self.assertRaises(LDicomSecurityError) as caught:
            net = tls(TLSContextSettings(**given))
            net.set_server_certificate_tls(certificate("server_rsa"), key=key("server_rsa"))
            net.listen("127.0.0.1")
            net.close()
        self.assertEqual(caught.exception.code, code)
        return str(caught.exception)

    def test_numbers(self) -> None:
        for code, given in (
            ("CONTEXT", {"profile": 77}),
            ("CONTEXT", {"profile": "BCP"}),
            ("CONTEXT", {"method": 9}),
            ("CONTEXT", {"method": TlsMethod.SSLV2}),
            ("CONTEXT", {"method": TlsMethod.SSLV3}),
            ("CONTEXT", {"method": TlsMethod.TLSV1}),
            ("CONTEXT", {"minimum_version": 0x0300}),
            ("CONTEXT", {"minimum_version": TLS_1_0, "allow_legacy": True}),
            ("OPTIONS", {"options": TlsOptions.NO_TLSV1_2 | TlsOptions.NO_TLSV1_3}),
            ("OPTIONS", {"options": 0x40000}),
            ("OPTIONS", {"options": "NO_SSLv2"}),
            ("VERIFY_MODE", {"verify_mode": 8}),
            ("VERIFY_MODE", {"verify_mode": None}),
            ("VERIFY_MODE", {"verify_mode": 2}),  # asks for a certificate that nobody verifies
            ("VERIFY_MODE", {"verify_mode": 4}),
            ("VERIFY_DEPTH", {"verify_depth": -1}),
            ("VERIFY_DEPTH", {"verify_depth": 101}),
            ("VERIFY_MODE", {"verify_by_hook": True, "verify_mode": 0}),
            ("VERIFY_MODE", {"verify_by_hook": True}),  # a server's: OpenSSL verifies what it asks a client for
            ("CA_FILE", {"verify_mode": 3}),
            ("CA_FILE", {"verify_mode": 7}),
            ("CA_FILE", {"crl_files": [revoked()]}),  # of whom nobody is asked for a certificate
            ("CA_FILE", {"ca_file": "/nowhere"}),
            ("CA_FILE", {"ca_file": __file__}),
            ("CA_FILE", {"ca_data": b"no certificate"}),
            ("CA_FILE", {"ca_path": "/nowhere"}),
            ("CA_FILE", {"ca_path": str(Path(__file__).parent)}),
            ("CA_FILE", {"ca_file": certificate("ca"), "crl_files": [certificate("ca")]}),
            ("CONTEXT", {"curve": "P-nothing"}),
            ("CONTEXT", {"profile": TlsProfile.EXTENDED_BCP_195, "dh_file": b"none"}),
        ):
            with self.subTest(given=given):
                self.refused(ErrorCode[f"TLS_BAD_{code}"], **given)

    def test_a_client_needs_no_trust_of_its_own(self) -> None:
        """It has the system's; a server has none, and would verify nobody."""
        for given in ({"verify_mode": 3}, {"crl_files": [revoked()]}, {"verify_by_hook": True}):
            with self.subTest(given=given):
                net = tls(TLSContextSettings(**given))  # type: ignore[arg-type]
                self.assertIsInstance(net.get_ctx(), ssl.SSLContext)
                net.set_server_certificate_tls(certificate("server"), key=key("server"))
                with self.assertRaises(LDicomSecurityError):
                    net.listen("127.0.0.1")
        with self.assertRaises(LDicomSecurityError) as caught:
            tls(TLSContextSettings(verify_mode=VerifyMode.NONE, verify_by_hook=True))
        self.assertIn("NONE refuses nobody", str(caught.exception))

    def test_settings_that_are_none(self) -> None:
        net = LDicomNet(None, SecureMode.TLS, defer_init=True)
        with self.assertRaises(LDicomUsageError):
            net.initialize(None, SecureMode.TLS, {"ca_file": "x"})
        for pins in ({"A": "no fingerprint"}, {"A": 7}):
            with self.assertRaises(LDicomUsageError):
                net.initialize(None, SecureMode.TLS, TLSContextSettings(pins=pins))  # type: ignore[dict-item]

    def test_weak_profiles_are_asked_for_expressly(self) -> None:
        for profile in (TlsProfile.NULL, TlsProfile.BASIC, TlsProfile.AES):
            self.assertIn("allow_legacy", self.refused(ErrorCode.TLS_BAD_CONTEXT, profile=profile))
        with self.assertLogs("ldicomnet.tls", "WARNING"):
            tls(TLSContextSettings(profile=TlsProfile.AES, allow_legacy=True))

    def test_versions(self) -> None:
        for given, expected in (
            ({}, (TLS_1_2, TLS_1_3)),
            ({"minimum_version": TLS_1_3}, (TLS_1_3, TLS_1_3)),
            ({"options": TlsOptions.NO_TLSV1_3}, (TLS_1_2, TLS_1_2)),
            ({"options": TlsOptions.ALL | TlsOptions.NO_SSLV2 | TlsOptions.NO_COMPRESSION}, (TLS_1_2, TLS_1_3)),
            ({"profile": TlsProfile.EXTENDED_BCP_195}, (TLS_1_2, TLS_1_2)),
            ({"profile": TlsProfile.BCP_195_RFC_7525, "minimum_version": TLS_1_0, "allow_legacy": True},
             (TLS_1_0, TLS_1_3)),
            ({"profile": TlsProfile.AES, "allow_legacy": True, "method": TlsMethod.TLSV1}, (TLS_1_0, TLS_1_0)),
        ):  # fmt: skip
            with self.subTest(given=given):
                plan = Plan(TLSContextSettings(**given), [])
                self.assertEqual((plan.oldest, plan.newest), expected)

    def test_methods_and_options_can_be_set_later(self) -> None:
        net = tls()
        net.ctx_set_options(TlsOptions.NO_TLSV1_3)
        net.set_ssl_method_type(TlsMethod.SSLV23)
        self.assertEqual(net.get_ctx().maximum_version, ssl.TLSVersion.TLSv1_2)
        self.assertTrue(net.get_ctx().options & ssl.OP_NO_TLSv1_3)
        net.ctx_set_options(TlsOptions.NO_TLSV1_2)
        self.assertEqual(net.get_ctx().minimum_version, ssl.TLSVersion.TLSv1_3)

    def test_what_a_handshake_agreed_on_is_looked_at_again(self) -> None:
        plan = Plan(TLSContextSettings(), [])
        plan.check("TLSv1.3", "TLS_AES_128_GCM_SHA256")
        plan.check("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
        for version, cipher, code in (
            ("TLSv1.1", "ECDHE-RSA-AES128-GCM-SHA256", ErrorCode.TLS_PROTOCOL_VERSION),
            ("TLSv1.2", "AES128-SHA", ErrorCode.TLS_INSUFFICIENT_SECURITY),
            ("TLSv1.2", "NULL-SHA", ErrorCode.TLS_INSUFFICIENT_SECURITY),
        ):
            with self.assertRaises(LDicomSecurityError) as caught:
                plan.check(version, cipher)
            self.assertEqual(caught.exception.code, code)

    def test_keys(self) -> None:
        for name, profile, is_good in (
            ("server", TlsProfile.MODIFIED_BCP_195, True),
            ("server_rsa", TlsProfile.MODIFIED_BCP_195, True),
            ("small", TlsProfile.BCP_195, True),
            ("small", TlsProfile.MODIFIED_BCP_195, False),
            ("small", TlsProfile.EXTENDED_BCP_195, False),
            ("weak", TlsProfile.BCP_195, False),
        ):
            with self.subTest(name=name, profile=profile.name):
                made = x509.load_pem_x509_certificate(Path(certificate(name)).read_bytes())
                plan = Plan(TLSContextSettings(profile=profile), [])
                if is_good:
                    plan.check_key(made, "the peer's")
                else:
                    with self.assertRaises(LDicomSecurityError) as caught:
                        plan.check_key(made, "the peer's")
                    self.assertEqual(caught.exception.code, ErrorCode.TLS_INSUFFICIENT_SECURITY)


class Tables(unittest.TestCase):
    """The tables against each other, and against OpenSSL."""

    def test_suites(self) -> None:
        self.assertEqual(len(BY_NUMBER), len(SUITES))
        self.assertEqual({suite.number for suite in SUITES}, set(CipherSuite) - {CipherSuite.NONE})
        originals = [suite for suite in SUITES if 0x12 <= suite.number <= 0x1A]
        self.assertEqual(len(originals), 9)
        for suite in SUITES:
            if suite not in originals:
                self.assertEqual(suite.number, suite.iana)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
        codes = {each["name"]: each["id"] & 0xFFFF for each in context.get_ciphers()}
        bits = {each["name"]: each["strength_bits"] for each in context.get_ciphers()}
        known = [suite for suite in SUITES if suite.name in codes]
        self.assertGreater(len(known), 15)
        for suite in known:
            self.assertEqual((suite.name, suite.iana), (suite.name, codes[suite.name]))
            self.assertEqual((suite.name, suite.bits), (suite.name, bits[suite.name]))

    def test_profiles(self) -> None:
        self.assertEqual(set(PROFILES), set(TlsProfile))
        for profile in PROFILES.values():
            for number in (*profile.suites, *profile.optional):
                self.assertIn(number, BY_NUMBER)
            has_13 = any(BY_NUMBER[number].is_tls13 for number in profile.suites)
            self.assertEqual(has_13, profile.newest == TLS_1_3, profile.number.name)
        # PS3.15 B.12 and B.13 forbid what is not ephemeral and authenticated encryption.
        for number in (TlsProfile.BCP_195, TlsProfile.MODIFIED_BCP_195):
            for suite in (BY_NUMBER[each] for each in (*PROFILES[number].suites, *PROFILES[number].optional)):
                self.assertNotEqual(suite.key_exchange, KeyExchangeAlgorithm.RSA)
                self.assertNotEqual(suite.integrity, IntegrityAlgorithm.SHA1)

    def test_reasons(self) -> None:
        for number, code in (
            (2, 160), (10, 168), (18, 176), (20, 178), (23, 181), (32, 190), (50, 191), (62, 191), (66, 147),
            (79, 182),
        ):  # fmt: skip
            self.assertEqual(of_verification(number), code)
        for reason, code in (
            ("TLSV1_ALERT_UNKNOWN_CA", ErrorCode.TLS_UNKNOWN_CA),
            ("SSLV3_ALERT_CERTIFICATE_REVOKED", ErrorCode.TLS_CERTIFICATE_REVOKED),
            ("TLSV13_ALERT_CERTIFICATE_REQUIRED", ErrorCode.TLS_HANDSHAKE_FAILURE),
            ("TLSV1_ALERT_ACCESS_DENIED", ErrorCode.TLS_ACCESS_DENIED),
            ("TLSV1_ALERT_NO_RENEGOTIATION", ErrorCode.TLS_NO_RENEGOTIATION),
            ("TLSV1_UNRECOGNIZED_NAME", ErrorCode.TLS_HANDSHAKE_FAILURE),
            ("WRONG_VERSION_NUMBER", ErrorCode.TLS_UNEXPECTED_MESSAGE),
            ("NO_SHARED_CIPHER", ErrorCode.TLS_HANDSHAKE_FAILURE),
            ("SOMETHING_NEW", ErrorCode.TLS_INTERNAL_ERROR),
        ):
            error = ssl.SSLError(1, reason)
            error.reason = reason
            self.assertEqual((reason, translate(error, "TLS").code), (reason, code))

    def test_diffie_hellman_parameters(self) -> None:
        """RFC 7919 A.1 prints the first and the last digits like this, and OpenSSL takes them."""
        der = ssl.PEM_cert_to_DER_cert(ffdhe2048().decode().replace("DH PARAMETERS", "CERTIFICATE"))
        self.assertIn(bytes.fromhex("FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695"), der)
        self.assertIn(bytes.fromhex("886B423861285C97FFFFFFFFFFFFFFFF"), der)
        self.assertEqual(len(der), 268)


class Loading(unittest.TestCase):
    """Certificates and keys: PEM and DER, files and memory, encrypted keys, and what is refused."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.asked: list[bool] = []

    def net(self, password: str = "") -> LDicomNet:
        made = tls()

        def ask(encryption: bool) -> str:
            self.asked.append(encryption)
            return password

        made.on_private_key_password = ask  # type: ignore[method-assign]
        return made

    def code(self, *arguments: Any, password: str = "") -> ErrorCode:
        """What setting a certificate comes to."""
        net = self.net(password)
        try:
            net.set_server_certificate_tls(*arguments)
            self.assertIsInstance(net.get_ctx(), ssl.SSLContext)
        except LDicomError as error:
            self.assertIsInstance(error, LDicomSecurityError)
            return error.code
        return ErrorCode.SUCCESS

    def files(self) -> dict[str, Path]:
        """The same certificate in every form."""
        made = x509.load_pem_x509_certificate(Path(certificate("server")).read_bytes())
        private = load_pem_private_key(Path(key("server")).read_bytes(), None)
        locked = BestAvailableEncryption(b"secret")
        forms = {
            "cert.pem": made.public_bytes(Encoding.PEM),
            "cert.der": made.public_bytes(Encoding.DER),
            "key.pem": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "key.der": private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
            "old.pem": private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
            "locked.pem": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked),
            "locked.der": private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, locked),
        }
        forms["both.pem"] = forms["cert.pem"] + forms["key.pem"]
        forms["key_first.pem"] = forms["key.pem"] + forms["cert.pem"]
        for name, data in forms.items():
            (self.folder / name).write_bytes(data)
        return {name: self.folder / name for name in forms}

    def test_every_form(self) -> None:
        files, der = self.files(), CertificateType.ASN1
        for arguments in (
            (files["cert.pem"], CertificateType.PEM, files["key.pem"]),
            (str(files["cert.pem"]), 1, str(files["key.der"])),
            (files["cert.der"], der, files["key.der"]),
            (files["cert.der"], 2, files["key.pem"]),
            (files["cert.pem"], 1, files["old.pem"]),
            (files["both.pem"],),
            (files["key_first.pem"],),
            (files["both.pem"].read_bytes(),),
            (files["cert.der"].read_bytes(), der, files["key.der"].read_bytes()),
        ):
            with self.subTest(arguments=[str(each)[:40] for each in arguments]):
                self.assertEqual(self.code(*arguments), ErrorCode.SUCCESS)
        self.assertEqual(self.asked, [])

    def test_encrypted_keys(self) -> None:
        files = self.files()
        for name in ("locked.pem", "locked.der"):
            for password, code in (
                ("secret", ErrorCode.SUCCESS),
                ("wrong", ErrorCode.PRIVATE_KEY_LOAD),
                ("", ErrorCode.PRIVATE_KEY_LOAD),
            ):
                with self.subTest(name=name, password=password):
                    self.asked.clear()
                    self.assertEqual(self.code(files["cert.pem"], 1, files[name], password=password), code)
                    self.assertEqual(self.asked, [False])
        self.assertEqual(self.code(certificate("locked"), 1, key("locked"), password=PASSWORD), ErrorCode.SUCCESS)

    def test_what_is_refused(self) -> None:
        files = self.files()
        (self.folder / "cut.pem").write_bytes(files["cert.pem"].read_bytes()[:200])
        for arguments, code in (
            (("/nowhere", 1, files["key.pem"]), ErrorCode.CERTIFICATE_READ),
            ((self.folder, 1, files["key.pem"]), ErrorCode.CERTIFICATE_READ),
            ((files["cert.pem"], 1, "/nowhere"), ErrorCode.PRIVATE_KEY_LOAD),
            ((files["cert.der"], 1, files["key.pem"]), ErrorCode.CERTIFICATE_LOAD),
            ((files["cert.pem"], 2, files["key.pem"]), ErrorCode.CERTIFICATE_LOAD),
            ((files["cert.pem"], 7, files["key.pem"]), ErrorCode.CERTIFICATE_LOAD),
            ((files["key.pem"], 1, files["key.pem"]), ErrorCode.CERTIFICATE_LOAD),
            ((self.folder / "cut.pem", 1, files["key.pem"]), ErrorCode.CERTIFICATE_LOAD),
            ((files["cert.pem"],), ErrorCode.PRIVATE_KEY_LOAD),
            ((files["cert.der"], 2), ErrorCode.PRIVATE_KEY_LOAD),
            ((files["cert.pem"], 1, files["cert.pem"]), ErrorCode.PRIVATE_KEY_LOAD),
            ((files["cert.pem"], 1, key("client")), ErrorCode.KEYS_MISMATCH),
        ):
            with self.subTest(arguments=[str(each)[-20:] for each in arguments]):
                self.assertEqual(self.code(*arguments), code)

    def test_a_key_is_in_no_error(self) -> None:
        """Whatever it is given as."""
        text = Path(key("server")).read_text(encoding="ascii")
        loading.read(text, ErrorCode.PRIVATE_KEY_LOAD)
        for source in (bytearray(text.encode()), text.replace("-----BEGIN", "BEGIN"), text[-80:] + "\n", 7):
            with self.assertRaises(LDicomSecurityError) as caught:
                loading.read(source, ErrorCode.PRIVATE_KEY_LOAD)  # type: ignore[arg-type]
            self.assertNotIn("MIG", str(caught.exception))
            self.assertNotIn(text[-60:-40], str(caught.exception))
            self.assertIsNone(caught.exception.__cause__)

    def test_keys_leave_no_file_behind(self) -> None:
        """Where the system has no files in memory, OpenSSL reads one that holds an encrypted key, for a moment."""
        identity = loading.load_identity(certificate("server"), 1, key("server"), lambda: None)
        seen: list[bytes] = []

        class Context:
            def load_cert_chain(self, path: str, password: str | None) -> None:
                seen.append(Path(path).read_bytes())
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password=password)
                seen.append(path.encode())

        for has_memory in (False, loading._HAS_MEMORY_FILES):
            with unittest.mock.patch.object(loading, "_HAS_MEMORY_FILES", has_memory):
                identity.load_into(Context())  # type: ignore[arg-type]
        self.assertIn(b"ENCRYPTED PRIVATE KEY", seen[0])
        self.assertFalse(Path(seen[1].decode()).exists())
        if loading._HAS_MEMORY_FILES:
            self.assertIn(b"/proc/self/fd/", seen[3])

    def test_a_key_on_the_disk_is_only_ours_and_goes_whatever_happens(self) -> None:
        """No room while it is written, a write that takes a part only, and an error of who reads it."""
        real = os.write

        def short(descriptor: int, data: bytes) -> int:
            return real(descriptor, bytes(data[:10]))

        def full(descriptor: int, data: bytes) -> int:
            real(descriptor, bytes(data[:10]))
            raise OSError(errno.ENOSPC, "No space left on device")

        data = bytes(range(100))
        for has_memory in (False, loading._HAS_MEMORY_FILES):
            with (
                unittest.mock.patch.object(loading, "_HAS_MEMORY_FILES", has_memory),
                unittest.mock.patch.object(tempfile, "tempdir", str(self.folder)),
            ):
                before = self.descriptors()
                with unittest.mock.patch.object(os, "write", short), loading.as_file(data) as path:
                    self.assertEqual(Path(path).read_bytes(), data)
                    if not has_memory and os.name == "posix":
                        self.assertEqual(Path(path).parent, self.folder)
                        self.assertEqual(Path(path).stat().st_mode & 0o777, 0o600)
                with unittest.mock.patch.object(os, "write", full), self.assertRaises(LDicomSecurityError) as caught:
                    with loading.as_file(data):
                        self.fail("it was not written")
                self.assertEqual(caught.exception.code, ErrorCode.TLS_INTERNAL_ERROR)
                self.assertIn("No space left", str(caught.exception))
                with self.assertRaises(ZeroDivisionError), loading.as_file(data):
                    raise ZeroDivisionError
                self.assertEqual(list(self.folder.iterdir()), [])
                self.assertEqual(self.descriptors(), before)

    def descriptors(self) -> int:
        """How many are open, where the system tells it."""
        folder = Path("/proc/self/fd")
        return len(list(folder.iterdir())) if folder.is_dir() else 0

    def test_what_a_certificate_says(self) -> None:
        made = x509.load_pem_x509_certificate(Path(certificate("server")).read_bytes())
        expected = {"CN:server", "DNS:localhost", "IP:127.0.0.1", "IP:::1", "DNS:acceptor", "DNS:*.star.example"}
        self.assertEqual(names_of(made), expected)
        self.assertEqual(hash_of(made), "sha256")
        text = describe(made)
        self.assertIn(f"Serial number: {made.serial_number:X}", text)
        self.assertIn("Key: EC 256 bits", text)
        until = datetime.now(UTC) + timedelta(days=824)
        self.assertIn(f"Valid to: {until:%Y-%m-%d}", text)
        forged = describe(chains.made("a\nKey usage: \u202eall\x1b[m\u00fc", links=False).certificate)
        self.assertIn("Subject: CN=a\\nKey usage: \\u202eall\\x1b[m\u00fc\n", forged)

    def test_links(self) -> None:
        der = ssl.PEM_cert_to_DER_cert(Path(certificate("client")).read_text(encoding="ascii"))
        link = SecureLink("TLSv1.3", "TLS_AES_128_GCM_SHA256", (der,), True, None, None)
        self.assertEqual((link.number, link.names), (CipherSuite.AES_128_GCM_SHA256, {"CN:client"}))
        unknown = SecureLink("TLSv1.3", "TLS_NEW", (), False, None, None)
        self.assertEqual((unknown.suite, unknown.number), (None, CipherSuite.NONE))
        self.assertEqual((unknown.certificate, unknown.subject, unknown.fingerprint), (None, "", ""))
        policy = CertificateTitles({"CN:client": "A"})
        self.assertTrue(policy(link, "A"))
        self.assertFalse(policy(link, "B"))
        self.assertFalse(policy(unknown, "A"))
        # An unverified name is just a claim; an unverified fingerprint is not.
        claimed = SecureLink("TLSv1.3", "TLS_AES_128_GCM_SHA256", (der,), False, None, None)
        self.assertFalse(policy(claimed, "A"))
        self.assertTrue(CertificateTitles({link.fingerprint: "A"})(claimed, "A"))
        for wrong in ("client", "XN:client", "ab" * 31, "g" * 64):
            with self.assertRaises(LDicomUsageError):
                CertificateTitles({wrong: "A"})

    def test_verify_modes_are_the_original_s(self) -> None:
        self.assertEqual(VerifyMode(3), VerifyMode.PEER | VerifyMode.FAIL_IF_NO_PEER_CERT)
        contexts = []
        for mode in (0, 1, 3):
            net = tls(TLSContextSettings(ca_file=certificate("ca"), verify_mode=mode))
            contexts.append(net.get_ctx().verify_mode)
            net.set_server_certificate_tls(certificate("server"), key=key("server"))
            contexts.append(net.get_ctx().verify_mode)
        none, optional, required = ssl.CERT_NONE, ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED
        self.assertEqual(contexts, [none, none, required, optional, required, required])


if __name__ == "__main__":
    unittest.main()
