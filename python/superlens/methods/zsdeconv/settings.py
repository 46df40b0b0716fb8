"""Settings of ZS-DeconvNet and its presets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import yaml
from pydantic import Field, PrivateAttr, field_validator, model_validator

from superlens.config import setting
from superlens.errors import SuperlensError
from superlens.method import Settings
from superlens.networks import architecture, names

__all__ = ["ZSDeconvConfig"]


class ZSDeconvConfig(Settings):
    """Settings of ZS-DeconvNet; `of` fills them for a preset.

    Attributes
    ----------
    preset : {"fast", "instant", "standard", "paper"}
        The recipe the other fields started from.
    network : str
        A two-stage network of `superlens.networks`, for images or for volumes as `axes` says.
    axes : {"auto", "YX", "ZYX"}
        Whether every plane is an image of its own, or the slices of a stack are a volume; "auto" asks the images.
    pairs : {"recorrupt", "interleave", "temporal"}
        Where noisy pairs come from: one image re-corrupted into two; the even and odd slices of a stack, with a term that amends the gap
        between them (volumes only); or neighbouring frames of a scene that stands still (only images, and only networks that take the noise as an input).
    scale : {1, 2}
        Fine pixels in a camera pixel along each axis.
    steps : int
        Most training steps.
    minutes : float or None
        Budget of wall-clock time for the training.
    seed : int
    denoise_only : bool
        Stage 1 alone; no optics needed.
    from_scratch : bool
        Do not begin from the shipped weights.
    learns : {"denoising", "both"}
        Which stages learn from the image. A second stage that learns too puts into the sharp image all that the stated PSF does not
        explain, so that of 2D images the first alone is fine-tuned; from random weights both learn, and so they do for volumes.
    haze : {"auto", "separate", "keep"}
        How much smooth out-of-focus light is separated: what surely is (the default, because one plane can't distinguish haze from a dense or
        dim specimen for certain), the mean of what may be, or none. Images only.
    sharpen : float or "auto"
        How many times narrower than the PSF the sharp image's response is, where the network states one; "auto" asks the images
        (`superlens.methods.zsdeconv.degree`). Images only. By default 2.1 for the shipped weights, which have seen what such detail looks
        like, and 1.5 from random weights, to which the blur must not hide too much.
    offset, gain, read_noise_e : float or None
        The camera: counts, counts per electron, electrons. What is None is estimated, for the noise model only.
    units : {"counts", "electrons"}
        Of the output; electrons need a given gain.
    alpha, beta1, beta2 : pair of float
        Ranges that re-corruption draws from: how the noise is shared between the copies, and factors of shot and read noise variance.
    hessian, tv : float
        Weights of the Hessian and the total-variation penalty on the second output; the Hessian's is above 0 without the shipped weights.
    learning_rate : float
    batch : int
        Most patches in a batch; see `patches`.
    patch : int
        Side of a training patch, camera pixels, a multiple of 16.
    depth : int
        Most slices of a training patch of a volume.
    flips : int
        Turned and mirrored copies that a prediction averages over, 1 to 8.
    """

    preset: Literal["fast", "instant", "standard", "paper"] = "fast"
    network: str = "light"
    axes: Literal["auto", "YX", "ZYX"] = "auto"
    scale: Literal[1, 2] = setting(2, label="Scale", help="Fine pixels along a camera pixel; default: 2.")
    steps: int = setting(120, label="Most steps", help="Most training steps.", ge=0)
    minutes: float | None = setting(None, label="Most minutes", unit="min", help="Most minutes of training.", gt=0)
    seed: int = setting(0, label="Seed", help="Same seed, steps and device: same pixels. Default: 0.", ge=0)
    denoise_only: bool = setting(
        False, label="Denoise only", help="Denoise without super-resolving; needs no optics.", advanced=False
    )
    from_scratch: bool = setting(False, label="Train from scratch", help="Do not start from the pretrained model.")
    pairs: Literal["recorrupt", "interleave", "temporal"] = setting(
        "recorrupt",
        label="Noisy pairs",
        help="Noisy pairs: re-corrupted images (default), odd and even slices, or neighbouring frames of a still scene.",
    )
    haze: Literal["auto", "separate", "keep"] = setting(
        "auto",
        label="Out-of-focus light",
        help="Out-of-focus light: tell apart only what is sure (auto, the default), separate what is likely, or keep all of it in the image.",
    )
    sharpen: float | Literal["auto"] = setting(
        2.1,
        label="Sharpen",
        help="How many times narrower than the PSF the result shall be, 1.2 to 2.5 (default: 2.1); auto: 1.5 to 2.5, as far as the light carries.",
    )
    learns: Literal["denoising", "both"] = "denoising"
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
    units: Literal["counts", "electrons"] = setting(
        "counts", label="Unit of the output", help="Unit of the output; electrons need `gain`."
    )
    alpha: tuple[float, float] = (0.8, 1.25)
    beta1: tuple[float, float] = (1.0, 1.0)
    beta2: tuple[float, float] = (1.0, 1.0)
    hessian: float = Field(default=0.0, ge=0)
    tv: float = Field(default=0.0, ge=0)
    learning_rate: float = Field(default=3e-4, gt=0)
    batch: int = Field(default=4, ge=1)
    patch: int = Field(default=96, ge=32, multiple_of=16)
    depth: int = Field(default=16, ge=5)
    flips: int = Field(default=8, ge=1, le=8)

    _asked: dict[str, Any] = PrivateAttr(default_factory=dict)  # what was said beyond the preset

    @classmethod
    def presets(cls) -> tuple[str, ...]:
        """Names that `of` knows, the usual one first."""
        return tuple(_PRESETS)

    @field_validator("sharpen", mode="before")
    @classmethod
    def _check_sharpen(cls, value: Any) -> Any:
        try:
            known = value == "auto" or 1.2 <= float(value) <= 2.5
        except (TypeError, ValueError):
            known = False
        if not known:
            raise ValueError(f"sharpen is {value!r}; expected a number from 1.2 to 2.5, or auto")
        return value if value == "auto" else float(value)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.from_scratch and self.preset == "instant":
            raise ValueError(
                "from_scratch is true and preset instant; expected another preset, since instant takes the pretrained model as it is"
            )
        fitting = _two_stage("ZYX" if self.axes == "ZYX" else "YX")
        if self.network not in fitting:
            raise ValueError(
                f"network is {self.network!r} and axes {self.axes}; expected one of {', '.join(fitting)} for {self.axes}"
            )
        plain = architecture(self.network).inputs == "image"
        if self.pairs == "interleave" and self.axes != "ZYX":
            raise ValueError(
                f"pairs is interleave and axes {self.axes}; expected ZYX, since it is slices that are interleaved"
            )
        if self.pairs == "temporal" and (plain or self.axes != "YX"):
            able = [name for name in _two_stage("YX") if architecture(name).inputs == "conditioned"]
            raise ValueError(f"pairs is temporal and network {self.network}; expected {' or '.join(able)}")
        if plain and self.axes == "ZYX" and self.pairs != "interleave":
            raise ValueError(
                f"network is {self.network} and pairs {self.pairs}; expected interleave, which its recipe is made of"
            )
        return self

    @classmethod
    def of(cls, preset: str = "fast", **changes: Any) -> ZSDeconvConfig:
        """Settings of a preset, with some of them changed.

        Raises
        ------
        SuperlensError
            If there is no such preset or field, or a value is out of its range.
        """
        if preset not in _PRESETS:
            raise SuperlensError(f"preset is {preset!r}; expected one of {', '.join(_PRESETS)}")
        axes = changes.get("axes", "auto")
        if axes == "auto":
            axes = changes["axes"] = _axes_of(changes)
        values = {
            **_PRESETS[preset],
            **(_FOR_VOLUMES[preset] if axes == "ZYX" else {}),
            **(_FROM_NOTHING.get(preset, {}) if changes.get("from_scratch") else {}),
            **changes,
        }
        made = cls(**{**values, "preset": preset})
        made._asked = dict(changes)
        return made

    @property
    def first_only(self) -> bool:
        """Whether the first stage alone learns."""
        return self.denoise_only or (self.learns == "denoising" and not self.from_scratch)

    def patches(self, shape: Sequence[int]) -> int:
        """Patches in a batch from images or volumes of a shape: `batch`, or as many as cover an image once if these are fewer, but two at least.

        More of them only show the same pixels again. Random weights, which pixels seen again still teach, always get `batch`.
        """
        if self.axes == "ZYX" or self.from_scratch:
            return self.batch
        return min(self.batch, max(2, round(math.prod(shape) / self.patch**2)))

    @property
    def asked_axes(self) -> str | None:
        """The axes that were asked for in words, or by other settings."""
        return None if self.axes == "auto" else self.axes if "axes" in self._asked else None

    def to_yaml(self) -> str:
        """Write the settings as YAML; while it is open whether stacks are volumes, only those that were asked for, since it decides the others."""
        if self.axes != "auto":
            return super().to_yaml()
        named = self.model_dump(mode="json", include={"preset", *self._asked})
        text: str = yaml.safe_dump(named, sort_keys=False, allow_unicode=True)
        return text

    def for_axes(self, axes: Literal["YX", "ZYX"]) -> ZSDeconvConfig:
        """The same settings for planes or volumes, with what the preset says for them where nothing else was said."""
        return self.of(self.preset, **{**self._asked, "axes": axes})

    def with_changes(self, changes: Mapping[str, Any]) -> ZSDeconvConfig:
        """Give the same settings with some of them changed and everything checked again."""
        made = super().with_changes(changes)
        made._asked = {**self._asked, **changes}
        return made

    @classmethod
    def _of_values(cls, values: dict[str, Any]) -> ZSDeconvConfig:
        return cls.of(str(values.pop("preset", "fast")), **values)


def _axes_of(changes: Mapping[str, Any]) -> str:
    """The axes that other settings ask for."""
    if "network" in changes:
        return architecture(changes["network"]).axes
    return {"interleave": "ZYX", "temporal": "YX"}.get(str(changes.get("pairs")), "auto")


def _two_stage(axes: str) -> list[str]:
    """Networks of these axes that denoise and sharpen."""
    known = {name: architecture(name) for name in names()}
    return [name for name, one in known.items() if one.axes == axes and one.outputs[:2] == ("denoised", "sharp")]


_FROM_NOTHING: dict[str, dict[str, Any]] = {
    "fast": {"steps": 400, "learning_rate": 2e-3, "hessian": 0.005, "learns": "both", "sharpen": 1.5},
    "standard": {"learning_rate": 2e-3, "hessian": 0.005, "learns": "both", "sharpen": 1.5},
}
"""What changes in a preset that does without the shipped weights.

