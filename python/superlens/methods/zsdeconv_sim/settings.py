"""Settings of ZS-DeconvNet-SIM and its presets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from superlens.config import setting
from superlens.errors import SuperlensError
from superlens.method import Settings

__all__ = ["ZSDeconvSimConfig"]


class ZSDeconvSimConfig(Settings):
    """Settings of ZS-DeconvNet-SIM; `of` fills them for a preset.

    Attributes
    ----------
    preset : {"fast", "instant", "standard", "paper"}
    network : str
        "light", which is given the noise and the transfer function, or "unet" of the original recipe.
    steps : int
        Most training steps.
    minutes : float or None
    seed : int
    order : str
        Axes of the frames, the fastest first, or the name of a microscope; see `superlens.reconstruct.sim.SimOptions`.
    angles, phases : int or None
        Found by default.
    like : str or None
        The run.json of a brighter recording with the same settings, whose wave vectors and phase steps are kept.
    like_channel : int or None
        The channel whose pattern is taken from it; None for an image without channels.
    reconstructed : bool
        The image was reconstructed by another program: its noise is measured from it, and the pretrained network is applied as it is.
    from_scratch : bool
        Do not begin from the shipped weights.
    offset, gain, read_noise_e : float or None
        The camera: counts, counts per electron, electrons. What is None is estimated.
    weight : float
        Of the Wiener filter that makes what the network sees.
    narrower : float
        How many times narrower the response is than the diffraction limit of the extended band.
    alpha, beta1, beta2 : pair of float
        Ranges that re-corruption draws from: how the noise is shared between the copies, and factors of shot and read noise variance.
    hessian : float
        Weight of the Hessian penalty on the second output.
    learning_rate, batch, patch, flips
        As in `superlens.ZSDeconvConfig`; patches are in pixels of the reconstruction.
    """

    preset: Literal["fast", "instant", "standard", "paper"] = "fast"
    network: Literal["light", "unet"] = "light"
    steps: int = setting(100, label="Most steps", help="Most training steps.", ge=0)
    minutes: float | None = setting(None, label="Most minutes", unit="min", help="Most minutes of training.", gt=0)
    seed: int = setting(0, label="Seed", help="Same seed, steps and device: same pixels. Default: 0.", ge=0)
    order: str = setting(
        "auto",
        label="Order of the frames",
        help="Axes of the frames, the fastest first, like phase,z,angle; or omx, elyra, fastsim, biosr, nsim; auto: found.",
    )
    angles: int | None = setting(None, label="Angles", help="Number of directions; found when not given.", ge=1, le=9)
    phases: int | None = setting(
        None, label="Phases", help="Frames of each direction; found when not given.", ge=3, le=25
    )
    like: str | None = setting(
        None,
        label="Pattern like that of",
        help="The run.json of a brighter recording with the same settings: keep its wave vectors and phase steps.",
    )
    like_channel: int | None = Field(default=None, ge=0)
    reconstructed: bool = setting(
        False,
        label="Already reconstructed",
        help="The image was reconstructed by another program: denoise and sharpen it with the pretrained network.",
    )
    from_scratch: bool = setting(False, label="Train from scratch", help="Do not start from the pretrained model.")
    offset: float | None = setting(
        None, label="Camera offset", unit="counts", help="Camera counts without light; estimated when not given."
    )
    gain: float | None = setting(
        None,
        label="Camera gain",
        unit="counts per electron",
        help="Camera counts per electron; estimated when not given.",
        gt=0,
    )
    read_noise_e: float | None = setting(
        None,
        label="Camera read noise",
        unit="electrons",
        help="Camera read noise in electrons; estimated when not given.",
        ge=0,
    )
    weight: float = Field(default=0.15, gt=0, le=2)
    narrower: float = Field(default=1.5, ge=1.0, le=1.6)
    alpha: tuple[float, float] = (0.8, 1.25)
    beta1: tuple[float, float] = (1.0, 1.0)
    beta2: tuple[float, float] = (1.0, 1.0)
    hessian: float = Field(default=0.0, ge=0)
    learning_rate: float = Field(default=3e-4, gt=0)
    batch: int = Field(default=4, ge=1)
    patch: int = Field(default=96, ge=64, multiple_of=16)
    flips: int = Field(default=4, ge=1, le=8)

    @classmethod
    def presets(cls) -> tuple[str, ...]:
        """Names that `of` knows, the usual one first."""
        return tuple(_PRESETS)

    @classmethod
    def of(cls, preset: str = "fast", **changes: Any) -> ZSDeconvSimConfig:
        """Settings of a preset, with some of them changed.

        Raises
        ------
        SuperlensError
            If there is no such preset or field, or a value is out of its range.
        """
        if preset not in _PRESETS:
            raise SuperlensError(f"preset is {preset!r}; expected one of {', '.join(_PRESETS)}")
        scratch = _FROM_NOTHING.get(preset, {}) if changes.get("from_scratch") else {}
        return cls(**{**_PRESETS[preset], **scratch, **changes, "preset": preset})


_FROM_NOTHING: dict[str, dict[str, Any]] = {
    "fast": {"steps": 400, "learning_rate": 2e-3, "hessian": 0.005},
    "standard": {"learning_rate": 2e-3, "hessian": 0.005},
}

_PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "instant": {"steps": 0},
    "standard": {"steps": 2000, "batch": 8, "flips": 8},
    "paper": {
        "network": "unet",
        "steps": 50_000,
        "from_scratch": True,
        "alpha": (2.0, 5.0),
        "beta1": (1.5, 3.0),
        "beta2": (0.8, 1.2),
        "hessian": 0.02,
        "learning_rate": 5e-5,
        "patch": 128,
        "flips": 1,
    },
}
