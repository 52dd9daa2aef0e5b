"""Interoperability tests: this library and DCMTK, pynetdicom, Orthanc and dcmjs-dimse, over the loopback.

    apt install dcmtk orthanc nodejs npm; pip install pynetdicom; (cd tests/interop && npm ci)
    python -m unittest discover -s tests/interop -t .

A peer that is not installed is skipped, with a word on how to install it; LDICOMNET_REQUIRE_PEERS=1 makes it a
failure.  From the bottom up: `objects` (what is sent), `processes` (programs that are started), `peers` (the other
programs), `ours` (the library in both roles), `cases` (what every peer has to pass), and one test module per peer.
"""
