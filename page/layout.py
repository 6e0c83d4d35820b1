"""What is on the page: gradio's components, and which of them call which action."""

import inspect

import gradio as gr

from .actions import ALL

STYLE = """
.gradio-container { max-width: 1400px !important }
.problem { color: #b00020 } .dark .problem { color: #ff9a9a }
.note { opacity: .85 } .faces { padding-left: 1.1rem } .faces li { margin: .2rem 0 }
.warning b { border-bottom: 2px solid #d98200 } progress { width: 100%; height: .8rem; accent-color: #2f9e63 }
#line textarea { font-family: monospace; font-size: .85rem }
@media (max-width: 640px) { .gradio-container { padding: .4rem !important } }
"""
# gradio gives pictures no words for those who do not see them
HEAD = """<script>
const words = {
  seen: "the picture with numbered squares around its faces", portrait: "the portrait, while it is found",
  slider: "the picture, before and after", animation: "the sequence, before and after, playing",
};
new MutationObserver(() => {
  for (const [id, text] of Object.entries(words))
    for (const image of document.querySelectorAll(`#${id} img`)) if (image.alt !== text) image.alt = text;
}).observe(document, {childList: true, subtree: true});
</script>"""
FONTS = [gr.themes.Font(name) for name in ("system-ui", "sans-serif")]
THEME = gr.themes.Default(primary_hue="green", font=FONTS, font_mono=[gr.themes.Font("monospace")])
PRESETS = [("fast", "fast"), ("best: slower, closer to the person", "best"), ("paper: the published method", "paper")]
BLENDS = [("harmonized", "harmonized"), ("paper", "paper"), ("poisson", "poisson")]
FETCH = "() => setTimeout(() => document.querySelector('%s').click(), 300)"  # the file that was made ready


