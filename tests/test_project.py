"""The user's command, end to end on tiny random networks: files, report, exit codes, bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import pipeline
import project
from jobs.results import FACE_FILES


def run(*arguments):
    return CliRunner().invoke(project.main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def face(samples, tmp_path_factory):
    """A small picture with one face."""
    path = tmp_path_factory.mktemp("face") / "face.png"
    Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((400, 400)).save(path)
    return path


def test_one_portrait(face, tiny_bundle, tmp_path):
    result = run(face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 2)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "out" / "face"
    face_files = {f"face0_{name}" for name in FACE_FILES}
    names = {"composite.png", "sheet.png", "report.json", "inversion.json"} | face_files
    assert {p.name for p in folder.iterdir()} == names
    assert np.load(folder / "face0_w_plus.npz")["w_plus"].shape == (1, 8, 16)
    before, after = (np.asarray(Image.open(p)) for p in (face, folder / "composite.png"))
    mask = np.asarray(Image.open(folder / "face0_mask.png"))
    assert before.shape == after.shape
    assert np.array_equal(before[mask == 0], after[mask == 0])
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    (entry,) = report["pictures"]
    assert entry["faces"][0]["lpips"] > 0 and entry["faces"][0]["seconds"] > 0
    assert set(report["weights"]) == {"g_real", "g_rendering", "perceptual", "parser"}
    assert all(len(w["sha256"]) == 64 for w in report["weights"].values())
    assert report["settings"]["steps"] == 2


def test_same_input_same_output(face, tiny_bundle, tmp_path):
    for name in "ab":
        assert run(face, "-o", tmp_path / name, "--weights", tiny_bundle, "--steps", 2).exit_code == 0
    a, b = ((tmp_path / name / "face" / "composite.png").read_bytes() for name in "ab")
    assert a == b


def test_bad_pictures_in_a_folder_stop_nothing(face, tiny_bundle, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    image = Image.open(face)
    image.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    rgba = image.convert("RGBA")
    rgba.putalpha(255)
    rgba.save(folder / "rgba.png")
    grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(folder / "deep.png")
    (folder / "text.png").write_text("this is not a picture")
    data = (folder / "cmyk.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)).save(folder / "noise.png")
    (folder / "empty.png").touch()
    result = run(folder, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert result.exit_code == 1
    report = {e["output"]: e for e in json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]}
    done = {name for name, entry in report.items() if "faces" in entry}
    assert done == {"cmyk", "rgba", "deep"}
    for name in done:
        assert (tmp_path / "out" / name / "composite.png").exists()
    for name in ("text", "cut", "dot", "noise", "empty"):
        message = report[name]["error"]
        assert f"{folder / name}" in message and "\n" not in message
        assert message in result.output
    assert report["cmyk"]["notes"] and report["deep"]["notes"]


@pytest.mark.parametrize("make", ["missing", "empty folder", "text"])
def test_nothing_done_is_exit_2(make, tiny_bundle, tmp_path):
    path = tmp_path / "input"
    if make == "empty folder":
        path.mkdir()
    elif make == "text":
        path = tmp_path / "input.png"
        path.write_text("hello")
    result = run(path, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert result.exit_code == 2
    assert str(path) in result.output
    assert "Traceback" not in result.output


def test_missing_or_foreign_weights_are_named(face, tiny_bundle, tmp_path):
    result = run(face, "-o", tmp_path / "out", "--weights", tmp_path)
    assert result.exit_code == 2 and "g_real.safetensors" in result.output
    broken = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, broken)
    shutil.copy(broken / "parser.safetensors", broken / "g_real.safetensors")
    result = run(face, "-o", tmp_path / "out", "--weights", broken)
    assert result.exit_code == 2 and "holds parser" in result.output


def test_several_faces_and_equal_names(face, tiny_bundle, tmp_path):
    image = np.asarray(Image.open(face))
    smaller = np.asarray(Image.open(face).resize((280, 280)))
    both = np.full((400, 700, 3), 128, np.uint8)
    both[:, :400], both[60:340, 410:690] = image, smaller
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(both).save(folder / "two.png")
    Image.open(face).save(folder / "two.jpg", quality=95)
    result = run(folder, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    assert result.exit_code == 0, result.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "two.jpg",
        "two.png",
        "report.json",
        "sheet.png",
        "results.html",
    }
    report = {e["output"]: e for e in json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]}
    faces = report["two.png"]["faces"]
    assert len(faces) == 2 and len(report["two.jpg"]["faces"]) == 1
    widths = [f["box"][2] - f["box"][0] for f in faces]
    assert widths[0] > widths[1]
    assert (tmp_path / "out" / "two.png" / "face1_portrait.png").exists()


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """A picture without a face."""
    path = tmp_path_factory.mktemp("blank") / "blank.png"
    Image.new("RGB", (240, 240), (120, 140, 160)).save(path)
    return path


def test_which_faces(face, tiny_bundle, tmp_path):
    image = Image.open(face)
    both = Image.new("RGB", (700, 400), "grey")
    both.paste(image, (0, 0))
    both.paste(image.resize((280, 280)), (410, 60))
    both.save(tmp_path / "two.png")
    for which, written in (("largest", "0"), ("1", "1")):
        out = tmp_path / which
        result = run(tmp_path / "two.png", "-o", out, "--weights", tiny_bundle, "--steps", 1, "--faces", which)
        assert result.exit_code == 0, result.output
        assert [p.name for p in (out / "two").glob("*_portrait.png")] == [f"face{written}_portrait.png"]
        before, after = (np.asarray(Image.open(p)) for p in (tmp_path / "two.png", out / "two" / "composite.png"))
        changed = (before != after).any(axis=2)
        assert changed[:, :400].any() == (written == "0") and changed[:, 400:].any() == (written == "1")
    result = run(tmp_path / "two.png", "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--faces", 2)
    assert result.exit_code == 2 and "two.png: holds no face 2" in result.output
    result = run(tmp_path / "two.png", "-o", tmp_path / "out", "--weights", tiny_bundle, "--faces", "second")
    assert result.exit_code == 2 and "largest, all, or the index" in result.output


def test_a_face_that_the_user_points_out(face, blank, tiny_bundle, tmp_path):
    options = ("-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    result = run(blank, *options)
    assert result.exit_code == 2 and "--landmarks" in result.output
    result = run(blank, *options, "--quad", 40, 50, 40, 190, 180, 190, 180, 50)
    assert result.exit_code == 0, result.output
    (entry,) = json.loads((tmp_path / "out" / "report.json").read_text())["pictures"]
    assert (
        entry["faces"][0]["quad"] == [[40, 50], [40, 190], [180, 190], [180, 50]] and entry["faces"][0]["box"] is None
    )

    from alignment import detect_faces

    points = detect_faces(np.asarray(Image.open(face)))[0].landmarks
    (tmp_path / "faces.json").write_text(json.dumps({"blank.png": (0.5 * points).tolist()}))
    both = tmp_path / "both"
    both.mkdir()
    shutil.copy(face, both)
    shutil.copy(blank, both)
    result = run(both, *options, "--landmarks", tmp_path / "faces.json")
    assert result.exit_code == 0, result.output  # the other picture is searched


def test_wrong_places_of_faces_are_named(face, blank, tiny_bundle, tmp_path):
    (tmp_path / "wrong.json").write_text("[[1, 2]]")
    (tmp_path / "one.json").write_text(json.dumps(np.random.default_rng(0).random((68, 2)).tolist()))
    far = (900, 900, 900, 990, 990, 990, 990, 900)
    crooked = (0, 0, 0, 50, 50, 50, 99, 0)
    for arguments, words in (
        ([blank, "--landmarks", tmp_path / "missing.json"], "missing.json"),
        ([blank, "--landmarks", tmp_path / "wrong.json"], "wrong.json"),
        ([blank, face, "--landmarks", tmp_path / "one.json"], "name one INPUT"),
        ([blank, "--landmarks", tmp_path / "one.json", "--quad", *far], "give one of them"),
        ([blank, "--quad", *crooked], "--quad: the quad is not a parallelogram"),
        ([blank, "--quad", *far], "blank.png: the quad lies outside the picture"),
    ):
        result = run(*arguments, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
        assert result.exit_code == 2 and words in result.output and "Traceback" not in result.output, result.output


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
        result = run(face, "-o", out, "--weights", tiny_bundle, "--steps", 1, "--blend", blend)
        assert result.exit_code == 0, result.output
        report = json.loads((out / "report.json").read_text())
        assert report["settings"]["blend"] == blend
        entry = report["pictures"][0]["faces"][0]
        assert set(entry["registration"]) == {"move", "refused"} and 0 <= entry["hidden"] <= 1
        assert (entry["registration"]["move"] == 0) == (blend == "paper")
        composites.add((out / "face" / "composite.png").read_bytes())
    assert len(composites) == 3


def test_help_is_quick():
    """No heavy import before it is needed."""
    import subprocess
    import sys

    code = "import sys, project; sys.exit(any(m in sys.modules for m in ('torch', 'cv2', 'dlib', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(project.__file__).parent).returncode == 0


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_rerun_does_only_what_is_missing(face, tiny_bundle, tmp_path, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(face, folder / f"{name}.png")
    options = (folder, "-o", out, "--weights", tiny_bundle, "--steps", 1)
    assert run(*options).exit_code == 0
    before = {k: v for k, v in files_of(out).items() if len(k.parts) > 1}
    done = []
    whole = pipeline.finish_picture
    monkeypatch.setattr(pipeline, "finish_picture", lambda *a: (done.append(a[0]), whole(*a))[1])
    assert run(*options).exit_code == 0 and not done
    (out / "a" / "report.json").unlink()  # as if it had been interrupted there
    assert run(*options).exit_code == 0 and len(done) == 1
    assert {k: v for k, v in files_of(out).items() if k.name != "report.json" and len(k.parts) > 1} == {
        k: v for k, v in before.items() if k.name != "report.json"
    }
    Image.open(face).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "b.png")
    assert run(*options).exit_code == 0 and len(done) == 2  # another picture under the same name
    assert run(*options, "--blend", "paper").exit_code == 0 and len(done) == 4  # other settings


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again(face, tiny_bundle, tmp_path):
    """Every output once, equal to those of an undisturbed run."""
    import os
    import signal
    import subprocess
    import sys
    import time

    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(12):
        Image.open(face).rotate(i, resample=Image.Resampling.BICUBIC).resize((300, 300)).save(folder / f"{i:02d}.png")
    options = ["--weights", str(tiny_bundle), "--steps", "1", "--device", "cpu"]
    assert run(folder, "-o", tmp_path / "whole", *options).exit_code in (0, 1)
    command = [sys.executable, project.__file__, str(folder), "-o", str(tmp_path / "out"), *options]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.time() + 120
    while len(list((tmp_path / "out").glob("*/report.json"))) < 4 and time.time() < deadline:
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    written = list((tmp_path / "out").glob("*/report.json"))
    assert 4 <= len(written) < 12 and not (tmp_path / "out" / "report.json").exists()
    assert run(folder, "-o", tmp_path / "out", *options).exit_code in (0, 1)
    whole, again = files_of(tmp_path / "whole"), files_of(tmp_path / "out")
    assert whole.keys() == again.keys()
    assert all(again[name] == data for name, data in whole.items() if name.suffix in (".png", ".npz"))


@pytest.mark.slow
def test_two_processes_write_what_one_writes(face, tiny_bundle, tmp_path):
    import subprocess
    import sys

    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(3):
        Image.open(face).rotate(2 * i, resample=Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    (folder / "text.png").write_text("not a picture")
    options = ["--weights", str(tiny_bundle), "--steps", "1", "--device", "cpu"]
    assert run(folder, "-o", tmp_path / "one", *options).exit_code == 1
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launcher, project.__file__, str(folder), "-o", str(tmp_path / "two"), *options]
    subprocess.run(command, capture_output=True, timeout=200)
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(two[name] == data for name, data in one.items() if name.suffix in (".png", ".npz"))
    names = [[e["output"] for e in json.loads(files[Path("report.json")])["pictures"]] for files in (one, two)]
    assert names[0] == names[1] == ["0", "1", "2", "text"]


def test_init_starts_where_another_run_ended(face, tiny_bundle, tmp_path):
    options = (face, "--weights", tiny_bundle, "--steps", 1)
    assert run(*options, "-o", tmp_path / "a").exit_code == 0
    latent = tmp_path / "a" / "face" / "face0_w_plus.npz"
    assert run(*options, "-o", tmp_path / "b", "--init", latent).exit_code == 0
    a, b = (np.load(tmp_path / name / "face" / "face0_w_plus.npz")["w_plus"] for name in "ab")
    np.testing.assert_allclose(a, b, atol=1e-3)  # one step at a learning rate that starts from 0
    np.savez(tmp_path / "wrong.npz", w_plus=np.zeros((1, 3, 3), np.float32))
    result = run(*options, "-o", tmp_path / "c", "--init", tmp_path / "wrong.npz")
    assert result.exit_code == 2 and "wrong.npz: holds w+ of shape [1, 3, 3]" in result.output


def test_compile_without_a_compiler_says_so_and_goes_on(face, tiny_bundle, tmp_path, monkeypatch):
    import torch

    def missing(function):
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", missing)
    result = run(face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1, "--compile")
    assert result.exit_code == 0 and "not compiled (RuntimeError: no C++ compiler)" in result.output


def test_python_interface(face, tiny_bundle, tmp_path):
    result = pipeline.Projector(tiny_bundle, steps=1)(face)
    result.save(tmp_path / "face")
    assert run(face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1).exit_code == 0
    composite = tmp_path / "out" / "face" / "composite.png"
    assert (tmp_path / "face" / "composite.png").read_bytes() == composite.read_bytes()
    assert result.faces[0].portrait.shape == (32, 32, 3)
    from alignment import AlignmentError

    Image.new("RGB", (240, 240)).save(tmp_path / "blank.png")
    with pytest.raises(AlignmentError, match="blank.png: no face found"):
        pipeline.Projector(tiny_bundle, steps=1)(tmp_path / "blank.png")


def test_the_result_refines_the_avatars_texture(face, tiny_bundle, tmp_path, monkeypatch):
    from jobs import texture, texture_case

    called = {}

    def refine(paths, out, schedule, device):
        called.update(out=out, image=paths.image, head=(paths.mesh.name, paths.texture.name, paths.camera),
                      parser=paths.parser, rounds=schedule.rounds)  # fmt: skip

    monkeypatch.setattr(texture, "refine_texture", refine)
    options = (face, "-o", tmp_path / "out", "--weights", tiny_bundle, "--steps", 1)
    result = run(*options, "--mesh", "head.obj", "--texture", "skin.png")
    assert result.exit_code == 2 and "head.obj: no such file" in result.output and not (tmp_path / "out").exists()
    monkeypatch.setattr(texture_case, "check_mesh", lambda *paths: None)
    assert run(*options, "--mesh", "head.obj", "--texture", "skin.png", "--rounds", 2).exit_code == 0
    assert called["image"] == tmp_path / "out" / "face" / "composite.png" and called["image"].is_file()
    assert called["head"] == ("head.obj", "skin.png", None) and called["rounds"] == 2
    assert called["out"] == tmp_path / "out" / "texture" and called["parser"].parent == tiny_bundle

    called.clear()
    for bad in (("--texture", "skin.png"), ("--camera", "camera.json")):
        result = run(*options, *bad)
        assert result.exit_code == 2 and "belong together" in result.output
    (tmp_path / "two").mkdir()
    for name in "ab":
        Image.new("RGB", (64, 64)).save(tmp_path / "two" / f"{name}.png")
    result = run(tmp_path / "two", *options[1:], "--mesh", "head.obj", "--texture", "skin.png")
    assert result.exit_code == 2 and "--mesh belongs to one picture" in result.output and not called


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
    picture, portrait = read_picture(face), np.asarray(Image.open(tmp_path / "face" / "face0_portrait.png"))
    (found,) = find_faces(picture.pixels)
    labels = parse(load_parser(tiny_bundle / "parser.safetensors"), to_tensor(portrait[None]))[0].numpy()
    expected, _ = composite(picture.original.samples, portrait, labels, found.quad, blend="paper")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "face" / "composite.png")), expected)


def test_arrays_and_pil_pictures(face, tiny_bundle):
    from alignment import PictureError

    projector = pipeline.Projector(tiny_bundle, steps=1, device="cpu")
    image = Image.open(face).convert("RGB")
    inverted = projector.invert(image, projector.find(image))
    array = np.asarray(image)
    results = [projector.finish(inverted), projector(array), projector(face)]
    assert all(np.array_equal(result.composite, results[0].composite) for result in results)
    deep = array.astype(np.uint16) * 257
    assert projector(deep).composite.dtype == np.uint16
    assert np.array_equal(projector.finish(inverted, strength=0.0).composite, array)
    for wrong in (array.astype(float), array[..., :2].T, 3, Image.new("RGB", (8, 8))):
        with pytest.raises(PictureError):
            projector(wrong)
