// The style picture and the layout file. Files are read here and sent as text; the server checks them, and never sees
// a path.
async function asked(name, text) {
  try {
    const answer = await server[name](text);
    if (answer.error !== undefined) editor.said(answer.error, true);
    return answer.error === undefined ? answer : null;
  } catch {
    editor.said("The studio does not answer. Is it still running?", true);
    return null;
  }
}

function base64(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

async function giveStyle(file) {
  if (file.size > MAX_UPLOAD) {
    editor.said("A style picture has at most 8 MiB.", true);
    return;
  }
  useStyle(await asked("read_style", JSON.stringify({ name: file.name, data: await base64(file) })));
}

function useStyle(found) {
  if (!found) return;
  editor.state.style = found.style;
  editor.said(`The style picture is ${found.style.name}.`);
  editor.changed();
}

// A label over the file field, so that it looks as the other buttons do and is reached by the same key.
function chooser(text, accept, multiple, act) {
  const field = make("input", { type: "file", accept, multiple, class: "studio-unseen", "data-key": `file-${text}`, change: async (event) => {
    const chosen = [...event.target.files];
    event.target.value = "";
    if (chosen.length) await act(chosen);
  } });
  return make("label", { class: "studio-button" }, field, text);
}

function style() {
  const one = editor.state.style;
  const made = make("div", { class: "studio-style", role: "group", "aria-label": "style picture" }, make("h3", {}, "Style picture"));
  const row = make("div", { class: "studio-row" });
  if (one) row.append(make("img", { src: `data:image/png;base64,${one.data}`, alt: `style picture ${one.name}`, class: "studio-thumbnail" }));
  if (words.styles.length) {
    const choose = async (event) => {
      if (event.target.value) useStyle(await asked("choose_style", event.target.value));
    };
    row.append(make("select", { "aria-label": "style of the mini world", "data-key": "mini-style", change: choose },
      option("", "", "mini style …"), ...words.styles.map((name) => option(name, one?.name === `${name}-00.png` ? name : null))));
  }
  row.append(chooser("Upload", "image/*", false, ([file]) => giveStyle(file)));
  if (one) {
    row.append(
      button("Save", () => save(one.name, Uint8Array.from(atob(one.data), (letter) => letter.charCodeAt(0)), "image/png"), { "aria-label": "save the style picture" }),
      button("✕", () => {
        editor.state.style = null;
        editor.changed();
      }, { "aria-label": "remove the style picture", class: "studio-remove" }),
    );
  }
  made.append(row);
  return made;
}

function save(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function saveLayout(kind) {
  const found = await asked(kind, props.value);
  if (!found) return;
  save(found.name, found.text, "application/json");
  const beside = editor.state.style ? ` It names ${editor.state.style.name}: save that beside it.` : "";
  editor.said(`${found.name} was saved.${beside}`);
}

async function load(chosen) {
  const file = chosen.find((one) => one.name.toLowerCase().endsWith(".json"));
  const picture = chosen.find((one) => one !== file);
  if (!file) {
    editor.said("Choose a layout file, which ends in .json; its style picture may be chosen with it.", true);
    return;
  }
  if (file.size > 2 ** 20) {
    editor.said("A layout file has at most 1 MiB.", true);
    return;
  }
  const found = await asked("read_layout", await file.text());
  if (!found) return;
  const { notes, style_name: wanted, ...state } = found.page;
  editor.state = state;
  editor.selected = editor.before = null;
  const lacking = wanted && !picture ? [`It names the style picture ${wanted}: upload that, too.`] : [];
  editor.said([`${file.name} was loaded.`, ...notes, ...lacking].join(" "));
  editor.changed();
  if (picture) await giveStyle(picture);
}

function files() {
  return make(
    "div",
    { class: "studio-files", role: "group", "aria-label": "layout file" },
    make("h3", {}, "Layout file"),
    make("div", { class: "studio-row" },
      button("Save", () => saveLayout("save_layout"), { "data-key": "save", "aria-label": "save the layout for amdm generate" }),
      button("Save as a set", () => saveLayout("save_set"), { "data-key": "save-set", title: "for amdm-bench --layouts" }),
      chooser("Load", ".json,image/*", true, load)),
  );
}

element.replaceChildren(make("div", { class: "studio studio-editor" }, make("div", { class: "studio-left" }, canvas.svg, tools, message), lists));
render();
