"""`simulate_sim`: raw frames of structured illumination with their truth.

In: a specimen on a fine grid, a `Pattern`, the detection, a camera. Out: the frames, the pattern as it really was (uneven steps and bleaching
included), and the frames without noise. Two beams, three beams in one slice, lattices and hexagonal patterns differ in the pattern only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera
from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.optics import ForwardModel
from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Order, Pattern

__all__ = ["ARRANGEMENTS", "Disturbance", "RawFrames", "ideal_pattern", "simulate_sim"]

Light = Literal["two-beam", "three-beam", "lattice", "hexagonal"]

ARRANGEMENTS: dict[str, Arrangement] = {
    "two-beam": Arrangement.grid(3, 3),
    "three-beam": Arrangement.grid(3, 5, 2),
    "lattice": Arrangement.lattice(),
    "hexagonal": Arrangement.hexagonal(),
}
"""Kinds of illumination by name."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What goes wrong during a recording.

    Attributes
    ----------
    bleaching : float
        Share of the light that is lost from the first frame to the last.
    drift_px : float
        Raw pixels that the specimen moves from the first frame to the last, in a random direction.
    steps_deg : float
        Standard deviation of each phase step.
    brightness : float
        Relative standard deviation of the light of each frame.
    background : float
        Photons in each raw pixel that carry no pattern.
    """

    bleaching: float = 0.0
    drift_px: float = 0.0
    steps_deg: float = 0.0
    brightness: float = 0.0
    background: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class RawFrames:
    """Simulated raw frames and everything that made them.

    Attributes
    ----------
    frames : Image
        Axes TYX, counts, offset included.
    pattern : Pattern
        As it was.
    clean : ndarray, shape (frames, Y, X), photons
        Without noise, background included.
    truth : ndarray, shape (2 Y, 2 X), photons per raw pixel
        The specimen on the grid of the reconstruction.
    detection : Detection
    """

    frames: Image
    pattern: Pattern
    clean: NDArray[np.float64] = field(repr=False)
    truth: NDArray[np.float64] = field(repr=False)
    detection: Detection


def ideal_pattern(
    arrangement: Arrangement,
    frequency: float,
    modulation: float,
    rng: np.random.Generator,
    *,
    first_deg: float | None = None,
) -> Pattern:
    """A pattern of equally spaced directions and equal steps, with random phases.

    Parameters
    ----------
    arrangement : Arrangement
    frequency : float
        Of the highest order, cycles per raw pixel.
    modulation : float
        Of every order.
    rng : numpy.random.Generator
    first_deg : float, optional
        Direction of the first angle; random by default.

    Returns
    -------
    Pattern
    """
    first = rng.uniform(0, 180) if first_deg is None else first_deg
    directions, highest = len(set(arrangement.angles)), max(arrangement.multiples)
    orders = []
    for multiple, angle in zip(arrangement.multiples, arrangement.angles, strict=True):
        turned = np.radians(first + 180 * angle / directions)
        length = frequency * multiple / highest
        phase = rng.uniform(0, 2 * np.pi)
        orders.append(Order((length * float(np.sin(turned)), length * float(np.cos(turned))), modulation, phase))
    return Pattern(tuple(orders), arrangement, np.ones(arrangement.frames))


def simulate_sim(
    specimen: NDArray[Any],
    pattern: Pattern,
    detection: Detection,
    *,
    photons: float,
    pixel_nm: float,
    rng: np.random.Generator,
    camera: Camera | None = None,
    disturbance: Disturbance | None = None,
    margin: int = 0,
) -> RawFrames:
    """Simulate raw frames.

    Parameters
    ----------
    specimen : ndarray, shape (2 (Y + 2 margin), 2 (X + 2 margin))
        Label density on a grid of two fine pixels along a raw one, at least 0.
    pattern : Pattern
    detection : Detection
    photons : float
        Mean of the specimen's light over the field, photons in a raw pixel and frame.
    pixel_nm : float
        Raw pixels.
    rng : numpy.random.Generator
    camera : Camera, optional
        By default one electron a count and an offset of 100.
    disturbance : Disturbance, optional
    margin : int
        Raw pixels of the specimen that lie outside the field at each border. With 0 the field is periodic.

    Returns
    -------
    RawFrames

    Raises
    ------
    SuperlensError
        When `photons` is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> pattern = ideal_pattern(ARRANGEMENTS["two-beam"], 0.3, 0.8, rng)
    >>> made = simulate_sim(rng.random((128, 128)), pattern, Detection(0.35), photons=50.0, pixel_nm=65.0, rng=rng)
    >>> made.frames.sizes
    {'T': 9, 'Y': 64, 'X': 64}
    """
    if not photons > 0:
        raise SuperlensError(f"photons is {photons}; expected more than 0.")
    camera = Camera(1.0, 100.0, 0.0) if camera is None else camera
    disturbance = disturbance or Disturbance()
    pattern = _disturbed(pattern, disturbance, rng)
    direction = rng.uniform(0, 2 * np.pi)
    way = disturbance.drift_px * np.array([np.sin(direction), np.cos(direction)])
    shape = [side // 2 for side in specimen.shape]
    inside = tuple(slice(margin, n - margin) for n in shape)
    specimen = np.asarray(specimen, np.float64)
    specimen = specimen * (photons / specimen.mean())
    light = pattern.arrangement.frames
    frames = []
    for frame in range(light):
        moved = way * (frame / max(1, light - 1))
        one = _lone(pattern, frame).shifted(margin - moved[0], margin - moved[1])
        model = ForwardModel(
            shape,
            detection.blur(2, shift=(moved[0], moved[1])),
            scale=2,
            edges="periodic",
            pattern=one.illumination(specimen.shape, 2)[0],
            precision="double",
        )
        frames.append(model.apply(specimen)[inside])
    clean = np.maximum(np.stack(frames), 0) + disturbance.background
    counts = np.asarray(camera.expose(clean, rng), np.float32)
    image = Image(counts, "TYX", pixel_nm, name="simulated")
    fine = tuple(slice(2 * i.start, 2 * i.stop) for i in inside)
    return RawFrames(image, pattern, clean, specimen[fine], detection)


def _lone(pattern: Pattern, frame: int) -> Pattern:
    """The pattern of one frame."""
    return pattern.reordered([frame])


def _disturbed(pattern: Pattern, disturbance: Disturbance, rng: np.random.Generator) -> Pattern:
    table = pattern.arrangement
    wrong = np.radians(disturbance.steps_deg) * rng.standard_normal((table.frames, len(set(table.angles))))
    directions = {angle: i for i, angle in enumerate(dict.fromkeys(table.angles))}
    steps = table.steps.copy()
    for b, (multiple, angle) in enumerate(zip(table.multiples, table.angles, strict=True)):
        steps[:, b] += multiple * wrong[:, directions[angle]]
    fading = np.exp(np.log1p(-disturbance.bleaching) * np.linspace(0, 1, table.frames))
    brightness = pattern.brightness * fading * (1 + disturbance.brightness * rng.standard_normal(table.frames))
    return replace(pattern, arrangement=replace(table, steps=steps), brightness=brightness)
