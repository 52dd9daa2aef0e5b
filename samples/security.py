"""TLS for the sample programs: the switches that DCMTK's programs have, and SIGHUP, which reads certificates again."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import logging
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import iscl_keys

from ldicomnet import (
    CertificateType,
    CipherSuite,
    LDicomError,
    LDicomNet,
    LDicomUsageError,
    SecureMode,
    TLSContextSettings,
    TlsProfile,
    VerifyMode,
)

PROFILES = (
    ("+pg", "--profile-8996", TlsProfile.BCP_195, "BCP 195 RFC 8996, 9325 (default)"),
    ("+pm", "--profile-8996-mod", TlsProfile.MODIFIED_BCP_195, "modified BCP 195 RFC 8996, 9325"),
    ("+py", "--profile-bcp195-nd", TlsProfile.NON_DOWNGRADING_BCP_195, "non-downgrading BCP 195 (retired)"),
    ("+px", "--profile-bcp195", TlsProfile.BCP_195_RFC_7525, "BCP 195 (retired)"),
    ("+pz", "--profile-bcp195-ex", TlsProfile.EXTENDED_BCP_195, "extended BCP 195 (retired)"),
    ("+pb", "--profile-basic", TlsProfile.BASIC, "basic TLS (retired, weak)"),
    ("+pa", "--profile-aes", TlsProfile.AES, "AES TLS (retired, weak)"),
    ("+pn", "--profile-null", TlsProfile.NULL, "authenticated and not encrypted (retired, weak)"),
)
LEGACY = (TlsProfile.BASIC, TlsProfile.AES, TlsProfile.NULL)
PEER, MUST = VerifyMode.PEER, VerifyMode.PEER | VerifyMode.FAIL_IF_NO_PEER_CERT


class Entity(LDicomNet):
    """Asks for the password of its private key."""

    password: Callable[[], str] = staticmethod(lambda: getpass.getpass("password of the private key: "))

    def on_private_key_password(self, encryption: bool) -> str:
        return self.password()


def suite(text: str) -> CipherSuite:
    """A cipher suite given by its name, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 say."""
    name = text.upper().removeprefix("TLS_").replace("_WITH", "")
    if name != "NONE" and name in CipherSuite.__members__:
        return CipherSuite[name]
    raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(list(CipherSuite.__members__)[1:])}")


PEM, DER = CertificateType.PEM, CertificateType.ASN1
Row = tuple[str, str, str, dict[str, Any], str]
BOTH: tuple[Row, ...] = (
    ("-tls", "--disable-tls", "tls", {"const": None}, "plain TCP (default)"),
    ("+tls", "--enable-tls", "tls", {"nargs": 2, "metavar": ("KEY", "CERT")}, "TLS with this key and certificate"),
    ("+ps", "--std-passwd", "password", {"const": None}, "ask for the password of the key (default)"),
    ("+pw", "--use-passwd", "password", {"metavar": "PASSWORD"}, "password of the key"),
    ("-pw", "--null-passwd", "password", {"const": ""}, "no password"),
    ("-pem", "--pem-keys", "key_type", {"const": PEM, "default": PEM}, "key and certificate are PEM (default)"),
    ("-der", "--der-keys", "key_type", {"const": DER}, "key and certificate are DER"),
    ("+cf", "--add-cert-file", "trusted", {"action": "append", "metavar": "FILE"}, "trust the certificates in FILE"),
    ("+cd", "--add-cert-dir", "trusted_folder", {"metavar": "DIR"}, "trust the certificates in DIR"),
    (
        "+crl", "--add-crl-file", "revoked", {"action": "append", "metavar": "FILE", "default": []},
        "certificates in this list are revoked",
    ),
    ("+crv", "--enable-crl-vfy", "crl_chain", {"const": False, "default": False}, "look the peer up in them (default)"),
    ("+cra", "--enable-crl-all", "crl_chain", {"const": True}, "look its issuers up, too"),
    (
        "+cs", "--cipher", "ciphers", {"action": "append", "type": suite, "metavar": "NAME", "default": []},
        "this suite, too",
    ),
    ("-rc", "--require-peer-cert", "verify", {"const": MUST, "default": MUST}, "verify the peer (default)"),
    ("-ic", "--ignore-peer-cert", "verify", {"const": VerifyMode.NONE}, "do not verify it"),
)
OF_CLIENTS: tuple[Row, ...] = (
    ("+tla", "--anonymous-tls", "tls", {"const": ()}, "TLS without a certificate of ours"),
    ("+an", "--any-name", "any_name", {"const": True, "default": False}, "do not compare the peer's name with it"),
)
OF_SERVERS: tuple[Row, ...] = (
    ("-vc", "--verify-peer-cert", "verify", {"const": PEER}, "verify it if there is one"),
    ("+dp", "--dhparam", "dh_file", {"metavar": "FILE"}, "Diffie-Hellman parameters; ffdhe2048 if there is none"),
)  # fmt: skip


def add(parser: argparse.ArgumentParser, is_server: bool) -> None:
    """The switches."""
    group = parser.add_argument_group("transport layer security (TLS)")
    for short, long, name, given, words in (*BOTH, *(OF_SERVERS if is_server else OF_CLIENTS)):
        action = {"action": "store_const"} if "const" in given else {}
        group.add_argument(short, long, **{"dest": name, "help": words, **action, **given})
    for short, long, profile, words in PROFILES:
        group.add_argument(
            short, long, dest="profile", action="store_const", const=profile, default=TlsProfile.BCP_195, help=words
        )
    iscl_keys.add(parser)


def secure(net: Entity, options: argparse.Namespace) -> None:
    """Set up TLS, or ISCL, on `net` as the options say.

    Raises:
        LDicomError: it cannot be had.
    """
    if options.iscl is not None and options.tls is not None:
        raise LDicomUsageError("--iscl and TLS exclude each other")
    if options.iscl is not None:
        iscl_keys.secure(net, options.iscl)
        return
    if options.tls is None:
        return
    password = options.password
    if password is not None:
        net.password = lambda: str(password)
    settings = TLSContextSettings(
        ca_file=options.trusted,
        ca_path=options.trusted_folder,
        verify_mode=options.verify,
        profile=options.profile,
        allow_legacy=options.profile in LEGACY,
        crl_files=options.revoked,
        crl_chain=options.crl_chain,
        check_name=not getattr(options, "any_name", False),
        dh_file=getattr(options, "dh_file", None),
        extra_suites=options.ciphers,
    )
    net.initialize(None, SecureMode.TLS, settings)
    if options.tls:
        key, certificate = options.tls
        net.set_client_certificate_tls(certificate, options.key_type, key)


def on_hangup(net: LDicomNet) -> None:
    """From now on SIGHUP reads certificates, keys and lists of revoked certificates again; for the main thread."""
    if net.get_secure_mode() != SecureMode.TLS or not hasattr(signal, "SIGHUP"):
        return

    def reload(_number: int, _frame: object) -> None:
        try:
            net.reload_security()
            logging.info("certificates were read again")
        except LDicomError as error:
            logging.error("certificates stay as they were: %s", error)

    signal.signal(signal.SIGHUP, reload)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])  # see `hangup_held`


def pass_hangup_on(processes: Callable[[], list[int]]) -> None:
    """From now on SIGHUP goes to these processes, each of which reads for itself; for the main thread."""
    if hasattr(signal, "SIGHUP"):

        def send(number: int, _frame: object) -> None:
            for process in processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, number)

        signal.signal(signal.SIGHUP, send)


@contextlib.contextmanager
def hangup_held() -> Iterator[None]:
    """For a process that is started meanwhile SIGHUP waits until `on_hangup`; it would end it before."""
    if not hasattr(signal, "SIGHUP"):
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
