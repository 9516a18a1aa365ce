"""What a long evaluation says of the time that is left."""

from __future__ import annotations

from aliaug_edge.evaluation.countdown import countdown


def lines_of(steps: list[tuple[float, int]], of: int) -> list[str]:
    """What is said when pieces are finished at these (seconds, number)."""
    now = [0.0]
    said: list[str] = []
    done = countdown(said.append, lambda: now[0])
    for seconds, number in steps:
        now[0] = seconds
        done(number, of, f"piece {number}")
    return said


def test_the_time_that_is_left_follows_from_what_the_pieces_took():
    said = lines_of([(60, 1), (120, 2), (180, 3), (240, 4), (300, 5)], of=10)
    assert said[3:] == ["[4/10] piece 4  about 6 min left", "[5/10] piece 5  about 5 min left"]


def test_nothing_is_promised_before_there_is_something_to_go_by():
    assert lines_of([(60, 1), (120, 2), (180, 3)], of=10) == [
        "[1/10] piece 1",
        "[2/10] piece 2",
        "[3/10] piece 3",
    ]


def test_pieces_of_an_earlier_start_took_no_time_of_this_one():
    said = lines_of([(60, 31), (120, 32), (180, 33), (240, 34)], of=40)
    assert said[-1] == "[34/40] piece 34  about 6 min left"


def test_the_last_piece_leaves_no_time():
    said = lines_of([(60, 1), (120, 2), (180, 3), (240, 4)], of=4)
    assert said[-1] == "[4/4] piece 4"


def test_less_than_a_minute_is_not_called_none():
    assert lines_of([(1, 1), (2, 2), (3, 3), (4, 4)], of=9)[-1].endswith("  under a minute left")
