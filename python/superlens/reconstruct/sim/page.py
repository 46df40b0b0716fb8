"""The report of a reconstruction: `page_of`, one self-contained HTML page; and the maps and numbers on it."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from superlens.reconstruct.sim.quality import (
    GOOD_CONTRAST,
    LEAST_RATIO,
    angle_colours,
    checks_of,
    contrast_to_noise,
    max_to_min,
    mean_spectrum,
    modulation_colours,
    typical,
)
from superlens.reconstruct.sim.search import LIMIT
from superlens.report.pictures import Contrast, Picture, paint, paint_colours
from superlens.report.templates import template
from superlens.report.verdict import Reason, Verdict, verdict

if TYPE_CHECKING:
    from superlens.reconstruct.sim.reconstruct import SimResult

__all__ = ["page_of", "residual_of", "split_frc", "verdict_of"]

Array = NDArray[Any]

_COHERENT = 0.5


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
    middle, least = typical(contrast), _least(result)
    frc = split_frc(result)
    return template("sim.html.j2").render(
        title="Structured illumination",
        name=result.image.name or "raw frames",
        created=datetime.now().astimezone(),
        verdict=_judged(result, middle, least),
        passed=[
            (
                "pattern",
                f"{'Given' if result.estimate.found is None else 'Found'}, with a modulation of {_modulations(result)}.",
            ),
            *([("contrast", f"{middle:.1f} times the noise in the brighter half.")] if middle >= GOOD_CONTRAST else []),
            *([("coherence", f"The bands agree by {least:.2f} or better.")] if least >= _COHERENT else []),
        ],
        layers=layers,
        words=result.layout.words[:1].upper() + result.layout.words[1:],
        limit=f"{LIMIT:g}",
        heads=("Angle", "Order", "Period (nm)", "Direction", "z", "Modulation", "Phase", "Coherence"),
        orders=_orders(result),
        frames=_frames(result),
        contrast=_map(contrast, "contrast to noise", result.pixel_nm),
        coloured=_coloured(image, contrast, fine_nm),
        motion=_angles(result),
        sets=f"{result.series.words[:1].upper()}{result.series.words[1:]}." if result.layout.sets > 1 else "",
        spectra=_spectra(result, wide, image),
        residual=_painted(residual, "residual over its expected noise, frame 1", result.pixel_nm),
        residual_words=(
            "Raw frames minus what the pattern makes of the wide field's bands. Its power is "
            f"{share:.2f} times that of the noise (1 where nothing is left but noise)."
        ),
        checks=checks_of(result, image, contrast, frc),
        numbers=_numbers(result),
    )


def verdict_of(result: SimResult) -> Verdict:
    """Whether to use a result, with the reasons."""
    return _judged(result, typical(contrast_to_noise(result)), _least(result))


def _judged(result: SimResult, middle: float, least: float) -> Verdict:
    """Every message is a reason, and so are a low contrast, bands that disagree and deep ripples."""
    reasons = [Reason("warn", text, "reconstruction") for text in result.messages]
    if middle < GOOD_CONTRAST:
        text = f"The pattern rises only {middle:.1f} times above the noise in the brighter half, expected {GOOD_CONTRAST:g} or more."
        reasons.append(Reason("warn", text, "contrast of the pattern", "contrast"))
    if least < _COHERENT:
        text = f"A band agrees with the wide field by {least:.2f} only, expected {_COHERENT:g} or more: fine lines may be ghosts."
        reasons.append(Reason("warn", text, "coherence of the bands", "pattern"))
    ratio = max_to_min(_first(result.image.data))
    if ratio < LEAST_RATIO:
        text = f"The darkest ripples reach 1/{ratio:.1f} of the brightest detail, expected 1/{LEAST_RATIO:g} or less."
        reasons.append(Reason("warn", text, "max-to-min ratio", "checks"))
    detail = f"Modulation {_modulations(result)}; contrast to noise {middle:.1f} in the brighter half; bands agree by {least:.2f} or better."
    return verdict("Reconstructed", reasons, detail)


def _least(result: SimResult) -> float:
    return min(float(c) for c in result.estimate.coherence)


def _modulations(result: SimResult) -> str:
    return ", ".join(f"{order.modulation:.2f}" for order in result.pattern.orders)


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
    shown = (("raw frames", result.frames, 1), ("wide field", wide[None], 1), ("reconstruction", image[None], 2))
    for name, planes, pixels in shown:
        log = mean_spectrum(planes)
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


def _coloured(image: Array, contrast: Array, pixel_nm: float | None) -> Picture:
    colours, bar = modulation_colours(image, contrast)
    name = "reconstruction, coloured by the contrast of the pattern over the noise"
    return paint_colours(colours, alt=name, name=name, bar=(bar, "0", "16 or more", ""), pixel_nm=pixel_nm)


def _angles(result: SimResult) -> tuple[Picture, str] | None:
    """The angles in a colour each, and the names of the colours."""
    made = angle_colours(result)
    if made is None:
        return None
    colours, names = made
    words = ", ".join(f"angle {i} {name}" for i, name in enumerate(names, 1))
    return paint_colours(colours, alt="mean of each angle", name=words, pixel_nm=result.pixel_nm), words


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


def _numbers(result: SimResult) -> list[tuple[str, str]]:
    """What the reconstruction was made with."""
    spectrum = result.spectrum
    wiener = spectrum.regularisation.kind == "wiener"
    weight = f"w {spectrum.regularisation.w:.3f}" if wiener else spectrum.regularisation.kind
    return [
        ("Regularisation", weight),
        ("Cutoff of the detection", f"{result.estimate.cutoff_ratio:.1%} of 2 NA / wavelength"),
        ("Damping of the transfer function", f"{spectrum.detection.damping:.2f}"),
        ("Noise of a raw frame", f"{result.series.noise:.3g} counts"),
    ]
