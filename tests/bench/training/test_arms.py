import pytest

from bench.errors import SpecError
from bench.training.arms import CONTROLS, Arm, all_arms, check_arms, paired_arm, parse_arm


def test_a_teleport_arm_has_options_of_the_method_and_of_the_schedule() -> None:
    arm = parse_arm("nullspace:guard=lookahead,growth=4,optimizer_state=reset")

    assert arm.name == "nullspace:growth=4,guard=lookahead,optimizer_state=reset"
    assert arm.method_options == {"growth": 4}
    assert arm.schedule_options == {"guard": "lookahead", "optimizer_state": "reset"}
    assert (arm.against, arm.is_control) == ("plain", False)


def test_the_optimizer_that_trains_may_be_the_objective() -> None:
    arm = parse_arm("nullspace:growth=4,objective=optimizer")

    assert arm.climbs_for_optimizer
    assert arm.method_options == {"growth": 4}
    assert parse_arm("nullspace:objective=l1").method_options == {"objective": "l1"}


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_is_a_word(name: str) -> None:
    arm = parse_arm(name)

    assert arm == Arm(name)
    assert arm.is_control


def test_plain_comes_first_whether_it_is_named_or_not() -> None:
    assert check_arms("arms", ["aa", "nullspace"]) == ("plain", "aa", "nullspace")
    assert check_arms("arms", ["aa", "plain"]) == ("plain", "aa")


def test_the_paired_arm_is_the_first_teleport() -> None:
    arms = [parse_arm(text) for text in ("plain", "aa", "symmetry", "nullspace")]

    found = paired_arm(arms)

    assert found is not None
    assert found.name == "symmetry"


def test_normalised_steps_are_with_and_without_teleports() -> None:
    arms = {arm.name: arm for arm in all_arms(("plain", "nullspace:growth=4", "normalised"))}

    with_teleports = arms["normalised+nullspace:growth=4"]
    assert with_teleports.against == "normalised"
    assert with_teleports.normalised
    assert with_teleports.method_options == {"growth": 4}
    assert arms["normalised"].against == "plain"
    assert not arms["nullspace:growth=4"].normalised


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (["plain"], "expected arms to hold a teleport or a control; got plain alone"),
        (["random"], "add for example nullspace:growth=4"),
        (["lr-gain", "aa"], "expected a teleport among arms beside lr-gain"),
        (["aa", "aa"], "got aa twice"),
        (["null space"], "expected a method's name"),
        ("nullspace", "expected arms to be a list"),
    ],
)
def test_what_is_no_experiment_is_refused(arms: object, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_arms("arms", arms)


def test_an_arm_may_combine_the_tasks_in_its_own_way() -> None:
    plain, teleport = parse_arm("plain:combiner=cagrad"), parse_arm("cost:combiner=mean,rank=2")

    assert plain == Arm("plain:combiner=cagrad", None, "cagrad")
    assert not plain.is_control
    assert plain.against == "plain"
    assert (teleport.combiner, teleport.method_options) == ("mean", {"rank": 2})
    assert parse_arm("cost:optimizer_state=reuse").reuses


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain:combiner=cagard", "did you mean 'cagrad'"),
        ("plain:rank=2", "expected plain, or plain:combiner=NAME where there are several tasks"),
    ],
)
def test_a_combiner_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_arm(text)
