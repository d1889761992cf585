"""A worker that was forked: told to go by SIGTERM, and by a line from its parent."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from streamqueue.worker.process import Serving


@dataclass
class Child:
    """SIGTERM is one word, however often it comes: an init that signals the whole group tells the child as well as its
    parent, who passes it on. The second word is a byte on `line`, which all children share, so that none takes it off.
    The line of a parent that died ends: then nobody else would say the first.
    """

    worker: Serving
    line: socket.socket
    _is_told: bool = False

    async def serve(self) -> None:
        asyncio.get_running_loop().add_reader(self.line, self._hear)
        await self.worker.serve()

    def stop(self) -> None:
        if not self._is_told:
            self._is_told = True
            self.worker.stop()

    def _hear(self) -> None:
        asyncio.get_running_loop().remove_reader(self.line)
        self.stop()
        if self.line.recv(1, socket.MSG_PEEK):
            self.worker.stop()
