"""The predictor of two-stage networks: the denoised image, the sharp one, and how far the sharp one may be off."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import keras
import numpy as np
from numpy.typing import NDArray

from superlens.image import Image
from superlens.model import Model
from superlens.networks import architecture
from superlens.observing.binning import bin_counts, interpolated
from superlens.observing.conditioning import condition
from superlens.optics import RESPONSES
from superlens.predicting.predictor import Predictor
from superlens.predicting.start import answer
from superlens.predicting.whole import in_windows
from superlens.training import outputs_of
from superlens.training.two_stage.framing import scaled
from superlens.training.two_stage.held_out import EDGE
from superlens.training.two_stage.optics import SharpOptics
from superlens.training.two_stage.state import TwoStageState

__all__ = ["TwoStagePredictor", "Windows"]

Array = NDArray[np.float32]

_SPLINE_REACH = 8  # bins from which a cubic spline takes a value, as far as it counts

_WORDS = {
    "sharp": "super-resolved",
    "denoised": "denoised",
    "uncertainty": "standard deviation of the error of the super-resolved image",
}


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows that a network was trained on, for one that looks at the whole of them.

    Attributes
    ----------
    sides : tuple of int
        Slices, rows, columns.
    padding : tuple of int
        Zeros around each window; as much is left out of its result.
    """

    sides: tuple[int, ...]
    padding: tuple[int, ...]


