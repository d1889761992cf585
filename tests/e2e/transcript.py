"""What a person types during an incident and what they read, kept word for word."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.person import Person
from tests.e2e.world import World

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


def write(page: Path, transcripts: list[Transcript]) -> None:
    """The page of all of them, in the order of their titles' numbers."""
    page.write_text("\n".join([HEAD, *(str(each) for each in sorted(transcripts, key=lambda each: each.title))]))
