"""Evaluation of models, one question per file.

    scores           score a model on held-out recordings with every metric of its task
    classification   single-label: accuracy and macro-F1
    tagging          multi-label: areas under precision-recall curves
    events           sound events: PSDS, event-based and segment-based scores
    event_frames     from frame probabilities to events
    agreement        agreement between a student and its teacher
    complexity       parameters, multiply-adds, size and time
    fusion           late fusion of several models
    predictions      predictions for every clip
    answers          the answer for each clip, and the worst mistakes
    relabeling       scores on a data set with other labels
    all_folds        mean and standard error over the folds of a data set
    metric           the contract of a metric

To add a metric, write one file in this folder; `frami evaluate` then reports it. Example::

    \"""Top-2 accuracy: the share of clips whose class is among the two most probable ones.\"""

    from frami.evaluate.metric import Measure, Predictions

    TASK = "single-label"                       # or "multi-label", "sound-events"
    MEASURES = {"top2_accuracy": Measure("top-2 accuracy")}

    def score(predictions: Predictions) -> dict[str, float]:
        targets, two = predictions.clips.targets, predictions.clip_logits.topk(2).indices.numpy()
        return {"top2_accuracy": float((two == targets[:, None]).any(axis=1).mean())}

A module is a metric if it has a ``TASK``. Several metrics may score one task: their results are
merged. `frami.evaluate.metric` documents every name, also the optional ones. ``score`` is called
with at least one clip; it raises `frami.core.errors.OperationError` if the clips cannot be scored.
"""
