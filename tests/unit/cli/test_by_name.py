"""By the queue's name, with a kubeconfig: what an API server's answers make of a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from aiohttp import web

from streamqueue.cli.main import run

LIST = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []}


@pytest.fixture
async def empty_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """An API server that holds nothing, and a kubeconfig whose context means the namespace `shop`."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(LIST)

    server = web.ServerRunner(web.Server(answer))
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    (file := tmp_path / "kubeconfig").write_text(
        yaml.safe_dump(
            {
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": "shop"}}],
                "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.addresses[0][1]}"}}],
                "users": [{"name": "test", "user": {}}],
            }
        )
    )
    monkeypatch.setenv("KUBECONFIG", str(file))
    yield
    await server.cleanup()


@pytest.mark.parametrize("command", ["status", "doctor"])
async def test_a_namespace_without_queues_is_no_good_news(
    empty_cluster: None, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(run, [command]) == 0
    assert capsys.readouterr() == ("", "No StreamQueues in namespace shop.\n")
    assert await asyncio.to_thread(run, [command, "-o", "json"]) == 0
    assert capsys.readouterr() == ("[]\n", "")
