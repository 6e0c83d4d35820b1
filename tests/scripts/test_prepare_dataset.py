"""The command on good, bad and ugly pictures: what stays, what goes and why; again, with a review, on a full disk."""

import csv
import functools
import http.server
import io
import json
import os
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageFilter

from scripts import prepare_dataset
from training.preparation import pack, steps

OPTIONS = ["--size", "64", "--min-side", "150", "--workers", "1"]


@pytest.fixture(scope="module")
def faces(samples):
    """Three portraits, each [300, 300, 3] or so, with crops 180 to 290 pixels wide."""
    boxes = {"avatar05_portrait": (0, 0, 1024, 1024), "avatar03_display": (200, 50, 1000, 850),
             "avatar06_display": (300, 50, 900, 650)}  # fmt: skip
    return [
        Image.open(samples / f"{name}.png").convert("RGB").crop(box).resize((480, 480)) for name, box in boxes.items()
    ]


def test_what_it_made_is_no_source(faces, tmp_path):
    """OUT within SOURCE: the second run took its own crops, thumbnails and sheet for new pictures."""
    faces[0].save(tmp_path / "a.png")
    options = [str(tmp_path), "-o", str(tmp_path), *OPTIONS]
    reports = []
    for _ in range(2):
        result = CliRunner().invoke(prepare_dataset.main, options)
        assert result.exit_code == 0, result.output
        reports.append(json.loads((tmp_path / "report.json").read_text()))
    assert [report["pictures"] for report in reports] == [1, 1]
    assert reports[0]["signature"] == reports[1]["signature"]
    (tmp_path / "a.png").unlink()
    result = CliRunner().invoke(prepare_dataset.main, options)
    assert result.exit_code == 2 and "hold only what was made here" in result.output


def test_folders_called_like_its_own_are_sources(faces, tmp_path):
    """OUT around SOURCE, and a sheet.png that is somebody's portrait."""
    (tmp_path / "out" / "downloads").mkdir(parents=True)
    faces[0].save(tmp_path / "out" / "downloads" / "a.png")
    for _ in range(2):
        options = [str(tmp_path / "out" / "downloads"), "-o", str(tmp_path / "out"), *OPTIONS]
        result = CliRunner().invoke(prepare_dataset.main, options)
        assert result.exit_code == 0 and "1 faces of 1 pictures" in result.output
    (tmp_path / "own").mkdir()
    faces[0].save(tmp_path / "own" / "sheet.png")
    before = (tmp_path / "own" / "sheet.png").read_bytes()
    result = CliRunner().invoke(prepare_dataset.main, [str(tmp_path / "own"), "-o", str(tmp_path / "own"), *OPTIONS])
    assert result.exit_code == 2 and "sheet.png: would be overwritten" in result.output
    assert (tmp_path / "own" / "sheet.png").read_bytes() == before


@pytest.mark.parametrize("wrong", [("--max-yaw", "nan"), ("--min-sharpness", "nan"), ("--max-faces", "0"),
                                   ("--max-yaw", "-3"), ("--rate", "nan"), ("--min-side", "nan")])  # fmt: skip
def test_limits_that_mean_nothing_are_refused(tmp_path, wrong):
    result = CliRunner().invoke(prepare_dataset.main, [str(tmp_path), "-o", str(tmp_path / "out"), *wrong])
    assert result.exit_code == 2 and wrong[0] in result.output and not (tmp_path / "out").exists()


