"""The upload API: takes a document, returns a job id, and says where the job is. `uvicorn api:app`."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from streamqueue import Queue, State

STAGES = ("extract", "analyze", "summarize", "embed")
LARGEST = 10_000_000  # bytes

queues: dict[str, Queue] = {}


@asynccontextmanager
async def connected(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for stage in STAGES:
            queue = Queue(os.environ["REDIS_URL"], f"{{documents}}:{stage}")
            queues[stage] = await stack.enter_async_context(queue)
        yield


app = FastAPI(lifespan=connected)


@app.post("/documents", status_code=202)
async def upload(request: Request, name: str) -> dict[str, str]:
    content = await request.body()
    if not 0 < len(content) <= LARGEST:
        raise HTTPException(413, f"a document has 1 to {LARGEST} bytes")
    sent = await queues["extract"].send({"name": name, "content": content})
    return {"id": sent.id}


@app.get("/documents/{job}")
async def state(job: str) -> dict[str, Any]:
    """The job's last stage that knows it: a task keeps its id from stage to stage."""
    for stage in reversed(STAGES):
        result = await queues[stage].result(job)
        if result.state is State.UNKNOWN:
            continue
        if result.state is State.DONE and stage == STAGES[-1]:
            return {"state": "done", "document": result.value}
        if result.state is State.DONE:
            return {"state": "waiting", "stage": STAGES[STAGES.index(stage) + 1]}
        return {"state": result.state, "stage": stage, "error": result.error}
    raise HTTPException(404, "no such job, or it was forgotten")
