"""The command line as a person on a laptop calls it: by kubeconfig alone."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e import program
from tests.e2e.queue import Queue
from tests.e2e.world import World


@dataclass(frozen=True)
class Cli:
    """`cli("status", "orders")` in the world's namespace; `said` is all that it ever printed."""

    world: World
    kubeconfig: str = ""
    said: list[str] = field(default_factory=list)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """However it ends."""
        kubectl = self.world.kubectl
        path = os.pathsep.join([str(Path(kubectl.program).parent), os.environ.get("PATH", os.defpath)])
        environment = {**os.environ, "KUBECONFIG": self.kubeconfig or kubectl.kubeconfig, "PATH": path}
        done = program.call([*words, "-n", kubectl.namespace], environment)
        self.said.append(done.stdout + done.stderr)
        return done

    def __call__(self, *words: str) -> str:
        """What it printed; it must succeed."""
        done = self.call(*words)
        assert done.returncode == 0, done
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-o", "json"))

    def refused(self, *words: str, code: int) -> str:
        """The one line it ended with."""
        done = self.call(*words)
        assert (done.returncode, done.stderr.count("\n")) == (code, 1), done
        return done.stderr

    def findings(self, queue: Queue) -> dict[str, dict[str, Any]]:
        """What doctor has to say of this queue, by check."""
        (diagnosis,) = json.loads(self.call("doctor", queue.name, "-o", "json").stdout)
        return {finding["check"]: finding for finding in diagnosis["findings"]}
