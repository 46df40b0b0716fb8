"""How the frames of a movie are read with a model: molecules of a block of frames, and sums over all blocks.

In: counts, block by block. Out: rows of the table, the mean of the frames, the sum of the density maps, and what was unlike the rest. Crowded
frames are shown to the network; in sparse movies it sees only what single molecules do not explain (`superlens.methods.deepstorm.sparse`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from superlens.errors import SuperlensError
from superlens.image import Image
from superlens.methods.deepstorm.calibrate import CAUTION, found_within
from superlens.methods.deepstorm.detect import Detector, Found
from superlens.methods.deepstorm.examples import shared_spikes
from superlens.methods.deepstorm.frames import peak_share
from superlens.methods.deepstorm.sparse import Window, cores, share_seen, shown_together, windows_of
from superlens.methods.deepstorm.stating import signs_of
from superlens.model import Model
from superlens.networks import architecture
from superlens.smlm.balance import LightBalance
from superlens.smlm.estimation import MovieEstimate
from superlens.smlm.refining import Refined, crowding_of, refine
from superlens.smlm.sifting import LoneSpots, Sifted, error_of, sift
from superlens.smlm.usual import JudgedFrames

__all__ = ["Part", "Reader"]

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_AS_TRAINED = 0.08
"""Relative difference of the width of molecules, in pixels, up to which frames are not rescaled."""

_RESCALED = (0.4, 2.5)

_SPARSE = 0.3
"""Molecules in the area of the image of one, in a frame, up to which a movie may be sparse."""

_WORTH = 0.4
"""Share of the pixels that the network must see, up to which a movie is read as a sparse one."""

_SHOWN = 49_152
"""Pixels that the network is shown at a time: its features of so many stay in the cache of a processor."""

_TRIED = 128  # frames by which this is decided

_COLUMNS = (
    "frame",
    "x_nm",
    "y_nm",
    "photons",
    "sigma_nm",
    "background",
    "background_std",
    "uncertainty_nm",
    "probability",
)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Frames with light, in electrons.

    Attributes
    ----------
    electrons : ndarray, shape (T, Y, X)
    even : ndarray, shape (T, Y, X)
        The same on an even background.
    floors : float or ndarray, shape (Y, X) or (T, Y, X)
        The background.
    photons : ndarray, shape (T,)
        Usual photons of a molecule.
    """

    electrons: Array
    even: Array
    floors: float | Array
    photons: Floats

    @classmethod
    def of(cls, electrons: Array, judged: JudgedFrames, told: MovieEstimate, numbers: Ints) -> _Block:
        """Frames of these indices in the movie, which were judged."""
        return cls(electrons, told.flat(electrons, judged), told.floors(judged), told.photons_in(numbers))

    def where(self, some: slice) -> _Block:
        """Some of the frames."""
        floors = self.floors
        if isinstance(floors, np.ndarray) and floors.ndim == 3 and len(floors) > 1:
            floors = floors[some]
        return _Block(self.electrons[some], self.even[some], floors, self.photons[some])


