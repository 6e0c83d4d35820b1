"""One identity as posed Blender objects, with the camera that frames it."""

import numpy as np
from PIL import Image

from . import accessories, materials, scene
from .geometry import rotation, to_blender
from .hair import POINTS, TAPER

IRIS = {
    "brown": (0.30, 0.16, 0.08),
    "dark": (0.14, 0.075, 0.045),
    "hazel": (0.38, 0.27, 0.12),
    "green": (0.30, 0.38, 0.22),
    "blue": (0.30, 0.44, 0.58),
    "grey": (0.42, 0.47, 0.50),
}
PUPILS = (297, 727), (722, 305)  # in the 1024 x 1024 eye texture
SKIN_MASKS = (
    "lip",
    "upper_lip",
    "blush",
    "eye_area",
    "under_eye",
    "freckle_area",
    "beard",
    "scalp",
    "buzz",
    "nose",
    "ear",
    "neck",
)
FLIP = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)  # the axes of to_blender


def eye_texture(mh, colour):
    """Tint the iris of MakeHuman's brown eye and brighten the white."""
    path = mh.scratch / f"eye_{colour}.png"
    if not path.exists():
        image = np.asarray(Image.open(mh.data / "eyes/materials/brown_eye.png").convert("RGB")) / 255.0
        y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] * (1024 / image.shape[0])
        out = image * 1.22
        for cx, cy in PUPILS:
            r = np.hypot(x - cx, y - cy)
            light = np.clip(image.max(2) / 0.45, 0, 1.6)[..., None]
            iris = light * np.array(IRIS[colour]) * 1.35 * (0.35 + 0.65 * np.clip((112 - r) / 22, 0, 1))[..., None]
            iris *= np.clip((r - 34) / 5, 0, 1)[..., None]
            k = np.clip((119 - r) / 14, 0, 1)[..., None]
            out = np.where((r < 121)[..., None], iris * k + image * (1 - k), out)
        Image.fromarray((np.clip(out, 0, 1) * 255).astype(np.uint8)).resize((512, 512)).save(path)
    return str(path)


