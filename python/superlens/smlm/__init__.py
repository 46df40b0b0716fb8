"""Single molecules: the table of localizations, how it is measured against a truth, and what is made of it.

In: a table of where blinking molecules were found, or a density map to find them in. Out: a better table (linked, drift-corrected),
an image, or numbers. Coordinates are nanometres from the outer corner of the top-left camera pixel: the middle of the camera pixel of
index 0 lies at half a pixel.
"""

from __future__ import annotations

from superlens.smlm.density import Peaks, find_peaks, histogram, spikes
from superlens.smlm.drift import Drift, correct_drift, estimate_drift
from superlens.smlm.estimation import Known, MovieEstimate, estimate_movie
from superlens.smlm.linking import link, molecules
from superlens.smlm.maps import frc_of_halves, map_error
from superlens.smlm.matching import Matching, match, scores
from superlens.smlm.precision import SpotFits, cramer_rao_nm, fit_spots
from superlens.smlm.refining import Refined, refine
from superlens.smlm.rendering import render_gaussian, render_histogram
from superlens.smlm.table import Localizations

__all__ = [
    "Drift",
    "Known",
    "Localizations",
    "Matching",
    "MovieEstimate",
    "Peaks",
    "Refined",
    "SpotFits",
    "correct_drift",
    "cramer_rao_nm",
    "estimate_drift",
    "estimate_movie",
    "find_peaks",
    "fit_spots",
    "frc_of_halves",
    "histogram",
    "link",
    "map_error",
    "match",
    "molecules",
    "refine",
    "render_gaussian",
    "render_histogram",
    "scores",
    "spikes",
]
