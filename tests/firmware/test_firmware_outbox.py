"""Durable frames over a bad line, silence, power cuts and damaged flash: none lost, or counted."""

import random

import pytest

from agent.communication.frames import FRAME, Decoder, encode, pack
from agent.communication.outbox import REPEAT_MS, WINDOW, Outbox
from agent.communication.spool import Spool


def frame(boot, seq, size=300):
    return encode({"t": "dec", "boot": boot, "seq": seq, "why": "x" * size})


def names(lines):
    decoder = Decoder()
    return [
        (e[1]["boot"], e[1]["seq"]) for line in lines for e in decoder.feed(line) if e[0] == FRAME
    ]


@pytest.fixture
def spool(tmp_path):
    return lambda **kwargs: Spool(str(tmp_path / "spool"), **kwargs)


def fill(box, boot, seqs, now_ms=0):
    for seq in seqs:
        box.add(boot, seq, frame(boot, seq), now_ms)


def drain(box, now_ms=0):
    """What a host that acknowledges everything gets, in order."""
    got = []
    for _ in range(2000):
        lines = box.due(now_ms, True)
        if not lines and not box.queued:
            break
        got += names(lines)
        box.ack([list(name) for name in names(lines)])
        now_ms += REPEAT_MS
    return got


def test_oldest_first_a_window_at_a_time_repeated_until_acknowledged(spool):
    box = Outbox(spool())
    fill(box, 1, range(1, 8))
    first = [(1, seq) for seq in range(1, WINDOW + 1)]
    assert names(box.due(0, True)) == first
    assert box.due(REPEAT_MS - 1, True) == []
    assert names(box.due(REPEAT_MS, True)) == first
    assert box.ack([[1, 3], [1, 2]]) == 2
    assert names(box.due(REPEAT_MS + 1, True)) == [(1, 5), (1, 6)]
    assert names(box.due(2 * REPEAT_MS, True)) == [(1, 1), (1, 4)]


def test_a_silent_host_is_sent_new_frames_once(spool):
    box = Outbox(spool())
    fill(box, 1, [1, 2])
    assert len(box.due(0, False)) == 2
    assert box.due(100 * REPEAT_MS, False) == []
    assert len(box.due(100 * REPEAT_MS, True)) == 2


@pytest.mark.parametrize(
    "acks",
    [
        None,
        1,
        "x",
        {},
        [None],
        [1],
        [[1]],
        [[1, 2, 3]],
        [["1", 2]],
        [{}],
        [[2, 1]],
        [[1, 99]],
        [[None, []]],
    ],
)
def test_acknowledgements_of_nothing_are_ignored(spool, acks):
    box = Outbox(spool())
    fill(box, 1, [1])
    box.due(0, True)
    assert box.ack(acks) == 0
    assert box.queued == 1


def test_silence_moves_frames_to_flash_and_back_in_order(spool):
    box = Outbox(spool())
    for seq in range(1, 61):
        box.add(1, seq, frame(1, seq), seq * 1000)
        box.due(seq * 1000, False)
        box.tend(seq * 1000, False)
    assert box.spilled > 40
    assert box.queued == 60
    assert drain(box) == [(1, seq) for seq in range(1, 61)]
    assert box.dropped == 0


def test_old_frames_go_to_flash_even_if_few(spool):
    box = Outbox(spool())
    fill(box, 1, [1], now_ms=0)
    box.due(0, False)
    box.tend(299_999, False)
    assert box.spilled == 0
    box.tend(300_000, False)
    assert (box.spilled, box.queued) == (1, 1)


def test_a_restart_loses_nothing(spool):
    box = Outbox(spool())
    fill(box, 1, range(1, 10))
    box.due(0, True)
    box.ack([[1, 2]])
    box.spill()
    again = Outbox(spool())
    fill(again, 2, range(1, 4))
    assert again.queued == 11
    assert drain(again) == [(1, s) for s in (1, 3, 4, 5, 6, 7, 8, 9)] + [(2, s) for s in (1, 2, 3)]
    assert Outbox(spool()).queued == 0


def test_what_was_not_acknowledged_comes_again_after_a_restart(spool):
    box = Outbox(spool())
    fill(box, 1, range(1, 7))
    box.spill()
    assert len(box.due(0, True)) == WINDOW
    box.ack([[1, 1], [1, 2], [1, 3], [1, 4]])
    box.due(0, True)
    assert drain(Outbox(spool())) == [(1, seq) for seq in range(1, 7)]


def test_segments_go_when_acknowledged_in_any_order(spool, tmp_path):
    box = Outbox(spool(segment=1000))
    for start in (1, 4, 7):
        fill(box, 1, range(start, start + 3))
        box.spill()
    assert len(list((tmp_path / "spool").iterdir())) == 3
    assert len(box.due(0, True)) == 4
    box.ack([[1, 4]])
    box.due(0, True)
    assert len(list((tmp_path / "spool").iterdir())) == 3
    box.ack([[1, 1], [1, 3], [1, 2]])
    assert len(list((tmp_path / "spool").iterdir())) == 2
    drain(box)
    assert list((tmp_path / "spool").iterdir()) == []


