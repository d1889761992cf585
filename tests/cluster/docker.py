"""The calls to Docker that the harness makes."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from tests.cluster.shell import HarnessError, answer, output, run

PULL_BEGINS_SECONDS = 5
PULL_ENDS_SECONDS = 900


def image_id(tag: str) -> str | None:
    """The image's id, None where there is no such image."""
    return answer(["docker", "image", "inspect", "--format", "{{.Id}}", tag])


def label(tag: str, name: str) -> str | None:
    """The value of the image's label; None where image or label is missing."""
    text = answer(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", tag])
    labels: dict[str, str] = json.loads(text) or {} if text else {}
    return labels.get(name)


@cache
def builder() -> dict[str, str]:
    """Debian's docker.io comes without buildx; where it is there, images stay free of attestations."""
    if answer(["docker", "buildx", "version"]) is None:
        return {"DOCKER_BUILDKIT": "0"}
    return {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def build(
    tag: str,
    dockerfile: Path,
    context: Path,
    *,
    arguments: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    report: Callable[[str], None] | None = None,
) -> None:
    """`docker build` with these build arguments and labels."""
    options = [word for name, value in (arguments or {}).items() for word in ("--build-arg", f"{name}={value}")]
    options += [word for name, value in (labels or {}).items() for word in ("--label", f"{name}={value}")]
    command: list[str | Path] = ["docker", "build", "--tag", tag, "--file", dockerfile, *options, context]
    run(command, "docker-build", env=builder(), report=report)


def import_image(tag: str, archive: IO[bytes] | None) -> None:
    """Make an image of one layer from a tar archive."""
    done = subprocess.run(["docker", "import", "-", tag], stdin=archive, capture_output=True, text=True)
    if done.returncode:
        raise HarnessError(f"docker import of {tag} failed: {done.stderr.strip()}")


def remove_images(tags: Sequence[str]) -> None:
    """Remove those of the tags that exist."""
    existing = [tag for tag in tags if image_id(tag)]
    if existing:
        output(["docker", "image", "rm", "--force", *existing])


def pull(tag: str, begins: float = PULL_BEGINS_SECONDS) -> bool:
    """Whether the image could be pulled: it must have begun to arrive within `begins` seconds."""
    with subprocess.Popen(
        ["docker", "pull", tag], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        begun = threading.Event()
        watcher = threading.Thread(target=wait_for_layers, args=(process.stdout, begun), daemon=True)
        watcher.start()
        deadline = time.monotonic() + begins
        while not begun.is_set() and process.poll() is None and time.monotonic() < deadline:
            begun.wait(0.1)
        try:
            return process.wait(PULL_ENDS_SECONDS if begun.is_set() else 0.1) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            return False
        finally:
            watcher.join()  # or its file is closed while it reads


def wait_for_layers(lines: IO[str] | None, begun: threading.Event) -> None:
    """Set the event once Docker says that it pulls; read on to the end, so that it never blocks."""
    for line in lines or ():
        if "Pulling from" in line or "Pull complete" in line:
            begun.set()
