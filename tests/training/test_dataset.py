"""Folders and zips of pictures give the same batches however they are read, and name what they cannot use."""

import zipfile

import pytest
import torch
from PIL import Image

from training.dataset import DatasetError, Pictures, batch_at, batches, load_images, training_names
from training.shares import Share


@pytest.fixture
def archive(pictures, tmp_path):
    """The pictures as StyleGAN2-ADA's dataset_tool packs them."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for i, picture in enumerate(sorted(pictures.iterdir())):
            file.write(picture, f"00000/img{i:08d}.png")
        file.writestr("dataset.json", '{"labels": null}')
    return path


def test_zip_and_folder_hold_the_same_pictures(pictures, archive):
    from_folder = load_images(training_names(pictures), 32)
    names = training_names(archive)
    assert [name.name for name in names[:2]] == ["img00000000.png", "img00000001.png"] and len(names) == 10
    assert torch.equal(load_images(names, 32), from_folder)


def test_pictures_decoded_on_demand_equal_those_kept(archive):
    kept, lazy = (Pictures(training_names(archive), 16, memory) for memory in (2**30, 0))
    assert kept.kept is not None and lazy.kept is None and len(lazy) == 10
    assert torch.equal(lazy[[3, 1, 3]], kept[[3, 1, 3]])


def test_batches_follow_one_another_and_shares_add_up(pictures):
    images = Pictures(training_names(pictures), 16)
    whole = batches(images, 8, 4, seed=0, mirror=True, share=None)
    parts = [batches(images, 8, 4, seed=0, mirror=True, share=Share(i, 2, 4, "cpu")) for i in range(2)]
    for position in (8, 12, 16):
        batch = next(whole)
        assert torch.equal(batch, batch_at(images, position, 4, seed=0))
        a, b = map(next, parts)
        assert torch.equal(torch.stack([a, b], dim=1).flatten(0, 1), batch)


def test_folders_are_searched_at_any_depth(pictures, tmp_path):
    deep = tmp_path / "00001" / "more"
    deep.mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    Image.new("RGB", (32, 32)).save(deep / "a.png")
    assert [path.name for path in training_names(tmp_path)] == ["a.png"]


def test_evaluation_identities_are_left_out(pictures, archive, tmp_path):
    held_out = tmp_path / "held_out"
    held_out.mkdir()
    for name in ("003.jpg", "img00000005.jpg"):
        (held_out / name).touch()
    for source, gone in ((pictures, "003.png"), (archive, "img00000005.png")):
        names = [path.name for path in training_names(source, held_out)]
        assert gone not in names and len(names) == 9


def test_every_picture_once_an_epoch():
    images = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 3, 2, 2).contiguous()
    seen = torch.cat([batch_at(images, position, 4, seed=1) for position in (0, 4, 8, 12, 16)])[:, 0, 0, 0]
    values = ((seen + 1) * 127.5).round().int().tolist()
    assert sorted(values[:10]) == list(range(10)) == sorted(values[10:]) and values[:10] != values[10:]


def test_sources_that_hold_nothing(tmp_path):
    with pytest.raises(DatasetError, match="no such folder or zip"):
        training_names(tmp_path / "none")
    with pytest.raises(DatasetError, match="no pictures"):
        training_names(tmp_path)
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    with pytest.raises(DatasetError, match="empty.zip: holds no pictures"):
        training_names(tmp_path / "empty.zip")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DatasetError, match="broken.zip: not a readable zip"):
        training_names(tmp_path / "broken.zip")


@pytest.mark.parametrize("memory", [2**30, 0])
def test_mixed_sizes_and_damaged_files_are_all_named(memory, tmp_path):
    for i in range(5):
        Image.new("RGB", (32, 32)).save(tmp_path / f"{i}.png")
    Image.new("RGB", (32, 48)).save(tmp_path / "tall.png")
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(DatasetError) as caught:
        Pictures(training_names(tmp_path), 16, memory)
    message = str(caught.value)
    assert message.startswith("2 of 7 training pictures cannot be used")
    assert "tall.png: is 32x48" in message and "text.png: cannot be read" in message


def test_one_damaged_picture_in_a_thousand(tmp_path):
    """Kept in memory, it is found at the start; read on demand, when its turn comes; named either way."""
    path = tmp_path / "set.zip"
    Image.effect_noise((16, 16), 50).convert("RGB").save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    with zipfile.ZipFile(path, "w") as file:
        for i in range(1000):
            file.writestr(f"{i:04d}.png", good[:-200] if i == 613 else good)
    with pytest.raises(DatasetError, match="1 of 1000(?s:.*)0613.png: cannot be read"):
        Pictures(training_names(path), 16)
    lazy = Pictures(training_names(path), 16, memory=0)
    assert lazy[[612, 614]].shape == (2, 3, 16, 16)
    with pytest.raises(DatasetError, match="0613.png: cannot be read.*remove it"):
        lazy[[612, 613]]