class Person:
    def __init__(self, mh, hair, p):
        """mh: MakeHuman, hair: Hair, p: the dict from identity.sample. Builds everything in the current scene."""
        self.mh, self.hair, self.p = mh, hair, p
        self.v0 = self.shape()
        self.matrices = mh.bone_matrices(self.v0, self.turns())
        self.build_skin_and_garment()
        eyes, sides, cornea, iris = self.find_eyes()
        self.frame()
        self.build_eyes(eyes, sides, cornea, iris)
        self.build_accessories()
        self.build_hair()

    def shape(self):
        p, mh = self.p, self.mh
        weights = mh.macro(p["gender"], p["age"], p["race"], p["weight"], p["muscle"])
        for k, w in p["targets"].items():
            weights[k] = weights.get(k, 0) + w
        for k, w in p["expression"].items():
            for race, share in p["race"].items():
                weights[f"expression/units/{race}/{k}"] = w * share
        return mh.morph(weights)

    def turns(self):
        """Arms down; the head takes its share of yaw and pitch, the camera the rest."""
        p = self.p
        yaw, pitch = p["yaw"] * p["head_share"], p["pitch"] * p["head_share"]
        out = {}
        for side, sign in (("L", 1), ("R", -1)):
            out[f"upperarm01.{side}"] = rotation([0, 0, 1], -sign * 34)
            out[f"clavicle.{side}"] = rotation([0, 0, 1], -sign * 4)
        for bone, share in (("neck02", 0.4), ("head", 0.6)):
            out[bone] = (
                rotation([0, 1, 0], -yaw * share)
                @ rotation([1, 0, 0], pitch * share)
                @ rotation([0, 0, 1], p["tilt"] * share)
            )
        return out

    def posed(self, indices):
        return to_blender(self.mh.blend(self.v0[indices], self.mh.skin_weights[1][indices], self.matrices))

    def with_head(self, points):
        """Move unposed points (Blender axes) rigidly with the head bone."""
        head = self.matrices["head"]
        turn, shift = FLIP @ head[:3, :3] @ FLIP.T, FLIP @ head[:3, 3] * 0.1
        return points @ turn.T.astype(np.float32) + shift.astype(np.float32)

    @property
    def forward(self):
        return FLIP @ self.matrices["head"][:3, :3] @ FLIP.T @ np.array([0, -1.0, 0])

    def build_skin_and_garment(self):
        mh, p = self.mh, self.p
        matrix, quads, used = mh.body_part(p["cloth"])
        attributes = {k: matrix @ mh.masks[k][used].astype(np.float32) for k in SKIN_MASKS}
        attributes["ear_class"] = 7.0 + ((matrix @ self.v0[used])[:, 0] > 0)
        attributes["lip_class"] = 13.0 - (attributes.pop("upper_lip") > 0.5)
        self.body = scene.mesh("body", matrix @ self.posed(used), quads, None, attributes)
        matrix, quads, used, blend, rank = mh.cloth_part(p["cloth"])
        cloth = mh.blend(mh.fit(mh.proxy(f"clothes/{p['cloth']}"), self.v0)[used], blend, self.matrices)
        self.cloth = scene.mesh(
            "cloth", matrix @ to_blender(cloth), quads, [None] * 3, face_material=np.minimum(rank, 2)
        )

    def find_eyes(self):
        """Eye vertices, indices of each eye (subject's left first), cornea faces, iris vertices; sets the centres."""
        proxy = self.mh.proxy("eyes/high-poly")
        data, rest = proxy["mesh"], self.mh.fit(proxy, self.v0)
        uv = data["uv"][np.concatenate(data["face_uv"])]
        middle = np.array([data["uv"][f].mean(0) for f in data["face_uv"]])
        cornea = (middle[:, 0] > 0.86) & (middle[:, 1] < 0.14)  # the cornea has its own corner of the texture
        clear = np.unique(np.concatenate([f for f, c in zip(data["faces"], cornea, strict=True) if c]))
        near = np.linalg.norm(uv[:, None] - [[x / 1024, 1 - y / 1024] for x, y in PUPILS], axis=2).min(1) < 0.06
        iris = np.setdiff1d(np.unique(np.concatenate(data["faces"])[near]), clear)
        eyes = self.with_head(to_blender(rest))
        sides = [np.where(rest[:, 0] > 0)[0], np.where(rest[:, 0] < 0)[0]]
        self.eye_balls, self.eye_fronts = [], []
        for side in sides:
            ball = eyes[np.setdiff1d(side, clear)]
            s = np.linalg.lstsq(np.c_[2 * ball, np.ones(len(ball))], (ball**2).sum(1), rcond=None)[0]  # fit a sphere
            self.eye_balls.append(s[:3])
            self.eye_fronts.append(s[:3] + self.forward * np.sqrt(s[3] + (s[:3] ** 2).sum()))
        return eyes, sides, cornea, iris

    def frame(self):
        p = self.p
        self.marks = dict(zip(self.mh.landmarks, self.posed(list(self.mh.landmarks.values())), strict=True))
        mouth = (self.marks["mouth_l"] + self.marks["mouth_r"]) / 2
        self.centre = np.mean(self.eye_fronts, 0)
        self.camera = scene.Camera(
            self.centre * 0.6 + mouth * 0.4,
            p["yaw"] * (1 - p["head_share"]),
            p["pitch"] * (1 - p["head_share"]),
            p["distance"],
        )
        self.camera.align(np.array(self.eye_fronts), mouth)

    def build_eyes(self, eyes, sides, cornea, iris):
        """Turn the eyes to the camera, at most 20 degrees off the head's direction."""
        p, data = self.p, self.mh.proxy("eyes/high-poly")["mesh"]

        def unit(q):
            return q / np.linalg.norm(q)

        side_of = np.zeros(len(eyes))
        side_of[sides[0]] = 1
        for k, side in enumerate(sides):
            pupil = unit(eyes[np.intersect1d(side, iris)].mean(0) - self.eye_balls[k])
            aim = unit(self.camera.location - self.eye_balls[k])
            angle = np.degrees(np.arccos(np.clip(self.forward @ aim, -1, 1)))
            if angle > 20:
                aim = unit(self.forward + (aim - self.forward) * (20 / angle))
            axis = np.cross(pupil, aim)
            sine = np.linalg.norm(axis)
            turn = rotation(axis, np.degrees(np.arcsin(min(1, sine)))) if sine > 1e-6 else np.eye(3)
            # a real eye's optical axis points a few degrees outwards of where it looks; without that eyes seem crossed
            turn = rotation([0, 0, 1], p["gaze"][0] + (4.5, -4.5)[k]) @ rotation([1, 0, 0], p["gaze"][1] * 0.7) @ turn
            eyes[side] = (eyes[side] - self.eye_balls[k]) @ turn.T + self.eye_balls[k]
        uv = data["uv"][np.concatenate(data["face_uv"])]
        self.eyes = scene.mesh("eyes", eyes, data["faces"], [None, None], {"eye_class": 4.0 + side_of}, uv, cornea)

    def build_accessories(self):
        p, mh, hair = self.p, self.mh, self.hair
        self.glasses = self.hat = None
        rest = to_blender(mh.fit(mh.proxy("eyes/high-poly"), self.v0))
        eyes = [rest[rest[:, 0] > 0], rest[rest[:, 0] < 0]]
        skin = hair.skin_part @ to_blender(self.v0[hair.skin_used])
        if p["glasses"]:
            ear = to_blender(self.v0[mh.masks["ear"] > 0.5])
            parts = accessories.glasses(p["glasses"], eyes, skin, ear)
            self.glasses = [
                scene.mesh(name, self.with_head(vertices), quads)
                for name, (vertices, quads) in zip(("frame", "lenses"), parts, strict=True)
            ]
        if p["hat"]:
            shell = hair.shell_points(p["hair"], self.v0) if p["hair"] not in ("bald", "buzz") else skin[:0]
            mirror = np.array([-1 if p["hair_mirror"] else 1, 1, 1], np.float32)
            head = skin[skin[:, 2] > rest[:, 2].min() - 0.05]
            self.cover = accessories.Hat(p["hat"], rest.mean(0), np.concatenate([head, shell * mirror]))
            self.hat = scene.mesh("hat", self.with_head(self.cover.vertices), self.cover.quads)

    def build_hair(self):
        """A shell for both styles, strands over it for the photograph; brows and lashes are hairs in both."""
        p, hair = self.p, self.hair
        mirror = np.array([-1 if p["hair_mirror"] else 1, 1, 1], np.float32)
        self.shell = self.strands = None
        if p["hair"] not in ("bald", "buzz"):
            shape, points = hair.shell(p["hair"]), hair.shell_points(p["hair"], self.v0)
            quads = np.ascontiguousarray(shape["quads"][:, ::-1] if p["hair_mirror"] else shape["quads"])
            strands = hair.strands(p["hair"], p["hair_variant"])(points)
            if self.hat:  # the hair under it is not there
                quads = quads[~self.cover.covers(points * mirror)[quads].all(1)]
                roots = strands.reshape(-1, POINTS, 3)[:, 0] * mirror
                strands = strands.reshape(-1, POINTS, 3)[~self.cover.covers(roots)].reshape(-1, 3)
            self.shell = scene.mesh(
                "shell", self.with_head(points * mirror), quads, None, {k: shape[k] for k in ("across", "along")}
            )
            self.strands = scene.curves("strands", self.with_head(strands * mirror), POINTS, TAPER * 0.0004, None)
        skin = hair.skin_part @ to_blender(self.v0[hair.skin_used])
        brow = hair.brow(p["brow"], p["brow_width"])
        self.brow = scene.curves("brow", self.with_head(brow(skin)), 4, np.array([1, 1, 0.8, 0.3]) * 0.00027, None)
        side = 2.0 + (brow.points[::4, 0] > 0).astype(np.float32)
        self.brow.data.attributes.new("brow_class", "FLOAT", "CURVE").data.foreach_set("value", side)
        self.lash = scene.curves(
            "lash", self.with_head(hair.lashes()(skin)), 4, np.array([1, 0.9, 0.6, 0.15]) * 0.00016, None
        )

    def wear(self, look):
        """look: flat, cg or photo."""
        p = self.p
        scene.dress(self.body, materials.skin(p, look))
        scene.dress(self.eyes, *materials.eye_materials(eye_texture(self.mh, p["eyes"]), look))
        scene.dress(self.cloth, *[materials.plain("cloth", c, look) for c in p["garment"]])
        if self.shell:
            scene.dress(self.shell, materials.shell(p, look))
            scene.dress(self.strands, materials.strand(p, look))
            self.strands.hide_render = look != "photo"
        if self.glasses:
            frame, lenses = self.glasses
            scene.dress(frame, materials.plain("frame", p["glasses"]["colour"], rough=0.35, specular=0.5))
            scene.dress(lenses, materials.clear("lens", 1 - p["glasses"]["tint"]))
        if self.hat:
            scene.dress(self.hat, materials.plain("hat", p["hat"]["colour"], look))
        scene.dress(self.brow, materials.strand(p, look, "brow_colour"))
        scene.dress(self.lash, materials.plain("lash", "0d0a08"))

    def wear_labels(self, lashes=False):
        """Every surface shows its class; l_ classes are those on the left of an unturned image (x < 0). lashes: show as
        class 0, else not at all."""
        hair = {"bald": [], "buzz": [("buzz", 0.6, 17)]}.get(self.p["hair"], [("scalp", 0.6, 17)])
        features = [("ear", 0.5, "ear_class"), ("nose", 0.5, 10), ("lip", 0.45, "lip_class")]
        scene.dress(self.body, materials.label(1, [("neck", 0.5, 14), *hair, *features]))
        eye = materials.label(0, [("eye_class", 1, "eye_class")])
        scene.dress(self.eyes, eye, eye)
        cloth = materials.label(16)
        scene.dress(self.cloth, cloth, cloth, cloth)
        if self.shell:
            scene.dress(self.shell, materials.label(17))
            scene.dress(self.strands, materials.label(17))
        for worn in self.glasses or ():
            scene.dress(worn, materials.label(accessories.EYE_GLASSES))
        if self.hat:
            scene.dress(self.hat, materials.label(accessories.HAT))
        scene.dress(self.brow, materials.label(0, [("brow_class", 1, "brow_class")]))
        scene.dress(self.lash, materials.label(0))
        self.lash.hide_render = not lashes
        scene.remove_lights()
        scene.world((0, 0, 0), 0.0)

    def points(self):
        """Projected 2-D points as fractions of the frame (origin top left), l/r = the subject's."""
        names = ("eye_l", "eye_r", *self.marks)
        xy = self.camera.pixels(np.array([*self.eye_fronts, *self.marks.values()]))
        return {n: [round(float(c), 4) for c in q] for n, q in zip(names, xy, strict=True)}
