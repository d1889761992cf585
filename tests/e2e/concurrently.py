"""Runs the tests marked `concurrent` side by side: most of their time is waiting for pods.

The first of them that pytest comes to starts them all, `ABREAST` at a time, those of `concurrent(long=True)` first;
each test then waits for its own. Beside their parameters they may use session fixtures
that conftest.py knows.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

ABREAST = 7  # more would only make each other's pods start more slowly, on two cores
LIMIT = 600  # seconds for all of them; each wait in a test has its own limit

_futures: dict[str, Future[None]] = {}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "concurrent(long=False): runs beside the others of this mark")
    config.addinivalue_line("markers", "last: runs after all others")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These first, in whatever file they are: when the others run, they are over."""
    items.sort(key=_rank)
    for item in items:
        if item.get_closest_marker("concurrent"):
            item.add_marker(pytest.mark.timeout(LIMIT), append=False)


def _rank(item: pytest.Item) -> int:
    marker = item.get_closest_marker("concurrent")
    if marker is None:
        return 3 if item.get_closest_marker("last") else 2
    return 0 if marker.kwargs.get("long") else 1


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Start all on the first call, then wait for this one's end."""
    if pyfuncitem.get_closest_marker("concurrent") is None:
        return None
    if not _futures:
        items = [item for item in pyfuncitem.session.items if item.get_closest_marker("concurrent")]
        _start([item for item in items if isinstance(item, pytest.Function)], pyfuncitem)
    _futures[pyfuncitem.nodeid].result()
    return True


def _start(items: list[pytest.Function], first: pytest.Function) -> None:
    waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    for item in items:
        future = _futures[item.nodeid] = Future()
        try:
            waiting.put(_run(item, first, future))
        except Exception as error:  # one test's fixture is no reason for the others not to run
            future.set_exception(error)
    for _ in range(min(ABREAST, len(items))):
        # Daemons: a test that hangs is given up by its time limit, and must not keep the session from ending.
        threading.Thread(target=_work_off, args=[waiting], daemon=True).start()


def _work_off(waiting: queue.SimpleQueue[Callable[[], None]]) -> None:
    while True:
        waiting.get()()


def _run(item: pytest.Function, first: pytest.Function, future: Future[None]) -> Callable[[], None]:
    arguments = {name: _argument(name, item, first) for name in item._fixtureinfo.argnames}

    def run() -> None:
        try:
            item.obj(**arguments)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    return run


def _argument(name: str, item: pytest.Function, first: pytest.Function) -> Any:
    parameters = getattr(item, "callspec", None)
    if parameters and name in parameters.params:
        return parameters.params[name]
    return first._request.getfixturevalue(name)
