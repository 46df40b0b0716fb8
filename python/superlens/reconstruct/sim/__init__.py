"""Structured illumination: from raw frames to an image of twice the resolution, linear and with its closed forms.

`reconstruct_sim` does all of it: order of the frames, carriers, modulation, transfer function and weight are found, or refused in words. Its
parts can be used alone: `find_layout`, `estimate_pattern`, `Reconstruction` (the linear operator with its adjoint) and `Spectrum` (its
transfer function and noise in closed form). Simulated frames come from `superlens.simulate.structured`.
"""

from superlens.reconstruct.sim.channels import SimChannels, check_channels, reconstruct_sim
from superlens.reconstruct.sim.estimate import Estimate, estimate_pattern, measure_pattern
from superlens.reconstruct.sim.layout import Layout, find_layout
from superlens.reconstruct.sim.operator import Reconstruction
from superlens.reconstruct.sim.reconstruct import SimOptions, SimResult, raw_sets
from superlens.reconstruct.sim.spectrum import Attenuation, Regularisation, Spectrum

__all__ = [
    "Attenuation",
    "Estimate",
    "Layout",
    "Reconstruction",
    "Regularisation",
    "SimChannels",
    "SimOptions",
    "SimResult",
    "Spectrum",
    "check_channels",
    "estimate_pattern",
    "find_layout",
    "measure_pattern",
    "raw_sets",
    "reconstruct_sim",
]
