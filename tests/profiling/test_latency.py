import pytest

from aliaug_edge.profiling import Rules, summarise
from aliaug_edge.profiling.latency import slowest_pass


def test_percentiles_are_latencies_that_occurred():
    latency = summarise([float(n) for n in range(100, 0, -1)])
    assert (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms) == (50, 90, 95, 99)
    assert (latency.max_ms, latency.mean_ms, latency.count) == (100, 50.5, 100)


@pytest.mark.parametrize(
    ("count", "names"),
    [(100, []), (99, ["p99"]), (19, ["p95", "p99"]), (9, ["p90", "p95", "p99"])],
)
def test_percentiles_that_so_few_passes_cannot_tell_from_the_maximum_are_named(count, names):
    assert slowest_pass(count) == names
    latency = summarise([float(n) for n in range(count)])
    assert all((getattr(latency, f"{name}_ms") == latency.max_ms) for name in names)


def test_outliers_are_kept():
    latency = summarise([1.0] * 99 + [1000.0])
    assert latency.max_ms == 1000
    assert latency.mean_ms == pytest.approx(10.99)


def test_the_coefficient_of_variation_is_in_percent():
    assert summarise([9.0, 10.0, 11.0]).cov_percent == pytest.approx(10.0)


@pytest.mark.parametrize("latencies", [[5.0], [0.0, 0.0]])
def test_where_variation_has_no_meaning_it_is_unknown(latencies):
    assert summarise(latencies).cov_percent is None


def test_nothing_to_summarise_is_refused():
    with pytest.raises(ValueError, match="no latencies"):
        summarise([])


def test_by_default_both_three_seconds_and_ten_passes_are_needed():
    rules = Rules()
    assert not rules.enough(9, 60_000)
    assert not rules.enough(5000, 2999)
    assert rules.enough(10, 3000)


def test_a_number_of_iterations_is_exact():
    rules = Rules(iterations=4)
    assert not rules.enough(3, 1e9)
    assert rules.enough(4, 0)


def test_the_warm_up_has_at_least_one_pass():
    assert not Rules(warmup_ms=0).warm(0, 0)
    assert Rules(warmup_ms=0).warm(1, 0)
    assert not Rules().warm(3, 199)
