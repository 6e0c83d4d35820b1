"""Files that appear whole or not at all, and text that is safe to print."""

import errno
import os
import shutil
import types

import pytest

from weights import WeightsError
from weights.files import (
    check_regular,
    first_line,
    printable,
    remove_unfinished,
    written_atomically,
)


def test_temporary_names_cannot_be_planted(tmp_path, monkeypatch):
    """Even where the name is known, a link that lies there is not followed."""
    import secrets

    monkeypatch.setattr(secrets, "token_hex", lambda n: "ab" * n)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".out.{'ab' * 8}.part.txt").symlink_to(victim)
    with pytest.raises(FileExistsError), written_atomically(tmp_path / "out.txt") as unfinished:
        unfinished.write_text("theirs")
    assert victim.read_text() == "mine" and not (tmp_path / "out.txt").exists()


def test_a_link_at_the_target_is_replaced_not_followed(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "out.txt").symlink_to(tmp_path / "victim")
    with written_atomically(tmp_path / "out.txt") as unfinished:
        unfinished.write_text("new")
    assert (tmp_path / "victim").read_text() == "mine" and (tmp_path / "out.txt").read_text() == "new"


@pytest.mark.parametrize("name", ["x" * 250 + ".png", "\u00e9" * 120 + ".json", ".hidden", "a.b.c.npz", "no suffix"])
def test_any_name_that_a_file_may_have(tmp_path, name):
    with written_atomically(tmp_path / name) as unfinished:
        unfinished.write_text("x")
        assert unfinished.name.startswith(".") and len(os.fsencode(unfinished.name)) < 255
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_killed_runs_leave_is_removed_and_nothing_else(tmp_path):
    keep = [".out.part.txt", ".hidden.png", "a.0123456789abcdef.part.png", "report.part.json", ".x.0123.part"]
    for name in keep:
        (tmp_path / name).write_text("x")
    for name in ("out.txt", "no suffix", ".hidden", "a b.tar.gz"):
        with written_atomically(tmp_path / name) as unfinished:
            unfinished.write_text("x")
            os.link(unfinished, tmp_path / "copy")
            left = unfinished.name
        os.rename(tmp_path / "copy", tmp_path / left)  # as after a kill
        keep.append(name)
    remove_unfinished(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(keep)


def test_lines():
    assert first_line(ValueError("first\nsecond")) == "first"
    assert first_line(ValueError("")) == first_line(ValueError("\n")) == "ValueError"
    assert first_line(ValueError("\x1b[31mred\x07\n")) == r"\x1b[31mred\x07"
    assert len(first_line(ValueError("x" * 1000), 50)) == 50
    assert printable("a\nb\u202e\udc80 ü") == r"a\nb\u202e\udc80 ü"
    assert str(WeightsError("x\r\ny")) == r"x\r\ny"


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.pkl")
    for path in (tmp_path / "pipe.pkl", tmp_path, "/dev/zero"):
        with pytest.raises(WeightsError, match="no regular file; do this"):
            check_regular(path, "do this")
    with pytest.raises(WeightsError, match="no such weight file"):
        check_regular(tmp_path / "none", "do this")
    with pytest.raises(WeightsError):
        check_regular("a\0b", "do this")
    from stylegan2 import checkpoints

    with pytest.raises(WeightsError, match="no regular file"):
        checkpoints.load(tmp_path / "pipe.pkl")


@pytest.mark.parametrize("error", [RuntimeError("unexpected pos 47744 vs 47632"), OSError(5, "Input/output error")])
def test_a_full_disk_is_said_to_be_full(tmp_path, monkeypatch, error):
    """torch and safetensors have errors of their own for a write that failed; with room left they stay as they are."""
    (tmp_path / "a").write_text("before")
    for free, kind, number in ((0, OSError, errno.ENOSPC), (2**30, type(error), None)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: types.SimpleNamespace(free=free))
        with pytest.raises(kind) as raised, written_atomically(tmp_path / "a"):
            raise error
        if number and not isinstance(error, OSError):
            assert raised.value.errno == number and raised.value.filename == str(tmp_path / "a")
        else:
            assert raised.value is error
    assert (tmp_path / "a").read_text() == "before" and len(list(tmp_path.iterdir())) == 1
