"""How near models come to torchcrepe: python measure_pitch.py [--speech FOLDER] BUNDLE ..."""

import argparse
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchcrepe
from pitch import build
from scipy.signal import resample_poly

import frami

SAMPLES = 3200  # of every clip: 0.2 s at 16 kHz


def tones() -> torch.Tensor:
    """Return 200 harmonic tones ``(B, T)`` with fundamentals between 60 and 600 Hz."""
    rng = np.random.default_rng(0)
    clips = np.zeros((200, SAMPLES), dtype=np.float32)
    for clip in clips:
        pitch, decay = 60 * 10 ** rng.uniform(), rng.uniform(0.5, 1.5)
        numbers = np.arange(1, min(20, int(7000 / pitch)) + 1)[:, None]
        phases = 2 * np.pi * (numbers * pitch * np.arange(SAMPLES) / 16000 + rng.uniform())
        clip += (np.sin(phases) / numbers**decay).sum(axis=0) * 0.1
    return torch.from_numpy(clips)


def speech(folder: Path) -> torch.Tensor:
    """Return clips ``(B, T)`` of recordings, each half a clip after the one before."""
    clips = []
    for path in sorted([*folder.glob("*.wav"), *folder.glob("*.flac")]):
        waveform, rate = soundfile.read(path, dtype="float32")
        waveform = torch.from_numpy(resample_poly(waveform, 16000, rate))
        clips += waveform.unfold(0, SAMPLES, SAMPLES // 2) if len(waveform) >= SAMPLES else []
    return torch.stack(clips)


parser = argparse.ArgumentParser()
parser.add_argument("--speech", type=Path, help="folder of recordings")
parser.add_argument("bundles", nargs="+")
arguments = parser.parse_args()
crepe = build().eval()
weights = Path(torchcrepe.__file__).parent / "assets" / "tiny.pth"
crepe.load_state_dict(torch.load(weights, weights_only=True))
sources = {"tones": tones()} | ({"speech": speech(arguments.speech)} if arguments.speech else {})
print("model | clips | number | pitch accuracy | chroma accuracy | median error (cents)")
with torch.no_grad():
    for name, clips in sources.items():
        probability, expected = torch.cat([crepe(one) for one in clips.split(64)]).max(dim=1)
        voiced = probability > 0.5
        for bundle in arguments.bundles:
            model = frami.load(bundle, trust_code=True)
            mels = model.front_end(clips[voiced]).split(64)
            found = torch.cat([model.network(mel).logits.argmax(dim=1) for mel in mels])
            error = 20 * (found - expected[voiced]).abs()  # classes are 20 cents apart
            chroma = ((error + 600) % 1200 - 600).abs()
            shares = [f"{(one <= 50).float().mean():.3f}" for one in (error, chroma)]
            print(bundle, name, len(error), *shares, int(error.median()), sep=" | ")
