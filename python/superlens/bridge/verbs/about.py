"""``ping``, ``doctor`` and ``models``: what answers, what it runs on, and what comes with it."""

from __future__ import annotations

import functools
import os
from typing import Any

import click

from superlens.bridge.calls import Call, Verb, start_engine
from superlens.bridge.parameters import Told, command
from superlens.bridge.protocol import Response, Table

__all__ = ["DOCTOR", "HELP", "MODELS", "PING", "SETUP"]


def _run_ping(call: Call) -> Response:
    from superlens import __version__
    from superlens.bridge.verbs import VERBS

    told = _versions()
    info: dict[str, Any] = {
        "version": __version__,
        "verbs": [*VERBS, "plan", "finish", "cancel"],
        "versions": dict(told),
        "pid": os.getpid(),
        "device": None,
        "devices": [],
    }
    text = f"superlens {__version__}, Python {told['python']}"
    if call.arguments.get("devices"):
        from superlens.doctor import examine

        info["device"] = start_engine(call)
        call.progress(0, 1, "measuring devices")
        info["devices"] = [
            {"name": device.name, "model": device.model, "gflops": device.product_gflops}
            for device in examine(speed_test=False).devices
        ]
        call.progress(1, 1, "measuring devices")
        text += f", {info['device']}"
    return Response(text=text, info=info)


@functools.cache
def _versions() -> dict[str, str]:
    """Looked up once, since that reads a file for each library."""
    from superlens.host import versions

    return versions()


def _run_doctor(call: Call) -> Response:
    start_engine(call)
    from superlens.doctor import describe, examine

    diagnosis = examine(speed_test=bool(call.arguments.get("speed_test")), progress=call.progress)
    healthy = not any(finding.grade == "bad" for finding in diagnosis.findings)
    return Response(text=describe(diagnosis), info={"healthy": healthy})


def _run_models(call: Call) -> Response:
    start_engine(call)
    from superlens.cli.about import card_line
    from superlens.model import shipped

    rows = [
        (name, round(path.stat().st_size / 1e6, 2), card_line(path.parent / "card.md"), str(path))
        for name, path in shipped().items()
    ]
    return Response(
        table=Table(columns=("name", "megabytes", "about", "path"), rows=tuple(rows)),
        text="\n".join(f"{name:<16} {size:>6.2f} MB  {about}" for name, size, about, _ in rows),
    )


PING = Verb(
    run=_run_ping,
    command=command(
        "ping",
        "Say which engine answers.",
        (click.Option(["--devices"], is_flag=True, help="Load TensorFlow and measure the devices."),),
        told={"devices": Told("Measure devices")},
    ),
)
DOCTOR = Verb(
    run=_run_doctor,
    works=True,
    command=command(
        "doctor",
        "Say what superlens runs on, how fast it is, and what is wrong.",
        (click.Option(["--speed-test"], is_flag=True, help="Train for ten seconds on the bundled image."),),
        told={"speed_test": Told("Speed test")},
    ),
)
MODELS = Verb(run=_run_models, command=command("Superlens Models...", "List the models that come with superlens.", ()))

SETUP = command(
    "Superlens Setup...",
    "Find or make the Python that superlens runs in, and try it.",
    (
        click.Option(["--python"], help="A Python that has superlens, or its folder; default: SUPERLENS_PYTHON."),
        click.Option(["--build"], is_flag=True, help="Make a Python of its own and install superlens there."),
        click.Option(["--package"], help="What to install there; default: the superlens of this plugin's version."),
        click.Option(["--remove"], is_flag=True, help="Remove the Python that was made."),
        click.Option(["--speed-test"], is_flag=True, help="Train for ten seconds on the bundled image."),
    ),
    told={
        "python": Told("Python", kind="file", client=True),
        "build": Told("Make a new Python environment", client=True),
        "package": Told("Package to install", advanced=True, client=True),
        "remove": Told("Remove the environment", advanced=True, client=True),
        "speed_test": Told("Speed test", client=True),
    },
)
"""Done by the plugin before there is an engine; described here so that its words stand with the others'."""

HELP = command("Superlens Help", "Open the manual.", ())
"""Done by the plugin."""
