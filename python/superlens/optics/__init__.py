"""Optics: from the objective's data or a recorded bead to the point spread function on a pixel grid.

`Objective` holds what stands on the objective; `Objective.psf` computes its `PSF` by a Gaussian, scalar or
vectorial model. A `PSF` also comes from an image, from beads, or from a radial transfer function, and moves
between pixel sizes. `relative_kernel` is the blur from one PSF to a wider one. Files are left to `superlens.io`.
"""

from superlens.optics.objective import Modality, Objective
from superlens.optics.psf import PSF
from superlens.optics.relative import relative_kernel, relative_transfer

__all__ = ["PSF", "Modality", "Objective", "relative_kernel", "relative_transfer"]
