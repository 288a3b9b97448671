"""Student networks: one file each, a function ``build(bands, classes, *, width, depth, ...)``.

To add a network, write ``students/mine.py`` with a function ``build`` that returns a
`frami.models.network.Network`. The command line (``--student mine``) and the contract tests find it
by its name. ``build`` takes ``width`` and ``depth``, which those tests set, and further numbers if
you like. Every argument after ``classes`` needs a default. The bundle stores the arguments, so
that loading builds the same network again.
"""
