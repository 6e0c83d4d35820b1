"""A video file as frames for a run, by PyAV: every frame, upright, as a PNG in OUT/frames, and when it is shown.

Frames go through one by one, so that length costs no memory; what becomes of them is made a video again by
video_out.py. Foreign files are opened as one of CONTAINERS only: others (playlists) would name further files to be
opened.
"""

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click

from alignment.text import one_line, shown

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".wmv", ".flv", ".3gp"}
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,flv"  # FFmpeg's names
SHORTEST, MISSING = 0.8, 0.25  # of the length that a file claims, seconds: what ends earlier was cut short
RECORD = "video.json"


@dataclass(frozen=True)
class Clip:
    """A video whose frames lie in `folder`. frames: [(time stamp, duration)], one a frame, in units of time_base
    seconds. rate: frames a second on average. aspect: of a pixel. colours: FFmpeg's numbers of matrix, primaries and
    curve."""

    path: Path
    name: str  # of what is made of it
    folder: Path
    frames: list
    time_base: Fraction
    rate: Fraction
    aspect: Fraction
    colours: tuple

    @property
    def pictures(self):
        """[(path, name of its output)] of the frames, in order."""
        paths = [self.folder / f"frame{number:06d}.png" for number in range(1, len(self.frames) + 1)]
        return [(path, path.stem) for path in paths]


def the_video(inputs):
    """The path of the video that a command was given, or None for pictures. Raises ClickException for a video among
    other things."""
    videos = [Path(item) for item in inputs if Path(item).suffix.lower() in SUFFIXES and not Path(item).is_dir()]
    if videos and len(inputs) > 1:
        raise click.ClickException(f"{shown(videos[0])}: a video has to be the one INPUT; do it by itself")
    return videos[0] if videos else None


def extracted(path, out):
    """The Clip of a video, its frames in OUT/frames, unless they lie there already. Raises ClickException for a file
    that cannot be used, naming it, or where PyAV is missing."""
    import weights
    from alignment.names import output_names
    from machine.locks import Busy, only_run_in

    name, folder = output_names([path])[0], Path(out) / "frames"
    target = Path(out) / f"{name}.mp4"
    if target.exists() and target.samefile(path):
        raise click.ClickException(f"{shown(path)}: the new video would be written over it; give another -o")
    try:
        with only_run_in(out):
            digest = weights.sha256(path)
            facts = _lying_there(folder, digest) or _extract(path, folder, digest)
    except Busy as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        where = shown(error.filename or folder)
        raise click.ClickException(f"{where}: {error.strerror or one_line(error)}; check path and room") from error
    fractions = {key: Fraction(facts[key]) for key in ("time_base", "rate", "aspect")}
    frames = [tuple(frame) for frame in facts["frames"]]
    return Clip(Path(path), name, folder, frames, colours=tuple(facts["colours"]), **fractions)


def library(path):
    """PyAV. Raises ClickException where it is missing; path: what it is needed for."""
    try:
        import av
    except ImportError as error:
        raise click.ClickException(
            f"{shown(path)}: videos need PyAV; pip install av (or install Lifelike with [video])"
        ) from error
    av.logging.set_level(None)
    return av


def opened(av, file):
    """A container to read. Raises av.FFmpegError or ValueError for what is none."""
    try:
        return av.open(file, options={"format_whitelist": CONTAINERS})
    except OSError as error:  # of an empty file
        raise ValueError(error.strerror) from error


