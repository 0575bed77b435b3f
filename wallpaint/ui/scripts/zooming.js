// Two fingers' pinch and the wheel, the same on the board and on the stage. They zoom a view, which has `canvas`, `zoom`,
// `fitted`, `place`, `zoomTo` and `panTo`.

export class Zooming {
  constructor(view) { Object.assign(this, { view, fingers: new Map(), pinch: null }); }

  down(event) { // whether a pinch begins
    this.fingers.set(event.pointerId, event);
    if (this.fingers.size !== 2) return false;
    this.pinch = { ...this.span(), scale: this.view.zoom.scale };
    return true;
  }

  span() {
    const [a, b] = [...this.fingers.values()], middle = { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 };
    return { far: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY), middle: this.view.place(middle) };
  }

  move(event) { // whether it belongs to a pinch
    const { view, fingers, pinch } = this;
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, event);
    if (!pinch || fingers.size !== 2) return false;
    const { far, middle } = this.span();
    view.panTo(view.zoom.x + middle.px - pinch.middle.px, view.zoom.y + middle.py - pinch.middle.py);
    view.zoomTo((pinch.scale * far) / pinch.far, middle);
    pinch.middle = middle;
    return true;
  }

  up(event) { // whether it belonged to a pinch
    const pinched = this.pinch !== null;
    this.fingers.delete(event.pointerId);
    if (!this.fingers.size) this.pinch = null;
    return pinched;
  }

  wheel(event) {
    const { view } = this;
    if (document.activeElement !== view.canvas && !event.ctrlKey) return; // else the page scrolls
    if (event.deltaY > 0 && view.fitted) return; // nothing left to zoom out of
    event.preventDefault();
    view.zoomTo(view.zoom.scale * Math.exp(-event.deltaY / 400), view.place(event));
  }
}
