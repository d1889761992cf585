"""The operator: watch -> store -> observe -> decide -> act -> report. `python3 -m streamqueue.controller`."""