@dataclass(eq=False)
class TwoStagePredictor(Predictor):
    """Predicts blocks with a two-stage model.

    Attributes
    ----------
    model : Model
    flips : int
        Turned and mirrored copies that a conditioned network averages over.
    denoise_only : bool
        Whether the first stage is all that was trained.
    start : keras.Model or None
        What the model was fine-tuned from; the sharp image is at least half as far off as the two are apart.
    windows : Windows or None
        For a network that looks at whole windows.
    unit : float
        Counts that are one in the result.
    haze : (str, float) or None
        See `Predictor`.
    state, optics
        Of the model.
    """

    model: Model
    flips: int = 1
    denoise_only: bool = False
    start: keras.Model | None = None
    windows: Windows | None = None
    unit: float = 1.0
    haze: tuple[Literal["auto", "separate", "keep"], float] | None = None
    words: Mapping[str, str] = field(default_factory=lambda: _WORDS)

    def __post_init__(self) -> None:
        known = architecture(self.model.config.network)
        self._known, self.state = known, TwoStageState.of(self.model)
        bins = self.state.bins
        around = bins * known.halo + (_SPLINE_REACH * bins if bins > 1 else 0)
        self.axes, self.halo, self.reach_z, self.align = known.axes, around, known.reach_z, bins * known.align
        self.halo = -(-around // self.align) * self.align if bins > 1 else around
        self.edge, self.blocks = bins * EDGE, not known.whole
        self.bytes_per_pixel = max(known.bytes_per_pixel // bins**2, 100)
        self.camera = self.state.known_camera
        scale, states = self.state.scale, known.says_error and self.state.spread is not None
        fine = {"sharp": scale, "denoised": 1, **({"uncertainty": scale} if states else {})}
        self.roles = {"denoised": 1} if self.denoise_only else fine
        self.optics: SharpOptics | None = None
        if known.inputs == "conditioned":
            response = self.state.response or RESPONSES[known.axes]
            self.optics = SharpOptics.of(self.state.psf, known.axes, scale, response, bins=bins)

    @property
    def optics_at_camera(self) -> SharpOptics | None:
        """The optics at the camera's sampling, also of an image that is binned for the network."""
        if self.optics is None or self.state.bins == 1:
            return self.optics
        return SharpOptics.of(self.state.psf, self.axes, self.state.scale, self.optics.response)

    def __call__(self, counts: Array, sigma: Array, roles: Sequence[str]) -> dict[str, Array]:
        """Predict one image, volume or block; see `Predictor`."""
        if self.optics is not None and self.state.bins > 1:
            found = self._on_bins(counts, sigma, self.optics, stated="uncertainty" in roles)
        elif self.optics is not None:
            found = self._conditioned(counts, sigma, self.optics, stated="uncertainty" in roles)
        elif self._known.whole:
            found = self._windowed(counts)
        else:
            normaliser = self.state.normaliser
            outputs = outputs_of(self.model.network, normaliser.forward(counts)[None, ..., None])
            made = (normaliser.backward(one[0, ..., 0]) for one in outputs)
            found = dict(zip(self._known.outputs, made, strict=True))
        return {role: found[role] for role in roles}

    def quick(self) -> TwoStagePredictor:
        """The same without turned and mirrored copies."""
        one = copy.copy(self)
        one.flips = 1
        return one

    def check_fits(self, image: Image) -> None:
        """Refuse an image of another pixel size, z-step or kind of axes."""
        self.state.check_fits(image)

    def _on_bins(self, counts: Array, sigma: Array, optics: SharpOptics, *, stated: bool) -> dict[str, Array]:
        """The same of bins, interpolated back; the image is mirrored where its sides are no multiple of a bin."""
        bins, scale = self.state.bins, self.state.scale
        frame = [(0, 0)] * (counts.ndim - 2) + [(0, -n % bins) for n in counts.shape[-2:]]
        counts_in, variance = (np.pad(a, frame, mode="symmetric") for a in (counts, np.square(sigma)))
        deviation = np.sqrt(bin_counts(variance, bins) * np.float32(self.state.bin_variance))
        made = self._conditioned(bin_counts(counts_in, bins), deviation, optics, stated=stated)
        back = {
            "denoised": float(bins),
            "sharp": scale * bins / optics.scale,
            "uncertainty": scale * bins / optics.scale,
        }
        sides = {"denoised": 1, "sharp": scale, "uncertainty": scale}
        height, width = counts.shape[-2:]
        return {
            role: interpolated(one, back[role])[..., : height * sides[role], : width * sides[role]]
            for role, one in made.items()
        }

    def _conditioned(self, counts: Array, sigma: Array, optics: SharpOptics, *, stated: bool) -> dict[str, Array]:
        normaliser = self.state.normaliser
        channels = condition(counts, sigma, normaliser, optics.bank)
        denoised, sharp, log_sigma = self._averaged(self.model.network, channels)
        found = {"denoised": normaliser.backward(denoised), "sharp": normaliser.backward(sharp)}
        if stated:
            before = None
            if self.start is not None:
                _, earlier, log_sigma = self._averaged(self.start, channels)
                before = normaliser.backward(earlier)
            found["uncertainty"] = self._stated_error(found["sharp"], before, log_sigma)
        return found

    def _averaged(self, network: keras.Model, channels: Array) -> list[Array]:
        return answer(network, channels, flips=self.flips, align=self.align // self.state.bins)

    def _stated_error(self, sharp: Array, before: Array | None, log_sigma: Array) -> Array:
        """Standard deviation of the error of the sharp image, in counts.

        `log_sigma` is from the weights that the calibration was made with: those of the start, where there was one.
        """
        stated = np.exp(log_sigma) * self.state.normaliser.contrast * (self.state.spread or 1.0)
        if before is not None:  # of two images that are D apart at least one is off by D / 2
            stated = np.maximum(stated, np.abs(sharp - before) / 2)
        return np.asarray(stated * self.state.error_factor, np.float32)

    def _windowed(self, counts: Array) -> dict[str, Array]:
        """In windows of the size of the training patches, scaled as they were."""
        assert self.windows is not None  # whoever trains such a network knows them
        padding, network, scale = self.windows.padding, self.model.network, self.state.scale
        low, high = float(counts.min()), float(counts.max())

        def block(part: Array) -> list[Array]:
            made = outputs_of(network, np.pad(part, ((0, 0), *((p, p) for p in padding), (0, 0))))
            factors = (1, 1, 1), (1, scale, scale)
            return [
                one[(slice(None), *(slice(p * f, -p * f) for p, f in zip(padding, by, strict=True)))]
                for one, by in zip(made, factors, strict=True)
            ]

        made = in_windows(block, scaled(counts, (low, high))[..., None], self.windows.sides, padding)
        back = (values[..., 0] * np.float32(high - low) + np.float32(low) for values in made)
        return dict(zip(self._known.outputs, back, strict=True))
