// The picture in large, and the keys.
const viewer = document.getElementById("viewer");
const help = document.getElementById("help");
let open = null; // { at: place in shown, method }

function show(at, method) {
  open = { at: Math.min(Math.max(at, 0), shown.length - 1), method: Math.min(Math.max(method, 0), data.methods.length - 1) };
  const row = shown[open.at];
  const tile = row.tiles[open.method];
  const name = data.methods[open.method].name;
  const methods = data.methods.map((one, k) => {
    const button = element("button", { type: "button", "aria-current": String(k === open.method) }, one.name);
    button.onclick = () => show(open.at, k);
    return button;
  });
  const turn = [["← layout", -1], ["layout →", 1]].map(([text, step]) => {
    const button = element("button", { type: "button" }, text);
    button.disabled = shown[open.at + step] === undefined;
    button.onclick = () => show(open.at + step, open.method);
    return button;
  });
  const close = element("button", { type: "button" }, "close");
  close.onclick = () => viewer.close();
  const where = `layout ${row.key}, L${row.level}, seed ${row.seed}`;
  const held = viewer.contains(document.activeElement) ? document.activeElement.textContent : null;
  remember();
  const link = element("a", { href: location.hash }, "link to this picture");
  viewer.replaceChildren(
    element("div", {}, frame(row, tile, name, true)),
    element("div", {}, element("h3", {}, name), element("p", { class: "about" }, `${where}: ${row.caption.trim()}`),
      reasons(row, tile, "li", "ol"), element("div", { class: "methods" }, ...methods), element("div", { class: "turn" }, ...turn, close, link)),
  );
  if (!viewer.open) viewer.showModal();
  if (held) [...viewer.querySelectorAll("button")].find((one) => one.textContent === held)?.focus();
}

// One instance's boxes alone, while its line is pointed at.
function light(event) {
  const line = event.type === "pointerover" ? event.target.closest("li[data-instance]") : null;
  const picture = viewer.querySelector(".frame svg");
  if (!picture) return;
  picture.classList.toggle("one", line !== null);
  for (const part of picture.querySelectorAll("[data-instance]")) part.classList.toggle("lit", part.dataset.instance === line?.dataset.instance);
}

function place(tile) {
  const row = Number(tile.dataset.row);
  return { at: shown.findIndex((one) => one.number === row), method: Number(tile.dataset.method) };
}

function focus(at, method) {
  const row = shown[Math.min(Math.max(at, 0), shown.length - 1)];
  if (!row) return;
  const section = sections[row.number];
  build(section);
  const tiles = section.querySelectorAll(".tile");
  const tile = tiles[Math.min(Math.max(method, 0), tiles.length - 1)];
  tile.focus({ preventScroll: true });
  tile.scrollIntoView({ block: "nearest", inline: "nearest" });
}

const MOVES = { j: [1, 0], ArrowDown: [1, 0], k: [-1, 0], ArrowUp: [-1, 0], l: [0, 1], ArrowRight: [0, 1], h: [0, -1], ArrowLeft: [0, -1] };

function toggle(name) {
  filters.elements[name].checked = !filters.elements[name].checked;
  update();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const tile = document.activeElement.closest?.(".tile");
  const typing = document.activeElement.closest?.("select, input");
  const move = MOVES[event.key];
  if (move && !typing) {
    if (viewer.open) show(open.at + move[0], open.method + move[1]);
    else if (tile) focus(place(tile).at + move[0], place(tile).method + move[1]);
    else if (event.key.startsWith("Arrow")) return;
    else focus(nearest(), 0);
  } else if (event.key === "?") {
    help.showModal();
  } else if (viewer.open && event.key !== "b") {
    return;
  } else if (event.key === "d" && !typing) toggle("disagree");
  else if (event.key === "b" && !typing) toggle("boxes");
  else if (event.key === "f" && !typing) filters.elements.level.focus();
  else if (event.key === "c" && !typing) filters.reset();
  else return;
  event.preventDefault();
}

function nearest() {
  const at = shown.findIndex((row) => sections[row.number].getBoundingClientRect().bottom > 120);
  return Math.max(at, 0);
}
