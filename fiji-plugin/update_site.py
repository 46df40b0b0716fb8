"""Lay out a Fiji update site: the files of an archive of `pack.py` under their names with a timestamp, and ``db.xml.gz``, which lists them.

    python fiji-plugin/update_site.py fiji-plugin/target/superlens-fiji-0.1.0.zip build/update-site

Run again with a newer archive, it keeps the earlier versions in the list, so that Fiji knows an old file for one of ours. Layout and
checksums are those that ImageJ's updater states (https://github.com/imagej/imagej-updater); a Fiji has not read such a site yet.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import sys
import time
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

DATABASE = "db.xml.gz"


def main(archive: Path, site: Path) -> None:
    """Add the files of an archive to a site."""
    site.mkdir(parents=True, exist_ok=True)
    records = _read(site / DATABASE)
    with zipfile.ZipFile(archive) as files:
        stamp = _stamp(max(info.date_time for info in files.infolist()))
        names = sorted(files.namelist())
        for name in names:
            needs = [other for other in names if other.startswith("jars/")] if name.startswith("plugins/") else []
            _add(records, site, name, files.read(name), stamp, needs)
    text = ET.tostring(records, encoding="utf-8", xml_declaration=True)
    with gzip.GzipFile(site / DATABASE, "wb", mtime=0) as out:
        out.write(text + b"\n")
    print(f"{site}: {len(records)} files")  # noqa: T201


def digest(name: str, content: bytes) -> str:
    """SHA-1 by which Fiji compares files: of a jar that of the names and contents of its entries, so that packing times do not count.

    Comments of properties, which hold the time of the build, count as empty lines, and the manifest not at all.
    """
    found = hashlib.sha1(usedforsecurity=False)
    if not name.endswith(".jar"):
        found.update(name.encode("ascii") + content)
        return found.hexdigest()
    with zipfile.ZipFile(io.BytesIO(content)) as jar:
        for entry in sorted(jar.namelist()):
            found.update(entry.encode("ascii"))
            if entry.endswith(".properties"):
                found.update(re.sub(rb"(?m)^#.*$", b"", jar.read(entry)))
            elif entry != "META-INF/MANIFEST.MF":
                found.update(jar.read(entry))
    return found.hexdigest()


def _add(records: ET.Element, site: Path, name: str, content: bytes, stamp: str, needs: list[str]) -> None:
    """Write one file and its record; an older version under the same name, or one with another version number, becomes a previous one."""
    checksum = digest(name, content)
    known = next((one for one in records if _unversioned(one.get("filename", "")) == _unversioned(name)), None)
    if known is None:
        known = ET.SubElement(records, "plugin")
    before = known.get("filename", name)
    known.set("filename", name)
    version = known.find("version")
    if version is not None and version.get("checksum") == checksum:
        return
    if version is not None:
        old = {
            "timestamp": version.get("timestamp", ""),
            "timestamp-obsolete": stamp,
            "checksum": version.get("checksum", ""),
        }
        old["filename"] = before
        ET.SubElement(known, "previous-version", old)
        known.remove(version)
    about = {"checksum": checksum, "timestamp": stamp, "filesize": str(len(content))}
    version = ET.Element("version", about)
    for other in needs:
        ET.SubElement(version, "dependency", {"filename": other, "timestamp": stamp})
    known.insert(0, version)
    place = site / f"{name}-{stamp}"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _unversioned(name: str) -> str:
    """``plugins/superlens_-0.1.0.jar`` without its version, by which Fiji knows that a newer file replaces it."""
    stem, dash, tail = name.removesuffix(".jar").rpartition("-")
    return stem if dash and tail[:1].isdigit() else name


def _read(path: Path) -> ET.Element:
    if not path.is_file():
        return ET.Element("pluginRecords")
    with gzip.open(path) as stored:
        return ET.parse(stored).getroot()


def _stamp(made: tuple[int, int, int, int, int, int]) -> str:
    return time.strftime("%Y%m%d%H%M%S", (*made, 0, 1, -1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
