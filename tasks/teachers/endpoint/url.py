"""Which URLs a teacher endpoint may have: no recipe makes this machine talk to its own network unless the operator said so."""

import os
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from tasks.core.errors import SettingsError, StageFailedError

HOSTS = "POTSTILL_ENDPOINT_HOSTS"
"""Environment variable of the operator: the only hosts that endpoints may be on, comma-separated; private ones and http too."""

_AZURE_PLATFORM = IPv4Address("168.63.129.16")  # answers like a metadata service, from a public address
_NAT64 = IPv6Network("64:ff9b::/96")


def check_url(url: str) -> bool:
    """Refuse a URL that is unsafe to send prompts and a key to.

    Args:
        url: Base URL of an endpoint.

    Returns:
        Whether it is on this machine.

    Raises:
        SettingsError: If it is no plain https URL (or http on this machine or a host of the operator's), if its host is not
            among the operator's, or if it is in a private, link-local or metadata network and the operator did not name it.
        StageFailedError: If the name service does not answer.
    """
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".")
    if _is_loopback(host):
        return True
    listed = {name.strip().lower() for name in os.environ.get(HOSTS, "").split(",") if name.strip()}
    if host in listed:
        return False
    if listed:
        raise SettingsError(f"the endpoint's host {host!r} is not one of the operator's ({HOSTS}={','.join(sorted(listed))})")
    if parts.scheme != "https":
        raise SettingsError(
            f"the endpoint {url!r} is not encrypted; use https, or http on this machine (127.0.0.1), "
            f"or let the operator list the host in the environment variable {HOSTS}"
        )
    for address in _addresses(host):
        if not _is_public(address):
            raise SettingsError(
                f"the endpoint's host {host!r} is at {address}, which is not a public address; "
                f"if it is meant, the operator lists the host in the environment variable {HOSTS}"
            )
    return False


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"the endpoint's URL cannot be read ({error}); give one such as https://host/v1") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise SettingsError("the endpoint's URL is not of the form https://host/path; give one such as https://host/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError("the endpoint's URL has a user name, a query or a fragment; leave them out and name the key instead")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _addresses(host: str) -> list[IPv4Address | IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise StageFailedError(f"the name service does not answer for the endpoint's host {host!r}; run again") from error
        raise SettingsError(f"the endpoint's host {host!r} does not exist ({error}); check the URL") from error
    return [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast and address != _AZURE_PLATFORM
