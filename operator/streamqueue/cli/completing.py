"""The shell's completion; names of queues for it: quick, and silent where no cluster answers."""

from __future__ import annotations

import shutil
import subprocess

import click

from streamqueue.controller.kinds import STREAM_QUEUES

# The same for both names of the program, so that one completion serves both.
COMPLETION_VARIABLE = "_STREAMQUEUE_COMPLETE"
PATIENCE = 2.0  # seconds: somebody waits at a prompt


def queue_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The StreamQueues of the namespace meant. By kubectl: our own client takes longer to load than it to answer."""
    given = context.params
    kubectl = shutil.which("kubectl")
    if kubectl is None or given.get(parameter.name or "") or given.get("stream"):
        return []
    where = [f"--{name}={given[name]}" for name in ("namespace", "context") if given.get(name)]
    kind = f"{STREAM_QUEUES.plural}.{STREAM_QUEUES.group}"
    command = [kubectl, "get", kind, "--output=name", f"--request-timeout={PATIENCE:.0f}s", *where]
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; names are kubectl's to judge
            command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    names = [line.partition("/")[2] for line in done.stdout.splitlines()] if done.returncode == 0 else []
    return [name for name in names if name.startswith(incomplete)]
