"""Inversion methods: one file each. A method is a module with two names.

    Settings                         a frozen dataclass: every number of the method, with help text and range; if there is
                                     a ``longest``, clips of one label have that many frames at most, by default
    Generator(teacher, settings, machine, seed)
        .round(number, target, frames) -> Inverted     one batch of finished clips, one for each target
        .state() / .load(state)                        all that the next round depends on, to go on after a kill

To add one, write ``generators/mine.py``; ``frami synthesize --method mine`` and the contract tests find it by its
name. ``frami.generators.frami`` shows how a method picks from parametrisations, priors and views; ``noise`` is the
shortest. The engine around it (`frami.synthesis`) draws targets and lengths, stores, resumes and reports.
"""
