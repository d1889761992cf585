"""Somebody at a terminal, with a kubeconfig whose namespace is the world's."""

from __future__ import annotations

import os
import secrets
import shlex
import subprocess
import sys
from pathlib import Path

import yaml

from tests.e2e import program
from tests.e2e.world import World


class Person:
    """`folder` is where they are; their kubeconfig lies there too."""

    def __init__(self, world: World, folder: Path) -> None:
        config = yaml.safe_load(Path(world.kubectl.kubeconfig).read_text())
        config["contexts"][0]["context"]["namespace"] = world.kubectl.namespace
        kubeconfig = folder / f"kubeconfig-{secrets.token_hex(2)}"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(yaml.safe_dump(config))
        programs = [Path(world.kubectl.program).parent, Path(sys.executable).parent]
        path = os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)])
        self._folder = folder
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": path, "COLUMNS": "160"}

    def file(self, name: str, text: str) -> None:
        """A file that a command names."""
        (self._folder / name).write_text(text)

    def types(self, line: str) -> subprocess.CompletedProcess[str]:
        """One command, without a shell; however it ends."""
        words = shlex.split(line)
        if words[0] == "streamqueue":
            return program.call(words[1:], self._environment, self._folder)
        return subprocess.run(
            words, capture_output=True, text=True, env=self._environment, cwd=self._folder, timeout=120
        )
