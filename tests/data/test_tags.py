import numpy as np

from frami.data.tags import tag_rows
from frami.data.user_clips import UserClip
from frami.data.user_folds import tags_of


class Unsearched(tuple[str, ...]):
    """Labels that may only be read in order: to search many for each of many takes minutes."""

    def __contains__(self, label: object) -> bool:
        raise AssertionError("the labels were searched")


def test_tag_rows_of_unknown_labels_are_nan_and_of_others_zero_or_one() -> None:
    rows = tag_rows([["b", "x"], [], None], ["a", "b"])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, [[0, 1], [0, 0], [np.nan, np.nan]])


def test_tags_are_found_without_a_search_for_each_label() -> None:
    clips = (UserClip("a.wav", Unsearched("cb")), UserClip("b.wav", Unsearched("a")))
    assert tags_of(clips, Unsearched("abc")).tolist() == [[0, 1, 1], [1, 0, 0]]
