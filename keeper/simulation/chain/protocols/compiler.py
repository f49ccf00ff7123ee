"""Published Solidity source that no package ships compiled: compiled with the npm builds of solc, once."""

import hashlib
import os
import subprocess
from pathlib import Path

from keeper.simulation.chain.packages import PINS_FILE, packages_dir
from keeper.simulation.paths import cache_dir

_HERE = Path(__file__).parent


def compiled(script: str) -> Path:
    """Output of a compiler script in this folder; from the cache unless the script or a pin changed."""
    source = _HERE / script
    key = hashlib.sha256(source.read_bytes() + PINS_FILE.read_bytes()).hexdigest()[:16]
    folder = cache_dir() / "compiled"
    folder.mkdir(exist_ok=True)
    output = folder / f"{source.stem}-{key}.json"
    if not output.exists():
        draft = output.with_suffix(f".{os.getpid()}")
        command = ["node", "--no-warnings", "--stack-size=8000", str(source), str(packages_dir()), str(draft)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            draft.unlink(missing_ok=True)
            raise RuntimeError(f"{script} failed: {run.stderr.strip()[-800:]}")
        draft.rename(output)
    return output
