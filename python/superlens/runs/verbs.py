"""What can be asked for, in one table that every door walks over; a new verb is a function in this room and a line in `VERBS`.

What a verb may be told is asked of the methods anew each time, since methods may be added: their parameters are merged, and one that
belongs to another method than the chosen one is refused.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from superlens.errors import SuperlensError
from superlens.methods import method as method_named
from superlens.methods import methods, names
from superlens.parameters import Parameter, merged
from superlens.runs.choices import CORRECTIONS, HOST, IMAGE, LEARNING, OPTICS, STACK, optics_of_channels
from superlens.runs.verb import Request, Verb

if TYPE_CHECKING:
    from superlens.method import Method

__all__ = ["VERBS"]


def _out(help_text: str) -> Parameter:
    return Parameter("out", "folder", help_text, "Output folder", required=True, advanced=True)


_CHANNEL = Parameter(
    "channel", "int", "A channel to process, from 0 (repeatable; default: all). Each needs its own `psf` or `wavelength_nm`.",
    least=0, several=True,
)  # fmt: skip
_RESUME = Parameter("resume", "flag", "Continue a run that was stopped or killed, from its checkpoint.")
_STRICT = Parameter("strict", "flag", "End with exit code 3 when a verdict is 'Do not use'.")
_SAVES = (
    Parameter("save_model", "save", "Save the trained model in this file, for later predictions.", "Save the trained model as", advanced=True),
    Parameter("save_report", "save", "Write the report (HTML) to this file.", "Save the report as", advanced=True),
)  # fmt: skip


def _of_verb(verb: str) -> list[Method]:
    """The methods that a verb may be asked of."""
    return [one for one in methods() if verb != "localize" or one.takes == "movie"]


def _method(verb: str) -> Parameter:
    able = _of_verb(verb)
    usual = next(one for one in able if one.takes == ("movie" if verb == "localize" else "images"))
    told = "; ".join(f"{one.name}: {one.summary[0].lower()}{one.summary[1:].rstrip('.')}" for one in able)
    return Parameter(
        "method", "choice", f"{told}.", "Method", default=usual.name, choices=tuple(one.name for one in able), advanced=verb != "train"
    )  # fmt: skip


def _switches(verb: str) -> tuple[Parameter, ...]:
    """Flags that choose a method."""
    return tuple(
        Parameter(one.switch, "flag", f"{one.summary.rstrip('.')}: `method` {one.name}.", one.switch_label)
        for one in _of_verb(verb)
        if one.switch
    )


def _preset(verb: str) -> Parameter:
    known = tuple(dict.fromkeys(preset for one in _of_verb(verb) for preset in one.settings.presets()))
    told = (
        "fast: fine-tunes the pretrained model, minutes; instant: takes it as it is, seconds; standard: fine-tunes longer; "
        "paper: the original recipe from scratch, hours."
    )
    return Parameter("preset", "choice", told, "Preset", default=known[0], choices=known)


def _of_methods(verb: str) -> tuple[Parameter, ...]:
    return merged(one.parameters(verb) for one in _of_verb(verb))


def _learning(verb: str) -> tuple[Parameter, ...]:
    """Optics, images and settings, the most important first."""
    optics = optics_of_channels()
    return (
        *optics[:2],
        IMAGE[0],
        STACK[0],
        _preset(verb),
        _method(verb),
        *_switches(verb),
        *optics[2:],
        *IMAGE[1:],
        STACK[1],
        *CORRECTIONS,
        LEARNING[0],
        *_of_methods(verb),
        LEARNING[1],
        *HOST,
        _CHANNEL,
        _RESUME,
    )


def _enhance() -> tuple[Parameter, ...]:
    return (_out("Folder for the results."), *_learning("enhance"), *_SAVES, _STRICT)


def _train() -> tuple[Parameter, ...]:
    model = Parameter("model", "save", "File for the trained model, like mt.zip.", "Model file", required=True)
    memory = Parameter(
        "memory_gb", "float", "Memory for training data; larger data are read from disk in windows. Default: half of the free memory.",
        least=0, above=True,
    )  # fmt: skip
    return (model, *_learning("train"), memory)


def _predict() -> tuple[Parameter, ...]:
    return (
        _out("Folder for the results, or one image: NAME.ome.zarr, NAME.ome.tif."),
        Parameter("model", "file", "A model file from training or enhancing.", "Model file", required=True),
        IMAGE[0],
        STACK[0],
        *IMAGE[1:],
        STACK[1],
        *CORRECTIONS,
        *HOST,
        _CHANNEL,
        Parameter(
            "adapt", "int", "Fine-tune the model for so many steps on each frame first, like 50; the model file does not change.", least=1
        ),
        *_parameters("blocks", "BLOCKS"),
        _STRICT,
    )  # fmt: skip


def _localize() -> tuple[Parameter, ...]:
    na, wave = OPTICS[:2]
    presets = tuple(p for one in _of_verb("localize") for p in one.settings.presets() if p != "paper")
    return (
        _out("Folder for the results."),
        Parameter("model", "file", "A model for single molecules; default: the shipped one that fits best.", "Model file"),
        replace(na, help="Numerical aperture; with `wavelength_nm` instead of `psf_sigma_nm`."),
        wave,
        IMAGE[0],
        Parameter("train", "choice", "Train a model for this movie first.", "Train for this movie first", choices=tuple(dict.fromkeys(presets)), advanced=True),
        *([_method("localize")] if len(_of_verb("localize")) > 1 else []),
        *IMAGE[1:],
        *_of_methods("localize"),
        *HOST,
        *_parameters("movies", "LINKING"),
        _STRICT,
    )  # fmt: skip


def _takes(request: Request) -> str:
    """Whether the method of a request takes images or a movie."""
    name = request.method
    if request.verb.name == "predict":
        path = request.path("model")
        if path is None or not path.is_file():
            return "images"  # refused there, in words
        from superlens.model import made_by

        name = made_by(path)
        if name and name not in names():
            raise SuperlensError(
                f"the model {path} was made by {name!r}, which this superlens does not know; update superlens."
            )
    return method_named(name).takes if name else "images"


def _by_kind(images: str, movies: str) -> Callable[[Request], Any]:
    """A function of the room of images, or of that of movies, as the method of a request takes the one or the other."""

    def call(request: Request) -> Any:
        return _later("movies", movies)(request) if _takes(request) == "movie" else _later("images", images)(request)

    return call


def _told_first(run: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """A run that with `dry_run` only says what it would do."""

    def call(request: Request) -> Any:
        return _later("dry_run", "preview")(request) if request.get("dry_run") else run(request)

    return call


def _run_predict(request: Request) -> Any:
    if _takes(request) == "movie":
        return _told_first(_later("movies", "localize"))(request)
    from superlens.runs import blocks

    if blocks.by_blocks(request):
        return blocks.predict_by_blocks(request)
    return _told_first(_later("images", "predict"))(request)


def _later(room: str, name: str) -> Callable[[Request], Any]:
    """A function of a module of this room, which is loaded when it is called: a door lists the verbs before anything heavy is there."""

    def call(request: Request) -> Any:
        return getattr(importlib.import_module(f"superlens.runs.{room}"), name)(request)

    return call


def _parameters(room: str, name: str) -> tuple[Parameter, ...]:
    found: tuple[Parameter, ...] = getattr(importlib.import_module(f"superlens.runs.{room}"), name)
    return found


def _simulate() -> tuple[Parameter, ...]:
    out, *scene = _parameters("simulating", "SCENE")
    return (out, IMAGE[0], *scene, IMAGE[1])


def _sim() -> tuple[Parameter, ...]:
    named = ("na", "wavelength_nm", "excitation_nm", "immersion_index", "modality")
    optics = [p for p in optics_of_channels() if p.name in named]
    return (
        _out("Folder for the results."),
        *optics[:2],
        IMAGE[0],
        *_parameters("structured", "RECONSTRUCTION"),
        *optics[2:],
        *IMAGE[1:],
        _CHANNEL,
        *HOST[2:4],
        _STRICT,
    )


def _stripes() -> tuple[Parameter, ...]:
    out, *corrections = _parameters("correcting", "STRIPES")
    return (out, *IMAGE[:2], *corrections)


VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb(
            "enhance",
            "Denoise and super-resolve images, learning from the images themselves.\n\nINPUTS are image files and folders of them; several images of "
            "one kind train one model, and each channel has a model of its own. Writes NAME_sr.tif, NAME_denoised.tif and "
            "NAME_uncertainty.tif for each, model.zip, report.html and run.json.",
            "Denoise and super-resolve the open image, learning from the image itself.",
            "Superlens Enhance...",
            _enhance,
            _told_first(_by_kind("enhance", "localize")),
            _by_kind("plan_enhance", "plan_localize"),
            "images",
        ),
        Verb(
            "train",
            "Train a model on images of one kind, for `superlens predict`, or on a movie, for `superlens localize`.",
            "Train a model on the open image or a folder of images, for Superlens Predict.",
            "Superlens Train...",
            _train,
            _told_first(_by_kind("train", "train_movie")),
            _by_kind("plan_train", "plan_train_movie"),
            "images",
        ),
        Verb(
            "predict",
            "Apply a trained model to more images of its kind.\n\nWhen `out` names an image, one input of any size goes through block by "
            "block; a run that was killed continues where it stopped.",
            "Apply a trained model to the open image.",
            "Superlens Predict...",
            _predict,
            _run_predict,
            _by_kind("plan_predict", "plan_localize"),
            "images",
        ),
        Verb(
            "localize",
            "Find single molecules in a blinking movie and make a super-resolved image and a table of them.\n\nWrites localizations.csv "
            "(ThunderSTORM's columns), localizations_linked.csv, density.tif (the sum of the network's maps), rendered.tif, report.html "
            "and run.json. Optics and camera values that are not given are estimated from the movie; the report shows from what.",
            "Find single molecules in the open movie: a table, and a super-resolved image of them.",
            "Superlens Localize...",
            _localize,
            _told_first(_later("movies", "localize")),
            _later("movies", "plan_localize"),
            "one",
        ),
        Verb(
            "simulate",
            "Simulate a movie of blinking molecules.\n\nWrites frames.tif and truth.csv, the latter with ThunderSTORM's columns: one row "
            "for each molecule in each frame.",
            "Make a movie of blinking molecules whose places are known.",
            "Superlens Simulate...",
            _simulate,
            _later("simulating", "simulate"),
            _later("simulating", "plan_simulate"),
        ),
        Verb(
            "sim",
            "Reconstruct raw frames of structured illumination.\n\nThe order of the frames, the pattern, the damping of the transfer function and the "
            "weight are found, or refused with the reason; each channel has a pattern of its own. Writes NAME_sim.tif (half the pixel size), NAME_widefield.tif, report.html and run.json, "
            "whose pattern another run can take.",
            "Reconstruct the open raw frames of structured illumination.",
            "Superlens SIM...",
            _sim,
            _later("structured", "reconstruct"),
            _later("structured", "plan_structured"),
            "images",
        ),
        Verb(
            "simulate_sim",
            "Simulate raw frames of structured illumination.\n\nWrites raw.tif, truth.tif (the specimen, half the pixel size) and pattern.json.",
            "Make raw frames of structured illumination whose truth is known.",
            "",
            lambda: _parameters("structured", "SCENE"),
            _later("structured", "simulate_sim"),
            _later("structured", "plan_simulate_sim"),
        ),
        Verb(
            "psf",
            "Write a PSF, computed or measured, and print its width.",
            "Compute a PSF from the optics, or measure one from beads.",
            "Superlens PSF...",
            lambda: (*_parameters("measuring", "PSF_OF"), *OPTICS),
            _told_first(_later("measuring", "make_psf")),
            _later("measuring", "plan_psf"),
        ),
        Verb(
            "stripes",
            "Subtract stripes, and the offsets and gains of sensor pixels, from an image.",
            "Subtract stripes, and the offsets and gains of sensor pixels, from the open image.",
            "Superlens Remove Stripes...",
            _stripes,
            _told_first(_later("correcting", "correct")),
            _later("correcting", "plan_correct"),
            "one",
        ),
        Verb(
            "compare",
            "Compare a result with a reference: error map, RSP, RSE, FRC, PSNR and SSIM.",
            "Compare a result with a reference: error map, RSP, RSE, FRC, PSNR and SSIM.",
            "Superlens Compare...",
            lambda: _parameters("measuring", "COMPARE"),
            _told_first(_later("measuring", "compare")),
            _later("measuring", "plan_compare"),
            "images",
        ),
        Verb(
            "evaluate",
            "Compare results with a reference image, or a table of single molecules with a true one.\n\nThe input is a result or a folder "
            "of them (its *_sr.tif). When one of the two images is finer by a whole factor, its pixels are averaged. The result is brought "
            "to the reference by one gain and one offset before PSNR, SSIM and NRMSE are taken.",
            "",
            "",
            lambda: _parameters("measuring", "EVALUATE"),
            _told_first(_later("measuring", "evaluate")),
            _later("measuring", "plan_evaluate"),
            "one",
        ),
        Verb(
            "models",
            "List the models that come with superlens.",
            "List the models that come with superlens.",
            "Superlens Models...",
            tuple,
            _later("about", "list_models"),
            works=False,
        ),
        Verb(
            "doctor",
            "Check the installation: what superlens runs on, how fast it is, and what is wrong.",
            "Check the installation: what superlens runs on, how fast it is, and what is wrong.",
            "",
            lambda: (*_parameters("about", "DOCTOR"), *HOST[:4]),
            _later("about", "diagnose"),
        ),
    )
}
"""By name, in the order of the menu."""
