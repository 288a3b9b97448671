"""Audit what a teacher, its store and its student reveal about the training recordings.

audit        the audit from recordings to verdicts
sides        members and others, from folders or from the folds of a data set
pool         their spectrograms, groups and checks
groups       which clips have one speaker or source
arrays       npz files of an audit
blind        do members and others differ in themselves?
attacks      membership scores from losses
signals      losses of models for clips
references   reference models on halves of the pool
shadows      shadow pipelines: teacher, store and student of half of the pool
canaries     artificial clips in a teacher that the auditor trains
roc          error rates, with intervals
resampling   permutation and bootstrap of groups
evaluation   what an attack found, and what it could have found
subjects     the attacks on each model
verdict      the three verdicts, in words
guarantee    what follows from a teacher's differential privacy
neighbors    nearest neighbors, as an illustration
pairs        spectrograms of the nearest pairs, for a page on request
document     audit.md
settings     settings of an audit
"""
