"""Student networks: one file each, a function ``build(bands, classes, *, width, depth, ...) -> Network``.

To add one, write ``students/mine.py`` with such a function; ``--student mine`` and the contract tests find it by name.
Every argument after ``classes`` needs a default and goes into the bundle, so that loading builds the same network again.
"""
