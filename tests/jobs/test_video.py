"""Video files in and out: which frames, when, how coloured, and with which sound."""

import json
from fractions import Fraction

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import project
from jobs import video
from jobs.video import extracted, the_video
from jobs.video_out import written

av = pytest.importorskip("av", reason="PyAV is not installed")


def record(path, frames, stamps=None, rotation=0, sound="aac", codec="libx264", colours=1):
    """A video of frames uint8 [H, W, 3] at time stamps in milliseconds, and a tone that begins at 0.1 s."""
    stamps = stamps or [40 * number for number in range(len(frames))]
    unit = 40 if path.suffix == ".avi" else 1  # milliseconds of a time stamp; AVI has one rate
    with av.open(str(path), "w") as made:
        pictures = made.add_stream(codec, rate=25)
        pictures.height, pictures.width = frames[0].shape[:2]
        pictures.pix_fmt = "yuv420p"
        pictures.codec_context.time_base = Fraction(unit, 1000)
        pictures.codec_context.colorspace, pictures.codec_context.color_range = colours, 1
        if rotation:
            pictures.set_display_rotation(rotation)
        tone = made.add_stream(sound, rate=48000, layout="mono")
        for pixels, stamp in zip(frames, stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=colours, dst_color_range=1)
            frame.pts, frame.time_base = stamp // unit, Fraction(unit, 1000)
            made.mux(pictures.encode(frame))
        made.mux(pictures.encode())
        resampler = av.AudioResampler(tone.format, "mono", 48000)
        for number in range(12):
            wave = 0.3 * np.sin(np.arange(1024, dtype=np.float32)[None] / 20)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 4800 + 1024 * number, Fraction(1, 48000)
            for part in resampler.resample(frame):
                made.mux(tone.encode(part))
        made.mux(tone.encode())


