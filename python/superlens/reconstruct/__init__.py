"""Deconvolution without learning: Richardson-Lucy, Wiener and sparse deconvolution, in 2D and 3D.

In: an image in counts minus offset, shape ``(Y, X)`` or ``(Z, Y, X)``, and a PSF of as many axes, odd sides, centred on
its middle pixel, sum 1. Out: an estimate of the specimen in the unit of the image, float32. These are the baselines
that a network must beat.

With ``scale=2`` the estimate and the PSF live on a grid twice as fine in y and x, and a camera pixel is the mean of its
2x2 fine pixels. The estimate then has the level of the image, not a quarter of it.

The image is a window on a larger specimen: `microscope` keeps a margin of one PSF radius around it, so that light from
outside is explained by sources outside instead of by ringing at the border.
"""

from superlens.reconstruct.filters import wiener
from superlens.reconstruct.lucy import (
    blind_noise_variance,
    blind_stop,
    richardson_lucy,
    richardson_lucy_iterates,
    smooth_background,
)
from superlens.reconstruct.microscope import microscope
from superlens.reconstruct.sparse import sparse_deconvolution

__all__ = [
    "blind_noise_variance",
    "blind_stop",
    "microscope",
    "richardson_lucy",
    "richardson_lucy_iterates",
    "smooth_background",
    "sparse_deconvolution",
    "wiener",
]
