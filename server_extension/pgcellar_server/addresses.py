"""Where a request is from, and which addresses are one caller's. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def caller(peer: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """The address of who asks, given the connection's other end and its `X-Forwarded-For`.

    A word is taken from a proxy that we trust, the last first; where one gives no address, the
    request is as from that proxy.
    """
    found = _address(peer)
    said = forwarded.split(",")
    while said and found is not None and any(found in network for network in proxies):
        before = _address(said.pop().strip())
        if before is None:
            break
        found = before
    return peer if found is None else str(found)


def trusted(peer: str, proxies: Sequence[Network]) -> bool:
    """Whether a connection's other end is a proxy that we trust."""
    found = _address(peer)
    return found is not None and any(found in network for network in proxies)


def secure(peer: str, forwarded: str, proxies: Sequence[Network]) -> bool:
    """Whether a proxy that we trust says, in its `X-Forwarded-Proto`, that it was asked over TLS.

    Of several proxies the outermost, whose word stands first, knows how. Who has it said wrongly of
    themselves harms nobody else.
    """
    return trusted(peer, proxies) and forwarded.split(",")[0].strip().lower() == "https"


def bucket(address: str) -> str:
    """What is counted as one: who has an address of IPv6 has 2⁶⁴ of them."""
    found = _address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return address


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found.scope_id is not None:
            # A zone is a word of the sender's own, of any length.
            return ipaddress.IPv6Address(int(found))
    return found