def encoded(image, suffix="PNG", **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def ugly(tmp_path_factory, faces):
    """A folder and a zip with something of everything, as {file name: reason it must go for, None = it stays}."""
    folder = tmp_path_factory.mktemp("ugly")
    a, b, c = faces
    pair = Image.new("RGB", (960, 480))
    pair.paste(b, (0, 0))
    pair.paste(c, (480, 0))
    pictures = {
        "a.png": (encoded(a), None),
        "deep/er/b.png": (encoded(b), None),
        "copy_of_a.jpg": (encoded(a.resize((420, 420)), "JPEG", quality=70), "duplicate"),
        "blurred.png": (encoded(c.filter(ImageFilter.GaussianBlur(8))), "blurred"),
        "small.png": (encoded(c.resize((220, 220))), "small"),
        "two.png": (encoded(pair), "several faces"),
        "landscape.png": (encoded(Image.radial_gradient("L")), "no face"),
        "cut.jpg": (encoded(b, "JPEG")[:3000], "unreadable"),
        "text.png": (b"I am no picture", "unreadable"),
        "empty.png": (b"", "unreadable"),
        "dot.png": (encoded(Image.new("RGB", (1, 1))), "unreadable"),
    }
    for name, (content, _) in pictures.items():
        (folder / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "pictures" / name).write_bytes(content)
    with zipfile.ZipFile(folder / "more.zip", "w") as file:
        file.writestr("../../evil.png", encoded(c))
        file.writestr("../broken.png", b"\x89PNG\r\n\x1a\n and no more")
    expected = {str(folder / "pictures" / name): reason for name, (_, reason) in pictures.items()}
    expected |= {f"{folder}/more.zip/../../evil.png": None, f"{folder}/more.zip/../broken.png": "unreadable"}
    return [str(folder / "pictures"), str(folder / "more.zip")], expected


def run(*arguments):
    return CliRunner().invoke(prepare_dataset.main, [*map(str, arguments)])


def rejected(out):
    with (out / "rejected.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def stored(path):
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def prepared(ugly, tmp_path_factory):
    out = tmp_path_factory.mktemp("house") / "deep" / "out"
    return out, run(*ugly[0], "-o", out, *OPTIONS)


def test_everything_has_its_reason(ugly, prepared):
    out, result = prepared
    assert result.exit_code == 0, result.output
    reasons = {row["picture"]: row["reason"] for row in rejected(out)}
    assert reasons == {name: reason for name, reason in ugly[1].items() if reason}
    numbers = {row["reason"]: (row["number"], row["limit"]) for row in rejected(out)}
    assert numbers["several faces"] == ("2", "1") and numbers["no face"] == ("0", "1")
    assert 80 < float(numbers["small"][0]) < 150 and float(numbers["blurred"][0]) < 10
    assert 0 <= int(numbers["duplicate"][0]) <= 20
    assert "cut.jpg" not in next(row["detail"] for row in rejected(out) if row["picture"].endswith("cut.jpg"))


def test_the_set_and_its_reports(prepared):
    out, _ = prepared
    files = stored(out / "dataset.zip")
    names = [f"00000/img{i:08d}.png" for i in range(3)]
    assert sorted(files) == [*names, "dataset.json"] and json.loads(files["dataset.json"]) == {"labels": None}
    for name in names:
        image = Image.open(io.BytesIO(files[name]))
        assert image.size == (64, 64) and image.mode == "RGB" and np.asarray(image).std() > 20
    report = json.loads((out / "report.json").read_text())
    assert report["kept"] == 3 and report["pictures"] == 13 and report["rejected"]["unreadable"] == 5
    assert {p.name for p in out.iterdir()} == {
        "crops", "dataset.zip", "rejected.csv", "report.json", "review.html", "sheet.png"}  # fmt: skip
    assert (out / "review.html").read_text().count('type="checkbox"') == 3
    assert not list(out.parent.parent.rglob("evil*"))  # a hostile name leads nowhere


def test_again_does_nothing_again_and_reviews_are_read(ugly, prepared, monkeypatch):
    out, _ = prepared
    before, changed = stored(out / "dataset.zip"), (out / "dataset.zip").stat().st_mtime_ns
    monkeypatch.setattr(steps, "prepare", lambda *arguments, **options: pytest.fail("done before"))
    result = run(*ugly[0], "-o", out, *OPTIONS)
    assert result.exit_code == 0, result.output
    assert json.loads((out / "report.json").read_text())["cut_now"] == 0
    assert (out / "dataset.zip").stat().st_mtime_ns == changed

    with (out / "review.html").open() as page:
        identity = page.read().split('value="')[5].split('"')[0]  # four sort orders, then the first picture
    (out.parent / "review-1.json").write_text(json.dumps({"remove": [identity, "unknown-0"]}))
    result = run(*ugly[0], "-o", out, *OPTIONS, "--review", out.parent / "review-1.json")
    assert result.exit_code == 0 and "1 ids of the review" in result.output, result.output
    files = stored(out / "dataset.zip")
    assert len(files) == 3 and files["00000/img00000000.png"] == before["00000/img00000001.png"]
    (gone,) = [row for row in rejected(out) if row["reason"] == "review"]
    assert gone["face"] == identity and gone["picture"].endswith("a.png")

    result = run(*ugly[0], "-o", out, *OPTIONS, "--format", "folder")  # without the review: it is back
    assert result.exit_code == 0, result.output
    assert len(list((out / "dataset").rglob("*.png"))) == 3


def test_looser_limits_cut_only_what_they_admit(ugly, prepared):
    out, _ = prepared
    result = run(*ugly[0], "-o", out, *OPTIONS, "--max-faces", "2", "--min-sharpness", "0", "--max-difference", "-1")
    assert result.exit_code == 0, result.output
    report = json.loads((out / "report.json").read_text())
    # copies and pair are admitted, the blurred one was judged by its crop: only pair and blurred are done again
    assert report["kept"] == 7 and report["cut_now"] == 2
    assert set(report["rejected"]) == {"unreadable", "no face", "small"}


def test_killed_and_run_again(ugly, prepared, tmp_path):
    """SIGKILL in the middle: no process stays behind, and the same command ends with the very set."""
    command = [sys.executable, prepare_dataset.__file__, *ugly[0], "-o", str(tmp_path / "out"), *OPTIONS]
    journal = tmp_path / "out/crops/64/journal.jsonl"
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 2:
        assert first.poll() is None, first.stderr.read()
        time.sleep(0.02)
    first.kill()
    first.communicate(timeout=60)  # ends when the last process that holds the pipe, any worker, has ended
    done = journal.read_bytes().count(b"\n")

    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "out/report.json").read_text())["cut_now"] <= 13 - done
    out, _ = prepared
    run(*ugly[0], "-o", out, *OPTIONS)
    assert (tmp_path / "out/dataset.zip").read_bytes() == (out / "dataset.zip").read_bytes()
    assert rejected(tmp_path / "out") == rejected(out)


