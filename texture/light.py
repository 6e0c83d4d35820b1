"""Light on a head: fitted to the colours that a picture shows, taken off them, and put on what it does not show.

Distant light of spherical harmonics up to order 2, which is all that dull surfaces tell of it (Ramamoorthi and
Hanrahan, "An Efficient Representation for Irradiance Environment Maps", 2001). A picture shows few of the sides that a
head has, so nine free numbers a channel would say anything of the others: the light is a sum of DIRECTIONS sources
that cannot be negative, drawn towards the same half-light from everywhere.
"""

import numpy as np

GAMMA = 2.2  # 8-bit levels to this power are linear in light
DIRECTIONS = 48
TOWARDS_EVEN = 0.1  # weight of the even light, of what the colours say of a source on average
EVEN = 0.5  # of the light that would explain the colours alone
TEXELS, ROUNDS = 8000, 6  # that are fitted, and how often they are weighed anew
CLOSE = 0.05  # of the median colour: errors below weigh alike
DARKEST, BRIGHTEST = 0.05, 4.0  # of the median shading


def harmonics(direction):
    """The nine real spherical harmonics of order 0 to 2 at unit vectors [N, 3]: [N, 9], orthonormal on the sphere."""
    x, y, z = direction.T
    return np.stack(
        [
            np.full_like(x, 0.282095),
            *(0.488603 * axis for axis in (y, z, x)),
            *(1.092548 * pair for pair in (x * y, y * z, x * z)),
            0.315392 * (3 * z * z - 1),
            0.546274 * (x * x - y * y),
        ],
        axis=1,
    )


ORDER_OF = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2])
DULL = np.array([1, 2 / 3, 1 / 4])[ORDER_OF]  # what a clamped cosine, of integral pi, leaves of each order; over pi


def sphere(count):
    """`count` unit vectors spread evenly (Fibonacci's spiral): [count, 3]."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z * z)
    return np.stack([r * np.cos(angle), r * np.sin(angle), z], 1)


def vertex_normals(mesh):
    """float64 [V, 3]: the faces' normals by area, of all vertices at the same place (both sides of a UV seam)."""
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    grid = np.round(mesh.vertices / max(1e-6 * mesh.size, 1e-300)).astype(np.int64)
    place = np.unique(grid, axis=0, return_inverse=True)[1].reshape(-1)
    total = np.zeros([place.max() + 1, 3])
    for i in range(3):
        np.add.at(total, place[mesh.faces[:, i]], normal)
    total = total[place]
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300)


def shading(mesh, texels, sampled, known):
    """float32 [H, W, 3]: how much light falls on every texel, 1 at the median of the known ones; 1 beside the mesh.

    texels: Fragments of `draw_texels`. sampled: float [H, W, 3], 0 to 255, the picture's colours; known: bool [H, W],
    where they are those of one material, whose colour may vary, but not with the light.
    """
    normal = texels.interpolate(mesh, vertex_normals(mesh))[texels.covered]  # [T, 3]
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    basis = harmonics(normal) * DULL
    use = known[texels.covered]
    result = np.ones(sampled.shape, np.float32)
    fallen = basis @ fit(linear(sampled[texels.covered][use]), basis[use])
    result[texels.covered] = np.clip(fallen / np.maximum(np.median(fallen[use], 0), 1e-6), DARKEST, BRIGHTEST)
    return result


def fit(colours, basis):
    """Light [9, 3] under which a surface of one colour would look like linear `colours` [N, 3] at points whose
    harmonics, dulled, are `basis` [N, 9]: least absolute differences by weights, sources by non-negative squares."""
    from scipy.optimize import nnls

    chosen = np.random.default_rng(0).permutation(len(colours))[:TEXELS]
    colours, basis = colours[chosen].astype(np.float64), basis[chosen]
    sources = harmonics(sphere(DIRECTIONS)).T * (4 * np.pi / DIRECTIONS)  # [9, D]
    seen = basis @ sources  # [N, D] what each source gives each point
    light = np.zeros([9, 3])
    for channel, colour in enumerate(colours.T):
        middle = max(np.median(colour), 1e-6)
        even = EVEN * middle / np.median(seen.sum(1))
        weight = np.ones(len(colour))
        for _ in range(ROUNDS):
            square = (seen.T * weight) @ seen
            pull = TOWARDS_EVEN * np.trace(square) / DIRECTIONS
            root = np.linalg.cholesky(square + pull * np.eye(DIRECTIONS))
            wanted = (seen.T * weight) @ colour + pull * even
            power = nnls(root.T, np.linalg.solve(root, wanted))[0]  # as few rows as there are sources
            weight = 1 / np.maximum(np.abs(seen @ power - colour), CLOSE * middle)
        light[:, channel] = sources @ power
    return light


def linear(levels):
    """8-bit levels -> linear light, 0 to 1."""
    return (np.clip(levels, 0.5, 255) / 255) ** GAMMA


def relit(levels, factor):
    """8-bit levels, float32, under `factor` times the light; both [..., 3]."""
    return (levels * factor ** (1 / GAMMA)).astype(np.float32)
