"""Judging the numbers: the range that physics allows each, a verdict, and a sentence for a reader who meets it for the first time.

Where the ranges come from:

* **Flux.** Blur and binning conserve light, so the mean of the output is that of the input: 2 % for the edges, through which light
  comes and goes, and three standard errors of the input's own mean. Twice that is a matter for a closer look. Through the ends of a stack goes
  what the PSF throws beyond them and the narrower one does not; that is added.
* **Residual spread.** An ideal result leaves the noise and nothing else: 1 sigma. Taking sigma from a 5 x 5 mean moves it by up to
  a tenth at sharp structure. Below 0.85 a quarter of the noise's variance is in the result; above 1.1 a fifth of it has been added
  by what the result gets wrong.
* **Residual structure.** Noise of separate pixels has no correlation. A score of 0.1 is 1 % of the variance in all 40 lags together.
  Where the camera's own noise is correlated, that much correlation is allowed. Only neighbours that are alike count: a result that follows the
  noise makes them opposite, which is no structure, and shows as a small spread.
* **Bright images.** The brighter an image, the smaller an error shows beside the noise. What is left over below a hundredth of the image's range
  is not held against a result, whatever its share of the residual.
* **Pixels across the PSF.** Two sample a Gaussian of that width up to where it passes 3 % of a line's contrast.
* **RSP.** Even the perfect image correlates with noisy data by no more than the root of the share of signal in their variance.
* **Prior.** Of detail that hides below the noise no measurement says whether it is there; on simulated scenes 8 % of it was not, and 5 % of
  other claimed detail. Up to 2 % of the pixels is what chance marks; a tenth is a picture of the training set.
* **Uncertainty.** Half of the pixels with signal known to 30 % or better is what a picture needs to be measured on.
* **Beyond the response.** Beyond the narrowed PSF's cutoff the response of volumes passes nothing, and that of images what its core does. No
  specimen is rougher than points, so what is there cannot be more than the core passes at the roughness of the octave below. The rest is noise
  or an artefact of the grid; half a percent of the power is an amplitude of 7 % of the contrast.
* **Blur compared with the PSF.** Where the spectrum decides: of 486 simulated images of every kind, of 5 to 2000 photons, 3 did not fit their own PSF.
  Where the image does not decide, any PSF may fit. That speaks neither against the PSF nor for it: in a dim image no other check notices a PSF of
  half the right width, so the verdict is a closer look.
* **Not computed.** A check that could not be computed supports no sharpened result: an image that is too dim for it needs a closer look.
* **Finest detail.** Shown and not judged. Decorrelation analysis looks at phases: without a noise floor, as after a network, it counts
  detail of any faintness, so that its number is neither a resolution nor a fault. A correlation of two outputs would say as little,
  since both share what the network has learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from superlens.report import Metric
from superlens.report.data import Grade
from superlens.report.words import number

__all__ = ["checks"]

Range = tuple[float, float]

_FINE = 0.05  # of the range of the image: a residual below it is small compared with the structure
_UNSEEN = 0.01  # of the range of the image: what is left over below it is not seen beside the structure


def checks(numbers: Mapping[str, float], *, sharpened: bool) -> tuple[Metric, ...]:
    """Judge the numbers of `superlens.evidence.measure.measure`.

    Parameters
    ----------
    numbers : mapping
    sharpened : bool
        Whether there is a super-resolved image; what only concerns such an image is left out without one.

    Returns
    -------
    tuple of Metric
        The checks that decide first, then the numbers that are only shown. The camera model and the independence of its noise are
        judged by the report from the photon-transfer data.
    """
    missing: Grade = "warn" if sharpened else "ok"
    always = (_flux(numbers, missing), _spread(numbers), _white(numbers), _rsp(numbers, missing))
    judged = (_sampling, _blur, _prior, _uncertainty, _beyond)
    sharp = tuple(judge(numbers) for judge in judged) if sharpened else ()
    return (*always, *sharp, *_shown(numbers, sharpened))


def _flux(numbers: Mapping[str, float], missing: Grade) -> Metric:
    value = numbers["flux_ratio"]
    tolerance = max(0.02, numbers["flux_tolerance"]) if math.isfinite(numbers["flux_tolerance"]) else 0.02
    ok, near = (1 - tolerance, 1 + tolerance), (1 - 2 * tolerance, 1 + 2 * tolerance)
    return Metric(
        "flux ratio",
        value,
        "",
        f"{number(ok[0], 3)} to {number(ok[1], 3)}",
        _grade(value, ok, near, missing),
        "Mean of the result over mean of the input. At 1 no light was added or lost, and intensities can be compared."
        + _about_ends(numbers)
        if math.isfinite(value)
        else "The image holds less light than the uncertainty of its own mean, so the ratio means nothing.",
        section="flux",
    )


def _about_ends(numbers: Mapping[str, float]) -> str:
    through = numbers["flux_through_ends"]
    if not through > 0.005:
        return ""
    return (
        f" In a stack up to {100 * through:.0f} % may be gained or lost: the recorded blur throws that much more light beyond the first and last slice "
        "than the narrower blur of the result."
    )


def _spread(numbers: Mapping[str, float]) -> Metric:
    value = numbers["residual_std_in_sigma"]
    meaning = "What the result leaves unexplained, in units of the camera noise. Noise alone gives 1"
    grade = _grade(value, (0.85, 1.1), (0.7, 1.35))
    if value < 0.85:
        meaning += ". Here noise is left in the result, or the noise model is too high"
    elif value > 1.1:
        meaning += ". Here the result misses part of the data, or the noise model is too low"
        if numbers["residual_over_range"] < _FINE:
            meaning += (
                f". Compared with the image it is small: {100 * numbers['residual_over_range']:.2g} % of its range, with a noise of "
                f"{100 * numbers['noise_over_range']:.2g} %. In so bright an image the residual shows what the PSF and the network leave out"
            )
        if math.sqrt(value**2 - 1) * numbers["noise_over_range"] < _UNSEEN:
            grade = "ok"
    return Metric("residual spread", value, "σ", "0.85 to 1.1", grade, f"{meaning}.", section="residual")


def _white(numbers: Mapping[str, float]) -> Metric:
    value, limit = numbers["residual_structure"], numbers["residual_whiteness_limit"]
    meaning = "Neighbours in the residual that are alike, up to 4 pixels apart. Noise gives 0; structure that the result lacks gives more."
    grade = _grade(value, (0.0, limit), (0.0, 3 * limit))
    share = numbers["structure_over_range"]
    if limit > 0.2:
        meaning += " The limit is raised because the noise of this image is correlated, or the image is small."
    if grade not in ("ok", "info") and share < _UNSEEN:
        grade = "ok"
        meaning += f" Here it is {100 * share:.2g} % of the range of the image, which no eye sees."
    return Metric("residual structure", value, "", f"below {number(limit, 2)}", grade, meaning, section="residual")


def _rsp(numbers: Mapping[str, float], missing: Grade) -> Metric:
    ceiling = numbers["rsp_ceiling"]
    # With a ceiling below 0.3 nine tenths of the variance are noise: what correlates is chance.
    value = numbers["rsp"] if ceiling >= 0.3 else math.nan
    ok, near = (ceiling - 0.03, 1.0), (ceiling - 0.1, 1.0)
    return Metric(
        "agreement with the data (RSP)",
        value,
        "",
        f"above {number(ok[0], 3)}" if ceiling >= 0.3 else "",
        _grade(value, ok, near, missing),
        f"Correlation of the result, blurred again, with the input. The noise in the input allows about {number(ceiling, 3)} at most."
        if ceiling >= 0.3
        else "The input is nearly all noise, so no result can correlate with it.",
        section="residual",
    )


def _sampling(numbers: Mapping[str, float]) -> Metric:
    value = numbers["pixels_across_psf"]
    return Metric(
        "camera pixels across the PSF",
        value,
        "",
        "2 or more",
        _grade(value, (2.0, math.inf), (0.0, math.inf), "ok"),
        "Width of the PSF over the camera pixel. With fewer than 2 the image is undersampled: detail near the resolution limit is lost, or appears "
        "where it is not. Check the pixel size.",
        section="psf",
    )


def _blur(numbers: Mapping[str, float]) -> Metric:
    value, least, most = (numbers[f"blur_over_psf{end}"] for end in ("", "_least", "_most"))
    meaning = "Width of the blur in the image over the width of the PSF, at least. It is measured from the power spectrum of the image."
    if value > _BLUR[1]:
        meaning += " The image holds less detail than these optics pass: check NA, wavelength, pixel size and focus."
    elif value < _BLUR[0]:
        meaning += " The image holds more detail than these optics pass: check NA, wavelength and pixel size."
    elif math.isfinite(most) and not math.isfinite(value):
        how = "as well" if least <= 1 <= most else "better"
        meaning = (
            f"The image is too dim, or has too little fine detail, for this check: PSFs {least:.2g} to {most:.2g} times as wide fit it {how}. "
            "Make sure yourself that NA, wavelength and pixel size are right."
        )
    elif not math.isfinite(value):
        meaning = "The image is too small, too even or sampled too coarsely to show the width of its PSF."
    grade = _grade(value, _BLUR, (0.8, 1.25), "warn")
    return Metric("blur compared with the PSF", value, "", "0.89 to 1.12", grade, meaning, section="psf")


_BLUR = (1 / 1.12, 1.12)


def _prior(numbers: Mapping[str, float]) -> Metric:
    share = round(100 * numbers["prior_only_share"], 2)
    return Metric(
        "detail from pretraining alone",
        share,
        "%",
        "below 2 %",
        _grade(share, (0.0, 2.0), (0.0, 10.0)),
        "Share of pixels whose added detail would be hidden by the noise of the input. No measurement says whether it is there.",
        section="uncertainty",
    )


def _uncertainty(numbers: Mapping[str, float]) -> Metric:
    share = round(100 * numbers["median_relative_uncertainty"], 1)
    return Metric(
        "median uncertainty",
        share,
        "%",
        "below 30 %",
        _grade(share, (0.0, 30.0), (0.0, math.inf)),
        "Uncertainty over signal, median over the pixels with signal: how exactly a single pixel can be read.",
        section="uncertainty",
    )


def _beyond(numbers: Mapping[str, float]) -> Metric:
    share = 100 * numbers["power_beyond_response"]
    return Metric(
        "detail finer than stated",
        round(share, 3),
        "%",
        "below 0.5 %",
        _grade(share, (0.0, 0.5), (0.0, 5.0)),
        "Share of the contrast that is finer than the stated resolution allows: noise, or an artefact of the pixel grid.",
        section="spectra",
    )


def _shown(numbers: Mapping[str, float], sharpened: bool) -> tuple[Metric, ...]:
    """Numbers without a right or wrong."""
    rows = [
        (
            "finest detail in the input",
            "decorrelation_resolution_input_nm",
            "nm",
            "Period of the finest detail that rises above the noise of the camera image (decorrelation analysis).",
        )
    ]
    if sharpened:
        rows += [
            (
                "finest detail in the result",
                "decorrelation_resolution_sr_nm",
                "nm",
                "The same for the result. A network draws detail that it has learned, and leaves no noise that could hide it. "
                "This is the finest detail present, however faint. It is not a resolution.",
            ),
            ("width of the PSF", "psf_fwhm_nm", "nm", "Full width at half maximum of the blur in the data."),
            (
                "width of a thin line in the result (FWHM)",
                "line_fwhm_nm",
                "nm",
                "The resolution to quote. A profile across a thin line in the result has this width where there is enough light, and is wider where "
                "there is not.",
            ),
            (
                "detail that does not repeat",
                "unrepeated_share",
                "",
                "Share of the detail finer than the PSF, in squares, that differs between two results from independent halves of the light, scaled to all of "
                "it. Another recording of the same field would draw this part elsewhere. Recorded frames differed by 1.3 to 1.6 times as much.",
            ),
            (
                "the data carry the image to",
                "carried_per_um",
                "cycles/µm",
                "The optics or the camera pixels pass nothing beyond this frequency. Finer detail in the result is inferred, not measured.",
            ),
        ]
    rows += [
        (
            "fine-tuning to this image",
            "blend",
            "",
            "How far the weights moved from the pretraining (0) to the end of the training on this image (1). Held-out regions decide.",
        ),
        (
            "held-out loss",
            "held_out_loss",
            "",
            "Loss on regions that were not trained on, in normalised units. Use it to compare runs on this image.",
        ),
    ]
    return tuple(
        Metric(name, numbers[key], unit, "", "info", meaning)
        for name, key, unit, meaning in rows
        if math.isfinite(numbers[key])
    )


def _grade(value: float, ok: Range, near: Range, missing: Grade = "ok") -> Grade:
    """Within the first range ok, within the second a closer look, else bad; ``missing`` for a number that could not be computed."""
    if not math.isfinite(value):
        return missing
    if ok[0] <= value <= ok[1]:
        return "ok"
    return "warn" if near[0] <= value <= near[1] else "bad"
