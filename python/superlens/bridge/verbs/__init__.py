"""What can be asked for. A new verb is a file here, or a function in one, and one line in `VERBS`.

Each verb brings its command with it: the options of the command line, and words for those that no other command has. The menu,
the dialog, the macro keys and the pages follow from that; `tests/bridge` holds the keys to ImageJ's rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from superlens.bridge.calls import Verb
from superlens.bridge.parameters import Command
from superlens.bridge.verbs.about import DOCTOR, HELP, MODELS, PING, SETUP
from superlens.bridge.verbs.correcting import STRIPES
from superlens.bridge.verbs.learning import ENHANCE, PREDICT, TRAIN
from superlens.bridge.verbs.measuring import COMPARE, PSF_VERB
from superlens.bridge.verbs.molecules import LOCALIZE, SIMULATE

__all__ = ["MENU", "VERBS"]

VERBS: Mapping[str, Verb] = {
    "ping": PING,
    "doctor": DOCTOR,
    "models": MODELS,
    "enhance": ENHANCE,
    "train": TRAIN,
    "predict": PREDICT,
    "localize": LOCALIZE,
    "simulate": SIMULATE,
    "psf": PSF_VERB,
    "stripes": STRIPES,
    "compare": COMPARE,
}
"""By the name in requests; ``plan``, ``finish`` and ``cancel`` concern other calls and belong to `superlens.bridge.dispatch`."""

_IN_THE_MENU = ("enhance", "train", "predict", "localize", "simulate", "psf", "stripes", "compare", "models")

MENU: Mapping[str, Command] = {
    **{verb: command for verb in _IN_THE_MENU if (command := VERBS[verb].command) is not None},
    "setup": SETUP,
    "help": HELP,
}
"""The menu items, in their order; those that are no verbs are the plugin's own."""
