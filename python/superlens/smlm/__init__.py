"""Single molecules: the table of localizations, how it is measured against a truth, and what is made of it.

In: a table of where blinking molecules were found, or a density map to find them in. Out: a better table (linked, drift-corrected),
an image, or numbers. Coordinates are nanometres from the outer corner of the top-left camera pixel: the middle of the camera pixel of
index 0 lies at half a pixel.
"""

from __future__ import annotations

from superlens.smlm.table import Localizations

__all__ = ["Localizations"]
