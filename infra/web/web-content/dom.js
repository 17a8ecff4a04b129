// Building what is seen. What the status service says becomes text nodes and attributes, never markup.

/** An element with attributes and children; what is absent is left out. */
export function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

export const badge = (value, kind = "") => h("span", { class: `badge ${kind}` }, value);

let ids = 0;
/** A part of the page with a heading; what stands beside the heading comes first. */
export function card(heading, beside, ...content) {
  const title = h("h2", { id: `card-${(ids += 1)}` }, heading);
  return h("section", { class: "card", "aria-labelledby": title.id }, h("div", { class: "head" }, title, beside), content);
}

/**
 * A table. Columns are `[heading, row => cell]`; the first cell of a row heads it. On a narrow screen rows
 * become cards, for which the roles are said again: `display` takes them away.
 */
export function table(caption, columns, rows) {
  const heads = columns.map(([heading]) => h("th", { scope: "col", role: "columnheader" }, heading));
  const line = (row) => h("tr", { role: "row" }, columns.map(([heading, cell], at) =>
    h(at === 0 ? "th" : "td", {
      role: at === 0 ? "rowheader" : "cell", scope: at === 0 ? "row" : null, "data-label": heading,
    }, h("div", {}, cell(row)))));
  return h("table", { role: "table" }, h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)),
    h("tbody", { role: "rowgroup" }, rows.map(line)));
}

const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
/** A moment, in the time of the reader's clock. */
export const moment = (at) => h("time", { datetime: at, title: at }, DATE.format(new Date(at)));

/** How long something took, in the largest units that say it. */
export function span(from, to) {
  const seconds = Math.max(0, Math.round((new Date(to) - new Date(from)) / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A share, rounded down: what was not always well is not 100 %. */
export const percent = (share) => `${(Math.floor(share * 10_000) / 100).toFixed(2)} %`;
