"""A claimed folder is one request's, also where two runs get past the lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from aliaug_edge.errors import OutputError
from aliaug_edge.generation import folder

MINE, OTHER = {"settings": {"seed": 5}}, {"settings": {"seed": 6}}


def test_a_folder_that_was_claimed_since_it_was_checked_is_refused(tmp_path: Path) -> None:
    """As on a file system without locks, while this run's engine opened."""
    folder.check(tmp_path, MINE)
    folder.claim(tmp_path, OTHER)
    claimed = (tmp_path / folder.REQUEST).read_bytes()
    with pytest.raises(OutputError, match=r"another request: settings\.seed was 6, now 5"):
        folder.claim(tmp_path, MINE)
    assert (tmp_path / folder.REQUEST).read_bytes() == claimed


def test_the_same_request_may_claim_its_folder_again_and_sweeps_it(tmp_path: Path) -> None:
    folder.claim(tmp_path, MINE)
    (tmp_path / ".samples.jsonl.x.tmp").write_text("cut off")
    folder.claim(tmp_path, MINE)
    assert [path.name for path in tmp_path.iterdir()] == [folder.REQUEST]
