"""Movies of blinking molecules with their truth: places, blinks, images, background, drift and camera put together.

In: an `SmlmScene` that says what is photographed and how, and an rng. Out: the whole `Movie`, or its frames one by one, which takes no more
memory for a long movie than for a short one. Light that molecules just outside the field send into it is part of the picture when the scene
has a margin; the truth lists those inside the field.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superlens.camera import Camera
from superlens.camera.detectors import Sensor
from superlens.errors import SuperlensError, require_length_nm
from superlens.image import Image
from superlens.simulate.blinking import Blinking, Independent, PhotonLaw
from superlens.simulate.molecules import Box, Layout, Molecules, Sites, Uniform
from superlens.simulate.spots import GaussianSpots, Spots
from superlens.simulate.surroundings import Background, DriftLaw
from superlens.smlm.table import Localizations

__all__ = ["Frame", "Movie", "SmlmScene", "simulate_smlm", "stream_smlm"]

Floats = NDArray[np.float64]

_TOP = 65535  # counts of a 16 bit pixel


@dataclass(frozen=True, slots=True)
class SmlmScene:
    """What is photographed, and how.

    Parameters
    ----------
    yx_shape : tuple of int
        Camera pixels of the field.
    pixel_nm : float
        Side of a camera pixel on the specimen.
    margin_nm : float
        Width of the rim around the field in which there are molecules as well, whose light reaches the field.
    z_range_nm : tuple of float
        Each molecule lies between these heights, evenly spread; 0 is the focus.
    sites : Sites
        Where molecules are.
    blinking : Blinking
        When they shine.
    photons : PhotonLaw
        How bright they are.
    spots : Spots
        How each of them looks.
    background : Background
    drift : DriftLaw
    sensor : Sensor
        The camera. A linear `Camera` detects every photon and is read with 16 bits.

    Raises
    ------
    SuperlensError
        When a value is impossible.

    Examples
    --------
    >>> SmlmScene(yx_shape=(32, 32), blinking=Independent(density_um2=0.5)).box.area_um2
    10.24
    """

    yx_shape: tuple[int, int] = (64, 64)
    pixel_nm: float = 100.0
    margin_nm: float = 0.0
    z_range_nm: tuple[float, float] = (0.0, 0.0)
    sites: Sites = Uniform()
    blinking: Blinking = Independent()
    photons: PhotonLaw = PhotonLaw()
    spots: Spots = GaussianSpots()
    background: Background = Background()
    drift: DriftLaw = DriftLaw()
    sensor: Sensor = Camera(gain=1.0, offset=100.0, read_noise_e=1.5)

    def __post_init__(self) -> None:
        if len(self.yx_shape) != 2 or min(self.yx_shape) < 1:
            raise SuperlensError(f"yx_shape is {self.yx_shape}; expected two sides of 1 pixel or more.")
        require_length_nm("pixel_nm", self.pixel_nm)
        if not 0 <= self.margin_nm < math.inf:
            raise SuperlensError(f"margin_nm is {self.margin_nm}; expected 0 or more.")
        low, high = self.z_range_nm
        if not -math.inf < low <= high < math.inf:
            raise SuperlensError(f"z_range_nm is {self.z_range_nm}; expected the lower height first.")

    @property
    def box(self) -> Box:
        """The field with its margin."""
        height, width = (side * self.pixel_nm + self.margin_nm for side in self.yx_shape)
        return Box((-self.margin_nm, width), (-self.margin_nm, height))

    @property
    def three_d(self) -> bool:
        """Whether the truth has z: the heights or the images of molecules differ along it."""
        return self.spots.three_d or self.z_range_nm[0] != self.z_range_nm[1]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame of a movie.

    Attributes
    ----------
    number : int
        From 1.
    counts : ndarray, shape (Y, X), uint16, counts
        What the camera delivers.
    photons : ndarray, shape (Y, X), float64, photons
        Its mean before the camera, background included.
    truth : Localizations
        Molecules that shone in this frame within the field; see `Movie`.
    drift_nm : ndarray, shape (2,), columns x and y
        How far the specimen has moved since the first frame.
    """

    number: int
    counts: NDArray[np.uint16] = field(repr=False)
    photons: Floats = field(repr=False)
    truth: Localizations = field(repr=False)
    drift_nm: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Movie:
    """A movie and everything that is true about it.

    Attributes
    ----------
    frames : Image
        Axes TYX, uint16, counts.
    truth : Localizations
        One row for each molecule in each frame: frame, x_nm, y_nm, (z_nm,) photons (those that fall on the camera in this frame), background
        (mean photons of the pixel besides), sigma_nm (the geometric mean of sigma_x_nm and sigma_y_nm, which are there where they may
        differ), molecule. With drift x_nm and y_nm are places on the specimen, and x_raw_nm and y_raw_nm where the camera saw them.
    drift_nm : ndarray, shape (T, 2), columns x and y
        How far the specimen has moved since the first frame.
    scene : SmlmScene
        What made it.
    """

    frames: Image = field(repr=False)
    truth: Localizations = field(repr=False)
    drift_nm: Floats = field(repr=False)
    scene: SmlmScene


