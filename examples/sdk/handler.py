"""A worker with the SDK: counts the words of a page. No loop, no acknowledgements, no signal handlers."""

from dataclasses import dataclass
from urllib.error import HTTPError
from urllib.request import urlopen

from streamqueue import Context, DeadLetter, Retry, Worker

worker = Worker()


@dataclass
class Page:
    url: str
    limit: int = 1_000_000  # bytes


@worker.task
def count_words(page: Page, ctx: Context) -> dict[str, int]:
    if not page.url.startswith(("http://", "https://")):
        raise DeadLetter(f"not a web page: {page.url}")
    try:
        with urlopen(page.url, timeout=10) as reply:
            text = reply.read(page.limit)
    except HTTPError as error:
        if error.code == 429:
            raise Retry("rate limited", after=float(error.headers.get("Retry-After", 30)), counted=False) from None
        raise  # retried with backoff, then a dead letter
    ctx.progress(0.5, "fetched")
    ctx.logger.info("%d bytes on attempt %d", len(text), ctx.attempt)
    return {"words": len(text.split())}


if __name__ == "__main__":
    worker.run()
