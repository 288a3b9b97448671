"""Models that can be used together, and models that cannot."""

from __future__ import annotations

import copy
import re
from dataclasses import replace

import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.models.architecture import Architecture
from frami.models.compatibility import check_compatible
from frami.models.model import Model
from frami.models.network import Network
from tests.conftest import LABELS, make_teacher


def make_detector(network: str, front_end: FrontEnd) -> Model:
    model = Model.build(Architecture(network, {"width": 4}), front_end, LABELS, task="sound-events")
    model.network.eval()
    return model


@pytest.mark.parametrize("what", ["labels", "interval between frames", "task"])
def test_check_compatible_unlike_models_raise(what: str, front_end: FrontEnd) -> None:
    teacher = make_teacher(front_end)
    others = {
        "labels": replace(teacher, labels=("a", "b", "c")),
        "interval between frames": make_teacher(
            replace(front_end, hop_length=front_end.hop_length + 1)
        ),
        "task": replace(make_teacher(front_end), task="multi-label"),
    }
    with pytest.raises(UsageError, match=what):
        check_compatible([teacher, others[what]])


@pytest.mark.parametrize(
    ("labels", "own", "other"),
    [
        (("a", "b", "c"), f"3 ({', '.join(LABELS)})", "3 (a, b, c)"),
        ((LABELS[0], "b", LABELS[2]), f"3 ({LABELS[1]})", "3 (b)"),
    ],
)
def test_check_compatible_error_names_labels_that_differ(
    labels: tuple[str, ...], own: str, other: str, front_end: FrontEnd
) -> None:
    teacher = make_teacher(front_end)
    with pytest.raises(UsageError, match=f"{re.escape(own)}.*{re.escape(other)}"):
        check_compatible([teacher, replace(teacher, labels=labels)])


class WholeGroups(torch.nn.Module):
    """Drops the last frames that do not make a whole group of four."""

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return mel[..., : mel.shape[3] // 4 * 4]


def test_check_compatible_other_frame_rate_raises(front_end: FrontEnd) -> None:
    detectors = [make_detector(name, front_end) for name in ("secrnn", "dscnn")]
    with pytest.raises(UsageError, match="frame rate"):
        check_compatible(detectors)


def test_check_compatible_other_rounding_of_frames_raises(front_end: FrontEnd) -> None:
    detector = make_detector("secrnn", front_end)
    other = copy.deepcopy(detector)
    check_compatible([detector, other])
    assert isinstance(other.network, Network)
    other.network.encoder = torch.nn.Sequential(WholeGroups(), other.network.encoder)
    # With an even number of frames both are alike; with an odd number one has a frame less.
    logits = [model.network(torch.zeros(1, 24, 64)).logits for model in (detector, other)]
    assert torch.equal(*logits)
    with pytest.raises(UsageError, match="frame rate"):
        check_compatible([detector, other])


def test_check_compatible_does_not_run_taggers(
    front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the network was called")

    tagger = replace(make_teacher(front_end), task="multi-label")
    monkeypatch.setattr(tagger.network, "forward", fail)
    check_compatible([tagger])
    check_compatible([tagger, copy.copy(tagger)])
