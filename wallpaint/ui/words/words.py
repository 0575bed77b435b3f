"""Every word of the page, in English and Vietnamese; messages of the engine itself stay as they are."""

from wallpaint.ui.words.compare import COMPARE
from wallpaint.ui.words.dataset import DATASET
from wallpaint.ui.words.help import HELP
from wallpaint.ui.words.train import TRAIN

TEXT: dict[str, tuple[str, str]] = {
    "intro": (
        "# wallpaint\nRepaint the walls of a room in a paint you choose, and teach the model your own rooms.",
        "# wallpaint\nSơn lại tường trong ảnh bằng màu bạn chọn, và dạy mô hình với chính căn phòng của bạn.",
    ),
    "tab_dataset": ("Dataset", "Dữ liệu"),
    "tab_train": ("Train", "Huấn luyện"),
    "tab_compare": ("Compare", "So sánh"),
    "language": ("Language", "Ngôn ngữ"),
    # Dataset
    "upload_photo": ("Upload a photo", "Tải ảnh"),
    "paint": ("Paint", "Màu sơn"),
    "no_photo": (
        "no room is open, tab Dataset, choose a sample room or upload a photo first",
        "chưa mở ảnh nào, thẻ Dữ liệu, hãy chọn phòng mẫu hoặc tải ảnh lên trước",
    ),
    "no_mask": (
        "no wall is marked, tab Dataset, click on the wall first",
        "chưa đánh dấu tường, thẻ Dữ liệu, hãy bấm vào tường trước",
    ),
    "bad_name": (
        "{name!r} cannot be a name, {where}, use letters, digits, - and _",
        "{name!r} không dùng làm tên được, {where}, chỉ dùng chữ cái, chữ số, - và _",
    ),
    # Anything
    "trouble": (
        "something went wrong ({kind}); the log of the studio says more",
        "có lỗi xảy ra ({kind}); xem nhật ký của studio",
    ),
    **DATASET,
    **TRAIN,
    **COMPARE,
    **HELP,
}
LANGUAGES = ("en", "vi")


class T(str):
    """The key of a text that a component shows, in whichever language the page is read."""


def t(key: str, language: str = "en", **values: object) -> str:
    """Give the text of `key` in `language` (else English), its {fields} filled in."""
    text = TEXT[key][LANGUAGES.index(language) if language in LANGUAGES else 0]
    return text.format(**values) if values else text


def pick_language(asked: str | None, accept_language: str | None) -> str:
    """Choose the language: `?lang=` if we speak it, else the first such of Accept-Language, else English."""
    ranked = [part.split(";")[0] for part in (accept_language or "").split(",")]
    for tag in [asked or "", *ranked]:
        code = tag.strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return "en"
