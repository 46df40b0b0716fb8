"""The blur between two PSFs: what leads from an image of stated resolution to the recorded one.

An image that shows the specimen through a narrow PSF becomes the recorded image by one more convolution. Its kernel
follows from the two PSFs alone; `relative_kernel` computes it with the transfer that the narrow PSF cannot pass
left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError
from superlens.optics.psf import PSF
from superlens.optics.sampling import centred, spectrum

__all__ = ["relative_kernel", "relative_transfer"]

Floats = NDArray[np.float64]


def relative_kernel(psf: PSF, target: PSF, *, floor: float = 5e-3) -> Floats:
    """Kernel that turns the narrower `target` into `psf` by convolution.

    The quotient of the transfer functions is regularised as ``OTF_psf conj(OTF_target) / (|OTF_target|^2 + floor^2)``.
    For two Gaussians it is the Gaussian with the difference of their variances. With the default `floor` and a target
    1.5 times narrower, `target` convolved with the kernel gives `psf` back to 1e-3 of its peak in 2D and for compact
    3D PSFs, and to 1e-2 for a wide-field stack that ends where there is still light.

    Parameters
    ----------
    psf, target : PSF
        Both on the same grid; `target` may have another shape.
    floor : float
        Transfer below which the target counts as blind; larger values make a smoother, less exact kernel.

    Returns
    -------
    ndarray, shape like `psf`, float64
        Odd, centred, of sum 1. It may have slightly negative parts, and for equal PSFs it is close to a point.

    Raises
    ------
    SuperlensError
        If the grids differ or `target` is wider than `psf`.
    """
    _require_same_grid(psf, target)
    if not 0.0 < floor < 0.5:
        raise SuperlensError(f"floor is {floor:g}; expected above 0 and below 0.5, like 0.005.")
    if target.fwhm_nm > 1.001 * psf.fwhm_nm:
        raise SuperlensError(
            f"target has a FWHM of {target.fwhm_nm:.0f} nm and psf of {psf.fwhm_nm:.0f} nm; "
            "the target must be the narrower one. Were they swapped?"
        )
    lengths = tuple(
        fft.next_fast_len(int(2 * max(n, m)), real=True) for n, m in zip(psf.data.shape, target.data.shape, strict=True)
    )
    wide, narrow = spectrum(psf.data, lengths), spectrum(target.data, lengths)
    quotient = wide * narrow.conj() / (np.abs(narrow) ** 2 + floor**2)
    kernel = fft.fftshift(fft.irfftn(quotient, lengths))
    starts = [length // 2 - side // 2 for length, side in zip(lengths, psf.data.shape, strict=True)]
    kernel = kernel[tuple(slice(start, start + side) for start, side in zip(starts, psf.data.shape, strict=True))]
    # The cut tails leave the sum slightly off. A level over the whole box is the smallest change that mends it.
    result: Floats = kernel + (1.0 - kernel.sum()) / kernel.size
    return result


def relative_transfer(psf: PSF, target: PSF, shape: tuple[int, ...], *, floor: float = 0.02) -> NDArray[np.complex128]:
    """Transfer function of `relative_kernel` on a periodic grid, for volumes whose kernel would be as wide as the volume itself.

    Parameters
    ----------
    psf, target : PSF
        Both on the same grid.
    shape : tuple of int
        Sides of the grid; a PSF that is larger is wrapped around it, so that every row of light still adds up.
    floor : float
        As for `relative_kernel`. What a wide-field objective passes and its narrower copy does not, near the missing cone, is left out:
        with the default 5 to 10 % of the blur, of a compact PSF half a percent.

    Returns
    -------
    ndarray, shape `shape`, complex128
        1 at frequency 0.
    """
    _require_same_grid(psf, target)
    wide, narrow = (fft.fftn(centred(p.data, shape)) for p in (psf, target))
    quotient = wide * narrow.conj() / (np.abs(narrow) ** 2 + floor**2)
    return np.asarray(quotient / quotient.flat[0].real)


def _require_same_grid(psf: PSF, target: PSF) -> None:
    same = np.isclose(psf.pixel_nm, target.pixel_nm, rtol=1e-6)
    if psf.z_step_nm is not None and target.z_step_nm is not None:
        same = same and np.isclose(psf.z_step_nm, target.z_step_nm, rtol=1e-6)
    if psf.data.ndim != target.data.ndim or not same:
        grids = [f"{p.data.ndim}D, {p.pixel_nm:g} nm, z {p.z_step_nm}" for p in (psf, target)]
        raise SuperlensError(f"psf is on the grid ({grids[0]}) and target on ({grids[1]}); resample one of them.")
