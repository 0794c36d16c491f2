// Rows of the gallery: what is shown, in which order, and building each row when it comes near the screen.
const rowsPlace = document.getElementById("rows");
const filters = document.getElementById("filters");
const PRINTED = 24;

const generated = data.methods.map((one, k) => (one.ceiling ? -1 : k)).filter((k) => k >= 0);
const judged = (row) => generated.map((k) => row.tiles[k]).filter((tile) => tile && tile.verdicts);

function lost(row) {
  const all = judged(row).flatMap(every);
  return all.length ? all.filter((one) => !isRight(one)).length / all.length : 2;
}

function disagree(row) {
  const seen = new Map();
  for (const one of judged(row).flatMap(every)) {
    const of = one.fate === undefined ? `condition ${one.of}` : `instance ${one.instance}`;
    seen.set(of, [...(seen.get(of) ?? []), isRight(one)]);
  }
  return [...seen.values()].some((own) => own.includes(true) && own.includes(false));
}

const rows = data.rows.map((row, number) => ({ ...row, number, lost: lost(row), disagree: disagree(row) }));
const sections = rows.map((row) => {
  const about = [element("b", {}, `layout ${row.key}`), element("span", {}, `L${row.level}`)];
  if (data.seeds.length > 1) about.push(element("span", {}, `seed ${row.seed}`));
  const head = element("header", {}, ...about, element("span", {}, row.caption.trim()));
  const section = element("section", { class: "row", "aria-label": `layout ${row.key}` }, head);
  section.row = row;
  return section;
});
let shown = [];
let printing = false;

function build(section) {
  if (section.querySelector(".tiles")) return;
  const row = section.row;
  const tiles = row.tiles.map((tile, k) => {
    const name = data.methods[k].name;
    const made = element("button", { class: "tile", type: "button", tabindex: "-1", "data-row": row.number, "data-method": k });
    if (tile && tile.verdicts && tile.verdicts.length && counted(tile) === every(tile).length) made.classList.add("whole");
    const parts = name.split(/(?=[+@])/).flatMap((part) => [element("wbr"), part]);
    made.append(element("span", { class: "who", title: name }, ...parts), frame(row, tile, name), reasons(row, tile));
    return made;
  });
  tiles[0]?.setAttribute("tabindex", "0");
  section.append(element("div", { class: "tiles" }, ...tiles));
}

const near = new IntersectionObserver(
  (entries) => entries.filter((one) => one.isIntersecting).forEach((one) => build(one.target)),
  { rootMargin: "900px 0px" },
);
const far = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      const tiles = target.querySelector(".tiles");
      if (isIntersecting || printing || !tiles || target.contains(document.activeElement)) continue;
      target.style.minHeight = `${target.offsetHeight}px`;
      tiles.remove();
    }
  },
  { rootMargin: "6000px 0px" },
);

function chosen() {
  const form = new FormData(filters);
  return Object.fromEntries(["level", "colour", "category", "verdict", "method", "order", "disagree", "boxes"].map((name) => [name, form.get(name) ?? ""]));
}

function passes(row, wanted) {
  if (wanted.level && row.level !== Number(wanted.level)) return false;
  if (wanted.disagree && !row.disagree) return false;
  const instances = row.asked.map((one, k) => [one, k]).filter(([one]) =>
    (!wanted.colour || one.colour === wanted.colour) && (!wanted.category || one.category === wanted.category)).map(([, k]) => k);
  if (!instances.length) return false;
  if (!wanted.verdict) return true;
  const of = wanted.method === "" ? generated : [Number(wanted.method)];
  return of.map((k) => row.tiles[k]).filter((tile) => tile?.verdicts).some((tile) => every(tile).some((one) => is(row, one, wanted.verdict, instances)));
}

// Whether a verdict is of that kind and on one of these instances: an action is on both its ends, a style on all.
function is(row, one, kind, instances) {
  if (one.fate !== undefined) return data.fates[one.fate].kind === kind && instances.includes(one.instance);
  if (data.conditions[one.condition].kind !== kind || !isAsked(row, one)) return false;
  const ends = one.of === undefined ? instances : [row.interactions[one.of].subject, row.interactions[one.of].object];
  return ends.some((k) => instances.includes(k));
}

function update() {
  const wanted = chosen();
  shown = rows.filter((row) => passes(row, wanted));
  if (wanted.order !== "file") {
    const method = wanted.method === "" ? null : Number(wanted.method);
    const share = (row) => (method === null || !row.tiles[method]?.verdicts?.length ? row.lost : 1 - counted(row.tiles[method]) / every(row.tiles[method]).length);
    shown.sort((a, b) => share(b) - share(a) || a.number - b.number);
  }
  rowsPlace.replaceChildren(...shown.map((row) => sections[row.number]));
  document.body.classList.toggle("no-boxes", !wanted.boxes);
  const what = data.seeds.length > 1 ? "row" : "layout"; // a layout has a row for each seed
  const one = (count) => `${count} ${what}${count === 1 ? "" : "s"}`;
  document.getElementById("count").textContent = shown.length === rows.length ? one(rows.length) : `${shown.length} of ${one(rows.length)}`;
  remember();
}

// What is chosen, and the picture that is open, stand in the address.
function remember() {
  const told = Object.entries(chosen()).filter(([name, value]) => (name === "boxes" ? !value : value));
  if (open) {
    const row = shown[open.at];
    told.push(["layout", row.key], ["seed", row.seed], ["picture", data.methods[open.method].name]);
  }
  const text = new URLSearchParams(told.map(([name, value]) => [name, name === "boxes" ? "off" : value])).toString();
  if (text || location.hash.includes("=")) history.replaceState(null, "", text ? `#${text}` : location.pathname);
}

function recall() {
  const told = new URLSearchParams(location.hash.slice(1));
  for (const [name, value] of told) {
    const field = filters.elements[name];
    if (field instanceof HTMLSelectElement && [...field.options].some((one) => one.value === value)) field.value = value;
    else if (field instanceof HTMLInputElement) field.checked = value !== "off";
  }
}

// Opens the picture that an address names, if it is among those that are shown.
function reopen(hash) {
  const told = new URLSearchParams(hash.slice(1));
  const at = shown.findIndex((row) => row.key === told.get("layout") && String(row.seed) === told.get("seed"));
  const method = data.methods.findIndex((one) => one.name === told.get("picture"));
  if (at >= 0 && method >= 0) show(at, method);
}

function offer(name, values, words = values) {
  filters.elements[name].append(...values.map((value, k) => element("option", { value }, words[k])));
}