def test_one_run_a_folder_and_leftovers_of_killed_ones_are_gone(prepared, ugly, tmp_path):
    out = tmp_path / "out"
    left = [out / "crops/64/ab/.x.0123456789abcdef.part.png", out / ".dataset.0123456789abcdef.part.zip"]
    left.append(out / "downloads/ab/.y.0123456789abcdef.part")
    mine = out / "crops/64/ab/.hidden"
    for path in (*left, mine):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with steps.alone_in(out):
        assert not any(path.exists() for path in left) and mine.exists()
        result = run(*ugly[0], "-o", out, *OPTIONS)
    assert result.exit_code == 2 and "another run is at work in this folder" in result.output
    assert result.output.count("\n") == 1


def test_urls(faces, tmp_path):
    served = tmp_path / "served"
    served.mkdir()
    for name, face in zip("ab", faces, strict=False):
        face.save(served / f"{name}.jpg", quality=95)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=served)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{httpd.server_address[1]}"
        (tmp_path / "list.csv").write_text(f"url,label\n{url}/a.jpg,1\n{url}/gone.jpg,1\n{url}/b.jpg,0\n")
        result = run(tmp_path / "list.csv", "-o", tmp_path / "out", *OPTIONS, "--rate", "50")
        httpd.shutdown()
    assert result.exit_code == 1 and f"failed: {url}/gone.jpg: HTTP 404" in result.output
    assert [(row["picture"], row["reason"]) for row in rejected(tmp_path / "out")] == [(f"{url}/gone.jpg", "download")]
    labels = json.loads(stored(tmp_path / "out/dataset.zip")["dataset.json"])["labels"]
    assert labels == [["00000/img00000000.png", 1], ["00000/img00000001.png", 0]]
    # the server is gone: what was fetched is still there, what was not still fails
    (tmp_path / "list.csv").write_text(f"url,label\n{url}/a.jpg,1\n{url}/b.jpg,0\n")
    assert run(tmp_path / "list.csv", "-o", tmp_path / "out", *OPTIONS).exit_code == 0


