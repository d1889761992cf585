"""Where a queue's Redis URL leads, seen from the operator's own namespace. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

# A name without dots: to a pod of the queue, a Service of the queue's own namespace.
_SERVICE = re.compile(r"(?!localhost\b|\d+\b)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?")


def as_pods_see_it(url: str, namespace: str) -> str:
    """The URL with a Service's short name made `<name>.<namespace>`; any other host, or no URL, stays as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    login, at, address = parts.netloc.rpartition("@")
    host, colon, port = address.partition(":")
    if not _SERVICE.fullmatch(host):
        return url
    return urlunsplit(parts._replace(netloc=f"{login}{at}{host}.{namespace}{colon}{port}"))
