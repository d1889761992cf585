"""What `/decisions/NAMESPACE/NAME` answers: the journal of a queue, and what the law has learnt of it. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from streamqueue.controller.runtime import Runtime


def decisions(runtime: Runtime, leading_since: float, clock_offset: float) -> dict[str, Any]:
    """For JSON; times are epoch seconds. `clock_offset` turns the loop's clock into them.

    Nothing is known of the time before `leadingSince`: another process decided then, or none.
    """
    entries = []
    for entry in runtime.journal:
        row = asdict(entry)
        entries.append(row | {"at": entry.at + clock_offset, "until": entry.until + clock_offset})
    learnt = runtime.memory.learnt if runtime.memory else None
    cold = runtime.memory.cold if runtime.memory else None
    return {
        "leadingSince": leading_since,
        "serviceSeconds": learnt.service.seconds if learnt and learnt.service.is_known else None,
        "coldStartSeconds": cold.mean if cold and cold.samples else None,
        "entries": entries,
    }
