"""Addresses: as what one counts from which requests come, and whether others may read along on the way to a host."""

import socket
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


def reached_unseen(host: str, networks: str) -> bool:
    """Whether nobody reads along on the way to the host: it is this machine, by a socket's file or its loopback, or
    every address of its name lies in `networks`, which have commas between."""
    if not host or host.startswith(("/", "@")):
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a name that means nothing now may mean anything later
        return False
    unseen = [ip_network(one) for one in networks.split(",") if one]
    addresses = [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]
    return all(one.is_loopback or any(one in network for network in unseen) for one in addresses)
