// Building what is seen. Text of the ledger becomes text nodes and attributes, never markup.

/** The node's own marks: an element with attributes, listeners (`onclick`, …) and children. */
function element(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export const h = (tag, attributes, ...children) =>
  element(document.createElement(tag), attributes, children);

export const svg = (tag, attributes, ...children) =>
  element(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

let ids = 0;
/** An id that no other element of the page has. */
export const newId = (prefix) => `${prefix}-${(ids += 1)}`;

/** A labelled control. */
export function field(label, control, hint) {
  control.id ||= newId("field");
  const about = hint ? h("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (about) control.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, about);
}

export function select(options, chosen, attributes = {}) {
  return h("select", attributes, options.map(([value, label]) =>
    h("option", { value, selected: value === chosen }, label)));
}

/** Radio buttons that stand beside one another. */
export function choice(legend, name, options, chosen) {
  return h("fieldset", { class: "choice" }, h("legend", {}, legend),
    h("div", { class: "segments" }, options.map(([value, label]) =>
      h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen }), h("span", {}, label)))));
}

export const button = (label, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, label);

export const link = (to, ...children) => h("a", { href: to }, ...children);

/**
 * A table. Columns are `[heading, row => cell, class?]`; the first cell of a row heads it. On a narrow
 * screen rows become cards, for which the roles are said again: `display` takes them away.
 */
export function table(caption, columns, rows, options = {}) {
  const heads = columns.map(([heading]) =>
    h("th", { scope: "col", role: "columnheader" }, heading));
  const body = h("tbody", { role: "rowgroup" });
  const more = h("p", { class: "more" });
  const add = (from, to) => {
    body.append(...rows.slice(from, to).map((row) => h("tr", { role: "row" }, columns.map(([heading, cell, kind], at) =>
      h(at === 0 ? "th" : "td", {
        role: at === 0 ? "rowheader" : "cell", scope: at === 0 ? "row" : null,
        class: kind, "data-label": heading,
      }, h("div", {}, cell(row)))))));
  };
  const most = options.most ?? 200;
  add(0, most);
  if (rows.length > most) {
    const all = () => {
      if (!more.parentNode) return;
      more.remove();
      add(most, rows.length);
    };
    more.append(`${most} of ${number(rows.length)} are shown. `, button("Show all", all, { class: "plain" }));
    // Paper has no button to press.
    window.addEventListener("beforeprint", all, { once: true });
  }
  return h("div", { class: "table" },
    h("table", { role: "table" }, h("caption", { class: options.quiet ? "unseen" : null }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), body),
    rows.length === 0 ? h("p", { class: "none" }, options.none ?? "None.") : null,
    rows.length > most ? more : null);
}

/** Names and values. */
export const facts = (pairs, kind) => h("dl", { class: kind ?? "facts" }, pairs
  .filter(([, value]) => value !== undefined && value !== null && value !== "")
  .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

export const card = (heading, ...content) => {
  const title = h("h2", { id: newId("card") }, heading);
  return h("section", { class: "card", "aria-labelledby": title.id }, title, ...content);
};

export const mono = (value) => h("code", { class: "mono" }, value);
export const badge = (value, kind = "") => h("span", { class: `badge ${kind}` }, value);

/** A long code, with a button that copies it. */
export function copyable(value, what) {
  const told = h("span", { class: "unseen", role: "status" });
  const copy = button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(value);
      told.textContent = `${what} copied`;
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Select it and copy";
    }
  }, { class: "plain small", "aria-label": `Copy ${what}` });
  return h("span", { class: "copyable" }, mono(value), copy, told);
}

/** Saves something as a file. */
export function save(name, type, content) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const anchor = h("a", { href: url, download: name });
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const number = (value) => Number(value).toLocaleString("en-GB");
export const shortHash = (hash) => `${hash.slice(0, 10)}…`;

/** A point in time, readable, with the exact one behind it. */
export function time(value) {
  const date = new Date(value);
  if (Number.isNaN(date.valueOf())) return String(value ?? "");
  const shown = `${date.toISOString().slice(0, 10)} ${date.toISOString().slice(11, 19)}`;
  return h("time", { datetime: value, title: value }, shown, h("span", { class: "zone" }, " UTC"));
}

export function ago(value) {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(value)) / 1000));
  const units = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const [size, unit] = units.find(([size]) => seconds >= size) ?? units[3];
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** What went wrong, in words. */
export function problem(error) {
  const details = error.document?.issues ?? error.document?.conflicts ?? [];
  return h("div", { class: "notice bad", role: "alert" }, h("p", {}, h("strong", {}, error.title ?? "This did not work")),
    h("p", {}, error.message),
    details.length > 0 ? h("ul", {}, details.slice(0, 20).map((one) => h("li", {}, one.message ?? JSON.stringify(one)))) : null,
    error.needsLogin ? h("p", {}, link("#/account", "Log in")) : null);
}

export const notice = (kind, ...content) => h("div", { class: `notice ${kind}` }, ...content);

/** A form that calls `submit` with its fields, and says below what came of it. */
export function form(attributes, content, label, submit) {
  const told = h("div", { "aria-live": "polite", class: "told" });
  const go = h("button", { type: "submit" }, label);
  const whole = h("form", {
    ...attributes,
    onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      told.replaceChildren();
      try {
        const answer = await submit(new FormData(whole), whole);
        if (answer) told.replaceChildren(answer);
      } catch (error) {
        told.replaceChildren(problem(error));
      } finally {
        go.disabled = false;
      }
    },
  }, ...content, h("div", { class: "actions" }, go), told);
  return whole;
}

/** Shows another page; or this one again, asked anew. */
export function go(address) {
  if (location.hash === address) window.dispatchEvent(new Event("hashchange"));
  else location.hash = address;
}
