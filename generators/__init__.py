'''Inversion methods, one file each.

A method makes spectrograms from a frozen teacher, in rounds of one batch. Its module defines two
names:

    Settings    a frozen dataclass, subclass of `frami.inversion.method.MethodSettings`: every
                number of the method, with its help text and range
    Method      a class or function that takes (teacher, settings, runtime, seed); what it returns
                has `run_round`, `state_dict` and `load_state_dict`

This is a complete method, with one setting:

    """Blobs: noise of a given loudness."""

    from dataclasses import dataclass
    from typing import Any

    import torch
    from torch import Tensor

    from frami.core.runtime import Runtime
    from frami.core.seeds import Stream, make_rng
    from frami.core.settings import setting
    from frami.inversion.loop import RoundResult
    from frami.inversion.method import MethodSettings
    from frami.models.model import Model


    @dataclass(frozen=True, kw_only=True)
    class Settings(MethodSettings):
        loudness: float = setting(0.5, "standard deviation of the noise", low=0)


    class Method:
        def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
            self.front_end, self.settings, self.seed = teacher.front_end, settings, seed

        def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
            rng = make_rng(self.seed, Stream.ROUND, index)
            mel = torch.randn(len(target), self.front_end.n_mels, n_frames, generator=rng)
            mel = (self.settings.loudness * mel).clamp(*self.front_end.value_range)
            return RoundResult(mel, losses={}, step=0)

        def state_dict(self) -> dict[str, Any]:
            return {}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            pass

Save it as ``generators/mine.py`` and run ``frami synthesize --method mine``. The contract tests
find the file by its name. A file outside this folder works too, under a name with a dot
(``--method lab.mine``).

The contract (`frami.inversion.method`):

- ``run_round(index, target, n_frames)`` returns a `frami.inversion.loop.RoundResult`: finished
  clips ``(B, F, n_frames)`` in float32, on any device, within the front end's range, one for each
  target.
- ``teacher`` is a `frami.models.model.Model`, ``runtime`` a `frami.core.runtime.Runtime` (device
  and precision), ``seed`` an int.
- ``index`` counts rounds from 0. Random numbers come from `frami.core.seeds.make_rng` with the seed
  and the index, so the same seed gives the same clips.
- ``target`` is on the CPU, in the format of the teacher's task: class indices ``(B,)`` int64, tags
  ``(B, K)`` float32, or activities ``(B, K, n_frames)`` float32 in [0, 1].
- A method that chooses the classes itself returns them as ``RoundResult.target``.
- ``state_dict()`` returns everything the next round depends on, in tensors, numbers, lists and
  dicts. After a kill, the engine passes it to ``load_state_dict`` and repeats the lost rounds.
- The teacher is in eval mode and its weights need no gradient. It must not be changed.

Optional parts:

- ``Settings.frame_limit`` (a property): longest clip made by default for a single-label teacher.
- ``Settings.default_mix`` (a class attribute): shares of the rounds that other methods make by
  default. Settings that are derived from FRAMI's inherit its half of random sounds.
- ``views`` (a setting from `frami.inversion.views.ViewSettings`): views on which losses are
  computed.
- The weight of a loss, made with `frami.core.settings.weight`, has the name of the loss.
- ``Method.recordings``: provenance of the recordings a method uses, a dict with ``dataset``,
  ``test_fold`` and ``fingerprint``. It is stored with every student.
- ``Method.read_recordings(report)``: reads recordings before the first round, with progress
  (`frami.data.clips.Spectrograms.from_recordings`).

Shared parts: `frami.inversion.loop` is the optimization loop, `frami.inversion.losses` has the
losses, `frami.inversion.terms` the settings and losses that most methods share,
`frami.inversion.adversarial` a generator trained against a student. ``dfad`` is the shortest
adversarial method, ``deepinversion`` the shortest that optimizes clips; `frami.generators.frami`
uses most parts. The engine (`frami.inversion.synthesize`) draws targets and lengths, stores the
clips, and resumes interrupted work.
'''
