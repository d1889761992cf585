"""Options that many commands share."""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

import click

from streamqueue.api.durations import parse_duration
from streamqueue.api.errors import SpecError
from streamqueue.api.names import LABEL
from streamqueue.api.parse import check_name
from streamqueue.cli.completing import queue_names
from streamqueue.cli.errors import BadInput
from streamqueue.streams.connection import read_url
from streamqueue.streams.errors import RedisProblem

Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which queue, as it was typed. `redis` may hold a password: it goes nowhere but into a client."""

    queue: str = ""
    namespace: str | None = None
    context: str | None = None
    redis: str | None = None
    stream: str | None = None
    group: str | None = None
    ca_file: str | None = None

    @property
    def straight(self) -> bool:
        """Straight on Redis, without Kubernetes."""
        return self.stream is not None

    @property
    def label(self) -> str:
        return "/".join(filter(None, (self.stream, self.group))) if self.straight else self.queue

    @property
    def again(self) -> str:
        """What to type after a command to mean the same queue, as a shell takes it. Shows no password."""
        parts = [] if self.straight else [quote(self.queue)]
        parts += ["-n", quote(self.namespace)] if self.namespace and not self.straight else []
        parts += ["--context", quote(self.context)] if self.context and not self.straight else []
        parts += ["--redis", self._url] if self.redis else []
        parts += ["--ca-file", quote(self.ca_file)] if self.ca_file else []
        parts += ["--stream", quote(self.stream)] if self.stream else []
        parts += ["--group", quote(self.group)] if self.stream and self.group else []
        return " ".join(parts)

    @property
    def redis_cli(self) -> str:
        """How to begin a command for this Redis; by a queue's name nobody can tell how it is reached."""
        if not self.redis or "+sentinel" in self.redis:
            return "redis-cli"
        return f"redis-cli -u {self._url}" + (f" --cacert {quote(self.ca_file)}" if self.ca_file else "")

    @property
    def _url(self) -> str:
        """As a shell takes it."""
        plain = "@" not in (self.redis or "") and not urlsplit(self.redis or "").query
        return quote(self.redis or "") if plain else '"$STREAMQUEUE_REDIS_URL"'

    def take_queue(self, words: tuple[str, ...], *, reads: bool = True) -> tuple[Selection, tuple[str, ...]]:
        """The first word is the queue's name, unless the stream is given; the other words. Who adds tasks, or looks at
        what a stream held (not `reads`), needs no group.

        Raises BadInput where no queue is named at all, or half of what the straight way needs.
        """
        if self.straight:
            if not self.redis:
                raise BadInput("--stream needs --redis URL as well")
            if reads and not self.group:
                raise BadInput("--stream needs --group as well")
            if self.namespace or self.context:
                raise BadInput("--namespace and --context go with a queue's name, and --stream says which queue")
            return self, words
        if self.group:
            raise BadInput("--group needs --redis URL and --stream as well")
        if not words:
            raise BadInput("name a queue, or give --redis URL --stream NAME --group NAME")
        return replace(self, queue=a_queue(words[0])), words[1:]


def a_queue(name: str) -> str:
    """`name`, if a StreamQueue can have it: it becomes part of a request's path. Raises BadInput."""
    try:
        check_name(name)
    except SpecError as error:
        raise BadInput(f"no StreamQueue is named {name!r}: a name {error.message}") from None
    return name


def only_queue(selection: Selection, words: tuple[str, ...], *, reads: bool = True) -> Selection:
    """The queue that `words` names; `reads` as for `take_queue`. Raises BadInput for more words than that."""
    chosen, rest = selection.take_queue(words, reads=reads)
    if rest:
        told = ": --stream and --group, or their variables, say which queue" if chosen.straight else ""
        raise BadInput(f"{rest[0]!r} is one word too many{told}")
    return chosen


def a_task(word: str) -> str:
    """Raises BadInput where it is empty, as an unset variable is."""
    if not word:
        raise BadInput("the task's id is empty")
    return word


