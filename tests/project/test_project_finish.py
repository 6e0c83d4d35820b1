"""What the command leaves of a picture: blends, detail, strength, and the picture's own form."""

import json

import numpy as np
import pytest
from command import run
from PIL import Image

import pipeline


def test_composites_are_what_their_pictures_were(face, tiny_bundle, tmp_path):
    """Format, depth, alpha, profile and EXIF; every sample outside the mask, but for JPEG."""
    import cv2
    from PIL import ImageCms

    folder = tmp_path / "in"
    folder.mkdir()
    image, profile = Image.open(face), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    image.save(folder / "a.jpg", icc_profile=profile, exif=exif, quality=90)
    image.save(folder / "b.webp", lossless=True, icc_profile=profile)
    rgba = np.dstack([np.asarray(image), np.full((400, 400), 255, np.uint8)])
    rgba[:, :60, 3] = 0
    Image.fromarray(rgba).save(folder / "c.png", icc_profile=profile, exif=exif)
    deep = rgba.astype(np.uint16) * 257
    deep[..., :3] -= np.minimum(deep[..., :3], 5)  # levels that 8 bits do not have
    cv2.imwrite(str(folder / "d.tiff"), deep[..., [2, 1, 0, 3]])
    result = run(folder, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert result.exit_code == 0, result.output
    report = {e["output"]: e for e in json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]}
    for name in ("a.jpg", "b.webp", "c.png", "d.tiff"):
        stem, suffix = name.split(".")
        path = tmp_path / "out" / stem / f"composite.{suffix}"
        assert report[stem]["composite"] == path.name and len(list(path.parent.glob("composite.*"))) == 1
        mask = np.asarray(Image.open(tmp_path / "out" / stem / "face0_mask.png"))
        before, after = (cv2.imread(str(p), cv2.IMREAD_UNCHANGED) for p in (folder / name, path))
        assert before.dtype == after.dtype and before.shape == after.shape
        assert (mask > 250).any() and (before[mask > 250] != after[mask > 250]).any()
        if name != "a.jpg":
            assert np.array_equal(before[mask == 0], after[mask == 0])
            assert before.shape[2] == 3 or np.array_equal(before[..., 3], after[..., 3])
        if name != "d.tiff":
            assert Image.open(path).info["icc_profile"] == profile
    assert Image.open(tmp_path / "out" / "a" / "composite.jpg").getexif()[0x010F] == "Maker"
    assert Image.open(tmp_path / "out" / "c" / "composite.png").getexif()[0x010F] == "Maker"


def test_blends_differ_and_are_reported(face, tiny_bundle, tmp_path):
    composites = set()
    for blend in ("harmonized", "paper", "poisson"):
        out = tmp_path / blend
        result = run(face, "-o", out, "--weights", tiny_bundle, "--steps", 1, "--blend", blend, "--detail", 0)
        assert result.exit_code == 0, result.output
        report = json.loads((out / "report.json").read_text())
        assert report["settings"]["blend"] == blend
        entry = report["pictures"][0]["faces"][0]
        assert set(entry["registration"]) == {"move", "refused"} and 0 <= entry["hidden"] <= 1
        assert (entry["registration"]["move"] == 0) == (blend == "paper")
        composites.add((out / "face" / "composite.png").read_bytes())
    assert len(composites) == 3


def test_another_finish_inverts_nothing_anew(face, tiny_bundle, tmp_path, monkeypatch):
    import inversion

    options = (face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert run(*options).exit_code == 0
    composite = tmp_path / "out" / "face" / "composite.png"
    first, kept = composite.read_bytes(), (tmp_path / "out" / "face" / "inversion.json").read_bytes()
    monkeypatch.setattr(inversion, "invert", None)
    seen = {first}
    for other in (("--detail", 0), ("--strength", 0.5), ("--blend", "paper", "--detail", 0)):
        result = run(*options, *other)
        assert result.exit_code == 0, result.output
        seen.add(composite.read_bytes())
    assert len(seen) == 4 and (tmp_path / "out" / "face" / "inversion.json").read_bytes() == kept
    assert run(*options).exit_code == 0 and composite.read_bytes() == first  # and as fresh
    entry = json.loads((tmp_path / "out" / "face" / "report.json").read_text())
    assert entry["faces"][0]["detail"] == 1
    for wrong in (("--detail", "nan"), ("--strength", "1.6"), ("--detail", "-1")):
        assert run(*options, *wrong).exit_code == 2


def test_strength_0_changes_no_sample(face, tiny_bundle, tmp_path):
    assert run(face, "-o", tmp_path, "--weights", tiny_bundle, "--steps", 1, "--strength", 0).exit_code == 0
    before, after = (np.asarray(Image.open(path)) for path in (face, tmp_path / "face" / "composite.png"))
    assert np.array_equal(before, after)


def test_the_paper_preset_is_eq_5(face, tiny_bundle, tmp_path):
    """Whatever else --preset paper sets, the picture is that of Eq. 5 from the portrait that is written beside it."""
    from alignment import find_faces, read_picture
    from alignment.tensors import to_tensor
    from postprocess.compositing import composite
    from postprocess.parsing import load_parser, parse

    assert run(face, "-o", tmp_path, "--weights", tiny_bundle, "--steps", 1, "--preset", "paper").exit_code == 0
    picture, portrait = read_picture(face), read_picture(tmp_path / "face" / "face0_portrait.png").pixels
    (found,) = find_faces(picture.pixels)
    labels = parse(load_parser(tiny_bundle / "parser.safetensors"), to_tensor(portrait[None]))[0].numpy()
    expected, _ = composite(picture.original.samples, portrait, labels, found.quad, blend="paper")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "face" / "composite.png")), expected)


