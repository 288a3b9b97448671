"""Test whether there are enough clips, and whether members and others are exchangeable."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from frami.auditing.attacks import Floats
from frami.auditing.blind import blind_test
from frami.auditing.pool import Pool
from frami.auditing.references import References
from frami.auditing.resampling import permutation_test
from frami.auditing.settings import AuditSettings
from frami.core.text import count

FEWEST_CLIPS, FEWEST_GROUPS = 30, 10
WAY_OUT = "Choose others that were recorded and selected like the members."


@dataclass
class Validity:
    """The tests of a pool. Each returns why nothing can be decided, or an empty text.

    Attributes:
        pool: Members and others.
        settings: Settings of the audit.
        sentences: What the tests found.
    """

    pool: Pool
    settings: AuditSettings
    sentences: list[str] = field(default_factory=list)

    def too_few(self) -> str:
        """Count clips and groups of both sides."""
        pool = self.pool
        for number, groups, name in (
            (pool.n_members, pool.groups_on(True), "member"),
            (pool.n_others, pool.groups_on(False), "other"),
        ):
            if number < FEWEST_CLIPS or groups < FEWEST_GROUPS:
                sizes = f"{count(number, name)} in {count(groups, 'group')}"
                return (
                    f"There are too few clips: {sizes}. At least {FEWEST_CLIPS} clips in "
                    f"{FEWEST_GROUPS} groups are needed on each side."
                )
        return ""

    def blind(self, features: Floats, rng: Generator) -> str:
        """Test whether members and others differ without any model."""
        blind = blind_test(self.pool, features, rng)
        self.sentences.append(
            f"A blind classifier, which uses no model, has an area under the curve of "
            f"{blind.area:.3f} (p = {blind.p_value:.2g}, {count(blind.clips, 'clip')}). A test "
            f"of whether both sides have the same shares of the classes gives p = "
            f"{blind.class_p_value:.2g}."
        )
        if blind.smaller >= self.settings.blind_level:
            return ""
        how = f"a blind classifier tells them apart without any model (p = {blind.p_value:.2g})"
        if blind.class_p_value < blind.p_value:
            how = f"they have different shares of the classes (p = {blind.class_p_value:.2g})"
        return (
            f"Members and others are not exchangeable: {how}. An attack would measure that "
            f"difference. {WAY_OUT}"
        )

    def unlike(self, references: References, rng: Generator) -> str:
        """Test whether one side is easier for reference models that were trained on neither."""
        if not len(references):
            return ""
        out = (~references.is_in).astype(np.float64)
        loss = (references.loss * out).sum(axis=0) / out.sum(axis=0)
        test = permutation_test(
            -loss,
            self.pool.is_member,
            self.pool.groups,
            rng,
            self.settings.permutations,
            level=self.settings.blind_level,
            two_sided=True,
        )
        is_alike = test.p_value >= self.settings.blind_level
        self.sentences.append(
            f"For reference models that were not trained on a clip, members and others are "
            f"{'' if is_alike else 'not '}equally hard (p = {test.p_value:.2g})."
        )
        if is_alike:
            return ""
        return (
            f"Members and others are not exchangeable: one side is easier for reference models "
            f"that were trained on neither (p = {test.p_value:.2g}). {WAY_OUT}"
        )
