"""The published packages that the snapshot is built from: exact versions, checked by sha512, never installed.

Only the files inside the tarballs are wanted, so there are no dependencies and no install scripts.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keeper.errors import KeelError
from keeper.simulation.paths import cache_dir

PINS_FILE = Path(__file__).with_name("packages.json")


class PackageError(KeelError):
    """A package could not be fetched, or is not the one that was pinned."""


def pins() -> dict[str, str]:
    """`name@version` -> sha512 in the form of npm's `integrity` field."""
    table: dict[str, str] = json.loads(PINS_FILE.read_text())
    return table


def packages_dir() -> Path:
    """The folder that holds one unpacked folder per package."""
    path = cache_dir() / "packages"
    path.mkdir(exist_ok=True)
    return path


def package_path(spec: str) -> Path:
    """The folder of an unpacked package, `name@version`. It exists after `fetch_packages`."""
    return packages_dir() / spec.removeprefix("@").replace("/", "-").replace("@", "-")


def fetch_packages() -> int:
    """Fetch every pinned package that is not cached yet, and return how many were fetched.

    Raises PackageError; what was fetched and checked before it stays in the cache.
    """
    missing = {spec: integrity for spec, integrity in pins().items() if not package_path(spec).is_dir()}
    with ThreadPoolExecutor(max_workers=4) as pool:
        for _ in pool.map(lambda item: _fetch(*item), missing.items()):
            pass
    return len(missing)


def _fetch(spec: str, integrity: str) -> None:
    with tempfile.TemporaryDirectory(dir=packages_dir(), prefix=".fetch-") as folder:
        command = ["npm", "pack", "--silent", "--ignore-scripts", spec]
        try:
            subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=300)
        except FileNotFoundError as missing:
            raise PackageError("npm was not found: install Node.js 20 or later") from missing
        except subprocess.CalledProcessError as failed:
            raise PackageError(f"{spec}: npm could not fetch it: {failed.stderr.strip()[-300:]}") from failed
        except subprocess.TimeoutExpired as late:
            raise PackageError(f"{spec}: npm took more than 5 minutes; try again") from late
        unpack(spec, next(Path(folder).glob("*.tgz")), integrity)


def unpack(spec: str, tarball: Path, integrity: str) -> None:
    """Check a tarball against its pin, then unpack it into the cache in one step.

    Raises PackageError when the content is not what was pinned; nothing of it is kept.
    """
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if found != integrity:
        raise PackageError(
            f"{spec}: its content is not what was pinned ({found[:20]}…, expected {integrity[:20]}…). "
            "Nothing of it was kept. If it was republished on purpose, review it and change "
            f"{PINS_FILE.name}."
        )
    target = package_path(spec)
    staging = Path(tempfile.mkdtemp(dir=packages_dir(), prefix=".unpack-"))
    try:
        with tarfile.open(tarball) as archive:
            # Python has had it since 3.11.4; before, the pin alone vouches for the names.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            for member in archive.getmembers():
                _, _, member.name = member.name.partition("/")  # npm puts all files under one folder
                if member.isfile() and member.name:
                    archive.extract(member, staging)
        if not target.is_dir():
            staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
