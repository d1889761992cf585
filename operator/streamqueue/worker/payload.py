"""A task's fields as the type that the handler asks for, and back. Pure."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from streamqueue.streams.enqueue import MAX_FIELDS
from streamqueue.worker.errors import PayloadError

Fields = Mapping[bytes, bytes]
Decoder = Callable[[Fields], Any]

OWN = "sq-"  # fields of ours begin with it
_OWN = OWN.encode()
MAX_NAMES = 256  # that are remembered
BODY = "body"  # the field of a payload that is bytes


def decoder_of(function: Callable[..., Any]) -> Decoder:
    """How to decode for `function`, by the annotation of its first parameter; without one, a dict of strings."""
    return decoder_for(_asked_for(function, "task, ctx", dict))


def item_decoder_of(function: Callable[..., Any]) -> Decoder:
    """How to decode each task for a `function` of a list: `list[Order]`; a plain `list`, or nothing, means dicts."""
    shape = _asked_for(function, "tasks, contexts", list)
    origin = typing.get_origin(shape) or shape
    if not isinstance(origin, type) or not issubclass(list, origin):
        raise TypeError(f"{function.__name__}() takes a batch: annotate its first parameter as a list, not {shape!r}")
    return decoder_for(next(iter(typing.get_args(shape)), dict))


def _asked_for(function: Callable[..., Any], parameters: str, default: type) -> Any:
    parameter = next(iter(inspect.signature(function).parameters.values()), None)
    if parameter is None:
        raise TypeError(f"{function.__name__}() takes nothing: write def {function.__name__}({parameters})")
    return typing.get_type_hints(function).get(parameter.name, default)


def decoder_for(shape: Any) -> Decoder:
    """`dict` (strings), `dict[str, bytes]`, `bytes` (the only field), a dataclass, or a pydantic model."""
    origin = typing.get_origin(shape) or shape
    if shape is bytes:
        return _only_field
    if isinstance(origin, type) and issubclass(dict, origin):
        return _raw if bytes in typing.get_args(shape) else texts
    if dataclasses.is_dataclass(shape) and isinstance(shape, type):
        return _dataclass_decoder(shape)
    if hasattr(shape, "model_validate"):
        return _model_decoder(shape)
    raise TypeError(f"a task can be a dict, bytes, a dataclass or a pydantic model, not {shape!r}")


def encode(payload: Any) -> list[tuple[str, str | bytes]]:
    """Fields and values of a new entry: strings and bytes as they are, everything else as JSON."""
    if isinstance(payload, bytes):
        return [(BODY, payload)]
    payload = payload if isinstance(payload, Mapping) else as_mapping(payload)
    if not payload:
        raise PayloadError("a task needs at least one field")
    if len(payload) > MAX_FIELDS:
        raise PayloadError(f"a task may have {MAX_FIELDS} fields, this one has {len(payload)}: send one JSON field")
    return [(_name(name), _value(name, value)) for name, value in payload.items()]


def as_mapping(value: Any) -> Mapping[str, Any]:
    """A dataclass or a pydantic model as a dict. Raises PayloadError for anything else."""
    if hasattr(value, "model_dump"):
        dumped: Mapping[str, Any] = value.model_dump(mode="json")
        return dumped
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise PayloadError(f"send a dict, bytes, a dataclass or a pydantic model, not {type(value).__name__}")


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
    if isinstance(value, str):
        _must_be_text("field", name, value)
    if isinstance(value, (str, bytes)):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as exc:
        raise PayloadError(f"field {name!r} cannot be written as JSON: {exc}") from None


def _users(fields: Fields) -> dict[str, bytes]:
    return {_text("name", name): value for name, value in fields.items() if not name.startswith(_OWN)}


class _Names(dict[bytes, str | None]):
    """Names of fields as text, None for those of ours. A queue has few; lru_cache would take longer than decoding."""

    def __missing__(self, name: bytes) -> str | None:
        if len(self) == MAX_NAMES:
            self.clear()
        self[name] = text = None if name.startswith(_OWN) else name.decode()
        return text


_NAMES = _Names()


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise PayloadError(f"field {name!r} is no UTF-8 text; take dict[str, bytes] or bytes") from None


def _raw(fields: Fields) -> dict[str, bytes]:
    return _users(fields)


def texts(fields: Fields) -> dict[str, str]:
    """The decoder for a dict of strings. Raises PayloadError."""
    decoded = {}
    try:
        for name, value in fields.items():
            if (text := _NAMES[name]) is not None:
                decoded[text] = value.decode()
    except UnicodeDecodeError:
        return {name: _text(name, value) for name, value in _users(fields).items()}  # which says in which field
    return decoded


def texts_of(rows: Iterable[Sequence[bytes]]) -> list[dict[str, str]]:
    """What `texts` makes of each, from names and values in turn, in a third of the time. Raises UnicodeDecodeError."""
    decoded: list[dict[Any, str]] = [
        {_NAMES[flat[0]]: flat[1].decode()}
        if len(flat) == 2
        else {_NAMES[name]: value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
        for flat in rows
    ]
    for each in decoded:
        if None in each:
            del each[None]
    return decoded


def _only_field(fields: Fields) -> bytes:
    values = _users(fields)
    if len(values) != 1:
        raise PayloadError(f"a handler of bytes takes entries of one field, this one has {sorted(values)}")
    return next(iter(values.values()))


def _dataclass_decoder(shape: type) -> Decoder:
    hints = typing.get_type_hints(shape)
    wanted = {item.name: hints[item.name] for item in dataclasses.fields(shape) if item.init}

    def decode(fields: Fields) -> Any:
        values = _users(fields)
        try:
            return shape(
                **{name: _convert(name, wanted[name], value) for name, value in values.items() if name in wanted}
            )
        except TypeError as exc:
            raise PayloadError(f"{shape.__name__}: {exc}") from None

    return decode


def _convert(name: str, kind: Any, value: bytes) -> Any:
    if kind is bytes:
        return value
    text = _text(name, value)
    if kind is str:
        return text
    try:
        parsed = json.loads(text)
    except ValueError:
        # `str | None`, a StrEnum, a Literal: a plain string fits as it is.
        if kind in (int, float, bool) or typing.get_origin(kind) in (list, dict, tuple, set):
            raise PayloadError(f"field {name!r} is {text[:40]!r}, which is no {kind}") from None
        parsed = text
    if kind is float and type(parsed) is int:
        return float(parsed)
    if kind in (int, float, bool) and type(parsed) is not kind:
        raise PayloadError(f"field {name!r} is {text[:40]!r}, which is no {kind.__name__}")
    return parsed


def _model_decoder(model: Any) -> Decoder:
    texts = {item.alias or name for name, item in model.model_fields.items() if item.annotation in (str, bytes)}

    def decode(fields: Fields) -> Any:
        values: dict[str, Any] = {}
        for name, value in _users(fields).items():
            values[name] = value if name in texts else _parsed(name, value)
        try:
            return model.model_validate(values)
        except ValueError as exc:  # pydantic's ValidationError is one
            errors = exc.errors() if hasattr(exc, "errors") else []
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors)
            raise PayloadError(f"{model.__name__}: {where or exc}") from None

    return decode


def _parsed(name: str, value: bytes) -> Any:
    text = _text(name, value)
    try:
        return json.loads(text)
    except ValueError:
        return text
