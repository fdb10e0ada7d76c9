"""Colour profiles: against colorimetry computed here with numpy, for profiles built here byte by byte."""

import struct
from io import BytesIO
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from simtrain.catalog.icc import NO_PROFILE, conversion_to_srgb
from simtrain.catalog.images import decode_image

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = (0.3127, 0.3290)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
SRGB_CURVE = b"para" + struct.pack(
    ">IHH5i", 0, 3, 0, *(round(x * 65536) for x in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(gamma * 256))


def xyz_of(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def colorants(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Linear RGB of D65 -> XYZ of D50, adapted after Bradford."""
    raw = np.stack([xyz_of(*xy) for xy in primaries], axis=1)
    matrix = raw * np.linalg.solve(raw, xyz_of(*D65))
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    return np.linalg.inv(cone) @ np.diag(cone @ D50 / (cone @ xyz_of(*D65))) @ cone @ matrix


def encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light -> sRGB levels, 0 to 255."""
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def decoded(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    values = levels / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def icc(*, kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s12x4s", offset + len(body), b"    ", 0x02400000, kind, space, connection, b"acsp")
    illuminant = struct.pack(">3i", *(round(value * 65536) for value in D50))
    return header.ljust(68, b"\0") + illuminant + bytes(48) + table + body


def xyz_tag(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + struct.pack(">I3i", 0, *(round(float(value) * 65536) for value in values))


def rgb_profile(matrix: NDArray[np.float64], curve: bytes) -> bytes:
    tags = {b"wtpt": xyz_tag(D50)}
    tags |= {name: xyz_tag(matrix[:, band]) for band, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return icc(kind=b"mntr", space=b"RGB ", connection=b"XYZ ", tags=tags)


def grey_profile(gamma: float) -> bytes:
    tags = {b"wtpt": xyz_tag(D50), b"kTRC": gamma_curve(gamma)}
    return icc(kind=b"mntr", space=b"GRAY", connection=b"XYZ ", tags=tags)


def table(inputs: int, corners: list[tuple[int, ...]]) -> bytes:
    """A lookup between 8-bit colours that is known at the corners of its space only, the last input fastest."""
    outputs, ramp = len(corners[0]), bytes(range(256))
    identity = struct.pack(">9i", *(65536, 0, 0, 0, 65536, 0, 0, 0, 65536))
    sizes = struct.pack(">IBBBx", 0, inputs, outputs, 2)
    return b"mft1" + sizes + identity + ramp * inputs + b"".join(map(bytes, corners)) + ramp * outputs


def cmyk_profile(lab: dict[tuple[int, ...], tuple[int, int, int]]) -> bytes:
    """A printer by the Lab of its 16 corners, 0 or 1 of each ink; it prints the dark with all of them."""
    seen = [
        (round(lightness * 255 / 100), a + 128, b + 128)
        for lightness, a, b in (lab[inks] for inks in product((0, 1), repeat=4))
    ]
    printed = [(255 * (1 - lightness),) * 4 for lightness, _, _ in product((0, 1), repeat=3)]
    tags = {b"wtpt": xyz_tag(D50)}
    tags |= dict.fromkeys((b"A2B0", b"A2B1"), table(4, seen)) | dict.fromkeys((b"B2A0", b"B2A1"), table(3, printed))
    return icc(kind=b"prtr", space=b"CMYK", connection=b"Lab ", tags=tags)


def srgb_of_lab(lightness: float, a: float, b: float) -> NDArray[np.float64]:
    roots = np.array([(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200])
    xyz = D50 * np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))
    return encoded(np.linalg.solve(colorants(SRGB), xyz))


def decode(picture: Image.Image, kind: str = "PNG", **saving: object) -> tuple[NDArray[np.int64], str | None]:
    file = BytesIO()
    picture.save(file, kind, **saving)
    image = decode_image(file.getvalue(), at_least=None)
    return image.pixels.astype(np.int64), image.note


COLOURS = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
PRINTED = {inks: (round(100 * (1 - sum(inks) / 4)), 0, 0) for inks in product((0, 1), repeat=4)}
PRINTED |= {(1, 0, 0, 0): (62, -20, -32), (0, 1, 0, 0): (50, 60, 0), (0, 0, 1, 0): (88, -4, 70)}
PRINTED |= {(0, 0, 0, 1): (12, 0, 0)}


@pytest.mark.parametrize(
    ("primaries", "curve", "linear"),
    [
        (ADOBE_RGB, gamma_curve(563 / 256), lambda levels: (levels / 255) ** (563 / 256)),
        (DISPLAY_P3, SRGB_CURVE, decoded),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_wide_gamut_becomes_srgb(primaries, curve, linear, kind):
    matrix = colorants(primaries)
    lossless = {"lossless": True} if kind == "WEBP" else {}
    pixels, note = decode(Image.fromarray(COLOURS), kind, icc_profile=rgb_profile(matrix, curve), **lossless)
    expected = encoded(linear(COLOURS.astype(np.float64)) @ np.linalg.solve(colorants(SRGB), matrix).T)
    assert np.abs(pixels - expected).max() < 2
    assert note is None


def test_display_p3_has_the_red_of_srgb_where_css_says():
    profile = rgb_profile(colorants(DISPLAY_P3), SRGB_CURVE)
    pixels, _ = decode(
        Image.new("RGB", (2, 2), (234, 51, 35)), icc_profile=profile
    )  # color(display-p3 .9175 .2003 .1386)
    assert np.abs(pixels - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("kind", ["RGB", "L"])
def test_profile_of_a_fast_decoded_jpeg_is_followed(kind):
    picture = Image.fromarray(COLOURS).convert(kind)
    profile = rgb_profile(colorants(ADOBE_RGB), gamma_curve(1.8))
    plain, _ = decode(picture, "JPEG", quality=95)
    pixels, note = decode(picture, "JPEG", quality=95, icc_profile=profile)
    to_srgb = np.linalg.solve(colorants(SRGB), colorants(ADOBE_RGB))
    expected = encoded((plain / 255) ** (round(1.8 * 256) / 256) @ to_srgb.T)
    assert np.abs(pixels - expected).max() < 2
    assert note is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey_profile_is_followed(kind):
    grey = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (16, 1)))
    plain, _ = decode(grey, kind)
    pixels, note = decode(grey, kind, icc_profile=grey_profile(1.5))
    assert np.abs(pixels - encoded((plain / 255) ** 1.5)).max() < 2
    assert note is None


def test_grey_of_sixteen_bits_follows_its_profile():
    values = np.array([[0, 20000, 40000, 65535]], dtype=np.uint16)
    pixels, _ = decode(Image.fromarray(values), icc_profile=grey_profile(1.5))
    assert np.abs(pixels[0, :, 0] - encoded((values[0] // 257 / 255) ** 1.5)).max() < 2


def test_grey_picture_with_a_profile_of_rgb_takes_grey_as_equal_parts():
    grey = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    pixels, note = decode(grey, icc_profile=rgb_profile(colorants(SRGB), gamma_curve(1.5)))
    assert np.abs(pixels[..., 0] - encoded((np.arange(256) / 255) ** 1.5)).max() < 2
    assert note is None


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])  # in a JPEG the inks stand inverted
@pytest.mark.parametrize("inks", list(product((0, 1), repeat=4)))
def test_inks_become_what_the_printer_makes_of_them(inks, kind):
    picture = Image.new("CMYK", (8, 8), tuple(255 * ink for ink in inks))
    pixels, note = decode(picture, kind, icc_profile=cmyk_profile(PRINTED))
    expected = srgb_of_lab(round(PRINTED[inks][0] * 255 / 100) * 100 / 255, *PRINTED[inks][1:])
    assert np.abs(pixels - expected).max() <= 2
    assert note is None


def test_the_darkest_that_a_printer_can_do_becomes_black():
    faded = {inks: (max(lightness, 15), a, b) for inks, (lightness, a, b) in PRINTED.items()}
    pixels, _ = decode(Image.new("CMYK", (1, 1), (255,) * 4), "TIFF", icc_profile=cmyk_profile(faded))
    assert pixels.tolist() == [[[0, 0, 0]]]


def test_colours_are_converted_before_transparency_is_laid_on_white():
    profile = rgb_profile(colorants(ADOBE_RGB), gamma_curve(2.2))
    opaque, _ = decode(Image.new("RGB", (1, 1), (90, 160, 70)), icc_profile=profile)
    pixels, _ = decode(Image.new("RGBA", (1, 1), (90, 160, 70, 100)), icc_profile=profile)
    assert np.abs(pixels - (opaque * 100 + 255 * 155) / 255).max() <= 1


def test_transparent_grey_follows_its_profile():
    pixels, _ = decode(Image.new("LA", (1, 1), (100, 200)), icc_profile=grey_profile(1.5))
    expected = (encoded(np.array((100 / 255) ** 1.5)) * 200 + 255 * 55) / 255
    assert np.abs(pixels - expected).max() < 2


def test_palette_follows_the_profile():
    picture = Image.fromarray(COLOURS).quantize(16)
    profile = rgb_profile(colorants(DISPLAY_P3), SRGB_CURVE)
    assert np.array_equal(
        decode(picture, icc_profile=profile)[0], decode(picture.convert("RGB"), icc_profile=profile)[0]
    )


def test_lab_needs_no_profile():
    picture = Image.fromarray(COLOURS).convert("LAB")
    plain, _ = decode(picture, "TIFF")
    pixels, note = decode(picture, "TIFF", icc_profile=rgb_profile(colorants(DISPLAY_P3), SRGB_CURVE))
    np.testing.assert_array_equal(pixels, plain)
    assert note is None


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        rgb_profile(colorants(SRGB), SRGB_CURVE),  # says nowhere that it is sRGB
    ],
    ids=["named", "unnamed"],  # a profile holds the second that it was made in
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_srgb_costs_nothing(profile, mode):
    assert conversion_to_srgb(profile, mode) is NO_PROFILE


def test_profile_is_judged_once():
    profile = rgb_profile(colorants(ADOBE_RGB), gamma_curve(2.2))
    assert conversion_to_srgb(profile, "RGB") is conversion_to_srgb(bytes(bytearray(profile)), "RGB")


P3 = rgb_profile(colorants(DISPLAY_P3), SRGB_CURVE)
BLACK_OUT = rgb_profile(np.zeros((3, 3)), SRGB_CURVE)


@pytest.mark.parametrize(
    ("mode", "profile", "note"),
    [
        ("RGB", b"no profile", "it is damaged: cannot open profile from string; taken as sRGB"),
        ("RGB", P3[:-40], "it is damaged: cannot build transform; taken as sRGB"),
        ("RGB", grey_profile(1.5), "it is for GRAY, the picture is RGB; taken as sRGB"),
        ("RGB", cmyk_profile(PRINTED), "it is for CMYK, the picture is RGB; taken as sRGB"),
        ("L", cmyk_profile(PRINTED), "it is for CMYK, the picture is grey; taken as sRGB"),
        ("CMYK", P3, "it is for RGB, the picture is CMYK; inks converted plainly"),
        ("RGB", BLACK_OUT, "it makes RGB (0, 0, 0) of white and (0, 0, 0) of black; taken as sRGB"),
    ],
)
def test_senseless_profile_is_passed_over_and_told(mode, profile, note):
    picture = Image.fromarray(COLOURS).convert(mode)
    plain, _ = decode(picture, "TIFF")
    pixels, found = decode(picture, "TIFF", icc_profile=profile)
    np.testing.assert_array_equal(pixels, plain)
    assert found == f"its colour profile cannot be used: {note}"
