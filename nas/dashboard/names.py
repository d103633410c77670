"""Under which names the page may be asked for.

A page elsewhere can have a name of its own point to this machine and read what is served there (DNS rebinding); its
requests carry that name. An address cannot be made to point elsewhere.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Self
from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class OwnNames:
    """Names of this machine.

    Attributes:
        names: that the person gave, and the loopback.
        addresses: whether any address is good: where the server listens on all of them.
    """

    names: frozenset[str]
    addresses: bool

    @classmethod
    def of(cls, hosts: Sequence[str]) -> Self:
        """Of what was given as `--host`, the address to listen on first."""
        everywhere = is_everywhere(hosts[0])
        own = {socket.gethostname().lower()} if everywhere else set()
        given = {host.strip("[]").rstrip(".").lower() for host in hosts}
        return cls(LOOPBACK | given | own, everywhere)

    def know(self, host: str) -> bool:
        """Whether a request's `Host` is one of them."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self.names or (self.addresses and _address(name) is not None)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def is_everywhere(host: str) -> bool:
    """Whether an address stands for all of this machine's."""
    address = _address(host)
    return host == "" or (address is not None and address.is_unspecified)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
