"""Backgrounds and the camera-like finish, in display space (float RGB 0..1, numpy only)."""

import colorsys

import numpy as np
from scipy import ndimage


def hsv(h, s, v):
    return np.array(colorsys.hsv_to_rgb(h % 1, min(max(s, 0), 1), min(max(v, 0), 1)))


def enlarge(image, size):
    z = size / image.shape[0]
    return np.clip(ndimage.zoom(image, (z, z, 1), order=1), 0, 1)[:size, :size]


def studio(rng, size):
    """Plain gradient of two related colours, as in a render preview."""
    h, s, v = rng.random(), rng.choice([rng.uniform(0, 0.08), rng.uniform(0.1, 0.45)]), rng.uniform(0.45, 0.95)
    a, b = hsv(h, s, v), hsv(h + rng.normal(0, 0.03), s * 1.15, v * rng.uniform(0.55, 0.85))
    y, x = np.mgrid[0:size, 0:size] / (size - 1) - 0.5
    t = np.clip(np.hypot(x, y + 0.05) / 0.75, 0, 1) if rng.random() < 0.6 else np.clip(y + 0.5, 0, 1)
    t = (t * t * (3 - 2 * t))[..., None]
    return a * (1 - t) + b * t


def scenery(rng, size, kind, light):
    """Out-of-focus surroundings. kind: wall, interior, foliage, street, sky, night. light: RGB cast of the scene."""
    n = 96
    y, x = np.mgrid[0:n, 0:n] / (n - 1)
    if kind == "wall":
        c = hsv(rng.random(), rng.uniform(0.02, 0.3), rng.uniform(0.25, 0.85))
        a = rng.uniform(0, 2 * np.pi)
        t = (np.cos(a) * (x - 0.5) + np.sin(a) * (y - 0.5)) * rng.uniform(0.2, 0.7)
        out = c * (1 - t[..., None])
        out = out * (1 + 0.05 * ndimage.gaussian_filter(rng.normal(size=(n, n)), 5)[..., None] * 5)
        blur = 2.0
    else:
        palettes = dict(
            interior=[hsv(rng.uniform(0.04, 0.12), rng.uniform(0.1, 0.5), rng.uniform(0.15, 0.8)) for _ in range(9)],
            foliage=[hsv(rng.uniform(0.18, 0.38), rng.uniform(0.25, 0.7), rng.uniform(0.1, 0.75)) for _ in range(9)],
            street=[
                hsv(rng.choice([0.08, 0.58, 0.6]), rng.uniform(0.02, 0.35), rng.uniform(0.12, 0.85)) for _ in range(9)
            ],
            sky=[hsv(rng.uniform(0.53, 0.62), rng.uniform(0.05, 0.5), rng.uniform(0.6, 0.98)) for _ in range(9)],
            night=[
                hsv(rng.choice([0.6, 0.07, 0.1, 0.65]), rng.uniform(0.3, 0.7), rng.uniform(0.03, 0.25))
                for _ in range(9)
            ],
        )
        colours = palettes[kind]
        out = np.ones((n, n, 3)) * colours[0]
        for _ in range(rng.integers(14, 40)):
            c, cx, cy = colours[rng.integers(9)], rng.random(), rng.random()
            w, h = rng.uniform(0.04, 0.3, 2)
            if kind in ("interior", "street") and rng.random() < 0.75:
                if rng.random() < 0.5:
                    h *= 3
                m = (abs(x - cx) < w / 2) & (abs(y - cy) < h)
            else:
                m = ((x - cx) / w) ** 2 + ((y - cy) / h) ** 2 < 0.35
            out = np.where(m[..., None], c * rng.uniform(0.8, 1.2), out)
        if kind == "sky" or (kind in ("foliage", "street") and rng.random() < 0.5):  # ground below, light above
            t = ndimage.gaussian_filter((y < rng.uniform(0.2, 0.6)).astype(float), 4)[..., None]
            out = out * (1 - 0.55 * t) + 0.55 * t * hsv(0.57, rng.uniform(0.02, 0.25), rng.uniform(0.75, 0.98))
        blur = rng.uniform(2.2, 6.5)
    out = np.stack([ndimage.gaussian_filter(out[..., k], blur, mode="reflect") for k in range(3)], -1)
    if kind in ("night", "foliage", "interior") and rng.random() < (0.9 if kind == "night" else 0.4):
        for _ in range(rng.integers(4, 16)):  # bokeh discs
            r, cx, cy = rng.uniform(0.015, 0.06), rng.random(), rng.random()
            disc = np.clip((r - np.hypot(x - cx, y - cy)) * n / 1.5, 0, 1)[..., None]
            c = (
                hsv(0.2, 0.25, 1)
                if kind == "foliage"
                else hsv(rng.choice([0.1, 0.08, 0.13, 0.6, 0.0]), rng.uniform(0.1, 0.7), 1)
            )
            out = out + disc * c * rng.uniform(0.15, 0.6)
    return enlarge(np.clip(out * light, 0, 1), size)


def over(rgba, background):
    """Composite; the outline (few alpha samples) is softened over about a pixel."""
    a = rgba[..., 3:]
    out = rgba[..., :3] * a + background * (1 - a)
    sigma = 0.45 + 0.25 * out.shape[0] / 256

    def blur(q):
        return ndimage.gaussian_filter(q, (sigma, sigma, 0))

    soft = blur(a)
    edge = np.clip(8 * soft * (1 - soft), 0, 1)
    return out * (1 - edge) + blur(out) * edge


def graded(image, balance, saturation):
    """White balance, a factor a channel, and saturation."""
    out = np.clip(image, 0, 1) * balance
    grey = out.mean(-1, keepdims=True)
    return np.clip(grey + (out - grey) * saturation, 0, 1)


def film(rng, out):
    """A soft lens, vignette, grain."""
    n = out.shape[0]
    sigma = rng.uniform(0.25, 0.6) * n / 256
    out = np.stack([ndimage.gaussian_filter(out[..., k], sigma) for k in range(3)], -1)
    y, x = np.mgrid[0:n, 0:n] / (n - 1) - 0.5
    out = out * (1 - rng.uniform(0, 0.28) * (x * x + y * y))[..., None]
    strength = rng.uniform(0.003, 0.009)
    grain = ndimage.gaussian_filter(rng.normal(size=(n, n)), 0.45)[..., None] * 1.5 + 0.35 * rng.normal(size=(n, n, 3))
    tone = 0.5 + np.sqrt(np.clip(out.mean(-1, keepdims=True), 0, 1)) * 0.7
    return np.clip(out + grain * strength * tone, 0, 1)
