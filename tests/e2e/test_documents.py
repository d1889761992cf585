"""The pipeline of `examples/documents`, as it is in the repository: uploads, four stages, pods killed on the way."""

from __future__ import annotations

import html
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import yaml
from fpdf import FPDF

from tests.e2e.queue import Queue
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent(long=True)

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/documents"
INDEX = "{documents}:index"
PROSE = ("concepts", "delivery", "migrate", "operations", "pipelines", "redis", "scaling", "worker")
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in PROSE)]
COPIES = 3  # of each page, as tasks of their own
BOOKS = 6  # of all pages in one: long enough in hand for a worker to be killed with it


class Api:
    """The upload handler, by its Service's port on the node."""

    def __init__(self, world: World) -> None:
        world.kubectl("rollout", "status", "deployment/documents-api", "--timeout=120s")
        port = world.kubectl.get("service", "documents-api")["spec"]["ports"][0]["nodePort"]
        addresses = world.kubectl.get("nodes")["items"][0]["status"]["addresses"]
        host = next(address["address"] for address in addresses if address["type"] == "InternalIP")
        self._url = f"http://{host}:{port}/documents"

    def upload(self, name: str, content: bytes) -> str:
        return str(_reply(Request(f"{self._url}?name={quote(name)}", content))["id"])

    def state(self, job: str) -> dict[str, Any]:
        return _reply(Request(f"{self._url}/{job}"))


def _reply(request: Request) -> dict[str, Any]:
    """Asks again while the node's port is shut, as it is when the pod is not ready and some moments longer."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urlopen(request, timeout=30) as reply:
                found: dict[str, Any] = json.load(reply)
                return found
        except HTTPError:
            raise
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_every_document_comes_out_once_though_workers_are_killed(world: World) -> None:
    manifests = [
        each for file in ("api.yaml", "queues.yaml") for each in yaml.safe_load_all((EXAMPLE / file).read_text())
    ]
    world.kubectl.apply(*manifests)
    stages = [_queue(world, each) for each in manifests if each["kind"] == "StreamQueue"]
    api = Api(world)
    started = time.monotonic()
    jobs = [api.upload(name, content) for _ in range(COPIES) for name, content in documents()]
    book = as_pdf("\n".join(page.read_text() for page in PAGES))
    jobs += [api.upload(f"book-{n}.pdf", book) for n in range(BOOKS)]
    broken = api.upload("broken.pdf", b"%PDF-1.7 and nothing more")
    held = [kill_one(world, stage, at_work=stage is stages[0]) for stage in stages]

    def come_out() -> Counter[str]:
        return Counter(fields["sq-origin"] for _, fields in world.redis.xrange(INDEX))

    world.view.eventually(lambda: come_out().keys() >= set(jobs), 240, "every document is in the index")
    for stage in stages:
        world.view.eventually(lambda stage=stage: _is_empty(stage), 60, f"{stage.name}: nothing is under way")
    assert come_out() == Counter(jobs), "a document came out twice, or one that was never sent"

    done = api.state(jobs[0])
    assert done["state"] == "done" and len(done["document"]["vector"]) == 256 and done["document"]["words"] > 100
    assert {api.state(job)["state"] for job in jobs} == {"done"}
    assert api.state(broken) == {"state": "dead", "stage": "extract", "error": api.state(broken)["error"]}
    assert "no PDF that can be read" in api.state(broken)["error"]
    with pytest.raises(HTTPError, match="404"):
        api.state("never-sent")
    world.note(
        f"documents: {len(jobs)} through four stages in {time.monotonic() - started:.0f} s, from zero, "
        f"a pod of each killed, {sum(held)} of them with a document in hand"
    )
    world.kubectl("delete", "streamqueues", *(stage.name for stage in stages), "--wait=false")
    world.kubectl("delete", "deployment", "documents-api", "--wait=false")


def documents() -> list[tuple[str, bytes]]:
    """The project's own pages, as PDF and as HTML by turns."""
    return [
        (f"{page.stem}.pdf", as_pdf(page.read_text())) if n % 2 else (f"{page.stem}.html", as_html(page.read_text()))
        for n, page in enumerate(PAGES)
    ]


def as_pdf(text: str) -> bytes:
    pdf = FPDF()
    pdf.set_font("helvetica", size=10)
    pdf.add_page()
    pdf.multi_cell(0, 5, text.encode("latin-1", "replace").decode("latin-1"))
    return bytes(pdf.output())


def as_html(text: str) -> bytes:
    body = "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n"))
    return f"<html><head><style>p {{margin: 1em}}</style></head><body>{body}</body></html>".encode()


def kill_one(world: World, stage: Queue, *, at_work: bool) -> bool:
    """Force a pod of this stage away, one that holds a task if there is any; whether it held one.

    `at_work`: wait for one. The short stages have a task in hand for some hundredths of a second.
    """

    def victim() -> tuple[str, bool] | None:
        names = [pod["metadata"]["name"] for pod in stage.ready_pods()]
        if not names:
            return None
        consumers = stage.client.xinfo_consumers(stage.stream, stage.group)
        busy = {each["name"].rpartition(".")[0] for each in consumers if each["pending"]} & set(names)
        if at_work and not busy:
            return None
        return next(iter(busy), names[0]), bool(busy)

    name, held = world.view.eventually(victim, 120, f"{stage.name}: a pod to kill") or ("", False)
    world.kubectl("delete", "pod", name, "--grace-period=0", "--force")
    return held


def _queue(world: World, manifest: dict[str, Any]) -> Queue:
    queue = world.queue(manifest["metadata"]["name"])
    queue.spec, queue.stream, queue.group = manifest["spec"], manifest["spec"]["stream"], manifest["spec"]["group"]
    return queue


def _is_empty(stage: Queue) -> bool:
    group = next(each for each in stage.client.xinfo_groups(stage.stream) if each["name"] == stage.group)
    # The answer holds an entry as well, which may be a PDF: it is left as bytes.
    newest = stage.client.execute_command("XINFO STREAM", stage.stream, NEVER_DECODE=True)["last-generated-id"]
    return bool(group["pending"] == 0 and group["last-delivered-id"] == newest.decode())
