"""The finished frames of a video as OUT/NAME.mp4, by PyAV: with its time stamps, constant or not, and its sound.

A frame that was not done is in the new video as it was in the old one.
"""

from pathlib import Path

import click

from alignment.text import one_line, shown

from .video import library, opened

COPIED = {"aac", "mp3", "opus", "ac3", "eac3", "alac", "flac"}  # sound that MP4 holds as it is; other becomes AAC
AAC_FRAME = 1024  # samples
QUALITY = "14"  # x264's constant rate factor: no difference is to be seen
LIMITED = 1  # FFmpeg's AVCOL_RANGE_MPEG


def written(clip, out, entries):
    """Write OUT/NAME.mp4 of a run's entries (report.json's "pictures") and return the file's name. Raises
    ClickException."""
    from alignment import PictureError, read_picture
    from weights.files import written_atomically

    av = library(clip.path)
    done = {entry["output"]: entry for entry in entries if "error" not in entry}
    target = Path(out) / f"{clip.name}.mp4"
    try:
        with written_atomically(target) as unfinished, open(clip.path, "rb") as file, opened(av, file) as source:
            with av.open(str(unfinished), "w", format="mp4", options={"movflags": "faststart"}) as made:
                stream = None
                sound = Sound(av, source, made)
                for (path, name), (stamp, duration) in zip(clip.pictures, clip.frames, strict=True):
                    finished = Path(out) / name / done[name]["composite"] if name in done else path
                    try:
                        pixels = read_picture(finished).pixels
                    except PictureError as error:  # damaged since
                        remedy = "delete it and run the same command again"
                        raise click.ClickException(f"{error}; {remedy}") from error
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


class Sound:
    """The sound of a video on its way into another, packet by packet, as it is where MP4 can hold it. What is damaged
    is left out."""

    def __init__(self, av, source, made):
        self.av, self.made, self.streams, self.resamplers = av, made, {}, {}
        heard = [stream for stream in source.streams.audio if stream.codec_context is not None and stream.rate]
        for stream in heard:
            if stream.codec_context.codec.canonical_name in COPIED:
                self.streams[stream.index] = made.add_stream_from_template(stream)
            else:
                layout = "mono" if stream.channels == 1 else "stereo"
                self.streams[stream.index] = made.add_stream("aac", rate=stream.rate, layout=layout)
                self.resamplers[stream.index] = av.AudioResampler("fltp", layout, stream.rate, AAC_FRAME)
        self.packets = source.demux(heard) if heard else iter(())
        self.waiting = None

    def up_to(self, seconds):
        """Hand on what is heard before a moment."""
        while True:
            try:
                packet = self.waiting or next(self.packets, None)
                self.waiting = None
                if packet is None:
                    return
                if packet.dts is not None and float(packet.dts * packet.time_base) > seconds:
                    self.waiting = packet
                    return
                self.hand_on(packet)
            except self.av.InvalidDataError:
                continue

    def hand_on(self, packet):
        """Put one packet into the new video; the last of a stream has no time."""
        new, resampler = self.streams[packet.stream.index], self.resamplers.get(packet.stream.index)
        if resampler is None:
            if packet.dts is not None:
                packet.stream = new
                self.made.mux(packet)
            return
        last = packet.dts is None
        for frame in [*packet.decode(), *([None] if last else [])]:
            for part in resampler.resample(frame):
                self.made.mux(new.encode(part))
        if last:
            self.made.mux(new.encode())
