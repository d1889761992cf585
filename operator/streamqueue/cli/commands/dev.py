"""A queue on this machine: the manifest's scaling over processes instead of pods."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from streamqueue.api.spec import Protocol, QueueSpec
from streamqueue.cli.dev_view import View
from streamqueue.cli.errors import BadInput, Failure
from streamqueue.cli.manifest import MANIFEST, Manifest, read_queue, which_option
from streamqueue.cli.options import usable_url
from streamqueue.local.fleet import Fleet
from streamqueue.local.redis_server import NoServer, redis_server
from streamqueue.local.run import environment, run
from streamqueue.manifests import grace_period
from streamqueue.streams import connect

HTTP_POD = (sys.executable, "-m", "streamqueue.local.http_pod")


@click.command(short_help="Run a manifest on this machine, in processes instead of pods.")
@click.argument("handler", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-f", "--file", "manifest", required=True, type=MANIFEST, help="The manifest.")
@which_option
@click.option("--command", help="What runs in a worker, instead of a Python file.")
@click.option(
    "--redis",
    metavar="URL",
    envvar="STREAMQUEUE_REDIS_URL",
    callback=usable_url,
    help="Use this Redis, instead of starting one. [env: STREAMQUEUE_REDIS_URL]",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=4 * (os.cpu_count() or 1),
    help="At most so many processes, where maxReplicas is more.  [default: 4 per core]",
)
@click.pass_context
def dev(
    context: click.Context,
    handler: Path | None,
    manifest: Path,
    which: str | None,
    command: str | None,
    redis: str | None,
    workers: int,
) -> None:
    """Run a manifest on this machine: HANDLER, a Python file, in processes that scale as its pods would.

    With protocol http, HANDLER (or --command) is a server on the port that PORT names; each has a runner beside it.

    Ends with Ctrl-C: the workers finish what they do; once more ends them at once.
    """
    queue = read_queue(manifest, which)
    words, spec = _words(handler, command, queue.spec), _at_home(_capped(queue.spec, workers))
    if context.get_parameter_source("redis") is ParameterSource.ENVIRONMENT:
        click.echo("Redis for this run: that of STREAMQUEUE_REDIS_URL, whose tasks are done here")
    most = queue.spec.scaling.max_replicas
    if most > workers:
        click.echo(f"At most {workers} workers on this machine, of the {most} that maxReplicas allows: see --workers")
    asyncio.run(_dev(replace(queue, spec=spec), words, redis))


def _at_home(spec: QueueSpec) -> QueueSpec:
    """With results on the one Redis that there is."""
    if spec.next is None or spec.next.redis is None:
        return spec
    if spec.next.stream == spec.stream:
        raise BadInput("spec.next.stream is the queue's own name, and here is one Redis for both: name another stream")
    return replace(spec, next=replace(spec.next, redis=None))


def _capped(spec: QueueSpec, workers: int) -> QueueSpec:
    scaling = spec.scaling
    least, most = min(scaling.min_replicas, workers), min(scaling.max_replicas, workers)
    return replace(spec, scaling=replace(scaling, min_replicas=least, max_replicas=most))


def _words(handler: Path | None, command: str | None, spec: QueueSpec) -> list[str]:
    if (handler is None) == (command is None):
        raise BadInput("give a Python file, or --command; the manifest's image isn't run on this machine")
    words = [sys.executable, str(handler)] if handler else _split(command or "")
    if not words:
        raise BadInput("--command is empty")
    return [*HTTP_POD, *words] if spec.handler.protocol is Protocol.HTTP else words


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise BadInput(f"--command: {error}") from None


async def _dev(queue: Manifest, words: list[str], redis: str | None) -> None:
    stop, spec = asyncio.Event(), queue.spec
    async with _server(redis) as url, connect(url) as client:
        with View(queue, url if redis is None else "") as view:
            fleet = Fleet(queue.name, words, environment(spec, url), grace_period(spec.handler), view.say)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last where the terminal is closed
                asyncio.get_running_loop().add_signal_handler(number, _on_signal, stop, fleet, view)
            try:
                await run(spec, client, fleet, view.show, stop)
            except OSError as error:
                raise Failure(f"{words[0]!r} can't be started: {error.strerror}") from None


def _on_signal(stop: asyncio.Event, fleet: Fleet, view: View) -> None:
    if stop.is_set():
        fleet.kill()
        return
    stop.set()  # first of all: there may be no terminal any more
    view.leave(len(fleet.workers))


@asynccontextmanager
async def _server(redis: str | None) -> AsyncIterator[str]:
    if redis is not None:
        yield redis
        return
    try:
        async with redis_server() as url:
            yield url
    except NoServer as error:
        raise Failure(str(error)) from None
