"""What is sent, as the fields of an entry. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Mapping
from typing import Any

from streamqueue.streams.enqueue import MAX_FIELDS
from streamqueue.worker.errors import PayloadError

OWN = "sq-"  # fields of ours begin with it
BODY = "body"  # the field of a payload that is bytes
_TEXTS = (datetime.date, datetime.time, uuid.UUID, decimal.Decimal)


def encode(payload: Any) -> list[tuple[str, str | bytes]]:
    """Fields and values of a new entry: strings and bytes as they are, everything else as JSON."""
    if isinstance(payload, bytes):
        return [(BODY, payload)]
    payload = payload if isinstance(payload, Mapping) else _as_fields(payload)
    if not payload:
        raise PayloadError("a task needs at least one field")
    if len(payload) > MAX_FIELDS:
        raise PayloadError(f"a task may have {MAX_FIELDS} fields, this one has {len(payload)}: send one JSON field")
    return [(_name(name), _value(name, value)) for name, value in payload.items()]


def _as_fields(value: Any) -> Mapping[str, Any]:
    if not hasattr(value, "model_dump"):
        return as_mapping(value)
    raw = {name: each for name, each in value if type(each) is bytes}  # JSON could not hold them
    try:
        return {**value.model_dump(mode="json", exclude=set(raw)), **raw}
    except (TypeError, ValueError) as exc:  # what it holds is no JSON, or it is no object
        raise PayloadError(f"{type(value).__name__} cannot be sent: {exc}") from None


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A dataclass or a pydantic model as a dict. Raises PayloadError for anything else."""
    if hasattr(value, "model_dump"):
        dumped: Mapping[str, Any] = value.model_dump(mode="json")
        return dumped
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise PayloadError(f"send a dict, bytes, a dataclass or a pydantic model, not {type(value).__name__}")


def plain(value: Any) -> Any:
    """What JSON has no word for, as that which an annotation reads it from: for json.dumps(). Raises TypeError."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, _TEXTS):
        return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    try:
        return as_mapping(value)
    except PayloadError:
        raise TypeError(f"{type(value).__name__} is no JSON") from None


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name or name.startswith(OWN):
        raise PayloadError(f"field {name!r}: names are strings that do not begin with {OWN!r}")
    _must_be_text("the name of field", name, name)
    return name


def _must_be_text(what: str, name: str, value: str) -> None:
    """Half of a surrogate pair, as JSON may bring it, is no text: the connection would refuse all that goes with it."""
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise PayloadError(f"{what} {name!r} is no text: it cannot be written as UTF-8 ({exc.reason})") from None


def _value(name: str, value: Any) -> str | bytes:
    if isinstance(value, (*_TEXTS, enum.Enum)) and not isinstance(value, str):
        value = plain(value)
    if isinstance(value, str):
        _must_be_text("field", name, value)
    if isinstance(value, (str, bytes)):
        return value
    try:
        return json.dumps(value, default=plain)
    except (TypeError, ValueError, RecursionError) as exc:
        raise PayloadError(f"field {name!r} cannot be written as JSON: {exc}") from None