def refusal(result):
    """The one line of a command that could do nothing."""
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert result.exit_code == 2 and len(lines) == 1, result.output
    return lines[0]


def test_bad_input_is_refused_in_one_line(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    for source in (empty, tmp_path / "empty.zip"):
        message = refusal(run(source, "-o", tmp_path / "out"))
        assert str(source) in message and "holds no pictures" in message
    assert not (tmp_path / "out").exists()
    assert run(empty, "-o", tmp_path / "out", "--size", "100").exit_code == 2
    Image.radial_gradient("L").save(empty / "grey.png")
    (tmp_path / "file").touch()
    assert "cannot be written" in refusal(run(empty, "-o", tmp_path / "file" / "out"))
    message = refusal(run(empty, "-o", tmp_path / "out", *OPTIONS))
    assert "no face stays (1 no face)" in message and not (tmp_path / "out" / "dataset.zip").exists()


def mount(folder, options):
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a file system needs root")


def test_no_write_permission(faces, tmp_path):
    (tmp_path / "in").mkdir()
    faces[0].save(tmp_path / "in" / "a.png")
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    try:
        if os.geteuid() == 0:
            mount(locked, "ro,size=64k")  # permissions do not stop root
        message = refusal(run(tmp_path / "in", "-o", locked / "out", *OPTIONS))
    finally:
        subprocess.run(["umount", "-l", str(locked)], capture_output=True)
    assert str(locked / "out") in message and "cannot be written" in message


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 160 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "size=160k")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk(faces, small_disk, tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(8):
        faces[i % 3].rotate(3 * i).save(tmp_path / "in" / f"{i}.png")
    options = ["--size", "256", "--min-side", "150", "--workers", "1", "--max-difference", "-1", "--min-sharpness", "0"]
    message = refusal(run(tmp_path / "in", "-o", small_disk / "out", *options))
    assert "No space left" in message and str(small_disk) in message
    assert not list(small_disk.rglob("*.part*"))
    for path in small_disk.rglob("*-0.png"):  # what is there is whole
        Image.open(path).load()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    result = run(tmp_path / "in", "-o", small_disk / "out", *options)  # room was made: the same command goes on
    assert result.exit_code == 0, result.output
    report = json.loads((small_disk / "out/report.json").read_text())
    assert report["kept"] == 8 and report["cut_now"] < 8


def test_full_disk_while_packing_keeps_the_old_set(prepared, ugly, monkeypatch):
    out, _ = prepared
    run(*ugly[0], "-o", out, *OPTIONS)
    before = (out / "dataset.zip").read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pack.zipfile.ZipFile, "writestr", full)
    message = refusal(run(*ugly[0], "-o", out, *OPTIONS, "--max-difference", "-1"))
    assert "No space left" in message and (out / "dataset.zip").read_bytes() == before


def test_help_is_quick():
    started = time.perf_counter()
    heavy = "{'torch', 'cv2', 'dlib', 'PIL'} & set(sys.modules)"
    code = f"import sys; from scripts import prepare_dataset; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert time.perf_counter() - started < 20
