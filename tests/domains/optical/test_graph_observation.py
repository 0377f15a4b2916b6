"""The graph observation: the unified one, and of each link what can be counted slot by slot."""

import numpy as np

from fusion_rl.domains.optical import state as lane_state
from fusion_rl.testing.contracts import tiny_simulator
from fusion_rl.testing.simulator_contract import random_actions


def longest_zeros(row: np.ndarray) -> int:
    return max(map(len, "".join(map(str, row.tolist())).split("1")))


def test_each_link_shows_its_slots_in_use_and_its_longest_free_block() -> None:
    for slots in (8, 64, 70):
        graph, unified = tiny_simulator(2, "graph", slots=slots), tiny_simulator(2, "unified", slots=slots)
        chooser = np.random.default_rng(1)
        for _ in range(60):
            shown = graph.observations()
            assert isinstance(shown, dict)
            for name, part in unified.observations().items():  # type: ignore[union-attr]
                assert (shown[name] == part).all(), name
            for lane in range(2):
                occupied = lane_state.occupancy(graph.state, graph.setting.world, lane)
                expected = occupied.mean(axis=1), [longest_zeros(row) / slots for row in occupied]
                np.testing.assert_allclose(shown["link_utilisation"][lane], expected[0], rtol=1e-6)
                np.testing.assert_allclose(shown["link_longest_free"][lane], expected[1], rtol=1e-6)
            actions = random_actions(graph, chooser)
            graph.step(actions)
            unified.step(actions)
