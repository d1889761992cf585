from __future__ import annotations

import gc
import random
import tracemalloc
from dataclasses import replace

from streamqueue.scaling import Decision, PodState, Reason
from streamqueue.scaling.explain import BRIEF, SEALED_BYTES, Journal

from .build import look, pods

DEPTH = 6  # frames: as deep as calls from here go


def note(journal: Journal, now: float, have: int, want: int, reason: Reason) -> None:
    journal.note(look(now, waiting=int(now), pods=pods(*[1] * have)), Decision(want, reason, f"{have} -> {want}"))


def test_what_repeats_takes_one_entry() -> None:
    journal = Journal()
    note(journal, 0.0, 2, 7, Reason.SCALING_UP)
    for second in range(1, 100):
        note(journal, float(second), 7, 7, Reason.STEADY)
    note(journal, 100.0, 7, 6, Reason.SCALING_DOWN)
    assert [(e.at, e.until, e.had, e.replicas) for e in journal] == [(0, 0, 2, 7), (1, 99, 7, 7), (100, 100, 7, 6)]
    _, steady, _ = journal
    assert (steady.reason, steady.waiting, steady.pending) == (Reason.STEADY, 1, 7), "as it was made"
    assert steady.pods == {PodState.READY: 7}


def test_the_oldest_go_and_what_was_packed_reads_as_it_was() -> None:
    journal, whole = Journal(), Journal(open_entries=10_000)
    for second in range(2_000):
        for each in (journal, whole):
            note(each, float(second), second % 50, (second + 1) % 50, Reason.SCALING_UP)
    kept = list(journal)
    assert 150 < len(kept) < 2_000 and journal.weight <= SEALED_BYTES
    assert kept == list(whole)[-len(kept) :]


def test_a_change_that_takes_time_is_one_entry() -> None:
    """The API server is slow, or refuses: the count is decided again and again."""
    journal = Journal()
    for second in range(60):
        note(journal, float(second), 2, 7, Reason.SCALING_UP)
    (entry,) = journal
    assert (entry.at, entry.until, entry.had, entry.replicas) == (0.0, 59.0, 2, 7)


def test_reasons_that_flicker_dont_push_the_changes_out() -> None:
    journal = Journal()
    note(journal, 0.0, 2, 7, Reason.SCALING_UP)
    for second in range(1, 2_001):
        note(journal, float(second), 7, 7, (Reason.STEADY, Reason.COOLING_DOWN)[second % 2])
    entries = list(journal)
    assert len(entries) <= 1 + 2_000 / BRIEF + 1
    assert entries[0].changed and entries[-1].until == 2_000.0


def test_a_brief_change_of_mind_is_one_entry_with_the_latest_reason() -> None:
    """While the count stays; and by a clock that ran backwards nothing lasted."""
    journal = Journal()
    note(journal, 0.0, 7, 7, Reason.STEADY)
    note(journal, 1.0, 7, 7, Reason.COOLING_DOWN)
    note(journal, BRIEF + 1, 7, 7, Reason.COOLING_DOWN)
    note(journal, BRIEF + 2, 7, 7, Reason.STEADY)
    note(journal, BRIEF + 3, 7, 9, Reason.SCALING_UP)
    note(journal, BRIEF + 4, 7, 9, Reason.AT_MAX)
    note(journal, 5.0, 7, 9, Reason.AT_MAX)
    assert [(each.at, each.until, each.reason) for each in journal] == [
        (0.0, BRIEF + 1, Reason.COOLING_DOWN),
        (BRIEF + 2, BRIEF + 2, Reason.STEADY),
        (BRIEF + 3, BRIEF + 3, Reason.SCALING_UP),
        (BRIEF + 4, BRIEF + 4, Reason.AT_MAX),
        (5.0, 5.0, Reason.AT_MAX),
    ]


def test_a_full_journal_weighs_about_16_kb() -> None:
    dice = random.Random(3)
    tracemalloc.start(DEPTH)
    journals = [Journal() for _ in range(3)]
    for journal in journals:
        have = 0
        for second in range(800):
            want = dice.randrange(200)
            sentence = f"{have} -> {want}: {dice.randrange(9999)} waiting, oldest {dice.randrange(99)} s of 30 s"
            states = [PodState.READY, PodState.STARTING, PodState.TERMINATING]
            seen = look(float(second), waiting=dice.randrange(9999), pods=pods(*[1] * 3), replicas=have)
            seen = replace(seen, pods=tuple(replace(p, state=s) for p, s in zip(seen.pods, states, strict=True)))
            journal.note(seen, Decision(want, Reason.SCALING_UP, sentence + "; 1.9 s a task; pods take 14 s"))
            have = want
    gc.collect()
    # What was allocated from here: other threads of the process allocate too.
    ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, __file__, all_frames=True)])
    tracemalloc.stop()
    used = sum(trace.size for trace in ours.traces) / len(journals)
    assert 1_000 < used < 17_000
