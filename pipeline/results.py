"""What comes out for one picture, and the files it is written to."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from .kept import composite, keep

FINISHED = ("mask", "result")  # a face's pictures that another finish changes


@dataclass(frozen=True)
class Measured:
    """How one face went: what reports say of it. Plain numbers and words, so that it goes into JSON as it is."""

    face: int  # 0 is the largest of the picture
    box: list | None  # left, top, right, bottom in picture pixels, by the detector
    quad: list  # [4, 2], the FFHQ square in picture pixels
    side: float  # of that square
    size: int  # pixels the generators draw on a side
    yaw: float | None  # degrees, where landmarks are known
    seconds: float  # of the inversion
    tuned: bool  # whether the inversion ended with pivotal tuning
    detail: float  # that was kept of the picture
    lpips: float | None  # between crop and g_rendering's picture, if there is one
    identity: float  # dlib distance of the face before and after, both as the crop shows it
    registration: dict  # "move", "refused"
    hidden: float  # share of the face that something lies in front of
    worn: dict  # {class: share of the crop} of glasses and hats
    edited: str | None = None  # the file of its portrait, where that was made elsewhere
    warnings: list = field(default_factory=list)  # sentences


@dataclass(frozen=True)
class FaceResult:
    """One face done: its pictures, and what was measured."""

    measured: Measured
    crop: object  # uint8 [R, R, 3], what was inverted
    inversion: object  # the same by g_rendering
    portrait: object  # the same by g_real
    result: object  # the same of the finished picture
    mask: object  # uint8 [H, W], of the whole picture; 0 only where nothing changed
    w_plus: object  # float32 [1, num_ws, w_dim], or None


@dataclass(frozen=True)
class Result:
    """One picture done."""

    inverted: object  # the projector.Inverted it was made of
    composite: object  # samples of the form of picture.original.samples
    faces: list  # of FaceResult, the largest first

    @property
    def picture(self):
        """The alignment.Picture that came in."""
        return self.inverted.picture

    def save(self, folder, kept_there=False):
        """Write what the command writes for a picture into `folder`, in place of another's; returns (name of the
        composite's file, [what was measured, one dict a face]). kept_there: the very inversion lies there (kept.keep).
        """
        from alignment import to_rgb8, write_original, write_png
        from alignment.sheet import contact_sheet

        folder = Path(folder)
        if not kept_there:
            keep(folder, self.inverted)
        finished = [folder / f"face{face.measured.face}_{kind}.png" for face in self.faces for kind in FINISHED]
        for stale in (*composite(folder), folder / "report.json", *finished):
            stale.unlink(missing_ok=True)
        drawn = ("inversion by g_rendering", "portrait by g_real")
        rows, drawn = [], ("its detail that both have", "edited elsewhere") if self.inverted.edited else drawn
        before, after = self.picture.pixels, to_rgb8(self.composite)
        for face in self.faces:
            top, bottom, left, right = neighbourhood(face.measured.quad, before.shape)
            rows.append(
                [
                    ("input", face.crop),
                    (drawn[0], face.inversion),
                    (drawn[1], face.portrait),
                    ("soft mask", face.mask[top:bottom, left:right]),
                    ("in the picture: before", before[top:bottom, left:right]),
                    ("in the picture: after", after[top:bottom, left:right]),
                ]
            )
            for kind in FINISHED:
                write_png(folder / f"face{face.measured.face}_{kind}.png", getattr(face, kind))
        rows.append([("before", before), ("after", after)])
        written = write_original(folder / "composite", self.picture.original, self.composite)
        write_png(folder / "sheet.png", contact_sheet(rows))
        return written.name, [asdict(face.measured) for face in self.faces]


def neighbourhood(quad, shape):
    """(top, bottom, left, right) of the picture around a face crop, a tenth of its side larger on every side."""
    xs, ys = [p[0] for p in quad], [p[1] for p in quad]
    pad = 0.1 * (max(xs) - min(xs))
    top, bottom = max(int(min(ys) - pad), 0), min(int(max(ys) + pad), shape[0])
    left, right = max(int(min(xs) - pad), 0), min(int(max(xs) + pad), shape[1])
    return top, bottom, left, right
