"""A worker as the tutorials on Redis Streams have it, unchanged but for the connection.

It has their traps: in a container the pid is 1, so all pods are consumer `worker-1`; a failed task stays pending;
nobody calls `recover_stuck_tasks`; SIGTERM goes unheard. A StreamQueue must scale it and lose nothing all the same.
"""

import os
import time

import redis

STREAM = "ai:inference:queue"
GROUP = "workers"
CONSUMER = f"worker-{os.getpid()}"

r = redis.from_url(os.environ["STREAMQUEUE_REDIS_URL"], decode_responses=True, socket_timeout=30)

try:  # noqa: SIM105
    r.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
except Exception:
    pass  # the group exists already


def process_task(data: dict[str, str]) -> str:
    time.sleep(float(data.get("seconds", "1")))
    return data.get("prompt", "").upper()


def recover_stuck_tasks() -> None:
    for pending in r.xpending_range(STREAM, GROUP, "-", "+", 10):
        if pending["time_since_delivered"] > 300_000:
            r.xclaim(STREAM, GROUP, CONSUMER, 300_000, [pending["message_id"]])


def worker_loop() -> None:
    while True:
        for _, messages in r.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=5, block=5000) or []:
            for message_id, data in messages:
                try:
                    result = process_task(data)
                    r.hset("ai:inference:results", data.get("job", message_id), result)
                    r.xack(STREAM, GROUP, message_id)
                except Exception as error:
                    print(f"task {message_id} failed: {error}", flush=True)


if __name__ == "__main__":
    worker_loop()
