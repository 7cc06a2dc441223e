import pytest

from bench.errors import SpecError
from bench.training.moments import check_within, parse_moments


def test_epochs_are_from_first_up_to_end() -> None:
    moments = parse_moments("0:5")

    assert list(moments.epochs) == [0, 1, 2, 3, 4]
    assert not moments.steps
    assert str(moments) == "before epochs 0 to 4"


def test_steps_have_a_distance() -> None:
    moments = parse_moments("0:2000:500steps")

    assert list(moments.steps) == [0, 500, 1000, 1500]
    assert not moments.epochs
    assert str(moments) == "before steps 0, 500, 1000 ..."


@pytest.mark.parametrize("text", ["", "5", "0:0", "3:2", "0:10:0steps", "0:10:5", "-1:2", "a:b"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="expected a schedule FIRST:END of epochs"):
        parse_moments(text)


def test_a_schedule_beyond_the_end_is_refused() -> None:
    check_within(parse_moments("0:5"), 5)
    check_within(parse_moments("0:20:5steps"), 2, steps_each=8)
    with pytest.raises(SpecError, match=r"within 4 epochs; got teleports before epoch 4"):
        check_within(parse_moments("0:5"), 4)
    with pytest.raises(SpecError, match=r"within 14 steps .* got teleports before step 15"):
        check_within(parse_moments("0:20:5steps"), 2, steps_each=7)
