"""How long tasks take, when some are of another kind."""

from __future__ import annotations

from streamqueue.scaling.deadline.service import MOST, ServiceTime


def steady(seconds: float, tasks: int) -> ServiceTime:
    service = ServiceTime()
    for _ in range(tasks):
        service = service.advance(seconds, 1.0, 1.0)
    return service


def test_chance_changes_nothing() -> None:
    service = steady(2.0, 400).advance(10.0, 1.0, 1.0)
    assert service.cautious == service.seconds


def test_long_tasks_show_while_they_run() -> None:
    service = steady(2.0, 400)
    before = service.seconds
    service = service.advance(20.0, 4.0, 0.0)
    assert service.seconds < 1.2 * before
    assert service.cautious > 1.8 * before


def test_a_handler_that_hangs_for_hours_tells_nothing_of_the_others() -> None:
    service = steady(2.0, 400).advance(3600.0, 1.0, 0.0)
    assert service.cautious <= MOST * service.seconds
    service = service.advance(2.0, 1.0, 0.0)
    for _ in range(100):
        service = service.advance(2.0, 1.0, 1.0)
    assert service.cautious < 1.5 * service.seconds
