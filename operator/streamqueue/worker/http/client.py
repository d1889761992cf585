"""The requests: one kept-alive connection per slot, nothing sent twice."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from streamqueue.worker.errors import HandlerCrash, Retry
from streamqueue.worker.http.event import Request

# Shorter than servers keep an idle connection (gunicorn 2 s, Node and uvicorn 5 s), or a request would meet its end.
KEEP_ALIVE = 1.0  # seconds
CONNECT = 5.0  # seconds: the handler is on the same machine
LARGEST_RESULT = 16 << 20  # bytes of a success that are read
LARGEST_ERROR = 4 << 10  # bytes of a failure


class NotListening(Exception):
    """Nothing accepted the connection: nothing was sent."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers`: names are compared without case. `body`: its beginning, all of it where `is_whole`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool


class Client:
    """`async with Client(url, slots) as client`."""

    def __init__(self, url: str, slots: int) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=slots, keepalive_timeout=KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT),  # the task's own time limit is around it
            cookie_jar=aiohttp.DummyCookieJar(),  # tasks share nothing
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "streamqueue"},
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, request: Request) -> Reply:
        """Raises NotListening, HandlerCrash where the connection broke, Retry where the answer is no HTTP."""
        try:
            return await self._post(request)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotListening from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as exc:
            raise HandlerCrash(f"the handler broke the connection before it had answered: {_words(exc)}") from None
        except aiohttp.ClientError as exc:
            raise Retry(f"the handler's answer is no HTTP: {_words(exc)}") from None

    async def _post(self, request: Request) -> Reply:
        # A stream of chunks, since a body of megabytes in one piece would hold up the loop.
        async with self._session.post(
            self._url, data=io.BytesIO(request.body), headers=request.headers, allow_redirects=False
        ) as response:
            most = LARGEST_RESULT if response.ok else LARGEST_ERROR
            body = await _read(response, most + 1)
            return Reply(response.status, response.headers, body[:most], len(body) <= most)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    parts: list[bytes] = []
    left = most
    while left and (part := await response.content.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _words(exc: aiohttp.ClientError) -> str:
    return f"{type(exc).__name__}: {exc}"[:200]
