"""What a release rests on: one version everywhere, a changelog of it, and an update site that knows its earlier files."""

from __future__ import annotations

import gzip
import runpy
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from superlens import __version__

ROOT = Path(__file__).resolve().parents[1]
POM = "{http://maven.apache.org/POM/4.0.0}"


def test_plugin_citation_and_changelog_have_the_version_of_the_package() -> None:
    pom = ET.parse(ROOT / "fiji-plugin" / "pom.xml").getroot()
    assert pom.findtext(f"{POM}version") == __version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == __version__
    assert f"## {__version__}" in (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")


@pytest.fixture
def update_site() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "fiji-plugin" / "update_site.py"))


def archive(path: Path, version: str, content: str) -> Path:
    with zipfile.ZipFile(path.with_suffix(".jar"), "w") as jar:
        jar.writestr("A.class", content)
        jar.writestr("a.properties", f"#built {version}\nname=a\n")
    with zipfile.ZipFile(path, "w") as out:
        out.write(path.with_suffix(".jar"), f"plugins/superlens_-{version}.jar")
    return path


def test_an_update_site_lists_the_newest_file_and_remembers_the_earlier_ones(
    update_site: dict[str, Any], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    for version, content in (("0.1.0", "old"), ("0.2.0", "new"), ("0.2.0", "new")):
        update_site["main"](archive(tmp_path / "a.zip", version, content), site)
    with gzip.open(site / "db.xml.gz") as stored:
        (plugin,) = ET.parse(stored).getroot()
    assert plugin.get("filename") == "plugins/superlens_-0.2.0.jar"
    (version,) = plugin.findall("version")
    assert len(plugin.findall("previous-version")) == 1
    files = sorted(path.name for path in (site / "plugins").iterdir())
    assert f"superlens_-0.2.0.jar-{version.get('timestamp')}" in files


def test_the_digest_of_a_jar_is_that_of_its_contents(update_site: dict[str, Any], tmp_path: Path) -> None:
    jars = []
    for name in ("a", "b"):
        archive(tmp_path / f"{name}.zip", name, "same")
        jars.append((tmp_path / f"{name}.jar").read_bytes())
    first, second = (update_site["digest"]("x.jar", jar) for jar in jars)
    assert first == second
    assert update_site["digest"]("x.txt", jars[0]) != update_site["digest"]("x.txt", jars[1])
