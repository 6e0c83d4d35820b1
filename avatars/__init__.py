"""The paired avatars: invented people drawn twice, once as computer graphics and once as a photograph, with labels.

`identity` invents a person, `person` builds it in Blender out of MakeHuman's CC0 files, `draw` draws its pictures.
`python scripts/render_avatars.py` is the command, docs/data.md says what it needs.
"""
