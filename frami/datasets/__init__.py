"""Data sets of real recordings, for upper bounds and audits, and one of generated tones.

A data set is one module. Add ``frami/datasets/mine.py`` and ``mine`` is a data set for every
command and function; no other file changes. A module elsewhere on Python's path works under its
dotted name, such as ``mylab.mine``. A module must define:

    SECONDS                 Maximum length of a clip (s), a float.
    SAMPLE_RATE             Sample rate of the published files (Hz), an int.
    FOLDER                  Usual name of the data set's folder, in lower case. ``data`` may then be
                            a folder that holds several data sets. "" if the clips are generated.
    test_folds(folder)      Return the names of the folds that can be held out in this copy, a list
                            of str. They are the allowed values of ``test_fold``.
    split(folder, fold)     Return a `frami.data.recordings.Split` that holds out the fold ``fold``.

It may also define:

    ARCHIVES                The files that ``frami data get`` downloads and unpacks into the folder,
                            a tuple of `frami.data.recordings.Archive`. Default: (), no download.
    DISJOINT_FOLDS          True if the training clips of one fold are never test clips of another,
                            as with fixed training and test sets. A model trained with one fold held
                            out can then be tested on any other. Default: False, as for
                            cross-validation, where frami warns or stops in that case.
    DERIVED_FROM            Name of the data set whose clips this one contains, in a mixture for
                            example. Models of one are then not tested on the other without a
                            warning. Default: None. Data sets with the same ``FOLDER`` are always
                            treated like this.
    ANY_FOLDER              True if ``data`` is the data set's own folder, whatever its name; FOLDER
                            is then "". Default: False.

``folder`` is a `pathlib.Path` to the data set's own folder. ``split`` must

- follow the official protocol, and put all clips of a fold on one side;
- return a class index per clip for ``task="single-label"`` (the default), tags ``(S, K)`` for
  ``task="multi-label"``, and tags and events for ``task="sound-events"``;
- work with an incomplete copy, and describe what is not there in ``missing``;
- raise `frami.core.errors.UsageError` for another layout or an unknown fold, with a way out.

Helpers: `frami.data.folds` for protocols that list each clip with its fold, `frami.data.tables`
for csv and tab-separated files, `frami.data.annotations` for events. `frami.datasets.esc50` is a
short example; `frami.datasets.urbansed` is one with events.
"""
