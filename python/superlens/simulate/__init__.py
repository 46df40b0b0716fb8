"""Draw specimens that look like biology and photograph them with a known microscope; make movies of blinking molecules.

`specimens` (filaments, vesicles, ...) are arrays of label density on the fine grid; `expose` and `scene` turn them into what a camera
sees through a PSF, together with the truth on both grids. `simulate_smlm` makes a single-molecule movie of an `SmlmScene`, `stream_smlm`
the same frame by frame. All randomness comes from an rng or a seed. Which scenes to train or test on is left to the caller.
"""

from superlens.simulate.blinking import Independent, Kinetics, PhotonLaw, Population
from superlens.simulate.molecules import DensitySites, Filaments, Molecules, Rings, Uniform
from superlens.simulate.movie import Frame, Movie, SmlmScene, simulate_smlm, stream_smlm
from superlens.simulate.scenes import Scene, expose, scene, truth_at_resolution
from superlens.simulate.specimens import (
    STRUCTURES,
    beads,
    dead_leaves,
    er_network,
    filaments,
    flat,
    membranes,
    mitochondria,
    nuclei,
    one_over_f,
    stress_fibres,
    two_filaments,
    vesicles,
)
from superlens.simulate.spots import AstigmaticSpots, GaussianSpots, PSFSpots, render_table
from superlens.simulate.surroundings import Background, DriftLaw

__all__ = [
    "STRUCTURES",
    "AstigmaticSpots",
    "Background",
    "DensitySites",
    "DriftLaw",
    "Filaments",
    "Frame",
    "GaussianSpots",
    "Independent",
    "Kinetics",
    "Molecules",
    "Movie",
    "PSFSpots",
    "PhotonLaw",
    "Population",
    "Rings",
    "Scene",
    "SmlmScene",
    "Uniform",
    "beads",
    "dead_leaves",
    "er_network",
    "expose",
    "filaments",
    "flat",
    "membranes",
    "mitochondria",
    "nuclei",
    "one_over_f",
    "stress_fibres",
    "render_table",
    "scene",
    "simulate_smlm",
    "stream_smlm",
    "truth_at_resolution",
    "two_filaments",
    "vesicles",
]
