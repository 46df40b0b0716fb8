"""The picture of the README: one field at low light, recorded, super-resolved by a run of ``superlens demo``, and by structured illumination.

superlens demo --out out/demo
python tests/quality/demo_picture.py out/demo docs/pictures/demo.png

The picture of the quickstart, ``docs/pictures/report.png``, is the page of the same run in a browser:
chromium --headless --hide-scrollbars --window-size=1280,930 --screenshot=report.png out/demo/report.html
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import superlens as sl
from superlens.samples import sample_path

SIDE, GAP = 400, 8


def main(folder: Path, out: Path) -> None:
    """Draw input, result and reference between percentiles 1 and 99.8 of each, with a scale bar."""
    stem = sample_path().stem
    recorded, made = sl.sample(), sl.read(folder / f"{stem}_sr.tif")
    reference = sl.read(sample_path().with_name("microtubules_sim_reference.tif"))
    panels = (
        (recorded, "recorded, low light"),
        (made, "super-resolved"),
        (reference, "reference: SIM, normal light"),
    )
    picture = Image.new("L", (len(panels) * (SIDE + GAP) - GAP, SIDE), 255)
    draw, font = ImageDraw.Draw(picture), ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 19)
    for at, (image, words) in enumerate(panels):
        low, high = np.percentile(image.data, (1, 99.8))
        grey = (255 * (np.asarray(image, dtype=float) - low) / (high - low)).clip(0, 255).astype(np.uint8)
        left = at * (SIDE + GAP)
        picture.paste(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.NEAREST), (left, 0))
        draw.text((left + 14, 10), words, 255, font, stroke_width=3, stroke_fill=0)
    width_nm = recorded.data.shape[1] * (recorded.pixel_nm or 1)
    bar = round(1000 / width_nm * SIDE)
    right = picture.width - 18
    draw.rectangle((right - bar, SIDE - 26, right, SIDE - 20), 255, 0)
    draw.text((right - bar / 2, SIDE - 30), "1 µm", 255, font, anchor="mb", stroke_width=3, stroke_fill=0)
    picture.save(out, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
