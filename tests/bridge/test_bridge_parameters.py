"""One list of parameters: what the command line has, under keys that ImageJ's macro reader cannot confuse, with words for all."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from superlens.bridge.menu import PING, Command, command_of, export, menu
from superlens.cli import main
from superlens.errors import SuperlensError
from superlens.runs.verbs import VERBS

FILE = Path(__file__).resolve().parents[1] / "protocol" / "params.json"
MENU = menu()
COMMANDS = {**MENU, **{name: command_of(verb) for name, verb in VERBS.items()}, "ping": PING}
NOT_IN_FIJI = {"adapt", "channel", "memory_gb", "pairs", "resume", "strict", "table", "verbose"} | {
    # of runs through files, block by block
    *("also", "block", "dry_run", "fill_missing", "memory_gb", "restart", "scheduler", "workers"),
    "fill_missing",  # of files that ImageJ does not open
}
SHARED = sorted(set(MENU) & set(main.commands))


def every(name: str) -> Command:
    return COMMANDS[name]


def test_the_exported_file_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == export(), "run `superlens fiji --params tests/protocol/params.json`"


@pytest.mark.parametrize("name", COMMANDS)
def test_keys_are_lower_case_words(name: str) -> None:
    for parameter in every(name).fields:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", parameter.key)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_key_is_the_end_of_another(name: str) -> None:
    """ImageJ finds ``size=`` inside ``patch_size=``."""
    keys = [parameter.key for parameter in every(name).fields]
    assert len(set(keys)) == len(keys)
    assert [(a, b) for a in keys for b in keys if a != b and b.endswith(a)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_parameter_has_a_label_and_a_help_in_its_own_words(name: str) -> None:
    for parameter in (field.described() for field in every(name).fields):
        assert parameter["label"] and parameter["help"], parameter["key"]
        assert "--" not in parameter["help"].replace("--from-scratch", ""), parameter["help"]
        assert parameter["help"].endswith((".", "?"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_choice_has_choices_and_its_default_is_one_of_them(name: str) -> None:
    for parameter in (field.described() for field in every(name).fields):
        assert bool(parameter["choices"]) == (parameter["type"] == "choice")
        assert (
            parameter["default"] is None
            or parameter["type"] != "choice"
            or parameter["default"] in parameter["choices"]
        )


@pytest.mark.parametrize("name", SHARED)
def test_the_command_line_and_the_menu_have_the_same_options(name: str) -> None:
    options = {option.name for option in main.commands[name].params if isinstance(option, click.Option)}
    here = {field.parameter.name for field in MENU[name].fields if not field.client}
    assert options - here <= NOT_IN_FIJI, "give new options words in superlens.bridge, or name them here"


def test_labels_of_menu_items_carry_the_name_of_the_program() -> None:
    labels = [command.label for command in MENU.values()]
    assert len(set(labels)) == len(labels)
    assert all(label.startswith("Superlens ") for label in labels)


def test_what_was_not_given_takes_the_default_of_the_command_line() -> None:
    arguments = MENU["enhance"].arguments({"na": 1.3, "steps": None})
    assert (arguments["na"], arguments["steps"], arguments["preset"], arguments["denoise_only"]) == (
        1.3,
        None,
        "fast",
        False,
    )


def test_a_value_may_come_as_text_since_macros_have_nothing_else() -> None:
    arguments = MENU["enhance"].arguments({"na": "1.3", "steps": "20", "denoise_only": "true", "psf": "a b.tif"})
    assert (arguments["na"], arguments["steps"], arguments["denoise_only"]) == (1.3, 20, True)
    assert arguments["psf"] == (Path("a b.tif"),)


@pytest.mark.parametrize(
    ("given", "taken"), [(None, ()), (525, (525.0,)), ("525", (525.0,)), ("525 610.5", (525.0, 610.5))]
)
def test_what_may_differ_between_channels_is_given_with_blanks_between(given: object, taken: tuple[float, ...]) -> None:
    assert MENU["enhance"].arguments({"wavelength_nm": given})["wavelength_nm"] == taken


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"wavelenght_nm": 525}, "did you mean wavelength_nm"),
        ({"show_denoised": True}, "not a parameter"),
        ({"steps": 2.5}, "steps is 2.5; expected a whole number"),
        ({"scale": 3}, "scale is 3"),
        ({"preset": "slow"}, "preset is 'slow'"),
        ({"na": "wide"}, "na is 'wide'"),
        ({"wavelength_nm": "525 red"}, "wavelength_nm is 'red'"),
        ({"na": [1]}, "na is a list"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_key(given: dict[str, object], words: str) -> None:
    with pytest.raises(SuperlensError, match=re.escape(words)):
        MENU["enhance"].arguments(given)


def test_messages_name_the_parameters_as_fiji_does() -> None:
    said = MENU["enhance"].in_words("give `psf_pixel_nm`, `psf`, `psf_model` and `settings` x, or `channel`")
    assert said == "give psf_lateral_nm, psf, psf_theory and settings x, or channels"
