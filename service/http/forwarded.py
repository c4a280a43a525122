"""The client and the scheme of a request, as the proxies in front of the service report them.

    client --https--> proxy --http--> service
                      X-Forwarded-For: 203.0.113.7      appended by each proxy on the way
                      X-Forwarded-Proto: https

Any client can send these headers, so they count only where the peer of the connection is one of
DIGITSERVE_TRUSTED_PROXIES: the client is the last address that no trusted proxy has.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from service.settings import UNIX, TrustedProxy
from service.telemetry.request_record import Peer

FORWARDED_FOR, FORWARDED_PROTO = b"x-forwarded-for", b"x-forwarded-proto"


class TrustedProxies:
    """False if there are none, so that a request costs no more than that test."""

    def __init__(self, proxies: Sequence[TrustedProxy]) -> None:
        self._networks = [proxy for proxy in proxies if not isinstance(proxy, str)]
        self._unix = UNIX in proxies

    def __bool__(self) -> bool:
        return self._unix or bool(self._networks)

    def client_of(self, peer: Peer, headers: Iterable[tuple[bytes, bytes]]) -> Peer:
        """Names of headers are in lower case. The port of a forwarded client is unknown: 0."""
        client = peer
        values = [value for name, value in headers if name == FORWARDED_FOR]
        hops = b",".join(values).decode("latin-1").split(",")
        while hops and self._trusts(client):
            address = _address_of(hops.pop())
            if address is None:  # "unknown", or empty: what lies beyond cannot be known
                break
            client = address, 0
        return client

    def scheme_of(self, peer: Peer, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """http, or https if the proxy in front reports that."""
        values = [value for name, value in headers if name == FORWARDED_PROTO]
        last = b",".join(values).rpartition(b",")[2].strip().lower()
        return "https" if last == b"https" and self._trusts(peer) else "http"

    def _trusts(self, peer: Peer) -> bool:
        if peer is None:
            return self._unix
        address = ip_address(peer[0].partition("%")[0])  # less the zone of fe80::1%eth0
        mapped = address.ipv4_mapped if address.version == 6 else None
        return any((mapped or address) in network for network in self._networks)


def _address_of(hop: str) -> str | None:
    """Of 203.0.113.7, 203.0.113.7:80, 2001:db8::7 or [2001:db8::7]:80; None of anything else."""
    hop = hop.strip()
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return None if "%" in hop else str(ip_address(hop))  # a zone may be any text
    except ValueError:
        return None
