"""Masks as editors, segmentation tools and other programs save them."""

import numpy as np
from PIL import Image, ImageFilter

from brought import Case
from brought.photos import encoded, saved, written
from wallpaint.pixels.images import load_mask, load_photo

TITLE = "Masks"
SIZE = (80, 60)
WALL = np.zeros(SIZE[::-1], bool)
WALL[5:40, 10:60] = True


def read(path):
    """Read it as a mask of the photo beside it, if there is one."""
    photo = path.with_name("photo.jpg")
    return load_mask(path, load_photo(photo).size, photo=photo) if photo.exists() else load_mask(path, SIZE)


def is_wall(mask):
    values = np.asarray(mask)
    return mask.mode == "L" and set(np.unique(values)) == {0, 255} and bool(((values == 255) == WALL).all())


def nearly_wall(mask):
    return ((np.asarray(mask) == 255) != WALL).mean() < 0.02


def two(wall, rest, dtype=np.uint8):
    """A picture of two values or colours."""
    where = WALL[..., None] if np.ndim(wall) else WALL
    return lambda: Image.fromarray(np.where(where, np.array(wall, dtype), np.array(rest, dtype)))


def furnished(hole, mode="RGBA"):
    """A photo of a bright room with a transparent wall."""

    def image():
        rng = np.random.default_rng(0)
        photo = rng.integers(60, 255, (*WALL.shape, 3), dtype=np.uint8)
        alpha = np.where(WALL, hole, 255).astype(np.uint8)
        return Image.fromarray(np.dstack([photo, alpha])).convert(mode)

    return image


def hole_in_a_palette():
    image = Image.fromarray(np.where(WALL, 0, 1 + np.indices(WALL.shape).sum(0) % 5).astype(np.uint8))
    image.putpalette([v for i in range(6) for v in (40 * i, 255 - 30 * i, 90)])
    return image


def on_its_side(folder):
    """A mask made from the photo's pixels as they are stored; its EXIF turns the photo by a quarter."""
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(WALL).transpose(Image.Transpose.ROTATE_90)
    (folder / "photo.jpg").write_bytes(encoded(image=lambda: Image.new("RGB", stored.size), exif=exif))
    stored.save(folder / "mask.png")
    return folder / "mask.png"


def upside_down(folder):
    """The same of a photo that its EXIF turns by half, so that its size tells nothing; its edges do."""
    exif = Image.Exif()
    exif[0x0112] = 3
    turn = Image.Transpose.ROTATE_180
    photo = Image.fromarray(WALL).convert("RGB").transpose(turn)
    (folder / "photo.jpg").write_bytes(encoded(image=lambda: photo, exif=exif))
    Image.fromarray(WALL).transpose(turn).save(folder / "mask.png")
    return folder / "mask.png"


def soft(most=255):
    return Image.fromarray(WALL.astype(np.uint8) * most).filter(ImageFilter.GaussianBlur(2))


def png(image):
    return saved("a.png", image=image)


