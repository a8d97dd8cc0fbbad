"""Where a request comes from, as far as it is counted."""

from ipaddress import IPv6Address, ip_address, ip_network


def neighbourhood(address: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, since whoever has one address there has 2**64."""
    try:
        known = ip_address(address)
    except ValueError:  # a socket file, or nothing
        return address
    if not isinstance(known, IPv6Address):
        return address
    if known.ipv4_mapped:  # how a server that listens on IPv6 names those who come by IPv4
        return str(known.ipv4_mapped)
    return str(ip_network((known, 64), strict=False))
