"""The ciphers of ISCL against published and measured vectors, and what they refuse."""

from __future__ import annotations

import sys
import unittest
from random import Random
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from ldicomnet import ErrorCode, IsclEncryption, IsclSigning, LDicomError, LDicomSecurityError, LDicomUsageError
from ldicomnet.iscl import ciphers
from ldicomnet.iscl.options import UNIQUE_KEYS, Setup, WireOptions

from .iscl_ends import KEY, SAFE, SETUP, UNSAFE

MESSAGE = b"DICOM ISCL test message"
CIPHERTEXT = bytes.fromhex("D37C525C0CCB31AF82EFAEBB87C26E38FFB98BE8C605904A")


class Vectors(unittest.TestCase):
    """Key 133457799BBCDFF1."""

    def test_response(self) -> None:
        """The well-known vector of DES."""
        made = ciphers.des_response(KEY, bytes.fromhex("0123456789ABCDEF"))
        self.assertEqual(made.hex().upper(), "85E813540F0AB405")

    def test_desmac(self) -> None:
        self.assertEqual(ciphers.desmac(KEY, MESSAGE, "zero").hex().upper(), "A3ACD1E35EDE373D")

    def test_md5(self) -> None:
        self.assertEqual(ciphers.md5(KEY, MESSAGE).hex().upper(), "B168A3006F4307AAC26D636ABA8038FD")

    def test_ciphertext(self) -> None:
        made = ciphers.Chain(True).encrypt(KEY, ciphers.pad("pkcs5", MESSAGE))
        self.assertEqual(made, CIPHERTEXT)

    def test_encrypted_md5(self) -> None:
        padded = ciphers.pad("pkcs5", ciphers.md5(KEY, MESSAGE))
        chain = ciphers.Chain(True)
        chain.encrypt(KEY, ciphers.pad("pkcs5", MESSAGE))
        chained, alone = chain.encrypt(KEY, padded), ciphers.Chain(False).encrypt(KEY, padded)
        self.assertEqual(chained.hex().upper(), "59F583F70AE8041AF945E10AA5C4B36BDB6E7329226C688E")
        self.assertEqual(alone.hex().upper(), "3EF4B9A8FD96F21BE275F89DC4D9D609DE8691F623D0ACD5")

    def test_encrypted_desmac(self) -> None:
        chain = ciphers.Chain(True)
        chain.encrypt(KEY, ciphers.pad("pkcs5", MESSAGE))
        made = chain.encrypt(KEY, ciphers.pad("pkcs5", ciphers.desmac(KEY, MESSAGE, "zero")))
        self.assertEqual(made.hex().upper(), "DDB0F7F27C41986DB3575DA908700BC2")


class Keys(unittest.TestCase):
    """What is a key."""

    def test_bytes_and_number(self) -> None:
        self.assertEqual(ciphers.key("key", KEY), KEY)
        self.assertEqual(ciphers.key("key", 0x133457799BBCDFF1), KEY)
        self.assertEqual(ciphers.key("key", bytearray(KEY)), KEY)

    def test_no_key(self) -> None:
        for value in (b"", KEY[:7], KEY + b"x", 1 << 64, -1, "133457799BBCDFF1", None, 1.5):
            with self.subTest(value), self.assertRaises(LDicomUsageError) as caught:
                ciphers.key("key", value)
            self.assertNotIn("1334", str(caught.exception), "an error must not show a key")

    def test_all_sixteen_weak_ones(self) -> None:
        """They are told by what they do: a weak key undoes itself, a semi-weak one is undone by another of them."""
        weak = [bytes.fromhex(text) for text in ciphers._WEAK.split()]
        self.assertEqual(len({*weak}), 16)
        block = b"a block!"
        for one in weak:
            encrypted = ciphers.encrypt_block(one, block)
            self.assertTrue(any(ciphers.encrypt_block(other, encrypted) == block for other in weak), one.hex())
            for flipped in (one, bytes(byte ^ 1 for byte in one)):  # whatever the parity is
                with self.subTest(flipped.hex()), self.assertRaises(LDicomUsageError):
                    ciphers.key("key", flipped)

    def test_others_are_not_weak(self) -> None:
        random = Random(5)
        self.assertFalse(any(ciphers.is_weak(random.randbytes(8)) for _ in range(1000)))

    def test_parity(self) -> None:
        random = Random(6)
        for _ in range(100):
            made = ciphers.with_parity(key := random.randbytes(8))
            self.assertTrue(all(byte.bit_count() % 2 for byte in made))
            self.assertTrue(all(one & 0xFE == other & 0xFE for one, other in zip(key, made, strict=True)))

    def test_a_session_key_has_parity_and_depends_on_both(self) -> None:
        made = ciphers.des_session_key(KEY, bytes(8))
        self.assertEqual(made, ciphers.with_parity(made))
        self.assertNotEqual(made, ciphers.des_session_key(KEY, bytes(7) + b"\1"))
        self.assertNotEqual(made, ciphers.des_session_key(CIPHERTEXT[:8], bytes(8)))


