"""Runs the tests marked `concurrent` of one session at once: most of their time is waiting for pods.

The first of them that pytest comes to starts them all, each in a thread; each test then waits for its own. Beside
their parameters they may use what the first of them uses: session fixtures.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

_futures: dict[str, Future[None]] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "concurrent: runs beside the others of this mark, on session fixtures alone")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These first, in whatever file they are: when the others run, they are over."""
    items.sort(key=lambda item: item.get_closest_marker("concurrent") is None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Start all on the first call, then wait for this one's end."""
    if pyfuncitem.get_closest_marker("concurrent") is None:
        return None
    if not _futures:
        for item in pyfuncitem.session.items:
            if isinstance(item, pytest.Function) and item.get_closest_marker("concurrent"):
                _futures[item.nodeid] = _start(item, pyfuncitem)
    _futures[pyfuncitem.nodeid].result()
    return True


def _start(item: pytest.Function, first: pytest.Function) -> Future[None]:
    future: Future[None] = Future()
    arguments = {name: _argument(name, item, first) for name in item._fixtureinfo.argnames}

    def run() -> None:
        try:
            item.obj(**arguments)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    # A daemon: a test that hangs is given up by its time limit, and must not keep the session from ending.
    threading.Thread(target=run, name=item.nodeid, daemon=True).start()
    return future


def _argument(name: str, item: pytest.Function, first: pytest.Function) -> Any:
    parameters = getattr(item, "callspec", None)
    if parameters and name in parameters.params:
        return parameters.params[name]
    return first.funcargs[name]
