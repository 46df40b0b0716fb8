"""What must be known of a two-stage network to use it rightly: its sampling, its optics, its intensities and its camera.

Every method that trains two stages keeps this in its model files. In: a model. Out: values of the field, and the way back to plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from superlens.camera import Camera
from superlens.config import Config
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.observing.conditioning import Normaliser
from superlens.optics import PSF, Response

if TYPE_CHECKING:
    from superlens.model import Model

__all__ = ["TwoStageState"]

TOLERANCE = 0.02
"""Relative difference of pixel sizes and z-steps up to which a model fits an image."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoStageState:
    """What a two-stage model knows besides its weights.

    Attributes
    ----------
    axes : {"YX", "ZYX"}
        Spatial axes that it takes.
    scale : int
        Fine pixels of the sharp image along a camera pixel.
    pixel_nm : float or None
        Camera pixel of the training images; None for a model that only denoises.
    response : Response or None
        Of the sharp image; None where it states none.
    normaliser : Normaliser
        The change of intensity that training used, in counts above the offset.
    camera : Camera or None
        Of the training images.
    psf : PSF or None
        On the fine grid; None for a model that only denoises.
    spread : float or None
        Factor that calibrates the stated uncertainty; None when it was never calibrated and must not be shown.
    bins : int
        Camera pixels along a bin that the network takes for a pixel; `scale` and the PSF are those of the camera's pixels.
    bin_variance : float
        Variance of the noise of a bin's mean over that of a pixel.
    error_factor : float
        Factor of the stated uncertainty: for noise that neighbouring pixels, or bins, share, and for noise that fine-tuning has followed.
    settings : mapping
        Those of the method, in plain values.
    """

    axes: Literal["YX", "ZYX"]
    scale: int = 2
    pixel_nm: float | None = None
    response: Response | None = None
    normaliser: Normaliser = Normaliser(0.0, 1.0)  # a frozen value
    camera: Camera | None = None
    psf: PSF | None = None
    spread: float | None = None
    bins: int = 1
    bin_variance: float = 1.0
    error_factor: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model) -> TwoStageState:
        """Of a model.

        Raises
        ------
        SuperlensError
            If the model's file keeps something else, or contradicts itself.
        """
        stored = _Stored(**model.config.state)
        in_network = model.config.network_config.get("scale", stored.scale)
        if in_network != stored.scale and stored.bins == 1:
            raise SuperlensError(
                f"the model's scale is {stored.scale} and its network has {in_network}; train it again"
            )
        told = stored.psf
        if told is not None and "psf" not in model.arrays:
            raise SuperlensError("the model's PSF is missing from its file; train it again")
        camera = stored.camera
        return cls(
            axes=stored.axes,
            scale=stored.scale,
            pixel_nm=stored.pixel_nm,
            response=None if stored.response is None else Response(**stored.response.model_dump()),
            normaliser=Normaliser(stored.level, stored.contrast),
            camera=None
            if camera is None
            else Camera(camera.gain, camera.offset, camera.read_noise_e, frozenset(camera.estimated)),
            psf=None if told is None else PSF(model.arrays["psf"], told.pixel_nm, told.z_step_nm, told.source),
            spread=stored.spread,
            bins=stored.bins,
            bin_variance=stored.bin_variance,
            error_factor=stored.error_factor,
            settings=stored.settings,
        )

    def stored(self) -> dict[str, Any]:
        """As plain values for a model file; the PSF is in `arrays`."""
        camera, psf = self.camera, self.psf
        return _Stored(
            axes=self.axes,
            scale=self.scale,
            pixel_nm=self.pixel_nm,
            response=None if self.response is None else _Response(**self.response._asdict()),
            level=self.normaliser.level,
            contrast=self.normaliser.contrast,
            camera=None
            if camera is None
            else _Camera(
                gain=camera.gain,
                offset=camera.offset,
                read_noise_e=camera.read_noise_e,
                estimated=tuple(sorted(camera.estimated)),
            ),
            psf=None if psf is None else _PSF(pixel_nm=psf.pixel_nm, z_step_nm=psf.z_step_nm, source=psf.source),
            spread=self.spread,
            bins=self.bins,
            bin_variance=self.bin_variance,
            error_factor=self.error_factor,
            settings=dict(self.settings),
        ).model_dump(mode="json")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its arrays by name, for a model file."""
        return {} if self.psf is None else {"psf": np.asarray(self.psf.data)}

    @property
    def known_camera(self) -> dict[str, float]:
        """The camera as arguments of `superlens.observing.observe`; nothing where it is not known."""
        c = self.camera
        return {} if c is None else {"gain": c.gain, "read_noise_e": c.read_noise_e, "offset": c.offset}

    def check_fits(self, image: Image) -> None:
        """Refuse an image that the model was not made for.

        Raises
        ------
        SuperlensError
            If an axis is missing, or pixel sizes or z-steps differ by more than 2 %; both values are named.
        """
        called = image.name or "the image"
        missing = [axis for axis in self.axes if axis not in image.axes]
        if missing:
            raise SuperlensError(
                f"the model takes {self.axes} and {called} has axes {image.axes}; "
                f"expected an image with {', '.join(missing)}"
            )
        _check("pixel", "pixel_nm", self.pixel_nm, image.pixel_nm, called)
        if self.axes == "ZYX":
            _check("z-step", "z_step_nm", None if self.psf is None else self.psf.z_step_nm, image.z_step_nm, called)


def _check(what: str, parameter: str, ours: float | None, theirs: float | None, called: str) -> None:
    if ours is None:
        return
    if theirs is None:
        size = f"{what} size" if what == "pixel" else what
        raise SuperlensError(
            f"{called} has no {size} and the model was trained at {ours:g} nm; give it with `{parameter}`"
        )
    if abs(ours - theirs) > TOLERANCE * ours:
        raise SuperlensError(
            f"{called} has a {what} of {theirs:g} nm and the model was trained at {ours:g} nm; "
            f"use a model for this {what}, or give the right one with `{parameter}`"
        )


class _Camera(Config):
    gain: float
    offset: float
    read_noise_e: float
    estimated: tuple[str, ...] = ()


class _PSF(Config):
    pixel_nm: float
    z_step_nm: float | None = None
    source: str = ""


class _Response(Config):
    lateral: float = Field(ge=1)
    axial: float = Field(ge=1)
    core_share: float = Field(default=0.0, ge=0, lt=1)
    core: float = Field(default=4.0, ge=1, le=10)


class _Stored(Config):
    """The part of ``model.json`` that is a two-stage model's own."""

    axes: Literal["YX", "ZYX"]
    scale: int = Field(ge=1, le=16)
    pixel_nm: float | None = Field(default=None, gt=0)
    response: _Response | None = None
    level: float = 0.0
    contrast: float = Field(default=1.0, gt=0)
    camera: _Camera | None = None
    psf: _PSF | None = None
    spread: float | None = Field(default=None, gt=0)
    bins: int = Field(default=1, ge=1, le=4)
    bin_variance: float = Field(default=1.0, gt=0, le=1)
    error_factor: float = Field(default=1.0, ge=1)
    settings: dict[str, Any] = {}
