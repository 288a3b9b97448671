"""Parts that the descriptions of bundles, stores and runs share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from frami.audio.frontend import FrontEnd
from frami.core import files
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback
from frami.core.run import read_metrics
from frami.data.clips import Spectrograms
from frami.data.recordings import Split
from frami.reporting import charts

Rows = list[tuple[str, str]]


def format_front_end(front_end: FrontEnd) -> str:
    """Return the settings of a front end as a sentence."""
    rate = front_end.sample_rate
    window, hop = 1000 * front_end.win_length / rate, 1000 * front_end.hop_length / rate
    short = f"shorter than {front_end.repeat_seconds:g} s" * (front_end.repeat_seconds > 0)
    standardized = (
        f"standardized with mean {front_end.mean:g} and standard deviation {front_end.std:g}; "
        f"clips {short or 'too short for a frame'} are repeated"
    )
    if front_end.function:
        return (
            f"{rate} Hz; {front_end.n_mels} features of {front_end.function.partition('@')[0]}, "
            f"hop of {front_end.hop_length} samples ({hop:g} ms), {standardized}"
        )
    prepared = "".join(f"{step}; " for step in _preparation(front_end))
    kind = "Hann" if front_end.window == "hann" else front_end.window
    return (
        f"{rate} Hz; {prepared}{kind} window of {front_end.win_length} samples ({window:g} ms), "
        f"FFT of {front_end.n_fft}, hop of {front_end.hop_length} samples ({hop:g} ms); "
        f"{front_end.n_bands} {front_end.filterbank} bands from {front_end.f_min:g} to "
        f"{front_end.f_max:g} Hz; {_compression(front_end)}, {standardized}"
    )


def _preparation(front_end: FrontEnd) -> list[str]:
    """Return what happens before the windows; nothing for most front ends."""
    steps = {
        "clips divided by their highest sample": front_end.normalize_peak,
        f"waveform times {front_end.waveform_scale:g}": front_end.waveform_scale != 1,
        f"pre-emphasis {front_end.pre_emphasis:g}": front_end.pre_emphasis,
        "mean of each frame subtracted": front_end.remove_dc,
        f"pre-emphasis {front_end.frame_pre_emphasis:g} in each frame": (
            front_end.frame_pre_emphasis
        ),
        "padded with zeros": front_end.padding == "zeros",
        "not padded": front_end.padding == "none",
        "last frame left out": front_end.drop_last_frame,
    }
    return [step for step, done in steps.items() if done]


def _compression(front_end: FrontEnd) -> str:
    """Return what happens to the powers of the bands."""
    quantity = f"magnitude^{front_end.power:g}"
    quantity = {"magnitude^2": "power", "magnitude^1": "magnitude"}.get(quantity, quantity)
    floor = f"{front_end.power_floor:g}"
    inner = f"max({quantity}, {floor})" if front_end.clamp_power else f"{quantity} + {floor}"
    text = f"10 log10({inner})" if front_end.log == "dB" else f"{front_end.log}({inner})"
    if front_end.top_db:
        text += f", at most {front_end.top_db:g} dB below the highest of the clip"
    if front_end.mfcc_bands:
        text += f"; {front_end.n_mels} MFCCs ({front_end.dct})"
    return text


def format_frame_range(front_end: FrontEnd, frame_range: tuple[int, int]) -> str:
    """Return the shortest and longest length in frames and seconds."""
    low, high = (f"{count} frames ({front_end.seconds(count):.2f} s)" for count in frame_range)
    return low if low == high else f"{low} to {high}"


def load_test_clips(split: Split, front_end: FrontEnd, report: ProgressCallback) -> Spectrograms:
    """Return the spectrograms of a test fold; reading them is a stage of the work of ``report``.

    Raises:
        UsageError: If this copy of the data set has no recordings of the fold.
    """
    if not len(split.test):
        raise UsageError(
            f"This copy of {split.dataset} has no recordings of fold {split.test_fold}. "
            f"{split.missing}".rstrip()
        )
    return Spectrograms.from_recordings(split.test, front_end, report=report)


def loss_plot(folder: Path) -> dict[str, Figure]:
    """Return the plot of the losses that a run has logged, by name; empty if there are none."""
    rows = read_metrics(folder)
    return {"losses": charts.loss_curves(rows)} if charts.loss_names(rows) else {}


def write_files(out: Path, plots: Mapping[str, Figure], sounds: Mapping[str, bytes]) -> Rows:
    """Write plots and sounds into a folder; return the row that lists them."""
    contents = {f"{name}.png": charts.to_png(figure) for name, figure in plots.items()}
    contents.update(sounds)
    for name, content in contents.items():
        files.write_bytes(files.ensure_dir(out) / name, content)
    return [("written", f"to {out}: {', '.join(contents) or 'nothing, as no loss was logged'}")]
