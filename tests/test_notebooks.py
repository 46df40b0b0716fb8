"""Values in a notebook: arrays where arrays are expected, one line as text, a picture or a short table as HTML."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from urllib.request import url2pathname

import keras
import numpy as np
import pytest

import superlens as sl
from html_page import Page
from superlens.model import Model, ModelConfig
from superlens.report import Verdict
from superlens.result import Channel, Result
from superlens.smlm import Localizations

IMAGE = sl.Image(
    np.arange(600.0).reshape(20, 30), pixel_nm=65.0, name="cell", history={"superlens": {"what": "x" * 5000}}
)


class Speaks:
    """Evidence that always says the same."""

    title = "Report"

    def numbers(self) -> dict[str, float]:
        return {}

    def verdict(self) -> Verdict:
        return Verdict("ok", "Use it", "Denoised; nothing speaks against the result.")

    def html(self) -> str:
        return "<!doctype html><p>all of it</p>"


@pytest.fixture
def result() -> Result:
    network = keras.Sequential([keras.Input((None, None, 1)), keras.layers.Conv2D(1, 3)])
    config = ModelConfig(version="0", method="toy", network="toy", network_config={}, state={"pixel_nm": 65.0})
    channel = Channel({"denoised": IMAGE}, Model(config, network), None, None, {}, (), lambda *_: Speaks())
    return Result.of(channel, IMAGE)


def test_an_image_is_an_array_where_an_array_is_expected() -> None:
    assert np.asarray(IMAGE).shape == (20, 30)
    assert np.asarray(IMAGE, dtype=np.float32).dtype == np.float32
    assert not np.shares_memory(np.array(IMAGE), IMAGE.data)
    assert float(np.mean(IMAGE)) == pytest.approx(299.5)


def test_values_fit_in_a_line_and_show_themselves(result: Result) -> None:
    table = Localizations({"frame": [1, 4], "x_nm": [5.0, 7.5], "y_nm": [1.0, 2.0]})
    for value, said in (
        (IMAGE, "65 nm pixels"),
        (table, "2 rows, 4 frames"),
        (result, "Use it."),
        (result.model, "10"),
    ):
        assert len(repr(value)) < 200 and "\n" not in repr(value)
        page = Page(value._repr_html_())
        assert page.open == []
        assert said in repr(value) and said in page.words
    assert "data:image/png" in IMAGE._repr_html_()


def test_the_report_opens_in_the_browser_outside_a_notebook(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    result.show()
    assert "all of it" in Path(url2pathname(opened[0].removeprefix("file://"))).read_text(encoding="utf-8")
