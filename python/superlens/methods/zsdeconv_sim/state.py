"""What a model must know besides its weights: the pattern, the detection, the optics, its intensities and its camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from superlens.camera import Camera
from superlens.config import Config
from superlens.errors import SuperlensError
from superlens.methods.zsdeconv_sim.optics import SimOptics
from superlens.methods.zsdeconv_sim.settings import ZSDeconvSimConfig
from superlens.observing.conditioning import Normaliser
from superlens.optics import Objective
from superlens.optics.detection import Detection
from superlens.optics.patterns import Pattern
from superlens.reconstruct.sim import Attenuation, Spectrum

if TYPE_CHECKING:
    from superlens.model import Model

__all__ = ["START", "SimState"]

START = "pretraining-sim"
"""What the header of the weights that this method begins from says in the place of a method."""


@dataclass(frozen=True, slots=True, eq=False)
class SimState:
    """See the module.

    Attributes
    ----------
    config : ZSDeconvSimConfig
    objective : Objective
    optics : SimOptics
        Of the training images.
    normaliser : Normaliser
    camera : Camera
    spread : float or None
        Factor that calibrates the stated uncertainty; None where none is stated.
    """

    config: ZSDeconvSimConfig
    objective: Objective
    optics: SimOptics
    normaliser: Normaliser
    camera: Camera
    spread: float | None

    @classmethod
    def of(cls, model: Model) -> SimState:
        """Of a model.

        Raises
        ------
        SuperlensError
            If another method made the model.
        """
        if model.config.method != "zsdeconv-sim":
            raise SuperlensError(f"the model was made by {model.config.method}; expected one made by zsdeconv-sim")
        stored = _Stored(**model.config.state)
        config = ZSDeconvSimConfig(**stored.settings)
        spectrum = Spectrum(
            Pattern.of(stored.pattern),
            Detection(stored.cutoff, stored.damping),
            attenuation=Attenuation(stored.attenuation),
            leaks=tuple(stored.leaks),
        )
        camera = Camera(
            stored.camera["gain"], stored.camera["offset"], stored.camera["read_noise_e"], frozenset(stored.estimated)
        )
        return cls(
            config,
            Objective(**stored.objective),
            SimOptics.of(spectrum, config.weight, config.narrower, stored.pixel_nm),
            Normaliser(stored.level, stored.contrast),
            camera,
            stored.spread,
        )

    def stored(self) -> dict[str, Any]:
        """As plain values for a model file."""
        spectrum, camera = self.optics.spectrum, self.camera
        return _Stored(
            settings=self.config.model_dump(mode="json"),
            objective=self.objective.model_dump(mode="json", exclude_none=True),
            pattern=spectrum.pattern.described(),
            cutoff=spectrum.detection.cutoff,
            damping=spectrum.detection.damping,
            attenuation=spectrum.attenuation.strength,
            leaks=list(spectrum.leaks),
            pixel_nm=self.optics.pixel_nm,
            level=self.normaliser.level,
            contrast=self.normaliser.contrast,
            camera={"gain": camera.gain, "offset": camera.offset, "read_noise_e": camera.read_noise_e},
            estimated=sorted(camera.estimated),
            spread=self.spread,
        ).model_dump(mode="json")


class _Stored(Config):
    settings: dict[str, Any]
    objective: dict[str, Any]
    pattern: dict[str, Any]
    cutoff: float
    damping: float
    attenuation: float = 0.0
    leaks: list[float] = []
    pixel_nm: float
    level: float
    contrast: float
    camera: dict[str, float]
    estimated: list[str] = []
    spread: float | None = None
