"""The person of docs/security.md: the command line works with exactly those rights, and with none of them fewer."""

from __future__ import annotations

import json
from pathlib import Path

from redis.asyncio import Redis

from tests.redis.cli.conftest import Cli
from tests.redis.cli.test_simulate import MANIFEST
from tests.redis.queue import Queue, kill
from tests.redis.servers.process import RunningServer
from tests.redis.test_rights import PASSWORD, rights, user


async def use(cli: Cli, admin: Redis, manifest: Path) -> None:
    """Each command that the rights are for."""
    await admin.flushall()
    await admin.xadd("orders-eu", {"a": "b"})
    assert "there is orders-eu" in (await cli.doctor())["no-stream"]["cause"]
    queue = Queue(admin)
    await queue.create()
    await kill(queue, 3)
    entry, waiting = await queue.add(2)
    await queue.read(count=1)
    await admin.script_flush()  # as after a restart
    for words in (["status"], ["explain", entry], ["pending"], ["peek"], ["peek", "--newest"], ["result", waiting]):
        await cli(*words, "-o", "json")
    (letter, other, _) = await cli.json("dlq", "ls")
    await cli("dlq", "show", letter["letter"])
    assert (await cli.doctor()).keys() == {"dead-letters"}
    (diagnosis,) = json.loads((await cli.call("doctor", "-o", "json")).out)
    assert "persistence" in [each["check"] for each in diagnosis["findings"]]
    await cli("send", "a=b")
    await cli("send", "--task-id", "order-17", "a=b")
    await cli("send", "--task-id", "order-17", "a=b")
    await cli("send", "--delay", "10m", "a=b")
    await cli("dlq", "redrive", "--id", letter["letter"])
    await cli("dlq", "purge", "--id", other["letter"])
    await cli("replay", "--id", entry)
    await cli("replay", "--from", "1h", "--into", "{orders}:mended")
    await cli("simulate", "-f", str(manifest), "--from-stream", "--service", "1s", "--only")


async def test_each_right_is_needed_and_all_of_them_do(
    cli: Cli, redis: Redis, shared_server: RunningServer, tmp_path: Path
) -> None:
    manifest = tmp_path / "queue.yaml"
    manifest.write_text(MANIFEST)
    server, url = shared_server.server.name, shared_server.url
    cli.url = url.replace("://", f"://app:{PASSWORD}@")
    words = rights("person", server)
    async with user(redis, url, server, words):
        await use(cli, redis, manifest)
    if server != "redis-7.0":
        return  # the commands are the same on all
    spare = []
    for word in words:
        async with user(redis, url, server, [other for other in words if other != word]):
            try:
                await use(cli, redis, manifest)
            except (AssertionError, KeyError):
                continue
        spare.append(word)
    assert not spare, "rights that nothing needs"
