"""Completion by the shell: alone, since it gives up after two seconds, and says nothing then."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.e2e.program import PROGRAM
from tests.e2e.world import World


def test_the_shell_completes_the_names_of_queues(world: World) -> None:
    world.queue("complete-me", scaling={"paused": True}).apply()
    kubectl = world.kubectl
    for line, offered in (
        (f"streamqueue peek -n {kubectl.namespace} compl", ["complete-me"]),
        (f"streamqueue scale -n {kubectl.namespace} compl", ["complete-me"]),
        (f"streamqueue peek -n {kubectl.namespace} zzz", []),
        ("streamqueue peek --redis redis://h --stream s compl", []),
    ):
        environment = {
            "KUBECONFIG": kubectl.kubeconfig,
            "PATH": f"{Path(kubectl.program).parent}:{os.environ['PATH']}",
            "_STREAMQUEUE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        }
        done = subprocess.run([PROGRAM], capture_output=True, text=True, env=os.environ | environment, timeout=60)
        assert [each.partition(",")[2] for each in done.stdout.split()] == offered, line
