"""Typed reads from one object of a manifest, each error naming the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from streamqueue.api.durations import format_duration, parse_duration
from streamqueue.api.errors import SpecError

Default = TypeVar("Default")


class Block:
    """One object of a spec, at the dotted `path`, with the fields it may have. A null field counts as absent."""

    def __init__(self, raw: object, path: str, *known: str) -> None:
        """Raises SpecError if `raw` is no object or has a field that is not `known`."""
        if not isinstance(raw, Mapping):
            raise SpecError(path, "must be an object")
        for name in raw:
            if name not in known:
                raise SpecError(f"{path}.{name}", f"unknown field: {path} has {', '.join(known)}")
        self.path = path
        self._fields: dict[str, Any] = {name: value for name, value in raw.items() if value is not None}

    def error(self, name: str, message: str) -> SpecError:
        return SpecError(f"{self.path}.{name}", message)

    def has(self, name: str) -> bool:
        return name in self._fields

    def value(self, name: str) -> Any:
        """The field as it stands, None if absent."""
        return self._fields.get(name)

    def block(self, name: str, *known: str) -> Block:
        """The object in field `name`; an absent one is empty."""
        return Block(self._fields.get(name, {}), f"{self.path}.{name}", *known)

    def required_text(self, name: str, longest: int) -> str:
        """Between 1 and `longest` printable characters."""
        if not self.has(name):
            raise self.error(name, "is required")
        text = self.text(name, longest, "")
        if not text:
            raise self.error(name, "must not be empty")
        return text

    def text(self, name: str, longest: int, default: Default) -> str | Default:
        """A string without control characters. Errors never show it: it may be a password put in the wrong place."""
        if not self.has(name):
            return default
        value = self._fields[name]
        if not isinstance(value, str):
            raise self.error(name, f"must be a string, in quotes, not {_kind(value)}")
        if len(value) > longest:
            raise self.error(name, f"must have at most {longest} characters")
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
            raise self.error(name, "must not hold control characters, such as a line break")
        return value

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self._fields.get(name, default)
        if value not in choices:
            raise self.error(name, f"must be {' or '.join(choices)}")
        return str(value)

    def integer(self, name: str, least: int, most: int, default: Default) -> int | Default:
        if not self.has(name):
            return default
        value = self._fields[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(name, f"must be a whole number, without quotes, not {_kind(value)}")
        if not least <= value <= most:
            raise self.error(name, f"must be from {least} to {most}, not {value}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._fields.get(name, default)
        if not isinstance(value, bool):
            raise self.error(name, f"must be true or false, not {_kind(value)}")
        return value

    def duration(self, name: str, least: str, most: str, default: Default) -> float | Default:
        """Seconds between the durations `least` and `most`."""
        if not self.has(name):
            return default
        value = self._fields[name]
        if not isinstance(value, str):
            raise self.error(name, f"must be a duration such as 45s or 1h30m, not {_kind(value)}")
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            raise self.error(name, str(error)) from None
        if not parse_duration(least) <= seconds <= parse_duration(most):
            raise self.error(name, f"must be from {least} to {most}, not {format_duration(seconds)}")
        return seconds


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str | list):
        return "a string" if isinstance(value, str) else "a list"
    return "an object"
