import pytest

from aliaug_edge.profiling.gpu_warnings import state_warnings, timing_warnings
from aliaug_edge.profiling.latency import summarise

CALM = {"throttling": [], "sm_clock_mhz": 1900.0, "sm_clock_max_mhz": 1980.0}
# Ten recorded runs (ms) of the three graphs that nothing is wrong with.
RUNS = {
    "enqueue": [0.8] * 10,
    "h2d": [0.1] * 10,
    "compute": [10.0, 10.1] * 5,
    "d2h": [0.1] * 10,
}


def warnings(cuda_graph=False, **changed):
    queries = {name: summarise(values) for name, values in {**RUNS, **changed}.items()}
    return timing_warnings(queries, cuda_graph)


def test_a_calm_run_has_no_warning():
    assert warnings() == []
    assert state_warnings(CALM) == []


@pytest.mark.parametrize(("enqueue", "said"), [(8.0, 0), (8.2, 1)])
def test_a_host_slower_than_four_fifths_of_the_device_is_named(enqueue, said):
    found = warnings(enqueue=[enqueue] * 10)
    assert len(found) == said
    assert all(text.startswith("enqueue-bound") and "a CUDA graph" in text for text in found)


def test_with_a_cuda_graph_another_cure_is_named():
    assert "a CUDA graph" not in warnings(cuda_graph=True, enqueue=[9.0] * 10)[0]


@pytest.mark.parametrize(("name", "way"), [("h2d", "to"), ("d2h", "from")])
def test_copies_as_long_as_the_computing_are_named(name, way):
    (found,) = warnings(**{name: [10.2] * 10})
    assert found.startswith(f"transfer-bound: copying {way} the device")


def test_compute_times_that_scatter_are_named():
    (found,) = warnings(compute=[10.0, 11.0] * 5)
    assert found.startswith("unstable") and "limit 2.5 %" in found


def test_the_state_under_load_is_judged():
    state = {**CALM, "sm_clock_mhz": 1200.0, "throttling": ["power brake"], "clocks_locked": False}
    found = state_warnings(state)
    assert found[0] == "throttled while it was measured: power brake"
    assert "1200 of 1980 MHz" in found[1]
    assert "jetson_clocks" in found[2]


def test_an_unknown_state_warns_of_nothing():
    assert (
        state_warnings({"throttling": None, "sm_clock_mhz": None, "sm_clock_max_mhz": None}) == []
    )
