"""What libraries compute: called where they are installed, else written from their source."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import librosa
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.audio import _torchaudio

Array = NDArray[Any]
Features = Callable[[Array], Array]  # waveform (T,) to (F, N), both float64


def _torchaudio_features(to_values: Callable[[Tensor], Tensor], **settings: Any) -> Features:
    def features(x: Array) -> Array:
        settings_ = {"wkwargs": {"dtype": torch.float64}, **settings}
        mel = _torchaudio.transforms.MelSpectrogram(**settings_).double()
        return np.asarray(to_values(mel(torch.from_numpy(x))))

    return features


def _kaldi(x: Array, **settings: Any) -> Array:
    return np.asarray(_torchaudio.kaldi.fbank(torch.from_numpy(x)[None], **settings)).T


def _ast(x: Array) -> Array:
    """src/dataloader.py of AST; its subtraction of the clip's mean changes nothing here."""
    features = _kaldi(
        x - x.mean(),
        htk_compat=True,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=128,
        dither=0.0,
        frame_shift=10,
    )
    return (features + 4.2677393) / (4.5689974 * 2)


def _panns(x: Array) -> Array:
    """torchlibrosa's Spectrogram and LogmelFilterBank with the settings of Cnn14."""
    power = np.abs(librosa.stft(x, n_fft=1024, hop_length=320, pad_mode="reflect")) ** 2
    bank = librosa.filters.mel(sr=32000, n_fft=1024, n_mels=64, fmin=50, fmax=14000)
    return np.asarray(10 * np.log10(np.maximum(bank @ power, 1e-10)))


def _spectrum(x: Array, window: Array, n_fft: int, hop: int, pad_mode: Any = "reflect") -> Array:
    """Return the complex spectrum of centered frames, ``(bins, N)``."""
    padded = np.pad(x, n_fft // 2, mode=pad_mode)
    before = (n_fft - len(window)) // 2
    whole = np.pad(window, (before, n_fft - len(window) - before))
    starts = range(0, len(padded) - n_fft + 1, hop)
    return np.stack([np.fft.rfft(padded[s : s + n_fft] * whole) for s in starts], axis=1)


def _mel(hertz: Any) -> Any:
    return 1127.0 * np.log1p(np.asarray(hertz, dtype=np.float64) / 700.0)


def _triangles_over_mel(bands: int, n_fft: int, rate: int, low: float, high: float) -> Array:
    """Return Kaldi's and TensorFlow's mel weights, ``(bands, bins)``."""
    edges = np.linspace(_mel(low), _mel(high), bands + 2)
    mel = _mel(np.arange(n_fft // 2 + 1) * rate / n_fft)
    rows = []
    for below, center, above in zip(edges, edges[1:], edges[2:], strict=False):
        up, down = (mel - below) / (center - below), (above - mel) / (above - center)
        rows.append(np.maximum(0, np.minimum(up, down)))
    return np.stack(rows)


def _efficientat(x: Array) -> Array:
    """AugmentMelSTFT in eval mode."""
    emphasized = x[1:] - 0.97 * x[:-1]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 799)
    power = np.abs(_spectrum(emphasized, window, 1024, 320)) ** 2
    bank = _triangles_over_mel(128, 1024, 32000, 0.0, 15000.0)
    return np.asarray((np.log(bank @ power + 1e-5) + 4.5) / 5)


def _speechbrain(bands: int) -> Features:
    def features(x: Array) -> Array:
        """STFT, spectral_magnitude(power=1) and Filterbank with the settings of Fbank."""
        window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
        power = np.abs(_spectrum(x, window, 400, 160, "constant")) ** 2
        # float32, as there: a narrow filter may hold the foot of its triangle alone.
        edges = torch.linspace(0, 2595 * math.log10(1 + 8000 / 700), bands + 2)
        hertz = 700 * (10 ** (edges / 2595) - 1)
        slope = (torch.linspace(0, 8000, 201)[:, None] - hertz[1:-1]) / (hertz[1:-1] - hertz[:-2])
        bank = np.maximum(0, np.minimum((slope + 1).numpy(), (1 - slope).numpy()))
        values = 10 * np.log10(np.maximum(bank.T @ power, 1e-10))
        return np.asarray(np.maximum(values, values.max() - 80))

    return features


def _whisper(x: Array) -> Array:
    """log_mel_spectrogram, without the padding to 30 s."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    power = np.abs(_spectrum(x, window, 400, 160)[:, :-1]) ** 2
    bank = librosa.filters.mel(sr=16000, n_fft=400, n_mels=80)
    values = np.log10(np.maximum(bank @ power, 1e-10))
    return np.asarray((np.maximum(values, values.max() - 8) + 4) / 4)


def _mlperf_tiny(x: Array) -> Array:
    """get_dataset.py of the keyword benchmark: TensorFlow's stft, mel weights and MFCCs."""
    x = x / x.max()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(480) / 480)
    starts = range(0, len(x) - 480 + 1, 320)
    magnitude = np.stack([np.abs(np.fft.rfft(x[s : s + 480] * window, 512)) for s in starts], 1)
    log_mel = np.log(_triangles_over_mel(40, 512, 16000, 20.0, 4000.0) @ magnitude + 1e-6)
    rows = [
        2 * (log_mel * np.cos(np.pi * k * (2 * np.arange(40)[:, None] + 1) / 80)).sum(axis=0)
        for k in range(10)
    ]
    return np.asarray(np.stack(rows) / np.sqrt(2 * 40))


LIBRARIES: Mapping[str, Features] = {
    "librosa": lambda x: librosa.power_to_db(librosa.feature.melspectrogram(y=x)),
    "librosa-mfcc": lambda x: librosa.feature.mfcc(y=x),
    "kaldi": _kaldi,
    "ast": _ast,
    "panns": _panns,
    "efficientat": _efficientat,
    "ced": _torchaudio_features(
        _torchaudio.transforms.AmplitudeToDB(top_db=120),
        n_fft=512,
        win_length=512,
        hop_length=160,
        n_mels=64,
        f_max=8000,
    ),
    "speechbrain": _speechbrain(40),
    "speechbrain-ecapa": _speechbrain(80),
    "torchaudio": _torchaudio_features(_torchaudio.transforms.AmplitudeToDB(), n_mels=128),
    "torchaudio-log": _torchaudio_features(lambda mel: (mel + 1e-6).log(), n_mels=128),
    "torchaudio-mfcc": lambda x: np.asarray(
        _torchaudio.transforms.MFCC(melkwargs={"wkwargs": {"dtype": torch.float64}}).double()(
            torch.from_numpy(x)
        )
    ),
    "bcresnet": _torchaudio_features(
        lambda mel: (mel + 1e-6).log(), n_fft=512, win_length=480, hop_length=160, n_mels=40
    ),
    "whisper": _whisper,
    "mfcc": _mlperf_tiny,
}
