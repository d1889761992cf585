"""What a person types during an incident and what they read, kept word for word."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.e2e.world import World

HEAD = """\
# Five incidents

Each was made on a real cluster and mended with `kubectl get sq` and the command line alone. `make incidents` makes them
again and writes this page; the end-to-end tests check that each answer names the cause.
"""


@dataclass
class Transcript:
    """Commands run as they are shown, in the world's namespace."""

    world: World
    title: str
    folder: Path  # where they run
    parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = yaml.safe_load(Path(self.world.kubectl.kubeconfig).read_text())
        config["contexts"][0]["context"]["namespace"] = self.world.kubectl.namespace
        self._kubeconfig = self.folder / f"{self.title.replace(' ', '-')}.kubeconfig"
        self._kubeconfig.write_text(yaml.safe_dump(config))
        self._kubeconfig.chmod(0o600)

    def tell(self, sentence: str) -> None:
        self.parts.append(sentence)

    def file(self, name: str, text: str) -> None:
        """A file that a command names."""
        (self.folder / name).write_text(text)

    def run(self, line: str, code: int = 0) -> str:
        """Run `kubectl …` or `streamqueue …`; what it printed. It must end with this exit code."""
        programs = [Path(self.world.kubectl.program).parent, Path(sys.executable).parent]
        path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)])
        environment = {**os.environ, "KUBECONFIG": str(self._kubeconfig), "PATH": path, "COLUMNS": "160"}
        done = subprocess.run(
            shlex.split(line), capture_output=True, text=True, env=environment, cwd=self.folder, timeout=120
        )
        assert done.returncode == code, done
        said = (done.stdout + done.stderr).rstrip()
        self.parts.append(f"```console\n$ {line}\n{said}\n```")
        return said

    def __str__(self) -> str:
        return "\n\n".join([f"## {self.title}", *self.parts]) + "\n"


def write(page: Path, transcripts: list[Transcript]) -> None:
    """The page of all of them, in the order of their titles' numbers."""
    page.write_text("\n".join([HEAD, *(str(each) for each in sorted(transcripts, key=lambda each: each.title))]))
