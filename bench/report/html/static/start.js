// What happens when: filters, clicks, keys, printing; the legend of the charts.
const present = (name) => [...new Set(data.rows.flatMap((row) => row.asked.map((one) => one[name])))].sort();
const levels = [...new Set(data.rows.map((row) => row.level))].sort((a, b) => a - b);
offer("level", levels, levels.map((level) => `L${level}`));
offer("colour", present("colour").filter(Boolean)); // "" where none is named
offer("category", present("category"));
const kinds = [...data.fates, ...data.conditions];
offer("verdict", kinds.map((one) => one.kind), kinds.map((one) => one.words));
offer("method", data.methods.map((_, k) => k), data.methods.map((one) => one.name));
document.body.classList.toggle("long-names", data.methods.some((one) => one.name.length > 24));
recall();
for (const section of sections) {
  near.observe(section);
  far.observe(section);
}
const told = location.hash;
update(); // which writes the address anew, without a picture
reopen(told);
addEventListener("hashchange", () => {
  if (location.hash.includes("=")) location.reload();
});

filters.addEventListener("change", update);
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(update));
document.getElementById("keys").addEventListener("click", () => help.showModal());
rowsPlace.addEventListener("click", (event) => {
  const tile = event.target.closest(".tile");
  if (tile) show(place(tile).at, place(tile).method);
});
viewer.addEventListener("close", () => {
  const last = open;
  open = null;
  remember();
  focus(last.at, last.method);
});
for (const kind of ["pointerover", "pointerout"]) viewer.addEventListener(kind, light);
viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
document.addEventListener("keydown", pressed);
addEventListener("beforeprint", () => {
  printing = true;
  sections.forEach((section) => { section.hidden = true; });
  for (const row of shown.slice(0, PRINTED)) {
    build(sections[row.number]);
    sections[row.number].hidden = false;
  }
});
addEventListener("afterprint", () => {
  printing = false;
  sections.forEach((section) => { section.hidden = false; });
});

const legend = document.querySelector(".legend");
let held = null;
function highlight(series) {
  for (const one of document.querySelectorAll(".series")) one.classList.toggle("dim", series !== null && one.dataset.series !== series);
}
for (const kind of ["pointerover", "focusin"]) legend.addEventListener(kind, (event) => highlight(event.target.closest("button")?.dataset.series ?? held));
for (const kind of ["pointerout", "focusout"]) legend.addEventListener(kind, () => highlight(held));
legend.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  held = held === button.dataset.series ? null : button.dataset.series;
  for (const one of legend.querySelectorAll("button")) one.setAttribute("aria-pressed", String(one.dataset.series === held));
  highlight(held);
});
