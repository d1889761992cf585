"""Whether results reach the streams that they are for. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from streamqueue.controller.trouble import Trouble

PATIENCE = 10.0  # seconds for which a stream may take nothing: a failover is no news


@dataclass(slots=True)
class HandingOn:
    """What is remembered of outboxes between rounds."""

    failing: dict[str, Trouble] = field(default_factory=dict)  # streams that took nothing in the last pass
    _since: dict[str, float] = field(default_factory=dict)  # stream -> when it first took nothing

    def note(self, now: float) -> dict[str, Trouble]:
        """Of the streams that took nothing, those that have not for PATIENCE; `now` is monotonic."""
        self._since = {stream: self._since.get(stream, now) for stream in self.failing}
        return {stream: why for stream, why in self.failing.items() if now - self._since[stream] >= PATIENCE}
