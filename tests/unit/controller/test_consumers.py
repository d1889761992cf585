"""Nothing is inferred from a name that isn't a pod's."""

from __future__ import annotations

from streamqueue.controller.pods.consumers import attribute, pod_of

A, B = "orders-6b7f9-aaaaa", "orders-6b7f9-bbbbb"


def test_a_pod_without_a_consumer_holds_nothing() -> None:
    assert attribute("orders", [A, B], {A: 2}, complete=True).pending == {A: 2, B: 0}


def test_a_worker_that_adds_its_process_to_the_name_is_its_pods() -> None:
    assert attribute("orders", [A], {f"{A}.x1": 1, f"{A}.x2": 2}, complete=True).pending == {A: 3}


def test_a_queues_name_may_hold_dots() -> None:
    a, b = "shop.orders-6b7f9-aaaaa", "shop.orders-6b7f9-bbbbb"
    attribution = attribute("shop.orders", [a, b], {a: 1, f"{b}.1f2e3d4c": 2}, complete=True)
    assert (attribution.pending, attribution.strangers) == ({a: 1, b: 2}, ())
    assert (pod_of(a), pod_of(f"{b}.1f2e3d4c")) == (a, b)
    assert pod_of("laptop.local") == "laptop", "of no pod"


def test_one_name_for_all_pods_tells_nothing_of_any() -> None:
    attribution = attribute("orders", [A, B], {"worker-1": 4}, complete=True)
    assert attribution.pending == {A: None, B: None}
    assert attribution.strangers == ("worker-1",)


def test_a_pod_that_reads_under_its_own_name_is_known_beside_strangers() -> None:
    assert attribute("orders", [A, B], {A: 0, "cli": 1}, complete=True).pending == {A: 0, B: None}


def test_a_stranger_with_empty_hands_doesnt_matter() -> None:
    assert attribute("orders", [A], {"cli": 0}, complete=True).pending == {A: 0}


def test_a_dead_pod_of_ours_is_no_stranger() -> None:
    attribution = attribute("orders", [A], {B: 3}, complete=True)
    assert attribution.pending == {A: 0}
    assert attribution.strangers == ()


def test_a_queue_whose_name_begins_like_ours_is_a_stranger() -> None:
    assert attribute("orders", [A], {"orders-eu-6b7f9-aaaaa": 1}, complete=True).strangers


def test_a_cut_list_leaves_the_absent_unknown() -> None:
    assert attribute("orders", [A, B], {A: 1}, complete=False).pending == {A: 1, B: None}
