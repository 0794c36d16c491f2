// The canvas: boxes are drawn, moved and changed by mouse, finger or keys. `editor` has state, selected, and the
// functions select(number), changed(), removed(number) and said(text).
const SMALLEST = 0.03;
const NUDGE = 0.01;
const rounded = (value) => Math.round(1e4 * value) / 1e4;
const within = (value, low = 0, high = 1) => Math.min(Math.max(value, low), high);
const percent = (value) => `${Math.round(100 * value)} %`;

function placeOf(box) {
  const [x1, y1, x2, y2] = box.map(percent);
  return `from ${x1}, ${y1} to ${x2}, ${y2}`;
}

function moved(box, dx, dy) {
  const x = within(dx, -box[0], 1 - box[2]);
  const y = within(dy, -box[1], 1 - box[3]);
  return [box[0] + x, box[1] + y, box[2] + x, box[3] + y].map(rounded);
}

// A corner by its two coordinates' places in the box: ["0", "1"] is the upper left one.
function stretched(box, corner, x, y) {
  const made = [...box];
  const [across, down] = corner;
  made[across] = across === 0 ? within(x, 0, box[2] - SMALLEST) : within(x, box[0] + SMALLEST, 1);
  made[down] = down === 1 ? within(y, 0, box[3] - SMALLEST) : within(y, box[1] + SMALLEST, 1);
  return made.map(rounded);
}

function arrow(subject, object, text) {
  const middle = (box) => [(UNIT * (box[0] + box[2])) / 2, (UNIT * (box[1] + box[3])) / 2];
  const [[x1, y1], [x2, y2]] = [middle(subject), middle(object)];
  const line = { x1, y1, x2, y2 };
  const place = { x: (x1 + x2) / 2, y: (y1 + y2) / 2 - 14, "text-anchor": "middle", "font-size": 38 };
  return drawn(
    "g",
    { class: "studio-join" },
    drawn("line", { ...line, class: "studio-join-casing" }),
    drawn("line", { ...line, class: "studio-join-line", "marker-end": "url(#studio-arrow)" }),
    drawn("text", { ...place, class: "studio-join-text" }, text),
  );
}

function arrowhead() {
  const shape = drawn("path", { d: "M0 0L10 5L0 10Z" });
  const marker = { id: "studio-arrow", viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 5, markerHeight: 5, orient: "auto" };
  return drawn("defs", {}, drawn("marker", marker, shape));
}

function makeCanvas(editor) {
  const svg = drawn("svg", { viewBox: `0 0 ${UNIT} ${UNIT}`, class: "studio-canvas", role: "group", "aria-label": "canvas: drag to draw a box" });
  let drag = null;

  function at(event) {
    const place = svg.getBoundingClientRect();
    return [within((event.clientX - place.left) / place.width), within((event.clientY - place.top) / place.height)];
  }

  function start(event) {
    if (event.button !== 0 && event.pointerType === "mouse") return;
    const [x, y] = at(event);
    const handle = event.target.closest("[data-corner]");
    const box = event.target.closest("[data-box]");
    if (handle) drag = { number: editor.selected, corner: JSON.parse(handle.dataset.corner) };
    else if (box) drag = { number: Number(box.dataset.box), x, y, before: editor.state.boxes[box.dataset.box].box };
    else drag = { number: null, x, y };
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
    editor.select(drag.number);
  }

  function go(event) {
    if (!drag) return;
    const [x, y] = at(event);
    if (drag.number === null) {
      drag.made = [Math.min(x, drag.x), Math.min(y, drag.y), Math.max(x, drag.x), Math.max(y, drag.y)].map(rounded);
    } else {
      const one = editor.state.boxes[drag.number];
      one.box = drag.corner ? stretched(one.box, drag.corner, x, y) : moved(drag.before, x - drag.x, y - drag.y);
    }
    paint();
  }

  function end() {
    const made = drag?.made;
    const drawnWhole = made && made[2] - made[0] >= SMALLEST && made[3] - made[1] >= SMALLEST;
    const touched = drag && drag.number !== null;
    drag = null;
    if (drawnWhole) editor.added(made);
    else if (touched) editor.changed();
    else paint();
  }

  function key(event) {
    const number = Number(event.target.closest("[data-box]")?.dataset.box ?? NaN);
    const one = editor.state.boxes[number];
    if (!one) return;
    const way = { ArrowLeft: [-NUDGE, 0], ArrowRight: [NUDGE, 0], ArrowUp: [0, -NUDGE], ArrowDown: [0, NUDGE] }[event.key];
    if (way && event.shiftKey) one.box = stretched(one.box, [2, 3], one.box[2] + way[0], one.box[3] + way[1]);
    else if (way) one.box = moved(one.box, ...way);
    else if (event.key === "Delete" || event.key === "Backspace") editor.removed(number);
    else if (event.key === "Enter") editor.toName(number);
    else return;
    event.preventDefault();
    if (way) editor.changed();
  }

  function boxOf(one, number) {
    const chosen = number === editor.selected;
    const label = `box ${number + 1}: ${one.phrase || "no name"}, ${placeOf(one.box)}`;
    const group = drawn("g", {
      "data-box": number, "data-key": `box-${number}`, tabindex: 0, role: "button", "aria-label": label,
      class: `studio-box s${number % 7}${chosen ? " chosen" : ""}`, focus: () => editor.select(number, true),
    });
    group.append(
      rectangle(one.box, { class: "studio-casing" }), rectangle(one.box, { class: "studio-line" }),
      plate(one.box, String(number + 1), "own", 58),
    );
    const [x1, y1, x2, y2] = one.box.map((value) => UNIT * value);
    if (chosen) {
      for (const [x, y, corner] of [[x1, y1, [0, 1]], [x2, y1, [2, 1]], [x1, y2, [0, 3]], [x2, y2, [2, 3]]]) {
        group.append(drawn("circle", { cx: x, cy: y, r: 20, class: "studio-handle", "data-corner": JSON.stringify(corner) }));
      }
    }
    return group;
  }

  function paint() {
    const held = svg.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const { boxes, joins } = editor.state;
    // Larger boxes below, so that what is small can be reached.
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    const order = boxes.map((one, k) => [one, k]).sort((a, b) => area(b[0]) - area(a[0]));
    svg.replaceChildren(
      arrowhead(),
      ...joins.map((one) => arrow(boxes[one.subject].box, boxes[one.object].box, one.action)),
      ...order.map(([one, k]) => boxOf(one, k)),
    );
    if (drag?.made) svg.append(rectangle(drag.made, { class: "studio-new" }));
    if (held) svg.querySelector(`[data-key="${held}"]`)?.focus({ preventScroll: true });
  }

  for (const [name, act] of [["pointerdown", start], ["pointermove", go], ["pointerup", end], ["pointercancel", end], ["keydown", key]]) svg.addEventListener(name, act);
  return { svg, paint };
}