Where the blur hides something, the data leave the image free. From nothing the Hessian penalty decides there; the shipped weights
know better, and the penalty would only smooth what they drew.
"""

_FOR_VOLUMES: dict[str, dict[str, Any]] = {
    "fast": {"network": "light-volume", "steps": 60, "batch": 2, "patch": 48, "flips": 4, "learns": "both"},
    "instant": {"network": "light-volume", "flips": 4},
    "standard": {"network": "light-volume", "steps": 2000, "batch": 4, "patch": 64, "learns": "both"},
    "paper": {
        "network": "rcan",
        "pairs": "interleave",
        "steps": 10_000,
        "hessian": 0.1,
        "learning_rate": 1e-4,
        "batch": 3,
        "patch": 64,
        "depth": 13,
    },
}
"""What changes in a preset for volumes."""

_PRESETS: dict[str, dict[str, Any]] = {
    "fast": {},
    "instant": {"steps": 0},
    "standard": {"steps": 3000, "batch": 8},
    "paper": {
        "network": "unet",
        "steps": 50_000,
        "from_scratch": True,
        "learns": "both",
        "sharpen": 1.5,
        "alpha": (1.0, 2.0),
        "beta1": (0.5, 1.5),
        "beta2": (0.8, 1.2),
        "hessian": 0.02,
        "learning_rate": 5e-5,
        "patch": 128,
        "flips": 1,
    },
}
