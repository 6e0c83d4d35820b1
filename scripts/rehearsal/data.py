"""The data of a rehearsal, made of the pictures in samples/: rendered faces to prepare, paired identities, frames of a
video, a head with its textures, the answers of a participant."""

import json

import numpy as np
from PIL import Image

IDENTITIES, EVALUATED = 32, 2
PORTRAIT = "avatar05_portrait.png"


def write_data(samples, folder, resolution):
    """rendered/, frames/, avatars/ (laid out like the paired avatars) and texture/case0 in `folder`."""
    portrait = Image.open(samples / PORTRAIT).convert("RGB")
    write_pictures(samples, folder / "rendered")
    write_frames(portrait, folder / "frames")
    write_avatars(portrait.resize((resolution, resolution)), folder / "avatars")
    write_head(portrait.resize((256, 256)), folder / "texture" / "case0")


def write_pictures(samples, folder):
    """The samples as they are, and mirrored in other colours: another person to the filter of duplicates."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(samples.glob("*.png")):
        image = Image.open(path).convert("RGB")
        image.save(folder / path.name)
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda v: min(255, v * 5 // 4)).save(
            folder / f"{path.stem}_mirrored.png"
        )


def write_frames(portrait, folder):
    """Two frames of a face that moves by some pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(2):
        portrait.transform(portrait.size, Image.Transform.AFFINE, (1, 0, 6 * index, 0, 1, 3 * index)).save(
            folder / f"frame{index + 1}.png"
        )


def write_avatars(portrait, folder):
    """Identities that differ in tone; the photo look is a little brighter and has grain."""
    side = portrait.width
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    labels = np.zeros([side, side], np.uint8)
    labels[(x / 0.42) ** 2 + (y / 0.48) ** 2 < 1] = 17  # hair around skin
    labels[(x / 0.3) ** 2 + ((y - 0.05) / 0.38) ** 2 < 1] = 1
    pixels, random = np.asarray(portrait, np.float32), np.random.default_rng(0)
    people = []
    for index in range(IDENTITIES):
        name = f"{index:06d}"
        person = pixels * random.uniform(0.7, 1.1, 3)
        photo = 1.1 * person + random.normal(0, 12, pixels.shape)
        looks = {"rendered": person, "real": photo, "parsing": labels}
        if index >= IDENTITIES - EVALUATED:
            looks["matched"] = photo
        for look, picture in looks.items():
            (folder / look).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / look / f"{name}.png")
        people.append(json.dumps({"id": name, "yaw": float(index)}))
    (folder / "manifest.jsonl").write_text("\n".join(people) + "\n")


def write_head(picture, folder, n=12):
    """A bulging square patch before a camera, with the picture as its photograph."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for v in range(n + 1):
        for u in range(n + 1):
            x, z = 2 * u / n - 1, 2 * v / n - 1
            lines += [f"v {x:.4f} {-0.5 * (1 - x * x) * (1 - 0.5 * z * z):.4f} {z:.4f}", f"vt {u / n:.4f} {v / n:.4f}"]
    for v in range(n):
        for u in range(n):
            a = v * (n + 1) + u + 1
            for corners in ((a, a + 1, a + n + 2), (a, a + n + 2, a + n + 1)):
                lines.append("f " + " ".join(f"{i}/{i}" for i in corners))
    (folder / "head.obj").write_text("\n".join(lines) + "\n")
    side = picture.width
    matrix = [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 6]]
    camera = {"image_size": [side, side], "fx": 2.2 * side, "fy": 2.2 * side, "cx": side / 2, "cy": side / 2}
    (folder / "camera.json").write_text(json.dumps(camera | {"world_to_camera": matrix}))
    picture.save(folder / "photo.png")
    picture.save(folder / "texture_true.png")
    picture.point(lambda v: v * 3 // 4).save(folder / "texture_initial.png")
    seen = np.zeros([side, side], np.uint8)
    seen[side // 4 : -side // 4, side // 4 : -side // 4] = 255
    Image.fromarray(seen).save(folder / "visible.png")
    regions = Image.fromarray(np.ones([side, side], np.uint8))
    regions.putpalette([0, 0, 0, 255, 255, 255])
    regions.save(folder / "regions.png")


def write_answers(study, path):
    """What the page of the user study saves, of somebody who always chooses the first method."""
    content = json.loads(study.read_text())
    methods = content["methods"]
    sets = [{"kind": "case", "case": case, "chosen": methods[0]} for case in content["cases"]]
    sets += [{"kind": "check", **check, "chosen": check["intact"]} for check in content["checks"]]
    sets += [answer | {"kind": "repeat"} for answer in sets[: content["repeats"]]]
    answers = [answer | {"shown": methods, "seconds": 1.5} for answer in sets]
    said = {"format": "lifelike user study 1", "study": content["id"], "question": "?", "participant": "P1"}
    said |= {"methods": methods, "cases": content["cases"], "sets": len(answers), "answers": answers}
    path.write_text(json.dumps(said))
