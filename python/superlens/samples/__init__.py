"""The real images that come with superlens, for the demo, the documentation and the tests.

Where it is from, its licence and what to know before measuring on it: ``README.md`` beside this file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from superlens.image import Image
from superlens.io import read

__all__ = ["Sample", "sample", "sample_path"]

Sample = Literal[
    "microtubules_low_light", "microtubules_normal_light", "microtubules_sim_reference", "microtubules_sim_raw"
]


def sample(name: Sample = "microtubules_low_light") -> Image:
    """Read a bundled image of microtubules.

    Parameters
    ----------
    name : {"microtubules_low_light", "microtubules_normal_light", "microtubules_sim_reference", "microtubules_sim_raw"}
        The wide-field image at extreme low light, the same field at normal light, its SIM reconstruction; or another field: nine raw frames of
        structured illumination in TIRF.

    Returns
    -------
    Image
        Axes YX, uint16 counts; 128 x 128 pixels of 60 nm, for the reconstruction 256 x 256 of 30 nm. The raw frames have axes TYX and 256 x 256
        pixels of 86.67 nm; they were taken with NA 1.49 at an emission of 660 nm.

    Raises
    ------
    SuperlensError
        When the file is missing from the installation.

    Examples
    --------
    >>> sample().sizes
    {'Y': 128, 'X': 128}
    """
    return read(sample_path(name))


def sample_path(name: Sample = "microtubules_low_light") -> Path:
    """Where a bundled image lies; the arguments are those of `sample`."""
    return Path(__file__).with_name(f"{name}.tif")
