"""Which machines may be connected to: none of a private network, unless the project file names its address.

A name is resolved once, its addresses are checked, and the connection goes to an address that was checked: a name that
answers differently the second time (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddress(OSError):
    """A name or an address leads to a network that is not open to everybody."""


class Reach:
    """The public internet, and the networks that are named."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks

    def check(self, host: str) -> None:
        """Raise PrivateAddress for an IP address, written in any way, that is not allowed; names pass."""
        bare = host.strip("[]").partition("%")[0]
        try:
            address = ipaddress.ip_address(bare)
        except ValueError:
            return
        if not self.allows(address):
            raise PrivateAddress(str(address))

    def allows(self, address: Address) -> bool:
        """Whether an address is public, or in a named network; what it carries inside counts too."""
        if any(address.version == network.version and address in network for network in self._networks):
            return True
        within = _within(address)
        if within is not None:
            return self.allows(within)
        return address.is_global and not address.is_multicast


def _within(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64)."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


class CheckedResolver(AbstractResolver):
    """Addresses of a name, those that may be connected to only."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises PrivateAddress when no address is left."""
        loop = asyncio.get_running_loop()
        answers = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        found: list[ResolveResult] = []
        refused = ""
        for kind, _, protocol, _, place in answers:
            written = str(place[0]).partition("%")[0]
            if self._reach.allows(ipaddress.ip_address(written)):
                found.append(
                    ResolveResult(
                        hostname=host, host=written, port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
                    )
                )
            else:
                refused = written
        if not found:
            raise PrivateAddress(f"{host} is {refused or 'nowhere'}")
        return found

    async def close(self) -> None:
        """Nothing is held."""
