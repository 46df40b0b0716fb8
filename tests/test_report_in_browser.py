"""Claims about the pages in a real browser: the answer comes first, nothing overflows a phone, paper takes one sheet, keys work.

Chromium takes the pictures; they lie in the folder that SUPERLENS_SCREENSHOTS names, or in pytest's own. Without a browser the tests are skipped.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from superlens.report import (
    FurtherPicture,
    IndexRow,
    judge,
    render,
    render_channels,
    render_index,
    render_localizations,
)
from test_report import CREATED, full_data
from test_report_localization import make

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium here: apt-get install chromium to look at the pages"
)

WIDTHS = (1280, 390)
MEASURE = """<script>addEventListener("load", () => setTimeout(() => {
  const top = (id) => Math.round(document.getElementById(id).getBoundingClientRect().top);
  const stage = document.getElementById("stage"), divider = document.getElementById("divider");
  const found = { width: innerWidth, wide: document.documentElement.scrollWidth, tall: document.documentElement.scrollHeight };
  if (stage) {
    Object.assign(found, { stage: top("stage"), side: Math.round(stage.getBoundingClientRect().width), findings: top("findings") });
    divider.focus();
    divider.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
    found.divider = Number(divider.getAttribute("aria-valuenow"));
    document.querySelector('a[href="#messages"]')?.click();
  }
  setTimeout(() => {
    found.opened = [...document.querySelectorAll("details[open]")].map((one) => one.id);
    for (const one of document.querySelectorAll("details")) one.open = true;
    found.wideOpen = document.documentElement.scrollWidth;
    parent.postMessage([document.title, innerWidth, found], "*");
  }, 100);
}, 100));</script>"""
LISTEN = """<!doctype html><body><script>
const all = [];
addEventListener("message", (event) => { all.push(event.data); document.body.dataset.measured = JSON.stringify(all); });
</script>"""


def browse(*arguments: str) -> str:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("SUPERLENS_SCREENSHOTS")
    path = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    path.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def pages(folder: Path) -> Iterator[dict[str, Path]]:
    data = full_data(
        further=(FurtherPicture("haze", "light from above and below the focus", np.ones((48, 48)), 65.0),),
        side_views={"input": np.ones((20, 96)), "super-resolved": np.ones((20, 96))},
    )
    faulty = dataclasses.replace(data, defects=tuple(f"Fault number {k} of the camera: look at it." for k in range(5)))
    channels = [(f"channel {k} (GFP)", judge(one), render(one)) for k, one in enumerate((data, faulty))]
    row = IndexRow(
        "a-rather-long-name-of-a-file-that-must-break.ome.tif", "a.html", judge(faulty), [("before", data.input)]
    )
    texts = {
        "image": render(data),
        "image-faulty": render(faulty),
        "channels": render_channels(channels, title="Super-resolution report", image_name="cell.tif", created=CREATED),
        "molecules": render_localizations(make()),
        "index": render_index([row], title="Results", created=CREATED),
    }
    paths = {}
    for name, text in texts.items():
        paths[name] = folder / f"{name}.html"
        paths[name].write_text(text, "utf-8")
    yield paths


@pytest.fixture(scope="module")
def measured(pages: dict[str, Path], folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What a browser measures in each page in frames of two widths; a window of its own can't be as narrow as a phone."""
    frames = []
    for name, page in pages.items():
        text = re.sub("<title>.*?</title>", f"<title>{name}</title>", page.read_text("utf-8"), count=1)
        copy = folder / f"{name}-measured.html"
        copy.write_text(text.replace("</body>", f"{MEASURE}</body>"), "utf-8")
        frames += [
            f'<iframe src="{copy.as_uri()}" width="{width}" height="900" style="border:0"></iframe>' for width in WIDTHS
        ]
    listener = folder / "listener.html"
    listener.write_text(LISTEN + "".join(frames), "utf-8")
    text = browse("--window-size=1400,900", "--virtual-time-budget=5000", "--dump-dom", listener.as_uri())
    told = re.search(r'data-measured="([^"]+)"', text)
    assert told is not None, "no page came to its end"
    return {(name, width): found for name, width, found in json.loads(unescape(told[1]))}


@pytest.mark.parametrize("name", ["image", "image-faulty", "molecules"])
@pytest.mark.parametrize("width", WIDTHS)
def test_answer_and_picture_are_in_the_first_view(measured: dict[tuple[str, int], Any], name: str, width: int) -> None:
    found = measured[name, width]
    assert found["stage"] < 250
    assert found["side"] >= 0.45 * width
    if width > 500:
        assert found["findings"] < 250, "the checks stand beside the picture"
    assert found["tall"] < (2600 if width > 500 else 4000)  # of 9,000 and more with every section open


@pytest.mark.parametrize("name", ["image", "image-faulty", "molecules", "channels", "index"])
def test_nothing_overflows_a_phone(measured: dict[tuple[str, int], Any], name: str) -> None:
    assert measured[name, 390]["wide"] <= 390
    assert measured[name, 390]["wideOpen"] <= 390


def test_arrow_keys_move_the_divider_and_links_open_their_section(measured: dict[tuple[str, int], Any]) -> None:
    found = measured["image", 1280]
    assert found["divider"] == 48
    assert found["opened"] == ["messages"]


@pytest.mark.parametrize(("name", "width"), [("image", 1280), ("image-faulty", 390), ("molecules", 390)])
def test_pictures_of_the_pages_are_taken(pages: dict[str, Path], folder: Path, name: str, width: int) -> None:
    picture = folder / f"{name}-{width}.png"
    browse(f"--window-size={width},{900 if width > 500 else 1600}", f"--screenshot={picture}", pages[name].as_uri())
    grey = np.asarray(PillowImage.open(picture).convert("L"))
    assert grey.shape[1] == width
    assert np.ptp(grey) > 200


@pytest.mark.parametrize("name", ["image", "molecules"])
def test_paper_takes_one_or_two_sheets(pages: dict[str, Path], folder: Path, name: str) -> None:
    paper = folder / f"{name}.pdf"
    browse("--no-pdf-header-footer", f"--print-to-pdf={paper}", pages[name].as_uri())
    assert len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes())) <= 2


def test_dark_mode_is_dark_and_readable(pages: dict[str, Path], folder: Path) -> None:
    picture = folder / "image-dark.png"
    dark = "--blink-settings=preferredColorScheme=0"
    browse("--window-size=1280,900", dark, f"--screenshot={picture}", pages["image"].as_uri())
    grey = np.asarray(PillowImage.open(picture).convert("L"))
    assert np.median(grey) < 60  # the paper
    assert np.percentile(grey[:120], 99.5) > 180  # the ink of the answer