def _lying_there(folder, digest):
    """What an earlier run wrote of the same video, or None."""
    try:
        facts = json.loads((folder / RECORD).read_text())
        complete = len(list(folder.glob("frame*.png"))) == len(facts["frames"]) > 0
        return facts if complete and facts["sha256"] == digest else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _extract(path, folder, digest):
    """Decode every frame into `folder`; what RECORD says, which is written last."""
    from tqdm import tqdm

    from alignment import PictureError
    from alignment.formats import check_size
    from weights.files import remove_unfinished, written_atomically

    av = library(path)
    folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder)
    earlier = [path for path in folder.glob("frame*.png") if re.fullmatch(r"frame\d{6}\.png", path.name)]
    if earlier and not (folder / RECORD).is_file():
        raise click.ClickException(
            f"{shown(earlier[0])}: not of a video that was read here, and would be overwritten; give another -o"
        )
    with written_atomically(folder / RECORD) as unfinished:
        unfinished.write_text("{}")  # until all frames are there: what lies here is ours
    for stale in earlier:
        stale.unlink(missing_ok=True)
    frames, damaged, end = [], 0, 0.0
    remedy = "save or download it again"
    try:
        with open(path, "rb") as file, opened(av, file) as container:
            stream = next((stream for stream in container.streams.video if stream.format), None)
            if stream is None:
                raise click.ClickException(f"{shown(path)}: damaged, or no moving pictures in it; {remedy}")
            stream.thread_type = "AUTO"
            check_size(path, stream.width, stream.height)
            if any(component.is_alpha for component in stream.format.components):
                click.echo(f"{shown(path)}: its transparency is not kept", err=True)
            bar = tqdm(desc="reading frames", unit="frame", total=stream.frames or None, dynamic_ncols=True)
            first = None
            with bar:
                for packet in container.demux():
                    if packet.pts is not None and packet.time_base:
                        end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                    if packet.stream.index != stream.index:
                        continue
                    for frame in packet.decode():
                        first = first or frame
                        damaged += frame.is_corrupt
                        frames.append(_stamp(frame, stream, frames))
                        _write_frame(folder / f"frame{len(frames):06d}.png", _upright(frame))
                        bar.update()
            if not frames:
                raise click.ClickException(f"{shown(path)}: damaged, no frame of it can be read; {remedy}")
            length = (container.duration or 0) / av.time_base
            if end - (container.start_time or 0) / av.time_base < min(SHORTEST * length, length - MISSING):
                raise click.ClickException(f"{shown(path)}: cut short, {end:.1f} s of {length:.1f}; {remedy}")
            facts = {
                "sha256": digest,
                "frames": frames,
                "time_base": str(stream.time_base),
                "rate": str(stream.average_rate or stream.guessed_rate or 25),
                "aspect": str(_aspect(stream, first)),
                "colours": [int(first.colorspace), int(first.color_primaries), int(first.color_trc)],
            }
    except PictureError as error:
        raise click.ClickException(str(error)) from error
    except (av.FFmpegError, IndexError, ValueError) as error:
        why = one_line(getattr(error, "strerror", None) or error)
        raise click.ClickException(f"{shown(path)}: damaged, or no video ({why}); {remedy}") from error
    if damaged:
        click.echo(f"{shown(path)}: {damaged} of {len(frames)} frames are damaged and taken as they are", err=True)
    with written_atomically(folder / RECORD) as unfinished:
        unfinished.write_text(json.dumps(facts))
    return facts


def _stamp(frame, stream, before):
    """(time stamp, duration) of a decoded frame in the stream's time base; stamps rise from frame to frame."""
    usual = max(round(1 / ((stream.average_rate or 25) * stream.time_base)), 1)
    stamp = frame.pts if frame.pts is not None else (before[-1][0] + usual if before else 0)
    if before:
        stamp = max(stamp, before[-1][0] + 1)
    return stamp, frame.duration or usual


def _upright(frame):
    """uint8 [H, W, 3] of a decoded frame, turned as it asks (FFmpeg counts degrees against the clock)."""
    import numpy as np

    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90) % 4))


def _aspect(stream, frame):
    """Width of a pixel over its height, as the frame lies when it is upright."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return 1 / aspect if round(frame.rotation / 90) % 2 else aspect


def _write_frame(path, pixels):
    """A PNG, compressed quickly."""
    from PIL import Image

    from weights.files import written_atomically

    with written_atomically(path) as unfinished:
        Image.fromarray(pixels).save(unfinished, format="PNG", compress_level=1)
