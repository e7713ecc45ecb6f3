"""Which lanes a process does, of those that several share."""

import pytest
from small_sweep import LANES, lane, table

from nst_jax.errors import InputError
from nst_jax.runs.options import RunOptions
from nst_jax.runs.shares import check_share, own_lanes, share_of
from nst_jax.transfer.groups import groups


def test_shares_are_every_lane_once():
    (lanes,) = groups(table(LANES))
    assert own_lanes(lanes, 0, 1) == LANES
    assert own_lanes(lanes, 0, 2) == LANES[::2]
    assert own_lanes(lanes, 1, 2) == LANES[1::2]
    shares = [own_lanes(lanes, share, 3) for share in range(3)]
    assert sorted(lane.name for own in shares for lane in own) == [lane.name for lane in LANES]


def test_a_share_without_lanes_is_refused():
    assert len(own_lanes(*groups(table(LANES)), 4, 5)) == 1
    with pytest.raises(InputError, match="share: 6 shares of 5 lanes leave none for share 5"):
        check_share(table(LANES), 5, 6)
    check_share(table(LANES), 4, 5)


def test_lanes_of_each_program_are_shared_out():
    """The next group begins with the next share, so that the first is not given one of each."""
    own = (("pool", "max"),)
    lanes = table([lane(n, own=own if n == 4 else ()) for n in range(5)])
    assert [len(own_lanes(group, 1, 2)) for group in groups(lanes)] == [2, 1]
    assert [len(own_lanes(group, 0, 2)) for group in groups(lanes)] == [2, 0]
    check_share(lanes, 3, 4)
    with pytest.raises(InputError, match="5 shares of 5 lanes leave none for share 4"):
        check_share(lanes, 4, 5)


@pytest.mark.parametrize("several", [{"share": (1, 2)}, {"distributed": True}])
def test_several_shares_overwrite_no_run(cluster, several):
    with pytest.raises(InputError, match="force: not allowed with several shares; remove the folder first"):
        share_of(RunOptions(force=True, **several))
    assert not cluster


def test_a_share_given_by_hand_asks_no_cluster(cluster):
    assert share_of(RunOptions()) == (0, 1)
    assert share_of(RunOptions(share=(1, 3))) == (1, 3)
    assert cluster == []


def test_a_cluster_gives_the_share(cluster, monkeypatch):
    """One that JAX knows by itself, and one by its address; after the work it waits for the others for days."""
    with pytest.raises(InputError, match=r"^distributed: no cluster found; set JAX_COORDINATOR_ADDRESS or use share$"):
        share_of(RunOptions(distributed=True))
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match="needs JAX_NUM_PROCESSES and JAX_PROCESS_ID"):
        share_of(RunOptions(distributed=True))
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.setenv("JAX_PROCESS_ID", "1")
    assert share_of(RunOptions(distributed=True)) == (0, 1)  # what JAX says, which is not in a cluster here
    day = 24 * 3600
    assert [call[:3] for call in cluster] == [(None, None, None), ("127.0.0.1:1", 2, 1)]
    assert all(call[3] > day for call in cluster)
