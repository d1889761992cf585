"""What `streamqueue dev` shows on a terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from streamqueue.api.parse import parse_spec
from streamqueue.cli.dev_view import View
from streamqueue.cli.manifest import Manifest
from streamqueue.local.run import Look
from streamqueue.scaling import Decision, Reason
from tests.unit.cli.build import snapshot, spec


def test_a_round_fits_on_a_terminal_of_80_columns(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    before = replace(snapshot(undelivered=12345, pending=120, dead_letters=12), oldest_waiting_age=809.0)
    now = replace(before, time=before.time + 1, entries_added=1250, entries_read=980)
    with View(Manifest("orders", parse_spec(spec())), "") as view:
        for reason in sorted(Reason, key=len):
            for each in (replace(before, entries_added=0, entries_read=0), now):
                view.show(Look(each, "", Decision(20, reason, "said"), 16, 20, 0, 1.0))
    lines = re.sub("\x1b\\[[?0-9;]*[a-zA-Z]", "", capsys.readouterr().out).splitlines()
    titles, *_, row, _ = lines[-14:]
    assert titles.split()[-2:] == ["WORKERS", "REASON"]
    assert row.split()[1:] == ["12345", "120", "13m29s", "1250.0", "980.0", "12", "16/20", max(Reason, key=len)]


def test_what_it_says_to_type_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    with View(Manifest("orders", parse_spec(spec(stream="my orders"))), "redis://127.0.0.1:1/0"):
        pass
    assert "--stream 'my orders' --group workers FIELD=VALUE" in capsys.readouterr().out


def test_who_ends_an_idle_queue_waits_for_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    with View(Manifest("orders", parse_spec(spec())), "") as view:
        view.leave(0)
        assert capsys.readouterr().out == ""
        view.leave(2)
    assert "Stopping 2 workers; Ctrl-C again ends them at once." in capsys.readouterr().out