def simulate_smlm(frames: int = 20, scene: SmlmScene | None = None, *, rng: np.random.Generator) -> Movie:
    """Make a movie of blinking molecules.

    Parameters
    ----------
    frames : int
        Number of frames, at least 1.
    scene : SmlmScene, optional
        What is photographed and how. By default 64 x 64 pixels of 100 nm, 2 molecules per square micrometre in each frame, images of
        sigma 110 +- 5 nm and 2250 +- 250 photons on a background of 20, and a camera of gain 1, offset 100 and 1.5 electrons of read
        noise.
    rng : numpy.random.Generator
        Source of all randomness. Places and blinks, background and drift, and the camera draw from children of it: scenes that
        differ in one of these only have the rest in common.

    Returns
    -------
    Movie
        Frames and truth.

    Raises
    ------
    SuperlensError
        When `frames` is below 1, or a part of the scene is impossible.

    Examples
    --------
    >>> movie = simulate_smlm(3, SmlmScene(yx_shape=(32, 48)), rng=np.random.default_rng(0))
    >>> movie.frames.sizes, movie.truth.frames
    ({'T': 3, 'Y': 32, 'X': 48}, 3)
    """
    chosen = SmlmScene() if scene is None else scene
    stream = stream_smlm(frames, chosen, rng=rng)
    counts = np.empty((frames, *chosen.yx_shape), np.uint16)
    drift = np.empty((frames, 2))
    tables = []
    for frame in stream:
        counts[frame.number - 1], drift[frame.number - 1] = frame.counts, frame.drift_nm
        tables.append(frame.truth)
    history = _history(frames, chosen)
    image = Image(counts, "TYX", pixel_nm=chosen.pixel_nm, name="simulated", history=history)
    return Movie(image, Localizations.joined(tables), drift, chosen)


def stream_smlm(frames: int, scene: SmlmScene | None = None, *, rng: np.random.Generator) -> Iterator[Frame]:
    """Make a movie of blinking molecules frame by frame: the same frames as `simulate_smlm`, none of them kept.

    Parameters
    ----------
    frames : int
        Number of frames, at least 1.
    scene : SmlmScene, optional
        What is photographed and how.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    iterator of Frame
        In order.

    Raises
    ------
    SuperlensError
        When `frames` is below 1, or a part of the scene is impossible.

    Examples
    --------
    >>> [frame.number for frame in stream_smlm(2, rng=np.random.default_rng(0))]
    [1, 2]
    """
    if frames < 1:
        raise SuperlensError(f"frames is {frames}; expected 1 or more.")
    chosen = SmlmScene() if scene is None else scene
    specimen, surroundings, noise = rng.spawn(3)
    layout = chosen.sites.lay(chosen.box, specimen)
    births = _Births(chosen, layout, specimen)
    return _played(frames, chosen, births, (specimen, surroundings, noise))


