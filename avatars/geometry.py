"""Meshes as numpy arrays: reading .obj files, Catmull-Clark subdivision, loose points that follow a surface.

MakeHuman is in decimetres, y up, the face looks to +z, the subject's left is +x. `to_blender` turns that into metres,
z up, face to -y.
"""

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree


def to_blender(points):
    """[n, 3] decimetres, y up -> metres, z up."""
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], 1) * 0.1


def load_obj(path):
    """-> dict v [n,3], uv [m,2], faces (list of index lists), face_uv, group (one name per face)."""
    v, uv, faces, face_uv, group, current = [], [], [], [], [], ""
    with open(path, encoding="utf8", errors="replace") as stream:
        for line in stream:
            parts = line.split()
            if not parts:
                continue
            if parts[0] == "v":
                v.append([float(x) for x in parts[1:4]])
            elif parts[0] == "vt":
                uv.append([float(x) for x in parts[1:3]])
            elif parts[0] == "g":
                current = parts[1] if len(parts) > 1 else ""
            elif parts[0] == "f":
                corners = [p.split("/") for p in parts[1:]]
                faces.append([int(c[0]) - 1 for c in corners])
                face_uv.append([int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners])
                group.append(current)
    return dict(v=np.array(v), uv=np.array(uv).reshape(-1, 2), faces=faces, face_uv=face_uv, group=group)


def rotation(axis, degrees):
    """3x3 matrix of a turn about `axis` (Rodrigues)."""
    axis = np.array(axis, float) / np.linalg.norm(axis)
    t = np.radians(degrees)
    k = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(t) * k + (1 - np.cos(t)) * k @ k


def subdivision(faces, n):
    """One step of Catmull and Clark 1978 as a sparse matrix. -> (matrix [m, n], quads [q, 4])."""
    edge_id, edge_faces = {}, []
    for fi, f in enumerate(faces):
        for a, b in zip(f, f[1:] + f[:1], strict=True):
            k = (a, b) if a < b else (b, a)
            if k not in edge_id:
                edge_id[k] = len(edge_faces)
                edge_faces.append([])
            edge_faces[edge_id[k]].append(fi)
    nf, ne = len(faces), len(edge_faces)
    r, c, w = [], [], []
    for fi, f in enumerate(faces):  # face points
        for a in f:
            r.append(fi)
            c.append(a)
            w.append(1 / len(f))
    face_pts = sparse.csr_matrix((w, (r, c)), (nf, n))
    ends = np.array(list(edge_id), int)
    mid = sparse.csr_matrix((np.full(2 * ne, 0.5), (np.repeat(np.arange(ne), 2), ends.ravel())), (ne, n))
    inner = np.array([len(e) == 2 for e in edge_faces])
    r, c = [], []
    for e, fs in enumerate(edge_faces):
        if len(fs) == 2:
            r += [e, e]
            c += fs
    edge_of_faces = sparse.csr_matrix((np.full(len(r), 0.25), (r, c)), (ne, nf))
    edge_pts = sparse.diags(np.where(inner, 0.5, 1.0)) @ mid + edge_of_faces @ face_pts
    border = np.zeros(n, bool)
    border[ends[~inner].ravel()] = True
    vert_face = (face_pts > 0).T.astype(float)  # [n,nf]
    valence = np.maximum(np.asarray(vert_face.sum(1)).ravel(), 1)
    incid = sparse.csr_matrix((np.ones(2 * ne), (ends.ravel(), np.repeat(np.arange(ne), 2))), (n, ne))
    n_edges = np.maximum(np.asarray(incid.sum(1)).ravel(), 1)
    smooth = (
        sparse.diags(1 / valence**2) @ vert_face @ face_pts
        + sparse.diags(2 / (valence * n_edges)) @ incid @ mid
        + sparse.diags((valence - 3) / valence)
    )
    bincid = incid @ sparse.diags((~inner).astype(float))
    nb = np.maximum(np.asarray(bincid.sum(1)).ravel(), 1)
    rim = sparse.diags(0.5 / nb) @ bincid @ mid + 0.5 * sparse.eye(n)
    vert_pts = sparse.diags((~border).astype(float)) @ smooth + sparse.diags(border.astype(float)) @ rim
    matrix = sparse.vstack([vert_pts, face_pts, edge_pts]).tocsr()
    quads = []

    def eid(a, b):
        return n + nf + edge_id[(a, b) if a < b else (b, a)]

    for fi, f in enumerate(faces):
        for i, a in enumerate(f):
            quads.append([a, eid(a, f[(i + 1) % len(f)]), n + fi, eid(f[i - 1], a)])
    return matrix.astype(np.float32), np.array(quads, np.int32)


def compact(faces, n):
    """Drop unused vertices. -> (faces renumbered, indices of kept vertices)."""
    used = np.unique(np.concatenate([np.asarray(f) for f in faces]))
    back = -np.ones(n, int)
    back[used] = np.arange(len(used))
    return [[int(back[i]) for i in f] for f in faces], used


def components(faces, n):
    """The connected part every vertex belongs to, [n]."""
    parent = list(range(n))

    def find(x):
        while parent[x] != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for f in faces:
        for b in f[1:]:
            x, y = find(f[0]), find(b)
            if x != y:
                parent[x] = y
    return np.array([find(i) for i in range(n)])


def sample_faces(v, quads, n, rng, weight=None):
    """Random points on a mesh. -> (points, normals)."""
    quads = np.asarray(quads)
    tri = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
    a, b, c = v[tri[:, 0]], v[tri[:, 1]], v[tri[:, 2]]
    cross = np.cross(b - a, c - a)
    area = np.linalg.norm(cross, axis=1)
    normal = cross / (area[:, None] + 1e-12)
    if weight is not None:
        area = area * weight[tri].mean(1)
    i = rng.choice(len(tri), n, p=area / area.sum())
    r1, r2 = np.sqrt(rng.random(n))[:, None], rng.random(n)[:, None]
    return (1 - r1) * a[i] + r1 * (1 - r2) * b[i] + r1 * r2 * c[i], normal[i]


class Binding:
    """Carry loose points along with a surface: each point follows its nearest reference vertices."""

    def __init__(self, points, reference, k=4):
        distance, self.idx = cKDTree(reference).query(points, k=k)
        w = 1 / (distance + 1e-4)
        self.w = (w / w.sum(1, keepdims=True)).astype(np.float32)
        self.points, self.reference = points.astype(np.float32), reference.astype(np.float32)

    def __call__(self, moved):
        return self.points + np.einsum("nk,nkj->nj", self.w, (moved - self.reference)[self.idx])
