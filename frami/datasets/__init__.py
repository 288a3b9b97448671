"""Sets of real recordings, for auditing and for the upper bound: one file each, found by its name.

A data set is a module with

    SECONDS, SAMPLE_RATE    how long a clip of it is at most, and the rate it is published at
    FOLDER                  what its folder is called below a folder that holds several sets
    test_folds(folder)      the names that ``--test-fold`` may take
    split(folder, fold)     a `Split`: the recordings to train on and those to test on, and what they are annotated for
    APART                   True where what is trained on is tested on for no fold (absent where it is)
    MADE_OF                 the data set that it was mixed from (absent where it was not)
    ARCHIVES                what ``frami data get`` downloads (absent where there is nothing to download)

Folds are never mixed: every `Recordings` comes out of one call of ``split``, which puts a whole fold on one side.
"""
