"""A task's fields as the type that the handler asks for. Pure."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from streamqueue.worker.errors import PayloadError
from streamqueue.worker.payload.annotations import Unfit, both_names, field_of, meant, reader_of
from streamqueue.worker.payload.encoding import OWN
from streamqueue.worker.payload.signatures import signature_of
from streamqueue.worker.payload.trace_context import NAMES

Fields = Mapping[bytes, bytes]
Decoder = Callable[[Fields], Any]

_OWN = OWN.encode()
_TRACE = frozenset(NAMES)  # plain producers write these beside the payload
MAX_NAMES = 256  # that are remembered


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
    parameter = next(iter(signature_of(function).parameters.values()), None)
    if parameter is None:
        raise TypeError(f"{function.__name__}() takes nothing: write def {function.__name__}({parameters})")
    found = meant(_hints(function, parameter).get(parameter.name, default))
    return default if found is Any else found


def _hints(function: Callable[..., Any], parameter: inspect.Parameter) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError:  # of another parameter perhaps, whose type is imported for type checkers alone
        alone = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        return typing.get_type_hints(alone, getattr(inspect.unwrap(function), "__globals__", {}))


def decoder_for(shape: Any) -> Decoder:
    """`dict` (strings), `dict[str, int]`, `bytes` (the only field but a trace), a dataclass, or a pydantic model."""
    shape = meant(shape)
    origin = typing.get_origin(shape) or shape
    if shape is bytes:
        return _only_field
    if shape is Any:
        return texts
    if isinstance(origin, type) and not typing.is_typeddict(origin) and issubclass(dict, origin):
        args = typing.get_args(shape) or (str, str)
        return _users if bytes in args else texts if args[1] in (str, Any, object) else _dict_decoder(args[1])
    if dataclasses.is_dataclass(shape) and isinstance(shape, type):
        return _dataclass_decoder(shape)
    if hasattr(shape, "model_validate"):
        return _model_decoder(shape)
    raise TypeError(f"a task can be a dict, bytes, a dataclass or a pydantic model, not {shape!r}")


def _users(fields: Fields) -> dict[str, bytes]:
    return {_name(name): value for name, value in fields.items() if not name.startswith(_OWN)}


def _name(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise PayloadError(f"a field has a name that is no UTF-8 text: its producer must mend {name!r}") from None


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
        raise PayloadError(_no_text(name)) from None


def _no_text(name: str) -> str:
    return f"field {name!r} is no UTF-8 text; take dict[str, bytes] or bytes"


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
    users = _users(fields)
    values = users if len(users) == 1 else {name: value for name, value in users.items() if name not in _TRACE}
    if len(values) != 1:
        raise PayloadError(f"a handler of bytes takes entries of one field, this one has {sorted(users)}")
    return next(iter(values.values()))


def _dict_decoder(kind: Any) -> Decoder:
    read = _named_reader(kind)
    return lambda fields: {name: read(name, value) for name, value in _users(fields).items()}


def _dataclass_decoder(shape: type) -> Decoder:
    hints = typing.get_type_hints(shape)
    readers = {item.name: _named_reader(hints[item.name]) for item in dataclasses.fields(shape) if item.init}

    def decode(fields: Fields) -> Any:
        values = {name: readers[name](name, value) for name, value in _users(fields).items() if name in readers}
        try:
            return shape(**values)
        except (TypeError, ValueError) as exc:  # a field is missing; __post_init__ refuses
            raise PayloadError(f"{shape.__name__}: {exc}") from None

    return decode


def _named_reader(kind: Any) -> Callable[[str, bytes], Any]:
    """What a field's value is for its annotation, `kind`; errors have the name."""
    read = field_of(kind)

    def named(name: str, value: bytes) -> Any:
        try:
            return read(value)
        except Unfit:
            wanted = kind.__name__ if isinstance(kind, type) else kind
            found = value.decode("utf-8", "replace")[:40]
            raise PayloadError(f"field {name!r} is {found!r}, which is no {wanted}") from None
        except UnicodeDecodeError:
            raise PayloadError(_no_text(name)) from None

    return named


def _model_decoder(model: Any) -> Decoder:
    readers = {name: reader_of(item.annotation) for name, item in model.model_fields.items()}
    for name, item in model.model_fields.items():
        readers |= dict.fromkeys(_aliases(item.validation_alias), readers[name])
    other = reader_of(Any)
    # What a model sends itself, or a plain producer beside it: no fields that it might forbid, or keep.
    beside = _TRACE.union(model.model_computed_fields) - readers.keys()
    both = both_names(model)

    def decode(fields: Fields) -> Any:
        values: dict[str, Any] = {}
        for name, value in _users(fields).items():
            if name in beside:
                continue
            try:
                values[name] = readers.get(name, other)(value)
            except UnicodeDecodeError:
                raise PayloadError(_no_text(name)) from None
        try:
            return model.model_validate(values, **both)
        except ValueError as exc:  # pydantic's ValidationError is one
            errors = exc.errors() if hasattr(exc, "errors") else []
            for each in (values, {name: _unread(fields, name, value, errors) for name, value in values.items()}):
                with suppress(Exception):
                    return again(each)
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors)
            raise PayloadError(f"{model.__name__}: {where or exc}") from None

    def again(values: dict[str, Any]) -> Any:
        """As JSON: what is strict takes dates and the like as text from it alone."""
        if any(isinstance(value, bytes) for value in values.values()):
            return model.model_validate(values, **both)
        return model.model_validate_json(json.dumps(values), **both)

    return decode


def _unread(fields: Fields, name: str, value: Any, errors: Sequence[Any]) -> Any:
    """The text itself of a field that was read as JSON and does not fit so: of a secret, of pydantic's Json."""
    is_misfit = any(error["loc"][:1] == (name,) for error in errors)
    return fields[name.encode()].decode() if is_misfit and not isinstance(value, (str, bytes)) else value


def _aliases(alias: Any) -> list[str]:
    """Of a name, or of pydantic's choices of several."""
    return [each for each in getattr(alias, "choices", [alias]) if isinstance(each, str)]
