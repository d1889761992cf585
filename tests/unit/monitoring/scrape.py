"""A scrape of the operator's own HTTP server, parsed as Prometheus would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from streamqueue.controller.server import Health, serve

PREFIX = "streamqueue_"


class Page:
    """One answer of /metrics; the operator's own families by name."""

    def __init__(self, text: str) -> None:
        families = text_string_to_metric_families(text)
        self.families: dict[str, Metric] = {each.name: each for each in families if each.name.startswith(PREFIX)}

    def values(self, name: str, queue: str) -> dict[tuple[str, ...], float]:
        """Of one queue's samples, by the labels beyond namespace and queue."""
        return {
            tuple(value for label, value in sample.labels.items() if label not in ("namespace", "queue")): sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == PREFIX + name and sample.labels.get("queue") == queue
        }

    def series(self, queue: str) -> set[str]:
        """Names of all samples of one queue."""
        return {
            sample.name
            for family in self.families.values()
            for sample in family.samples
            if sample.labels.get("queue") == queue
        }


class Scraper:
    """`await scraper()` reads the page anew."""

    def __init__(self, health: Health, url: str) -> None:
        self.health = health
        self._url = url

    async def __call__(self) -> Page:
        async with aiohttp.ClientSession() as session, session.get(self._url) as response:
            assert response.status == 200
            return Page(await response.text())


@asynccontextmanager
async def scraping() -> AsyncIterator[Scraper]:
    """The server on a free port, for as long as the block lasts."""
    health = Health()
    runner = await serve(health, 0)
    try:
        yield Scraper(health, f"http://127.0.0.1:{_port(runner)}/metrics")
    finally:
        await runner.cleanup()


def _port(runner: web.AppRunner) -> int:
    """Of IPv4: with port 0 each family gets one of its own."""
    return next(int(address[1]) for address in runner.addresses if len(address) == 2)
