"""What a person types during an incident and what they read, kept word for word."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.person import Person
from tests.e2e.queue import Queue
from tests.e2e.world import World
from tests.kube.redis_server import RedisServer

HEAD = """\
# Five incidents

Each was made on a real cluster and mended with `kubectl get sq` and the command line alone. `make incidents` makes them
again and writes this page; the end-to-end tests check that each answer names the cause.
"""


class Transcript(Person):
    """Commands as they are shown, and what is said in between."""

    def __init__(self, world: World, title: str, folder: Path) -> None:
        super().__init__(world, folder)
        self.title = title
        self.parts: list[str] = []

    def tell(self, sentence: str) -> None:
        self.parts.append(sentence)

    def run(self, line: str, code: int = 0) -> str:
        """Type it; what it printed. It must end with this exit code."""
        done = self.types(line)
        assert done.returncode == code, done
        said = (done.stdout + done.stderr).rstrip()
        self.parts.append(f"```console\n$ {line}\n{said}\n```")
        return said

    def __str__(self) -> str:
        return "\n\n".join([f"## {self.title}", *self.parts]) + "\n"


class Incidents:
    """Opens transcripts, and keeps them for the page. Its Redis keeps what it has, so that nothing else is wrong."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world, self._folder = world, folder
        self.server = RedisServer(world.kubectl, "redis-incidents", durable=True)
        self.all: list[Transcript] = []

    @cached_property
    def redis(self) -> Any:
        return self.server.wait()

    def open(self, title: str) -> Transcript:
        self.all.append(Transcript(self._world, title, self._folder))
        return self.all[-1]

    def queue(self, name: str, **spec: Any) -> Queue:
        return self._world.queue(name, self.server, self.redis, **spec)


@pytest.fixture(scope="session")
def incidents(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, world: World
) -> Iterator[Incidents]:
    opened = Incidents(world, tmp_path_factory.mktemp("incidents"))
    opened.server.create()
    assert opened.redis.ping()
    yield opened
    page = request.config.getoption("--incidents")
    if page and not request.session.testsfailed:
        write(Path(page), opened.all)


def write(page: Path, transcripts: list[Transcript]) -> None:
    """The page of all of them, in the order of their titles' numbers."""
    page.write_text("\n".join([HEAD, *(str(each) for each in sorted(transcripts, key=lambda each: each.title))]))
