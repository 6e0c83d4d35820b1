"""Contact sheets: what was done to a picture, at a glance."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TILE = 320  # pixels
MARGIN = 8
CAPTION = 22


def reduced(pixels, tile=TILE):
    """uint8 [H, W, 3] or [H, W], as large as a sheet shows it at most: for those who gather many pictures."""
    return np.asarray(fitted(Image.fromarray(pixels), tile)) if max(pixels.shape[:2]) > tile else pixels


def fitted(image, tile):
    """A PIL image at the size that just fits into a tile."""
    scale = tile / max(image.size)
    size = tuple(max(1, round(side * scale)) for side in image.size)
    return image.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC)


def contact_sheet(rows, tile=TILE):
    """rows: lists of (caption, uint8 [H, W, 3] or [H, W]) -> uint8 [H', W', 3]; every picture is fitted into a tile."""
    columns = max(len(row) for row in rows)
    size = (columns * (tile + MARGIN) + MARGIN, len(rows) * (tile + CAPTION + MARGIN) + MARGIN)
    sheet = Image.new("RGB", size, (250, 250, 250))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for j, row in enumerate(rows):
        for i, (caption, pixels) in enumerate(row):
            x, y = MARGIN + i * (tile + MARGIN), MARGIN + j * (tile + CAPTION + MARGIN)
            image = fitted(Image.fromarray(pixels).convert("RGB"), tile)
            sheet.paste(image, (x + (tile - image.width) // 2, y + CAPTION + (tile - image.height) // 2))
            draw.text((x + 2, y + 2), caption, fill=(20, 20, 20), font=font)
    return np.asarray(sheet)
