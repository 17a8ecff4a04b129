// Where a thing came from, or what became of it: a graph, a table of the same, and the events of a thing.

import { ask, json, path, query as queryString } from "./api.js";
import { badge, button, card, choice, field, form, go, h, link, mono, notice, number, problem, save, table, time } from "./dom.js";
import { drawing } from "./drawing.js";
import { entryLink, item, named, place, traceLink, typeBadge, where, word } from "./identifiers.js";
import { instant, local, searchLink } from "./search.js";

const VIA = { transformation: "transformation", aggregation: "packing", transaction: "transaction", lot: "lot" };

/** What a form asks of a trace or a recall, from the address and back. */
export const filters = (given) => [
  field("Steps at most", h("input", { type: "number", name: "depth", min: 0, max: 64, value: given("depth"), placeholder: "64" })),
  field("From (UTC)", h("input", { type: "datetime-local", name: "from", value: local(given("from")) })),
  field("Until (UTC)", h("input", { type: "datetime-local", name: "until", value: local(given("until")) })),
  field("Business steps", h("input", { name: "bizSteps", value: given("bizSteps"), placeholder: "shipping,receiving", autocapitalize: "off" })),
];

export const filtersOf = (data) => ({
  depth: data.get("depth"), from: instant(data.get("from")), until: instant(data.get("until")), bizSteps: data.get("bizSteps").trim(),
});

export const isFiltered = (given) => ["depth", "from", "until", "bizSteps"].some((name) => given(name) !== "");

export const epcField = (value) => field("Item, batch or pallet", h("input", {
  name: "epc", required: true, value, autocapitalize: "off", autocomplete: "off", spellcheck: "false",
  placeholder: "https://id.gs1.org/01/…/10/… or urn:epc:…",
}), "An EPC URN or a GS1 Digital Link.");

function question(given) {
  return form({}, [
    epcField(given("epc")),
    choice("Direction", "direction", [["down", "What became of it"], ["up", "Where it came from"]], given("direction") || "down"),
    h("details", { open: isFiltered(given) }, h("summary", {}, "Limit by steps, time and business step"), h("div", { class: "fields" }, filters(given))),
  ], "Trace", (data) => {
    go(`#/trace${queryString({ epc: data.get("epc").trim(), direction: data.get("direction"), ...filtersOf(data) })}`);
  });
}

const ROWS = [
  ["Entry", ({ entry }) => link(entryLink(entry), number(entry))],
  ["Happened", (row) => time(row.eventTime)],
  ["Type", (row) => typeBadge(row.type)],
  ["Step", (row) => word(row.bizStep) || "–"],
  ["Where", (row) => (where(row) ? place(where(row)) : "–")],
];

/** The events of one thing. A walk of no steps finds them, and their entries. */
async function eventsOf(items, answer, panel) {
  const [first] = items;
  const heading = h("h2", { tabindex: -1 }, items.length === 1 ? named(first) : `${number(items.length)} items that are alike`);
  panel.replaceChildren(heading);
  heading.focus({ preventScroll: true });
  if (items.length > 1) {
    panel.append(h("ul", { class: "plain many" }, items.slice(0, 500).map((one) => h("li", {}, button(named(one), () => eventsOf([one], answer, panel), { class: "plain" })))));
    return;
  }
  panel.append(h("p", {}, mono(first)));
  try {
    const found = await json(`${path`/api/v1/trace/${first}`}?direction=down&depth=0&asOf=${answer.treeSize}`);
    panel.append(table(`Events of ${named(first)}`, ROWS, found.events, { quiet: true }));
  } catch (error) {
    panel.append(problem(error));
  }
  panel.append(h("p", { class: "ways" }, link(traceLink(first, "up"), "Where it came from"), link(traceLink(first), "What became of it"), link(searchLink(first, "item"), "Search its events")));
}

function itemsTable(answer) {
  const reached = new Map(answer.items.map(({ item }) => [item, []]));
  const towards = answer.direction === "down" ? ["to", "from"] : ["from", "to"];
  for (const step of answer.steps) reached.get(step[towards[0]])?.push([step[towards[1]], step]);
  return table("The items of this trace, the nearest first", [
    ["Item", (row) => [item(row.item), row.class ? badge("class only") : null]],
    ["Steps", ({ depth }) => number(depth), "number"],
    [answer.direction === "down" ? "Came from" : "Went into", (row) => {
      const ways = reached.get(row.item);
      return ways.length === 0 ? "–" : h("ul", { class: "plain" }, ways.slice(0, 4).map(([other, { via, entry }]) =>
        h("li", {}, named(other), " by ", VIA[via], ", ", link(entryLink(entry), `entry ${number(entry)}`))),
      ways.length > 4 ? h("li", {}, `and ${number(ways.length - 4)} more`) : null);
    }],
  ], answer.items);
}

function found(answer, parameters) {
  const panel = h("div", { class: "panel", role: "region", "aria-label": "The chosen item", "aria-live": "polite" },
    h("p", { class: "none" }, "Choose a box of the graph to see its events."));
  const down = answer.direction === "down";
  const label = `${down ? "What became of" : "What went into"} ${named(answer.item)}`;
  const graph = drawing(answer, label, (items) => eventsOf(items, answer, panel));
  const proven = async () => save("trace.json", "application/json",
    await (await ask(`${path`/api/v1/trace/${answer.epc}`}${queryString({ ...parameters, asOf: answer.treeSize, proofs: true })}`)).text());
  const told = h("span", { role: "status" });
  const counts = `${number(answer.items.length)} ${answer.items.length === 1 ? "item" : "items"} and ${number(answer.events.length)} ${answer.events.length === 1 ? "event" : "events"}`;
  return {
    ready: graph.fit,
    content: [
      h("p", { class: "lead", role: "status" }, `${label}: ${counts}, as of ${number(answer.treeSize)} entries.`),
      answer.truncated ? notice("warn", "A limit cut the search short: there is more than is shown here. Ask for fewer steps, or for a part of the time.") : null,
      graph.shown,
      panel,
      card("All items", itemsTable(answer)),
      card("Events", table("The events that this rests on", ROWS, answer.events, { quiet: true }),
        h("div", { class: "actions" }, button("Download with proofs", async () => {
          told.textContent = "Gathering the proofs…";
          try {
            await proven();
            told.textContent = "";
          } catch (error) {
            told.textContent = error.message;
          }
        }), told)),
    ],
  };
}

export async function trace({ query, signal }) {
  const given = (name) => query.get(name) ?? "";
  const asked = card("Question", question(given));
  const epc = given("epc");
  if (!epc) {
    return { title: "Trace", content: [h("p", { class: "lead" }, "Follow an item, a batch or a pallet through everything that it was made of, packed into and made into."), asked] };
  }
  const parameters = { direction: given("direction") || "down", depth: given("depth"), from: given("from"), until: given("until"), bizSteps: given("bizSteps") };
  try {
    const answer = await json(`${path`/api/v1/trace/${epc}`}${queryString(parameters)}`, { signal });
    const { content, ready } = found(answer, parameters);
    return { title: `Trace of ${named(epc)}`, heading: "Trace", content: [asked, ...content], ready };
  } catch (error) {
    if (signal.aborted || error.status === undefined) throw error;
    return { title: "Trace", content: [asked, problem(error)] };
  }
}
