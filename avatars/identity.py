"""Sample people: everything about identity number i follows from (seed, i). Plain dicts, ready for JSON."""

import colorsys

import numpy as np

from . import accessories
from .makehuman import RACES

SIGNED = {  # target stem -> (suffix of the positive side, of the negative side, strength); {} stands for l and r
    **{
        k: ("-incr", "-decr", 0.34)
        for k in (
            "nose/nose-width1",
            "nose/nose-width2",
            "nose/nose-width3",
            "nose/nose-hump",
            "nose/nose-point-width",
            "nose/nose-scale-vert",
            "nose/nose-scale-depth",
            "nose/nose-volume",
            "nose/nose-flaring",
            "chin/chin-width",
            "chin/chin-height",
            "chin/chin-prominent",
            "chin/chin-bones",
            "chin/chin-cleft",
            "mouth/mouth-scale-horiz",
            "mouth/mouth-upperlip-height",
            "mouth/mouth-lowerlip-height",
            "mouth/mouth-upperlip-volume",
            "mouth/mouth-lowerlip-volume",
            "mouth/mouth-cupidsbow",
            "mouth/mouth-philtrum-volume",
            "head/head-fat",
            "forehead/forehead-temple",
            "forehead/forehead-nubian",
            "cheek/{}-cheek-bones",
            "cheek/{}-cheek-volume",
            "cheek/{}-cheek-inner",
            "ears/{}-ear-scale",
            "ears/{}-ear-lobe",
            "ears/{}-ear-wing",
            "neck/neck-scale-horiz",
        )
    },
    **{
        k: ("-incr", "-decr", 0.22)
        for k in (
            "head/head-scale-horiz",
            "head/head-scale-vert",
            "forehead/forehead-scale-vert",
            "chin/chin-jaw-drop",
            "eyes/{}-eye-height2",
            "eyes/{}-eye-scale",
            "eyes/{}-eye-bag",
            "head/head-age",
        )
    },
    **{
        k: ("-up", "-down", 0.28)
        for k in (
            "nose/nose-base",
            "nose/nose-point",
            "nose/nose-nostrils-angle",
            "mouth/mouth-angles",
            "mouth/mouth-trans",
            "eyebrows/eyebrows-trans",
            "eyebrows/eyebrows-angle",
            "eyes/{}-eye-trans",
            "eyes/{}-eye-corner1",
            "eyes/{}-eye-corner2",
            "eyes/{}-eye-eyefold",
            "cheek/{}-cheek-trans",
        )
    },
    "eyes/{}-eye-trans": ("-out", "-in", 0.25),
    "nose/nose-curve": ("-convex", "-concave", 0.3),
}
HEAD_SHAPES = ("oval", "round", "square", "rectangular", "triangular", "invertedtriangular", "diamond")
SKIN = ("f2d0ba", "e9bfa2", "dfae8c", "cf9873", "b77f5a", "955f40", "74472f", "553223", "3c2319")
HAIR_ANY = ("0d0a09", "14100e", "1c1411", "241813")
HAIR_FAIR = (
    "1f1712",
    "33231a",
    "4a3020",
    "5f3d26",
    "6e4a2c",
    "80582f",
    "9a7440",
    "b8945a",
    "cdb079",
    "8a4a24",
    "6b2f1a",
    "a3562a",
)
HAIR_DYED = ("5a1f3a", "2a3a6a", "7a2222", "8f7fa0")
EYES_FAIR, EYES_ANY = ("blue", "blue", "green", "hazel", "grey", "brown", "brown"), ("dark", "dark", "brown")
FEMALE = {
    "long01": 0.2,
    "bob01": 0.13,
    "bob02": 0.13,
    "ponytail01": 0.14,
    "braid01": 0.12,
    "short03": 0.08,
    "short02": 0.07,
    "afro01": 0.05,
    "short01": 0.03,
    "short04": 0.03,
    "buzz": 0.02,
}
MALE = {
    "short01": 0.2,
    "short02": 0.16,
    "short03": 0.1,
    "short04": 0.2,
    "afro01": 0.05,
    "buzz": 0.08,
    "bald": 0.06,
    "long01": 0.05,
    "ponytail01": 0.04,
    "bob02": 0.01,
}
CLOTHES_F = ("female_casualsuit01", "female_casualsuit02", "female_elegantsuit01", "female_sportsuit01")
CLOTHES_M = (
    "male_casualsuit01",
    "male_casualsuit02",
    "male_casualsuit03",
    "male_casualsuit04",
    "male_casualsuit05",
    "male_casualsuit06",
    "male_elegantsuit01",
    "male_worksuit01",
)


