"""`python -m streamqueue.local.http_pod COMMAND …`: the two containers of a pod with `protocol: http`, as processes.

COMMAND is the handler. It finds its port as PORT, and nothing of Redis; as a pod's sidecar, it is started again when it
ends, and told to go when the runner has finished. The exit code is the runner's.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

from streamqueue.local.fleet import plain_environment
from streamqueue.local.ports import free_port

PAUSE = 1.0  # seconds until a handler that ended is started again
RUNNER = ("-m", "streamqueue.worker.http")


def main() -> None:
    sys.exit(asyncio.run(_run(sys.argv[1:])))


async def _run(command: Sequence[str]) -> int:
    port = free_port()
    url = urlsplit(os.environ["STREAMQUEUE_HANDLER_URL"])._replace(netloc=f"127.0.0.1:{port}")
    runner = await asyncio.create_subprocess_exec(
        sys.executable, *RUNNER, env={**os.environ, "STREAMQUEUE_HANDLER_URL": urlunsplit(url)}
    )

    def tell() -> None:
        with suppress(ProcessLookupError):
            runner.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, tell)
    handler = asyncio.create_task(_keep(command, plain_environment() | {"PORT": str(port)}))
    handler.add_done_callback(lambda _: tell())
    code = await runner.wait()
    handler.cancel()
    try:
        await handler
    except asyncio.CancelledError:
        return code
    except OSError as error:
        print(f"{command[0]!r} can't be started: {error.strerror}", file=sys.stderr)
    return 1


async def _keep(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Until it is cancelled. Raises OSError for a command that can't be started."""
    while True:
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            raise
        print(f"the handler ended with {code}, and is started again", file=sys.stderr)
        await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    main()
