// A recall, or its drill: everything that a batch affects, in one question, with the time that it takes.

import { ask, path, query as queryString } from "./api.js";
import { hand } from "./check.js";
import { badge, button, card, form, go, h, link, notice, number, problem, save, table, time } from "./dom.js";
import { entryLink, item, named, place } from "./identifiers.js";
import { epcField, filters, filtersOf, isFiltered } from "./trace.js";

function question(given) {
  return form({}, [
    epcField(given("epc")),
    h("details", { open: isFiltered(given) }, h("summary", {}, "Limit by steps, time and business step"), h("div", { class: "fields" }, filters(given))),
  ], "Start the recall", (data) => {
    go(`#/recall${queryString({ epc: data.get("epc").trim(), ...filtersOf(data) })}`);
  });
}

const seen = ({ lastSeen }) => (lastSeen ? [lastSeen.place ? place(lastSeen.place) : "no place named", " ", h("small", {}, time(lastSeen.time), lastSeen.within ? [", in ", named(lastSeen.within)] : null)] : "unknown");

const affected = [
  ["Item", (row) => [item(row.item), row.class ? badge("any of its kind", "warn") : null]],
  ["Steps", ({ depth }) => number(depth), "number"],
  ["Last seen", seen],
  ["Entry", ({ lastSeen }) => (lastSeen ? link(entryLink(lastSeen.entry), number(lastSeen.entry)) : "–"), "number"],
  ["End of the chain", ({ end }) => (end ? [badge(end.how, end.how === "sold" ? "warn" : ""), " ", h("small", {}, time(end.time))] : "–")],
];

const PLACES = [
  ["Place", (row) => place(row.place)],
  ["Items last seen here", ({ itemsLastSeen }) => number(itemsLastSeen), "number"],
  ["Seen as", ({ roles }) => roles.join(", ")],
  ["Last seen there", ({ lastTime }) => time(lastTime)],
  ["Entry", ({ lastEntry }) => link(entryLink(lastEntry), number(lastEntry)), "number"],
];

const PARTIES = [
  ["Party", (row) => place(row.party)],
  ["Named as", ({ roles }) => roles.join(", ").replaceAll("_", " ")],
  ["Last named", ({ lastTime }) => time(lastTime)],
  ["Entry", ({ lastEntry }) => link(entryLink(lastEntry), number(lastEntry)), "number"],
];

const figure = (name, value, kind) => h("div", { class: kind }, h("dt", {}, name), h("dd", {}, number(value)));

function dossierOf(text, took) {
  const dossier = JSON.parse(text);
  const { summary, question: asked } = dossier;
  const name = `recall-${named(asked.item).replace(/[^A-Za-z0-9]+/g, "-")}.json`;
  const byItems = [...dossier.places].sort((a, b) => b.itemsLastSeen - a.itemsLastSeen);
  return [
    h("p", { class: "lead", role: "status" }, `Recall of ${named(asked.item)}: found and proven in ${(took / 1000).toFixed(2)} s, as of ${number(dossier.asOf)} entries.`),
    summary.truncated ? notice("warn", "A limit cut the search short: more is affected than stands here.") : null,
    asked.filter ? notice("warn", "Only some events were followed: more may be affected.") : null,
    h("dl", { class: "figures" },
      figure("Batches", summary.batches), figure("Instances", summary.instances), figure("Places", summary.places), figure("Parties", summary.parties),
      figure("Sold", summary.sold, summary.sold > 0 ? "warn" : ""), figure("Destroyed", summary.destroyed),
      figure("Whereabouts unknown", summary.unplaced, summary.unplaced > 0 ? "warn" : ""), figure("Events", summary.events)),
    h("div", { class: "actions noprint" },
      button("Print", () => window.print()),
      button("Download the dossier", () => save(name, "application/json", text)),
      button("Check it in this browser", () => hand(text, name), { class: "plain" })),
    card("Places", table("Places, those with most affected items first", PLACES, byItems, { quiet: true })),
    card("Parties", table("Parties", PARTIES, dossier.parties, { quiet: true })),
    card("Batches", table("Affected batches, in the order in which they were reached", affected, dossier.batches, { quiet: true })),
    card("Instances", table("Affected single items, in the order in which they were reached", affected, dossier.instances, { quiet: true, most: 100 })),
  ];
}

export async function recall({ query, signal }) {
  const given = (name) => query.get(name) ?? "";
  const asked = h("div", { class: "noprint" }, card("What is called back", question(given)));
  const epc = given("epc");
  const lead = h("p", { class: "lead" }, "Enter a batch: the node answers what is affected, where it was last seen and who had it, with a proof of every entry.");
  if (!epc) return { title: "Recall", heading: "Recall drill", content: [lead, asked] };
  const parameters = { depth: given("depth"), from: given("from"), until: given("until"), bizSteps: given("bizSteps") };
  try {
    const began = performance.now();
    const response = await ask(`${path`/api/v1/recall/${epc}`}${queryString(parameters)}`, { signal });
    const text = await response.text();
    return { title: `Recall of ${named(epc)}`, heading: "Recall drill", content: [asked, ...dossierOf(text, performance.now() - began)] };
  } catch (error) {
    if (signal.aborted || error.status === undefined) throw error;
    return { title: "Recall", heading: "Recall drill", content: [asked, problem(error)] };
  }
}