def linear(hex_colour):
    c = np.array([int(hex_colour[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def to_hex(lin):
    c = np.clip(np.asarray(lin, float), 0, 1)
    c = np.where(c <= 0.0031308, c * 12.92, 1.055 * c ** (1 / 2.4) - 0.055)
    return "".join(f"{int(round(x * 255)):02x}" for x in c)


def mix(a, b, t):
    return to_hex(linear(a) * (1 - t) + linear(b) * t)


def jitter(rng, hex_colour, hue=0.01, value=0.06):
    c = [int(hex_colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    h, s, v = colorsys.rgb_to_hsv(*c)
    c = colorsys.hsv_to_rgb(
        (h + rng.normal(0, hue)) % 1, np.clip(s * rng.normal(1, 0.07), 0, 1), np.clip(v * rng.normal(1, value), 0.02, 1)
    )
    return "".join(f"{int(round(x * 255)):02x}" for x in c)


def pick(rng, table):
    names = list(table)
    p = np.array([table[n] for n in names], float)
    return names[rng.choice(len(names), p=p / p.sum())]


def face_targets(rng):
    out = {}
    for stem, (plus, minus, strength) in SIGNED.items():
        if rng.random() < 0.6:
            x = float(np.clip(rng.normal(0, strength), -2.2 * strength, 2.2 * strength))
            for side in ("l", "r") if "{}" in stem else ("",):
                name = stem.format(side) + (plus if x > 0 else minus)
                out[name] = round(abs(x) * (float(rng.normal(1, 0.08)) if side else 1), 3)
    out["head/head-" + HEAD_SHAPES[rng.integers(7)]] = round(float(rng.uniform(0.1, 0.5)), 3)
    return out


def expression(rng):
    """Neutral to a mild smile, mouth closed; brows and lids move a little."""
    out, smile = {}, float(max(0, rng.normal(0.38, 0.3)))
    smile = min(smile, 0.85)
    if smile > 0.05:
        out.update({"mouth-corner-puller": smile, "eye-left-slit": smile * 0.12, "eye-right-slit": smile * 0.12})
    if rng.random() < 0.4:
        w = float(rng.uniform(0.1, 0.6))
        out.update({"eyebrows-left-up": w, "eyebrows-right-up": w})
    if rng.random() < 0.06:
        w = float(rng.uniform(0.1, 0.3))
        out.update({"eyebrows-left-down": w, "eyebrows-right-down": w})
    if rng.random() < 0.2:
        out["mouth-compression"] = float(rng.uniform(0.1, 0.5))
    wide = float(rng.uniform(0.2, 0.65))
    out.update({"eye-left-opened-up": wide, "eye-right-opened-up": wide})
    return {k: round(v, 3) for k, v in out.items()}


def sample(seed, index, glasses=0.0, hats=0.0):
    """Person number `index`; `glasses` and `hats` are the shares of people who wear them, and change nothing else."""
    rng = np.random.default_rng([seed, index])
    side = rng.random()
    gender = float(
        rng.uniform(0, 0.16) if side < 0.46 else rng.uniform(0.84, 1) if side < 0.92 else rng.uniform(0.16, 0.84)
    )
    male = gender > 0.5
    age = float(18 + 57 * rng.beta(1.1, 1.5))
    race = dict(zip(RACES, (round(float(x), 4) for x in rng.dirichlet((0.55, 0.5, 0.5))), strict=True))
    tone = (
        np.clip(0.15 * race["caucasian"] + 0.80 * race["african"] + 0.30 * race["asian"] + rng.normal(0, 0.07), 0, 1)
        * 8
    )
    k = min(int(tone), 7)
    skin = jitter(rng, mix(SKIN[k], SKIN[k + 1], tone - k), 0.008, 0.03)
    if race["asian"] > 0.5:
        skin = mix(skin, to_hex(linear(skin) * [1, 0.97, 0.82]), 0.6)
    lip = to_hex(linear(skin) * [0.82, 0.48, 0.5])
    made_up = not male and rng.random() < 0.55
    if made_up:
        lip = mix(
            lip,
            jitter(rng, ("b0303c", "c2505a", "a03a50", "d06a68", "8a2a3a")[rng.integers(5)], 0.01, 0.1),
            rng.uniform(0.3, 0.75),
        )
    fair = rng.random() < race["caucasian"]
    hair = (HAIR_FAIR if fair else HAIR_ANY)[rng.integers(len(HAIR_FAIR) if fair else len(HAIR_ANY))]
    dyed = rng.random() < 0.035
    hair = jitter(rng, HAIR_DYED[rng.integers(4)] if dyed else hair, 0.012, 0.1)
    grey = float(np.clip((age - 38 + rng.normal(0, 9)) / 32, 0, 1))
    grey *= 1.0 if rng.random() < (0.9 if male else 0.6) else 0.1  # some dye it away
    grey = 0.0 if dyed else grey
    hair = mix(hair, "6b655e", 0.6 * grey)  # what is left of the colour fades as well
    table = dict(MALE if male else FEMALE)
    table["afro01"] *= 0.1 + 9 * race["african"]
    if race["african"] > 0.6:
        for s in ("long01", "short03", "bob01", "short02"):
            if s in table:
                table[s] *= 0.4
    if male and age > 45:
        table["bald"] *= 2.5
    style = pick(rng, table)
    beard = 0.0
    if male and rng.random() < 0.42:
        beard = float(rng.uniform(0.12, 0.4) if rng.random() < 0.55 else rng.uniform(0.5, 0.92))
    yaw, pitch = float(np.clip(rng.normal(0, 15), -40, 40)), float(np.clip(rng.normal(0, 6), -15, 15))
    cloth = (CLOTHES_M if male else CLOTHES_F)[rng.integers(len(CLOTHES_M if male else CLOTHES_F))]
    garment = [
        to_hex(np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.05, 0.75), rng.uniform(0.12, 0.9))) ** 2.0)
        for _ in range(3)
    ]
    if rng.random() < 0.45:  # many people wear white, grey, black or navy
        neutral = ("f0f0ee", "d8d8d6", "2a2c30", "1b2438", "6a6e74", "15161a")[rng.integers(6)]
        garment[0] = jitter(rng, neutral, 0.02, 0.08)
    return dict(
        seed=int(rng.integers(1 << 31)),
        gender=round(gender, 3),
        age=round(age, 1),
        race=race,
        weight=round(float(np.clip(rng.normal(0.52, 0.17), 0.1, 0.95)), 3),
        muscle=round(float(np.clip(rng.normal(0.5 + 0.08 * male, 0.12), 0.2, 0.9)), 3),
        targets=face_targets(rng),
        expression=expression(rng),
        skin=skin,
        lip=lip,
        lip_strength=round(float(rng.uniform(0.55, 0.95) if made_up else rng.uniform(0.4, 0.75)), 3),
        blush=round(float(rng.uniform(0.15, 0.55)), 3),
        eye_shade=round(float(rng.uniform(0.1, 0.45)), 3),
        eye_bags=round(float(np.clip((age - 25) / 50 + rng.normal(0, 0.15), 0, 1)), 3),
        freckles=round(float(rng.uniform(0.3, 0.8)), 3) if tone < 2.6 and rng.random() < 0.22 else 0.0,
        beard=round(beard, 3),
        hair=style,
        hair_variant=int(rng.integers(3)),
        hair_mirror=bool(rng.random() < 0.5),
        hair_colour=hair,
        grey=round(grey, 3),
        brow=f"eyebrow{rng.integers(1, 12):03d}",
        brow_width=float((0.35, 0.48, 0.62)[rng.integers(0 if not male else 1, 3 if male else 2)]),
        brow_colour=("3a2a20" if fair else "17110e")
        if dyed
        else mix(mix(hair, "3a2c22" if fair else hair, 0.4), skin, 0.12),
        eyes=(EYES_FAIR[rng.integers(7)] if fair else EYES_ANY[rng.integers(3)]),
        cloth=cloth,
        garment=garment,
        yaw=round(yaw, 2),
        pitch=round(pitch, 2),
        tilt=round(float(rng.normal(0, 2)), 2),
        head_share=round(float(rng.uniform(0.2, 0.55)), 3),
        gaze=[round(float(x), 2) for x in rng.normal(0, 1.5, 2)],
        distance=round(float(rng.uniform(0.8, 1.7)), 3),
        rendered_look="flat" if rng.random() < 0.45 else "cg",
        **accessories.sample(np.random.default_rng([seed, index, 2]), glasses, hats, style),
    )
