"use strict";
// Runs inside gradio's custom component, which hands in element, props, server and watch. Texts enter the page as text,
// never as markup.
const SVG = "http://www.w3.org/2000/svg";

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((one) => one !== null));
  return made;
}

const make = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
const drawn = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);
const UNIT = 1000; // of the drawings' coordinates, a picture's side

function rectangle([x1, y1, x2, y2], attributes) {
  const place = { x: UNIT * x1, y: UNIT * y1, width: UNIT * (x2 - x1), height: UNIT * (y2 - y1) };
  return drawn("rect", { ...place, ...attributes });
}

// A plate with a few letters in the box's upper left corner, inside the picture.
function plate(box, text, kind, size) {
  const width = (0.45 + 0.6 * text.length) * size;
  const x = Math.min(Math.max(UNIT * box[0], 0), UNIT - width);
  const y = Math.min(Math.max(UNIT * box[1], 0), UNIT - 1.2 * size);
  return drawn(
    "g",
    { transform: `translate(${x} ${y})`, class: "studio-plate" },
    drawn("rect", { class: kind, width, height: 1.2 * size, rx: size / 6 }),
    drawn("text", { x: width / 2, y: 0.93 * size, "font-size": size, "text-anchor": "middle" }, text),
  );
}
