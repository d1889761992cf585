"""Runs the demo. Exit code 0: nothing lost, back at zero pods; 1: not so; 2: it could not be run."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from tests.cluster.handles import load
from tests.cluster.shell import HarnessError
from tests.demo.run import Run
from tests.demo.sample import Outcome, account
from tests.demo.screen import Screen
from tests.demo.stage import NAMESPACE, QUEUE, RESULTS, Stage
from tests.kube.chart import NAMESPACE as OPERATOR_NAMESPACE
from tests.kube.chart import HelmError
from tests.kube.footprint import MIB, Footprint, footprint
from tests.kube.kubectl import KubectlError
from tests.kube.view import View

COMMANDS = (
    f"kubectl -n {NAMESPACE} get streamqueues",
    f"kubectl -n {NAMESPACE} describe streamqueue {QUEUE}",
    f"kubectl -n {OPERATOR_NAMESPACE} logs deployment/streamqueue",
)


def main() -> int:
    console = Console()
    try:
        return demo(Stage(load()), console)
    except (HarnessError, KubectlError, HelmError, ConnectionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; the next run begins anew.", file=sys.stderr)
        return 130


def demo(stage: Stage, console: Console) -> int:
    """Run it; the exit code."""
    console.print("Installing the chart, applying examples/llm ...")
    redis = stage.set()
    screen = Screen(console)
    run = Run(redis, View(stage.kubectl.kubeconfig, NAMESPACE), stage.kubectl, screen.note)
    with screen.open() as show:
        run.go(show)
    outcome = account(run.added, [row for _, row in redis.xrange(RESULTS)])
    console.print(table(run, outcome, footprint(stage.chart), stage.target_wait()))
    problems = complaints(run, outcome)
    for problem in problems:
        console.print(problem, style="red", soft_wrap=True)
    console.print("\nThe cluster stays up for a look around; three commands to try:")
    console.print('  eval "$(.venv/bin/python -m tests.cluster print-env)"   # once', highlight=False)
    for command in COMMANDS:
        console.print(f"  {command}", highlight=False, soft_wrap=True)
    return 1 if problems else 0


def table(run: Run, outcome: Outcome, cost: Footprint, target: str) -> Table:
    """What came out."""
    rows = Table("what", "value", title="One queue, from zero pods and back")
    for name, value in (
        ("tasks added", str(outcome.added)),
        ("results, distinct", str(outcome.distinct)),
        ("duplicates", str(outcome.duplicates)),
        ("lost", str(outcome.lost)),
        ("peak replicas", str(run.peak)),
        ("first task to first pod ready", seconds(run.first_pod)),
        ("p95 wait, added to started", f"{seconds(outcome.p95_wait)} (target {target})"),
        ("back at zero pods", seconds(run.zero)),
        ("operator, resident memory", f"{cost.rss / MIB:.0f} MiB"),
        ("operator, image", f"{cost.image / MIB:.0f} MiB"),
    ):
        rows.add_row(name, value)
    return rows


def seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} s"


def complaints(run: Run, outcome: Outcome) -> list[str]:
    """Why this run is no success."""
    found = []
    if outcome.lost:
        found.append(f"{outcome.lost} tasks were lost: they have no result")
    if run.zero is None:
        found.append("the queue did not come back to zero pods in time")
    if run.killed is None:
        found.append("no busy worker was found to kill: nothing was shown")
    return found


if __name__ == "__main__":
    sys.exit(main())
