"""One pass over a queue's leftovers: reclaim, dead letters, trimming, consumer clean-up."""

from streamqueue.maintenance.abandoned import abandoned
from streamqueue.maintenance.dead_letters import letters, purge, redrive
from streamqueue.maintenance.quiet import QuietReason, check_server
from streamqueue.maintenance.release import release
from streamqueue.maintenance.replay import WouldReachOthers, replay
from streamqueue.maintenance.report import ReleaseReport, SweepReport
from streamqueue.maintenance.returns import Cause, Return, take_returns
from streamqueue.maintenance.sweep import sweep

__all__ = [
    "Cause",
    "QuietReason",
    "ReleaseReport",
    "Return",
    "SweepReport",
    "WouldReachOthers",
    "abandoned",
    "check_server",
    "letters",
    "purge",
    "redrive",
    "release",
    "replay",
    "sweep",
    "take_returns",
]
