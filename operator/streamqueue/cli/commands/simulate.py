"""A queue's scaling on a trace, before it is rolled out."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.manifest import MANIFEST, which_option
from streamqueue.cli.options import SECONDS, Finite, Selection, document_option, queue_argument, queue_options
from streamqueue.cli.output import document
from streamqueue.cli.trial.load import Source, load
from streamqueue.cli.trial.types import NODES
from streamqueue.manifests import grace_period

if TYPE_CHECKING:
    from streamqueue.simulate.cluster import Nodes


@click.command(short_help="Try a scaling on a trace of arrivals, beside KEDA.")
@queue_argument()
@click.option("-f", "--file", type=MANIFEST, help="Manifest to try; by default QUEUE's own spec.")
@which_option
@click.option(
    "--trace",
    "csv",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV: arrival time, service seconds.",
)
@click.option("--from-stream", is_flag=True, help="Take the arrivals from the stream's own entries.")
@click.option("--since", metavar="WHEN", help="With --from-stream: from this id, time, or duration ago.")
@click.option(
    "--service", type=SECONDS, help="With --from-stream: how long a task takes, where no kept result tells it."
)
@click.option("--cold-start", type=SECONDS, default="15s", show_default=True, help="Median time until a pod is ready.")
@click.option(
    "--cold-start-sigma",
    "sigma",
    type=Finite(0, 3),
    default=0.0,
    show_default=True,
    help="How much that varies: sigma of a log-normal distribution.",
)
@click.option(
    "--nodes",
    type=NODES,
    help="Limited nodes: how many at first, pods on each, nodes at most, seconds until a new one is there (60).",
)
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Also draw it into this PNG file.")
@click.option("--only", is_flag=True, help="Leave KEDA out.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random numbers.")
@queue_options
@document_option
def simulate(
    selection: Selection,
    words: tuple[str, ...],
    file: Path | None,
    which: str | None,
    csv: Path | None,
    from_stream: bool,
    since: str | None,
    service: float | None,
    cold_start: float,
    sigma: float,
    nodes: Nodes | None,
    plot: Path | None,
    only: bool,
    seed: int,
    output: str,
) -> None:
    """Try a queue's scaling on a trace of arrivals, beside KEDA with its defaults and tuned for that trace."""
    from streamqueue.simulate.cluster import Cluster, ColdStart
    from streamqueue.simulate.compare import compare, late_after, report
    from streamqueue.simulate.figures import figures_of
    from streamqueue.simulate.plot import can_plot
    from streamqueue.simulate.plot import plot as draw
    from streamqueue.simulate.trace import TraceError

    if from_stream == (csv is not None):
        raise BadInput("give one of --trace CSV and --from-stream")
    if not from_stream and (since is not None or service is not None):
        raise BadInput("--since and --service belong to --from-stream")
    if which is not None and file is None:
        raise BadInput("--queue chooses a queue of -f FILE; name one in the cluster without it")
    if plot is not None and not plot.name:
        raise BadInput("--plot names no file: leave it out, or give one")
    if plot is not None and not can_plot():
        raise BadInput("--plot needs matplotlib: pip install 'streamqueue[simulate]'")
    if plot is not None and not plot.absolute().parent.is_dir():
        raise BadInput(f"--plot: there is no folder {str(plot.parent)!r}")
    try:
        queue, trace = load(selection, words, Source(file, which, csv, since, service, seed))
    except TraceError as error:
        raise BadInput(str(error)) from None
    if queue.scaling.paused:
        click.echo("scaling is paused by this spec: it is simulated as if it weren't", err=True)
        queue = replace(queue, scaling=replace(queue.scaling, paused=False))
    cold = ColdStart(cold_start, sigma)
    grace, reclaim = grace_period(queue.handler), queue.delivery.visibility_timeout
    cluster = Cluster(cold, queue.handler.concurrency, grace, reclaim, nodes)
    try:
        outcomes = compare(queue, trace, cluster, alone=only, seed=seed)
    except ChildProcessError as error:
        raise Failure(str(error)) from None
    target = late_after(queue)
    if output in ("json", "yaml"):
        figures = {name: figures_of(trace, each, target, cluster.concurrency) for name, each in outcomes.items()}
        document([{"law": name} | _finite(asdict(each)) for name, each in figures.items()], output)
    else:
        click.echo(report(trace, outcomes, target, cluster))
    if plot is not None:
        try:
            draw(plot, trace, outcomes, target)
        except OSError as error:
            raise Failure(f"--plot: {plot}: {error.strerror}") from None
        click.echo(f"Plot: {plot}", err=True)


def _finite(figures: dict[str, float]) -> dict[str, float | None]:
    """Neither JSON nor YAML programs know the wait of a task that was never started."""
    return {name: value if math.isfinite(value) else None for name, value in figures.items()}