def blocks(count, height=48, width=64):
    """Frames: green, red at the top left, and a stripe that moves."""
    frames = np.empty((count, height, width, 3), np.uint8)
    frames[:] = (40, 160, 90)
    frames[:, : height // 2, : width // 2] = (220, 30, 30)
    for number, frame in enumerate(frames):
        frame[-8:, 6 * number : 6 * number + 6] = 255
    return list(frames)


def content(path):
    """([time of a frame], [pixels], [the packets of the sound], its codec) of a video."""
    with av.open(str(path)) as source:
        packets = [bytes(packet) for packet in source.demux(audio=0) if packet.dts is not None]
        name = source.streams.audio[0].codec_context.name
    with av.open(str(path)) as source:
        frames = list(source.decode(video=0))
        return [float(f.time) for f in frames], [f.to_ndarray(format="rgb24") for f in frames], packets, name


@pytest.mark.parametrize("kind, sound", [("mp4", "mp3"), ("avi", "mp3"), ("mkv", "ac3"), ("webm", "libopus")])
def test_sound_is_copied(tmp_path, kind, sound):
    codec = "libvpx-vp9" if kind == "webm" else "libx264"
    record(tmp_path / f"clip.{kind}", blocks(4), sound=sound, codec=codec)
    (tmp_path / "out").mkdir()
    written(extracted(tmp_path / f"clip.{kind}", tmp_path / "out"), tmp_path / "out", [])
    assert content(tmp_path / "out" / "clip.mp4")[2] == content(tmp_path / f"clip.{kind}")[2]


@pytest.mark.parametrize("colours", [1, 5])  # BT.709 and BT.601
def test_frames_times_colours_and_sound_come_through(tmp_path, colours):
    stamps = [100, 140, 300, 310, 500, 900]  # a variable rate that does not begin at 0
    record(tmp_path / "clip.mkv", blocks(6), stamps, colours=colours)
    (tmp_path / "out").mkdir()
    clip = extracted(tmp_path / "clip.mkv", tmp_path / "out")
    assert [name for _, name in clip.pictures] == [f"frame{number:06d}" for number in range(1, 7)]
    assert written(clip, tmp_path / "out", []) == "clip.mp4"
    before, after = (content(path) for path in (tmp_path / "clip.mkv", tmp_path / "out" / "clip.mp4"))
    np.testing.assert_allclose(after[0], before[0], atol=1e-3)
    np.testing.assert_allclose(after[0], np.array(stamps) / 1000, atol=1e-3)
    for one, other in zip(before[1], after[1], strict=True):
        assert one.shape == other.shape and np.abs(one.astype(int) - other).mean() < 2
        assert np.abs(np.median(one.astype(int) - other, axis=(0, 1))).max() <= 2  # no other colour matrix
    assert after[2] == before[2] and len(after[2]) > 5  # the very packets
    assert after[3] == "aac"


def test_what_a_frame_became_is_in_the_new_video(tmp_path):
    record(tmp_path / "clip.mp4", blocks(4))
    out = tmp_path / "out"
    out.mkdir()
    clip = extracted(tmp_path / "clip.mp4", out)
    (out / "frame000002").mkdir()
    Image.new("RGB", (64, 48), (0, 0, 250)).save(out / "frame000002" / "composite.png")
    entries = [
        {"output": "frame000002", "composite": "composite.png"},
        {"output": "frame000003", "error": "no face found"},
    ]
    written(clip, out, entries)
    middles = [frame[24, 40] for frame in content(out / "clip.mp4")[1]]
    assert [pixel[2] > 200 for pixel in middles] == [False, True, False, False]
    assert len(middles) == 4


def test_a_video_held_upright_is_upright(tmp_path):
    record(tmp_path / "clip.mp4", blocks(3), rotation=-90)  # as from a telephone: to be turned clockwise
    (tmp_path / "out").mkdir()
    clip = extracted(tmp_path / "clip.mp4", tmp_path / "out")
    frame = np.asarray(Image.open(clip.pictures[0][0])).astype(int)
    assert frame.shape == (64, 48, 3)
    assert frame[5, 43, 0] > 180 and frame[20, 17, 0] < 80  # what was at the top left is at the top right
    written(clip, tmp_path / "out", [])
    with av.open(str(tmp_path / "out" / "clip.mp4")) as made:
        shown = next(made.decode(video=0))
        assert shown.rotation == 0 and (shown.width, shown.height) == (48, 64)


def test_sound_that_mp4_does_not_hold_becomes_aac(tmp_path):
    record(tmp_path / "clip.avi", blocks(3), sound="pcm_s16le", codec="mpeg4")
    (tmp_path / "out").mkdir()
    written(extracted(tmp_path / "clip.avi", tmp_path / "out"), tmp_path / "out", [])
    with av.open(str(tmp_path / "out" / "clip.mp4")) as made:
        assert made.streams.audio[0].codec_context.name == "aac"
        samples = np.concatenate([frame.to_ndarray()[0] for frame in made.decode(audio=0)])
    assert 12 * 1024 <= len(samples) <= 15 * 1024  # all of it, and what the coder adds
    assert np.abs(samples[4096:8192]).max() == pytest.approx(0.3, abs=0.05)


def test_damaged_sound_costs_no_picture(tmp_path):
    record(tmp_path / "clip.avi", blocks(25), sound="mp3", codec="mpeg4")
    data = bytearray((tmp_path / "clip.avi").read_bytes())
    at = data.index(b"01wb") + 8  # the first packet of the sound
    data[at : at + 100] = bytes(100)
    (tmp_path / "clip.avi").write_bytes(data)
    (tmp_path / "out").mkdir()
    written(extracted(tmp_path / "clip.avi", tmp_path / "out"), tmp_path / "out", [])
    assert len(content(tmp_path / "out" / "clip.mp4")[1]) == 25


def test_frames_are_read_once(tmp_path, monkeypatch):
    record(tmp_path / "clip.mp4", blocks(3))
    (tmp_path / "out").mkdir()
    first = extracted(tmp_path / "clip.mp4", tmp_path / "out")
    monkeypatch.setattr(video, "_upright", lambda frame: pytest.fail("decoded again"))
    assert extracted(tmp_path / "clip.mp4", tmp_path / "out") == first
    monkeypatch.undo()
    first.pictures[1][0].unlink()
    assert extracted(tmp_path / "clip.mp4", tmp_path / "out") == first and first.pictures[1][0].exists()
    record(tmp_path / "clip.mp4", blocks(2))
    assert len(extracted(tmp_path / "clip.mp4", tmp_path / "out").pictures) == 2
    assert len(list((tmp_path / "out" / "frames").glob("*.png"))) == 2


def test_damaged_videos_are_refused_in_a_line(tmp_path):
    record(tmp_path / "whole.mp4", blocks(20))
    record(tmp_path / "whole.mkv", blocks(50))
    for suffix in ("mp4", "mkv"):
        data = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"half.{suffix}").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mov").write_text("this is no video")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nwhole.mp4\n#EXT-X-ENDLIST\n")
    (tmp_path / "out").mkdir()
    for name in ("half.mp4", "half.mkv", "empty.mp4", "text.mov", "list.mp4", "gone.mp4"):
        with pytest.raises(click.ClickException) as caught:
            extracted(tmp_path / name, tmp_path / "out")
        assert name in caught.value.message and "\n" not in caught.value.message, caught.value.message
        record_of_it = tmp_path / "out" / "frames" / "video.json"
        assert not record_of_it.exists() or record_of_it.read_text() == "{}"  # which vouches for nothing


