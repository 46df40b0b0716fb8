"""Optics: from the objective's data or a recorded bead to the point spread function on a pixel grid.

`Objective` holds what stands on the objective; `Objective.psf` computes its `PSF` by a Gaussian, scalar or
vectorial model. A `PSF` also comes from an image, from beads, or from a radial transfer function, and moves
between pixel sizes. `Response` is the narrower blur that a sharp image states, `relative_kernel` the blur from one PSF to a wider one,
and `ForwardModel` what the microscope makes of a specimen. Files are left to `superlens.io`.
"""

from superlens.optics.forward import Blur, ForwardModel, Transfer, image_of, relative_blur
from superlens.optics.objective import Modality, Objective
from superlens.optics.psf import PSF
from superlens.optics.relative import relative_kernel, relative_transfer
from superlens.optics.response import RESPONSES, Response

__all__ = [
    "PSF",
    "RESPONSES",
    "Blur",
    "ForwardModel",
    "Modality",
    "Objective",
    "Response",
    "Transfer",
    "image_of",
    "relative_blur",
    "relative_kernel",
    "relative_transfer",
]
