from __future__ import annotations

from dermafed.shared.secure_sum.graph import draw_graph, needs_seed


def test_all_pairs_are_joined_where_clinics_are_few() -> None:
    graph = draw_graph(5, 1, b"seed")
    assert not needs_seed(5, 1)
    assert graph.threshold == 4
    assert [graph.holders(clinic) for clinic in range(5)] == [(0, 1, 2, 3, 4)] * 5
    assert graph.peers_of(2) == (0, 1, 3, 4)


def test_each_clinic_of_many_has_equally_many_peers() -> None:
    assert needs_seed(100, 33)
    graph = draw_graph(100, 33, b"seed")
    peers = [set(graph.peers_of(clinic)) for clinic in range(100)]
    assert {len(each) for each in peers} == {44}
    assert all(one in peers[two] for one in range(100) for two in peers[one])
    assert all(set(graph.holders(clinic)) == peers[clinic] | {clinic} for clinic in range(100))


def test_the_seed_decides_who_is_joined() -> None:
    """Over many seeds, each pair is joined equally often: 44 times in 99."""
    joined = [0] * 100
    for seed in range(300):
        for peer in draw_graph(100, 33, bytes([seed % 256, seed // 256])).peers_of(0):
            joined[peer] += 1
    assert joined[0] == 0
    expected, deviation = 300 * 44 / 99, (300 * 44 / 99 * (1 - 44 / 99)) ** 0.5
    assert all(abs(times - expected) < 5 * deviation for times in joined[1:])