def test_the_result_refines_the_avatars_texture(face, tiny_bundle, tmp_path, monkeypatch):
    from jobs import texture, texture_case

    called = {}

    def refine(paths, out, schedule, device):
        called.update(out=out, image=paths.images[0], head=(paths.mesh.name, paths.texture.name, paths.cameras),
                      parser=paths.parser, rounds=schedule.rounds)  # fmt: skip

    monkeypatch.setattr(texture, "refine_texture", refine)
    options = (face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    result = run(*options, "--mesh", "head.obj", "--texture", "skin.png")
    assert result.exit_code == 2 and "head.obj: no such file" in result.output and not (tmp_path / "out").exists()
    monkeypatch.setattr(texture_case, "check_mesh", lambda *paths: None)
    assert run(*options, "--mesh", "head.obj", "--texture", "skin.png", "--rounds", 2).exit_code == 0
    assert called["image"] == tmp_path / "out" / "face" / "composite.png" and called["image"].is_file()
    assert called["head"] == ("head.obj", "skin.png", ()) and called["rounds"] == 2
    assert called["out"] == tmp_path / "out" / "texture" and called["parser"].parent == tiny_bundle

    called.clear()
    for bad in (("--texture", "skin.png"), ("--camera", "camera.json"), ("--rounds", 2)):
        result = run(*options, *bad)
        assert result.exit_code == 2 and "belong together" in result.output
    (tmp_path / "two").mkdir()
    for name in "ab":
        Image.new("RGB", (64, 64)).save(tmp_path / "two" / f"{name}.png")
    result = run(tmp_path / "two", *options[1:], "--mesh", "head.obj", "--texture", "skin.png")
    assert result.exit_code == 2 and "--mesh belongs to one picture" in result.output and not called


def test_a_saved_result_is_all_of_one_picture(face, tiny_bundle, tmp_path):
    """Another result saved into the same folder replaces the first; what the user made of the composite stays."""
    projector = pipeline.Projector(tiny_bundle, device="cpu", steps=1)
    mirrored = tmp_path / "mirrored.png"
    Image.open(face).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored)
    projector(mirrored).save(tmp_path / "alone")
    projector(face).save(tmp_path / "out")
    (tmp_path / "out" / "composite.retouched.png").write_bytes(b"mine")
    projector(mirrored).save(tmp_path / "out")
    for file in sorted((tmp_path / "alone").glob("*.png")):
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes(), file.name
    assert (tmp_path / "out" / "composite.retouched.png").read_bytes() == b"mine"


@pytest.mark.parametrize("settings", [{"strength": -1}, {"strength": float("nan")}, {"detail": 2}, {"strength": 1.6}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must be from 0 to"):
        pipeline.Finish(**settings)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "L"])
def test_pil_pictures_of_any_depth_are_read_as_they_are(mode):
    from alignment import PictureError, as_picture

    levels = np.linspace(0, 255 if mode == "L" else 65535, 40 * 40).reshape(40, 40)
    kind = {"L": np.uint8, "I": np.int32, "I;16": "<u2", "I;16B": ">u2"}[mode]
    image = Image.frombytes(mode, (40, 40), levels.astype(kind).tobytes())
    assert np.array_equal(as_picture(image).original.samples[..., 0], levels.astype(int))
    for bad in (Image.new("F", (40, 40), 0.5), Image.new("I", (40, 40), 70000)):
        with pytest.raises(PictureError, match="is no picture"):
            as_picture(bad)
