"""A TCP proxy that loses replies, or everything, on demand."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import suppress
from types import TracebackType


class Proxy:
    """`async with Proxy(port) as proxy`: forwards `proxy.url` to 127.0.0.1:port.

    `lose_reply = n` drops the n-th reply from now and closes that connection, after the server has done the work;
    `loss` is the chance, drawn from `chance`, that any reply meets this end.
    `cut()` closes every connection; each piece waits `delay` seconds before it is passed on.
    `silence()` swallows what passes in either direction without closing: a cut by a firewall.
    `hold(text)` keeps the next request with this text, and closes its connection to the client: the network still has
    it. `let_go()` delivers it, late.
    `answers`: replies that the proxy gives by itself to requests that begin so; `answered`: how often it did.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.lose_reply = 0
        self.loss = 0.0
        self.chance = random.Random()
        self.lost = 0
        self.connections = 0
        self.delay = 0.0
        self.answers: dict[bytes, bytes] = {}
        self.answered = 0
        self._held_text = b""
        self._held: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._silenced: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.close()

    def lead_to(self, port: int) -> None:
        """What connects from now on is led there; what is connected is cut."""
        self.lead_new_to(port)
        self.cut()

    def lead_new_to(self, port: int) -> None:
        """The same, and what is connected stays: as a Service does, or a name with another address."""
        self._target = port

    def cut(self) -> None:
        """Close what is connected now, wherever a request or its reply is."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def reset(self) -> None:
        """The same, as balancers do to connections that were idle for long: without a goodbye."""
        for writer in self._writers:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    def silence(self) -> None:
        """What is connected now gets no answer any more, and no word of it."""
        self._silenced |= self._writers

    def hold(self, text: str) -> None:
        self._held_text = text.encode()

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    async def let_go(self) -> None:
        for sink, data in self._held:
            with suppress(ConnectionError):  # what was cut meanwhile is lost
                sink.write(data)
                await sink.drain()
        self._held.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except ConnectionError:
            writer.close()
            return
        self._writers |= {writer, up_writer}
        for source, sink, replies in ((reader, up_writer, False), (up_reader, writer, True)):
            task = asyncio.create_task(self._pump(source, sink, replies, (writer, up_writer)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        replies: bool,
        both: tuple[asyncio.StreamWriter, ...],
    ) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if sink in self._silenced:
                    continue
                if not replies and self._held_text and self._held_text in data:
                    self._held_text = b""
                    self._held.append((sink, data))
                    both[0].close()
                    return
                if not replies and (own := [self.answers[text] for text in self.answers if data.startswith(text)]):
                    self.answered += 1
                    both[0].write(own[0])
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                if replies and self._is_lost():
                    self.lost += 1
                    break
                sink.write(data)
                await sink.drain()
        if not any(sink is held for held, _ in self._held):
            for writer in both:
                writer.close()

    def _is_lost(self) -> bool:
        if self.lose_reply:
            self.lose_reply -= 1
            return not self.lose_reply
        return self.loss > 0 and self.chance.random() < self.loss
