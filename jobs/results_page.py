"""`results.html`: one self-contained page of a run, with a before/after slider per picture; works offline."""

import base64
import html
import io
import json
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from alignment.text import shown

SHOWN = 900  # pixels on the long side of a picture on the page
FACE = 256

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #222 }
h1 { font-size: 1.3rem } h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem } .muted { color: #666 }
.warning { color: #8a4b00 } .error { color: #a00 }
.slider { position: relative; display: inline-block; max-width: 100%; user-select: none; touch-action: pan-y }
.slider img { display: block; max-width: 100%; height: auto }
.slider .after { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--cut, 50%)) }
.slider input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; cursor: ew-resize; margin: 0 }
.slider .bar { position: absolute; top: 0; bottom: 0; left: var(--cut, 50%); width: 2px; background: #fff;
  box-shadow: 0 0 3px #000; pointer-events: none }
.faces { display: flex; flex-wrap: wrap; gap: .6rem; margin: .6rem 0 }
figure { margin: 0; width: 150px } figure img { width: 150px } figcaption { font-size: .8rem; color: #555 }
"""
SCRIPT = """
for (const slider of document.querySelectorAll('.slider')) {
  const set = value => slider.style.setProperty('--cut', value + '%');
  const range = slider.querySelector('input');
  range.addEventListener('input', () => set(range.value));
  slider.addEventListener('pointermove', event => {
    if (event.pointerType !== 'mouse') return;
    const box = slider.getBoundingClientRect();
    range.value = 100 * (event.clientX - box.left) / box.width;
    set(range.value);
  });
}
"""


def escaped(text):
    """Any text as HTML, what is not printable as escapes."""
    return html.escape(shown(text, 2000))


def results_page(out, report, left_out=()):
    """The page for a run's report (what project.py writes to `report.json`) as one string of HTML.

    out: the run's folder; the pictures named in the report are read from it and from their own places. A picture that
    is no longer there is named instead of shown. left_out: outputs that are counted but not shown. Of a sequence the
    animation `preview.png`, or the new video, comes first, by its name (it may be large).
    """
    done = sum("error" not in entry for entry in report["pictures"])
    settings = {name: json.dumps(value) for name, value in report["settings"].items() if value is not None}
    settings = ", ".join(f"{name} {value}" for name, value in settings.items()).replace('"', "")
    parts = [
        f"<h1>{done} of {len(report['pictures'])} pictures done</h1>",
        f'<p class="muted">{html.escape(settings)}; {report["seconds"]:.0f} s. Move over a picture: left of '
        "the line is the input, right of it the result.</p>",
    ]
    if "sequence" in report:
        video = report["sequence"].get("video")
        parts.append(
            f'<p><video src="{escaped(quote(video))}" controls loop style="max-width: 100%"></video></p>'
            if video
            else '<p><img src="preview.png" alt="before and after, animated"></p>'
        )
        if left_out:
            parts.append(f'<p class="muted">{len(left_out)} more frames are in their folders.</p>')
    parts += [_picture(Path(out), entry) for entry in report["pictures"] if entry["output"] not in left_out]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Lifelike results</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


def _picture(out, entry):
    name = escaped(entry["output"])
    if "error" in entry:
        return f'<h2>{name}</h2><p class="error">{escaped(entry["error"])}</p>'
    folder = out / entry["output"]
    parts = [f"<h2>{name}</h2>"]
    parts += [f'<p class="muted">{escaped(note)}</p>' for note in entry.get("notes", [])]
    parts.append(_slider(Path(entry["input"]), folder / entry.get("composite", "composite.png")))
    for face in entry["faces"]:
        edited = face.get("edited")
        drawn = ("detail that both have", "edited elsewhere") if edited else ("by g_rendering", "by g_real")
        figures = [("crop", "face"), ("inversion", drawn[0]), ("portrait", drawn[1]), ("result", "result")]
        shown = "".join(_figure(folder / f"face{face['face']}_{kind}.png", caption) for kind, caption in figures)
        parts.append(f'<div class="faces">{shown}</div>')
        how = f"its portrait is that of {edited}" if edited else f"LPIPS {face['lpips']:.3f}"
        parts.append(f'<p class="muted">face {face["face"]}: {escaped(how)}, {face["seconds"]:.1f} s</p>')
        parts += [f'<p class="warning">{escaped(warning)}</p>' for warning in face["warnings"]]
    return "\n".join(parts)


def _slider(before, after):
    sources = [_embedded(path, SHOWN) for path in (before, after)]
    if None in sources:
        return f'<p class="muted">{escaped((before, after)[sources.index(None)])} is no longer there</p>'
    return (
        f'<div class="slider"><img src="{sources[0]}" alt="before"><img class="after" src="{sources[1]}" alt="after">'
        '<div class="bar"></div><input type="range" min="0" max="100" value="50" aria-label="before and after"></div>'
    )


def _figure(path, caption):
    source = _embedded(path, FACE)
    picture = f'<img src="{source}" alt="{caption}">' if source else "(gone)"
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _embedded(path, side):
    """A picture file as a data URI, at most `side` pixels long; None when it cannot be read."""
    from alignment import PictureError, read_picture

    try:
        image = Image.fromarray(read_picture(path).pixels)
    except (PictureError, OSError):
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
