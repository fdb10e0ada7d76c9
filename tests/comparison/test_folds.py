"""What takes part in one fold of a comparison."""

from small_folds import SHOP, part


def test_more_training_images_than_wanted_are_drawn():
    assert part(SHOP).training.tolist() == [0, 1, 2]
    drawn = part(SHOP, most=2).training.tolist()
    assert len(drawn) == 2
    assert set(drawn) < {0, 1, 2}


def test_an_idea_that_val_has_nothing_to_ask_by_is_left_out_there():
    assert part(SHOP).validations == {}
