"""One module per command; those that belong together share one."""

from streamqueue.cli.commands.completion import completion
from streamqueue.cli.commands.dev import dev
from streamqueue.cli.commands.dlq import dlq
from streamqueue.cli.commands.doctor import doctor
from streamqueue.cli.commands.explain import explain
from streamqueue.cli.commands.import_ import import_
from streamqueue.cli.commands.init import init
from streamqueue.cli.commands.peek import peek
from streamqueue.cli.commands.pending import pending
from streamqueue.cli.commands.reclaim import reclaim
from streamqueue.cli.commands.replay import replay
from streamqueue.cli.commands.result import result
from streamqueue.cli.commands.scaling import pause, resume, scale
from streamqueue.cli.commands.send import send
from streamqueue.cli.commands.simulate import simulate
from streamqueue.cli.commands.status import status
from streamqueue.cli.commands.top import top

ALL = (
    completion,
    dev,
    dlq,
    doctor,
    explain,
    import_,
    init,
    peek,
    pause,
    pending,
    reclaim,
    replay,
    result,
    resume,
    scale,
    send,
    simulate,
    status,
    top,
)
