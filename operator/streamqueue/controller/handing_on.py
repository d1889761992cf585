"""Whether results reach the streams that they are for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamqueue.controller.assess import Trouble

PATIENCE = 10.0  # seconds for which a stream may take nothing: a failover is no news


@dataclass(slots=True)
class HandingOn:
    """What is remembered of outboxes between rounds."""

    _since: dict[str, float] = field(default_factory=dict)  # stream -> when it first took nothing

    def note(self, failing: Mapping[str, Trouble], now: float) -> dict[str, Trouble]:
        """Of the streams that took nothing in this pass, those that have not for PATIENCE; `now` is monotonic."""
        self._since = {stream: self._since.get(stream, now) for stream in failing}
        return {stream: why for stream, why in failing.items() if now - self._since[stream] >= PATIENCE}
