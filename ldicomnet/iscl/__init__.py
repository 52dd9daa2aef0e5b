"""ISCL, the Integrated Secure Communication Layer of MEDIS-DC, version 1.00: its core; knows no socket and no thread.

Historic: PS3.15 Section B.2 was retired after edition 2018a, DES and MD5 are broken, and much of the wire format is not
public. What is not is a field of `WireOptions`; whether this library talks to anybody else's is unproven. Use TLS.
"""
