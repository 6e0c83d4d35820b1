"""An Inverted on disk, so that another finish of the same inversion costs no inversion.

A picture's folder holds, for each face N, faceN_crop.png, faceN_inversion.png, faceN_portrait.png and
faceN_w_plus.npz, and inversion.json, which is written last and removed first: it says where the faces are and what
they were made with.
"""

import json
import re
from pathlib import Path

OF_A_FACE = re.compile(r"face\d+_((crop|inversion|portrait|foreign|mask|result)\.png|w_plus\.npz)")
RECORD = "inversion.json"
PIXELS = {  # file's kind: field of Inverted
    "crop": "crops",
    "inversion": "reconstructions",
    "portrait": "portraits",
}


def keep(folder, inverted, fingerprint=None):
    """Write an Inverted into `folder`, in place of whatever was made of another one there.

    fingerprint: of the picture and the settings of the inversion, for `kept` to compare.
    """
    import numpy as np

    from alignment import write_png
    from weights.files import written_atomically

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    forget(folder)
    for i, face in enumerate(inverted.found):
        for kind, field in PIXELS.items():
            write_png(folder / f"face{face.index}_{kind}.png", getattr(inverted, field)[i])
        if inverted.w_plus is not None:
            with written_atomically(folder / f"face{face.index}_w_plus.npz") as unfinished:
                np.savez(unfinished, w_plus=inverted.w_plus[i : i + 1])
    faces = [
        {
            "index": face.index,
            "box": face.box and [float(v) for v in face.box],
            "quad": face.quad.tolist(),
            "landmarks": None if face.landmarks is None else np.asarray(face.landmarks).tolist(),
            "turned": face.turned,
        }
        for face in inverted.found
    ]
    facts = {"lpips": inverted.lpips, "seconds": inverted.seconds, "tuned": inverted.tuned}
    facts |= {} if inverted.edited is None else {"edited": inverted.edited}
    facts["composite"] = f"composite{inverted.picture.original.suffix}"  # what finishing it writes
    with written_atomically(folder / RECORD) as unfinished:
        unfinished.write_text(json.dumps({"fingerprint": fingerprint, "faces": faces} | facts))


def kept(folder, picture, fingerprint):
    """The Inverted of a Picture that lies in `folder`, if it was made with this fingerprint and is all there, else
    None."""
    import numpy as np

    from alignment import Found, read_picture
    from alignment.crop import check_quad

    from .projector import Inverted

    try:
        record = json.loads((folder / RECORD).read_text())
        if fingerprint is None or record["fingerprint"] != fingerprint:
            return None
        found = []
        for face in record["faces"]:
            found.append(
                Found(
                    index=int(face["index"]),
                    box=face["box"] and tuple(face["box"]),
                    quad=check_quad(face["quad"]),
                    landmarks=None if face["landmarks"] is None else np.array(face["landmarks"]),
                    turned=face["turned"],
                )
            )
        pixels = {
            field: np.stack([read_picture(folder / f"face{face.index}_{kind}.png").pixels for face in found])
            for kind, field in PIXELS.items()
        }
        lpips = [None if value is None else float(value) for value in record["lpips"]]
        if len({drawn.shape for drawn in pixels.values()}) > 1 or len(lpips) != len(found):
            return None
        edited = record.get("edited")
        files = [] if edited else [folder / f"face{face.index}_w_plus.npz" for face in found]
        latents = [np.load(file, allow_pickle=False)["w_plus"] for file in files]
        return Inverted(
            picture=picture,
            found=found,
            w_plus=np.concatenate(latents) if latents else None,
            lpips=lpips,
            seconds=float(record["seconds"]),
            tuned=bool(record["tuned"]),
            edited=edited,
            **pixels,
        )
    except Exception:  # missing, or damaged, as JSON, pictures and zipped arrays can be in many ways: made again
        return None


def forget(folder):
    """Remove what was made of a picture, what says that it is complete first."""
    faces = [path for path in folder.glob("face*") if OF_A_FACE.fullmatch(path.name)]
    for stale in (folder / "report.json", *composite(folder), folder / RECORD, *faces):
        stale.unlink(missing_ok=True)


def composite(folder):
    """[path] of the composite that lies in `folder`, by its report or else by the record of the inversion, or []; not
    what somebody put beside it, composite.jpg beside composite.png say."""
    from alignment.originals import FORMAT_OF

    possible = [f"composite{suffix}" for suffix in FORMAT_OF]
    for record in ("report.json", RECORD):
        try:
            name = json.loads((folder / record).read_text())["composite"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue
        return [folder / name] if name in possible else []
    return []
