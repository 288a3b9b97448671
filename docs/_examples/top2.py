"""Top-2 accuracy: the share of clips whose class is among the two most probable ones."""

from frami.evaluate.metric import Measure, Predictions

TASK = "single-label"
MEASURES = {"top2_accuracy": Measure("top-2 accuracy")}


def score(predictions: Predictions) -> dict[str, float]:
    """Return the top-2 accuracy."""
    targets = predictions.clips.targets
    two = predictions.clip_logits.topk(2).indices.numpy()
    return {"top2_accuracy": float((two == targets[:, None]).any(axis=1).mean())}
