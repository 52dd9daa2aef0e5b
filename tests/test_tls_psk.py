"""TLS with pre-shared keys: both roles, in memory and over TCP; wrong keys; a clear error where Python has it not."""

from __future__ import annotations

import ssl
import unittest
from typing import Any
from unittest import mock

from ldicomnet import (
    ErrorCode,
    LDicomNet,
    LDicomSecurityError,
    LDicomUsageError,
    SecureMode,
    Timeouts,
    TLSContextSettings,
)
from ldicomnet.tls.psk import PskLink

from .support import SECONDS, Ends, Recorder, accept_all, request

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
HAS_PSK = hasattr(ssl.SSLContext, "set_psk_client_callback") and getattr(ssl, "HAS_PSK", False)


class Keyed(Recorder):
    """An end with TLS."""

    def __init__(self, path: str | None = None, mode: SecureMode = SecureMode.TLS) -> None:
        super().__init__(path, mode)

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        self.note("on_secure_link_ready", error)


class Members(unittest.TestCase):
    """What can be set."""

    def test_an_older_python(self) -> None:
        """The call says so; nothing else is different."""
        net = LDicomNet(None, SecureMode.TLS)
        with mock.patch.object(ssl, "HAS_PSK", False, create=True), self.assertRaises(LDicomSecurityError) as caught:
            net.set_pre_shared_keys_tls({"me": KEY})
        self.assertEqual(caught.exception.code, ErrorCode.TLS_DLL_NOT_LOADED)
        self.assertIn("3.13", str(caught.exception))

    @unittest.skipUnless(HAS_PSK, "Python 3.13 has it")
    def test_what_is_no_key(self) -> None:
        net = LDicomNet(None, SecureMode.TLS)
        for keys in ({}, None, {"me": b"short"}, {"me": bytes(65)}, {"me": "text"}, {"": KEY}, {"\n": KEY}, {1: KEY},
                     {"x" * 129: KEY}):  # fmt: skip
            with self.subTest(keys), self.assertRaises(LDicomUsageError) as caught:
                net.set_pre_shared_keys_tls(keys)  # type: ignore[arg-type]
            self.assertNotIn("short", str(caught.exception), "an error must not show a key")
        with self.assertRaises(LDicomUsageError):
            net.set_pre_shared_keys_tls({"\udc80": KEY})

    @unittest.skipUnless(HAS_PSK, "Python 3.13 has it")
    def test_a_key_where_its_identity_belongs(self) -> None:
        """It is in no error: identities are, as they are sent openly, but only those that a key was given for."""
        net = LDicomNet(None, SecureMode.TLS)
        given: list[tuple[dict[Any, Any], Any]] = [
            ({KEY: "ct1"}, None),
            ({KEY.hex(): "ct1"}, None),
            ({"ct1": KEY}, KEY),
            ({"ct1": KEY}, KEY.hex()),
        ]
        for keys, identity in given:
            with self.subTest(keys, identity=identity), self.assertRaises(LDicomUsageError) as caught:
                net.set_pre_shared_keys_tls(keys, identity)
            for shown in (repr(KEY)[2:-1], KEY.hex()):
                self.assertNotIn(shown, str(caught.exception))
        with self.assertRaises(LDicomUsageError):
            net.set_pre_shared_keys_tls({"me": KEY}, "you")

    def test_without_tls(self) -> None:
        with self.assertRaises(LDicomSecurityError) as caught:
            LDicomNet().set_pre_shared_keys_tls({"me": KEY})
        self.assertEqual(caught.exception.code, ErrorCode.BAD_SECURE_MODE)


