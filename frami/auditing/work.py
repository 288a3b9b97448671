"""The students that an audit attacks, and the models that it trains."""

from __future__ import annotations

from dataclasses import dataclass

from frami.auditing.guarantee import Statement
from frami.models.model import Model
from frami.prediction.predictor import Predictor


@dataclass(frozen=True)
class Subject:
    """A student to audit.

    Attributes:
        name: Its name in the verdict.
        predictor: Function from spectrograms to logits.
        identity: The model, or the digest of an exported file.
    """

    name: str
    predictor: Predictor
    identity: Model | str

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the model or the file."""
        return self.identity if isinstance(self.identity, str) else self.identity.fingerprint


@dataclass(frozen=True)
class Work:
    """The models that an audit trains, and the statements of its user.

    Attributes:
        references: Number of reference models.
        shadows: Number of shadow pipelines.
        canaries: Number of canaries.
        persons: Whether the classes are persons.
        statement: The teacher's differential privacy, if it is stated.
    """

    references: int
    shadows: int
    canaries: int
    persons: bool
    statement: Statement | None
