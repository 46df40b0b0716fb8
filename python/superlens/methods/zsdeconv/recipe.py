"""How the two stages of ZS-DeconvNet learn, for images and for volumes.

Ours: noise-weighted distances on patches of conditioned channels, checked on blocks that training never sees. The original, for
comparison: patches scaled to [0, 1] and framed with zeros, absolute distances, the whole PSF, the last weights.
"""

from __future__ import annotations

import math
from functools import partial

import keras

from superlens.methods.zsdeconv.loss import loss_of, original_forward, original_loss, sharp_to_camera
from superlens.methods.zsdeconv.pairs import held_out_copies, original_pairs, pairs_of
from superlens.methods.zsdeconv.prepared import Prepared
from superlens.networks import Architecture, architecture
from superlens.optics import Transfer, image_of
from superlens.training.two_stage.banded import BandedPairs
from superlens.training.two_stage.framing import LEAST_SEEN, ConditionedPatches, PaddedPatches
from superlens.training.two_stage.held_out import HeldOut
from superlens.training.two_stage.neighbours import refuse_motion, with_neighbours
from superlens.training.two_stage.recipe import TwoStageRecipe, first_stage, schedule
from superlens.training.two_stage.recordings import Recording, recordings_of
from superlens.training.two_stage.turning import turns_of, unchanged_by

__all__ = ["ORIGINAL_PADDING", "recipe_of"]

ORIGINAL_PADDING = {"YX": (16, 16), "ZYX": (2, 8, 8)}
"""Zeros that the original frames its inputs with, on each side: slices, camera pixels."""

_WINDOW = {"YX": 320, "ZYX": 128}  # camera pixels: the part of a large recording that a step or a check looks at
_MARGIN = 8  # camera pixels that the loss leaves out on each side of a patch, at least, and slices where a stack was cut, at most
_PATIENCE = 4  # checks without a gain after which a training that began from the shipped weights ends


def recipe_of(prepared: Prepared, network: keras.Model) -> TwoStageRecipe:
    """The recipe for what was prepared and the network that trains."""
    known = architecture(prepared.config.network)
    return (_ours if known.inputs == "conditioned" else _original)(prepared, network, known)


def _ours(prepared: Prepared, network: keras.Model, known: Architecture) -> TwoStageRecipe:
    config, optics, volumes = prepared.config, prepared.optics, prepared.config.axes == "ZYX"
    training_optics = optics.every_second_slice() if config.pairs == "interleave" else optics
    forward = sharp_to_camera(training_optics)
    margin = _MARGIN if volumes else max(forward.margins[-1], _MARGIN)
    beside = max(1, min(_MARGIN, math.ceil(training_optics.axial_fwhm))) if volumes else 0
    kernel = training_optics.psf.data if isinstance(optics.blur, Transfer) else optics.blur
    recordings = _recordings(prepared)
    framing = ConditionedPatches(
        prepared.normaliser,
        training_optics.bank,
        optics.bank,
        align=known.align,
        margins=(0, margin, margin) if volumes else (margin, margin),
        patch=config.patch,
        number=config.patches(max((one.counts.shape for one in recordings), key=math.prod)),
        turns=[turn for turn, _ in turns_of(kernel.ndim) if unchanged_by(turn, kernel)],
        least=0 if volumes else 2 * margin + LEAST_SEEN,
    )
    window = _WINDOW[config.axes]
    sides = (config.depth, window, window) if volumes else (window, window)
    denoise = partial(framing.denoised, first_stage(network, known))
    blur = optics.blur if volumes else optics.blur_of_patches
    pairs, copies = pairs_of(config, recordings, sides, beside, denoise), held_out_copies(config)
    if prepared.band is not None:
        pairs, copies = BandedPairs(pairs, prepared.band), prepared.band.limit_copies(copies)
    return TwoStageRecipe(
        pairs=pairs,
        framing=framing,
        loss=loss_of(config, framing, forward, optics.scale),
        plan=schedule(
            "cosine",
            steps=config.steps,
            learning_rate=config.learning_rate,
            minutes=config.minutes,
            patience=0 if config.from_scratch else _PATIENCE,
        ),
        seed=config.seed,
        held_out=HeldOut(
            known,
            recordings,
            sides,
            beside,
            copies,
            draws=1 if volumes else 2,
            normaliser=prepared.normaliser,
            bank=optics.bank,
            seen=None if config.first_only else lambda sharp: image_of(sharp, blur, scale=optics.scale),
            seed=config.seed,
        ),
        # Light goes through the ends of a stack, so that the mean of a sharper one may differ: volumes stay as they were learned.
        levelled=not volumes,
    )


def _recordings(prepared: Prepared) -> list[Recording]:
    recordings = recordings_of(prepared.learned_from, prepared.config.axes)
    if prepared.config.pairs != "temporal":
        return recordings
    refuse_motion(prepared.observations)
    return with_neighbours(recordings, prepared.observations)


def _original(prepared: Prepared, network: keras.Model, known: Architecture) -> TwoStageRecipe:
    config, volumes = prepared.config, prepared.config.axes == "ZYX"
    optics = prepared.optics.every_second_slice() if volumes else prepared.optics
    all_ways = [turn for turn, _ in turns_of(2)]
    framing = PaddedPatches(
        align=known.align,
        padding=ORIGINAL_PADDING[config.axes],
        patch=config.patch,
        number=config.batch,
        pairs=config.batch if volumes else 1,
        turns=all_ways[:1] if volumes else all_ways,  # slices are turned before they are taken apart
    )
    denoise = partial(framing.denoised, first_stage(network, known))
    return TwoStageRecipe(
        pairs=original_pairs(config, recordings_of(prepared.observations, config.axes, all_alike=True), denoise),
        framing=framing,
        loss=original_loss(config, framing, original_forward(optics)),
        plan=schedule(
            "halving",
            steps=config.steps,
            learning_rate=config.learning_rate,
            minutes=config.minutes,
            halve_every=5000 if volumes else 10_000,
        ),
        seed=config.seed,
    )
