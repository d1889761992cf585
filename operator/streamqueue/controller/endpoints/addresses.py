"""Where a queue's Redis URL leads, seen from the operator's own namespace. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

# A name without dots: to a pod of the queue, a Service of the queue's own namespace.
_SERVICE = re.compile(r"(?!localhost\b|\d+\b)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


def as_pods_see_it(url: str, namespace: str) -> str:
    """The URL with Services' short names made `<name>.<namespace>`; any other host, or no URL, stays as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    login, at, addresses = parts.netloc.rpartition("@")
    seen = ",".join(_in_namespace(address, namespace) for address in addresses.split(","))
    return urlunsplit(parts._replace(netloc=f"{login}{at}{seen}"))


def _in_namespace(address: str, namespace: str) -> str:
    host, colon, port = address.partition(":")
    return f"{host}.{namespace}{colon}{port}" if _SERVICE.fullmatch(host) else address
