"""The library at work: a storage SCP and an SCU in one process send every DICOM object of pydicom's wheel over TCP.

Each stored data set is compared with the file that was sent, byte by byte. Exit status 0 when all are the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import make_certificates
import pydicom
import security
import store_scp
import store_scu

from ldicomnet import LDicomDS, Status

DEFLATED = "1.2.840.10008.1.2.1.99"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""A DICOMDIR is a DICOM file, but nothing that is stored by C-STORE."""


class DemoScu(store_scu.StoreScu):
    """Compares each object as soon as the peer says that it is stored."""

    folder = Path()
    total = 0
    size = 0
    different: list[str]

    def on_stored(self, path: Path, dataset: LDicomDS, status: Status) -> None:
        stored = LDicomDS.load(self.folder / f"{dataset.sop_instance_uid}.dcm")
        sent = dataset.read()
        if dataset.transfer_syntax == DEFLATED:  # of an even length, or padded to it (PS3.5 Annex A.5)
            sent += b"\0" * (len(sent) & 1)
        self.size += len(sent)
        if (stored.read(), stored.transfer_syntax) != (sent, dataset.transfer_syntax):
            self.different.append(str(path))
        if sys.stdout.isatty() or self.stored % 25 == 0 or self.stored == self.total:
            start, end = ("\r", "\033[K") if sys.stdout.isatty() else ("", "\n")
            print(f"{start}{self.stored:4} of {self.total} stored and compared: {path.name[:50]}", end=end, flush=True)


def _options(*arguments: str) -> argparse.Namespace:
    return store_scp.parse([*arguments, "+xa", "--no-sync", "--bind", "127.0.0.1", "0"])


def _tls(folder: Path) -> list[str]:
    """Switches for TLS on both sides, with certificates made for the occasion."""
    make_certificates.make(folder, wanted=["server", "client"])
    return ["+tls", f"{folder}/server.key", f"{folder}/server.pem", "+cf", f"{folder}/ca.pem"]


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tls", action="store_true", help="send them through TLS, both sides with a certificate")
    with_tls = parser.parse_args().tls
    root = Path(pydicom.__file__).parent / "data"
    files, unreadable = store_scu.load_files(store_scu.find_files([str(root)]))
    files = [(path, dataset) for path, dataset in files if dataset.sop_class_uid != MEDIA_DIRECTORY]
    print(f"pydicom {pydicom.__version__}: {len(files)} DICOM objects under {root} ({len(unreadable)} other files)")
    with tempfile.TemporaryDirectory(prefix="ldicomnet-demo-") as folder:
        certificates = Path(folder, "certificates")
        options = _options("-od", folder, *(_tls(certificates) if with_tls else ()))
        server = store_scp.StoreScp(options)
        security.secure(server, options)
        server.listen("127.0.0.1")
        if with_tls:
            options.tls = [f"{certificates}/client.key", f"{certificates}/client.pem"]
        options.host, options.port = server.get_host_info()
        options.call = "STORESCP"
        print(f"storage SCP listening on {options.host} port {options.port}, files in {folder}")
        started = time.perf_counter()
        failures: list[str] = []
        different: list[str] = []
        stored = size = associations = 0
        for offers, members in store_scu.group(files):
            scu = DemoScu(options, offers, members)
            scu.folder, scu.total, scu.different = Path(folder), len(files), different
            scu.stored, scu.size = stored, size
            scu.run()
            stored, size, associations = scu.stored, scu.size, associations + 1
            failures += scu.failures
        seconds = time.perf_counter() - started
        server.server_close()
    print()
    for failure in failures:
        print(f"not stored: {failure}")
    for path in different:
        print(f"stored otherwise than sent: {path}")
    print(
        f"{stored} of {len(files)} objects, {size / 1e6:.1f} MB, sent over {associations} association(s) "
        f"in {seconds:.2f} s; {stored - len(different)} stored data sets are the same bytes as the files sent"
    )
    return 1 if failures or different or not stored else 0


if __name__ == "__main__":
    sys.exit(main())
