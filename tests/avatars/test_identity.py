"""People as numbers: the same for ever, whatever they wear."""

import json
from pathlib import Path

import pytest

pytest.importorskip("scipy")
from avatars import identity

MANIFEST = Path(__file__).resolve().parents[3] / "shared" / "avatars" / "manifest.jsonl"


def test_accessories_change_nothing_else():
    for index in range(40):
        bare = identity.sample(2026, index)
        dressed = identity.sample(2026, index, glasses=1, hats=1)
        assert bare["glasses"] is None and bare["hat"] is None
        assert dressed["glasses"] is not None
        assert (dressed["hat"] is None) == (dressed["hair"] == "afro01")
        assert {k: v for k, v in bare.items() if k not in ("glasses", "hat")} == {
            k: v for k, v in dressed.items() if k not in ("glasses", "hat")
        }


def test_a_larger_share_keeps_who_wears_them():
    few = {i for i in range(300) if identity.sample(2026, i, glasses=0.1)["glasses"]}
    many = {i for i in range(300) if identity.sample(2026, i, glasses=0.3)["glasses"]}
    assert few < many
    assert 15 <= len(few) <= 45 and 65 <= len(many) <= 115


@pytest.mark.skipif(not MANIFEST.is_file(), reason="the drawn set is not here")
def test_the_drawn_set_shows_these_people():
    lines = MANIFEST.read_text().splitlines()
    for line in lines[:: len(lines) // 20]:
        record = json.loads(line)
        found = identity.sample(2026, int(record["id"]))
        found = json.loads(json.dumps(found))
        assert {key: record[key] for key in found if key in record} == {k: found[k] for k in found if k in record}
        assert set(found) - set(record) == {"glasses", "hat"}
