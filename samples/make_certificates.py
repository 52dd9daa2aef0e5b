"""Make certificates to try TLS with: a small CA, a server, a client, and some that have something wrong with them.

Each NAME becomes NAME.pem (certificate), NAME.key (private key) and, for an issuer, NAME.crl (revoked certificates).
They are for tests: the keys are not encrypted, but for "locked", and whoever has ca.key can make more of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PASSWORD = "dicom"
"""Of the key of "locked"."""
PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Kind:
    """One certificate to be made.

    Attributes:
        issuer: the name of who signs it; "" for itself.
        purposes: what it is for, of `PURPOSES`; none for an issuer.
        key: "ec" for P-256, "rsa" for 2048 bits, "weak" for RSA of 1024 bits, "small" for P-224.
        names: hosts and addresses it is for; None for those of `--name`.
        since, days: days from now until it is valid, and for how long.
        is_revoked: whether it is on its issuer's list.
        is_locked: whether its key is encrypted, with `PASSWORD`.
    """

    issuer: str = "ca"
    purposes: tuple[str, ...] = ("server",)
    key: str = "ec"
    names: tuple[str, ...] | None = None
    since: int = -1
    days: int = 825
    is_revoked: bool = False
    is_locked: bool = False


CLIENT = ("client",)
BOTH = ("server", "client")
KINDS = {
    "ca": Kind("", ()),
    "other_ca": Kind("", ()),
    "middle": Kind("ca", ()),
    "server": Kind(),
    "server_rsa": Kind(key="rsa"),
    "client": Kind(purposes=CLIENT, names=()),
    "client_rsa": Kind(purposes=CLIENT, names=(), key="rsa"),
    "below": Kind("middle", BOTH),
    "self": Kind("", BOTH),
    "stranger": Kind("other_ca", BOTH),
    "expired": Kind(purposes=BOTH, since=-10, days=5),
    "early": Kind(purposes=BOTH, since=10),
    "revoked": Kind(purposes=BOTH, is_revoked=True),
    "wrong_name": Kind(names=("elsewhere.example", "192.0.2.1")),
    "weak": Kind(purposes=BOTH, key="weak"),
    "small": Kind(purposes=BOTH, key="small"),
    "locked": Kind(purposes=BOTH, is_locked=True),
}
"""All of them, issuers before those whom they sign."""
KEYS: dict[str, Callable[[], Key]] = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "small": lambda: ec.generate_private_key(ec.SECP224R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "weak": lambda: rsa.generate_private_key(65537, 1024),
}


class Maker:
    """Makes the certificates into a folder.

    Args:
        folder: where they go.
        names: hosts and addresses of the servers.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = tuple(names)
        self._now = datetime.now(UTC).replace(microsecond=0)
        self._made: dict[str, tuple[x509.Certificate, Key]] = {}

    def make(self, wanted: Sequence[str]) -> None:
        """Make the certificates with these names, and those of their issuers."""
        for name, kind in KINDS.items():
            below = [each for each in wanted if self._is_above(name, each)]
            if name in wanted or below:
                self._write(name, kind)
        for name in self._made:
            if not KINDS[name].purposes:
                self._write_revoked(name)

    def _is_above(self, issuer: str, name: str) -> bool:
        above = KINDS[name].issuer
        return above == issuer or (above != "" and self._is_above(issuer, above))

    def _write(self, name: str, kind: Kind) -> None:
        key = KEYS[kind.key]()
        issuer = self._made.get(kind.issuer)
        certificate = self._certificate(name, kind, key, issuer)
        self._made[name] = certificate, key
        data = certificate.public_bytes(Encoding.PEM)
        if issuer is not None and KINDS[kind.issuer].issuer:  # the peer knows the root, and not this one
            data += issuer[0].public_bytes(Encoding.PEM)
        hides: KeySerializationEncryption = NoEncryption()
        if kind.is_locked:
            hides = BestAvailableEncryption(PASSWORD.encode())
        (self._folder / f"{name}.pem").write_bytes(data)
        path = self._folder / f"{name}.key"
        path.touch(0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hides))

    def _certificate(
        self, name: str, kind: Kind, key: Key, issuer: tuple[x509.Certificate, Key] | None
    ) -> x509.Certificate:
        subject = _name(name)
        public = key.public_key()
        signer = key if issuer is None else issuer[1]
        since = self._now + timedelta(days=kind.since)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer[0].subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(since + timedelta(days=kind.days))
            .add_extension(x509.BasicConstraints(not kind.purposes, None), critical=True)
            .add_extension(_usage(is_issuer=not kind.purposes), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if kind.purposes:
            purposes = [PURPOSES[purpose] for purpose in kind.purposes]
            made = made.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        names = self._names if kind.names is None else kind.names
        if names and kind.purposes:
            made = made.add_extension(x509.SubjectAlternativeName(list(map(_host, names))), critical=False)
        return made.sign(signer, hashes.SHA256())

    def _write_revoked(self, name: str) -> None:
        issuer, key = self._made[name]
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(self._now - timedelta(days=1))
            .next_update(self._now + timedelta(days=825))
        )
        for each, (certificate, _key) in self._made.items():
            if KINDS[each].is_revoked and KINDS[each].issuer == name:
                revoked = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
                made = made.add_revoked_certificate(revoked.revocation_date(self._now).build())
        (self._folder / f"{name}.crl").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "ldicomnet samples"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(is_issuer: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not is_issuer,
        data_encipherment=False,
        key_agreement=not is_issuer,
        key_cert_sign=is_issuer,
        crl_sign=is_issuer,
        encipher_only=False,
        decipher_only=False,
    )


def make(folder: Path, names: Sequence[str] = ("localhost", "127.0.0.1", "::1"), wanted: Sequence[str] = ()) -> None:
    """Make certificates into `folder`: those `wanted`, or all."""
    folder.mkdir(parents=True, exist_ok=True)
    Maker(folder, names).make(list(wanted) or list(KINDS))


def main(arguments: list[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where they go; made if it is not there")
    parser.add_argument(
        "--name", action="append", metavar="HOST", help="name or address of the servers; may be repeated (localhost)"
    )
    parser.add_argument("--only", action="append", choices=KINDS, metavar="NAME", help="make this one, and its issuer")
    options = parser.parse_args(arguments)
    make(options.folder, options.name or ("localhost", "127.0.0.1", "::1"), options.only or ())
    print(f"made {', '.join(sorted(path.name for path in options.folder.iterdir()))} in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
