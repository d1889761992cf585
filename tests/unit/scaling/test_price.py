"""How tasks that start late change what is planned with."""

from __future__ import annotations

from streamqueue.scaling.deadline.price import LEAST, MOST, TIGHTEST, WIDEST, Price


def test_late_tasks_leave_less_of_the_target_to_plan_with_and_tasks_in_time_give_it_back() -> None:
    late = Price().learn(20.0, 0.0)
    assert late.share < WIDEST and late.value > Price().value
    assert late.learn(0.0, 30.0).share > late.share


def test_as_many_late_as_aimed_at_change_nothing() -> None:
    settled = Price(5.0, 0.8)
    assert settled.learn(3.0, 97.0) == settled


def test_the_plan_stays_within_bounds() -> None:
    price = Price()
    for _ in range(100):
        price = price.learn(1000.0, 0.0)
    assert price == Price(MOST, TIGHTEST)
    for _ in range(2000):
        price = price.learn(0.0, 1000.0)
    assert price == Price(LEAST, WIDEST)


def test_no_look_alone_leads_from_end_to_end() -> None:
    for price in (Price(MOST, TIGHTEST).learn(0.0, 1e6), Price(LEAST, WIDEST).learn(1e6, 0.0)):
        assert LEAST < price.value < MOST and TIGHTEST < price.share < WIDEST
