"""TLS for DICOM (PS3.15 Annex B): profiles, certificates, and what is checked; the connection is `tls.transport`.

The rooms that need `ssl` or `cryptography` are imported when a connection uses TLS, and not before.
"""
