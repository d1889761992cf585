"""How far a server's clock is from ours. Pure.

As in NTP: of the looks of the last minutes the one with the shortest round trip is the best measure. Two that can't
both be right tell of a clock that was set meanwhile, or of a failover to another server: the later one holds.
"""

from __future__ import annotations

from dataclasses import dataclass

KEEP = 300.0  # seconds after which a look is too old, however quick it was: clocks drift, and ours may be set back


@dataclass(slots=True)
class Skew:
    seconds: float = 0.0  # what to add to our time to get the server's
    _round_trip: float = float("inf")
    _measured: float = float("-inf")

    def note(self, sent: float, received: float, server: float) -> None:
        """One look: our times before and after it, and the server's in between; epoch seconds all."""
        round_trip = received - sent
        if round_trip < 0:
            return
        seconds = server - (sent + received) / 2
        agree = abs(seconds - self.seconds) <= (round_trip + self._round_trip) / 2
        if round_trip <= self._round_trip or not agree or not 0 <= received - self._measured <= KEEP:
            self.seconds = seconds
            self._round_trip, self._measured = round_trip, received
