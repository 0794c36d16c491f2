"use strict";
// Drawing of one tile: the picture, the boxes over it, and the reasons below. Texts enter as text, never as markup.
const SVG = "http://www.w3.org/2000/svg";
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const data = read("data");
const thumbnails = read("thumbnails");
const whole = read("whole");

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

const percent = (share) => `${Math.round(100 * share)}\u00a0%`;
const closed = (line) => `M${line.slice(0, 2)}L${line.slice(2)}Z`;
const rectangle = ([x1, y1, x2, y2]) => `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;

function reason(verdict, asked) {
  const kind = data.fates[verdict.fate].kind;
  if (kind === "nothing") return "no such object detected";
  const iou = `IoU ${verdict.iou.toFixed(2)}`;
  if (kind === "wrong_place") return `${iou}, less than ${data.iou}`;
  const parts = [iou];
  if (verdict.hit !== undefined) parts.push(`${percent(verdict.hit)} ${asked.colour}`);
  if (kind === "wrong_colour" && verdict.colour !== undefined) {
    const named = verdict.colour !== "other";
    parts.push(named ? `found ${verdict.colour} ${percent(verdict.share)}` : "found no named colour");
  }
  return parts.join(" · ");
}

// Lines of one kind are one path, so that a row of tiles is few elements; the order is from below to above.
const LINES = ["lines-casing", "lines", "found-casing", "found", "casing", ...data.fates.map((one) => `asked ${one.kind}`)];

function lines(row, verdicts) {
  const paths = Object.fromEntries(LINES.map((name) => [name, ""]));
  for (const verdict of verdicts) {
    const mask = (verdict.lines ?? []).map(closed).join("");
    const found = verdict.box === undefined ? "" : rectangle(verdict.box);
    const asked = rectangle(row.asked[verdict.instance].box);
    paths["lines-casing"] += mask;
    paths.lines += mask;
    paths["found-casing"] += found;
    paths.found += found;
    paths.casing += asked;
    paths[`asked ${data.fates[verdict.fate].kind}`] += asked;
  }
  return LINES.filter((name) => paths[name]).map((name) => drawn("path", { class: name, d: paths[name] }));
}

// In large, each instance is a group of its own, which can be shown alone.
function overlay(row, tile, large) {
  const ratio = tile.height / tile.width;
  const svg = drawn("svg", { viewBox: `0 0 ${data.unit} ${Math.round(data.unit * ratio)}`, "aria-hidden": "true" });
  const scaled = drawn("g", { transform: `scale(1 ${ratio})` });
  const verdicts = tile.verdicts.filter((one) => row.asked[one.instance] !== undefined);
  for (const own of large ? verdicts.map((one) => [one]) : [verdicts]) {
    const group = drawn("g", large ? { "data-instance": own[0].instance } : {});
    group.append(...lines(row, own));
    scaled.append(group);
  }
  const size = large ? 36 : 62;
  const plates = verdicts.map((one) => {
    const { kind, letter } = data.fates[one.fate];
    const [x, y] = row.asked[one.instance].box;
    const made = plate([x, y * ratio], ratio, size, kind, `${one.instance + 1}${letter}`);
    made.dataset.instance = one.instance;
    return made;
  });
  const conditions = (tile.conditions ?? []).filter((one) => isAsked(row, one));
  svg.append(scaled, ...conditions.flatMap((one) => conditionMarks(row, one, ratio, size)), ...plates);
  return svg;
}

// A letter on its ground; at: its corner, or the nearest place inside the picture.
function plate(at, ratio, size, kind, text) {
  const width = (0.25 + 0.65 * text.length) * size;
  const x = Math.min(Math.max(at[0], 0), data.unit - width);
  const y = Math.min(Math.max(at[1], 0), data.unit * ratio - 1.2 * size);
  const group = drawn("g", { transform: `translate(${x} ${y})` });
  const words = { class: "badge", x: width / 2, y: 0.9 * size, "font-size": 0.95 * size, "text-anchor": "middle" };
  group.append(drawn("rect", { class: `plate ${kind}`, width, height: 1.15 * size, rx: size / 6 }), drawn("text", words, text));
  return group;
}

// An action is an arrow from subject to object, as it was asked for; the style stands in a corner.
function conditionMarks(row, one, ratio, size) {
  const { look, whose, letter } = data.conditions[one.condition];
  if (one.of === undefined) return [plate([data.unit, data.unit * ratio], ratio, size, look, `${whose}${letter}`)];
  const { subject, object } = row.interactions[one.of];
  if (row.asked[subject] === undefined || row.asked[object] === undefined) return [];
  const [from, to] = between(row.asked[subject].box, row.asked[object].box, ratio);
  const path = arrow(from, to, size);
  const made = plate(beside(from, to, size), ratio, size, look, `${whose}${one.of + 1}${letter}`);
  return [drawn("path", { class: "casing", d: path }), drawn("path", { class: `asked action ${look}`, d: path }), made];
}

// The line of centres from edge to edge, or whole where the boxes meet.
function between(first, second, ratio) {
  const [a, b] = [first, second].map(([x1, y1, x2, y2]) => [(x1 + x2) / 2, ((y1 + y2) / 2) * ratio]);
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const share = ([x1, y1, x2, y2]) => Math.min((x2 - x1) / 2 / Math.abs(dx), (((y2 - y1) / 2) * ratio) / Math.abs(dy));
  const [out, into] = [share(first), 1 - share(second)];
  if (!(out < into)) return [a, b];
  return [out, into].map((part) => [a[0] + part * dx, a[1] + part * dy]);
}

// Where the letters of an arrow stand, so that they do not hide a short one.
function beside(from, to, size) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const [right, down] = [-Math.sin(angle), Math.cos(angle)];
  const away = (1.3 * Math.abs(right) + 0.75 * Math.abs(down)) * size;
  return [(from[0] + to[0]) / 2 + away * right - 1.1 * size, (from[1] + to[1]) / 2 + away * down - 0.6 * size];
}

function arrow(from, to, size) {
  const angle = Math.atan2(to[1] - from[1], to[0] - from[0]);
  const barb = (turn) => `${to[0] - 0.6 * size * Math.cos(angle + turn)} ${to[1] - 0.6 * size * Math.sin(angle + turn)}`;
  return `M${from[0]} ${from[1]}L${to[0]} ${to[1]}M${barb(0.5)}L${to[0]} ${to[1]}L${barb(-0.5)}`;
}

// A verdict is on an instance (fate) or on what is asked for beside instances (condition: an action, or the style).
const isRight = (one) => (one.fate === undefined ? data.conditions[one.condition].look : data.fates[one.fate].kind) === "right";
const every = (tile) => [...tile.verdicts, ...(tile.conditions ?? [])];
const counted = (tile) => every(tile).filter(isRight).length;
const isAsked = (row, one) => (one.of === undefined ? row.style !== undefined : row.interactions?.[one.of] !== undefined);

function wanted(row, one) {
  if (one.of === undefined) return `style ${row.style}`;
  const { subject, action, object } = row.interactions[one.of];
  return `${subject + 1} ${action} ${object + 1}`;
}

function outcome(row, one) {
  const { kind, words } = data.conditions[one.condition];
  if (kind === "action_reversed") return `found from ${row.interactions[one.of].object + 1} to ${row.interactions[one.of].subject + 1}`;
  return one.found === undefined ? words : `found ${one.found}`;
}

function conditionLines(row, tile, item) {
  return (tile?.conditions ?? []).filter((one) => isAsked(row, one)).map((one) => {
    const { look, whose, letter, words } = data.conditions[one.condition];
    const number = one.of === undefined ? "" : one.of + 1;
    const sign = element("span", { class: `fate ${look}` }, element("b", { title: words }, `${whose}${number}${letter}`));
    return element(item, {}, sign, element("span", {}, wanted(row, one)), element("span", { class: "reason" }, outcome(row, one)));
  });
}

function spoken(row, tile, method) {
  const wrong = tile.verdicts
    .filter((one) => data.fates[one.fate].kind !== "right" && row.asked[one.instance] !== undefined)
    .map((one) => `${row.asked[one.instance].label}: ${data.fates[one.fate].words}`);
  const others = (tile.conditions ?? []).filter((one) => !isRight(one) && isAsked(row, one)).map((one) => `${wanted(row, one)}: ${data.conditions[one.condition].words}`);
  const all = tile.verdicts.length ? `${counted(tile)} of ${every(tile).length} right` : "not judged";
  return `${method}, layout ${row.key}: ${row.caption.trim()}. ${[all, ...wrong, ...others].join("; ")}`;
}

function frame(row, tile, method, large = false) {
  if (tile === null) return element("span", { class: "frame none" }, "no picture");
  if (tile.error !== undefined) return element("span", { class: "frame none" }, tile.error);
  const image = element("img", { alt: spoken(row, tile, method), width: tile.width, height: tile.height, decoding: "async" });
  const thumbnail = `data:image/webp;base64,${thumbnails[tile.thumbnail]}`;
  image.classList.toggle("small", tile.whole === undefined);
  image.src = thumbnail;
  if (large && tile.whole !== undefined) {
    image.onerror = () => { image.onerror = null; image.src = thumbnail; };
    image.src = typeof tile.whole === "number" ? `data:image/webp;base64,${whole[tile.whole]}` : tile.whole;
  }
  return element("span", { class: "frame" }, image, overlay(row, tile, large));
}

function reasons(row, tile, item = "span", list = "span") {
  const lines = (tile?.verdicts ?? []).filter((one) => row.asked[one.instance] !== undefined).map((one) => {
    const fate = data.fates[one.fate];
    const asked = row.asked[one.instance];
    const sign = element("span", { class: `fate ${fate.kind}` }, element("b", { title: fate.words }, `${one.instance + 1}${fate.letter}`));
    const words = element("span", {}, asked.label.replace(/^an? /, ""));
    return element(item, { "data-instance": one.instance }, sign, words, element("span", { class: "reason" }, reason(one, asked)));
  });
  return element(list, { class: "why" }, ...lines, ...conditionLines(row, tile, item));
}
