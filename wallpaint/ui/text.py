"""Every word of the page, in English and Vietnamese; messages of the engine itself stay as they are."""

from wallpaint.ui.text_compare import COMPARE
from wallpaint.ui.text_dataset import DATASET
from wallpaint.ui.text_help import HELP
from wallpaint.ui.text_train import TRAIN

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
    "choose_room": ("### Choose a room", "### Chọn một căn phòng"),
    "sample_rooms": ("Sample rooms", "Phòng mẫu"),
    "upload_photo": ("Upload a photo", "Tải ảnh lên"),
    "canvas": ("Click on the wall", "Bấm vào tường"),
    "canvas_empty": ("Choose a sample room or upload a photo.", "Chọn phòng mẫu hoặc tải ảnh lên."),
    "canvas_help": (
        "Click a wall to mark it. Switch to **Leave out** and click what the mark should not cover.",
        "Bấm vào tường để đánh dấu. Chuyển sang **Loại ra** rồi bấm vào chỗ không phải tường.",
    ),
    "click_mode": ("A click means", "Mỗi lần bấm để"),
    "click_add": ("Wall", "Là tường"),
    "click_remove": ("Leave out", "Loại ra"),
    "undo": ("Undo click", "Hoàn tác"),
    "clear": ("Clear", "Xóa hết"),
    "given_mask": ("Use the room's own mask", "Dùng mặt nạ có sẵn"),
    "try_paint": ("### Try a paint", "### Thử màu sơn"),
    "paint": ("Paint", "Màu sơn"),
    "paint_hex": ("Hex", "Mã hex"),
    "preview": ("Quick repaint (no model)", "Sơn nhanh (không dùng mô hình)"),
    "save_head": ("### Keep it for training", "### Giữ lại để huấn luyện"),
    "wall_paint": ("Paint on the wall now", "Màu tường hiện tại"),
    "wall_paint_info": (
        "Estimated from the marked wall. Training takes this photo as the answer for this paint: correct it "
        "if you know better.",
        "Ước lượng từ vùng đã đánh dấu. Mô hình học ảnh này là đáp án của màu này: sửa lại nếu bạn biết rõ.",
    ),
    "dataset_name": ("Dataset", "Bộ dữ liệu"),
    "room_id": ("Room", "Phòng"),
    "room_id_info": (
        "Photos of one room share this name.", "Các ảnh của cùng một phòng dùng chung tên này."
    ),
    "prompt": ("Text", "Mô tả"),
    "split": ("Use it for", "Dùng để"),
    "split_train": ("Training", "Huấn luyện"),
    "split_validation": ("Validation", "Kiểm tra"),
    "save": ("Save to the dataset", "Lưu vào bộ dữ liệu"),
    "saved_list": ("Samples in this dataset", "Các mẫu trong bộ dữ liệu"),
    "saved": ("Saved to {dataset}: {train} for training, {validation} for validation.",
              "Đã lưu vào {dataset}: {train} mẫu huấn luyện, {validation} mẫu kiểm tra."),
    "no_samples": ("No samples in **{dataset}** yet.", "**{dataset}** chưa có mẫu nào."),
    "no_photo": ("no room is open, tab Dataset, choose a sample room or upload a photo first",
                 "chưa mở ảnh nào, thẻ Dữ liệu, hãy chọn phòng mẫu hoặc tải ảnh lên trước"),
    "no_mask": ("no wall is marked, tab Dataset, click on the wall first",
                "chưa đánh dấu tường, thẻ Dữ liệu, hãy bấm vào tường trước"),
    "no_given": ("this photo brings no mask of its own, tab Dataset, click on its wall",
                 "ảnh này không có mặt nạ sẵn, thẻ Dữ liệu, hãy bấm vào tường"),
    "bad_name": ("{name!r} cannot be a name, {where}, use letters, digits, - and _",
                 "{name!r} không dùng làm tên được, {where}, chỉ dùng chữ cái, chữ số, - và _"),
    # Anything
    "trouble": ("something went wrong ({kind}); the log of the studio says more",
                "có lỗi xảy ra ({kind}); xem nhật ký của studio"),
    **DATASET,
    **TRAIN,
    **COMPARE,
    **HELP,
}  # fmt: skip
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
