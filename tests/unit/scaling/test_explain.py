from __future__ import annotations

from streamqueue.scaling import Decision, Reason
from streamqueue.scaling.explain import Journal

from .build import look, pods


def note(journal: Journal, now: float, have: int, want: int, reason: Reason) -> None:
    journal.note(look(now, waiting=9, pods=pods(*[1] * have)), Decision(want, reason, f"{have} -> {want}"))


def test_what_repeats_takes_one_entry_and_each_time_finds_its_own() -> None:
    journal = Journal()
    note(journal, 0.0, 2, 7, Reason.SCALING_UP)
    for second in range(1, 100):
        note(journal, float(second), 7, 7, Reason.STEADY)
    note(journal, 100.0, 7, 6, Reason.SCALING_DOWN)
    assert [(e.at, e.until, e.had, e.replicas) for e in journal] == [(0, 0, 2, 7), (1, 99, 7, 7), (100, 100, 7, 6)]
    found = journal.at(57.3)
    assert found is not None
    assert (found.reason, found.waiting, found.pending) == (Reason.STEADY, 9, 7)
    assert journal.at(-1.0) is None


def test_the_ring_is_bounded() -> None:
    journal = Journal(kept=5)
    for second in range(50):
        note(journal, float(second), second, second + 1, Reason.SCALING_UP)
    assert len(journal) == 5
    assert journal.at(10.0) is None