def test_the_cap_drops_the_oldest_and_counts(spool, tmp_path):
    box = Outbox(spool(segment=2000, cap=4000))
    total = 100
    for seq in range(1, total + 1):
        fill(box, 1, [seq])
        box.spill()
    assert sum(path.stat().st_size for path in (tmp_path / "spool").iterdir()) <= 4000
    got = drain(box)
    assert got == [(1, seq) for seq in range(total - len(got) + 1, total + 1)]
    assert len(got) + box.dropped == total
    assert len(got) >= 4


def test_the_segment_being_read_may_be_dropped(spool):
    box = Outbox(spool(segment=2000, cap=4000))
    fill(box, 1, range(1, 6))
    box.spill()
    first = names(box.due(0, True))
    for seq in range(6, 40):
        fill(box, 1, [seq])
        box.spill()
    got = first + [name for name in drain(box, REPEAT_MS) if name not in first]
    assert len(got) == len(set(got))
    assert len(got) + box.dropped == 39


class BrokenSpool:
    waiting = dropped = 0

    def append(self, lines):
        raise OSError(28)

    def read(self):
        return None


def test_flash_that_cannot_be_written_costs_the_oldest_and_counts():
    box = Outbox(BrokenSpool(), budget=2000)
    for seq in range(1, 51):
        fill(box, 1, [seq])
        box.due(0, False)
        box.tend(0, False)
    assert box.failed > 0
    assert box.queued + box.dropped == 50
    assert box.queued * 300 < 2000 + 5 * 400


def test_memory_that_runs_out_while_reading_costs_no_frame(spool, monkeypatch):
    box = Outbox(spool())
    fill(box, 1, range(1, 31))
    box.spill()
    rng = random.Random(1)

    def failing(function):
        def sometimes(*args):
            if rng.random() < 0.5:
                raise MemoryError
            return function(*args)

        return sometimes

    got, failed = [], 0
    while box.queued:
        with monkeypatch.context() as short:
            short.setattr(Decoder, "feed", failing(Decoder.feed))
            short.setattr("agent.communication.spool.pack", failing(pack))
            try:
                lines = box.due(0, True)
            except MemoryError:
                failed += 1
                continue
        got += names(lines)
        box.ack([list(name) for name in names(lines)])
    assert failed > 5
    assert (got, box.dropped) == ([(1, seq) for seq in range(1, 31)], 0)


@pytest.mark.parametrize("seed", range(30))
def test_a_power_cut_in_the_middle_of_a_write_costs_only_what_was_being_written(
    spool, tmp_path, seed
):
    rng = random.Random(seed)
    one = spool()
    written = []
    for seq in range(1, 9):
        one.append([frame(1, seq)])
        written.append((1, seq))
    (path,) = (tmp_path / "spool").iterdir()
    whole = path.read_bytes()
    spool().append([frame(1, 9), frame(1, 10)])
    longer = path.read_bytes()
    path.write_bytes(longer[: rng.randrange(len(whole), len(longer))])
    box = Outbox(spool())
    fill(box, 2, [1, 2])
    box.spill()
    got = drain(box)
    assert [name for name in got if name in written] == written
    assert [name for name in got if name[0] == 2] == [(2, 1), (2, 2)]
    assert box.dropped == 0


@pytest.mark.parametrize("seed", range(30))
def test_garbage_in_the_spool_costs_only_what_it_hits(spool, tmp_path, seed):
    rng = random.Random(seed)
    spool().append([frame(1, seq) for seq in range(1, 21)])
    (path,) = (tmp_path / "spool").iterdir()
    data = bytearray(path.read_bytes())
    hit = set()
    for _ in range(3):
        at = rng.randrange(len(data))
        data[at] ^= 0xFF
        hit.add((1, data.count(b"\n", 0, at)))
    data[rng.randrange(len(data)) : 0] = b""
    path.write_bytes(data)
    (tmp_path / "spool" / "notes.txt").write_bytes(b"\x00" * 50)
    (tmp_path / "spool" / "x.fw1").write_bytes(b"\x00" * 50)
    got = drain(Outbox(spool()))
    assert set(got) | hit | {(1, n + 1) for _, n in hit} >= {(1, seq) for seq in range(1, 21)}
    assert got == sorted(got)


@pytest.mark.parametrize("seed", range(20))
def test_everything_arrives_once_stored_over_a_line_that_loses_and_doubles(spool, seed):
    rng = random.Random(seed)
    store = set()
    added = 0
    boot, seq, now = 1, 0, 0
    box = Outbox(spool(segment=1500, cap=1 << 20), budget=2500)
    for _ in range(400):
        now += 1000
        connected = rng.random() < 0.6
        if rng.random() < 0.5:
            seq += 1
            added += 1
            box.add(boot, seq, frame(boot, seq, rng.randrange(300)), now)
        for line in box.due(now, connected):
            for _ in range(rng.choice((0, 1, 1, 2))):
                if connected:
                    (name,) = names([line])
                    store.add(name)
                    if rng.random() < 0.7:
                        box.ack([list(name)] * rng.choice((1, 2)))
        box.tend(now, connected)
        if rng.random() < 0.02:  # an orderly restart
            box.spill()
            boot, seq = boot + 1, 0
            box = Outbox(spool(segment=1500, cap=1 << 20), budget=2500)
    store |= set(drain(box, now + 10_000))
    assert box.dropped == 0
    assert len(store) == added
