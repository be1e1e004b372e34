"""Which addresses a webhook may be sent to: the open internet, and what an installation allows by name.

Asked of the address that is connected to, never of a name: names resolve differently a moment later. Every
way to write an IPv4 address inside an IPv6 one leads to the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FORBIDDEN: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(text), why)
    for text, why in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by carriers"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved, or broadcast"),
        ("::/128", "this host"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "translated to a local address"),
        ("100::/64", "discarded"),
        ("2001::/23", "reserved, or a tunnel"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "routing inside a network"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
METADATA = frozenset(
    map(
        ip_address,
        ("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16",
         "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    )
)  # fmt: skip
"""Where clouds hand credentials to whoever asks from inside."""

MAPPED, NAT64 = IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96")
CARRIERS = (MAPPED, NAT64, IPv6Network("::/96"), IPv6Network("::ffff:0:0:0/96"))
"""Their last 32 bits are an IPv4 address."""

PUBLIC = (IPv6Network("2000::/3"), MAPPED, NAT64)
ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def refusal(address: Address, allowed: Sequence[Network] = ()) -> str | None:
    """Say why nothing may be sent to an address, None when it may; `allowed` opens what is not public."""
    # INVARIANT: every form is asked about, or the address would be let through under another spelling.
    forms = [address, *_inside(address)]
    if any(form in METADATA for form in forms):
        return "a cloud's metadata service, which is never allowed"
    plain = forms[-1] if isinstance(address, IPv6Address) and address in MAPPED else address
    if any(plain.version == network.version and plain in network for network in allowed):
        return None
    for form in forms:
        for network, why in FORBIDDEN:
            if form.version == network.version and form in network:
                return why
    reached = address.version == 4 or any(address in network for network in PUBLIC)
    return None if reached else "not public"


def is_loopback(address: Address) -> bool:
    """Tell whether an address is this machine, in whatever form."""
    return any(form.is_loopback for form in (address, *_inside(address)))


def _inside(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address carries."""
    if isinstance(address, IPv4Address):
        return
    low = int(address) & 0xFFFF_FFFF
    if any(address in network for network in CARRIERS) or (int(address) >> 32) & 0xFFFF_FFFF in ISATAP:
        yield IPv4Address(low)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo


def read_networks(text: str) -> tuple[Network, ...]:
    """Read networks between commas; ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
