"""A plain redis-py worker. Each task costs what an inference of its size costs; its result goes out with the ack."""

import os
import signal
import time

import redis

STREAM, GROUP, CONSUMER = (os.environ[f"STREAMQUEUE_{name}"] for name in ("STREAM", "GROUP", "CONSUMER"))
client = redis.Redis.from_url(os.environ["STREAMQUEUE_REDIS_URL"], decode_responses=True)
stopping = False


def stop(*_: object) -> None:
    global stopping
    stopping = True


def work(entry: str, task: dict[str, str]) -> None:
    started = time.time()
    seconds = 0.2 + int(task["ContextTokens"]) / 4000 + 0.03 * int(task["GeneratedTokens"])
    time.sleep(seconds / float(task.get("speed", "1")))
    result = {"task": task.get("sq-id", entry), "entry": entry, "worker": CONSUMER, "started": f"{started:.3f}"}
    client.pipeline().xadd(f"{{{STREAM}}}:results", result).xack(STREAM, GROUP, entry).execute()


signal.signal(signal.SIGTERM, stop)  # finish the task in hand, take no more
while not stopping:
    try:
        for _, entries in client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=1, block=2000) or []:
            for entry, task in entries:
                work(entry, task)
    except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError) as error:
        print(f"trying again in a second: {error}", flush=True)
        time.sleep(1)
