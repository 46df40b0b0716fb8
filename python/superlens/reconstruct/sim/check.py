"""What is wrong with raw frames or with the pattern found in them: refusals in words, and warnings."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from superlens.errors import SuperlensError
from superlens.image import Image, clip_level
from superlens.optics import Objective
from superlens.optics.detection import Detection
from superlens.optics.patterns import Arrangement, Pattern
from superlens.reconstruct.sim.bands import taper
from superlens.reconstruct.sim.estimate import Estimate
from superlens.reconstruct.sim.layout import Layout
from superlens.reconstruct.sim.search import LIMIT, Found
from superlens.reconstruct.sim.series import shift_between

__all__ = [
    "DRIFT_PX",
    "check_found",
    "check_frames",
    "check_optics",
    "drift_between_angles",
    "frame_warnings",
    "pattern_warnings",
    "drift_warning",
    "same_pattern",
    "stack_warning",
]

_DIM = 0.2  # by which a frame may differ from the mean
_SATURATED = 0.001
_FAINT, _TOO_FAINT = 0.1, 0.05  # modulation
_LENGTHS = 0.1  # by which wave vectors may differ
DRIFT_PX = 0.5
"""Raw pixels that a specimen may move between two angles."""


def check_optics(objective: Objective, pixel_nm: float) -> Detection:
    """The detection of an objective on the camera's pixels.

    Raises
    ------
    SuperlensError
        When the pixels are too large for it.
    """
    detection = Detection.of(objective, pixel_nm)
    if detection.cutoff >= 0.49:
        most = 0.49 * objective.wavelength_nm / (2 * objective.na)
        raise SuperlensError(
            f"`pixel_nm` is {pixel_nm:g}; expected less than {most:.4g} nm, a quarter of the wavelength over the NA. Larger pixels do not sample what the "
            "objective resolves, and a carrier may be aliased. Check `pixel_nm`, `na` and `wavelength_nm`."
        )
    return detection


def check_frames(planes: NDArray[Any]) -> None:
    """Refuse planes that cannot be raw frames.

    Raises
    ------
    SuperlensError
        A single plane, planes that are all the same, or one that is dark or far from the others.
    """
    if len(planes) < 5:
        raise SuperlensError(
            f"the image has {len(planes)} plane{'s' * (len(planes) > 1)}; expected the raw frames of structured illumination, at least 5. If it is "
            "already reconstructed, use `superlens enhance`; if it is a montage of N-SIM, give `order` nsim."
        )
    if not np.isfinite(planes).all():
        raise SuperlensError("the frames hold values that are not finite; replace them before reconstructing.")
    means = planes.mean(axis=(1, 2), dtype=np.float64)
    spread = planes.std(axis=(1, 2), dtype=np.float64)
    usual = float(np.median(spread))
    if usual == 0:
        raise SuperlensError("the frames are even; there is nothing to reconstruct.")
    floor = float(np.percentile(planes[:: max(1, len(planes) // 9)], 0.1))
    light = (means - floor) / max(float(np.median(means)) - floor, 1e-12)
    for frame, (own, share) in enumerate(zip(spread, light, strict=True)):
        if own < 0.3 * usual or share < 0.3:
            raise SuperlensError(
                f"frame {frame} (from 0) is dark or empty: its contrast is {own / usual:.0%} and its light {share:.0%} of the others'. Leave out its "
                "set of frames, or record it again."
            )


def frame_warnings(image: Image, planes: NDArray[Any], brightness: Sequence[float]) -> Iterator[str]:
    """What the user should know of the frames."""
    if image.data.dtype == np.uint8:
        yield "The frames have 8 bits: their noise is not that of photons, and weak structures may be lost."
    level = clip_level(image.data)
    if level is not None:
        share = float(np.mean(image.data == level))
        if share > _SATURATED:
            yield f"{share:.2%} of the pixels are saturated at {level:g}; structures there are wrong. Record with less light."
    for frame, light in enumerate(brightness):
        if abs(light - 1) > _DIM:
            yield f"Frame {frame} (from 0) has {light:.0%} of the mean brightness; it was made equal. Check the shutter and bleaching."


def check_found(found: Found, arrangement: Arrangement, detection: Detection, pixel_nm: float, words: str) -> None:
    """Refuse carriers that are none, or cannot be right.

    Raises
    ------
    SuperlensError
    """
    if not found.accepted:
        raise SuperlensError(_not_found(found, arrangement, words))
    highest = max(arrangement.multiples)
    lengths = np.hypot(*found.frequencies.T)[[m == highest for m in arrangement.multiples]]
    if lengths.max() > (1 + _LENGTHS) * lengths.min():
        raise SuperlensError(
            f"the carriers differ in length: {', '.join(f'{k:.4f}' for k in lengths)} cycles per pixel ({words}); expected the same within "
            f"{_LENGTHS:.0%}. The pixels may not be square, or one angle is something else than a pattern: check the order of the frames."
        )
    directions = np.degrees(np.arctan2(*found.frequencies.T))[[m == highest for m in arrangement.multiples]]
    for a, b in itertools.combinations(range(len(directions)), 2):
        off = abs((directions[a] - directions[b] + 90) % 180 - 90)
        if off < 90 / len(directions) / 2:
            raise SuperlensError(
                f"angles {a + 1} and {b + 1} have the same direction ({directions[a] % 180:.1f} and {directions[b] % 180:.1f} degrees, {words}). The order of "
                "the frames is wrong, or the grating was not turned; try `order`."
            )


def _not_found(found: Found, arrangement: Arrangement, words: str) -> str:
    angles = list(dict.fromkeys(arrangement.angles))
    best = [
        max(float(z) for z, a in zip(found.significance, arrangement.angles, strict=True) if a == angle)
        for angle in angles
    ]
    if found.joint >= LIMIT:
        return (
            f"the carriers of several angles are mixed in each band ({words}): the frames are in another order, some are missing, or the phase steps "
            "are far from equal. Give `order`, `angles` and `phases`, or leave out planes that belong to no set."
        )
    weak = [f"angle {i + 1}: z {z:.1f}" for i, z in enumerate(best) if z < LIMIT]
    return (
        f"no illumination pattern was found ({words}; {', '.join(weak) or f'joint z {found.joint:.1f}'}; limit {LIMIT:g}). Likely causes: another order or "
        "number of frames (`order`, `angles`, `phases`), optics or pixel size that are not those of the recording, or a pattern without contrast "
        "in this specimen. With a brighter recording of the same settings, pass its run.json as `like`."
    )


def pattern_warnings(estimate: Estimate, detection: Detection, objective: Objective, pixel_nm: float) -> Iterator[str]:
    """What the user should know of the pattern.

    Raises
    ------
    SuperlensError
        When its modulation is next to nothing or its period cannot be.
    """
    pattern = estimate.pattern
    table = pattern.arrangement
    longest = max(order.length for order in pattern.orders)
    most = 2 * objective.na * pixel_nm / (objective.excitation_nm or objective.wavelength_nm / 1.25)
    if longest > 1.03 * most:
        fits = pixel_nm * longest / most
        raise SuperlensError(
            f"the pattern's period is {pixel_nm / longest:.4g} nm; the objective makes none below {pixel_nm / most:.4g} nm. `pixel_nm`, `na` or the "
            f"wavelength is wrong; the period would fit with pixels of {fits:.4g} nm."
        )
    for b, order in enumerate(pattern.orders):
        name = f"angle {table.angles[b] + 1}" + (f", order {table.multiples[b]}" if max(table.multiples) > 1 else "")
        strongest = max(
            o.modulation for o, angle in zip(pattern.orders, table.angles, strict=True) if angle == table.angles[b]
        )
        if strongest < _TOO_FAINT:
            raise SuperlensError(
                f"{name}: the pattern's contrast is {order.modulation:.3f}; expected at least {_TOO_FAINT:g}. There is nothing to gain from it; "
                "check polarisation, focus and haze."
            )
        if order.modulation < _FAINT:
            yield f"{name}: modulation {order.modulation:.3f} ± {order.modulation_error:.3f} is low; detail that rests on this order is noisy."
        elif order.modulation_error > 0.25 * order.modulation:
            yield f"{name}: modulation {order.modulation:.3f} ± {order.modulation_error:.3f} is uncertain."
        if order.modulation > 1.2:
            yield f"{name}: modulation {order.modulation:.2f} is above 1; the transfer function does not fit the data. Check `na` and `wavelength_nm`."
    for b, value in enumerate(estimate.coherence):
        if value < 0.3:
            yield f"angle {table.angles[b] + 1}: the bands agree by {value:.2f} only (1 is perfect); expect ghost lines along this direction."


def drift_between_angles(frames: NDArray[Any], layout: Layout) -> float:
    """The largest shift between the wide-field images of two angles, raw pixels; 0 where all frames hold all angles."""
    table = layout.arrangement
    if table.groups == 1:
        return 0.0
    images = []
    for angle in dict.fromkeys(table.angles):
        lit = table.present[:, table.angles.index(angle)]
        images.append(frames[lit].mean(axis=0, dtype=np.float64))
    window = taper(images[0].shape)
    spectra = [fft.rfft2((image - image.mean()) * window) for image in images]
    shifts = [shift_between(spectra[0], other, images[0].shape) for other in spectra[1:]]
    return max((math.hypot(*shift) for shift in shifts), default=0.0)


def stack_warning(image: Image, sets: int) -> Iterator[str]:
    """What a stack that is reconstructed slice by slice does not get."""
    if sets > 1 and "Z" in image.axes and "T" not in image.axes:
        yield f"The {sets} sets lie along z: each slice is reconstructed by itself, in two dimensions, and the light of other slices stays in it."


def drift_warning(shift: float) -> Iterator[str]:
    """Tell drift that shows in the image."""
    if shift > DRIFT_PX:
        yield f"The specimen moved by {shift:.2f} pixels between the angles; expect doubled lines. Record faster, or hold the focus and the stage."


def same_pattern(pattern: Pattern, frames: int) -> None:
    """Refuse a given pattern for another number of frames.

    Raises
    ------
    SuperlensError
    """
    if pattern.arrangement.frames != frames:
        raise SuperlensError(
            f"the given pattern is of {pattern.arrangement.frames} frames and the image has {frames} in a set; give the pattern of a recording of the "
            "same kind."
        )
