// Drawing: the photo under a zoom and a pan, the walls' tints and outlines, clicks, box, brush and cursor.

// A wall's colour on the photo, by its number.
export const TINTS = [
  [255, 64, 129], [0, 188, 212], [255, 193, 7], [139, 195, 74], [156, 39, 176], [255, 112, 67], [63, 81, 181], [0, 150, 136],
];
const MOST_ZOOM = 16; // times the whole photo's scale

export class Drawing {
  constructor(board) {
    this.board = board;
    this.canvas = board.$("canvas.photo");
    this.pen = this.canvas.getContext("2d");
    this.zoom = { scale: 1, x: 0, y: 0, fit: 1 };
    this.tints = new WeakMap(); // wall -> the tint of its mark at hand
    this.waiting = false;
    new ResizeObserver(() => this.fit()).observe(board.$(".stage"));
  }

  get size() { return this.board.marking.size; }
  get fitted() { return this.zoom.scale <= this.zoom.fit; }
  get ratio() { return window.devicePixelRatio || 1; }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.board.$(".stage");
    if (!width || !this.board.image) return;
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    this.zoom.fit = Math.min(this.canvas.width / this.size[0], this.canvas.height / this.size[1]);
    this.zoomTo(this.zoom.fit);
  }

  zoomTo(scale, { px, py } = { px: this.canvas.width / 2, py: this.canvas.height / 2 }) {
    const { zoom } = this, next = Math.min(Math.max(scale, zoom.fit), zoom.fit * MOST_ZOOM), grown = next / zoom.scale;
    const center = (side, length) => (side - length * next) / 2;
    zoom.scale = next;
    if (this.fitted) this.panTo(center(this.canvas.width, this.size[0]), center(this.canvas.height, this.size[1]));
    else this.panTo(px - (px - zoom.x) * grown, py - (py - zoom.y) * grown);
  }

  panTo(x, y) {
    Object.assign(this.zoom, { x, y });
    this.request();
  }

  place(event) { // screen -> canvas pixels and photo pixels
    const area = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / area.width, { zoom } = this;
    const px = (event.clientX - area.left) * ratio, py = (event.clientY - area.top) * ratio;
    return { px, py, x: (px - zoom.x) / zoom.scale, y: (py - zoom.y) / zoom.scale };
  }

  tint(wall, index) {
    const known = this.tints.get(wall);
    if (known?.mark === wall.mark && known.index === index) return known.picture;
    const [width, height] = this.size, { mask } = wall, [red, green, blue] = TINTS[index % TINTS.length];
    const picture = new OffscreenCanvas(width, height), data = new ImageData(width, height);
    const words = new Uint32Array(data.data.buffer), color = (blue << 16) | (green << 8) | red;
    const soft = (96 << 24) | color, hard = (255 << 24) | color;
    for (let y = 0, at = 0; y < height; y++) for (let x = 0; x < width; x++, at++) {
      if (!mask[at]) continue;
      const rim = (x > 0 && !mask[at - 1]) || (x < width - 1 && !mask[at + 1]) || (y > 0 && !mask[at - width]) || (y < height - 1 && !mask[at + width]);
      words[at] = rim ? hard : soft;
    }
    picture.getContext("2d").putImageData(data, 0, 0);
    this.tints.set(wall, { mark: wall.mark, index, picture });
    return picture;
  }

  request() { // a frame, however often it is asked for
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.paintFrame(); });
  }

  paintFrame() {
    const { board, pen, zoom } = this, { marking, pointer, original } = board;
    if (!board.image) return;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.setTransform(zoom.scale, 0, 0, zoom.scale, zoom.x, zoom.y);
    pen.imageSmoothingEnabled = zoom.scale < 3;
    const repaint = !original && board.shown === "repaint" && board.paints.repainted;
    pen.drawImage(repaint || board.image, 0, 0, ...this.size);
    if (original) return;
    if (!repaint) {
      marking.walls.forEach((wall, index) => {
        pen.globalAlpha = index === marking.active ? 1 : 0.55;
        pen.drawImage(this.tint(wall, index), 0, 0);
      });
      pen.globalAlpha = 1;
      this.drawMark(marking.asked ?? marking.wall.mark);
    }
    const { drag } = pointer;
    if (drag.kind === "box") this.drawBox([drag.from.x, drag.from.y, drag.to.x, drag.to.y]);
    if (drag.stroke) pen.drawImage(drag.stroke.picture, 0, 0);
    this.drawPointer(pointer.cursor ?? pointer.hover);
  }

  stroke(color, width, path) { // `width` in screen pixels
    const { pen } = this;
    pen.strokeStyle = color;
    pen.lineWidth = width / this.zoom.scale;
    pen.beginPath();
    path(pen);
    pen.stroke();
  }

  drawMark({ points, box }) {
    const { pen } = this, radius = (7 * this.ratio) / this.zoom.scale;
    if (box) this.drawBox(box);
    for (const [x, y, label] of points) {
      pen.fillStyle = label ? "#15803d" : "#b91c1c";
      this.stroke("white", 3, () => { pen.arc(x, y, radius, 0, 7); pen.fill(); });
      this.stroke("white", 3, () => {
        pen.moveTo(x - radius / 2, y); pen.lineTo(x + radius / 2, y);
        if (label) { pen.moveTo(x, y - radius / 2); pen.lineTo(x, y + radius / 2); }
      });
    }
  }

  drawBox([x0, y0, x1, y1]) {
    for (const [color, width] of [["black", 4], ["white", 2]]) this.stroke(color, width, (pen) => pen.rect(x0, y0, x1 - x0, y1 - y0));
  }

  drawPointer(at) {
    const { pointer } = this.board, brush = pointer.tool === "brush";
    if (!at) return;
    if (brush || pointer.tool === "eraser") {
      this.stroke(brush ? "white" : "#fca5a5", 2, (pen) => pen.arc(at.x, at.y, pointer.brush / 2, 0, 7));
    } else if (pointer.cursor) {
      const far = (14 / this.zoom.scale) * this.ratio;
      for (const [color, width] of [["black", 5], ["white", 2]]) this.stroke(color, width, (pen) => {
        pen.moveTo(at.x - far, at.y); pen.lineTo(at.x + far, at.y); pen.moveTo(at.x, at.y - far); pen.lineTo(at.x, at.y + far);
      });
    }
  }

  drawCandidate(canvas, mask) { // small, the mask in the first wall's colour
    const pen = canvas.getContext("2d", { willReadFrequently: true }), { width, height } = canvas, [wide, high] = this.size;
    pen.drawImage(this.board.image, 0, 0, width, height);
    const shown = pen.getImageData(0, 0, width, height);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      if (!mask[Math.floor((y * high) / height) * wide + Math.floor((x * wide) / width)]) continue;
      TINTS[0].forEach((value, channel) => { const at = 4 * (y * width + x) + channel; shown.data[at] = (shown.data[at] + value) / 2; });
    }
    pen.putImageData(shown, 0, 0);
  }
}
