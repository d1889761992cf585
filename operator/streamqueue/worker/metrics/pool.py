"""The metrics of a pod with several processes: each writes a row of memory that all share, and all listen at one port.

Whoever is asked sums the rows. What a process had counted when it died stays in its row, for the next in its place.
"""

from __future__ import annotations

import logging
import mmap
import socket
from collections.abc import Sequence

from streamqueue.worker.metrics.exposition import GAUGES, WIDTH

log = logging.getLogger(__name__)


class Pool:
    """Made before the processes are forked, with a place for each. `listening` is their socket, None where the port is
    taken.
    """

    def __init__(self, places: int, port: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, places * WIDTH * 8)).cast("d")
        self._places = places
        self.listening = listen(port)

    def row(self, place: int) -> Row:
        """Of the process that begins in this place; to be called by it."""
        return Row(self._cells[place * WIDTH : (place + 1) * WIDTH], self)

    def total(self) -> list[float]:
        return [sum(self._cells[column::WIDTH]) for column in range(WIDTH)]


class Row:
    def __init__(self, cells: memoryview[float], pool: Pool) -> None:
        self._cells = cells
        self._before = [0.0 if column in GAUGES else value for column, value in enumerate(cells)]
        self.pool = pool
        self.write([0.0] * WIDTH)

    def write(self, values: Sequence[float]) -> None:
        """What this process has measured since it began."""
        for column, (before, value) in enumerate(zip(self._before, values, strict=True)):
            self._cells[column] = before + value


def listen(port: int) -> socket.socket | None:
    """On all addresses; None, which is logged, where the port is taken."""
    both = socket.has_dualstack_ipv6()
    try:
        return socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
    except OSError as exc:
        log.error("metrics are not served: port %d: %s", port, exc.strerror or exc)  # noqa: TRY400 - one line
        return None
