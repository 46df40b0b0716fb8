"""Cells that vary one thing: re-corruption, number of images, the image a model is used on, and the original recipe on a budget."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from superlens.enhancing import enhance, predict
from superlens.methods.zsdeconv.settings import ZSDeconvConfig
from superlens.metrics import psnr_fitted

from .ours import all_light, numbers_of, run
from .scenes import AS_TRUTH, CAMERA, make, optics, truth
from .store import Outcome

__all__ = ["number_of_images", "paper_on_budget", "sweep", "transfer"]

_UNSEEN = 900  # seed of a scene that no training of these cells sees


def sweep(scene: dict[str, Any], parameter: str, value: float, settings: dict[str, Any]) -> Outcome:
    """Train from scratch with one re-corruption parameter fixed and the others at theory, the camera known."""
    made = make(**scene)
    known = {"gain": CAMERA.gain, "read_noise_e": CAMERA.read_noise_e}
    fixed = {"alpha": (1.0, 1.0), "beta1": (1.0, 1.0), "beta2": (1.0, 1.0), parameter: (value, value)}
    result = run(made, "oil", "fast", from_scratch=True, **known, **fixed, **settings)
    return Outcome(numbers_of(made, result))


def number_of_images(kind: str, photons: float, side: int, count: int, settings: dict[str, Any]) -> Outcome:
    """Train one model on several cells of one kind; score the first of them, and one that was not trained on."""
    scenes = [make(kind, photons, seed, side=side) for seed in range(1, count + 1)]
    unseen = make(kind, photons, _UNSEEN, side=side)
    config = ZSDeconvConfig.of("fast", **{"offset": CAMERA.offset, "sharpen": AS_TRUTH, **settings})
    began = time.perf_counter()
    results = enhance([s.observed for s in scenes], optics("oil").given, config=config)
    seconds = time.perf_counter() - began
    other = predict(results[0].model, unseen.observed)
    return Outcome(
        {
            "first_psnr_db": psnr_fitted(truth(scenes[0]), all_light(results[0])),
            "unseen_psnr_db": psnr_fitted(truth(unseen), all_light(other)),
            "blend": results[0].model.config.provenance["blend"],
            "seconds": seconds,
        }
    )


def transfer(kind: str, other_kind: str, photons: float, side: int, settings: dict[str, Any]) -> Outcome:
    """Use a model on another cell of the same structure and of another one, beside models trained on these themselves."""
    trained = make(kind, photons, 1, side=side)
    model = run(trained, "oil", "fast", **settings).model
    numbers: dict[str, Any] = {}
    for name, target in (
        ("same", make(kind, photons, _UNSEEN, side=side)),
        ("other", make(other_kind, photons, 1, side=side)),
    ):
        reference = truth(target)
        used = psnr_fitted(reference, all_light(predict(model, target.observed)))
        own = psnr_fitted(reference, all_light(run(target, "oil", "fast", **settings)))
        numbers |= {f"{name}_psnr_db": used, f"{name}_own_psnr_db": own, f"{name}_loss_db": own - used}
    return Outcome(numbers)


def paper_on_budget(scene: dict[str, Any], minutes: float) -> Outcome:
    """The original recipe with a budget of wall-clock minutes for its training."""
    made = make(**scene)
    began = time.perf_counter()
    result = run(made, scene.get("optics", "oil"), "paper", minutes=minutes)
    seconds = time.perf_counter() - began
    image = all_light(result)
    numbers = {**numbers_of(made, result), "seconds": seconds, "spread": float(np.std(image))}
    return Outcome(numbers, {"image": image, "denoised": result.denoised.data})
