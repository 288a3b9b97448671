"""Teacher networks: one file each, a function ``build(bands, classes, *, width, depth, ...) -> Network``."""
