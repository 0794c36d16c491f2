// The pictures side by side, with the boxes asked for, verdicts, and the lines that repeat each.
function overlay(panel, boxes) {
  const svg = drawn("svg", { viewBox: `0 0 ${UNIT} ${UNIT}`, "aria-hidden": "true" });
  boxes.forEach((one, k) => {
    const verdict = panel.verdicts?.[k];
    const kind = verdict?.kind ?? "unjudged";
    if (verdict?.found) svg.append(rectangle(verdict.found, { class: "studio-found-casing" }), rectangle(verdict.found, { class: "studio-found" }));
    svg.append(rectangle(one.box, { class: "studio-casing" }), rectangle(one.box, { class: `studio-asked ${kind}` }));
  });
  boxes.forEach((one, k) => svg.append(plate(one.box, `${k + 1}${panel.verdicts?.[k]?.letter ?? ""}`, panel.verdicts?.[k]?.kind ?? "unjudged", 62)));
  return svg;
}

const sign = (kind, text) => make("b", { class: kind }, text);

function reasons(panel, boxes) {
  if (!panel.verdicts) return null;
  const list = make("ul", { class: "studio-why" });
  panel.verdicts.forEach((one, k) => {
    const name = `${boxes[k].phrase.replace(/^an? /, "")}: ${one.words}`;
    list.append(make("li", {}, sign(one.kind, `${k + 1}${one.letter}`), make("span", {}, name), make("small", {}, one.reason)));
  });
  for (const one of panel.others) {
    list.append(make("li", {}, sign(one.kind, one.letter), make("span", {}, one.asked), make("small", {}, one.reason)));
  }
  return list;
}

async function copy(event, text) {
  const { target } = event;
  try {
    await navigator.clipboard.writeText(text);
    target.textContent = "copied";
  } catch {
    getSelection().selectAllChildren(target.parentElement.querySelector("code"));
    target.textContent = "selected: Ctrl+C";
  }
  setTimeout(() => { target.textContent = "copy"; }, 2000);
}

function lines(title, text) {
  const block = make("div", { class: "studio-lines" });
  block.append(make("span", {}, title), make("button", { type: "button", click: (event) => copy(event, text), "aria-label": `copy the lines for ${title}` }, "copy"), make("pre", { tabindex: 0 }, make("code", {}, text)));
  return block;
}

function spoken(panel, boxes) {
  const told = (panel.verdicts ?? []).map((one, k) => `${boxes[k].phrase}: ${one.words}`);
  return [panel.title, panel.note, ...told].filter(Boolean).join("; ");
}

function figure(panel, boxes) {
  const frame = make("div", { class: "studio-frame" });
  if (panel.image) frame.append(make("img", { src: panel.image, alt: spoken(panel, boxes) }), overlay(panel, boxes));
  else frame.append(make("span", { class: "studio-soft" }, panel.note));
  const score = panel.score?.[1] ? `${panel.score[0]} of ${panel.score[1]} right` : panel.image ? panel.note : "";
  const caption = make("figcaption", {}, make("strong", {}, panel.title), make("span", { class: "studio-score" }, score), make("small", { title: panel.about }, panel.about));
  return make("figure", { class: `studio-panel ${panel.title === "together" ? "together" : ""}` }, caption, frame, reasons(panel, boxes));
}

function repeated(panel, index) {
  const made = make("details", { class: "studio-repeat", toggle: (event) => (event.target.open ? opened.add(index) : opened.delete(index)) });
  made.open = opened.has(index);
  made.append(make("summary", {}, `Repeat the picture: ${panel.title}`), lines("the shell, with the saved layout", panel.shell), lines("Python", panel.python));
  return made;
}

const opened = new Set();
const keys = [["right", "✓", "right"], ["wrong_colour", "C", "wrong colour"], ["wrong_place", "P", "wrong place"], ["nothing", "N", "nothing found"]];

function show() {
  const shown = JSON.parse(props.value);
  const { panels, boxes } = shown;
  const bar = make("progress", { max: shown.progress[1], "aria-label": "progress" });
  bar.value = shown.progress[0];
  const wrong = shown.state === "failed";
  const status = make("p", { class: `studio-status ${wrong ? "wrong" : ""}`, role: wrong ? "alert" : "status" }, shown.message);
  const judged = panels.some((one) => one.verdicts);
  place.setAttribute("data-state", shown.state);
  place.replaceChildren(
    ...(shown.state === "running" ? [bar] : []),
    status,
    ...shown.notes.map((text) => make("p", { class: "studio-note" }, text)),
    make("div", { class: "studio-panels" }, ...panels.map((one) => figure(one, boxes))),
    ...(judged ? [make("p", { class: "studio-keys" }, ...keys.map(([kind, letter, text]) => make("span", {}, sign(kind, letter), ` ${text}`)), make("span", { class: "studio-found-key" }, "found"))] : []),
    ...panels.map((one, k) => (one.shell ? repeated(one, k) : null)).filter(Boolean),
  );
}

const place = make("div", { class: "studio studio-results" });
element.replaceChildren(place);
watch("value", show);
show();
