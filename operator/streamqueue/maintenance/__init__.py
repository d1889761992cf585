"""One pass over a queue's leftovers: reclaim, dead letters, trimming, consumer clean-up."""

from streamqueue.maintenance.abandoned import abandoned
from streamqueue.maintenance.dead_letters import Redrive, purge, redrive
from streamqueue.maintenance.quiet import Quiet, QuietReason, look
from streamqueue.maintenance.release import release
from streamqueue.maintenance.report import ReleaseReport, SweepReport
from streamqueue.maintenance.sweep import sweep

__all__ = [
    "Quiet",
    "QuietReason",
    "Redrive",
    "ReleaseReport",
    "SweepReport",
    "abandoned",
    "look",
    "purge",
    "redrive",
    "release",
    "sweep",
]
