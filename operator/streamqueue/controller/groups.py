"""The consumer group of a queue: made where it is missing, and one that has vanished goes on where it stood."""

from __future__ import annotations

from redis.asyncio import Redis as Client

from streamqueue.api.spec import QueueSpec
from streamqueue.controller.cluster.events import Recorder
from streamqueue.controller.kinds import Body
from streamqueue.controller.runtime import Runtime
from streamqueue.controller.status.progress import added_between
from streamqueue.controller.trouble import Trouble, trouble_of
from streamqueue.streams.entry_ids import predecessor
from streamqueue.streams.errors import RedisProblem
from streamqueue.streams.group import ensure_group
from streamqueue.streams.snapshot import Snapshot


async def with_group(
    client: Client, recorder: Recorder, queue: Body, runtime: Runtime, spec: QueueSpec, snapshot: Snapshot
) -> Snapshot | Trouble:
    """Create the group where it is missing. The counters of a missing group are true zeros."""
    if snapshot.group_exists:
        runtime.had_group = True
        return snapshot
    try:
        start = beginning(runtime.counted, snapshot, spec.start_from)
        is_ours = await ensure_group(client, spec.stream, spec.group, start)
    except RedisProblem as problem:
        return trouble_of(problem)
    before, runtime.had_group = runtime.had_group, True
    if not (before or is_ours):
        return snapshot  # a worker made it, where the spec has it begin
    if not before:
        message = f"group {spec.group} of stream {spec.stream} begins at {spec.start_from}"
        recorder.say(queue, "Normal", "GroupCreated", message)
        return snapshot
    if not is_ours:
        message = "the group was deleted under way: a worker or somebody else made it anew, and chose its beginning"
    elif runtime.counted and is_new_stream(runtime.counted, snapshot):
        message = "the stream was deleted under way: stream and group are there again, what they held is not"
    else:
        message = "the group was deleted under way: it goes on at the oldest task in work; what came after runs again"
    recorder.say(queue, "Warning", "GroupRecreated", message)
    return snapshot


def beginning(before: Snapshot | None, now: Snapshot, start_from: str) -> str:
    """The id after which a missing group begins; `before` is the last look, if there was one. Pure.

    `start_from` is for new groups: of one that was there, "$" would skip what came since, and "0" repeat what was done.
    """
    if before is None or before.last_delivered_id is None:
        return start_from
    if is_new_stream(before, now):
        return "0"
    return predecessor(before.oldest_pending_id) if before.oldest_pending_id else before.last_delivered_id


def is_new_stream(before: Snapshot, now: Snapshot) -> bool:
    """Whether the stream is another than `before`; earlier than Redis 7.0 that is seen while it is gone alone. Pure."""
    return not now.stream_exists or (before.entries_added is not None and added_between(before, now) is None)
