"""Put the plugin's jar where it is needed: into the Python package, and into folders that Fiji and ImageJ understand.

Run after ``mvn package``. Writes ``python/superlens/_fiji/superlens_-VERSION.jar``, which the wheel carries,
``target/superlens-fiji-VERSION.zip`` with the layout of an update site, holding only what Fiji lacks, and
``target/superlens-imagej-VERSION.zip``, which holds all that plain ImageJ lacks.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGET = HERE / "target"
PACKAGE = HERE.parent / "python" / "superlens" / "_fiji"
BROUGHT_BY_IMAGEJ = ("ij-", "scijava-common-", "parsington-")


def main() -> None:
    """Copy the jar and write the two archives."""
    jars = sorted(TARGET.glob("superlens_-*.jar"))
    if len(jars) != 1:
        sys.exit(f"{TARGET} holds {len(jars)} plugin jars; expected one. Run `make fiji`, which builds it afresh.")
    jar = jars[0]
    PACKAGE.mkdir(exist_ok=True)
    for old in PACKAGE.glob("*.jar"):
        old.unlink()
    shutil.copy2(jar, PACKAGE)
    version = jar.stem.removeprefix("superlens_-")
    needed = [path for path in sorted((TARGET / "lib").glob("*.jar")) if not path.name.startswith(BROUGHT_BY_IMAGEJ)]
    appose = [path for path in needed if path.name.startswith("appose-")]
    archive(TARGET / f"superlens-fiji-{version}.zip", {"plugins": [jar], "jars": appose})
    archive(TARGET / f"superlens-imagej-{version}.zip", {"plugins": [jar], "plugins/jars": needed})


def archive(path: Path, folders: dict[str, list[Path]]) -> None:
    """Write one archive of files in folders."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for folder, files in folders.items():
            for file in files:
                out.write(file, f"{folder}/{file.name}")
    print(path)  # noqa: T201


if __name__ == "__main__":
    main()
