"""Every word of the page, in English and Vietnamese; messages of the engine itself stay as they are."""

TEXT: dict[str, tuple[str, str]] = {
    "intro": (
        "# wallpaint\nRepaint the walls of a room in a paint you choose, and teach the model your own rooms.",
        "# wallpaint\nSơn lại tường trong ảnh bằng màu bạn chọn, và dạy mô hình với chính căn phòng của bạn.",
    ),
    "tab_dataset": ("1 · Dataset", "1 · Dữ liệu"),
    "tab_train": ("2 · Train", "2 · Huấn luyện"),
    "tab_compare": ("3 · Compare", "3 · So sánh"),
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
    # Train
    "preset": ("Recipe", "Công thức"),
    "train_dataset": ("Dataset", "Bộ dữ liệu"),
    "refresh": ("Refresh", "Làm mới"),
    "group_basic": ("Main settings", "Thiết lập chính"),
    "group_model": ("Model", "Mô hình"),
    "group_data": ("Pictures", "Ảnh"),
    "group_training": ("Optimizer", "Bộ tối ưu"),
    "group_losses": ("Losses and dropout", "Hàm mất mát và dropout"),
    "group_lora": ("LoRA", "LoRA"),
    "group_adapter": ("Image adapter", "Adapter ảnh"),
    "group_output": ("Logging, pictures, checkpoints", "Nhật ký, ảnh, điểm lưu"),
    "as_method": ("as the method says", "theo phương pháp"),
    "yes": ("yes", "có"),
    "no": ("no", "không"),
    "start": ("Start training", "Bắt đầu huấn luyện"),
    "stop": ("Stop", "Dừng"),
    "resume": ("Go on", "Chạy tiếp"),
    "run": ("Run", "Lần chạy"),
    "loss": ("Loss", "Hàm mất mát"),
    "last_samples": ("Last pictures", "Ảnh gần nhất"),
    "log": ("Log", "Nhật ký"),
    "no_runs": ("No run yet. Choose a recipe and a dataset, then start.",
                "Chưa có lần chạy nào. Chọn công thức và bộ dữ liệu rồi bắt đầu."),
    "no_run": ("no run is chosen, tab Train, start one or choose it from the list",
               "chưa chọn lần chạy, thẻ Huấn luyện, hãy bắt đầu hoặc chọn trong danh sách"),
    "no_dataset": ("no dataset is chosen, tab Train, save a sample in tab Dataset first",
                   "chưa chọn bộ dữ liệu, thẻ Huấn luyện, hãy lưu mẫu ở thẻ Dữ liệu trước"),
    "not_running": ("Nothing is running there.", "Không có gì đang chạy."),
    "started": ("Started {name}.", "Đã bắt đầu {name}."),
    "stopping": ("Asked {name} to stop; it saves a checkpoint first.",
                 "Đã yêu cầu {name} dừng; nó lưu lại trước."),
    "space_no_training": (
        "Training is switched off on this public demo. Run wallpaint on your own machine to train.",
        "Bản demo công khai này không huấn luyện. Hãy chạy wallpaint trên máy của bạn.",
    ),
    "step": ("step {step} of {total}", "bước {step} / {total}"),
    "left": ("about {time} left", "còn khoảng {time}"),
    "state_starting": ("starting", "đang khởi động"),
    "state_running": ("running", "đang chạy"),
    "state_done": ("done", "xong"),
    "state_stopped": ("stopped", "đã dừng"),
    "state_failed": ("failed", "lỗi"),
    "state_crashed": ("crashed", "bị ngắt"),
    "state_unknown": ("unknown", "không rõ"),
    # Compare
    "test_rooms": ("Test rooms", "Phòng thử"),
    "use_tab1": ("Use the room of tab 1", "Dùng phòng ở thẻ 1"),
    "upload_mask": ("Upload its mask", "Tải mặt nạ lên"),
    "photo_and_mask": ("Room and wall", "Phòng và tường"),
    "known_paint": ("Paints whose true repaint is known", "Màu đã biết kết quả thật"),
    "known_paint_none": ("any other paint", "màu khác"),
    "arms": ("Compare", "So sánh các bản"),
    "arms_info": (
        "old: trained without the image adapter. new: with it. color: with the color loss on top. "
        "base: untrained. recolor: classical, no diffusion.",
        "old: học không có adapter ảnh. new: học cùng adapter. color: thêm hàm mất mát màu. "
        "base: chưa huấn luyện. recolor: cách cổ điển, không khuếch tán.",
    ),
    "seed": ("Seed", "Hạt giống"),
    "paint_button": ("Paint", "Sơn"),
    "results": ("Repaints", "Kết quả"),
    "table": ("Measured", "Số đo"),
    "table_help": (
        "ΔE paint: distance to the chosen paint in the wall's own light. ΔE truth: distance to the true "
        "repaint, where one is known. Both: 0 is perfect, under 2 is hard to see. Shading: 1 keeps all light "
        "and shadow.",
        "ΔE sơn: khoảng cách tới màu đã chọn trong ánh sáng của tường. ΔE thật: khoảng cách tới ảnh sơn "
        "thật, nếu có. 0 là hoàn hảo, dưới 2 khó nhận ra. Sáng tối: 1 là giữ nguyên.",
    ),
    "column_arm": ("Arm", "Bản"),
    "column_paint": ("ΔE paint (median)", "ΔE sơn (trung vị)"),
    "column_truth": ("ΔE truth (mean)", "ΔE thật (trung bình)"),
    "column_shading": ("Shading", "Sáng tối"),
    "column_outside": ("Pixels changed outside", "Điểm ảnh đổi ngoài tường"),
    "column_seconds": ("Seconds", "Giây"),
    "report": ("Download the report", "Tải báo cáo"),
    "no_room": ("no room with a marked wall, tab Compare, choose a test room or use the room of tab 1",
                "chưa có tường được đánh dấu, thẻ So sánh, hãy chọn phòng thử hoặc dùng phòng ở thẻ 1"),
    "no_arms": ("nothing to compare, tab Compare, tick at least one",
                "chưa chọn bản nào, thẻ So sánh, hãy chọn ít nhất một"),
    "no_upload": ("no photo yet, tab Compare, upload the photo before its mask",
                  "chưa có ảnh, thẻ So sánh, hãy tải ảnh lên trước mặt nạ"),
    # Anything
    "trouble": ("something went wrong ({kind}); the log of the studio says more",
                "có lỗi xảy ra ({kind}); xem nhật ký của studio"),
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
