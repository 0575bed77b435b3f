"""The words of tab Compare, in English and Vietnamese."""

COMPARE: dict[str, tuple[str, str]] = {
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
}  # fmt: skip