def page(actions):
    """The gr.Blocks of the page."""
    with gr.Blocks(title="Lifelike", analytics_enabled=False, fill_width=True) as blocks:
        gr.Markdown("# Lifelike\nDrop a rendered portrait, see it real, move the sliders, take it home. Nothing leaves "
                    "the machine this page runs on.")  # fmt: skip
        c = {}
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                c["upload"] = gr.File(label="Pictures: drop them here", file_count="multiple", height=130)
                c["sequence"] = gr.Checkbox(label="Dropped together, they are the frames of one sequence")
                c["titles"] = gr.Dropdown(label="Picture", choices=[], visible=False)
                c["notes"] = gr.HTML(label="About the picture")
                c["seen"] = gr.Image(
                    label="Tap a face to switch it on or off", interactive=False, buttons=[], type="filepath",
                    visible=False, height=360, elem_id="seen",
                )  # fmt: skip
                c["faces"] = gr.CheckboxGroup(label="Faces to make real", choices=[], visible=False)
                with gr.Row(visible=False) as c["hand"]:
                    c["left"], c["top"], c["side"] = (
                        gr.Number(label=f"{name} of the square, pixels", precision=1, min_width=90)
                        for name in ("Left", "Top", "Side")
                    )
                c["preset"] = gr.Radio(label="How it is made", choices=PRESETS, value="fast")
                c["go"] = gr.Button("Make it real", variant="primary", elem_id="go")
                with gr.Row():
                    c["go_all"] = gr.Button("Make all real", elem_id="go-all", min_width=120, visible=False)
                    c["cancel"] = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel", min_width=90)
                c["status"] = gr.HTML(label="Progress", elem_id="status")
                c["portrait"] = gr.Image(
                    label="The portrait, while it is found", interactive=False, buttons=[], visible=False,
                    type="filepath", height=220, elem_id="portrait",
                )  # fmt: skip
            with gr.Column(scale=2, min_width=300):
                c["slider"] = gr.ImageSlider(
                    label="Before and after", interactive=False,
                    type="filepath", buttons=["fullscreen"], max_height=820, elem_id="slider",
                )  # fmt: skip
                c["animation"] = gr.Image(
                    label="The sequence, before and after", interactive=False, buttons=["fullscreen"], visible=False,
                    type="filepath", elem_id="animation",
                )  # fmt: skip
                c["whose"] = gr.Radio(label="The sliders act on", choices=[ALL], value=ALL, visible=False)
                with gr.Row():
                    c["strength"] = gr.Slider(
                        0, 1.5, 1, step=0.05, label="Strength: how far the change goes", elem_id="strength"
                    )
                    c["detail"] = gr.Slider(
                        0, 1, 1, step=0.05, label="Detail: how much of the picture's own is kept", elem_id="detail"
                    )
                c["blend"] = gr.Radio(
                    BLENDS, value="harmonized", label="Blend: how the face joins the picture", elem_id="blend"
                )
                c["warnings"] = gr.HTML(label="Look at twice", elem_id="warnings")
                with gr.Row():
                    save = gr.Button("Download the picture", elem_id="save")
                    save_all = gr.Button("Download everything (zip)", elem_id="save-all")
                c["composite"] = gr.DownloadButton("Picture", visible="hidden", elem_id="composite")
                c["archive"] = gr.DownloadButton("Zip", visible="hidden", elem_id="archive")
                c["line"] = gr.Textbox(
                    label="The same on the command line", lines=2, interactive=False, buttons=["copy"], elem_id="line"
                )

        def bound(action, generator=False):
            """The action as gradio calls it: values in, {component: update} out."""

            def call(*values):
                return components(c, action(*values))

            def calls(*values):
                for update in action(*values):
                    yield components(c, update)

            call = calls if generator else call
            call.__signature__ = inspect.signature(action)
            call.__annotations__ = {"request": gr.Request}  # gradio puts it where this is asked for
            return call

        outputs = list(dict.fromkeys(c.values()))
        quietly = {"outputs": outputs, "show_progress": "hidden", "api_visibility": "private"}
        sliders = [c[name] for name in ("whose", "strength", "detail", "blend")]
        numbers = [c[name] for name in ("left", "top", "side")]
        c["upload"].upload(bound(actions.drop), [c["upload"], c["sequence"]], **quietly | {"show_progress": "minimal",
                           "show_progress_on": c["upload"]})  # fmt: skip
        c["titles"].input(bound(actions.choose), c["titles"], **quietly)
        c["faces"].input(bound(actions.switch), c["faces"], **quietly)

        def tap(event: gr.SelectData, request: gr.Request):
            return components(c, actions.tap(event.index, request))

        c["seen"].select(tap, None, **quietly)
        for number in numbers:
            number.change(bound(actions.place), numbers, **quietly)
        c["preset"].input(bound(actions.change_preset), c["preset"], **quietly)
        for button, make in ((c["go"], actions.make_real), (c["go_all"], actions.make_all)):
            button.click(bound(make, generator=True), None, **quietly)
        c["cancel"].click(bound(actions.cancel), None, **quietly)
        c["whose"].input(bound(actions.whose), c["whose"], **quietly)
        quickly = quietly | {"outputs": [c[name] for name in ("slider", "line", "status", "warnings")]}
        for control in sliders[1:]:
            moved = control.input(bound(actions.move), sliders, trigger_mode="always_last", **quickly)
            moved.then(bound(actions.judge), None, trigger_mode="always_last", **quickly)
        save.click(bound(actions.composite), None, **quietly).then(None, js=FETCH % "#composite")
        save_all.click(bound(actions.everything), None, **quietly).then(None, js=FETCH % "#archive")

        def left(request: gr.Request):
            actions.sessions.leave(request.session_hash)

        blocks.unload(left)
    return blocks


def components(c, update):
    """An action's update by name as {component: update} for gradio; nothing to say = {component: skip}."""
    out = {}
    for name, value in update.items():
        if name == "titles":
            out[c["titles"]] = gr.update(choices=value[0], value=value[1], visible=len(value[0]) > 1)
            out[c["go_all"]] = gr.update(visible=len(value[0]) > 1)
        elif name == "faces":
            out[c["faces"]] = gr.update(choices=value[0], value=value[1], visible=bool(value[0]))
        elif name == "hand":
            out[c["hand"]] = gr.update(visible=value[0])
            out |= {c[n]: v for n, v in zip(("left", "top", "side"), value[1] or (None,) * 3, strict=True)}
        elif name == "whose":
            out[c["whose"]] = gr.update(choices=value[0], value=value[1], visible=len(value[0]) > 1)
        elif name == "sliders":
            out |= {c[n]: value[n] for n in ("strength", "detail", "blend")}
        elif name == "busy":
            out |= {c[n]: gr.update(interactive=not value) for n in ("go", "go_all")}
            out[c["cancel"]] = gr.update(visible=value)
        elif name in ("seen", "portrait", "animation"):
            out[c[name]] = gr.update(value=value, visible=value is not None)
        else:
            out[c[name]] = value
    return out or {c["status"]: gr.skip()}