@dataclass(slots=True)
class _Births:
    """Makes new molecules of a scene and counts them."""

    scene: SmlmScene
    layout: Layout
    rng: np.random.Generator
    made: int = 0

    def __call__(self, count: int) -> Molecules:
        position = self.layout(count, self.rng)
        position[:, 2] += self.rng.uniform(*self.scene.z_range_nm, count)
        photons = self.scene.photons.draw(count, self.rng)
        sigma = self.scene.spots.sigmas(position[:, 2], self.rng)
        number = np.arange(self.made + 1, self.made + count + 1)
        self.made += count
        return Molecules(position, photons, sigma, number)


def _played(
    frames: int,
    scene: SmlmScene,
    births: _Births,
    rngs: tuple[np.random.Generator, np.random.Generator, np.random.Generator],
) -> Iterator[Frame]:
    specimen, surroundings, noise = rngs
    blinks = scene.blinking.play(scene.box.area_um2, births, specimen)
    backgrounds = scene.background.play(scene.yx_shape, scene.pixel_nm, surroundings.spawn(1)[0])
    moves = scene.drift.play(surroundings)
    history = _history(frames, scene)
    for number, shining, background, moved in zip(range(1, frames + 1), blinks, backgrounds, moves, strict=False):
        seen = shining.shifted(moved)
        photons = background + scene.spots.render(seen, scene.yx_shape, scene.pixel_nm)
        truth = _truth(number, frames, scene, (shining, seen, background), history)
        yield Frame(number, _stored(scene.sensor.expose(photons, noise)), photons, truth, moved)


def _truth(
    number: int,
    frames: int,
    scene: SmlmScene,
    lit: tuple[Molecules, Molecules, Floats],
    history: dict[str, Any],
) -> Localizations:
    """The rows of one frame: molecules as they are on the specimen, as the camera sees them, and the background."""
    height, width = (side * scene.pixel_nm for side in scene.yx_shape)
    inside = Box((0.0, width), (0.0, height)).holds(lit[1].position_nm)
    real, seen = (molecules.where(inside) for molecules in lit[:2])
    column, row = np.floor(seen.position_nm[:, :2].T / scene.pixel_nm).astype(np.int64)
    columns: dict[str, NDArray[Any]] = {
        "frame": np.full(len(real), number),
        "x_nm": real.position_nm[:, 0],
        "y_nm": real.position_nm[:, 1],
        "photons": real.photons,
        "background": lit[2][np.minimum(row, scene.yx_shape[0] - 1), np.minimum(column, scene.yx_shape[1] - 1)],
        "sigma_nm": np.sqrt(real.sigma_nm.prod(axis=1)),
        "molecule": real.number,
    }
    if scene.three_d:
        columns["z_nm"] = real.position_nm[:, 2]
    if scene.spots.three_d:
        columns["sigma_x_nm"], columns["sigma_y_nm"] = real.sigma_nm.T
    if scene.drift != DriftLaw():
        columns["x_raw_nm"], columns["y_raw_nm"] = seen.position_nm[:, :2].T
    return Localizations(columns, pixel_nm=scene.pixel_nm, yx_shape=scene.yx_shape, frames=frames, history=history)


def _stored(counts: NDArray[Any]) -> NDArray[np.uint16]:
    """Counts of a camera that does not store them itself, with 16 bits."""
    stored: NDArray[np.uint16] = (
        counts if counts.dtype == np.uint16 else np.clip(np.rint(counts), 0, _TOP).astype(np.uint16)
    )
    return stored


def _history(frames: int, scene: SmlmScene) -> dict[str, Any]:
    """The scene in words, as files keep it."""
    parts = ("sites", "blinking", "photons", "spots", "background", "drift", "sensor")
    words = {name: repr(getattr(scene, name)) for name in parts}
    return {
        "simulated": {"frames": frames, "margin_nm": scene.margin_nm, "z_range_nm": list(scene.z_range_nm), **words}
    }
