"""The PROXY protocol, version 2: how a proxy in front of the relay says for whom it connects.  Pure.

After HAProxy's `proxy-protocol.txt`, section 2.2: 12 fixed bytes, version and command, family and protocol, the size of
the rest (u16), and the rest: both addresses and ports, then TLVs.  Version 1, a line of text, is not spoken here.
"""

from __future__ import annotations

import ipaddress

from chatcore.errors import WireError

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEAD_SIZE = 16
MAX_REST_BYTES = 1024  # a proxy that tells more (a client's certificate, say) tells what is no business of a relay
_LOCAL, _PROXY = 0x20, 0x21  # version 2 with its command
LOCAL_HEADER = SIGNATURE + bytes((_LOCAL, 0, 0, 0))  # of a proxy that speaks for itself
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESS_BYTES = {_TCP4: 4, _TCP6: 16}


def rest_size(head: bytes) -> int:
    """Return how many bytes follow these first 16 (0..1024).  Raises WireError when they begin no header."""
    if len(head) != HEAD_SIZE or not head.startswith(SIGNATURE):
        raise WireError("no PROXY header of version 2")
    if head[12] not in (_LOCAL, _PROXY):
        raise WireError("another version or command of PROXY")
    if head[12] == _PROXY and head[13] not in _ADDRESS_BYTES:
        raise WireError("a PROXY header without an IP address and TCP")
    size = int.from_bytes(head[14:], "big")
    if size > MAX_REST_BYTES:
        raise WireError("a PROXY header that is too long")
    return size


def source(head: bytes, rest: bytes) -> str | None:
    """Return the IP address that a whole header speaks for; None when the proxy speaks for itself (LOCAL).

    Raises WireError when the header is not whole and well-formed.  TLVs are checked for their sizes and passed over.
    """
    if rest_size(head) != len(rest):
        raise WireError("a PROXY header of another size than it says")
    if head[12] == _LOCAL:
        return None  # what follows the command means nothing
    size = _ADDRESS_BYTES[head[13]]
    at = 2 * (size + 2)  # two addresses, two ports
    if len(rest) < at:
        raise WireError("a PROXY header without its addresses")
    while at < len(rest):  # type u8, size u16, value
        at += 3 + int.from_bytes(rest[at + 1 : at + 3], "big") if at + 3 <= len(rest) else 3
    if at != len(rest):
        raise WireError("a PROXY header with a TLV that is cut short")
    return str(ipaddress.ip_address(rest[:size]))
