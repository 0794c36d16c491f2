// The editor: the canvas, names and joins of its boxes, the caption, the style picture, and the layout file.
const words = JSON.parse(props.words);
const OWN = "own words";
const MAX_UPLOAD = 8 * 2 ** 20;
const grammar = new RegExp(`^a (${words.colours.join("|")}) (${words.categories.join("|")})$`);
const parts = (phrase) => (words.colours.length ? grammar.exec(phrase)?.slice(1) ?? null : null);

const editor = { state: JSON.parse(props.value), selected: null, before: null };
const message = make("p", { class: "studio-message", role: "status", "aria-live": "polite" });
const canvas = makeCanvas(editor);
const lists = make("div", { class: "studio-lists" });
const tools = make("div", { class: "studio-tools" });
const more = make("div", { class: "studio-more" });

editor.said = (text, wrong = false) => {
  message.textContent = text;
  message.classList.toggle("wrong", wrong);
};

editor.changed = () => {
  const plain = { ...editor.state, boxes: editor.state.boxes.map(({ phrase, box }) => ({ phrase, box })) };
  props.value = JSON.stringify(plain);
  render();
};

editor.select = (number, quiet = false) => {
  if (number === editor.selected) return;
  if (number !== null && editor.selected !== null) editor.before = editor.selected;
  editor.selected = number;
  if (quiet) {
    canvas.paint();
    renderTools();
  } else {
    render();
  }
};

function nextPhrase() {
  const taken = new Set(editor.state.boxes.map((one) => one.phrase));
  for (let k = editor.state.boxes.length; k < 60 && words.colours.length; k++) {
    const phrase = `a ${words.colours[k % words.colours.length]} ${words.categories[k % words.categories.length]}`;
    if (!taken.has(phrase)) return phrase;
  }
  return "";
}

editor.added = (box) => {
  if (editor.state.boxes.length >= words.most) {
    editor.said(`There are ${words.most} boxes, and no room for more.`, true);
    canvas.paint();
    return;
  }
  editor.state.boxes.push({ phrase: nextPhrase(), box });
  editor.before = editor.selected;
  editor.selected = editor.state.boxes.length - 1;
  editor.said(`Box ${editor.state.boxes.length} was added: name it below.`);
  editor.changed();
};

editor.removed = (number) => {
  const { boxes, joins } = editor.state;
  boxes.splice(number, 1);
  const after = (k) => (k > number ? k - 1 : k);
  editor.state.joins = joins
    .filter((one) => one.subject !== number && one.object !== number)
    .map((one) => ({ ...one, subject: after(one.subject), object: after(one.object) }));
  editor.selected = editor.before = null;
  editor.said(`Box ${number + 1} was deleted.`);
  editor.changed();
};

editor.toName = (number) => lists.querySelector(`[data-key="colour-${number}"], [data-key="own-${number}"]`)?.focus();

const option = (value, chosen, text = value) => make("option", { value, selected: value === chosen }, text);
const button = (text, act, attributes = {}) => make("button", { type: "button", click: act, ...attributes }, text);

function nameOf(one, number) {
  const found = one.own ? null : parts(one.phrase);
  const rename = (phrase, own) => {
    one.phrase = phrase;
    one.own = own;
    editor.changed();
  };
  const label = (what) => ({ "aria-label": `${what} of box ${number + 1}`, "data-key": `${what}-${number}` });
  const fields = [];
  if (words.colours.length) {
    const colour = make(
      "select",
      { ...label("colour"), change: (event) => rename(event.target.value === OWN ? one.phrase : `a ${event.target.value} ${found?.[1] ?? words.categories[0]}`, event.target.value === OWN) },
      ...words.colours.map((name) => option(name, found?.[0])), option(OWN, found ? null : OWN),
    );
    fields.push(colour);
  }
  if (found) {
    const shape = { ...label("category"), change: (event) => rename(`a ${found[0]} ${event.target.value}`, false) };
    fields.push(make("select", shape, ...words.categories.map((name) => option(name, found[1]))));
  } else {
    const own = { ...label("own"), type: "text", maxlength: 200, placeholder: "what it is, for example a red bowl", change: (event) => rename(event.target.value, true) };
    const field = make("input", own);
    field.value = one.phrase;
    fields.push(field);
  }
  return fields;
}

