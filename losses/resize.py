"""The one home of reductions: for Eqs. 1 and 2, and what LPIPS sees wherever it is optimised or reported."""

from torch.nn.functional import interpolate

LPIPS_SIZE = 256  # larger pictures are compared at this size, as the projector of Karras et al. 2020 does


def downsample(image, size):
    """[N, C, H, W] -> [N, C, size, size], antialiased bilinear; returned as it is when it has that size already."""
    if image.shape[2:] == (size, size):
        return image
    return interpolate(image, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def comparable(image):
    """What LPIPS sees of a square picture [N, 3, R, R]: at most LPIPS_SIZE pixels wide, larger ones by area.

    The same for the optimisation of Eq. 4, its report, the warnings and their calibration, and the tables: a number is
    then the one that was minimised.
    """
    if image.shape[2] <= LPIPS_SIZE:
        return image
    return interpolate(image, size=(LPIPS_SIZE, LPIPS_SIZE), mode="area")