def test_what_is_a_video(tmp_path):
    assert the_video(["a.MP4"]).name == "a.MP4" and the_video(["a.png", "b.png"]) is None
    with pytest.raises(click.ClickException, match="the one INPUT"):
        the_video(["a.png", "b.mov"])
    record(tmp_path / "clip.mp4", blocks(2))
    with pytest.raises(click.ClickException, match="would be written over"):
        extracted(tmp_path / "clip.mp4", tmp_path)


def test_without_pyav_a_line_says_so(tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(click.ClickException, match=r"pip install av .*\[video\]"):
        extracted(tmp_path / "clip.mp4", tmp_path / "out")


def test_the_whole_command(samples, tiny_bundle, tmp_path):
    image = Image.open(samples / "avatar05_portrait.png").convert("RGB").resize((240, 240))
    frames = []
    for shift in range(4):
        frame = Image.new("RGB", (256, 248), "grey")
        frame.paste(image, (3 * shift, 4))
        frames.append(np.asarray(frame))
    record(tmp_path / "clip.mp4", frames)
    out = tmp_path / "out"
    arguments = [tmp_path / "clip.mp4", "-o", out, "--weights", tiny_bundle, "--steps", 2]
    result = CliRunner().invoke(project.main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    report = json.loads((out / "report.json").read_text())
    assert report["sequence"]["video"] == "clip.mp4" and len(report["pictures"]) == 4
    assert '<video src="clip.mp4"' in (out / "results.html").read_text() and not (out / "preview.png").exists()
    times, made, packets, _ = content(out / "clip.mp4")
    np.testing.assert_allclose(times, [0, 0.04, 0.08, 0.12], atol=1e-3)
    assert packets == content(tmp_path / "clip.mp4")[2]
    for number, pixels in enumerate(made, 1):
        composite = np.asarray(Image.open(out / f"frame{number:06d}" / "composite.png")).astype(int)
        assert np.abs(composite - pixels).mean() < 2


def test_pictures_of_others_are_not_taken_for_old_frames(tmp_path):
    frames = [np.full((64, 64, 3), 40 * number, np.uint8) for number in range(3)]
    record(tmp_path / "clip.mp4", frames)
    (tmp_path / "out" / "frames").mkdir(parents=True)
    (tmp_path / "out" / "frames" / "frame000001.png").write_bytes(b"mine")
    with pytest.raises(click.ClickException, match="would be overwritten"):
        extracted(tmp_path / "clip.mp4", tmp_path / "out")
    assert (tmp_path / "out" / "frames" / "frame000001.png").read_bytes() == b"mine"
    (tmp_path / "out" / "frames" / "frame000001.png").rename(tmp_path / "out" / "frames" / "frame01.png")
    extracted(tmp_path / "clip.mp4", tmp_path / "out")
    assert (tmp_path / "out" / "frames" / "frame01.png").read_bytes() == b"mine"
