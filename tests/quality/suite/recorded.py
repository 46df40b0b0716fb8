"""Cells on recorded pairs: an image, and what a better or a brighter recording of the same field shows.

Every method gets the same image and the same PSF. Scores are PSNR after one gain and one offset by least squares, with the maximum of the
reference as peak, over the whole field. Richardson-Lucy begins flat, with mirrored edges and the offset taken off, and is the best of its
first iterates by this very number: an upper bound that no user reaches. *With haze* a smooth background is part of its model, the best of
three windows by the same number.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from skimage.restoration import denoise_nl_means

import superlens as sl
from superlens.enhancing import enhance
from superlens.methods.zsdeconv.apply import apply, observed
from superlens.methods.zsdeconv.learn import learn
from superlens.methods.zsdeconv.prepared import prepare
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import linear_fit, psnr_fitted
from superlens.observing.observation import observe
from superlens.optics import PSF
from superlens.predicting.repeats import finer_than_psf
from superlens.progress import silent
from superlens.reconstruct import blind_stop, richardson_lucy_iterates, smooth_background

from .scores import upsampled
from .store import Cell, Outcome, data_folder

__all__ = ["DENOISING", "REPEATS", "SHARPENING", "Sharpening", "cells", "read_pair_image"]

Array = NDArray[Any]

_ITERATES = 300
_CROP = 128  # pixels
_TOLD_PX = 4.0  # FWHM that is stated for crops
_WINDOWS = (12, 24, 48)
_RINGS = 60  # of frequency up to half a cycle per pixel, each with a factor of its own
_HAZY = ("hilo-neurons", "hexsim-mitochondria")  # pairs of which some light surely is out of focus
_SOFT, _WIDE = "sted-Micro_1", 1.3  # a pair that fine-tuning softens, run again with a PSF stated so many times as wide
_PIXEL_NM = 100.0  # where a file states none; only the ratio to the PSF counts


@dataclass(frozen=True, slots=True)
class Sharpening:
    """A field and its sharper reference: files, what to take of the image, the grid of the result, and the PSF."""

    image: str
    reference: str
    scale: int
    fwhm_px: float
    every: int = 1


SHARPENING = {
    "dl-sim-HE": Sharpening("dl-sim/HE_frame15_average.tif", "dl-sim/HER_reconstruction.tif", 2, 262 / 60, every=2),
    "dl-sim-LE": Sharpening("dl-sim/LE_frame15_average.tif", "dl-sim/HER_reconstruction.tif", 2, 262 / 60, every=2),
    **{
        f"sted-{name}": Sharpening(
            f"real-pairs/desm-sted/{name}_Confocal.tif", f"real-pairs/desm-sted/{name}_STED.tif", 1, 10.5
        )
        for name in ("Micro_1", "Micro_2", "Mito_0", "Mito_1", "Mito_2")
    },
    "hilo-neurons": Sharpening(
        "real-pairs/hilo-neurons/uniform_image.tif", "real-pairs/hilo-neurons/HiLo_ImageJ_result_image.tif", 1, 1.2
    ),
    "hexsim-mitochondria": Sharpening(
        "real-pairs/hexsim-mitochondria/wf_mean.tif", "real-pairs/hexsim-mitochondria/sectioned_derived.tif", 1, 2.34
    ),
}

DENOISING = {
    **{f"fmd-{n}": (f"fmd/{n}_1_raw.png", f"fmd/{n}_1_gt.png") for n in (
        "Confocal_BPAE_B", "Confocal_BPAE_G", "Confocal_BPAE_R", "Confocal_FISH", "Confocal_MICE", "WideField_BPAE_B",
    )},
    "fmd-WideField_BPAE_G": (
        "real-pairs/fmd-widefield/WideField_BPAE_G_1_raw.png", "real-pairs/fmd-widefield/WideField_BPAE_G_1_gt.png",
    ),
    **{f"w2s-{n}": (f"real-pairs/w2s-noise/{n}_1frame.tif", f"real-pairs/w2s-noise/{n}_400frames.tif") for n in (
        "001_0", "001_1", "001_2", "024_0", "045_1", "070_2",
    )},
    **{f"gigadb-{n}": (f"real-pairs/gigadb-wf/{n}_low.tif", f"real-pairs/gigadb-wf/{n}_high.tif") for n in (
        "actin-20x-noise1", "actin-60x-noise1", "membrane",
    )},
}  # fmt: skip

REPEATS = {
    "fmd-Confocal_BPAE_G": ("fmd/Confocal_BPAE_G_{}_raw.png", (1, 2), 4.0),
    "fmd-Confocal_FISH": ("fmd/Confocal_FISH_{}_raw.png", (1, 2), 4.0),
    "fmd-WideField_BPAE_B": ("fmd/WideField_BPAE_B_{}_raw.png", (1, 3), 4.0),
    "fmd-WideField_BPAE_G": ("real-pairs/fmd-widefield/WideField_BPAE_G_{}_raw.png", (1, 2), 4.0),
}


def cells() -> list[Cell]:
    """All cells of the images that are at hand."""
    folder = data_folder()
    if folder is None:
        return []
    return [
        *(
            Cell(f"sr/{name}/{method}", _sharpened, {"name": name, "method": method}, method in _OURS)
            for name, pair in SHARPENING.items()
            if (folder / pair.image).exists()
            for method in ("raw", "rl", "rl-haze", "rl-blind", "rl-haze-blind", "rl-filtered", *_OURS)
        ),
        *(
            Cell(f"sr/{_SOFT}/{method}", _sharpened, {"name": _SOFT, "method": method}, True)
            for method in ("start-wide", "fast-wide")
            if (folder / SHARPENING[_SOFT].image).exists()
        ),
        *(
            Cell(f"sr/{name}/fast-keep", _sharpened, {"name": name, "method": "fast-keep"}, True)
            for name in _HAZY
            if (folder / SHARPENING[name].image).exists()
        ),
        *(
            Cell(f"denoise/{name}/{method}", _denoised, {"name": name, "method": method}, method in ("start", "fast"))
            for name, (image, _) in DENOISING.items()
            if (folder / image).exists()
            for method in ("raw", "gaussian", "nlm", "start", "fast")
        ),
        *(
            Cell(
                f"crop/{name}/{method}",
                _denoised,
                {"name": name, "method": method, "side": _CROP},
                method != "gaussian",
            )
            for name, (image, _) in DENOISING.items()
            if (folder / image).exists()
            for method in ("gaussian", "start", "fast", "fast-told")
        ),
        *(
            Cell(f"repeat/{name}", _repeated, {"name": name}, True)
            for name, (image, frames, _) in REPEATS.items()
            if (folder / image.format(frames[0])).exists()
        ),
    ]


# -- sharper references ----------------------------------------------------------------------------------------------


def _sharpened(name: str, method: str) -> Outcome:
    pair = SHARPENING[name]
    image, reference = read_pair_image(pair), np.asarray(_read(pair.reference).data, np.float64)
    psf = PSF.gaussian(pair.fwhm_px * _PIXEL_NM, _PIXEL_NM / pair.scale)
    began = time.perf_counter()
    numbers, found = _SHARPEN[method](image, psf, pair.scale, reference)
    seconds = time.perf_counter() - began
    numbers |= {"psnr_db": psnr_fitted(reference, found), "fwhm_px": pair.fwhm_px, "seconds": seconds}
    return Outcome(numbers, {"image": linear_fit(found, reference), "reference": reference})


def _raw(image: sl.Image, psf: PSF, scale: int, reference: Array) -> tuple[dict[str, Any], Array]:
    data = np.asarray(image.data, np.float64)
    return {}, upsampled(data) if scale == 2 else data


def _lucy(image: sl.Image, psf: PSF, scale: int, reference: Array) -> tuple[dict[str, Any], Array]:
    (seen,) = observe([image])
    return _oracle(seen.counts[0], psf, scale, reference, 0.0)


def _lucy_with_haze(image: sl.Image, psf: PSF, scale: int, reference: Array) -> tuple[dict[str, Any], Array]:
    (seen,) = observe([image])
    counts = seen.counts[0]
    tried = []
    for window in _WINDOWS:
        background = smooth_background(counts, window)
        numbers, found = _oracle(counts, psf, scale, reference, background)
        share = float(background.sum() / counts.sum())
        tried.append((psnr_fitted(reference, found), {**numbers, "window": window, "haze": share}, found))
    _, numbers, found = max(tried, key=lambda one: one[0])
    return numbers, found


def _oracle(
    counts: Array, psf: PSF, scale: int, reference: Array, background: float | Array
) -> tuple[dict[str, Any], Array]:
    best, least, found = 0, -math.inf, counts
    for number, estimate in enumerate(
        richardson_lucy_iterates(counts, psf.data, scale=scale, background=background), 1
    ):
        if number <= 30 or number % 10 == 0:
            score = psnr_fitted(reference, estimate)
            if score > least:
                best, least, found = number, score, estimate
        if number >= min(_ITERATES, max(60, 3 * best)):  # the score has one maximum
            break
    return {"iteration": best}, found


def _lucy_blind(
    image: sl.Image, psf: PSF, scale: int, reference: Array, *, window: float | None = None
) -> tuple[dict[str, Any], Array]:
    (seen,) = observe([image])
    counts = seen.counts[0]
    background = 0.0 if window is None else smooth_background(counts, window)
    stop = blind_stop(counts, psf.data, scale=scale, background=background)
    iterates = richardson_lucy_iterates(counts, psf.data, scale=scale, background=background)
    return {"iteration": stop}, next(itertools.islice(iterates, stop - 1, None))


def _filtered(method: str, image: sl.Image, psf: PSF, scale: int, reference: Array) -> tuple[dict[str, Any], Array]:
    """Of another method, through the isotropic linear filter that brings it nearest to the reference: what any sharper image could gain."""
    numbers, found = _SHARPEN[method](image, psf, scale, reference)
    had, wanted = (fft.dctn(one - one.mean(), norm="ortho") for one in (found, reference))
    ring = (_RINGS * np.hypot(*np.ix_(*(np.arange(n) / n for n in found.shape)))).astype(int)
    shared, own = (np.bincount(ring.ravel(), (one * had).ravel()) for one in (wanted, had))
    factor = shared / np.maximum(own, np.finfo(float).tiny)
    return numbers, fft.idctn(factor[ring] * had, norm="ortho")


def _ours(image: sl.Image, psf: PSF, scale: int, reference: Array, **settings: Any) -> tuple[dict[str, Any], Array]:
    result = enhance(image, psf, config=ZSDeconvConfig.of("fast", scale=scale, **settings))
    if result.image is None:
        raise ValueError("expected a super-resolved image")
    haze = result.observation.haze
    numbers = {
        "blend": result.model.config.provenance["blend"],
        "haze": 0.0 if haze is None else float(haze.sum() / result.observation.counts.sum()),
        "gain": result.observation.camera.gain,
    }
    return numbers, np.asarray(result.image.data, np.float64)


def _ours_wide(
    image: sl.Image, psf: PSF, scale: int, reference: Array, **settings: Any
) -> tuple[dict[str, Any], Array]:
    """With a PSF that is stated wider."""
    return _ours(image, PSF.gaussian(_WIDE * psf.fwhm_nm, psf.pixel_nm), scale, reference, **settings)


_OURS = ("start", "start-softer", "start-separate", "start-filtered", "fast", "fast-separate")
_SHARPEN: dict[str, Callable[..., tuple[dict[str, Any], Array]]] = {
    "raw": _raw,
    "rl": _lucy,
    "rl-haze": _lucy_with_haze,
    "rl-blind": _lucy_blind,
    "rl-haze-blind": partial(_lucy_blind, window=_WINDOWS[1]),
    "start": partial(_ours, steps=0),
    "start-softer": partial(_ours, steps=0, sharpen=1.5),
    "start-separate": partial(_ours, steps=0, haze="separate"),
    "fast": _ours,
    "fast-separate": partial(_ours, haze="separate"),
    "fast-keep": partial(_ours, haze="keep"),
    "start-wide": partial(_ours_wide, steps=0),
    "fast-wide": _ours_wide,
    "rl-filtered": partial(_filtered, "rl"),
    "start-filtered": partial(_filtered, "start"),
}


# -- brighter references ---------------------------------------------------------------------------------------------


def _denoised(name: str, method: str, side: int | None = None) -> Outcome:
    """Of the whole field, or of its middle alone."""
    noisy, clean = (_middle(_read(path), side) for path in DENOISING[name])
    raw, truth = (np.asarray(one.data, np.float64) for one in (noisy, clean))
    numbers: dict[str, Any] = {}
    if method == "raw":
        found = raw
    elif method == "gaussian":
        widths = np.arange(0.4, 6.01, 0.2)
        found = max((ndimage.gaussian_filter(raw, w) for w in widths), key=lambda one: psnr_fitted(truth, one))
    elif method == "nlm":
        found = max(_means(raw, truth), key=lambda one: psnr_fitted(truth, one))
    else:
        told = method == "fast-told"
        result = enhance(
            sl.Image(noisy.data, noisy.axes, pixel_nm=_PIXEL_NM) if told else noisy,
            PSF.gaussian(_TOLD_PX * _PIXEL_NM, _PIXEL_NM / 2) if told else None,
            config=ZSDeconvConfig.of("fast", denoise_only=not told, **({"steps": 0} if method == "start" else {})),
        )
        found = np.asarray(result.denoised.data, np.float64)
        numbers = {
            "blend": result.model.config.provenance["blend"],
            "neighbour_correlation": float(np.mean(result.observation.noise.neighbour_correlation)),
        }
    numbers |= {"psnr_db": psnr_fitted(truth, found)}
    return Outcome(numbers, {"image": linear_fit(found, truth), "reference": truth})


def _middle(image: sl.Image, side: int | None) -> sl.Image:
    if side is None:
        return image
    top, left = ((n - side) // 2 for n in image.data.shape[-2:])
    return image.crop(y=slice(top, top + side), x=slice(left, left + side))


def _means(raw: Array, truth: Array) -> Iterator[Array]:
    """Non-local means on bins of 1, 2 and 4 pixels, with the deviation that the truth gives."""
    for side in (1, 2, 4):
        height, width = (n // side * side for n in raw.shape)
        binned = raw[:height, :width].reshape(height // side, side, width // side, side).mean((1, 3))
        expected = truth[:height, :width].reshape(height // side, side, width // side, side).mean((1, 3))
        deviation = float(np.std(binned - linear_fit(expected, binned)))
        done = denoise_nl_means(
            binned, patch_size=5, patch_distance=8, h=0.9 * deviation, sigma=deviation, fast_mode=True
        )
        fine = ndimage.zoom(done, side, order=3 if side > 1 else 0, mode="nearest", grid_mode=True)
        yield np.pad(fine, [(0, n - m) for n, m in zip(raw.shape, fine.shape, strict=True)], mode="edge")


# -- the same field again --------------------------------------------------------------------------------------------


def _repeated(name: str) -> Outcome:
    """One model learned from a frame and applied to it and to another of the same field: how far the two differ, in stated errors."""
    pattern, frames, fwhm_px = REPEATS[name]
    images = [
        sl.Image(np.asarray(_read(pattern.format(n)).data), "YX", pixel_nm=_PIXEL_NM, name=f"{name} {n}")
        for n in frames
    ]
    psf = PSF.gaussian(fwhm_px * _PIXEL_NM, _PIXEL_NM / 2)
    learned = learn(prepare(images[:1], psf, ZSDeconvConfig.of("fast")), None, silent)
    first, other = (apply(learned, observed(learned.model, image), silent) for image in images)
    if first.uncertainty is None or other.uncertainty is None or first.image is None or other.image is None:
        raise ValueError("expected stated errors")
    one, two = (np.asarray(c.image.data, np.float64) for c in (first, other))  # type: ignore[union-attr]
    errors = [np.asarray(c.uncertainty.data, np.float64) for c in (first, other)]  # type: ignore[union-attr]
    gain = float(np.sum(one * two) / np.sum(two * two))
    apart = np.abs(one - gain * two) / np.hypot(errors[0], gain * errors[1])
    numbers = {
        "beyond_2": float(np.mean(apart > 2)),
        "beyond_3": float(np.mean(apart > 3)),
        "rms": float(np.sqrt(np.mean(apart**2))),
        "median_sigma": float(np.median(errors[0])),
        "span": float(np.ptp(np.percentile(one, (1, 99.7)))),
        "gain": gain,
        "unrepeated_halves": learned.model.config.provenance["unrepeated"],
        "unrepeated": _unrepeated(one, gain * two, 2 * fwhm_px),
    }
    return Outcome(numbers, {"first": one, "second": gain * two, "uncertainty": errors[0]})


def _unrepeated(one: Array, two: Array, fwhm_px: float) -> float:
    """Share of the detail of two frames, in squares, that they do not have in common."""
    details = [finer_than_psf(image, fwhm_px) for image in (one, two)]
    return float(np.mean((details[0] - details[1]) ** 2) / np.sum([np.mean(detail**2) for detail in details]))


def read_pair_image(pair: Sharpening) -> sl.Image:
    """The image of a pair, at the sampling that is worked on."""
    data = np.asarray(_read(pair.image).data)[:: pair.every, :: pair.every]
    return sl.Image(np.ascontiguousarray(data), "YX", pixel_nm=_PIXEL_NM, name=Path(pair.image).stem)


def _read(path: str) -> sl.Image:
    folder = data_folder()
    if folder is None:
        raise FileNotFoundError("no recorded images; set SUPERLENS_DATA to their folder")
    return sl.read(Path(folder) / path)
