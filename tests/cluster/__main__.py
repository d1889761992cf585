"""`python -m tests.cluster up|images|node-autoscaler|keda|down|status|print-env|pytest-args`."""

import argparse
import fcntl
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from tests.cluster import keda, node_autoscaler
from tests.cluster.down import down
from tests.cluster.handles import load
from tests.cluster.plan import Stage
from tests.cluster.settings import CACHE, CLUSTER
from tests.cluster.shell import HarnessError
from tests.cluster.status import status
from tests.cluster.up import bundle, images, up

COMMANDS = {
    "up": "bring up Docker, the tools, the images and the cluster",
    "images": "build the project's images; load them where there is a cluster",
    "node-autoscaler": "build Karpenter and KWOK for the tests that need a node autoscaler",
    "keda": "build KEDA for the benchmark that runs beside it",
    "down": "delete the cluster and the project's images",
    "status": "say what is there",
    "print-env": "print the variables for `eval` in a shell",
    "pytest-args": "print pytest-kind's options for this cluster",
}


def main() -> int:
    """The exit code: 0, or 2 where something is missing or failed, after one line that says what to do."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in COMMANDS.items():
        commands.add_parser(name, help=help_text)
    command = parser.parse_args().command
    console = Console(stderr=command in ("print-env", "pytest-args"))
    try:
        execute(command, console)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    return 0


def execute(command: str, console: Console) -> None:
    """Run one command."""
    if command == "print-env":
        print(load().exports())
    elif command == "pytest-args":
        print(shlex.join(load().pytest_arguments()))
    elif command == "status":
        console.print(status())
    else:
        with only_one(console):
            change(command, console)


def change(command: str, console: Console) -> None:
    """Run one of the commands that must not run twice at once."""
    if command == "up":
        handles = up(console)
        console.print(f"The cluster {CLUSTER} is ready: export KUBECONFIG={handles.kubeconfig}", soft_wrap=True)
    elif command == "images":
        changed = images(console)
        console.print(f"Built {', '.join(changed)}." if changed else "All images are up to date.")
    elif command == "node-autoscaler":
        bundle(console, node_autoscaler.BUNDLE, Stage.NODE_AUTOSCALER)
    elif command == "keda":
        bundle(console, keda.BUNDLE, Stage.KEDA)
    else:
        for line in down():
            console.print(line, soft_wrap=True)


@contextmanager
def only_one(console: Console) -> Iterator[None]:
    """Wait until no other run of the harness changes anything."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print("Another run of the harness is under way; waiting for it.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
