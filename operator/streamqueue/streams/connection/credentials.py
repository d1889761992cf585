"""Tokens for passwords: fetched beside the loop, renewed before they expire, for ever.

redis-entraid's own manager fetches inside the event loop and gives up after three failures in a row; its identity
providers are used here, its manager isn't.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.util import find_spec

from redis.auth.idp import IdentityProviderInterface
from redis.auth.token import TokenInterface
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from streamqueue.api.spec import RedisAuth
from streamqueue.streams.errors import ProblemKind, RedisProblem

SCOPE = "https://redis.azure.com/.default"
PATIENCE = 4.0  # seconds that a connection waits for the first token
FETCH_TIMEOUT = 30.0  # seconds
MARGIN = 180.0  # seconds before its end that a token is renewed at the latest
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between failed fetches

log = logging.getLogger(__name__)


class TokenCredentials(CredentialProvider):
    """The token that `source` gives, for connections: each is authenticated anew before its next command once
    `version` has moved. `source` is called in a thread, where it may block.

    A program may have several event loops, at once or one after the other: each has a token of its own.
    """

    def __init__(self, source: Callable[[], IdentityProviderInterface]) -> None:
        self._source = source
        self._kept: dict[asyncio.AbstractEventLoop, _KeptToken] = {}

    @property
    def version(self) -> int:
        return self._here.version

    async def get_credentials_async(self) -> tuple[str, str]:
        """User and token. Raises AuthenticationError where none can be had in time; the fetching goes on."""
        return await self._here.login()

    def refused(self) -> None:
        """The server takes the token no more: it is renewed now."""
        self._here.refused()

    @property
    def _here(self) -> _KeptToken:
        loop = asyncio.get_running_loop()
        if loop not in self._kept:
            for each in list(self._kept):
                if each.is_closed():
                    self._kept.pop(each, None)
            self._kept[loop] = _KeptToken(self._source)
        return self._kept[loop]


class _KeptToken:
    """The token of one event loop."""

    def __init__(self, source: Callable[[], IdentityProviderInterface]) -> None:
        self.version = 0
        self._source = source
        self._provider: IdentityProviderInterface | None = None
        self._token: TokenInterface | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._fetched = asyncio.Event()
        self._refused = asyncio.Event()

    async def login(self) -> tuple[str, str]:
        if self._keeper is None or self._keeper.done():
            self._keeper = asyncio.create_task(self._keep())
        if self._token is None or self._token.is_expired():
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._fetched.wait()
            except TimeoutError:
                raise AuthenticationError("no token") from None
        assert self._token
        return self._token.try_get("oid"), self._token.get_value()

    def refused(self) -> None:
        self._refused.set()

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                # Not wait_for, which before Python 3.12 forgets a cancellation that comes just after the answer.
                async with asyncio.timeout(FETCH_TIMEOUT):
                    self._token = await self._fetch()
            except Exception as error:
                # The text of the error isn't ours to show: it may quote what was sent.
                log.warning("no token for Redis: %s; trying again", type(error).__name__)
                failures += 1
                if self._token is None or self._token.is_expired():
                    self._fetched.clear()
                await asyncio.sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10)) * _jitter())
                continue
            failures = 0
            self.version += 1
            self._fetched.set()
            self._refused.clear()
            try:
                async with asyncio.timeout(_until_renewal(self._token)):
                    await self._refused.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(FIRST_PAUSE)  # a server that refuses every token mustn't make us ask all the time

    async def _fetch(self) -> TokenInterface:
        """In a thread that nobody waits for at the end of the process."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[TokenInterface] = loop.create_future()

        def settle(token: TokenInterface | None, error: Exception | None) -> None:
            if answer.done():
                return
            if token:
                answer.set_result(token)
            elif error:
                answer.set_exception(error)

        def fetch() -> None:
            token, failure = None, None
            try:
                self._provider = self._provider or self._source()
                token = self._provider.request_token(force_refresh=True)
            except Exception as error:
                failure = error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, token, failure)

        threading.Thread(target=fetch, name="redis-token", daemon=True).start()
        return await answer


def credentials_for(auth: RedisAuth) -> CredentialProvider | None:
    """None: what the URL holds. Raises RedisProblem where the tokens' package is missing."""
    return _entra() if auth is RedisAuth.ENTRA else None


@cache
def _entra() -> TokenCredentials:
    """One for all connections of the process: they log in as one identity."""
    if not find_spec("redis_entraid"):
        raise RedisProblem(ProblemKind.UNSUPPORTED, "redis.auth entra needs a package: pip install streamqueue[entra]")
    return TokenCredentials(_azure)


def _azure() -> IdentityProviderInterface:
    from azure.identity import DefaultAzureCredential
    from redis_entraid.identity_provider import DefaultAzureCredentialProvider

    provider: IdentityProviderInterface = DefaultAzureCredentialProvider(DefaultAzureCredential(), (SCOPE,))
    return provider


def _until_renewal(token: TokenInterface) -> float:
    """Seconds; with jitter, so that a fleet doesn't ask all at once."""
    left = max(0.0, token.ttl() / 1000)
    return (left - MARGIN if left > 2 * MARGIN else left / 2) * _jitter()


def _jitter() -> float:
    return random.uniform(0.8, 1.0)  # noqa: S311
