"""What runs in a worker pod, and what producers use."""

from streamqueue.worker.context import Context
from streamqueue.worker.errors import DeadLetter, PayloadError, Retry, SettingsError
from streamqueue.worker.producer.queue import Queue, Sent
from streamqueue.worker.producer.results import Result, State
from streamqueue.worker.producer.sync import SyncQueue
from streamqueue.worker.worker import Worker

__all__ = [
    "Context",
    "DeadLetter",
    "PayloadError",
    "Queue",
    "Result",
    "Retry",
    "Sent",
    "SettingsError",
    "State",
    "SyncQueue",
    "Worker",
]
