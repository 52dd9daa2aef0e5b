"""ISCL for the sample programs: `--iscl FILE`, a file with the keys that both sides have. Historic and unsafe: use TLS.

The file has one setting on each line; keys are sixteen hexadecimal digits, behind the index of their slot:

    authentication 1 133457799BBCDFF1
    encryption 1 0E329232EA6D0D73
    name HOSPITAL A                    # what the peer is told of this side; may be left out
    sign md5                           # or desmac; md5 is the default
    encrypt des                        # or none; des is the default
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ldicomnet import IsclEncryption, IsclSigning, LDicomNet, LDicomUsageError, SecureMode

ENCRYPTIONS = {"des": IsclEncryption.DESCBC, "none": IsclEncryption.NONE}
SIGNINGS = {"md5": IsclSigning.MD5, "desmac": IsclSigning.DESMAC}


def add(parser: argparse.ArgumentParser) -> None:
    """The switch."""
    group = parser.add_argument_group("ISCL, which is historic and unsafe; see docs/iscl.md")
    group.add_argument("--iscl", metavar="FILE", help="ISCL with the keys in FILE")


def secure(net: LDicomNet, path: str) -> None:
    """Set up ISCL on `net` as the file says.

    Raises:
        LDicomError: the file cannot be read, or says what cannot be.
    """
    net.initialize(None, SecureMode.ISCL)
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LDicomUsageError(f"{path}: {error}") from None
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split(maxsplit=1)
        if words:
            try:
                _set(net, words[0].lower(), words[1] if len(words) > 1 else "")
            except (ValueError, KeyError, IndexError) as error:  # LDicomUsageError is a ValueError
                raise LDicomUsageError(f"{path}, line {number}, is none that is known: {error}") from None


def _set(net: LDicomNet, what: str, value: str) -> None:
    if what in ("authentication", "encryption"):
        index, key = value.split()
        put = net.set_mutual_auth_key_iscl if what == "authentication" else net.set_encrypt_key_iscl
        put(int(index), bytes.fromhex(key))
    elif what == "name":
        net.set_auth_data_iscl(value.strip().encode())
    elif what == "sign":
        net.set_default_signing_iscl(SIGNINGS[value.strip().lower()])
    elif what == "encrypt":
        net.set_default_encryption_iscl(ENCRYPTIONS[value.strip().lower()])
    else:
        raise ValueError(what)
