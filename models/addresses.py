"""Addresses that requests come from, as they are counted."""

from ipaddress import IPv6Address, ip_address, ip_network


def neighbourhood(address: str) -> str:
    """What counts as one address: whoever has one of IPv6 has 2**64 of them, the whole /64.

    An IPv4 address that a socket for both kinds writes as ::ffff:192.0.2.1 is that address, and not one /64 with all
    others. What is no address (a socket file, or nothing) comes back as it is.
    """
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    return str(known.ipv4_mapped or ip_network((known.packed, 64), strict=False))
