"""Numbered squares on a picture."""

ON, OFF, EDGE = (64, 200, 120), (150, 150, 150), (20, 20, 20)


def with_squares(path, squares, scale):
    """The picture of a file with squares on it, as a PIL image.

    squares: [(quad [4][2] in picture pixels, label, switched on?)]. scale: from the picture to this copy of it.
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.open(path).convert("RGB")
    draw = ImageDraw.Draw(image)
    width = max(round(max(image.size) / 180), 2)
    font = ImageFont.load_default(size=max(image.size) / 18)
    for quad, label, on in squares:
        points = [(x * scale, y * scale) for x, y in quad]
        colour = ON if on else OFF
        for line, thick in ((EDGE, width + 2), (colour, width)):
            draw.line([*points, points[0], points[1]], fill=line, width=thick, joint="curve")
        label = f" {label} " if on else f" {label} off "
        box = draw.textbbox(points[0], label, font=font)
        draw.rectangle(box, fill=colour, outline=EDGE)
        draw.text(points[0], label, fill=(0, 0, 0), font=font)
    return image


def inside(quad, x, y):
    """Does a point lie in the parallelogram quad?"""
    (x0, y0), down, _, right = quad
    ax, ay, bx, by = right[0] - x0, right[1] - y0, down[0] - x0, down[1] - y0
    area = ax * by - ay * bx
    s, t = ((x - x0) * by - (y - y0) * bx) / area, (ax * (y - y0) - ay * (x - x0)) / area
    return 0 <= s <= 1 and 0 <= t <= 1
