"""Video files in and out of a run, by PyAV.

    extracted   every frame of a video, upright, as a PNG in OUT/frames, and when it is shown: work for jobs/sequence.py
    written     the finished frames as OUT/NAME.mp4: the time stamps of the video, constant or not, and its sound

Frames go through one by one, so that length costs no memory. A frame that was not done is in the new video as it was
in the old one. Foreign files are opened as one of CONTAINERS only: others (playlists) would name further files to be
opened.
"""

import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click

from alignment.text import one_line, shown

SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".wmv", ".flv", ".3gp"}
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,asf,flv"  # FFmpeg's names
COPIED = {"aac", "mp3", "opus", "ac3", "eac3", "alac", "flac"}  # sound that MP4 holds as it is; other becomes AAC
QUALITY = "14"  # x264's constant rate factor: no difference is to be seen
SHORTEST = 0.8  # of the length that a file claims: what ends earlier was cut short
LIMITED = 1  # FFmpeg's AVCOL_RANGE_MPEG
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


def written(clip, out, entries):
    """Write OUT/NAME.mp4 of a run's entries (report.json's "pictures") and return the file's name. Raises
    ClickException."""
    from alignment import read_picture
    from weights.files import written_atomically

    av = _library(clip.path)
    done = {entry["output"]: entry for entry in entries if "error" not in entry}
    target = Path(out) / f"{clip.name}.mp4"
    try:
        with written_atomically(target) as unfinished, open(clip.path, "rb") as file, _opened(av, file) as source:
            with av.open(str(unfinished), "w", format="mp4", options={"movflags": "faststart"}) as made:
                stream = None
                sound = _Sound(av, source, made)
                for (path, name), (stamp, duration) in zip(clip.pictures, clip.frames, strict=True):
                    finished = Path(out) / name / done[name]["composite"] if name in done else path
                    pixels = read_picture(finished).pixels
                    stream = stream or _new_stream(made, clip, pixels.shape)
                    frame = _coloured(av, pixels, stream.pix_fmt, clip)
                    frame.pts, frame.duration, frame.time_base = stamp, duration, clip.time_base
                    sound.up_to(float(stamp * clip.time_base))
                    made.mux(stream.encode(frame))
                made.mux(stream.encode())
                sound.up_to(float("inf"))
    except av.FFmpegError as error:
        why = one_line(getattr(error, "strerror", None) or error)
        raise click.ClickException(f"{shown(target)}: cannot be written ({why}); see {shown(clip.path)}") from error
    return target.name


def _library(path):
    try:
        import av
    except ImportError as error:
        raise click.ClickException(
            f"{shown(path)}: videos need PyAV; pip install av (or install Lifelike with [video])"
        ) from error
    av.logging.set_level(None)
    return av


def _opened(av, file):
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

    av = _library(path)
    folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder)
    for stale in (folder / RECORD, *folder.glob("frame*.png")):
        stale.unlink(missing_ok=True)
    frames, damaged, end = [], 0, 0.0
    remedy = "save or download it again"
    try:
        with open(path, "rb") as file, _opened(av, file) as container:
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
            if end - (container.start_time or 0) / av.time_base < SHORTEST * length:
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


def _new_stream(made, clip, shape):
    """The stream of pictures of a video that is written, H.264."""
    stream = made.add_stream("libx264", rate=clip.rate, options={"crf": QUALITY, "bf": "0"})  # in order
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv444p" if stream.height % 2 or stream.width % 2 else "yuv420p"
    context = stream.codec_context
    context.time_base = clip.time_base
    context.sample_aspect_ratio = clip.aspect
    context.colorspace, context.color_primaries, context.color_trc = clip.colours
    context.color_range = LIMITED
    return stream


def _coloured(av, pixels, pix_fmt, clip):
    """A frame of uint8 [H, W, 3] by the colour matrix of the video."""
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    return frame.reformat(format=pix_fmt, dst_colorspace=clip.colours[0], dst_color_range=LIMITED)


class _Sound:
    """The sound of a video on its way into another, packet by packet, as it is where MP4 can hold it."""

    def __init__(self, av, source, made):
        self.made, self.streams, self.resamplers = made, {}, {}
        for stream in source.streams.audio:
            if stream.codec_context.name in COPIED:
                self.streams[stream.index] = made.add_stream_from_template(stream)
            else:
                layout = "mono" if stream.channels == 1 else "stereo"
                self.streams[stream.index] = made.add_stream("aac", rate=stream.rate, layout=layout)
                self.resamplers[stream.index] = av.AudioResampler("fltp", layout, stream.rate)
        self.packets = source.demux(list(source.streams.audio)) if self.streams else iter(())
        self.waiting = None

    def up_to(self, seconds):
        """Hand on what is heard before a moment."""
        while True:
            packet = self.waiting or next(self.packets, None)
            self.waiting = None
            if packet is None:
                return
            if packet.dts is not None and float(packet.dts * packet.time_base) > seconds:
                self.waiting = packet
                return
            self._hand_on(packet)

    def _hand_on(self, packet):
        new, copied = self.streams[packet.stream.index], packet.stream.codec_context.name in COPIED
        if copied and packet.dts is not None:
            packet.stream = new
            self.made.mux(packet)
        elif not copied:
            for frame in packet.decode():
                for part in self.resamplers[packet.stream.index].resample(frame):
                    self.made.mux(new.encode(part))
            if packet.dts is None:  # the last one
                self.made.mux(new.encode())