@unittest.skipUnless(HAS_PSK, "Python 3.13 has it")
class Psk(Ends):
    """Connections."""

    def keyed(self, keys: dict[str, bytes], identity: str | None = None) -> Keyed:
        net = Keyed()
        net.answers["on_receive_associate_request"] = accept_all
        net.timeouts = Timeouts(secure=SECONDS, shutdown=2)
        net.set_pre_shared_keys_tls(keys, identity)
        self.addCleanup(net.close_forced)
        return net

    def test_both_roles(self) -> None:
        for tcp in (False, True):
            requestor = self.keyed({"ct1": KEY})
            acceptor = self.keyed({"ct2": OTHER, "ct1": KEY})
            if tcp:
                acceptor.listen("127.0.0.1")
                self.addCleanup(acceptor.server_close)
                requestor.connect("", 0, *acceptor.get_host_info())
            else:
                self.join(requestor, acceptor)
            self.assertEqual(requestor.wait_for("on_secure_link_ready"), (ErrorCode.SUCCESS,))
            requestor.send_associate_request(request())
            requestor.wait_for("on_receive_associate_accept")
            requestor.send_c_echo_request(1, 1)
            requestor.wait_for("on_receive_c_echo_response")
            ends = [requestor, acceptor.get_client(0) if tcp else acceptor]
            for net in ends:
                link = net.get_secure_link()
                assert isinstance(link, PskLink)
                with self.subTest(tcp=tcp):
                    self.assertEqual((link.identity, link.version, link.chain), ("ct1", "TLSv1.3", ()))
            requestor.send_release_request()
            self.assertEqual(requestor.wait_for("on_close")[0], ErrorCode.SUCCESS)

    def test_wrong_keys(self) -> None:
        """The client is told the same in both cases: else anybody could find out who may come."""
        for keys, codes, text in (
            ({"ct1": OTHER}, (ErrorCode.TLS_ILLEGAL_PARAMETER, ErrorCode.TLS_DECRYPT_ERROR), "'ct1' has another key"),
            ({"ct9": KEY}, (ErrorCode.TLS_ILLEGAL_PARAMETER, ErrorCode.TLS_HANDSHAKE_FAILURE), "'ct9' is not known"),
        ):
            requestor, acceptor = self.keyed(keys), self.keyed({"ct1": KEY})
            with self.assertLogs("ldicomnet", "WARNING") as logs:
                self.join(requestor, acceptor)
                for net, code in zip((requestor, acceptor), codes, strict=True):
                    with self.subTest(keys):
                        self.assertEqual(net.wait_for("on_secure_link_ready"), (code,))
                        self.assertEqual((net.wait_for("on_close")[0], net.get_error_secure()), (code, code))
            self.assertTrue(any(text in line for line in logs.output), logs.output)

    def test_a_server_without_keys(self) -> None:
        """One that shows a certificate instead is not talked to, and neither is one that has nothing."""
        from .certificates import certificate, key

        requestor = self.keyed({"ct1": KEY})
        acceptor = Keyed()
        self.addCleanup(acceptor.close_forced)
        acceptor.set_server_certificate_tls(certificate("server"), key=key("server"))
        self.join(requestor, acceptor)
        self.assertEqual(requestor.wait_for("on_secure_link_ready"), (ErrorCode.TLS_INSUFFICIENT_SECURITY,))
        self.assertEqual(acceptor.count("on_receive_associate_request"), 0)

    def test_a_client_without_keys(self) -> None:
        requestor = Keyed()
        self.addCleanup(requestor.close_forced)
        acceptor = self.keyed({"ct1": KEY})
        self.join(requestor, acceptor)
        self.assertNotEqual(requestor.wait_for("on_secure_link_ready")[0], ErrorCode.SUCCESS)
        self.assertNotEqual(acceptor.wait_for("on_secure_link_ready")[0], ErrorCode.SUCCESS)

    def test_titles_by_identity(self) -> None:
        """The policy of titles sees the identity."""
        acceptor = self.keyed({"ct1": KEY})
        acceptor.initialize(
            None, SecureMode.TLS, TLSContextSettings(titles=lambda link, title: getattr(link, "identity", "") == title)
        )
        for title, hook in (("ct1", "on_receive_associate_accept"), ("ct2", "on_receive_associate_reject")):
            requestor = self.keyed({"ct1": KEY})
            self.join(requestor, acceptor)
            requestor.wait_for("on_secure_link_ready")
            asked = request()
            asked.set_calling(title)
            requestor.send_associate_request(asked)
            with self.subTest(title):
                requestor.wait_for(hook)
            requestor.close()
            acceptor.wait_for("on_close", 1 if title == "ct1" else 2)


if __name__ == "__main__":
    unittest.main()
