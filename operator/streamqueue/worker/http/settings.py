"""Where the handler is and how it gets its tasks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from streamqueue.worker.errors import SettingsError

JSON = "application/json"
DEFAULT_URL = "http://127.0.0.1:8080/"


@dataclass(frozen=True, slots=True)
class Target:
    """`body_field`: the field that is the body as it stands, of type `content_type`; None: all fields as JSON."""

    url: str
    body_field: str | None = None
    content_type: str = JSON

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Target:
        """`STREAMQUEUE_HANDLER_URL`, `_BODY_FIELD` and `_BODY_CONTENT_TYPE`. Raises SettingsError."""
        url = environment.get("STREAMQUEUE_HANDLER_URL", DEFAULT_URL)
        if not _is_usable(url):
            raise SettingsError("STREAMQUEUE_HANDLER_URL must be http://host:port/path, as in http://127.0.0.1:8080/")
        content_type = environment.get("STREAMQUEUE_BODY_CONTENT_TYPE") or JSON
        return cls(url, environment.get("STREAMQUEUE_BODY_FIELD") or None, content_type)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        # Of a login the log would tell.
        return parts.scheme == "http" and bool(host) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:  # a UnicodeError is one
        return False
