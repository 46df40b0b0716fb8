"""The page that shows why a result may be trusted: arrays and numbers in, one self-contained HTML text out.

`ReportData` holds everything the page can show; only the camera image and one output (denoised or super-resolved) are
required, and a section whose arrays are missing is left out or says so. `render` turns it into HTML that loads
nothing from anywhere: pictures are PNG data URIs, plots are inline SVG, style and script are part of the page.
`LocalizationReport` and `render_localizations` are the same for a movie of single molecules.
Nothing here measures quality: the metrics and their verdicts come from the caller, and the page only condenses them
into one sentence. Writing the file is the caller's business too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from superlens.report.data import (
    FurtherPicture,
    Metric,
    NoiseCorrelation,
    PhotonTransfer,
    Provenance,
    PsfPicture,
    ReportData,
    TrainingRecord,
)
from superlens.report.index import IndexRow, render_index
from superlens.report.localization import (
    Condition,
    DriftCourse,
    LocalizationReport,
    ModelNote,
)
from superlens.report.verdict import Verdict, combined, judge, judge_localizations

__all__ = [
    "Condition",
    "DriftCourse",
    "FurtherPicture",
    "IndexRow",
    "LocalizationReport",
    "Metric",
    "ModelNote",
    "NoiseCorrelation",
    "PhotonTransfer",
    "Provenance",
    "PsfPicture",
    "ReportData",
    "TrainingRecord",
    "Verdict",
    "combined",
    "judge",
    "judge_localizations",
    "render",
    "render_channels",
    "render_index",
    "render_localizations",
]


def render(data: ReportData) -> str:
    """Turn report data into one self-contained HTML page.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    str
        HTML that loads nothing: pictures, plots, style and script are inside. Every text from outside is escaped. The
        same data give the same page.

    Examples
    --------
    >>> from datetime import datetime
    >>> import numpy as np
    >>> plane = np.random.default_rng(0).poisson(20.0, (32, 32)).astype("float32")
    >>> page = render(ReportData("Denoising", "cell.tif", datetime(2030, 1, 1), plane, denoised=plane))
    >>> page.startswith("<!doctype html>")
    True
    """
    from superlens.report.page import (
        build,
    )  # Matplotlib is loaded when a page is drawn, not when its data are collected

    return build(data)


def render_channels(
    shown: Sequence[tuple[str, Verdict, str]],
    *,
    title: str,
    image_name: str,
    created: datetime,
    own: str = "a model and a PSF",
) -> str:
    """Put the pages of several channels into one self-contained page that shows each.

    Parameters
    ----------
    shown : sequence of (str, Verdict, str)
        What a channel is called, its verdict, and its page.
    title, image_name : str
    created : datetime
    own : str
        What each channel has of its own.

    Returns
    -------
    str
        HTML that loads nothing: one verdict for all, and the page of each channel.

    Examples
    --------
    >>> from datetime import datetime
    >>> one = ("channel 0", Verdict("ok", "Use it", "", ()), "<p>")
    >>> render_channels([one, one], title="Denoising", image_name="cell.tif", created=datetime(2030, 1, 1)).count("<iframe")
    2
    """
    from superlens.report.templates import template

    verdict = combined({name: one for name, one, _ in shown})
    return template("channels.html.j2").render(
        title=title, image_name=image_name, created=created, pages=list(shown), verdict=verdict, own=own
    )


def render_localizations(data: LocalizationReport) -> str:
    """Turn the data of a localization into one self-contained HTML page.

    Parameters
    ----------
    data : LocalizationReport

    Returns
    -------
    str
        HTML that loads nothing: pictures, plots, style and script are inside. Every text from outside is escaped. The same data give the
        same page.

    Examples
    --------
    >>> import numpy as np
    >>> found = {"frame": np.array([1, 2]), "x_nm": np.array([120.0, 900.0]), "y_nm": np.array([300.0, 310.0])}
    >>> plane, fine = np.ones((16, 16)), np.ones((160, 160))
    >>> page = render_localizations(
    ...     LocalizationReport("Localization", "cell.tif", datetime(2030, 1, 1), plane, 100.0, fine, 10.0, found, (1, 2))
    ... )
    >>> page.startswith("<!doctype html>")
    True
    """
    from superlens.report.localization_page import build  # Matplotlib is loaded when a page is drawn, not before

    return build(data)
