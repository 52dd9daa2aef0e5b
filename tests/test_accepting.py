"""Who accepts for a listening object with a security layer: it gets what that one was set to, or the connection not."""

from __future__ import annotations

import ssl
import unittest
from collections.abc import Callable
from typing import Any, ClassVar

from ldicomnet import (
    ErrorCode,
    IsclSigning,
    LDicomError,
    LDicomNet,
    LDicomSecurityError,
    SecureMode,
    Status,
    Timeouts,
    TLSContextSettings,
    VerifyMode,
)

from .certificates import certificate, key
from .iscl_ends import KEY, OTHER_KEY
from .support import SECONDS, VERIFICATION, Ends, Recorder, accept_all, request

MUTUAL = VerifyMode.PEER | VerifyMode.FAIL_IF_NO_PEER_CERT
HAS_PSK = hasattr(ssl.SSLContext, "set_psk_client_callback") and getattr(ssl, "HAS_PSK", False)
Setting = Callable[["End"], object]


class End(Recorder):
    """An end of one security mode."""

    def on_secure_link_ready(self, error: ErrorCode) -> None:
        self.note("on_secure_link_ready", error)


class Listening(End):
    """Hands its connections to objects that the test makes, one after the other; notes those that are refused."""

    def __init__(self, mode: SecureMode, made: list[End]) -> None:
        super().__init__(None, mode)
        self.made = made

    def on_accept(self, error: ErrorCode) -> None:
        for net in self.made:
            try:
                self.accept(net)
            except LDicomError as refused:
                self.note("refused", refused)
            else:
                self.note("accepted", net)
                return


class Accepting(Ends):
    """A client, a listening object, and objects of the program's own that accept, over TCP."""

    mode = SecureMode.TLS

    def end(self, *settings: Setting, mode: SecureMode | None = None) -> End:
        net = End(None, self.mode if mode is None else mode)
        net.answers["on_receive_associate_request"] = accept_all
        net.timeouts = Timeouts(secure=SECONDS, shutdown=2)
        for setting in settings:
            setting(net)
        self.addCleanup(net.close_forced)
        return net

    def listening(self, made: list[End], *settings: Setting) -> Listening:
        net = Listening(self.mode, made)
        for setting in settings:
            setting(net)
        net.listen("127.0.0.1")
        self.addCleanup(net.server_close)
        return net

    def ready(self, client: End, server: Listening) -> ErrorCode:
        """Connect; what the client is told of the link."""
        client.connect("", 0, *server.get_host_info())
        code: ErrorCode = client.wait_for("on_secure_link_ready")[0]
        return code

    def talk(self, client: End) -> None:
        client.send_associate_request(request())
        client.wait_for("on_receive_associate_accept")
        client.send_c_echo_request(1, 1, VERIFICATION)
        self.assertEqual(client.wait_for("on_receive_c_echo_response")[3], Status.SUCCESS)

    def refusal(self, server: Listening, client: End) -> LDicomSecurityError:
        """Why the first object of the server may not accept; the connection is not lost by it."""
        client.connect("", 0, *server.get_host_info())
        error = server.wait_for("refused")[0]
        self.assertIsInstance(error, LDicomSecurityError)
        self.assertEqual(error.code, ErrorCode.BAD_SECURE_MODE)
        self.assertIn("take_settings", str(error))
        assert isinstance(error, LDicomSecurityError)
        return error


def trusting(**changes: Any) -> Setting:
    """TLS settings that trust the CA of the tests."""
    return lambda net: net.initialize(
        None, SecureMode.TLS, TLSContextSettings(**{"ca_file": certificate("ca"), **changes})
    )


def showing(name: str = "server") -> Setting:
    """A certificate, for the role that its name says."""

    def show(net: End) -> None:
        put = net.set_client_certificate_tls if name == "client" else net.set_server_certificate_tls
        put(certificate(name), key=key(name))

    return show


