"""Entry point: the commands, and how each error becomes one line and an exit code.

0: done. 1: it could not be done, or `doctor` found a problem. 2: bad input. 130: interrupted. 141: who reads the output
has left, as after SIGPIPE; not a word is said of it.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from streamqueue.cli import commands
from streamqueue.cli.completing import COMPLETION_VARIABLE
from streamqueue.cli.group import LazyGroup
from streamqueue.streams import RedisProblem

NOBODY_READS = 141  # what a shell makes of SIGPIPE, which Windows hasn't


@click.group(
    cls=LazyGroup,
    package=commands.__name__,
    places=commands.PLACES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="streamqueue", message="%(prog)s %(version)s")
def cli() -> None:
    """Task queues on Redis Streams: look at them, mend them, find out what is wrong.

    Name a queue to work on the StreamQueue of your kubeconfig; or give --redis, --stream and --group to work straight
    on Redis. Where Redis is reachable in the cluster alone, the way goes through the API server.
    """


def main() -> None:
    called_as = os.path.basename(sys.argv[0])
    # What goes wrong is said once, in a line of ours.
    logging.disable(logging.CRITICAL)
    name = "kubectl streamqueue" if called_as.startswith("kubectl-") else "streamqueue"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # tasks hold what no terminal may speak
    code = run(sys.argv[1:], name)
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none where it was closed before the start
        try:
            stream.flush()
        except OSError:  # which was told: the interpreter would tell it again, with a code of its own
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def run(arguments: Sequence[str], name: str = "streamqueue") -> int:
    """The exit code of one call; messages go to standard error."""
    try:
        code = cli.main(list(arguments), prog_name=name, complete_var=COMPLETION_VARIABLE, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        return _say(error.format_message(), error.exit_code)
    except click.ClickException as error:
        return _fail(name, error.format_message(), error.exit_code)
    except RedisProblem as problem:
        return _fail(name, problem.message, 1)
    except UnicodeEncodeError:
        return _fail(name, "what was typed is no UTF-8 text", 2)
    except BrokenPipeError:
        return NOBODY_READS
    except OSError as error:
        return _fail(name, error.strerror or type(error).__name__, 1)
    except (click.Abort, KeyboardInterrupt):
        return 130
    except SystemExit as end:  # of completion with 0; click and rich make it of a broken pipe
        return NOBODY_READS if end.code else 0
    return code if isinstance(code, int) else 0


def _fail(name: str, message: str, code: int) -> int:
    return _say(f"{name}: {' '.join(message.split())}", code)


def _say(message: str, code: int) -> int:
    with suppress(OSError):  # the code tells it too
        click.echo(message, err=True)
    return code


if __name__ == "__main__":
    main()
