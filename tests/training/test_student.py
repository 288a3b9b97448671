"""The student during training: its projections, and its moving average."""

from __future__ import annotations

import torch

from frami.audio.frontend import FrontEnd
from frami.training.student import ProjectedStudent, make_ema_student
from tests.conftest import make_teacher


def test_projected_student_takes_first_bands(front_end: FrontEnd) -> None:
    network = make_teacher(front_end).network
    stacked = torch.randn(2, 2 * front_end.n_mels, 20)
    projected = ProjectedStudent(network, [front_end.n_mels] * 2, None)
    first = stacked[:, : front_end.n_mels]
    assert torch.equal(projected(stacked).logits, network(first).logits)


def test_projected_student_has_teacher_sizes(front_end: FrontEnd) -> None:
    network = make_teacher(front_end).network
    mel = torch.randn(2, front_end.n_mels, 20)
    output = ProjectedStudent(network, [front_end.n_mels], 11, 13)(mel)
    assert output.hidden.shape[:2] == (2, 11) and output.stats.shape == (2, 22)
    assert output.embedding.shape == (2, 13)
    assert torch.equal(output.logits, network(mel).logits)


def test_ema_student_averages_weights_and_copies_buffers() -> None:
    linear, norm = torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)
    student = torch.nn.Sequential(linear, norm)
    average = make_ema_student(student, 0.9)
    expected = linear.weight.detach().clone()
    for step in range(3):
        with torch.no_grad():
            linear.weight += step + 1
        student(torch.randn(4, 2))
        average.update_parameters(student)
        expected = 0.9 * expected + 0.1 * linear.weight.detach()
    state = average.module.state_dict()
    torch.testing.assert_close(state["0.weight"], expected)
    torch.testing.assert_close(state["1.running_mean"], norm.running_mean)
    assert not any(p.requires_grad for p in average.parameters())


def test_ema_student_reloaded_continues_exactly() -> None:
    student = torch.nn.Linear(2, 2)
    first, second = make_ema_student(student, 0.9), make_ema_student(student, 0.9)
    for step in range(4):
        with torch.no_grad():
            student.weight += step + 1
        first.update_parameters(student)
        if step == 1:
            second.load_state_dict(first.state_dict())
        elif step > 1:
            second.update_parameters(student)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name])
