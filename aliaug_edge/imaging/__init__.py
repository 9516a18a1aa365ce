"""Decode, encode, and the one place that knows colour order and value ranges.

Inside the project an image is (H, W, 3) uint8 RGB and a mask (H, W) uint8 of 0 and 255, where 255
means: change here. What enters is brought to that form, and a file that cannot be is one clear
`DataError`:

- 16-bit samples are scaled from their full range (v / 257), never stretched to what occurs;
- transparent pixels lie over black, so a mask painted on a transparent ground is unpainted there;
- EXIF orientation is applied, so an image and its mask agree whatever the camera wrote.
"""

from aliaug_edge.imaging.arrays import images_to_tensor, masks_to_tensor, tensor_to_images
from aliaug_edge.imaging.folders import IMAGE_SUFFIXES, find_images, list_images
from aliaug_edge.imaging.opening import MAX_PIXELS, is_turned, pixel_count, pixel_format
from aliaug_edge.imaging.pixels import is_grey, load_image, load_mask, painted, sixteen_bit_peak
from aliaug_edge.imaging.png import encode_png, is_marked_synthetic, is_whole_png

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "encode_png",
    "find_images",
    "images_to_tensor",
    "is_grey",
    "is_marked_synthetic",
    "is_turned",
    "is_whole_png",
    "list_images",
    "load_image",
    "load_mask",
    "masks_to_tensor",
    "painted",
    "pixel_count",
    "pixel_format",
    "sixteen_bit_peak",
    "tensor_to_images",
]
