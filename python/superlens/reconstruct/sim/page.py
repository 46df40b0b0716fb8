"""The report of a reconstruction: `page_of`, one self-contained HTML page; and the maps and numbers on it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter

from superlens.reconstruct.sim.bands import taper
from superlens.reconstruct.sim.search import LIMIT
from superlens.report.pictures import Contrast, Picture, paint
from superlens.report.templates import template
from superlens.report.verdict import Reason, Verdict, verdict

if TYPE_CHECKING:
    from superlens.reconstruct.sim.reconstruct import SimResult

__all__ = ["contrast_to_noise", "page_of", "residual_of", "split_frc", "verdict_of"]

Array = NDArray[Any]

_COHERENT = 0.5
_GOOD_CONTRAST = 4.0


def page_of(result: SimResult) -> str:
    """The report of a result."""
    image, wide = (_first(one.data) for one in (result.image, result.widefield))
    contrast = contrast_to_noise(result)
    residual, share = residual_of(result)
    fine_nm = result.image.pixel_nm
    layers = [
        _painted(np.kron(wide, np.ones((2, 2), np.float32)), "wide field", fine_nm),
        _painted(image, "reconstruction", fine_nm),
    ]
    typical, least = _typical(contrast), _least(result)
    frc = split_frc(result)
    return template("sim.html.j2").render(
        title="Structured illumination",
        name=result.image.name or "raw frames",
        created=datetime.now().astimezone(),
        verdict=_judged(result, typical, least),
        passed=[
            (
                "pattern",
                f"{'Given' if result.estimate.found is None else 'Found'}, with a modulation of {_modulations(result)}.",
            ),
            *(
                [("contrast", f"{typical:.1f} times the noise in the brighter half.")]
                if typical >= _GOOD_CONTRAST
                else []
            ),
            *([("coherence", f"The bands agree by {least:.2f} or better.")] if least >= _COHERENT else []),
        ],
        layers=layers,
        words=result.layout.words[:1].upper() + result.layout.words[1:],
        limit=f"{LIMIT:g}",
        heads=("Angle", "Order", "Period (nm)", "Direction", "z", "Modulation", "Phase", "Coherence"),
        orders=_orders(result),
        frames=_frames(result),
        contrast=_map(contrast, "contrast to noise", result.pixel_nm),
        spectra=_spectra(result, wide, image),
        residual=_painted(residual, "residual over its expected noise, frame 1", result.pixel_nm),
        residual_words=(
            "Raw frames minus what the pattern makes of the wide field's bands. Its power is "
            f"{share:.2f} times that of the noise (1 where nothing is left but noise)."
        ),
        checks=_checks(result, image, contrast, frc),
    )


def verdict_of(result: SimResult) -> Verdict:
    """Whether to use a result, with the reasons."""
    return _judged(result, _typical(contrast_to_noise(result)), _least(result))


def _judged(result: SimResult, typical: float, least: float) -> Verdict:
    """Every message is a reason, and so are a low contrast and bands that disagree."""
    reasons = [Reason("warn", text, "reconstruction") for text in result.messages]
    if typical < _GOOD_CONTRAST:
        text = f"The pattern rises only {typical:.1f} times above the noise in the brighter half, expected {_GOOD_CONTRAST:g} or more."
        reasons.append(Reason("warn", text, "contrast of the pattern", "contrast"))
    if least < _COHERENT:
        text = f"A band agrees with the wide field by {least:.2f} only, expected {_COHERENT:g} or more: fine lines may be ghosts."
        reasons.append(Reason("warn", text, "coherence of the bands", "pattern"))
    detail = f"Modulation {_modulations(result)}; contrast to noise {typical:.1f} in the brighter half; bands agree by {least:.2f} or better."
    return verdict("Reconstructed", reasons, detail)


def _typical(contrast: Array) -> float:
    return float(np.median(contrast[contrast > np.percentile(contrast, 50)]))


def _least(result: SimResult) -> float:
    return min(float(c) for c in result.estimate.coherence)


def _modulations(result: SimResult) -> str:
    return ", ".join(f"{order.modulation:.2f}" for order in result.pattern.orders)


def contrast_to_noise(result: SimResult) -> NDArray[np.float32]:
    """How far the modulated light stands above its noise; shape (Y // 2, X // 2)."""
    table = result.pattern.arrangement
    weights = table.separation / result.pattern.brightness
    bands = np.tensordot(weights[1:], result.frames, 1)
    height, width = (side // 2 * 2 for side in bands.shape[1:])
    small = bands[:, :height, :width].reshape(len(bands), height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    variance = result.estimate.noise**2 * np.sum(table.separation[1:] ** 2) / 4
    power = gaussian_filter(np.sum(small**2, axis=0), 1.0)
    return np.asarray(np.sqrt(np.maximum(power / variance - 1, 0)), np.float32)


def residual_of(result: SimResult) -> tuple[NDArray[np.float32], float]:
    """What the separated bands do not explain of the first frame, in units of the noise; and its mean power over the noise's.

    Where there are as many bands as frames, nothing can be left: the power is then 0.
    """
    table = result.pattern.arrangement
    frames = result.frames / result.pattern.brightness[:, None, None].astype(np.float32)
    projector = np.eye(table.frames) - table.mixing @ table.separation
    rest = np.tensordot(projector, frames - frames.mean(axis=(1, 2), keepdims=True), 1)
    expected = float(np.trace(projector))
    scale = max(result.estimate.noise, 1e-12)
    share = float(np.mean(rest**2)) * table.frames / (expected * scale**2) if expected > 1e-6 else 0.0
    return np.asarray(rest[0] / scale, np.float32), share


def split_frc(result: SimResult) -> float | None:
    """Resolution by the correlation of two reconstructions of halved photons, nm; None where they agree nowhere.

    The frames are split before they are reconstructed, by noise of their own strength: both halves then have twice the variance.
    """
    from superlens.metrics import frc_resolution
    from superlens.reconstruct.sim.operator import Reconstruction

    rng = np.random.default_rng(0)
    noise = rng.standard_normal(result.frames.shape).astype(np.float32) * np.float32(result.estimate.noise)
    operator = Reconstruction(result.frames.shape[1:], result.spectrum)
    both = [operator.apply(result.frames + sign * noise) for sign in (1, -1)]
    found = frc_resolution(both[0], both[1], pixel_nm=result.pixel_nm / 2)
    return found if math.isfinite(found) else None


def _first(data: Array) -> NDArray[np.float32]:
    return np.asarray(data if data.ndim == 2 else data[0], np.float32)


def _painted(image: Array, name: str, pixel_nm: float | None) -> Picture:
    return paint(image, Contrast.of(image), alt=name, name=name, pixel_nm=pixel_nm)


def _map(image: Array, name: str, pixel_nm: float) -> Picture:
    return paint(
        image,
        Contrast(0.0, max(16.0, float(np.percentile(image, 99))), unit=""),
        alt=name,
        name=name,
        colours="viridis",
        unit="",
        pixel_nm=2 * pixel_nm,
    )


def _orders(result: SimResult) -> list[tuple[str, ...]]:
    estimate, table = result.estimate, result.pattern.arrangement
    made: list[tuple[str, ...]] = []
    for b, order in enumerate(result.pattern.orders):
        made.append(
            (
                str(table.angles[b] + 1),
                str(table.multiples[b]),
                f"{result.pixel_nm / order.length:.1f}",
                f"{order.angle_deg:.2f}°",
                "given" if math.isnan(order.significance) else f"{order.significance:.1f}",
                f"{order.modulation:.3f} ± {order.modulation_error:.3f}",
                f"{math.degrees(order.phase):.1f}° ± {math.degrees(float(estimate.phase_error[b])):.1f}°",
                f"{float(estimate.coherence[b]):.2f}",
            )
        )
    return made


def _frames(result: SimResult) -> list[tuple[str, str]]:
    table = result.pattern.arrangement
    made = []
    for frame, light in enumerate(result.pattern.brightness):
        steps = [
            f"{math.degrees(s) % 360:.1f}°"
            for s, on in zip(table.steps[frame], table.present[frame], strict=True)
            if on
        ]
        made.append((f"Frame {frame + 1}", f"{light:.3f}, steps {', '.join(steps) or 'none'}"))
    return made


def _spectra(result: SimResult, wide: Array, image: Array) -> list[Picture]:
    made = []
    for name, one, pixels in (("wide field", wide, 1), ("reconstruction", image, 2)):
        power = np.abs(fft.fftshift(fft.fft2((one - one.mean()) * taper(one.shape, 0.1)))) ** 2
        log = np.log10(np.maximum(power, power.max() * 1e-12))
        made.append(
            paint(
                _ringed(log, result, pixels),
                Contrast.of(log, 20.0, 99.95, unit=""),
                alt=f"spectrum of the {name}",
                name=name,
                unit="",
            )
        )
    return made


def _ringed(log: Array, result: SimResult, pixels: int) -> Array:
    """A spectrum with rings at the cutoff of the objective and at that of the reconstruction."""
    fy, fx = (np.fft.fftshift(np.fft.fftfreq(side, 1 / pixels)) for side in log.shape)
    radius = np.hypot(fy[:, None], fx[None, :])
    cutoff = result.spectrum.detection.cutoff
    rings = [cutoff, cutoff + max(order.length for order in result.pattern.orders)]
    width = pixels / min(log.shape) * 0.7
    made, bright = log.copy(), float(np.percentile(log, 99.95))
    for ring in rings:
        made[np.abs(radius - ring) < width] = bright
    return made


def _checks(result: SimResult, image: Array, contrast: Array, frc: float | None) -> list[tuple[str, str]]:
    frames = result.frames
    means = frames.mean(axis=(1, 2), dtype=np.float64)
    intensity = 100 * float(means.max() - means.min()) / float(means.max())
    low, high, mode = _extremes(image)
    ratio = (high - mode) / max(mode - low, 1e-9)
    spectrum = result.spectrum
    weight = (
        f"w {spectrum.regularisation.w:.3f}"
        if spectrum.regularisation.kind == "wiener"
        else spectrum.regularisation.kind
    )
    return [
        ("Total intensity variation (TIV)", f"{intensity:.1f} % between frames (SIMcheck: up to 30 % is good)"),
        ("Modulation contrast to noise (MCN)", f"{float(np.percentile(contrast, 90)):.1f} in the brightest tenth"),
        ("Max-to-min ratio (MMR)", f"{ratio:.1f} (SIMcheck: below 3 inadequate, 3 to 6 low, 6 to 12 good)"),
        ("Resolution by split FRC", "the halves agree nowhere" if frc is None else f"{frc:.0f} nm"),
        ("Regularisation", weight),
        ("Cutoff of the detection", f"{result.estimate.cutoff_ratio:.1%} of 2 NA / wavelength"),
        ("Damping of the transfer function", f"{spectrum.detection.damping:.2f}"),
        ("Noise of a raw frame", f"{result.estimate.noise:.3g} counts"),
    ]


def _extremes(image: Array) -> tuple[float, float, float]:
    """Lowest and highest values, and the commonest."""
    low, high = np.percentile(image, [0.01, 99.99])
    counts, edges = np.histogram(image, bins=256, range=(float(low), float(high)))
    at = int(np.argmax(counts))
    return float(low), float(high), float((edges[at] + edges[at + 1]) / 2)
