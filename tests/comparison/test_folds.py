"""Folds of a comparison: training images and validation tasks."""

from small_folds import SHOP, small_fold


def test_more_training_images_than_wanted_are_drawn():
    assert small_fold(SHOP).training_rows.tolist() == [0, 1, 2]
    drawn = small_fold(SHOP, most=2).training_rows.tolist()
    assert len(drawn) == 2
    assert set(drawn) < {0, 1, 2}


def test_an_idea_that_val_has_nothing_to_ask_by_is_left_out_there():
    assert small_fold(SHOP).validation_tasks == {}
