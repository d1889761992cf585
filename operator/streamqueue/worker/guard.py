"""Whether an expired lease may be believed.

After a restart, a failover or a jump of Redis's clock every lease looks expired while its owner lives: claims then
rest for one visibility timeout, in which owners renew. A fresh process, or one that is back from a lost connection,
rests for a heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from streamqueue.streams.server import clock_of, life_of


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server says of itself at one moment: its `Life` and its clock."""

    token: str | None
    uptime: float  # seconds, at least
    time: float  # its clock, unix seconds


class ClaimGuard:
    """Times are seconds; `now` is this process's monotonic clock."""

    def __init__(self, visibility_timeout: float, now: float) -> None:
        self._visibility = visibility_timeout
        self._until = now + visibility_timeout / 3
        self._last: tuple[ServerState, float] | None = None
        self._was_lost = False

    def disturbed(self) -> None:
        """The connection was lost: owners may have lost theirs, too, and come back when it does."""
        self._was_lost = True

    def trusts(self, server: ServerState, now: float) -> bool:
        """Whether leases that are past their expiry have really been given up."""
        if self._last is None:
            self._until = max(self._until, now + self._visibility - server.uptime)
        elif self._changed(server, now):
            self._until = now + self._visibility
        if self._was_lost:
            self._until = max(self._until, now + self._visibility / 3)
        self._was_lost = False
        self._last = (server, now)
        return now >= self._until

    def _changed(self, server: ServerState, now: float) -> bool:
        assert self._last is not None
        before, then = self._last
        jump = (server.time - before.time) - (now - then)
        return server.token != before.token or abs(jump) > self._visibility / 4


async def read_server(client: Redis) -> ServerState:
    """Raises RedisProblem."""
    now = await clock_of(client)
    return ServerState(*await life_of(client), now)
