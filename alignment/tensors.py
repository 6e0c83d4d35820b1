"""Pictures as the networks see them, and back."""


def to_tensor(pixels, device="cpu"):
    """uint8 [N, R, R, 3] -> float32 [N, 3, R, R] in [-1, 1]."""
    import torch

    return (torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous()


def to_pixels(images):
    """float [N, 3, R, R] in [-1, 1] -> uint8 [N, R, R, 3]."""
    return ((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
