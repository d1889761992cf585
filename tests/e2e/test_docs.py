"""Every `streamqueue` and `kubectl` command of the pages runs, on a cluster that has the queue they speak of."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.docs import PAGES, ROOT, commands
from tests.e2e.person import Person
from tests.e2e.queue import Queue
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent(long=True)

LOCAL = "redis://localhost:6379/0"
# What belongs to another test, or changes more than one queue.
ELSEWHERE = {
    "make ": "the Makefile's targets are what CI and people run",
    "helm ": "tests/e2e/test_chart.py",
    "pip install": "the wheel is built and installed by the image",
    "python": "tests/redis and tests/unit/simulate",
    ".venv/bin/python -m tests.cluster": "the harness itself",
    'eval "$(.venv': "the harness itself",
}
FOUND = 1  # doctor's exit code when something is wrong


@pytest.fixture(scope="session")
def orders(world: World) -> Queue:
    """The queue of the pages: it holds what was done, what waits, and a dead letter."""
    queue = world.queue("orders", scaling={"maxReplicas": 5}).apply()
    queue.await_results(queue.add(3, sku="17"), 120)
    return queue


@pytest.fixture(scope="session")
def person(world: World, orders: Queue, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Somebody in a folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "tasks.jsonl").write_text('{"sku": "18"}\n')
    (folder / "arrivals.csv").write_text("".join(f"{second},2\n" for second in range(300)))
    (folder / "queue.yaml").write_text(json.dumps(orders.body))
    shutil.copytree(ROOT / "examples", folder / "examples")
    return Person(world, folder)


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=page_id)
def test_every_command_runs(page: Path, person: Person, orders: Queue) -> None:
    server = orders.client.connection_pool.connection_kwargs
    for line in commands(page):
        if line.startswith(tuple(ELSEWHERE)):
            continue
        typed = line.replace(LOCAL, f"redis://{server['host']}:{server['port']}/0").replace(" -n shop", "")
        done = person.types(typed)
        accepted = (0, FOUND) if " doctor " in typed else (0,)
        assert done.returncode in accepted, f"{page_id(page)}: {line}\n{done.stdout}{done.stderr}"
