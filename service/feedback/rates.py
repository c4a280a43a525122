"""A rate limit for each client, such as an API key or an address."""

from hashlib import sha256
from ipaddress import IPv6Address, IPv6Network, ip_address

MINUTE = 60.0  # seconds
MOST_CLIENTS = 4096  # that are known at a time; of more, the one that came first is forgotten


def client_at(address: str) -> bytes:
    """What is one client: an IPv4 address, or 64 bits of IPv6, of which one client has all."""
    try:
        found = ip_address(address)
    except ValueError:  # of a Unix socket: ""
        return address.encode()
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or IPv6Network((int(found), 64), strict=False).network_address
    return str(found).encode()


class ClientRates:
    """Permits each client a burst of a minute's requests, and then that many a minute.

    Clients are kept in memory alone, by a hash, for a minute after their last request.
    """

    def __init__(self, a_minute: int) -> None:
        self._each = MINUTE / a_minute
        self._used_until: dict[bytes, float] = {}  # seconds, on the caller's clock

    def take(self, client: bytes, now: float) -> float:
        """0, or the seconds after which the client may send its next request."""
        key = sha256(client).digest()
        used_until = max(self._used_until.pop(key, now), now)
        wait = used_until + self._each - (now + MINUTE)
        refused = wait > self._each / 1000  # seconds do not add up exactly
        self._used_until[key] = used_until if refused else used_until + self._each
        if len(self._used_until) > MOST_CLIENTS:
            self._forget(now)
        return wait if refused else 0.0

    def _forget(self, now: float) -> None:
        self._used_until = {key: used for key, used in self._used_until.items() if used > now}
        if len(self._used_until) > MOST_CLIENTS:
            self._used_until.pop(next(iter(self._used_until)))
