"""`Response`: the blur that a sharp image states, and what a person may say of it.

A sharp image shows the specimen through a response that follows from the PSF. In: the PSF on the fine grid. Out: the response on the
same grid, the width of a thin line in the result, and the response's transfer function for a plot. How far the recorded data carry a
result follows from the PSF alone: `superlens.optics.PSF.carried_per_um`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from superlens.optics.psf import PSF

__all__ = ["RESPONSES", "Response"]


class Response(NamedTuple):
    """How the response of sharp images follows from the PSF: so many times narrower, with a share of its light in a finer core.

    A PSF made narrower ends where its transfer ends, and with it what the image can show. The core keeps what the data tell of finer
    detail, in its place and faint.

    Attributes
    ----------
    lateral, axial : float
        How many times narrower than the PSF.
    core_share : float
        Share of the light in the core.
    core : float
        How many times narrower than the PSF the core is.
    """

    lateral: float
    axial: float
    core_share: float = 0.0
    core: float = 4.0

    def of(self, psf: PSF) -> PSF:
        """The response for a PSF, on the same grid and of sum 1."""
        narrow = psf.narrowed(self.lateral, self.axial)
        if not self.core_share:
            return narrow
        data = (1 - self.core_share) * narrow.data + self.core_share * psf.narrowed(self.core).data
        return replace(narrow, data=data, source=f"{psf.source}, {self}")

    def line_fwhm_nm(self, psf: PSF) -> float:
        """Width of a thin line in an ideal result, in nm: the number to quote, since a profile across a fine line reads it.

        The FWHM of the response itself is smaller and shows nowhere but at single points: the core, which holds a tenth of the light,
        sets the height of a point's peak.
        """
        return self.of(psf).line_fwhm_nm

    def transfer(self, psf: PSF) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the response passes of each frequency, as `PSF.radial_transfer` gives it."""
        return self.of(psf).radial_transfer()

    def __str__(self) -> str:
        """In words, for a report."""
        finer = f", {100 * self.core_share:.3g} % of its light {self.core:g} times" if self.core_share else ""
        return f"{self.lateral:g} times narrower{finer}"


RESPONSES = {"YX": Response(1.5, 1.0, core_share=0.1), "ZYX": Response(1.75, 1.5)}
"""By the axes that a network takes. Without a core images held nothing beyond 1.5 times the optical cutoff, where Richardson-Lucy
shows more of a bright specimen. In volumes a bead of 100 nm, which is no point, shall come out 1.5 times
narrower than the PSF laterally and 1.3 times axially."""
