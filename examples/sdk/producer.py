"""Sends a page and waits for its count: `python producer.py redis://127.0.0.1:6379 https://example.org`."""

import asyncio
import sys

from streamqueue import Queue


async def main(redis: str, page: str) -> None:
    async with Queue(redis, "pages") as pages:
        sent = await pages.send({"url": page}, id=page)  # the same page is counted once an hour
        print(await pages.wait(sent.id, timeout=120))


if len(sys.argv) != 3:
    sys.exit(__doc__)
asyncio.run(main(*sys.argv[1:]))
