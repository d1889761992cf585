"""How a run ended, as the settlement that says so to Redis. Pure."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from streamqueue.streams.settlement import ACKNOWLEDGED, Emit, Settlement
from streamqueue.worker.context import Context
from streamqueue.worker.errors import DeadLetter, HandlerCrash, Retry, WrongResults
from streamqueue.worker.handler import Overtime, Undecodable
from streamqueue.worker.payload.encoding import plain

RELEASED = Settlement("release")  # handed back unfinished, for another worker; costs no attempt
INTERRUPTS = (KeyboardInterrupt, GeneratorExit)  # end the process or its loop; all else is a task's failure
MOST_VALUES = 1_000_000  # names and values of what a run hands on: Redis takes 1,048,576 arguments of a command
CAUSE_LENGTH = 500  # characters of an error that travel with the task


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds before a retry: `initial`, doubled with each attempt, at most `longest`; drawn from its upper half.

    An uncounted retry with a delay of its own has that for `patient` deliveries, and then at least the backoff.
    """

    initial: float
    longest: float
    patient: int = 50

    def delay(self, attempt: int) -> float:
        full: float = min(self.longest, self.initial * 2 ** min(attempt - 1, 60))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


def succeeded(ctx: Context, result: str | None, handed_on: tuple[Emit, ...]) -> Settlement:
    """Acknowledge, with what was emitted and handed on; `result` is JSON, "" for none, None where none are kept.

    Raises DeadLetter for more than Redis takes at once: the handler would emit it again.
    """
    emits = (*ctx.emits, *handed_on)
    if sum(2 * len(emit.fields) + 2 for emit in emits) > MOST_VALUES:
        raise DeadLetter(f"it hands on {len(emits)} tasks, more than one step can write: hand on fewer, each with more")
    if result is None and not emits:
        return ACKNOWLEDGED
    return Settlement("ack", (ctx.id, result or ""), emits)


def result_json(ctx: Context, result: Any) -> str:
    """The handler's result as it is kept. The work is done: what is no JSON is logged, not retried."""
    try:
        return "" if result is None else json.dumps(result, default=plain)
    except (TypeError, ValueError, RecursionError) as exc:
        ctx.logger.warning("the result is not kept, since it cannot be written as JSON: %s", exc)
        return ""


def failed(ctx: Context, error: BaseException, backoff: Backoff) -> Settlement:
    """A retry or a dead letter, by the kind of `error`."""
    if isinstance(error, DeadLetter):
        return Settlement("dead", ("handler", cause_of(error)))
    if isinstance(error, Undecodable):
        return Settlement("dead", ("payload", cause_of(error)))
    kind = "crash" if isinstance(error, HandlerCrash) else "retry"
    after, charge = None, 1
    if isinstance(error, Retry):
        after, charge = error.after, int(error.counted)
    # Uncounted ones have a limit too, of deliveries: with longer and longer delays it is hours away.
    turn = ctx.attempt if charge else ctx.entry.deliveries
    delay = backoff.delay(turn) if after is None else after
    if not charge:  # nor is an hour of "again in a second" the end of a task
        delay = max(delay, backoff.delay(ctx.entry.deliveries - backoff.patient))
    return Settlement(kind, (round(delay * 1000), charge, cause_of(error)))


def cause_of(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(cause_of(readable(each)) for each in _leaves(error))[:CAUSE_LENGTH]
    # A file's name may be no text: what cannot be written as UTF-8 would stop all that is settled with it.
    text = str(error).encode(errors="backslashreplace").decode()
    if is_expected(error) and text:
        return text[:CAUSE_LENGTH]
    name = type(error).__name__
    return (f"{name}: {text}" if text else name)[:CAUSE_LENGTH]


def readable(error: BaseException) -> BaseException:
    """`error`, or one that says so where its own text cannot be had."""
    try:
        str(error)
    except Exception as exc:
        text = f"{type(error).__name__}, whose text raises {type(exc).__name__}"
        return RuntimeError(text).with_traceback(error.__traceback__)
    return error


def meant(error: BaseException) -> BaseException:
    """What a group of exceptions says, as a TaskGroup raises it around a Retry: its only one, or the first of several
    that say the same of the task.
    """
    leaves = _leaves(error)
    agreed = len(leaves) == 1 or any(all(isinstance(each, kind) for each in leaves) for kind in (Retry, DeadLetter))
    return leaves[0] if agreed else error


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for each in error.exceptions for leaf in _leaves(each)]


def is_expected(error: BaseException) -> bool:
    """One of the ways in which a handler speaks: worth a line, not a traceback."""
    return isinstance(error, (Retry, DeadLetter, HandlerCrash, Overtime, Undecodable, WrongResults))