class Paddings(unittest.TestCase):
    """Each says itself how long it is."""

    @given(st.sampled_from(sorted(ciphers.PADDINGS)), st.binary(max_size=40))
    def test_there_and_back(self, kind: str, data: bytes) -> None:
        padded = ciphers.pad(kind, data)
        self.assertEqual(len(padded), ciphers.padded(len(data)))
        self.assertEqual(len(padded) % 8, 0)
        self.assertEqual(ciphers.unpad(kind, padded), (data, True))

    def test_lengths(self) -> None:
        """One to eight bytes more, as the 24 of a padded MD5 show."""
        self.assertEqual([ciphers.padded(length) for length in (0, 1, 7, 8, 16)], [8, 8, 8, 16, 24])

    def test_wrong_ones(self) -> None:
        wrong = {
            "pkcs5": [bytes(8), b"\1" * 6 + b"\2\3", b"\x09" * 8, b"abcdefg\xff"],
            "x923": [bytes(8), b"abcde\1\0\3", b"abcdefg\x09"],
            "iso7816": [bytes(8), b"abcdefgh", b"abcde\x81\0\0"],
        }
        for kind, endings in wrong.items():
            for ending in endings:
                with self.subTest(kind, ending=ending):
                    _data, is_right = ciphers.unpad(kind, b"12345678" + ending)
                    self.assertFalse(is_right)


class Macs(unittest.TestCase):
    """How they are compared."""

    def test_any_of(self) -> None:
        self.assertTrue(ciphers.is_any_of(b"b", [b"a", b"b", b"c"]))
        self.assertFalse(ciphers.is_any_of(b"d", [b"a", b"b"]))
        self.assertFalse(ciphers.is_any_of(b"", [b"a"]))

    def test_desmac_fillings_differ_where_the_message_ends_within_a_block(self) -> None:
        made = {ciphers.desmac(KEY, b"12345", fill) for fill in ("zero", *ciphers.PADDINGS)}
        self.assertEqual(len(made), 4)
        self.assertEqual(len(ciphers.desmac(KEY, b"", "zero")), 8)

    def test_md5_on_a_fips_host(self) -> None:
        """It is asked for as what it is."""
        with mock.patch("hashlib.md5") as md5:
            ciphers.md5(KEY, b"x")
        md5.assert_called_once_with(b"x", usedforsecurity=False)


class Unavailable(unittest.TestCase):
    """Where there is no DES, that is said, and before a connection is made."""

    def refused(self) -> LDicomError:
        with self.assertRaises(LDicomSecurityError) as caught:
            SETUP.check()
        self.assertEqual(caught.exception.code, ErrorCode.SECURITY_LOCKED)
        return caught.exception

    def test_openssl_refuses(self) -> None:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.ciphers import Cipher

        with mock.patch.object(Cipher, "encryptor", side_effect=UnsupportedAlgorithm("fips")):
            self.assertIn("OpenSSL", str(self.refused()))

    def test_no_cryptography_or_an_old_one(self) -> None:
        with mock.patch.dict(sys.modules, {"cryptography.hazmat.decrepit.ciphers.algorithms": None}):
            self.assertIn("cryptography 43", str(self.refused()))

    def test_here_it_is(self) -> None:
        ciphers.check_available()


class Setups(unittest.TestCase):
    """What a connection is not made with."""

    def test_what_protects_nothing(self) -> None:
        for encryption, signing in UNSAFE:
            setup = Setup(encryption=encryption, signing=signing, encrypt_keys=SETUP.encrypt_keys)
            with self.subTest(setup=setup), self.assertRaises(LDicomSecurityError) as caught:
                setup.check()
            self.assertEqual(caught.exception.code, ErrorCode.ISCL_MESSAGE_TRANSMISSION)
            self.assertNotIn("133457", str(caught.exception))
            Setup(encryption=encryption, signing=signing, encrypt_keys=SETUP.encrypt_keys, allows_unkeyed=True).check()

    def test_keys_are_not_shown(self) -> None:
        for text in (repr(SETUP), str(SETUP)):
            self.assertNotIn("4Wy", text)
            self.assertNotIn("keys", text)

    def test_what_needs_a_key(self) -> None:
        for encryption, signing in SAFE:
            with self.subTest(encryption=encryption, signing=signing):
                with self.assertRaises(LDicomSecurityError):
                    Setup(encryption=encryption, signing=signing).check()
                with self.assertRaises(LDicomSecurityError):
                    Setup(encryption=encryption, encrypt_keys=SETUP.encrypt_keys, encrypt_index=8).check()
                Setup(encryption=encryption, signing=signing, encrypt_index=UNIQUE_KEYS).check()
        Setup(encryption=IsclEncryption.NONE, signing=IsclSigning.MD5, allows_unkeyed=True).check()


class Wire(unittest.TestCase):
    """`WireOptions` are checked when they are made, and do not change."""

    def test_unknown_choices(self) -> None:
        for name, one in WireOptions.__dataclass_fields__.items():
            if "choices" in one.metadata:
                with self.subTest(name), self.assertRaisesRegex(LDicomUsageError, name):
                    WireOptions(**{name: "other"})  # type: ignore[arg-type]

    def test_functions(self) -> None:
        for changes in ({"response": None}, {"session_key": 1}, {"md5_variants": ()}, {"md5_variants": ("md5",)}):
            with self.subTest(changes), self.assertRaises(LDicomUsageError):
                WireOptions(**changes)  # type: ignore[arg-type]

    def test_version(self) -> None:
        for version in (-1, 1 << 32, "1.00"):
            with self.subTest(version), self.assertRaises(LDicomUsageError):
                WireOptions(version_word=version)  # type: ignore[arg-type]

    def test_frozen(self) -> None:
        with self.assertRaises(AttributeError):
            WireOptions().name = "mine"  # type: ignore[misc]


if __name__ == "__main__":
    unittest.main()
