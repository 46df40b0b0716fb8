"""``models`` and ``doctor``: what comes with superlens, and what it runs on."""

from __future__ import annotations

from pathlib import Path

from superlens.parameters import Parameter
from superlens.runs.folders import megabytes
from superlens.runs.verb import Outcome, Request, Sheet

__all__ = ["DOCTOR", "diagnose", "list_models"]

DOCTOR = (Parameter("speed_test", "flag", "Train for ten seconds on the bundled image.", "Speed test"),)


def list_models(request: Request) -> Outcome:
    """List the models that come with superlens."""
    request.engine()
    from superlens.model import shipped

    found = shipped()
    if not found:
        return Outcome(
            text="this installation holds no models; reinstall superlens to get them, or use `from_scratch`."
        )
    rows = [
        (name, round(path.stat().st_size / 1e6, 2), _card_line(path.parent / "card.md"), str(path))
        for name, path in found.items()
    ]
    lines = [f"{name:<16} {megabytes(1e6 * size):>9}  {about}" for name, size, about, _ in rows]
    return Outcome(sheet=Sheet(("name", "megabytes", "about", "path"), tuple(rows)), text="\n".join(lines))


def diagnose(request: Request) -> Outcome:
    """Check the installation: what superlens runs on, how fast it is, and what is wrong."""
    request.engine()
    from superlens.doctor import describe, examine

    diagnosis = examine(speed_test=bool(request.get("speed_test")), progress=request.session.progress)
    healthy = not any(finding.grade == "bad" for finding in diagnosis.findings)
    return Outcome(text=describe(diagnosis), info={"healthy": healthy}, failed=not healthy)


def _card_line(card: Path) -> str:
    """The first line of a model card that is neither a title nor empty."""
    if not card.is_file():
        return "(no card)"
    lines = (line.strip() for line in card.read_text(encoding="utf-8").splitlines())
    return next((line.replace("`", "") for line in lines if line and not line.startswith("#")), "")
