"""The sources of a training set: what is taken, and what is refused."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from alignment import PictureError
from training.preparation import PreparationError, sources
from training.preparation.maps import choose, maps_beside
from training.preparation.sources import Item, list_items, read_bytes


def test_folders_of_any_depth(tmp_path):
    for name in ("b.png", "a/deep/c.JPG", ".hidden.png", "a/.cache/x.png", "__MACOSX/y.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    items = list_items(tmp_path)
    assert [item.name for item in items] == [str(tmp_path / "a/deep/c.JPG"), str(tmp_path / "b.png")]
    assert read_bytes(items[1]) == b"b.png" and items[0].label is None
    before = items[1].stamp
    (tmp_path / "b.png").write_bytes(b"something else")
    assert list_items(tmp_path)[1].stamp != before


def test_labels_of_a_stylegan_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        file.writestr("00000/img00000000.png", b"one")
        file.writestr("00000/img00000001.png", b"two")
        file.writestr("dataset.json", '{"labels": [["00000/img00000001.png", 3]]}')
    first, second = list_items(tmp_path / "set.zip")
    assert (first.label, second.label) == (None, 3)
    assert second.name == f"{tmp_path / 'set.zip'}/00000/img00000001.png" and read_bytes(second) == b"two"


def test_hostile_members_are_only_read(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    with zipfile.ZipFile(folder / "evil.zip", "w") as file:
        for name in ("../up.png", "/root.png", "C:\\windows.png", "a/../../../b.png"):
            file.writestr(name, b"bytes")
    before = sorted(tmp_path.rglob("*"))
    assert [read_bytes(item) for item in list_items(folder / "evil.zip")] == [b"bytes"] * 4
    assert sorted(tmp_path.rglob("*")) == before


def test_damaged_and_huge_members_cost_only_themselves(tmp_path, monkeypatch):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.png", bytes(3_000_000))  # 3 kB in the file
        file.writestr("good.png", b"fine" * 100)
        file.writestr("rotten.png", b"rotten" * 100)
    content = path.read_bytes()
    place = content.index(b"rotten.png") + len("rotten.png") + 4
    path.write_bytes(content[:place] + b"\xff\xff\xff" + content[place + 3 :])
    monkeypatch.setattr(sources, "MOST_BYTES", 1_000_000)
    bomb, good, rotten = list_items(path)
    assert read_bytes(good) == b"fine" * 100
    with pytest.raises(PictureError, match=r"bomb.png: cannot be read \(3 MiB"):
        read_bytes(bomb)
    with pytest.raises(PictureError, match="rotten.png: cannot be read"):
        read_bytes(rotten)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("gone", None, "no such folder"),
        ("empty.zip", b"PK\x05\x06" + bytes(18), "holds no pictures"),
        ("half.zip", b"PK\x03\x04 and no more", "not a readable zip"),
        ("list.csv", b"address\nhttp://a/b.jpg\n", "no column `url`"),
        ("list.csv", b"url\n", "holds no URLs"),
        ("list.csv", b"url,label\nhttp://a/b.jpg,cat\n", "whole number"),
        ("list.txt", b"# nothing yet\n\n", "holds no URLs"),
        ("list.txt", b"file:///etc/passwd\n", "not an http"),
        ("list.txt", b"\xff\xfe\x00", "UTF-8"),
        ("film.mp4", b"x", "give a folder"),
    ],
)
def test_wrong_sources_are_refused_in_one_line(tmp_path, name, content, word):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PreparationError) as caught:
        list_items(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and word in message and "\n" not in message


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(PreparationError, match="holds no pictures"):
        list_items(tmp_path)


def test_broken_labels_are_refused(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "dataset.json").write_text('{"labels": [1, 2]}')
    with pytest.raises(PreparationError, match="dataset.json"):
        list_items(tmp_path)


def test_lists_of_urls(tmp_path):
    (tmp_path / "list.csv").write_text("\ufeffName, URL ,label\nx,http://h/1.jpg,4\ny,,\nz,https://h/2?a=1,\n", "utf-8")
    items = list_items(tmp_path / "list.csv")
    assert items == [Item("http://h/1.jpg", None, None, 4), Item("https://h/2?a=1", None)]
    (tmp_path / "list.txt").write_text("# mine\nhttp://h/1.jpg\n\n  http://h/2.jpg  \n")
    assert [item.name for item in list_items(tmp_path / "list.txt")] == ["http://h/1.jpg", "http://h/2.jpg"]


def test_a_16_bit_picture_from_a_zip_is_read_like_the_file(tmp_path):
    """The bytes of a member go without a file of their own, also where a file would be opened again."""
    import cv2

    from alignment import read_picture

    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 65536, (40, 50, 3), dtype=np.uint16))
    inside = read_picture("set.zip/deep.png", path.read_bytes())
    assert np.array_equal(inside.pixels, read_picture(path).pixels) and inside.original.samples.dtype == np.uint8


# -- zips that lie


def png(side=40):
    file = io.BytesIO()
    Image.new("RGB", (side, side), (9, 99, 199)).save(file, "PNG")
    return file.getvalue()


def test_members_whose_stated_size_lies_are_inflated_no_further(tmp_path):
    """A claim of 1000 bytes, a gigabyte behind it: the claim is read, and found out by the checksum."""
    import tracemalloc

    path = tmp_path / "claims.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.png", "w", force_zip64=True) as stream:
        for _ in range(64):
            stream.write(bytes(2**24))
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.rfind(b"PK\1\2") + 24, 1000)
    path.write_bytes(data)
    (item,) = list_items(path)
    tracemalloc.start()
    with pytest.raises(PictureError, match="cannot be read"):
        read_bytes(item)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_cannot_be_stopped_half_way_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as file:
        file.writestr("a.png", png())
    (item,) = list_items(tmp_path / "a.zip")
    with pytest.raises(PictureError, match="another method"):
        read_bytes(item)


def test_labels_that_would_take_gigabytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_LABELS", 10_000)
    with zipfile.ZipFile(tmp_path / "labels.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.png", png())
        file.writestr("dataset.json", " " * 20_000)
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "dataset.json").write_text(" " * 20_000)
    for source in (tmp_path / "labels.zip", tmp_path):
        with pytest.raises(PreparationError, match="dataset.json"):
            list_items(source)


@pytest.mark.parametrize("labels", ["cat", [["a.png", "cat"]], [["a.png", -1]], [["a.png", 1.5]], [["a.png", True]],
                                    [["a.png", [0, 1]]], [[["a.png"], 1]], {"a": 1}, 5])  # fmt: skip
def test_labels_that_are_no_classes_are_refused(tmp_path, labels):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(PreparationError, match="dataset.json: is not"):
        list_items(tmp_path)
    (tmp_path / "dataset.json").write_text("[" * 100_000)
    with pytest.raises(PreparationError, match="dataset.json: is not"):
        list_items(tmp_path)


def test_lists_that_are_no_tables(tmp_path):
    (tmp_path / "a.csv").write_text('url,label\n"' + "x" * 200_000 + '",1\n')
    with pytest.raises(PreparationError, match="not a CSV file|not an http"):
        list_items(tmp_path / "a.csv")


# -- maps beside the pictures, in the layouts of public sets


def renders(*names):
    """What is taken of pictures of these names by default."""
    return choose(list(names))[0]


LAYOUTS = {
    "SynthHuman": (
        [f"{kind}_{i:07d}.png" for i in range(3) for kind in ("rgb", "alpha")],
        [f"rgb_{i:07d}.png" for i in range(3)],
    ),
    "FaceSynthetics": (
        [f"{i:06d}{kind}.png" for i in range(3) for kind in ("", "_seg")],
        [f"{i:06d}.png" for i in range(3)],
    ),
    "DigiFace-1M": ([f"{s}/{k}.png" for s in range(3) for k in range(4)],) * 2,
    "SFHQ": (
        [f"images/SFHQ_pt1_{i:08d}.jpg" for i in range(3)] + [f"segmentations/SFHQ_pt1_{i:08d}.png" for i in range(3)],
        [f"images/SFHQ_pt1_{i:08d}.jpg" for i in range(3)],
    ),
    "passes in folders": (
        [f"{f}/frame{i}.png" for f in ("beauty", "depth_map", "Normals", "object_masks/mask", "uv") for i in range(2)],
        ["beauty/frame0.png", "beauty/frame1.png", "object_masks/mask/frame0.png", "object_masks/mask/frame1.png"][:2],
    ),
    "suffixes of Blender": (
        ["a_Image.png", "a_Depth.png", "a_Normal.png", "aDepth.png", "b.render.png", "b.mask.png"],
        ["a_Image.png", "b.render.png"],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_maps_beside_pictures_are_left_out(layout):
    names, pictures = LAYOUTS[layout]
    assert sorted(renders(*names)) == sorted(pictures)


def test_pictures_that_only_sound_like_maps_stay():
    names = ["mask.png", "woman_mask.png", "normal.jpg", "normal/a.png", "depth/b.png", "hair_01.png", "skin (2).png"]
    assert renders(*names) == names and maps_beside(names) == set()
    assert renders("depth_1.png", "normal_1.png") == ["depth_1.png", "normal_1.png"]  # maps alone: asked for, then


def test_patterns_decide():
    names = ["rgb_1.png", "alpha_1.png", "old/rgb_2.PNG", "old/x.png"]
    assert choose(names, include=["rgb_*"])[0] == ["rgb_1.png", "old/rgb_2.PNG"]
    assert choose(names, include=["*"])[0] == names
    assert choose(names, exclude=["old/*"])[0] == ["rgb_1.png"]
    assert choose(names, include=["RGB_*"], exclude=["*_2*"])[0] == ["rgb_1.png"]
    assert [why for _, why in choose(names, include=["rgb*"])[1]] == ["not of --include"] * 2


@pytest.mark.parametrize("zipped", [False, True])
def test_a_set_of_renders_in_a_folder_and_in_a_zip(tmp_path, zipped):
    names = ["set/rgb_0000001.png", "set/alpha_0000001.png", "set/depth_0000001.exr", "set/cam_0000001.txt",
             "__MACOSX/set/._rgb_0000001.png", "set/Thumbs.db", "set/b.heic"]  # fmt: skip
    source = tmp_path / ("a.zip" if zipped else "a")
    if zipped:
        with zipfile.ZipFile(source, "w") as file:
            for name in names:
                file.writestr(name, png())
    else:
        for name in names:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(png())
    lines = []
    items = list_items(source, tell=lines.append)
    assert [item.name for item in items] == [f"{source}/set/rgb_0000001.png"]
    (line,) = lines
    assert (
        "alpha_0000001.png" in line and "a map beside its picture" in line and ".heic" in line and "._rgb" not in line
    )
    assert len(list_items(source, include=["*_0000001.png"])) == 2
    with pytest.raises(PreparationError, match="not of --include"):
        list_items(source, include=["nothing*"])
