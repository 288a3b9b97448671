"""Try an installed wheel as a user does, in an empty folder: python tests/smoke.py dist

The wheel is unpacked beside the installed dependencies, away from the sources. The main commands
run on the shipped teacher with a few clips and steps.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = (
    "--version",
    "list",
    "doctor",
    "synthesize --teacher digits --samples 16 --batch-size 8 --set steps=2 --out samples.h5",
    "distill --teacher digits --samples samples.h5 --set steps=2 --set batch_size=4 --out student",
    "inspect student",
)


def main(dist: Path) -> None:
    """Install the only wheel in a folder, and run the commands with it."""
    (wheel,) = dist.glob("*.whl")
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*pip, "--target", str(site), str(wheel.resolve())], check=True)
        environment = os.environ | {"PYTHONPATH": str(site)}
        script = [sys.executable, "-c", "import frami; print(frami.__file__)"]
        location = subprocess.run(
            script, cwd=scratch, env=environment, check=True, capture_output=True, text=True
        ).stdout
        if not location.startswith(scratch):
            sys.exit(f"The wheel is not what was imported: {location}")
        for command in COMMANDS:
            print(f"$ frami {command}", flush=True)
            run = [sys.executable, "-m", "frami", *command.split()]
            subprocess.run(run, cwd=scratch, env=environment, check=True)
    print(f"{wheel.name} works from an empty folder.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