def classes():
    return Image.fromarray((np.indices(WALL.shape)[0] // 12 * 25 + 20).astype(np.uint8) * np.uint8(2))


def grey_photo():
    """Grain, so that no area of it is even."""
    grain = np.random.default_rng(0).integers(60, 200, WALL.shape)
    return Image.fromarray(np.where(WALL, 255, grain).astype(np.uint8))


def classes_and_none():
    return Image.fromarray(np.where(np.indices(WALL.shape)[0] > 50, 255, WALL).astype(np.uint8))


CASES = (
    Case("white on black, of 8 bits, 1 bit or 16 bits", "white is the wall", png(two(255, 0)), is_wall),
    Case("1 bit", "white is the wall", png(lambda: Image.fromarray(WALL)), is_wall),
    Case("16 bits", "white is the wall", png(two(65535, 0, np.uint16)), is_wall),
    Case("255 and 0 in 16 bits", "255 is the wall", png(two(255, 0, np.uint16)), is_wall),
    Case("1 and 0", "1 is the wall", png(two(1, 0)), is_wall),
    Case("1 and 0 in 16 bits", "1 is the wall", png(two(1, 0, np.uint16)), is_wall),
    Case(
        "floats from 0 to 1", "0.5 and above is the wall", saved("a.tif", "TIFF", two(0.9, 0.1, np.float32)), is_wall
    ),
    Case("floats below 0", "has numbers below 0", saved("a.tif", "TIFF", two(3.2, -4.1, np.float32))),
    Case("any other number and 0", "the number is the wall", png(two(90, 0)), is_wall),
    Case("soft edges", "128 and above is the wall", png(soft), nearly_wall),
    Case(
        "soft edges from 0 to 100, or of 12 bits in 16",
        "half and above is the wall",
        png(lambda: soft(100)),
        nearly_wall,
    ),
    Case(
        "a faint white brush on nothing",
        "what is painted is the wall",
        png(two((255, 255, 255, 90), (0,) * 4)),
        is_wall,
    ),
    Case("JPEG", "128 and above is the wall", saved("a.jpg", image=two(255, 0)), nearly_wall),
    Case("one colour on black", "the colour is the wall", png(two((200, 0, 0), (0, 0, 0))), is_wall),
    Case("the same as JPEG", "the colour is the wall", saved("a.jpg", image=two((0, 90, 0), (0, 0, 0))), nearly_wall),
    Case("a photo with a transparent hole (RGBA)", "the hole is the wall", png(furnished(0)), is_wall),
    Case("the same with a soft hole", "the hole is the wall", png(furnished(90)), is_wall),
    Case("the same in grey (LA)", "the hole is the wall", png(furnished(0, "LA")), is_wall),
    Case(
        "a palette with a transparent colour",
        "the hole is the wall",
        saved("a.png", image=hole_in_a_palette, transparency=0),
        is_wall,
    ),
    Case("white on a transparent ground", "white is the wall", png(two((255, 255, 255, 255), (0, 0, 0, 0))), is_wall),
    Case("made without the photo's EXIF orientation", "turned as the photo is", on_its_side, is_wall),
    Case(
        "the same where the size does not tell, upside down",
        "turned if its edges then lie better",
        upside_down,
        is_wall,
    ),
    Case(
        "black or one strong colour on a transparent ground",
        "is drawn on a transparent ground",
        png(two((0, 0, 0, 255), (0, 0, 0, 0))),
    ),
    Case(
        "black and white with transparent parts",
        "is drawn on a transparent ground",
        png(lambda: Image.merge("LA", [Image.fromarray(WALL).convert("L"), Image.linear_gradient("L").resize(SIZE)])),
    ),
    Case(
        "two colours, none of them black",
        "which colour is the wall cannot be told",
        png(two((200, 0, 0), (0, 0, 200))),
    ),
    Case("red and white", "which colour is the wall cannot be told", png(two((255, 0, 0), (255, 255, 255)))),
    Case(
        "many colours, or a photo",
        "which colour is the wall cannot be told",
        png(lambda: furnished(255)().convert("RGB")),
    ),
    Case("greys, as of classes", "has grey areas", png(classes)),
    Case("a grey photo, its wall painted white", "has grey areas", png(grey_photo)),
    Case("numbers of classes", "as of classes", png(two(2, 1))),
    Case("the same with 255 for what has none", "as of classes", png(classes_and_none)),
    Case(
        "the same in 16 bits (Cityscapes, panoptic)",
        "has several numbers up to 26001, as of classes",
        png(
            lambda: Image.fromarray(
                np.select([WALL, np.indices(WALL.shape)[0] > 50], [11, 26001], 7).astype(np.uint16)
            )
        ),
    ),
    Case(
        "the wall of a photo on black",
        "has grey areas",
        png(lambda: Image.fromarray(np.asarray(Image.linear_gradient("L").resize(SIZE)) * WALL)),
    ),
    Case("nothing marked", "is empty", png(lambda: Image.new("L", SIZE))),
    Case("transparent all over", "is transparent all over", png(lambda: Image.new("RGBA", SIZE))),
    Case(
        "another size than the photo's",
        "make the mask at the photo's own size",
        png(lambda: Image.new("L", (30, 30), 255)),
    ),
    Case("a NumPy array", "is a NumPy array: save it as JPEG or PNG", written("wall.npy", b"\x93NUMPY\1\0")),
    Case(
        "LabelMe's or COCO's JSON", "is a JSON file: give a picture", written("wall.json", b'[{"segmentation": []}]')
    ),
    Case("polygons as text (YOLO)", "is a text file: give the picture itself", written("a.txt", b"0 0.1 0.2")),
    Case("no picture", "cannot be read", written("a.png", b"none\0")),
)
