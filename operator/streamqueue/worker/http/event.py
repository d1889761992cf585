"""A task as a request: CloudEvents 1.0, binary content mode. Pure."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from streamqueue.worker.context import Context
from streamqueue.worker.handler import Undecodable
from streamqueue.worker.http.settings import JSON, Target

TYPE = "dev.streamqueue.task"

# Header values of the HTTP binding: printable ASCII but quotes and percent; the rest is percent-encoded UTF-8.
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_UNSAFE = re.compile(r"[^\x21\x23\x24\x26-\x7e]")


@dataclass(frozen=True, slots=True)
class Request:
    headers: dict[str, str]
    body: bytes


def request_of(ctx: Context, fields: Mapping[str, bytes], stream: str, target: Target) -> Request:
    """`fields` are the producer's. Raises Undecodable where they make no body: they never will."""
    field = target.body_field
    headers = {
        "content-type": target.content_type if field else JSON,
        "ce-specversion": "1.0",
        "ce-type": TYPE,
        "ce-source": f"/streams/{quote(stream, safe='')}",
        "ce-id": _escaped(ctx.id),
        "ce-attempt": str(ctx.attempt),
    }
    if time := _rfc3339(ctx.enqueued_at):
        headers["ce-time"] = time
    for name, value in ctx.trace:
        if _PRINTABLE.fullmatch(value):  # no attribute of the event: a percent sign in it is one
            headers[name.removeprefix("sq-")] = value
    return Request(headers, _named(fields, field) if field else _as_json(fields))


def _rfc3339(seconds: float) -> str | None:
    """None where a producer's own ids are no times."""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat() if seconds else None
    except (ValueError, OverflowError, OSError):
        return None


def _named(fields: Mapping[str, bytes], name: str) -> bytes:
    if name not in fields:
        raise Undecodable(f"there is no field {name!r}, which handler.body.field names; there are {sorted(fields)}")
    return fields[name]


def _as_json(fields: Mapping[str, bytes]) -> bytes:
    texts = {}
    for name, value in fields.items():
        try:
            texts[name] = value.decode()
        except UnicodeDecodeError:
            raise Undecodable(
                f"field {name!r} is no UTF-8 text and fits no JSON: name it in handler.body.field to send it as it is"
            ) from None
    return json.dumps(texts, ensure_ascii=False).encode()


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda match: quote(match[0]), text)
