"""A page in the browser: drop a rendered portrait, see it real, move three sliders, take it home.

\b
    python app.py
    python app.py --weights ~/weights --port 8000

Needs the extra `app` (pip install -e .[app]). The page is served to this machine only, unless --host says otherwise;
docs/app.md says what it keeps and for how long.
"""

import click


@click.command(help=__doc__, context_settings={"max_content_width": 110})
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on; 0.0.0.0: the network.")
@click.option("--port", default=7860, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--weights",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Folder with g_real, g_rendering, perceptual and parser.  [default: the embedded demo bundle]",
)
@click.option(
    "--g-rendering",
    type=click.Path(exists=True, resolve_path=True),
    metavar="FILE",
    help="A snapshot of train.py, or its run folder, in place of the folder's g_rendering.",
)
@click.option("--device", default="auto", type=click.Choice(["auto", "cuda", "cpu", "mps"]), show_default=True)
def main(host, port, weights, g_rendering, device):
    import importlib.util

    if importlib.util.find_spec("gradio") is None:
        raise click.ClickException('the page needs gradio: pip install -e ".[app]"')
    from page.serving import serve

    try:
        serve(host, port, weights, device, g_rendering, announce=click.echo)
    except OSError as error:
        reason = error.strerror or error
        raise click.ClickException(f"{host}:{port}: {reason}; give another --port or --host") from error


if __name__ == "__main__":
    main()
