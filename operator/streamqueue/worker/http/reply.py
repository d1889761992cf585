"""What a reply means for its task. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from streamqueue.worker.errors import DeadLetter, Retry

LONGEST_WAIT = 86_400.0  # seconds that a Retry-After may ask for
NOT_NOW = (429, 503)  # not the task's failure: it costs no attempt
TRY_AGAIN = (408, 425)
EXCERPT = 300  # characters of a failure's body that travel with the task


class Unusable(Exception):
    """A success whose body is not what it says."""


def judge(status: int, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Return where the task is done; else raise Retry or DeadLetter. `now`: unix seconds of this machine."""
    if 200 <= status < 300:
        return
    said = f"HTTP {status}"
    if status < 400:
        raise Retry(f"{said}: redirects are not followed; set handler.path to where the handler answers")
    if text := " ".join(body.decode("utf-8", "replace").split())[:EXCERPT]:
        said += f": {text}"
    if status in NOT_NOW:
        raise Retry(said, after=retry_after(headers, now), counted=False)
    if status in TRY_AGAIN or status >= 500:
        raise Retry(said, after=retry_after(headers, now))
    raise DeadLetter(said)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds; None where the header is absent or makes no sense. A date is held against the reply's own Date."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT)
    until = _epoch(value)
    if until is None:
        return None
    at = _epoch(headers.get("Date", ""))
    return min(max(0.0, until - (now if at is None else at)), LONGEST_WAIT)


def result_of(content_type: str, body: bytes, is_whole: bool) -> Any:
    """JSON as a value, anything else as text, nothing as None. Raises Unusable."""
    if not is_whole:
        raise Unusable(f"its body has more than {len(body)} bytes")
    if not body:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text) if kind == "application/json" or kind.endswith("+json") else text
    except UnicodeDecodeError:
        raise Unusable("its body is no UTF-8 text") from None
    except (ValueError, RecursionError):
        raise Unusable("its body is no JSON, though its content type says so") from None


def check_tasks(result: Any) -> None:
    """Raises Unusable for what makes no tasks of a next stream."""
    if not (
        result is None or all(isinstance(each, dict) for each in (result if isinstance(result, list) else [result]))
    ):
        raise Unusable("its body is neither a JSON object, nor a list of them, nor empty")


def _epoch(http_date: str) -> float | None:
    try:
        return parsedate_to_datetime(http_date).timestamp()
    except (ValueError, OverflowError):
        return None
