"""Progress is shown on terminals, rare in logs, and may be used to stop."""

from __future__ import annotations

import io
import logging

import pytest

from superlens.progress import Cancelled, Progress, console, put_away, silent


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def work(progress: Progress, total: int, message: str = "training") -> None:
    for done in range(1, total + 1):
        progress(done, total, message)


def test_silent_takes_progress_and_gives_nothing() -> None:
    assert silent(1, 2, "x") is None  # type: ignore[func-returns-value]


def test_a_terminal_sees_message_count_and_a_bar_for_each_stage() -> None:
    screen = Terminal()
    with console(screen) as progress:
        work(progress, 5)
        work(progress, 5, "predicting")
        work(progress, 3, "writing")
    text = screen.getvalue()
    assert "training" in text and "5/5" in text
    assert "predicting" in text
    assert "3/3" in text


def test_a_bar_that_was_put_away_goes_on_below_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    with console(screen) as progress:
        work(progress, 3)
        for done in (1, 2):
            progress(done, 7, "predicting")
        put_away()
        assert screen.getvalue().endswith("\n"), "a line that is printed now would stand beside the bar"
        screen.write("note: dim\n")
        progress(3, 7, "predicting")
    assert "3/7" in screen.getvalue().partition("note: dim\n")[2]


def test_elsewhere_there_are_rare_log_lines_and_no_output(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    with caplog.at_level(logging.INFO), console(stream) as progress:
        work(progress, 1000)
    assert stream.getvalue() == ""
    assert [record.getMessage() for record in caplog.records] == ["training: 1 of 1000"]


def test_cancelled_passes_through_and_closes_the_bar() -> None:
    screen = Terminal()
    with pytest.raises(Cancelled), console(screen) as progress:
        progress(1, 10, "training")
        raise Cancelled
    assert screen.getvalue().endswith("\n")


def test_log_lines_tell_the_time_left_from_the_work_done(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from superlens import progress

    now = iter([0.0, 100.0, 200.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    with caplog.at_level("INFO"), progress.console(io.StringIO()) as show:
        show(5, 25, "blocks")  # five were done before
        show(10, 25, "blocks")
        show(0, 3, "pyramid")
    assert [record.getMessage() for record in caplog.records] == [
        "blocks: 5 of 25",
        "blocks: 10 of 25, about 5 min left",
        "pyramid: 0 of 3",
    ]
