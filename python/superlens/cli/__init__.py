"""The command line: ``superlens demo | enhance | train | predict | localize | sim | simulate | psf | stripes | compare | evaluate | models | doctor | fiji``.

Every command is a verb of `superlens.runs`: its options are the verb's parameters, its lines the verb's outcome. Nothing heavy is imported
before a command runs, so that ``superlens --help`` answers at once, and nothing ever prompts. `failures` turns whatever goes wrong into one
line and an exit code: 2 when the request cannot be carried out, 3 when ``--strict`` finds a result that should not be used, 130 when it was
stopped, 1 for a defect of the program.
"""

from __future__ import annotations

import click

from superlens import __version__
from superlens.cli.commands import VerbCommand
from superlens.cli.demonstration import demo
from superlens.cli.failures import Program
from superlens.cli.hosting import fiji
from superlens.runs.verbs import VERBS

__all__ = ["main"]

_METAVARS = {"localize": "MOVIE", "evaluate": "OUT", "stripes": "IMAGE", "compare": "RESULT REFERENCE", "sim": "RAW..."}
_SIMULATORS = {"simulate": "smlm", "simulate_sim": "sim"}
"""Verbs that are commands of the group ``simulate``, and what they are called there."""


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "--version", message="superlens %(version)s")
def main() -> None:
    """Super-resolution for fluorescence microscopy, learned from your own image.

    Start with `superlens demo`, then `superlens enhance cell.tif --na 1.3 --wavelength-nm 525 --out out/`, and open out/report.html.
    """


@main.group()
def simulate() -> None:
    """Make images whose truth is known."""


for _verb in VERBS.values():
    if _verb.name in _SIMULATORS:
        simulate.add_command(VerbCommand(_verb, _SIMULATORS[_verb.name]))
    else:
        main.add_command(VerbCommand(_verb, metavar=_METAVARS.get(_verb.name)))
main.add_command(fiji)
main.add_command(demo)
