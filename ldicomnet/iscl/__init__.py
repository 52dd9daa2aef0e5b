"""ISCL, the Integrated Secure Communication Layer of MEDIS-DC, version 1.00: its core, the connection, the members.

Historic: PS3.15 Section B.2 was retired after edition 2018a, DES and MD5 are broken, and much of the wire format is not
public. What is not is a field of `WireOptions`; whether this library talks to anybody else's is unproven. Use TLS.

The rooms but `members` are imported when a connection uses ISCL, and not before. The core, which is `handshake`,
`transfer` and what they are made of, knows no socket and no thread; `opening` and `transport` put it on a connection.
"""
