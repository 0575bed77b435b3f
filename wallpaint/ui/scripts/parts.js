// Small parts of the page: a picture that is there, a button.

export function loadImage(source) {
  return new Promise((done, fail) => {
    const image = new Image();
    image.onload = () => done(image);
    image.onerror = () => fail(new Error("no picture"));
    image.src = source;
  });
}

export function makeButton(props, ...content) {
  const button = Object.assign(document.createElement("button"), { type: "button" }, props);
  button.append(...content);
  return button;
}
