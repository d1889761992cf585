"""One module per command; those that belong together share one. None is loaded before it is called."""

_OF_THEIR_OWN = (
    *("completion", "dev", "dlq", "doctor", "explain", "init", "peek", "pending", "reclaim", "replay", "result"),
    *("send", "simulate", "status", "top"),
)
PLACES = {name: f"{name}:{name}" for name in _OF_THEIR_OWN} | {
    "import": "import_:import_",
    **{name: f"scaling:{name}" for name in ("pause", "resume", "scale")},
}
"""Module and object of each command."""