@dataclass(frozen=True, slots=True, eq=False)
class _Molecules:
    """Molecules of a block: the frame of each, what was fitted, the error to state in camera pixels, and how sure they are."""

    frame: Ints
    refined: Refined
    error: Floats
    height: NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What was read in a block of frames.

    Attributes
    ----------
    rows : dict of str to ndarray, shape (N,)
        Columns of the table.
    judged : JudgedFrames
        The frames, held against the usual one.
    light : ndarray, shape (Y, X), or None
        Sum of the frames that hold light, counts; None where none does.
    maps : ndarray, shape (fine Y, fine X), or None
        Sum of their density maps, on the grid of the network.
    balance : LightBalance
        Of these frames alone.
    """

    rows: dict[str, NDArray[Any]]
    judged: JudgedFrames
    light: Floats | None = None
    maps: Floats | None = None
    balance: LightBalance = LightBalance()


@dataclass(slots=True, eq=False)
class Reader:
    """Reads frames with a model, and keeps the sums of frames and of density maps.

    `read` changes nothing, so that blocks may be read at the same time; `keep` adds them up.

    Attributes
    ----------
    detector : Detector
    told : MovieEstimate
    pixel_nm : float
    zoom : float
        By how much frames are enlarged so that molecules are as wide as in training; 1 where they nearly are.
    lone : LoneSpots or None
        What single molecules look like, of a sparse movie.
    frames : int
        That were read and hold light.
    """

    detector: Detector
    told: MovieEstimate
    pixel_nm: float
    zoom: float
    lone: LoneSpots | None = None
    frames: int = 0
    _light: Floats | None = None
    _maps: Floats | None = None
    _judged: list[JudgedFrames] = field(default_factory=list)
    _balance: LightBalance = LightBalance()
    _engine: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, model: Model, told: MovieEstimate, pixel_nm: float, electrons: Array, judged: JudgedFrames) -> Reader:
        """A reader of a movie, of which some frames, spread over it, show whether it is sparse.

        Parameters
        ----------
        model : Model
        told : MovieEstimate
        pixel_nm : float
        electrons : ndarray, shape (T, Y, X)
        judged : JudgedFrames
            The same frames.

        Raises
        ------
        SuperlensError
            If molecules are far wider or narrower than the model's.
        """
        detector = Detector.of(model)
        ours, theirs = detector.config.sigma_pixels, told.sigma_nm / pixel_nm
        low, high = _RESCALED
        if not low <= ours / theirs <= high:
            raise SuperlensError(
                f"molecules are {told.sigma_nm:.0f} nm wide (sigma), {theirs:.2f} pixels of {pixel_nm:g} nm, and the model takes {ours:g} "
                f"pixels; expected {ours / high:.2f} to {ours / low:.2f}. Check `pixel_nm`, or train a model on this movie"
            )
        made = cls(detector, told, pixel_nm, 1.0 if abs(ours / theirs - 1) <= _AS_TRAINED else ours / theirs)
        made.lone = made._lone_spots(electrons, judged)
        return made

    @property
    def sigma(self) -> float:
        """Standard deviation of the image of a molecule, camera pixels."""
        return self.told.sigma_nm / self.pixel_nm

    def read(self, counts: Array, start: int) -> Part:
        """Read frames, shape (T, Y, X), of which the first has the index ``start``."""
        told = self.told
        electrons = np.asarray(told.camera.to_electrons(counts), np.float32)
        judged = told.judged(electrons)
        lit = np.flatnonzero(~judged.dark)
        if not len(lit):
            return Part({name: np.empty(0, np.int64 if name == "frame" else np.float64) for name in _COLUMNS}, judged)
        block = _Block.of(electrons[lit], judged.where(lit), told, lit + start)
        found, maps = self._searched(block) if self.lone is None else self._sifted(block, self.lone)
        limits = np.array(electrons.shape[:0:-1]) * self.pixel_nm
        refined, frame = found.refined, found.frame
        rows = {
            "frame": lit[frame] + start + 1,
            "x_nm": np.clip(refined.x * self.pixel_nm, 0, limits[0]),
            "y_nm": np.clip(refined.y * self.pixel_nm, 0, limits[1]),
            "photons": told.excess * refined.photons,
            "sigma_nm": np.full(len(frame), told.sigma_nm),
            "background": told.excess * refined.background,
            "background_std": told.excess * np.sqrt(refined.background + told.camera.read_noise_e**2),
            "uncertainty_nm": found.error * self.pixel_nm,
            "probability": np.clip(found.height, 0, 1).astype(np.float64),
        }
        order = np.lexsort((refined.x, frame))
        balance = LightBalance().with_frames(block.even, told, refined.photons)
        light = counts[lit].sum(axis=0, dtype=np.float64)
        return Part({name: values[order] for name, values in rows.items()}, judged, light, maps, balance)

    def keep(self, part: Part) -> dict[str, NDArray[Any]]:
        """Add a block to the sums; the blocks come in order. Returns its rows of the table."""
        self._judged.append(part.judged)
        if part.light is not None and part.maps is not None:
            self._light = part.light if self._light is None else self._light + part.light
            self._maps = part.maps if self._maps is None else self._maps + part.maps
            self.frames += int((~part.judged.dark).sum())
            self._balance = self._balance.plus(part.balance)
        return part.rows

    # -- crowded frames -----------------------------------------------------------------------------------------------

    def _searched(self, block: _Block) -> tuple[_Molecules, Floats]:
        """Show whole frames to the network, a few at a time; meanwhile those that it has seen are read."""
        seen, brightness = self._seen(block.even), self._brightness(block.photons)
        count = len(seen)
        at_once = max(1, _SHOWN // math.prod(seen.shape[1:]))
        jobs = []
        with ThreadPoolExecutor(1) as reading:
            for start in range(0, count, at_once):
                which = np.minimum(
                    np.arange(start, start + at_once), count - 1
                )  # of one number, as networks are compiled for
                maps = self._maps_of(seen[which], brightness[which])
                some = slice(start, min(start + at_once, count))
                jobs.append(reading.submit(self._read_maps, block.where(some), maps[: some.stop - start]))
            parts = [job.result() for job in jobs]
        found = _joined([replace(one, frame=one.frame + at_once * k) for k, (one, _) in enumerate(parts)])
        return found, np.sum([total for _, total in parts], axis=0)

    def _maps_of(self, seen: Array, brightness: Array) -> Array:
        """Density maps of frames or parts of them, one call of the engine at a time."""
        with self._engine:
            return self.detector.maps(seen, brightness, self.told.background)

    def _read_maps(self, block: _Block, maps: Array) -> tuple[_Molecules, Floats]:
        """The molecules in density maps, and the sum of these."""
        found = self._on_camera(self.detector.read(maps), block.even.shape)
        return self._refined(block, found), maps.sum(axis=0, dtype=np.float64)

    def _refined(self, block: _Block, found: Found, alone: tuple[Ints, Floats] | None = None) -> _Molecules:
        """Fit what was found, and single molecules of the same frames with it: their frames and places."""
        frame, places = found.frame, found.places
        wider = self.sigma / self.detector.config.sigma_pixels
        within = wider * found_within(self.detector, crowding_of(frame, places, self.sigma))
        if alone is not None:
            within = np.concatenate([within, np.full(len(alone[0]), self.sigma)])
            frame, places = np.concatenate([frame, alone[0]]), np.concatenate([places, alone[1]])
        refined = refine(
            block.electrons,
            frame,
            places,
            sigma=self.sigma,
            photons=block.photons[frame],
            background=block.floors,
            read_noise_e=self.told.camera.read_noise_e,
            found_within=within,
            caution=CAUTION,
        )
        count = len(found)
        signs = signs_of(refined.bound[:count] / wider, refined.crowding[:count], found.height, found.width)
        error = np.concatenate([wider * self.detector.law(signs), error_of(refined)[count:]])
        return _Molecules(frame, refined, error, np.concatenate([found.height, np.ones(len(frame) - count)]))

    def _seen(self, even: Array) -> Array:
        """Frames with molecules as wide as in training."""
        if self.zoom == 1.0:
            return even
        return np.asarray(
            ndimage.zoom(even, (1, self.zoom, self.zoom), order=3, mode="nearest", grid_mode=True), np.float32
        )

    def _brightness(self, photons: Floats) -> Array:
        """What the peaks of molecules in the frames that the network sees are measured in, shape (T, 1, 1): enlarged, a peak stays as high."""
        share = 1.0 if self.zoom == 1.0 else peak_share(self.sigma) / peak_share(self.detector.config.sigma_pixels)
        return (photons * share).astype(np.float32)[:, None, None]

    def _on_camera(self, found: Found, shape: tuple[int, ...]) -> Found:
        """What was found in the frames that the network sees, in pixels of the camera's frames of this shape."""
        return replace(found, places=found.places * (np.array(shape[:0:-1]) / np.array(self._seen_shape(shape)[::-1])))

    def _seen_shape(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Sides of the frames that the network sees."""
        return int(round(shape[1] * self.zoom)), int(round(shape[2] * self.zoom))

    # -- sparse frames ------------------------------------------------------------------------------------------------

    def _lone_spots(self, electrons: Array, judged: JudgedFrames) -> LoneSpots | None:
        """What single molecules look like, if most are single and the network had little to see."""
        told, config = self.told, self.detector.config
        if config.normalise != "molecule" or told.density_um2 * 4e-6 * math.pi * told.sigma_nm**2 > _SPARSE:
            return None
        alike = np.flatnonzero(judged.alike)
        some = alike[np.unique(np.linspace(0, len(alike) - 1, _TRIED).round().astype(int))]
        block = _Block.of(electrons[some], judged.where(some), told, some)
        sifted = self._spots(block)
        lone = LoneSpots.of(sifted)
        if lone is None:
            return None
        mask, _ = cores(sifted, lone.judge(sifted), block.even.shape, self.sigma)
        known = architecture(config.network)
        return lone if share_seen(mask, math.ceil(known.halo / self.zoom), known.align) < _WORTH else None

    def _spots(self, block: _Block) -> Sifted:
        return sift(
            block.electrons,
            sigma=self.sigma,
            photons=block.photons,
            background=block.floors,
            read_noise_e=self.told.camera.read_noise_e,
        )

    def _sifted(self, block: _Block, lone: LoneSpots) -> tuple[_Molecules, Floats]:
        """Fit single molecules by themselves, and show the network where there are others."""
        sifted = self._spots(block)
        mask, alone = cores(sifted, lone.judge(sifted), block.even.shape, self.sigma)
        crowded = np.asarray(mask.any(axis=(1, 2)))
        places = sifted.places
        maps = self._drawn(places[alone], block.even.shape)
        apart = alone & ~crowded[sifted.frame]
        made = _Molecules(
            sifted.frame[apart],
            sifted.fitted.where(apart),
            error_of(sifted.fitted.where(apart)),
            np.ones(int(apart.sum())),
        )
        if not crowded.any():
            return made, maps
        beside = alone & ~apart
        found = self._in_cores(block, mask, np.flatnonzero(crowded), maps)
        return _joined([made, self._refined(block, found, (sifted.frame[beside], places[beside]))]), maps

    def _drawn(self, places: Floats, shape: tuple[int, ...]) -> Floats:
        """The density of single molecules, as the network is trained to answer it."""
        upsampling, (height, width) = self.detector.config.upsampling, self._seen_shape(shape)
        scale = upsampling * np.array([width / shape[2], height / shape[1]])
        return shared_spikes(places * scale, (height * upsampling, width * upsampling)).astype(np.float64)

    def _in_cores(self, block: _Block, mask: Mask, crowded: Ints, total: Floats) -> Found:
        """What the network finds in the marked parts of frames; its density there is added to the sum of all maps."""
        known = architecture(self.detector.config.network)
        seen, marked = self._seen(block.even[crowded]), mask[crowded]
        if self.zoom != 1.0:
            rows, columns = (
                np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
                for new, old in zip(seen.shape[1:], marked.shape[1:], strict=True)
            )
            marked = marked[:, rows[:, None], columns]
        sides = seen.shape
        pads = [(0, 0), *((0, -side % known.align) for side in sides[1:])]
        seen, marked = np.pad(seen, pads, mode="edge"), np.pad(marked, pads)
        windows, parts = windows_of(marked, known.halo, known.align)
        brightness = self._brightness(block.photons[crowded])
        found = [
            self._in_windows(some, count, (seen, brightness, parts), total) for some, count in shown_together(windows)
        ]
        one = Found.joined(found)
        return self._on_camera(replace(one, frame=crowded[one.frame]), block.even.shape)

    def _in_windows(
        self, windows: list[Window], count: int, about: tuple[Array, Array, NDArray[np.int32]], total: Floats
    ) -> Found:
        """What the network finds in windows of one shape, each in its own part, filled up to a number of them."""
        seen, brightness, parts = about
        frame = np.array([one.frame for one in windows])
        filled = [*windows, *windows[:1] * (count - len(windows))]
        shown = np.stack([seen[one.frame, one.rows, one.columns] for one in filled])
        of_each = brightness[[one.frame for one in filled]]
        maps = self._maps_of(shown, of_each)[: len(windows)]
        own = np.stack([one.marks(parts) for one in windows])
        self._add_windows(maps, own, windows, total)
        found = self.detector.read(maps)
        column, row = np.floor(found.places).astype(np.int64).T
        sides = np.array(own.shape[1:])
        inside = own[found.frame, np.clip(row, 0, sides[0] - 1), np.clip(column, 0, sides[1] - 1)]
        kept = found.where(inside)
        corner = np.array([(one.columns.start, one.rows.start) for one in windows])
        return replace(kept, frame=frame[kept.frame], places=kept.places + corner[kept.frame])

    # -- sums ---------------------------------------------------------------------------------------------------------

    def _add_windows(self, maps: Array, own: Mask, windows: list[Window], total: Floats) -> None:
        """Add the marked parts of density maps of windows to a sum of maps."""
        times = self.detector.config.upsampling
        for density, marks, one in zip(maps, own, windows, strict=True):
            within = total[
                one.rows.start * times : one.rows.stop * times, one.columns.start * times : one.columns.stop * times
            ]
            marked = density * marks.repeat(times, axis=0).repeat(times, axis=1)
            within += marked[: within.shape[0], : within.shape[1]]

    @property
    def judged(self) -> JudgedFrames:
        """All frames that were read, held against the usual one."""
        return JudgedFrames.joined(self._judged)

    def contradictions(self) -> tuple[str, ...]:
        """Why what was found can't be right."""
        return self._balance.contradictions

    def mean(self, name: str) -> Image:
        """Mean of the frames that hold light, counts."""
        if self._light is None:
            raise SuperlensError("no frame holds light; nothing was found")
        return Image((self._light / self.frames).astype(np.float32), "YX", pixel_nm=self.pixel_nm, name=name)

    def density(self, name: str, about: Mapping[str, Any]) -> Image:
        """Sum of the maps on the fine grid of the camera: molecules a pixel."""
        if self._light is None or self._maps is None:
            raise SuperlensError("no frame holds light; nothing was found")
        upsampling, total = self.detector.config.upsampling, self._maps
        if self.zoom != 1.0:
            ratio = [side / (upsampling * own) for side, own in zip(total.shape, self._light.shape, strict=True)]
            total = ndimage.zoom(total, [1 / r for r in ratio], order=1, mode="nearest", grid_mode=True)
            total = np.maximum(total, 0) * math.prod(ratio)
        shift = self.detector.config.label_shift
        if shift:
            total = ndimage.shift(total, shift, order=1, mode="constant")
        history = {"superlens": {"what": "sum of density maps, molecules a pixel", **about}}
        return Image(total.astype(np.float32), "YX", pixel_nm=self.pixel_nm / upsampling, name=name, history=history)

    def parameters(self) -> dict[str, Any]:
        """What frames were read with, true photons and gain where the camera multiplies electrons."""
        told, detector = self.told, self.detector
        return {
            "pixel_nm": self.pixel_nm,
            "sigma_nm": round(told.sigma_nm, 2),
            "photons": round(told.excess * told.photons, 1),
            "background": round(told.excess * told.background, 2),
            "density_um2": round(told.density_um2, 3),
            "camera_gain": told.camera.gain / told.excess,
            "camera_multiplies": told.excess > 1,
            "camera_offset": told.camera.offset,
            "camera_read_noise_e": told.camera.read_noise_e,
            "sources": dict(told.sources),
            "threshold": detector.threshold,
            "upsampling": detector.config.upsampling,
            "rescaled": round(self.zoom, 4),
        }

    def messages(self, first: int) -> tuple[str, ...]:
        """What the user should know of how frames were read, of which the first has the index ``first``."""
        unlike = self.judged.messages(first + 1)
        if self.zoom == 1.0:
            return unlike
        return (
            *unlike,
            f"molecules are {self.told.sigma_nm / self.pixel_nm:.2f} pixels wide and the model was trained for "
            f"{self.detector.config.sigma_pixels:g}: frames were rescaled by {self.zoom:.2f} for the network",
        )


def _joined(parts: list[_Molecules]) -> _Molecules:
    """Molecules of several kinds, or of several frames, one after the other."""
    refined = Refined(*(np.concatenate([getattr(one.refined, part.name) for one in parts]) for part in fields(Refined)))
    frame, error, height = (
        np.concatenate([getattr(one, name) for one in parts]) for name in ("frame", "error", "height")
    )
    return _Molecules(frame, refined, error, height)
