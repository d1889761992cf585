"""What the value of a field is for an annotation. Fields are strings; what is no text is JSON in them. Pure."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import types
import typing
import uuid
from collections import abc
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Read = Callable[[bytes], Any]
Build = Callable[[Any], Any]

NoneType = type(None)
_LISTS: Mapping[Any, Callable[..., Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    **dict.fromkeys((abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable), list),
    **dict.fromkeys((abc.Set, abc.MutableSet), set),
}
_DICTS = (dict, abc.Mapping, abc.MutableMapping)
_FROM_TEXT: Mapping[Any, Callable[[str], Any]] = {
    decimal.Decimal: decimal.Decimal,
    uuid.UUID: uuid.UUID,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    datetime.time: datetime.time.fromisoformat,
}
_ALL = frozenset((NoneType, bool, int, float, str, list, dict))
_SCALARS: Mapping[Any, frozenset[type]] = {
    NoneType: frozenset((NoneType,)),
    bool: frozenset((bool,)),
    int: frozenset((int,)),
    float: frozenset((int, float)),
}


class Unfit(ValueError):
    """A value that does not fit."""


def reader_of(kind: Any) -> Read:
    """A field's value as JSON or text, whichever `kind` takes: the `17` of a `str | None` stays a string.

    It raises UnicodeDecodeError for what is no text where `kind` is not of bytes.
    """
    arms = _arms(kind)
    if arms == [bytes]:
        return _as_it_is
    fitting = frozenset().union(*map(_json_types, arms))
    if not fitting and bytes not in arms:
        return bytes.decode

    def read(value: bytes) -> Any:
        try:
            text = value.decode()
        except UnicodeDecodeError:
            if bytes in arms:
                return value
            raise
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            pass
        else:
            if type(parsed) in fitting:
                return parsed
        return value if bytes in arms and str not in arms else text

    return read


def field_of(kind: Any) -> Read:
    """A field's value as `kind`, nested dataclasses too. It raises Unfit, or as a reader does."""
    read, build = reader_of(kind), _builder(kind)
    return read if kind in (str, bytes) else lambda value: build(read(value))


def meant(kind: Any) -> Any:
    """What a NewType or a `type` statement gave this name to."""
    if isinstance(kind, type):
        return kind
    if hasattr(kind, "__supertype__"):
        return meant(kind.__supertype__)
    if not hasattr(kind, "__value__"):
        return kind
    alias, value = typing.get_origin(kind), kind.__value__
    if alias and (variables := getattr(value, "__parameters__", ())):
        given = dict(zip(alias.__type_params__, typing.get_args(kind), strict=False))
        value = value[tuple(given.get(each, Any) for each in variables)]
    return meant(value)


def both_names(model: Any) -> dict[str, bool]:
    """For a model's validation: what was sent of it has the names of its fields. Older ones know no such choice."""
    knows = "by_name" in inspect.signature(model.model_validate).parameters
    return {"by_alias": True, "by_name": True} if knows else {}


def _as_it_is(value: Any) -> Any:
    return value


def _arms(kind: Any) -> list[Any]:
    """The members of a union, or the one type that it is."""
    kind = meant(kind)
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        return _arms(typing.get_args(kind)[0])
    if origin in (typing.Union, types.UnionType):
        return [arm for each in typing.get_args(kind) for arm in _arms(each)]
    return [kind]


def _json_types(arm: Any) -> frozenset[type]:
    """What JSON may be to be taken for `arm`; nothing where text is. Of what is not known, all."""
    origin = typing.get_origin(arm) or arm
    if origin is typing.Literal:
        return frozenset(map(type, typing.get_args(arm))) - {str}
    if not isinstance(origin, type):
        return _ALL
    if issubclass(origin, enum.Enum):
        return frozenset(type(member.value) for member in origin) - {str}
    if issubclass(origin, (str, bytes)) or origin in _FROM_TEXT:
        return frozenset()
    if origin in _LISTS:
        return frozenset((list,))
    if origin in _DICTS or dataclasses.is_dataclass(origin) or typing.is_typeddict(origin):
        return frozenset((dict,))
    return _SCALARS.get(origin, _ALL)


def _builder(kind: Any) -> Build:
    builders = [_one(arm) for arm in _arms(kind)]
    if len(builders) == 1:
        return builders[0]

    def build(value: Any) -> Any:
        for each in builders:
            try:
                return each(value)
            except Unfit:
                continue
        raise Unfit

    return build


def _one(arm: Any) -> Build:
    origin, args = typing.get_origin(arm) or arm, typing.get_args(arm)
    if origin is typing.Literal:
        return _checked(lambda value: any(value == each and type(value) is type(each) for each in args))
    if not isinstance(origin, type):
        return _as_it_is
    if issubclass(origin, enum.Enum):
        return _made(origin, _ALL)
    if origin in _FROM_TEXT:
        return _made(_FROM_TEXT[origin], frozenset((str,)))
    if dataclasses.is_dataclass(origin):
        return lambda value: _dataclass(origin, value)
    if hasattr(origin, "model_validate"):
        names = both_names(origin)
        return _made(lambda value: origin.model_validate(value, **names), _ALL)
    if origin is tuple and args and args[-1] is not ...:
        return _row([_builder(each) for each in args])
    if origin in _LISTS:
        return _list(_LISTS[origin], _builder(args[0]) if args else _as_it_is)
    if origin in _DICTS:
        return _dict(_key(args[0]), _builder(args[1])) if args else _dict(_as_it_is, _as_it_is)
    if origin is float:
        return _made(float, _SCALARS[float])
    if origin in (NoneType, bool, int, str, bytes):
        return _checked(lambda value: type(value) is origin)
    return _checked(lambda value: isinstance(value, dict)) if typing.is_typeddict(origin) else _as_it_is


def _checked(fits: Callable[[Any], bool]) -> Build:
    def build(value: Any) -> Any:
        if not fits(value):
            raise Unfit
        return value

    return build


def _made(make: Callable[[Any], Any], of: frozenset[type]) -> Build:
    def build(value: Any) -> Any:
        if type(value) not in of:
            raise Unfit
        try:
            return make(value)
        except (ValueError, ArithmeticError):
            raise Unfit from None

    return build


def _list(kind: Callable[..., Any], build: Build) -> Build:
    check = _checked(lambda value: type(value) is list)
    return lambda value: kind(map(build, check(value)))


def _row(builders: list[Build]) -> Build:
    check = _checked(lambda value: type(value) is list and len(value) == len(builders))
    return lambda value: tuple(build(each) for build, each in zip(builders, check(value), strict=True))


def _key(kind: Any) -> Build:
    """JSON has texts for names: of any other kind they are what fields are."""
    if kind in (str, Any):
        return _as_it_is
    read = field_of(kind)
    return lambda name: read(name.encode(errors="surrogatepass"))


def _dict(build_key: Build, build: Build) -> Build:
    check = _checked(lambda value: type(value) is dict)
    return lambda value: {build_key(key): build(each) for key, each in check(value).items()}


def _dataclass(shape: Any, value: Any) -> Any:
    if type(value) is not dict:
        raise Unfit
    parts = _parts(shape)
    try:
        return shape(**{name: parts[name](each) for name, each in value.items() if name in parts})
    except (TypeError, ValueError):  # a field is missing or unfit; __post_init__ refuses
        raise Unfit from None


@cache
def _parts(shape: Any) -> dict[str, Build]:
    """Made when a value comes: a dataclass may hold others of its kind."""
    hints = typing.get_type_hints(shape)
    return {item.name: _builder(hints[item.name]) for item in dataclasses.fields(shape) if item.init}
