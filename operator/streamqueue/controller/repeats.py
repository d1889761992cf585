"""Words of kopf's that repeat: it tells of each try of a request, every few seconds for as long as that fails."""

from __future__ import annotations

import logging
import re
import time

INTERVAL = 300.0  # seconds
_TRY = re.compile(r"Request attempt #\S+ failed; will retry: (?P<request>[^ ]+ [^ ?]+)\S* -> (?P<error>\w+)")


class Repeats(logging.Filter):
    """For a handler: of each request that goes on failing for one cause, a word now and one every `INTERVAL`."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        found = _TRY.match(record.getMessage()) if record.name.startswith("kopf.") else None
        if found is None:
            return True
        now = time.monotonic()
        if now - self._told.get(found.groups(), -INTERVAL) < INTERVAL:
            return False
        self._told[found.groups()] = now
        return True
