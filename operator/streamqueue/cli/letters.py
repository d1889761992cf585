"""Which dead letters are meant: the options that choose them, and the choice."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from streamqueue.cli.errors import BadInput
from streamqueue.cli.options import SECONDS
from streamqueue.streams.entries import Entry


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters; every given part must hold. `older` is seconds since the task died."""

    # Letters and tasks have ids of different streams, which may coincide: one option may not mean both.
    ids: frozenset[str] = frozenset()
    tasks: frozenset[str] = frozenset()
    reason: str | None = None
    older: float = 0.0

    def takes(self, letter: Entry, now: float) -> bool:
        named = (not self.ids or letter.id in self.ids) and (not self.tasks or letter.task in self.tasks)
        words = (letter.field("sq-reason") or "", letter.field("sq-cause") or "")
        meant = self.reason is None or any(self.reason.lower() in word.lower() for word in words)
        return named and meant and now - died_at(letter) >= self.older

    @property
    def everything(self) -> bool:
        return self == Wanted()


def died_at(letter: Entry) -> float:
    """Unix seconds by Redis's clock; of a letter that somebody wrote by hand, when it was added."""
    said = letter.field("sq-dead-at") or ""
    return int(said if said.isdecimal() and len(said) < 20 else letter.id.partition("-")[0]) / 1000


def choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """`wanted`, from the options that choose letters."""

    @functools.wraps(command)
    def filtered(
        ids: tuple[str, ...], tasks: tuple[str, ...], reason: str | None, older_than: float, **given: Any
    ) -> Any:
        if reason == "":  # it is part of any other
            raise BadInput("--reason is empty: leave it out, or give a text")
        wanted = Wanted(frozenset(ids), frozenset(tasks), reason, older_than)
        return command(wanted=wanted, **given)

    wrapped: Callable[..., Any] = filtered
    for option in (
        click.option("--older-than", type=SECONDS, default=0.0, help="Those that died longer ago than this."),
        click.option("--reason", metavar="TEXT", help="Those whose reason or cause holds this text."),
        click.option("--task", "tasks", multiple=True, metavar="ID", help="The letter of this task; may be repeated."),
        click.option("--id", "ids", multiple=True, metavar="ID", help="This letter; may be repeated."),
    ):
        wrapped = option(wrapped)
    return wrapped
