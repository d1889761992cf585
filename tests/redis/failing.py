"""Scripts in which a chosen call to the server fails; and which scripts there are."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import streamqueue.maintenance
import streamqueue.streams
from streamqueue.streams.script import Script

# So many calls in a row that hurt nothing: the script has fewer. Single ones may, where it has another way to go.
PAST_THE_END = 3


def failing_at(script: Script, nth: int, error: str = "ERR injected") -> Script:
    """The same script, whose nth call to the server fails as a refused command would."""
    return Script(
        f"""
local calls, server = 0, redis
local function fails() calls = calls + 1; return calls == {nth} end
local function call(...)
  if fails() then error('{error}') end
  return server.call(...)
end
local function pcall(...)
  if fails() then return {{err = '{error}'}} end
  return server.pcall(...)
end
local redis = setmetatable({{call = call, pcall = pcall}}, {{__index = server}})
"""
        + script.source
    )


def scripts() -> set[tuple[str, str]]:
    """Every script of the package, by module and name."""
    found = set()
    for package in (streamqueue.streams, streamqueue.maintenance):
        for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if not info.name.endswith("__main__"):
                found |= _of(importlib.import_module(info.name))
    return found


def _of(module: ModuleType) -> set[tuple[str, str]]:
    return {(module.__name__, name) for name, value in vars(module).items() if isinstance(value, Script)}