function boxRow(one, number) {
  const head = button(String(number + 1), () => canvas.svg.querySelector(`[data-box="${number}"]`).focus(), {
    class: `studio-number s${number % 7}`, "aria-label": `select box ${number + 1}`,
  });
  const remove = button("✕", () => editor.removed(number), { "aria-label": `delete box ${number + 1}`, title: "delete", class: "studio-remove" });
  return make("li", { class: number === editor.selected ? "chosen" : "" }, head, ...nameOf(one, number), remove);
}

function joinRow(one, number) {
  const change = (name, value) => {
    one[name] = value;
    editor.changed();
  };
  const end = (name) => make(
    "select",
    { "aria-label": `${name} of join ${number + 1}`, "data-key": `${name}-join-${number}`, change: (event) => change(name, Number(event.target.value)) },
    ...editor.state.boxes.map((box, k) => option(k, one[name], `${k + 1} ${box.phrase.replace(/^an? /, "")}`)),
  );
  const action = make("input", {
    type: "text", maxlength: 200, list: "studio-actions", "aria-label": `action of join ${number + 1}`, "data-key": `action-join-${number}`,
    placeholder: "action", change: (event) => change("action", event.target.value),
  });
  action.value = one.action;
  const remove = button("✕", () => {
    editor.state.joins.splice(number, 1);
    editor.changed();
  }, { "aria-label": `delete join ${number + 1}`, title: "delete", class: "studio-remove" });
  return make("li", {}, end("subject"), action, end("object"), remove);
}

function join() {
  const count = editor.state.boxes.length;
  const object = editor.selected ?? count - 1;
  const subject = editor.before !== null && editor.before !== object && editor.before < count ? editor.before : object === 0 ? 1 : object - 1;
  editor.state.joins.push({ subject, action: words.actions.at(-1) ?? "", object });
  editor.said(`Box ${subject + 1} and box ${object + 1} are joined: choose the action below.`);
  editor.changed();
  lists.querySelector(`[data-key="action-join-${editor.state.joins.length - 1}"]`)?.focus();
}

function renderTools() {
  const { boxes, joins } = editor.state;
  const held = tools.contains(document.activeElement) ? document.activeElement.textContent : null;
  tools.replaceChildren(
    button("Add box", () => {
      const k = editor.state.boxes.length % 5;
      editor.added([0.1 + 0.1 * k, 0.1 + 0.1 * k, 0.4 + 0.1 * k, 0.4 + 0.1 * k].map(rounded));
    }),
    button("Join two", join, { disabled: boxes.length < 2 || joins.length >= words.most, title: "the two boxes selected last; the action is from the first to the second" }),
    button("Delete box", () => editor.removed(editor.selected), { disabled: editor.selected === null }),
    button("Clear", () => {
      Object.assign(editor.state, { caption: "", boxes: [], joins: [] });
      editor.selected = editor.before = null;
      editor.said("The canvas is empty.");
      editor.changed();
    }, { disabled: !boxes.length }),
  );
  if (held) [...tools.children].find((one) => one.textContent === held)?.focus();
}

function render() {
  const held = lists.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const { boxes, joins } = editor.state;
  canvas.paint();
  renderTools();
  const caption = make("input", { type: "text", maxlength: 1000, "data-key": "caption", placeholder: "made of the names where it is empty", change: (event) => {
    editor.state.caption = event.target.value;
    editor.changed();
  } });
  caption.value = editor.state.caption;
  lists.replaceChildren(
    make("h3", {}, "Boxes"),
    boxes.length ? make("ol", { class: "studio-names" }, ...boxes.map(boxRow)) : make("p", { class: "studio-soft" }, "None yet: drag on the canvas, or press “Add box”."),
    ...(joins.length ? [make("h3", {}, "Actions"), make("ul", { class: "studio-joins" }, ...joins.map(joinRow))] : []),
    make("datalist", { id: "studio-actions" }, ...words.actions.map((name) => make("option", { value: name }))),
    make("label", { class: "studio-caption" }, make("span", {}, "Caption"), caption),
    style(),
    files(),
  );
  if (held) lists.querySelector(`[data-key="${held}"]`)?.focus();
}
