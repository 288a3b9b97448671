"""Teacher networks: one file each, with a function ``build``.

See `frami.students` for how to add a network. Teachers and students may use any network.
"""
