"""Inversion methods: one file each. A method is a module with two names.

    Settings                         a frozen dataclass: every number of the method, with help text and range; if there is
                                     a ``longest``, clips of one label have that many frames at most, by default
    Generator(teacher, settings, machine, seed)
        .round(number, target, frames) -> Inverted     one batch of finished clips, one for each target
        .state() / .load(state)                        all that the next round depends on, to go on after a kill
        .recordings                                    absent, or of a method that hears recordings: their ``dataset`` and
                                                       ``test_fold`` (what was left out), to be remembered of its students

``number`` counts rounds from 0. ``target`` is on the CPU: class indices ``(B,)`` int64, tags ``(B, K)`` float32, or activities
``(B, K, frames)`` float32 in [0, 1], as the teacher's task has them. What comes back is ``(B, F, frames)`` float32, on any
device, within the front end's range. The teacher, in eval mode and without gradients to its weights, must stay as it was.

To add one, write ``generators/mine.py``; ``frami synthesize --method mine`` and the contract tests find it by its
name. ``frami.generators.frami`` shows how a method picks from parametrisations, priors and views; ``noise`` is the
shortest. The engine around it (`frami.synthesis`) draws targets and lengths, stores, resumes and reports.
"""
