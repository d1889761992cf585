"""A handler in Python: prices an order. FastAPI answers what is no `Order` with 422: a dead letter."""

import asyncio
import os
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, PositiveInt

app = FastAPI()
register = asyncio.Lock()  # there is one cash register

Text, Number = Annotated[str, Header()], Annotated[int, Header()]


class Order(BaseModel):
    amount: PositiveInt
    seconds: float = 0


@app.post("/tasks")
async def handle(order: Order, ce_id: Text, ce_attempt: Number) -> dict[str, int]:
    if register.locked():
        raise HTTPException(503, "the register is taken", {"Retry-After": "1"})  # not now: costs no attempt
    async with register:
        print(f"working on {ce_id}, attempt {ce_attempt}", flush=True)
        await asyncio.sleep(order.seconds)
    return {"total": 3 * order.amount, "attempt": ce_attempt}


uvicorn.run(app, host="0.0.0.0", port=int(os.environ["PORT"]), access_log=False)
