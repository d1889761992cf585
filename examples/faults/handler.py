"""The plain loop again, with tasks that go wrong as their `fault` field says: for the tests, and for trying out.

`raise`: fails each time, and the loop reads on. At the first attempt only: `exit`, the process ends; `oom`, it takes
memory until the kernel ends it; `hang`, it never comes to an end. A task with a field `until` ends when there is a key
of that name.
"""

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


def strike(fault: str) -> None:
    hoard = []
    while fault != "exit":
        if fault == "oom":
            hoard.append(os.urandom(1 << 20))
        else:
            time.sleep(1)
    os._exit(3)


def work(entry: str, task: dict[str, str]) -> None:
    identity = task.get("sq-id", entry)
    client.xadd(f"{{{STREAM}}}:starts", {"task": identity, "worker": CONSUMER})
    fault = task.get("fault")
    if fault == "raise":
        raise ValueError(f"task {identity} is poison")
    if fault and client.set(f"{{{STREAM}}}:struck:{identity}", "1", nx=True):
        strike(fault)
    time.sleep(float(task.get("seconds", "0.05")))
    while (key := task.get("until")) and not client.exists(key):
        time.sleep(0.1)
    result = {"task": identity, "entry": entry, "worker": CONSUMER, "group": GROUP}
    client.pipeline().xadd(f"{{{STREAM}}}:g:{GROUP}:results", result).xack(STREAM, GROUP, entry).execute()


signal.signal(signal.SIGTERM, stop)
while not stopping:
    try:
        for _, entries in client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=1, block=2000) or []:
            for entry, task in entries:
                work(entry, task)
    except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError, ValueError) as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        time.sleep(0.2)
