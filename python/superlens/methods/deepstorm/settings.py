"""Settings of Deep-STORM and its presets."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from superlens.config import setting
from superlens.method import Settings
from superlens.networks import architecture, names

__all__ = ["DeepStormConfig"]

Range = tuple[float, float]


class DeepStormConfig(Settings):
    """Settings of a training; `of` fills them for a preset.

    The ranges say what is simulated: each patch draws its own values, evenly for widths and on a logarithmic scale for the rest.

    Attributes
    ----------
    preset : {"fast", "standard", "paper"}
        The recipe the other fields started from.
    network : str
        A network of `superlens.networks` that gives densities.
    upsampling : {4, 8, 16}
        Fine pixels along a camera pixel.
    normalise : {"molecule", "range"}
        What a frame is measured in: the peak of one molecule above the background, or its own minimum and maximum, as in the original.
    sigma_pixels : float
        Standard deviation of the image of a molecule, in camera pixels.
    sigma_spread : float
        Relative standard deviation of it between patches.
    density_um2, photons, background, read_noise_e : pair of float
        Molecules per square micrometre and frame, mean photons of a molecule, photons of the background in a pixel, electrons.
    pixel_nm : float
        Side of a camera pixel; only scales densities and structures.
    photon_spread : pair of float
        Standard deviation of the photons of molecules in a patch, as a share of their mean.
    structured : float
        Share of patches whose molecules sit on filaments or in clusters instead of anywhere.
    misjudged : float
        Relative error, one standard deviation, of the brightness that a patch is normalised by; of the background a third of it.
    steps : int
    minutes : float or None
        Budget of wall-clock time.
    seed : int
    from_scratch : bool
        Do not begin from the shipped weights.
    batch : int
    patch : int
        Side of a training patch, camera pixels.
    learning_rate : float
    gain : float
        What one molecule adds up to in the density.
    sparsity : float
        Weight of the mean absolute density.
    kernel_sum : float
        Sum of the kernel that the density is blurred by in the loss; the original's is 2.
    label_shift : float
        Fine pixels, along x and along y, from where the network puts a molecule to where it is; other than 0 only for imported weights.
    """

    preset: Literal["fast", "standard", "paper"] = "fast"
    network: str = "deepstorm-camera"
    upsampling: Literal[4, 8, 16] = 8
    normalise: Literal["molecule", "range"] = "molecule"
    sigma_pixels: float = Field(default=1.1, ge=0.5, le=4.0)
    sigma_spread: float = Field(default=0.04, ge=0, le=0.3)
    density_um2: Range = (0.5, 8.0)
    photons: Range = (1200.0, 4500.0)
    background: Range = (5.0, 80.0)
    read_noise_e: Range = (0.5, 6.0)
    pixel_nm: float = Field(default=100.0, ge=20, le=1000)
    photon_spread: Range = (0.05, 0.4)
    structured: float = Field(default=0.5, ge=0, le=1)
    misjudged: float = Field(default=0.1, ge=0, le=0.5)
    steps: int = setting(600, label="Most steps", help="Most training steps.", ge=0)
    minutes: float | None = setting(None, label="Most minutes", unit="min", help="Most minutes of training.", gt=0)
    seed: int = setting(0, label="Seed", help="Same seed, steps and device: same pixels. Default: 0.", ge=0)
    from_scratch: bool = setting(False, label="Train from scratch", help="Do not start from the pretrained model.")
    batch: int = Field(default=16, ge=1)
    patch: int = Field(default=32, ge=16, multiple_of=2)
    learning_rate: float = Field(default=3e-4, gt=0)
    gain: float = Field(default=100.0, gt=0)
    sparsity: float = Field(default=0.5, ge=0)
    kernel_sum: float = Field(default=1.0, gt=0)
    label_shift: float = Field(default=0.0, ge=-1, le=1)

    @classmethod
    def presets(cls) -> tuple[str, ...]:
        """Names that `of` knows, the usual one first."""
        return tuple(_PRESETS)

    @classmethod
    def of(cls, preset: str = "fast", **changes: Any) -> Self:
        """Settings of a preset, with some of them changed.

        Raises
        ------
        SuperlensError
            If there is no such preset or field, or a value is out of its range.
        """
        alone = _FROM_NOTHING.get(preset, {}) if changes.get("from_scratch") else {}
        return super().of(preset, **{**_PRESETS.get(preset, {}), **alone, **changes})

    @model_validator(mode="after")
    def _gives_densities(self) -> Self:
        fitting = [name for name in names() if architecture(name).outputs == ("density",)]
        if self.network not in fitting:
            raise ValueError(f"network is {self.network!r}; expected one of {', '.join(fitting)}")
        return self

    @model_validator(mode="after")
    def _ranges_grow(self) -> Self:
        for name in ("density_um2", "photons", "background", "read_noise_e", "photon_spread"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} is {low:g} to {high:g}; expected the lower end first, above 0")
        return self


_FROM_NOTHING: dict[str, dict[str, Any]] = {
    "fast": {"steps": 2500, "learning_rate": 1e-3},
    "standard": {"steps": 20_000, "learning_rate": 1e-3},
}
"""What changes in a preset that does without the shipped weights."""

_PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "standard": {"steps": 6000, "learning_rate": 5e-4},
    "paper": {
        "from_scratch": True,
        "learning_rate": 1e-3,
        "network": "deepstorm",
        "normalise": "range",
        "sigma_spread": 0.0,
        "density_um2": (6.0, 6.0),
        "photons": (2250.0, 2250.0),
        "background": (20.0, 20.0),
        "read_noise_e": (2.2, 2.2),
        "photon_spread": (0.11, 0.11),
        "structured": 0.0,
        "misjudged": 0.0,
        "steps": 40_000,
        "patch": 26,
        "sparsity": 1.0,
        "kernel_sum": 2.0,
    },
}
