"""Words that repeat: kopf, and our own first lists, tell of each try of a request for as long as it fails."""

from __future__ import annotations

import logging
import re
import time

INTERVAL = 300.0  # seconds
_WATCHES = ("kopf.", "streamqueue.controller.cluster.watch")
_TRY = re.compile(r"Request attempt #\S+ failed; will retry: ([^ ]+ [^ ?]+)\S* -> (\w+)|(full list failed: .*)")


class Repeats(logging.Filter):
    """For a handler: of each request that goes on failing for one cause, a word now and one every `INTERVAL`."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        found = _TRY.match(record.getMessage()) if record.name.startswith(_WATCHES) else None
        if found is None:
            return True
        now = time.monotonic()
        if now - self._told.get(found.groups(), -INTERVAL) < INTERVAL:
            return False
        self._told[found.groups()] = now
        return True