class TLS(Accepting):
    """The listening object wants certificates of its clients."""

    CAREFUL = trusting(verify_mode=MUTUAL), showing()

    def test_never_set_up(self) -> None:
        """It is as careful as the listening object: a client without a certificate gets nowhere, another one does."""
        made = [self.end(), self.end()]
        server = self.listening(made, *self.CAREFUL)
        anonymous, known = self.end(trusting()), self.end(trusting(), showing("client"))
        self.ready(anonymous, server)  # in TLS 1.3 this side is done before the server has looked
        self.assertEqual(made[0].wait_for("on_secure_link_ready"), (ErrorCode.TLS_HANDSHAKE_FAILURE,))
        made.pop(0)
        self.assertEqual(self.ready(known, server), 0)
        self.talk(known)
        link = made[0].get_secure_link()
        assert link is not None
        self.assertTrue(link.is_verified)

    def test_asked_for_what_it_has(self) -> None:
        """To ask an object is not to set it up, and neither is to initialize it with nothing."""
        made = [self.end(lambda net: net.get_cipher_from_index_tls(0), lambda net: net.initialize(None, self.mode))]
        server = self.listening(made, *self.CAREFUL)
        anonymous = self.end(trusting())
        self.ready(anonymous, server)
        self.assertEqual(made[0].wait_for("on_secure_link_ready"), (ErrorCode.TLS_HANDSHAKE_FAILURE,))

    def test_set_up_otherwise(self) -> None:
        """Each single setting that differs is refused, before anything is said to the peer; and the next object may."""
        for settings in (
            (showing(),),
            (trusting(), showing()),
            (trusting(verify_mode=MUTUAL, pins={"*": "00" * 32}), showing()),
            (trusting(verify_mode=MUTUAL, titles=lambda link, title: True), showing()),
            (trusting(verify_mode=MUTUAL, minimum_version=0x0304), showing()),
            (trusting(verify_mode=MUTUAL), showing("server_rsa")),
            (trusting(verify_mode=MUTUAL),),
            (*self.CAREFUL, lambda net: net.set_cipher_to_index_tls(0, 0x18)),
        ):
            with self.subTest(settings):
                other, heir = self.end(*settings), self.end()
                server = self.listening([other, heir], *self.CAREFUL)
                client = self.end(trusting(), showing("client"))
                self.refusal(server, client)
                self.assertEqual(client.wait_for("on_secure_link_ready"), (0,))
                self.talk(client)
                self.assertFalse(other.is_activated())
                self.assertIs(server.get_client(0), heir)

    def test_set_up_the_same(self) -> None:
        """A class that sets itself up, made by the program: from then on it shares what the listening object has."""
        made = [self.end(*self.CAREFUL)]
        server = self.listening(made, *self.CAREFUL)
        client = self.end(trusting(), showing("client"))
        self.assertEqual(self.ready(client, server), 0)
        self.talk(client)
        before = server.get_ctx()
        made[0].reload_security()
        self.assertIsNot(server.get_ctx(), before)

    def test_taken_and_changed(self) -> None:
        """`take_settings` shares: what is changed then is changed for all, and nobody is weaker than the others."""
        heir = self.end()
        server = self.listening([heir], *self.CAREFUL)
        heir.take_settings(server)
        heir.initialize(None, SecureMode.TLS, TLSContextSettings(ca_file=certificate("ca")))
        anonymous = self.end(trusting())
        self.assertEqual(self.ready(anonymous, server), 0)
        self.assertIs(server.get_ctx().verify_mode, ssl.CERT_OPTIONAL)

    def test_another_mode(self) -> None:
        for mode in (SecureMode.NONE, SecureMode.ISCL):
            with self.subTest(mode):
                server = self.listening([self.end(mode=mode)], *self.CAREFUL)
                self.refusal(server, self.end(trusting()))

    def test_not_initialized(self) -> None:
        deferred = End(None, SecureMode.TLS, defer_init=True)
        server = self.listening([deferred], *self.CAREFUL)
        self.end(trusting()).connect("", 0, *server.get_host_info())
        self.assertEqual(server.wait_for("refused")[0].code, ErrorCode.NET_NOT_INITIALISED)

    def test_a_plain_listening_object(self) -> None:
        """It promises nothing, so what accepts may do more."""
        secure = self.end(trusting(), showing())
        server = Listening(SecureMode.NONE, [secure])
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        client = self.end(trusting())
        self.assertEqual(self.ready(client, server), 0)
        self.talk(client)


