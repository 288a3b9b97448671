"""Divide the recordings of FSDD by lot: python fsdd_by_lot.py FSDD OUT [--train N --test N]

OUT gets copies, and a table that assigns each to the fold train, test or more.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("fsdd", type=Path, help="folder of the data set")
parser.add_argument("out", type=Path)
parser.add_argument("--train", type=int, default=1250, help="clips of the fold train")
parser.add_argument("--test", type=int, default=1250, help="clips of the fold test")
parser.add_argument("--more", type=int, default=0, help="clips of the fold more")
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()

files = sorted(arguments.fsdd.rglob("[0-9]_*_*.*"))  # digit_speaker_take.wav
order = np.random.default_rng(arguments.seed).permutation(len(files))
files = [files[index] for index in order]
sizes = {name: getattr(arguments, name) for name in ("train", "test", "more")}
if sum(sizes.values()) > len(files):
    parser.error(f"{arguments.fsdd} has only {len(files)} recordings.")
arguments.out.mkdir(parents=True)
rows = ["file,label,fold"]
for fold, size in sizes.items():
    for path in files[:size]:
        shutil.copy(path, arguments.out)
        rows.append(f"{path.name},{path.name.split('_')[0]},{fold}")
    files = files[size:]
(arguments.out / "table.csv").write_text("\n".join(rows) + "\n")
