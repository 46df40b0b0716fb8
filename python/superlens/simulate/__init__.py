"""Draw specimens that look like biology and photograph them with a known microscope.

`specimens` (filaments, vesicles, ...) are arrays of label density on the fine grid; `expose` and `scene` turn them into what a camera
sees through a PSF, together with the truth on both grids. All randomness comes from an rng or a seed. Which scenes to train or test on is left to the caller.
"""

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
    two_filaments,
    vesicles,
)

__all__ = [
    "STRUCTURES",
    "Scene",
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
    "scene",
    "truth_at_resolution",
    "two_filaments",
    "vesicles",
]
