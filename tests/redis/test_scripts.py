"""No script is left out of the tests in which each of its calls fails."""

from __future__ import annotations

from streamqueue.streams import enqueue, outbox, tasks
from tests.redis import test_atomicity, test_failing_reads
from tests.redis.failing import scripts
from tests.redis.worker import test_task_atomicity


def test_each_script_is_made_to_fail() -> None:
    covered = {(module.__name__, name) for module, name, _ in test_atomicity.OPERATIONS.values()}
    covered |= {(module.__name__, name) for module, name, _ in test_failing_reads.READS.values()}
    covered |= {(tasks.__name__, name) for name, _ in test_task_atomicity.OPERATIONS.values()}
    # These have a test of their own beside them.
    covered |= {(enqueue.__name__, "_ENQUEUE"), (enqueue.__name__, "_PROMOTE")}
    covered.add(("streamqueue.maintenance.replay", "_SCRIPT"))
    covered |= {(outbox.__name__, "_DELIVER"), (outbox.__name__, "_CLEAR")}
    assert scripts() == covered
