"""Compare the size of a student with that of its teachers."""

from __future__ import annotations

from collections.abc import Sequence

from frami.evaluate.complexity import multiply_adds
from frami.models.model import Model


def size_warning(student: Model, teachers: Sequence[Model]) -> str:
    """Return a sentence if a student is larger than its largest teacher; empty if it is not.

    Larger means more parameters, or more multiply-adds for a clip of one second.
    """
    parameters = student.parameters, max(teacher.parameters for teacher in teachers)
    work = multiply_adds(student), max(map(multiply_adds, teachers))
    larger = []
    if parameters[0] > parameters[1]:
        larger.append(f"{parameters[0]:,} parameters to {parameters[1]:,}")
    if work[0] > work[1]:
        larger.append(f"{work[0] / 1e6:.3g} M multiply-adds to {work[1] / 1e6:.3g} M")
    if not larger:
        return ""
    whose = "its teacher" if len(teachers) == 1 else "each of its teachers"
    return f"The student is larger than {whose}: {' and '.join(larger)}. Use a smaller `width`."
