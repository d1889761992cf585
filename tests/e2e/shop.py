"""The namespace that the pages of docs/ speak of, with the queue `orders` and somebody who types.

Its fixtures stand apart from their test, so that tests that run side by side can ask for them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.docs import ROOT
from tests.e2e.person import Person
from tests.e2e.queue import Queue
from tests.e2e.world import World
from tests.kube.chart import Chart
from tests.kube.redis_server import RedisServer
from tests.kube.view import View

SHOP = "shop"


@pytest.fixture(scope="session")
def shop(chart: Chart) -> Iterator[World]:
    """The namespace of the pages, with a Redis of its own."""
    kubectl = chart.kubectl.into(SHOP)
    kubectl("delete", "namespace", SHOP, "--ignore-not-found")
    kubectl("create", "namespace", SHOP)
    server = RedisServer(kubectl, "store")
    server.create()
    yield World(kubectl, chart, View(kubectl.kubeconfig, SHOP), server)
    kubectl("delete", "namespace", SHOP, "--wait=false")


@pytest.fixture(scope="session")
def orders(shop: World) -> Queue:
    """The queue of the pages, with some work done."""
    queue = shop.queue("orders", scaling={"maxReplicas": 5}).apply()
    queue.await_results(queue.add(3, sku="17"), 120)
    return queue


@pytest.fixture(scope="session")
def person(shop: World, orders: Queue, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody in a folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "tasks.jsonl").write_text('{"sku": "18"}\n')
    (folder / "queue.yaml").write_text(json.dumps(orders.body))
    scaled, deployment = (ROOT / "tests/unit/cli/keda/lag.yaml").read_text().split("---\n")
    (folder / "scaledobject.yaml").write_text(scaled)
    (folder / "deployment.yaml").write_text(deployment)
    (folder / "arrivals.csv").write_text("arrival,service\n" + "".join(f"{n},1\n" for n in range(60)))
    shutil.copytree(ROOT / "examples", folder / "examples")
    return Person(shop, folder)
