"""The recipe that makes the `room-tiny` family from rendered rooms: `python -m wallpaint.tiny --pool DIR`."""
