"""Every `streamqueue` and `kubectl` command of the pages runs, in a namespace that has the queue they speak of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs import PAGES, ROOT, commands
from tests.e2e.person import Person
from tests.e2e.queue import Queue

pytestmark = pytest.mark.concurrent(long=True)

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