@unittest.skipUnless(HAS_PSK, "Python 3.13 has it")
class PreSharedKeys(Accepting):
    """The listening object knows its clients by keys."""

    KEYS: ClassVar = {"ct1": bytes(range(32))}

    def keyed(self, keys: dict[str, bytes] = KEYS) -> Setting:
        return lambda net: net.set_pre_shared_keys_tls(keys)

    def test_never_set_up(self) -> None:
        server = self.listening([self.end()], self.keyed())
        client = self.end(self.keyed())
        self.assertEqual(self.ready(client, server), 0)
        self.talk(client)

    def test_set_up_the_same(self) -> None:
        server = self.listening([self.end(self.keyed(dict(self.KEYS)))], self.keyed())
        self.assertEqual(self.ready(self.end(self.keyed()), server), 0)

    def test_set_up_otherwise(self) -> None:
        """A certificate instead, for which anybody would be let in, and other keys."""
        more = {**self.KEYS, "guest": bytes(range(1, 33))}
        for setting in (showing(), self.keyed(more), self.keyed({"ct1": bytes(range(1, 33))})):
            with self.subTest(setting):
                server = self.listening([self.end(setting)], self.keyed())
                error = self.refusal(server, self.end(self.keyed()))
                self.assertNotIn(repr(self.KEYS["ct1"])[2:-1], str(error))

    def test_keys_of_its_own_where_the_others_have_certificates(self) -> None:
        """What took the settings and was then given keys is not quietly without them."""
        heir = self.end()
        server = self.listening([heir], trusting(), showing())
        heir.take_settings(server)
        heir.set_pre_shared_keys_tls(self.KEYS)
        self.refusal(server, self.end(trusting()))


class ISCL(Accepting):
    """Keys in slots."""

    mode = SecureMode.ISCL

    @staticmethod
    def keyed(net: End) -> None:
        net.set_mutual_auth_key_iscl(1, KEY)
        net.set_encrypt_key_iscl(1, OTHER_KEY)

    def test_never_set_up(self) -> None:
        made = [self.end()]
        server = self.listening(made, self.keyed, lambda net: net.set_default_signing_iscl(IsclSigning.DESMAC))
        client = self.end(self.keyed, lambda net: net.set_default_signing_iscl(IsclSigning.DESMAC))
        self.assertEqual(self.ready(client, server), 0)
        self.talk(client)
        self.assertEqual(made[0].get_peer_mac_iscl(), IsclSigning.DESMAC)

    def test_set_up_the_same(self) -> None:
        server = self.listening([self.end(self.keyed)], self.keyed)
        client = self.end(self.keyed)
        self.assertEqual(self.ready(client, server), 0)
        self.talk(client)

    def test_set_up_otherwise(self) -> None:
        def allow(net: End) -> None:
            net.allows_unkeyed_iscl = True

        settings: tuple[Setting, ...] = (
            allow,
            lambda net: net.set_default_signing_iscl(IsclSigning.DESMAC),
            lambda net: net.set_mutual_auth_key_iscl(1, OTHER_KEY),
            lambda net: net.set_encrypt_key_iscl(2, KEY),
        )
        for setting in settings:
            with self.subTest(setting):
                server = self.listening([self.end(self.keyed, setting), self.end()], self.keyed)
                client = self.end(self.keyed)
                error = self.refusal(server, client)
                for octets in (KEY, OTHER_KEY):
                    self.assertNotIn(octets.hex(), str(error))
                    self.assertNotIn(repr(octets)[2:-1], str(error))
                self.assertEqual(client.wait_for("on_secure_link_ready"), (0,))
                self.talk(client)

    def test_the_listening_object_was_told_the_mode_only(self) -> None:
        """As the original's server sample does it: what accepts is set up, and the listening object is not."""
        server = self.listening([self.end(self.keyed)])
        self.assertEqual(self.ready(self.end(self.keyed), server), 0)

    def test_nobody_is_set_up(self) -> None:
        server = self.listening([self.end()])
        self.end(self.keyed).connect("", 0, *server.get_host_info())
        self.assertEqual(server.wait_for("refused")[0].code, ErrorCode.ISCL_MESSAGE_TRANSMISSION)


class Made(Accepting):
    """What the listening object makes itself has all of it."""

    def test_create_client(self) -> None:
        server = self.end(trusting(verify_mode=MUTUAL), showing())
        server.listen("127.0.0.1")
        self.addCleanup(server.server_close)
        client = self.end(trusting())
        client.connect("", 0, *server.get_host_info())
        client.wait_for("on_secure_link_ready")
        self.assertEqual(server.wait_for("on_close")[0], ErrorCode.TLS_HANDSHAKE_FAILURE)
        self.assertIsInstance(server.wait_for("on_close")[1], LDicomNet)


if __name__ == "__main__":
    unittest.main()
