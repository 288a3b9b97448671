"""The example of an export: a program that classifies recordings without frami."""

from __future__ import annotations

from pathlib import Path

from frami.audio.frontend import SAMPLE_RATE_RANGE
from frami.audio.io import FILTER_CUTOFF, FILTER_ZEROS
from frami.core import files

EXAMPLE = '''\
"""Classify recordings with the model beside this file: python example.py dog.wav cat.wav

Needs numpy, onnxruntime and soundfile{needs}. Prints one line for each recording. The exit status
is 1 if one could not be read.
"""

import json
import math
import os
import sys
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else onnxruntime sends what it is used for

import numpy as np
import onnxruntime
import soundfile

from front_end import SAMPLE_RATE, features

MODEL = Path(__file__).resolve().parent / "{model}"
TOP = 5
MINUTES = 10  # of the longest recording, which is answered as a whole
# The filter of resampling: zero crossings on either side, and cutoff as a part of the lower rate.
ZEROS, CUTOFF = {zeros}, {cutoff}


def printable(text):
    """Return a text without control characters, which a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def read(path):
    """Return a recording as one channel at SAMPLE_RATE; raise ValueError if that fails."""
    if not Path(path).is_file():
        raise ValueError("there is no such file")
    try:
        with soundfile.SoundFile(path) as file:
            rate, announced = file.samplerate, file.frames
            if announced > 60 * MINUTES * rate:
                raise ValueError(f"it is longer than {{MINUTES}} minutes; cut it into pieces")
            samples = file.read(dtype="float32", always_2d=True)
    except (OSError, RuntimeError, TypeError) as error:
        raise ValueError(f"it cannot be read ({{error}})") from error
    if len(samples) < announced or is_cut_off(path):
        raise ValueError("it is cut off")
    if not {lowest} <= rate <= {highest}:
        raise ValueError(f"it has a sample rate of {{rate}} Hz")
    waveform = samples.mean(axis=1)
    if len(waveform) < 0.02 * rate:
        raise ValueError("it is shorter than 20 ms")
    if samples.shape[1] > 2:
        raise ValueError(f"it has {{samples.shape[1]}} channels; mix it down first")
    if not np.isfinite(samples).all():
        raise ValueError("it holds samples that are not numbers")
    if np.abs(samples).max() > 2:
        raise ValueError("its samples are far above 1; export it within [-1, 1]")
    if waveform.var() < 0.01 * samples.var(axis=0).mean():
        raise ValueError("its channels cancel, because they have opposite phase")
    waveform = waveform.clip(-1, 1)
    return waveform if rate == SAMPLE_RATE else resample(waveform, rate)


def is_cut_off(path):
    """Return whether a wav or aiff file is shorter than its header says."""
    with open(path, "rb") as file:
        head = file.read(12)
    order = {{b"RIFFWAVE": "little", b"FORMAIFF": "big"}}.get(head[:4] + head[8:])
    length = int.from_bytes(head[4:8], order or "little") + 8
    # A program that writes to a pipe leaves about the largest number there.
    is_known = order is not None and length < 0x7F000000
    return is_known and length > os.path.getsize(path) + 1


def resample(waveform, rate):
    """Return a waveform at SAMPLE_RATE, through a windowed sinc: no aliases."""
    ratio = Fraction(SAMPLE_RATE, rate).limit_denominator(4000)
    new, old = ratio.numerator, ratio.denominator
    cutoff = CUTOFF * min(new, old)
    width = math.ceil(ZEROS * old / cutoff)
    time = np.arange(-width, width + old) / old - np.arange(new)[:, None] / new
    time = (time * cutoff).clip(-ZEROS, ZEROS)
    kernel = np.sinc(time) * np.cos(np.pi / 2 * time / ZEROS) ** 2 * cutoff / old
    padded = np.pad(waveform, (width, width + old))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + old)[::old]
    blocks = [pieces[at : at + 256] @ kernel.T for at in range(0, len(pieces), 256)]
    return np.concatenate(blocks).ravel()[: math.ceil(len(waveform) * new / old)]


def classify(session, waveform):
    """Return the most probable classes of a waveform as text."""
    # Less than one step of 16 bits: the model would answer, but its answer means nothing.
    if np.ptp(waveform) < 2**-15:
        return "digital silence"
    about = session.get_modelmeta().custom_metadata_map
    labels, task = json.loads(about["labels"]), about["task"]
    labels = [printable(label) for label in labels]
    logits = session.run(["logits"], {{"features": features(waveform)[None]}})[0][0]
    if task == "single-label":
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
    else:
        probabilities = 1 / (1 + np.exp(-logits))
    top = np.argsort(-probabilities)[:TOP]
    return ", ".join(f"{{labels[index]}} {{probabilities[index]:.3f}}" for index in top)


def main(paths):
    """Print a line for each recording; return whether one could not be read."""
    session = onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    failed = False
    for path in paths:
        try:
            print(f"{{printable(path)}}  {{classify(session, read(path))}}")
        except ValueError as error:
            print(printable(f"{{path}}: {{error}}."), file=sys.stderr)
            failed = True
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
'''


def write_example(folder: Path, model_file: str, *, own_features: bool = False) -> None:
    """Write ``example.py``, which prints the top answers of a model file for recordings.

    ``own_features`` means that the front end calls a function of the user's own.
    """
    needs = ", and what features.py imports" if own_features else ""
    lowest, highest = SAMPLE_RATE_RANGE
    text = EXAMPLE.format(
        model=model_file,
        needs=needs,
        zeros=FILTER_ZEROS,
        cutoff=FILTER_CUTOFF,
        lowest=lowest,
        highest=highest,
    )
    files.write_bytes(folder / "example.py", text.encode())