def queue_argument(metavar: str = "[QUEUE]") -> Callable[[Command], Command]:
    """`words`: the queue's name, which the shell completes, and whatever the command takes after it."""
    return click.argument("words", nargs=-1, metavar=metavar, shell_complete=queue_names)


def cluster_options(command: Command) -> Command:
    """`selection`, with the person's kubeconfig alone."""
    return _selecting(command, _NAMESPACE, _CONTEXT)


def queue_options(command: Command) -> Command:
    """`selection`, by either way in."""
    return _selecting(command, _NAMESPACE, _CONTEXT, _REDIS, _STREAM, _GROUP, _CA)


def _selecting(command: Command, *options: Callable[[Command], Command]) -> Command:
    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        names = ("namespace", "context", "redis", "stream", "group", "ca_file")
        selection = Selection(**{name: given.pop(name) for name in names if name in given})
        return command(selection=selection, **given)

    decorated: Command = wrapped
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


class _Seconds(click.ParamType[float]):
    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


SECONDS = _Seconds()


def usable_url(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    """Of an option: what is no URL is bad input."""
    try:
        if url is not None:
            read_url(url)
    except RedisProblem as problem:
        raise BadInput(f"--redis or STREAMQUEUE_REDIS_URL: {problem.message}") from None
    return url


def _or_from_a_file(context: click.Context, parameter: click.Parameter, url: str | None) -> str | None:
    """In a pod whose worker rereads its URL."""
    path = os.environ.get("STREAMQUEUE_REDIS_URL_FILE")
    if url or not path:
        return usable_url(context, parameter, url)
    try:
        return Path(path).read_text().strip()
    except (OSError, ValueError):
        raise BadInput(f"STREAMQUEUE_REDIS_URL_FILE: {path} can't be read: give --redis URL") from None


class Finite(click.FloatRange):
    """A number that is one: `nan` and `inf` are floats, too."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        return number if math.isfinite(number) else self.fail(f"{value!r} is no finite number", param, ctx)


def a_namespace(context: click.Context, parameter: click.Parameter, name: str | None) -> str | None:
    """Of an option. An empty variable must not stand for another namespace, nor a slash lead somewhere else."""
    if name is not None and not re.fullmatch(LABEL, name):
        raise BadInput(f"--namespace: {name!r} is no namespace's name")
    return name


_NAMESPACE = click.option(
    "-n", "--namespace", metavar="NAME", callback=a_namespace, help="Namespace; by default that of the kubeconfig."
)
_CONTEXT = click.option("--context", metavar="NAME", help="Context of the kubeconfig.")
_REDIS = click.option(
    "--redis",
    metavar="URL",
    envvar="STREAMQUEUE_REDIS_URL",
    callback=_or_from_a_file,
    help="URL of the Redis. [env: STREAMQUEUE_REDIS_URL, or a file: STREAMQUEUE_REDIS_URL_FILE]",
)
_STREAM = click.option(
    "--stream", metavar="NAME", envvar="STREAMQUEUE_STREAM", help="With --redis: the stream. [env: STREAMQUEUE_STREAM]"
)
_GROUP = click.option(
    "--group", metavar="NAME", envvar="STREAMQUEUE_GROUP", help="With --redis: the group. [env: STREAMQUEUE_GROUP]"
)
_CA = click.option(
    "--ca-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    envvar="STREAMQUEUE_REDIS_CA_FILE",
    help="PEM file of a CA. [env: STREAMQUEUE_REDIS_CA_FILE]",
)


def _output(*kinds: str) -> Callable[[Command], Command]:
    return click.option(
        "-o", "--output", type=click.Choice(kinds), default=kinds[0], show_default=True, help="Output format."
    )


output_option = _output("table", "wide", "json", "yaml", "name")
document_option = _output("table", "json", "yaml")  # of what is no rows
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
rate_option = click.option("--rate", type=Finite(0.1), metavar="N", help="At most N a second.")
