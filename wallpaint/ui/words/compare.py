"""The words of tab Compare, in English and Vietnamese."""

COMPARE: dict[str, tuple[str, str]] = {
    "test_rooms": ("Test rooms", "Phòng thử"),
    "use_tab1": ("From tab Dataset", "Từ thẻ Dữ liệu"),
    "upload_mask": ("Upload its mask", "Tải mặt nạ"),
    "known_paint": ("Paints whose true repaint is known", "Màu đã biết kết quả thật"),
    "more_paints": ("More paints (a grid)", "Thêm màu (thành lưới)"),
    "more_paints_info": ("Hex codes; choose or write.", "Mã hex; chọn hoặc nhập."),
    "arms": ("Compare", "So sánh các bản"),
    "arms_info": (
        "old: trained without the image adapter. new: with it. color: with the colour loss on top. "
        "base: untrained. recolor: classical, no diffusion.",
        "old: học không có adapter ảnh. new: học cùng adapter. color: thêm hàm mất mát màu. "
        "base: chưa huấn luyện. recolor: cách cổ điển, không khuếch tán.",
    ),
    "add_lora": ("Add a LoRA", "Thêm LoRA"),
    "added_lora": ("Added {name}.", "Đã thêm {name}."),
    "bad_lora": (
        "{name} is no LoRA, tab Compare, give a .safetensors file of a LoRA or an adapter",
        "{name} không phải LoRA, thẻ So sánh, hãy chọn tệp .safetensors của LoRA hoặc adapter",
    ),
    "sampling": ("Seed, steps, more paints, blind vote", "Số bước, thêm màu, chấm mù"),
    "seed_info": ("the same noise for every arm", "cùng một nhiễu cho mọi bản"),
    "blind_info": ("letters instead of names", "chữ cái thay cho tên"),
    "seed": ("Seed", "Hạt giống"),
    "steps": ("Steps", "Số bước"),
    "guidance": ("Guidance", "Độ dẫn hướng"),
    "own_default": ("0: the family's own", "0: theo họ mô hình"),
    "scale": ("Strength of the image adapter", "Độ mạnh của adapter ảnh"),
    "blind": ("Blind: names only after a vote", "Chấm mù: bình chọn rồi mới hiện tên"),
    "paint_button": ("Paint", "Sơn"),
    "cancel": ("Cancel", "Hủy"),
    "cancelled": ("Cancelled.", "Đã hủy."),
    "painting": ("Painting", "Đang sơn"),
    "no_results": (
        "A test room is open: press Paint to see the arms side by side.",
        "Một phòng thử đã mở sẵn: bấm Sơn để xem các bản cạnh nhau.",
    ),
    "heat": ("Show where they are off (ΔE map)", "Hiện chỗ lệch màu (bản đồ ΔE)"),
    "heat_legend": (
        "Blue: right. Yellow to red: off, up to ΔE {top} and more.",
        "Xanh: đúng màu. Vàng đến đỏ: lệch, tới ΔE {top} trở lên.",
    ),
    "vote": ("Which wall looks right?", "Bức tường nào trông đúng nhất?"),
    "blind_help": (
        "Look, slide, then vote below: the names and figures follow.",
        "Hãy xem, kéo thanh trượt rồi bình chọn bên dưới: tên và số đo sẽ hiện ra.",
    ),
    "voted": ("Your vote went to {name}. Votes so far: {tally}.", "Bạn đã chọn {name}. Số phiếu đến nay: {tally}."),
    "truth": ("truth", "thật"),
    "slider": ("Before and after: {name}", "Trước và sau: {name}"),
    "alt_before": ("The photo as it is", "Ảnh gốc"),
    "alt_after": ("The wall repainted by {name}", "Tường được sơn bởi {name}"),
    "alt_heat": ("Where {name} is off", "Chỗ {name} lệch màu"),
    "download_png": ("PNG, photo's size", "PNG, đúng cỡ ảnh"),
    "table_help": (
        "ΔE paint: distance to the chosen paint in the wall's own light. ΔE truth: distance to the true "
        "repaint, where one is known. Both: 0 is perfect, under 2 is hard to see. Shading: 1 keeps all light "
        "and shadow.",
        "ΔE sơn: khoảng cách tới màu đã chọn trong ánh sáng của tường. ΔE thật: khoảng cách tới ảnh sơn "
        "thật, nếu có. 0 là hoàn hảo, dưới 2 khó nhận ra. Sáng tối: 1 là giữ nguyên.",
    ),
    "column_paint": ("ΔE paint", "ΔE sơn"),
    "column_truth": ("ΔE truth", "ΔE thật"),
    "column_shading": ("Shading", "Sáng tối"),
    "column_outside": ("Changed outside", "Đổi ngoài tường"),
    "column_seconds": ("Seconds", "Giây"),
    "to_truth": ("from the true repaint", "so với ảnh sơn thật"),
    "to_paint": ("from the paint in the wall's light", "so với màu sơn trong ánh sáng của tường"),
    "verdict_none": ("The wall is too small to measure.", "Tường quá nhỏ để đo."),
    "verdict_best": ("{name} comes closest: ΔE {score} {measure}.", "{name} gần nhất: ΔE {score} {measure}."),
    "verdict_next": ("{name} follows with {score}.", "{name} theo sau với {score}."),
    "verdict_tie": (
        "{name} is as good, {score}: no eye would see the difference.",
        "{name} cũng tốt như vậy, {score}: mắt không thấy khác biệt.",
    ),
    "claim_holds": (
        "Training with the adapter active pays here: new is {gap} closer than old.",
        "Học cùng adapter có lợi ở đây: new gần hơn old {gap}.",
    ),
    "claim_fails": (
        "Here old is {gap} closer than new: on this wall the claim does not hold.",
        "Ở đây old gần hơn new {gap}: với bức tường này, nhận định không đúng.",
    ),
    "claim_open": ("old and new are level on this wall.", "old và new ngang nhau trên bức tường này."),
    "verdict_flat": (
        "Little of the wall's light and shadow is left in {names}.",
        "{names} gần như mất hết sáng tối của tường.",
    ),
    "report": ("Report (HTML)", "Báo cáo (HTML)"),
    "zip": ("All files (zip)", "Mọi tệp (zip)"),
    "no_room": (
        "no room with a marked wall, tab Compare, choose a test room or click on the wall",
        "chưa có tường được đánh dấu, thẻ So sánh, hãy chọn phòng thử hoặc bấm vào tường",
    ),
    "no_arms": (
        "nothing to compare, tab Compare, tick at least one",
        "chưa chọn bản nào, thẻ So sánh, hãy chọn ít nhất một",
    ),
    "no_upload": (
        "no photo yet, tab Compare, upload the photo before its mask",
        "chưa có ảnh, thẻ So sánh, hãy tải ảnh lên trước mặt nạ",
    ),
}
