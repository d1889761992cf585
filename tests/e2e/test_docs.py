"""Every `streamqueue` and `kubectl` command of the pages runs, in a namespace that has the queue they speak of."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs import PAGES, ROOT, commands
from tests.e2e.person import Person
from tests.e2e.queue import Queue
from tests.e2e.world import World
from tests.kube.chart import Chart
from tests.kube.redis_server import RedisServer
from tests.kube.view import View

pytestmark = pytest.mark.concurrent(long=True)

SHOP = "shop"
LOCAL = "redis://localhost:6379/0"
# What is run elsewhere, by how it begins.
ELSEWHERE = {
    "make ": "by CI and by people",
    "helm ": "tests/e2e/test_chart.py and test_upgrade.py",
    "kubectl apply --server-side -f dist/": "tests/e2e/test_chart.py",
    "kubectl delete deployment,": "it would take the operator away from the other tests",
    "kubectl port-forward service/documents-api": "tests/e2e/test_documents.py",
    "curl ": "tests/e2e/test_documents.py",
    ".venv/bin/python -m tests.cluster": "the harness itself",
    'eval "$(.venv': "the harness itself",
}
# Which may end with 1: doctor when something is wrong, and a question about a time before this operator's.
MAY_SAY_NO = (" doctor ", " --at ")


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


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=page_id)
def test_every_command_runs(page: Path, person: Person, orders: Queue) -> None:
    server = orders.client.connection_pool.connection_kwargs
    for line in commands(page):
        if line.startswith(tuple(ELSEWHERE)):
            continue
        typed = line.replace(LOCAL, f"redis://{server['host']}:{server['port']}/0")
        if typed.startswith("kubectl apply"):
            typed += " --dry-run=server"  # the examples' own tests run them
        done = person.types(typed)
        accepted = (0, 1) if any(words in typed for words in MAY_SAY_NO) else (0,)
        assert done.returncode in accepted, f"{page_id(page)}: {line}\n{done.stdout}{done.stderr}"
