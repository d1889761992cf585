"""One module per command; those that belong together share one. None is loaded before it is called."""

PLACES = {
    "completion": "completion:completion",
    "dev": "dev:dev",
    "dlq": "dlq:dlq",
    "doctor": "doctor:doctor",
    "explain": "explain:explain",
    "import": "import_:import_",
    "init": "init:init",
    "pause": "scaling:pause",
    "peek": "peek:peek",
    "pending": "pending:pending",
    "reclaim": "reclaim:reclaim",
    "replay": "replay:replay",
    "result": "result:result",
    "resume": "scaling:resume",
    "scale": "scaling:scale",
    "send": "send:send",
    "simulate": "simulate:simulate",
    "status": "status:status",
    "top": "top:top",
}
"""Module and object of each command."""
