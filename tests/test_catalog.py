"""Names are entered once, found again, and a near miss is answered with the name that was meant."""

import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest

from fusion_rl.catalog import Catalog
from fusion_rl.errors import ConfigError, FusionRLError, UnknownNameError, nearest_hint


@pytest.fixture
def numbers() -> Catalog[int]:
    catalog: Catalog[int] = Catalog("number")
    catalog.register("one", 1)
    catalog.register("two", 2)
    return catalog


def test_entries_come_back_in_the_order_of_registration(numbers: Catalog[int]) -> None:
    assert numbers["two"] == 2
    assert numbers.names() == tuple(numbers) == ("one", "two")
    assert list(numbers.items()) == [("one", 1), ("two", 2)]
    assert "one" in numbers
    assert "three" not in numbers
    assert len(numbers) == 2


def test_register_without_a_value_decorates() -> None:
    catalog: Catalog[Callable[[int], int]] = Catalog("function")

    @catalog.register("twice")
    def twice(x: int) -> int:
        return 2 * x

    assert catalog["twice"] is twice
    assert twice(4) == 8


def test_a_name_is_taken_unless_it_is_replaced_on_purpose(numbers: Catalog[int]) -> None:
    with pytest.raises(ConfigError, match="number 'one' is registered already"):
        numbers.register("one", 11)
    assert numbers["one"] == 1
    numbers.register("one", 11, replace=True)
    assert numbers["one"] == 11


def test_an_unknown_name_is_answered_with_the_nearest(numbers: Catalog[int]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        numbers["onee"]
    assert str(caught.value) == "unknown number 'onee': did you mean 'one'? known: one, two"
    assert caught.value.allowed == ("one", "two")


def test_an_error_is_one_line_and_survives_a_process_border() -> None:
    assert str(FusionRLError("two\n  lines")) == "two lines"
    error = UnknownNameError("topology", "nsfent", ["nsfnet"], where="mine.yaml")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "mine.yaml: unknown topology 'nsfent': did you mean 'nsfnet'? known: nsfnet"
    assert again.kind == "topology"


def test_a_long_list_of_names_is_cut_to_the_nearest() -> None:
    names = [f"group.setting_{number:02}" for number in range(50)]
    message = str(UnknownNameError("setting", "setting_07", names))
    assert "did you mean 'group.setting_07'" in message
    assert len(message) < 300


def test_importing_the_package_and_its_configuration_loads_nothing_heavy() -> None:
    script = (
        "import sys, fusion_rl, fusion_rl.config.load, fusion_rl.cli.main\n"
        "heavy = {'torch', 'mlflow', 'numba', 'pandas', 'matplotlib', 'numpy', 'stable_baselines3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_public_name_is_loaded_when_it_is_used() -> None:
    import fusion_rl
    from fusion_rl.config.load import load

    assert fusion_rl.load_config is load
    assert "train" in dir(fusion_rl)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        fusion_rl.trian  # noqa: B018


def test_a_name_that_resembles_one_part_of_another_is_hinted_at() -> None:
    assert "did you mean 'deeprmsa-nsfnet'" in nearest_hint("nsfent", ["deeprmsa-cost239", "deeprmsa-nsfnet"])
    assert "did you mean" not in nearest_hint("quick", ["deeprmsa-cost239", "deeprmsa-nsfnet"])
