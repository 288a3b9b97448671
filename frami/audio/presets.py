"""The front ends of other libraries, by name.

A preset computes what its library computes for one clip, but for rounding: in float32, a value far
below the loudest one of its frame is rounding noise in every library. Models take these values as
they are: ``mean`` and ``std`` are the library's own. `frami.audio.preset_names` says what the
presets are for.

A preset repeats a clip only if the clip is too short for a frame, or for the mirror at its ends.
The libraries refuse such clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from frami.audio.frontend import FrontEnd
from frami.core.errors import unknown_name

LIBROSA = FrontEnd(
    sample_rate=22050,
    n_fft=2048,
    win_length=2048,
    hop_length=512,
    n_mels=128,
    f_min=0.0,
    f_max=11025.0,
    repeat_seconds=0.0,
    filterbank="librosa",
    padding="zeros",
    log="dB",
    power_floor=1e-10,
    clamp_power=True,
    top_db=80.0,
)
KALDI = FrontEnd(
    n_fft=512,
    win_length=400,
    hop_length=160,
    n_mels=23,
    f_min=20.0,
    repeat_seconds=0.0,
    filterbank="kaldi",
    window="povey",
    padding="none",
    frame_pre_emphasis=0.97,
    remove_dc=True,
    power_floor=2.0**-23,
    clamp_power=True,
)
PANNS = FrontEnd(
    sample_rate=32000,
    hop_length=320,
    f_max=14000.0,
    repeat_seconds=0.0,
    filterbank="librosa",
    log="dB",
    power_floor=1e-10,
    clamp_power=True,
)
EFFICIENTAT = FrontEnd(
    sample_rate=32000,
    win_length=800,
    hop_length=320,
    n_mels=128,
    f_min=0.0,
    f_max=15000.0,
    repeat_seconds=0.0,
    filterbank="kaldi",
    window="hann-symmetric",
    pre_emphasis=0.97,
    power_floor=1e-5,
    mean=-4.5,
    std=5.0,
)
SPEECHBRAIN = FrontEnd(
    n_fft=400,
    win_length=400,
    hop_length=160,
    n_mels=40,
    f_min=0.0,
    repeat_seconds=0.0,
    filterbank="speechbrain",
    window="hamming",
    padding="zeros",
    log="dB",
    power_floor=1e-10,
    clamp_power=True,
    top_db=80.0,
)
TORCHAUDIO = FrontEnd(
    n_fft=400,
    win_length=400,
    hop_length=200,
    n_mels=128,
    f_min=0.0,
    repeat_seconds=0.0,
    log="dB",
    power_floor=1e-10,
    clamp_power=True,
)
TORCHAUDIO_LOG = replace(TORCHAUDIO, log="ln", power_floor=1e-6, clamp_power=False)
WHISPER = FrontEnd(
    n_fft=400,
    win_length=400,
    hop_length=160,
    n_mels=80,
    f_min=0.0,
    repeat_seconds=0.0,
    filterbank="librosa",
    drop_last_frame=True,
    log="log10",
    power_floor=1e-10,
    clamp_power=True,
    top_db=80.0,
    mean=-4.0,
    std=4.0,
)
MLPERF_TINY = FrontEnd(
    n_fft=512,
    win_length=480,
    hop_length=320,
    n_mels=10,
    f_min=20.0,
    f_max=4000.0,
    repeat_seconds=0.0,
    filterbank="kaldi",
    padding="none",
    normalize_peak=True,
    power=1.0,
    power_floor=1e-6,
    mfcc_bands=40,
    dct="htk",
)

PRESETS: Mapping[str, FrontEnd] = MappingProxyType(
    {
        "librosa": LIBROSA,
        "librosa-mfcc": replace(LIBROSA, n_mels=20, mfcc_bands=128),
        "kaldi": KALDI,
        "ast": replace(
            KALDI, n_mels=128, window="hann-symmetric", mean=-4.2677393, std=2 * 4.5689974
        ),
        "panns": PANNS,
        "efficientat": EFFICIENTAT,
        "ced": replace(
            TORCHAUDIO, n_fft=512, win_length=512, hop_length=160, n_mels=64, top_db=120.0
        ),
        "speechbrain": SPEECHBRAIN,
        "speechbrain-ecapa": replace(SPEECHBRAIN, n_mels=80),
        "torchaudio": TORCHAUDIO,
        "torchaudio-log": TORCHAUDIO_LOG,
        "torchaudio-mfcc": replace(TORCHAUDIO, n_mels=40, mfcc_bands=128, top_db=80.0),
        "bcresnet": replace(TORCHAUDIO_LOG, n_fft=512, win_length=480, hop_length=160, n_mels=40),
        "whisper": WHISPER,
        "mfcc": MLPERF_TINY,
    }
)


def find_preset(name: str) -> FrontEnd:
    """Return the front end of a preset.

    Raises:
        UsageError: There is no such preset; the message lists all.
    """
    if name not in PRESETS:
        raise unknown_name("front end", name, PRESETS)
    return PRESETS[name]
