"""Tokens for passwords: the user's password is the token, and it changes under live connections.

The source stands in for Entra ID; what it gives are redis-py's own tokens, by the interface of redis-entraid.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from collections.abc import AsyncIterator

import jwt
import pytest
from redis.asyncio import Redis
from redis.auth.err import RequestTokenErr
from redis.auth.idp import IdentityProviderInterface
from redis.auth.token import JWToken, TokenInterface

from streamqueue.api.spec import RedisAuth
from streamqueue.streams import ProblemKind, RedisProblem, Snapshot, connect
from streamqueue.streams.connection import credentials, credentials_for
from streamqueue.streams.connection.credentials import TokenCredentials
from tests.redis.connections import steps
from tests.redis.queue import Queue
from tests.redis.servers.process import RunningServer
from tests.redis.worker.pod import until

# The server does no more than AUTH here.
pytestmark = pytest.mark.on("redis-6.0", "valkey-9.1")

USER = "0b4d7a6c-object-id"


class Source(IdentityProviderInterface):
    """Each token is new, and of the server's user at once; `failing` or `hanging`: none is given."""

    def __init__(self, port: int, lifetime: float = 3600.0) -> None:
        self.given: list[str] = []
        self.asked = 0
        self.failing = False
        self.hanging = threading.Event()
        self.hanging.set()
        self.lifetime = lifetime
        self._port = port

    def request_token(self, force_refresh: bool = False) -> TokenInterface:
        self.asked += 1
        self.hanging.wait(timeout=20)
        if self.failing:
            raise RequestTokenErr(ValueError("no route to the metadata service"))
        claims = {"oid": USER, "exp": int(time.time() + self.lifetime) + 1, "iat": time.time(), "n": self.asked}
        token = JWToken(jwt.encode(claims, "k" * 32))
        asyncio.run(self._accept(token.get_value()))
        self.given.append(token.get_value())
        return token

    async def _accept(self, token: str) -> None:
        """The server takes this token, and the one before, which hasn't ended yet; no other."""
        valid = [f">{each}" for each in (*self.given[-1:], token)]
        async with Redis(port=self._port, protocol=2) as admin:
            await admin.execute_command("ACL", "SETUSER", USER, "reset", "on", *valid, "~*", "+@all")


@pytest.fixture
def source(shared_server: RunningServer) -> Source:
    return Source(shared_server.port)


@pytest.fixture
async def client(redis: Redis, shared_server: RunningServer, source: Source) -> AsyncIterator[Redis]:
    await Queue(redis).create()
    async with connect(shared_server.url, credentials=TokenCredentials(lambda: source)) as client:
        yield client
    await redis.execute_command("ACL", "DELUSER", USER)


async def test_the_first_connection_logs_in_with_a_token(client: Redis, source: Source) -> None:
    assert isinstance(await steps.look(client), Snapshot)
    assert await client.execute_command("ACL", "WHOAMI") == USER.encode()
    assert source.asked == 1


async def test_a_live_connection_is_authenticated_anew(client: Redis, source: Source, redis: Redis) -> None:
    source.lifetime = 1.0
    await steps.look(client)
    connection = await client.client_id()
    await until(lambda: source.asked > 2, "tokens were renewed")
    await redis.execute_command("CONFIG", "RESETSTAT")
    assert isinstance(await steps.look(client), Snapshot)
    assert await client.client_id() == connection
    assert (await redis.info("commandstats"))["cmdstat_auth"]["calls"] >= 1


async def test_a_renewal_that_fails_is_tried_again_and_again(
    client: Redis, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FIRST_PAUSE", 0.05)
    source.lifetime = 1.0
    await steps.look(client)
    source.failing = True
    before = source.asked
    await until(lambda: source.asked > before + 3, "more tries than redis-entraid's own three")
    source.failing = False
    given = len(source.given)
    await until(lambda: len(source.given) > given, "a token came in the end")
    assert isinstance(await steps.look(client), Snapshot)


async def test_a_source_that_hangs_holds_up_nothing_else(client: Redis, source: Source, redis: Redis) -> None:
    source.hanging.clear()
    looking = asyncio.create_task(steps.look(client))
    await until(lambda: source.asked, "the source was asked")
    started = time.monotonic()
    assert isinstance(await steps.look(redis), Snapshot)
    assert time.monotonic() - started < 1.0
    answer = await looking
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.AUTH
    source.hanging.set()
    await until(lambda: source.given, "the token came")
    assert isinstance(await steps.look(client), Snapshot)


async def test_a_token_that_the_server_refuses_is_renewed(client: Redis, source: Source, redis: Redis) -> None:
    await steps.look(client)
    await redis.execute_command("ACL", "SETUSER", USER, "resetpass", ">another")
    await client.connection_pool.disconnect()
    answer = await steps.look(client)
    assert isinstance(answer, RedisProblem) and answer.kind is ProblemKind.AUTH
    await until(lambda: source.asked == 2, "the token was renewed")
    await until(lambda: len(source.given) == 2, "the token was given")
    assert isinstance(await steps.look(client), Snapshot)


async def test_each_event_loop_of_a_program_has_a_token_and_renews_it(
    source: Source, redis: Redis, shared_server: RunningServer
) -> None:
    """One after the other, as where asyncio.run() is called twice: by a parent of several processes, say."""
    tokens = TokenCredentials(lambda: source)
    source.lifetime = 1.0

    async def renewed() -> None:
        async with connect(shared_server.url, credentials=tokens) as client:
            assert await client.execute_command("ACL", "WHOAMI") == USER.encode()
            asked = source.asked
            await until(lambda: source.asked > asked + 1, "tokens were renewed", 10)

    for _ in range(2):
        await asyncio.to_thread(lambda: asyncio.run(renewed()))
    await redis.execute_command("ACL", "DELUSER", USER)


async def test_event_loops_that_wait_for_a_token_at_once_both_get_one(source: Source, redis: Redis) -> None:
    """As two synchronous producers of one program do, each in its thread."""
    tokens = TokenCredentials(lambda: source)
    source.hanging.clear()

    async def login() -> tuple[str, str]:
        return await tokens.get_credentials_async()

    asking = [asyncio.create_task(asyncio.to_thread(lambda: asyncio.run(login()))) for _ in range(2)]
    await until(lambda: source.asked == 2 or any(each.done() for each in asking), "both wait")
    source.hanging.set()
    assert [user for user, _ in await asyncio.gather(*asking)] == [USER, USER]
    await redis.execute_command("ACL", "DELUSER", USER)


async def test_a_user_in_the_url_and_tokens_contradict(source: Source) -> None:
    with pytest.raises(RedisProblem) as caught:
        connect("rediss://user:pw@localhost", credentials=TokenCredentials(lambda: source))
    assert caught.value.kind is ProblemKind.BAD_URL


def test_the_package_of_the_tokens_has_what_is_used() -> None:
    """What runs on Azure, up to the question who we are."""
    provider = importlib.import_module("redis_entraid.identity_provider").DefaultAzureCredentialProvider
    assert issubclass(provider, IdentityProviderInterface)
    assert isinstance(credentials_for(RedisAuth.ENTRA), TokenCredentials)
    assert credentials_for(RedisAuth.PASSWORD) is None
