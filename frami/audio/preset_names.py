"""Names of the presets of `frami.audio.presets`, and what they compute. Nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class PresetSource:
    """Where a preset comes from.

    Attributes:
        summary: One line: the library or model, the sample rate and the bands.
        source: The call, or the file of the library's repository.
    """

    summary: str
    source: str


SOURCES: Mapping[str, PresetSource] = MappingProxyType(
    {
        "librosa": PresetSource(
            "librosa's mel spectrogram in dB: 22.05 kHz, 128 bands, top 80 dB.",
            "librosa.power_to_db(librosa.feature.melspectrogram(y=y))",
        ),
        "librosa-mfcc": PresetSource(
            "librosa's MFCCs: 22.05 kHz, 20 coefficients of 128 bands.", "librosa.feature.mfcc(y=y)"
        ),
        "kaldi": PresetSource(
            "Kaldi's filterbank features, waveform in [-1, 1]: 16 kHz, 23 bands.",
            "torchaudio.compliance.kaldi.fbank(waveform)",
        ),
        "ast": PresetSource(
            "AST, normalized for AudioSet and not padded: 16 kHz, 128 Kaldi bands.",
            "github.com/YuanGongND/ast, src/dataloader.py",
        ),
        "panns": PresetSource(
            "PANNs, e.g. Cnn10 and Cnn14: 32 kHz, 64 bands from 50 to 14,000 Hz, dB.",
            "github.com/qiuqiangkong/audioset_tagging_cnn, pytorch/models.py",
        ),
        "efficientat": PresetSource(
            "EfficientAT and PaSST: 32 kHz, 128 Kaldi bands up to 15 kHz.",
            "github.com/fschmid56/EfficientAT, models/preprocess.py",
        ),
        "ced": PresetSource(
            "CED, e.g. CED-tiny: 16 kHz, 64 bands, dB, top 120 dB.",
            "github.com/RicherMans/CED, models/audiotransformer.py",
        ),
        "speechbrain": PresetSource(
            "SpeechBrain's Fbank: 16 kHz, 40 bands, dB, top 80 dB.",
            "speechbrain.lobes.features.Fbank()",
        ),
        "speechbrain-ecapa": PresetSource(
            "SpeechBrain's ECAPA-TDNN, before it subtracts the mean: as speechbrain, 80 bands.",
            "speechbrain.lobes.features.Fbank(n_mels=80)",
        ),
        "torchaudio": PresetSource(
            "torchaudio's mel spectrogram in dB: 16 kHz, 128 bands.",
            "torchaudio.transforms.MelSpectrogram(), AmplitudeToDB()",
        ),
        "torchaudio-log": PresetSource(
            "torchaudio's mel spectrogram, ln(power + 1e-6): 16 kHz, 128 bands.",
            "torchaudio.transforms.MelSpectrogram(), (mel + 1e-6).log()",
        ),
        "torchaudio-mfcc": PresetSource(
            "torchaudio's MFCCs: 16 kHz, 40 coefficients of 128 bands.",
            "torchaudio.transforms.MFCC()",
        ),
        "bcresnet": PresetSource(
            "BC-ResNet for keywords: 16 kHz, 40 bands, ln(power + 1e-6).",
            "github.com/Qualcomm-AI-research/bcresnet, utils.py",
        ),
        "whisper": PresetSource(
            "Whisper's log10 mel spectrogram, not padded: 16 kHz, 80 bands, top 80 dB.",
            "github.com/openai/whisper, whisper/audio.py",
        ),
        "mfcc": PresetSource(
            "DS-CNN for keywords of MLPerf Tiny: 16 kHz, 10 MFCCs of 40 bands, 30 ms windows.",
            "github.com/mlcommons/tiny, benchmark/training/keyword_spotting/get_dataset.py",
        ),
    }
)
