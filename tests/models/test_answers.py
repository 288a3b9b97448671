"""A teacher that answers NaN, constants, a wrong number of classes or probabilities is found."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from frami.core.errors import OperationError
from frami.core.warn import FramiWarning
from frami.models.answers import check_answers, look_like_probabilities
from frami.models.finite import first_not_finite
from frami.models.network import Classifier, Output
from frami.models.tasks import find_task


class Fake(Classifier):
    """A network whose logits are a function of 3 random projections of a clip."""

    def __init__(self, change: nn.Module, task: str = "single-label") -> None:
        super().__init__()
        self.classes, self.task, self.change = 3, find_task(task), change
        self.projection = nn.Linear(24, 3)

    def forward(self, mel: Tensor) -> Output:
        logits = self.change(self.projection(mel.mean(dim=2)))
        return Output(logits, mel, mel, mel, task=self.task)


class Function(nn.Module):
    """A function of logits."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, logits: Tensor) -> Tensor:
        result: Tensor = self.function(logits)  # type: ignore[operator]
        return result


def check(function: object, task: str = "single-label") -> None:
    torch.manual_seed(0)
    check_answers(Fake(Function(function), task), torch.randn(8, 24, 20))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[:, :2], r"of shape \(8, 2\) for 8 clips; its 3 labels need \(8, 3\)"),
        (lambda x: x / 0, "not finite for 3 of 3 classes .*in the output of 'change'"),
        (lambda x: x.index_fill(1, torch.tensor([1]), -torch.inf), "for 1 of 3 classes"),
        (lambda x: 0 * x + 1, "8 different clips the same logits"),
    ],
)
def test_wrong_answers_are_refused(function: object, message: str) -> None:
    with pytest.raises(OperationError, match=message):
        check(function)


def test_nearly_constant_logits_get_a_warning() -> None:
    with pytest.warns(FramiWarning, match="clips nearly the same logits .*at most [1-9]e-0"):
        check(lambda x: 5 + 1e-6 * x)


def test_probabilities_are_named_and_logits_are_not() -> None:
    for function, task in (
        (lambda x: x.softmax(1), "single-label"),
        (lambda x: 100 * x.softmax(1), "single-label"),
        (torch.sigmoid, "single-label"),
        (torch.sigmoid, "multi-label"),
    ):
        with pytest.warns(FramiWarning, match="probabilities in place of logits"):
            check(function, task)
    with warnings.catch_warnings(action="error"):
        check(lambda x: x.log_softmax(1), "single-label")
        for task in ("single-label", "multi-label"):
            check(lambda x: x, task)
            check(lambda x: x - 3, task)
            check(torch.relu, task)


def test_logarithms_of_the_probabilities_of_tags_get_a_warning() -> None:
    for function in (nn.LogSigmoid(), lambda x: x.log_softmax(1)):
        with pytest.warns(FramiWarning, match="logarithms of probabilities"):
            check(function, "multi-label")


def test_a_few_tags_between_0_and_1_are_no_sign_of_probabilities() -> None:
    assert not look_like_probabilities("multi-label", torch.full((1, 31), 0.5))
    assert look_like_probabilities("multi-label", torch.full((2, 16), 0.5))
    assert look_like_probabilities("single-label", torch.full((1, 4), 0.25))
    assert look_like_probabilities("single-label", torch.tensor([[70.0, 30.0], [100.0, 0.0]]))
    for logits in ([[0.3] * 4], [[101.0, -1.0]], [[70.0, 30.0], [1.0, 3.0]]):
        assert not look_like_probabilities("single-label", torch.tensor(logits))
    frames = torch.cat([torch.full((4, 8, 1), 0.5), torch.full((4, 8, 5), -3.0)], dim=2)
    assert look_like_probabilities("sound-events", frames)


def test_the_first_module_that_is_not_finite_is_found() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)), nn.ReLU())
    with torch.no_grad():
        network.get_parameter("1.1.weight")[0, 0] = torch.nan
    assert first_not_finite(network, torch.ones(2, 4)) == "the output of '1.1'"
    assert first_not_finite(network, torch.full((2, 4), torch.inf)) == "the clips themselves"
    assert first_not_finite(nn.Linear(4, 4), torch.ones(2, 4)) == ""
