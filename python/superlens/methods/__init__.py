"""The methods, one folder each, and the list that every door walks over.

A new method is a folder with a class that fills in `superlens.method.ImageMethod` or `MovieMethod`, and a line in `_SHIPPED`. Methods are
loaded when they are first asked for, so that a door can say which there are at once.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from superlens.errors import SuperlensError

if TYPE_CHECKING:
    from superlens.method import Method
    from superlens.model import Model
    from superlens.predicting import Predictor

__all__ = ["method", "method_of", "methods", "names", "predictors", "register", "switched", "unregister"]

_SHIPPED = {
    "zsdeconv": "superlens.methods.zsdeconv.method",
    "deepstorm": "superlens.methods.deepstorm.method",
    "zsdeconv-sim": "superlens.methods.zsdeconv_sim.method",
}
"""Name to the module that has it as ``METHOD``; the first of a kind is what a door takes when none is named."""

_ADDED: dict[str, Method] = {}


def names() -> tuple[str, ...]:
    """The names of all methods, in their order."""
    return (*_SHIPPED, *_ADDED)


def methods() -> Iterator[Method]:
    """All methods, in their order."""
    return map(method, names())


def method(name: str) -> Method:
    """The method of that name.

    Raises
    ------
    SuperlensError
        If there is none.

    Examples
    --------
    >>> method("zsdeconv").takes
    'images'
    """
    if name in _ADDED:
        return _ADDED[name]
    if name not in _SHIPPED:
        close = difflib.get_close_matches(name, names(), n=1)
        advice = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names())}"
        raise SuperlensError(f"`method` is {name!r}; {advice}")
    found: Method = importlib.import_module(_SHIPPED[name]).METHOD
    return found


def switched(switch: str) -> Method:
    """The method that a flag chooses; see `superlens.method.Method.switch`."""
    return next(one for one in methods() if one.switch == switch)


def method_of(model: Model) -> Method:
    """The method that made a model.

    Raises
    ------
    SuperlensError
        If this superlens does not know it.
    """
    made = model.config.method
    if made not in names():
        raise SuperlensError(f"the model was made by {made!r}, which this superlens does not know; update superlens")
    return method(made)


def predictors(path: Path) -> tuple[Predictor, ...]:
    """Open a model file as functions from a block to arrays by role, one for each channel it is for.

    Raises
    ------
    SuperlensError
        If its method gives no images.
    """
    from superlens.method import ImageMethod
    from superlens.model import ChannelModels

    found = []
    for model in ChannelModels.load(path).models:
        made_by = method_of(model)
        if not isinstance(made_by, ImageMethod):
            raise SuperlensError(f"the model was made by {made_by.name}, which takes a movie; localize it instead")
        found.append(made_by.predictor(model))
    return tuple(found)


def register(added: Method) -> None:
    """Add a method to the list, for this process.

    Raises
    ------
    SuperlensError
        If there is one of its name.
    """
    if added.name in names():
        raise SuperlensError(f"there is a method {added.name!r} already")
    _ADDED[added.name] = added


def unregister(name: str) -> None:
    """Take an added method off the list again."""
    _ADDED.pop(name, None)
