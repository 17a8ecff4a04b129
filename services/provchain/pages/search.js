// Finding events: by what they name, or the names themselves by a part of them.

import { ask, query as queryString } from "./api.js";
import { badge, button, card, field, form, go, h, link, notice, number, problem, select, table, time } from "./dom.js";
import { named, place, things, thingsOf, traceLink, typeBadge, where, word } from "./identifiers.js";

const PAGE = 50;
/** Names that are looked through for a part of them. */
const NAMES_MAX = 5000;
/** Newest events that are looked through for names of which there is no list. */
const EVENTS_LOOKED_AT = 1000;

const KINDS = [
  ["", "Anything"], ["item", "Item, batch or pallet"], ["party", "Party"], ["place", "Place"],
  ["id", "Event id"], ["text", "Part of an identifier"],
];
const TYPES = ["ObjectEvent", "AggregationEvent", "TransformationEvent", "TransactionEvent", "AssociationEvent"];

const PARAMETERS = {
  item: ["MATCH_anyEPC", "MATCH_anyEPCClass"],
  party: ["source", "destination"].flatMap((end) => [`EQ_${end}_owning_party`, `EQ_${end}_possessing_party`]),
  place: ["EQ_bizLocation", "EQ_readPoint", "EQ_source_location", "EQ_destination_location"],
  id: ["EQ_eventID"],
};

/** The queries that together find what is looked for. */
function queriesOf(find, by, conditions) {
  if (!find) return [conditions];
  const kinds = by === "" ? Object.keys(PARAMETERS) : [by];
  return kinds.flatMap((kind) => PARAMETERS[kind].map((name) => ({ ...conditions, [name]: find })));
}

async function pageOf(path, signal) {
  const response = await ask(path, { signal });
  const next = response.headers.get("link")?.match(/<([^>]+)>; rel="next"/)?.[1];
  const document = await response.json();
  return { events: document.epcisBody.queryResults.resultsBody.eventList, next };
}

/** One page of each query, merged: the newest first, each event once. */
async function pagesOf(paths, tolerant, signal) {
  const answers = await Promise.allSettled(paths.map((path) => pageOf(path, signal)));
  const good = answers.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
  const failed = answers.filter(({ status }) => status === "rejected");
  // What is no identifier of things may be one of a party: then some queries are refused.
  const usual = ({ reason }) => tolerant && reason.status === 400;
  const grave = failed.find((one) => !usual(one)) ?? (good.length === 0 ? failed[0] : undefined);
  if (grave) throw grave.reason;
  return { events: good.flatMap(({ events }) => events), next: good.map(({ next }) => next).filter(Boolean) };
}

const COLUMNS = [
  ["Time", (event) => (event.eventID ? link(`#/ids/${encodeURIComponent(event.eventID)}`, time(event.eventTime)) : time(event.eventTime))],
  ["Type", (event) => [typeBadge(event.type), event.errorDeclaration ? badge("declared wrong", "warn") : null]],
  ["Step", (event) => word(event.bizStep) || "–"],
  ["What", (event) => thingsOf(event, 2)],
  ["Where", (event) => (where(event) ? place(where(event)) : "–")],
  ["Recorded", (event) => time(event.recordTime)],
];

async function events(find, by, conditions, signal) {
  const seen = new Map();
  const shown = h("div", { class: "results" });
  let next = queriesOf(find, by, conditions).map((one) => `/events${queryString({ ...one, perPage: PAGE })}`);
  const more = async () => {
    const page = await pagesOf(next, by === "", signal);
    next = page.next;
    for (const event of page.events) seen.set(JSON.stringify(event), event);
    const rows = [...seen.values()].sort((a, b) => (a.recordTime < b.recordTime ? 1 : -1));
    shown.replaceChildren(
      h("p", { class: "lead", role: "status" }, `${number(rows.length)} ${rows.length === 1 ? "event" : "events"}${next.length > 0 ? ", and there are more" : ""}.`),
      table("Events, those recorded last first", COLUMNS, rows, {
        quiet: true, most: 1000, none: "No event that you may read names this. Check the identifier, or search for a part of it.",
      }),
      next.length > 0 ? h("div", { class: "actions" }, button("Show more", () => more().catch((error) => shown.append(problem(error))))) : "");
  };
  await more();
  return shown;
}

/** The names in a collection that hold a text. */
async function namesWith(part, collection, signal) {
  const found = [];
  let [looked, path] = [0, `/${collection}?perPage=1000`];
  while (path && looked < NAMES_MAX) {
    const response = await ask(path, { signal });
    const { member } = await response.json();
    looked += member.length;
    found.push(...member.filter((name) => readable(name).toLowerCase().includes(part)));
    path = response.headers.get("link")?.match(/<([^>]+)>; rel="next"/)?.[1];
  }
  return { found, cut: Boolean(path) };
}

function readable(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** Batches and parties that hold a text, of which the node keeps no list: from the newest events. */
async function namesInEvents(part, signal) {
  const { events } = await pageOf(`/events?perPage=${EVENTS_LOOKED_AT}`, signal);
  const found = new Map();
  const add = (name, kind) => name && readable(name).toLowerCase().includes(part) && found.set(name, kind);
  for (const event of events) {
    for (const [, name] of things(event)) add(name, "item");
    for (const one of event.sourceList ?? []) add(one.source, partOf(one));
    for (const one of event.destinationList ?? []) add(one.destination, partOf(one));
  }
  return found;
}

const partOf = ({ type }) => (String(type).endsWith("location") ? "place" : "party");

async function names(find, signal) {
  const part = find.toLowerCase();
  const [inEvents, ...lists] = await Promise.all([
    namesInEvents(part, signal),
    ...["epcs", "bizLocations", "readPoints"].map((collection) => namesWith(part, collection, signal)),
  ]);
  const kinds = inEvents;
  for (const name of lists[0].found) kinds.set(name, "item");
  for (const name of [...lists[1].found, ...lists[2].found]) kinds.set(name, "place");
  const rows = [...kinds].sort(([a], [b]) => (named(a) < named(b) ? -1 : 1));
  const limits = `Single things and places are searched in the node's lists, batches and parties in the newest ${number(EVENTS_LOOKED_AT)} events.`;
  return h("div", { class: "results" },
    h("p", { class: "lead", role: "status" }, `${number(rows.length)} ${rows.length === 1 ? "identifier holds" : "identifiers hold"} “${find}”. `, h("small", {}, limits)),
    lists.some((list) => list.cut) ? notice("warn", `Only the first ${number(NAMES_MAX)} names of each list were looked through.`) : null,
    table("Identifiers", [
      ["Identifier", ([name, kind]) => h("span", { class: "item" }, link(searchLink(name, kind), named(name)), h("small", {}, name))],
      ["Kind", ([, kind]) => kind],
      ["Trace", ([name, kind]) => (kind === "item"
        ? h("span", { class: "ways" }, link(traceLink(name, "up"), "Origin"), link(traceLink(name), "Whereabouts"))
        : "–")],
    ], rows, { quiet: true, none: "None that you may read. A whole identifier is searched in all events." }));
}

export const searchLink = (find, by = "") => `#/events${queryString({ find, by })}`;

/** A local time of a form as an instant; nothing if there is none. */
export const instant = (local) => (local ? new Date(`${local}Z`).toISOString() : "");
/** The other way. */
export const local = (value) => (value ? value.slice(0, 16) : "");

function looksWhole(find) {
  return /^(urn|https?|ni|geo|mailto|tag):/i.test(find);
}

export async function search({ query, signal }) {
  const given = (name) => query.get(name) ?? "";
  const [find, by] = [given("find").trim(), given("by")];
  const conditions = { eventType: given("type"), GE_eventTime: given("from"), LT_eventTime: given("until") };
  let found;
  try {
    found = (find && !looksWhole(find) && by === "") || by === "text"
      ? await names(find, signal)
      : await events(find, by, conditions, signal);
  } catch (error) {
    if (signal.aborted) throw error;
    found = problem(error);
  }
  const asked = form({ role: "search" }, [
    h("div", { class: "fields" },
      field("Look for", h("input", { name: "find", type: "search", value: find, autocapitalize: "off", autocomplete: "off", spellcheck: "false", placeholder: "urn:epc:id:… , https://id.gs1.org/… , or a part" })),
      field("Kind", select(KINDS, by, { name: "by" }))),
    h("details", { open: Boolean(given("type") || given("from") || given("until")) }, h("summary", {}, "Narrow down"),
      h("div", { class: "fields" },
        field("Type", select([["", "All types"], ...TYPES.map((type) => [type, type.replace("Event", "")])], given("type"), { name: "type" })),
        field("From (UTC)", h("input", { type: "datetime-local", name: "from", value: local(given("from")) })),
        field("Until (UTC)", h("input", { type: "datetime-local", name: "until", value: local(given("until")) })))),
  ], "Search", (data) => {
    go(`#/events${queryString({
      find: data.get("find").trim(), by: data.get("by"), type: data.get("type"),
      from: instant(data.get("from")), until: instant(data.get("until")),
    })}`);
  });
  return { title: find ? `Events: ${named(find)}` : "Events", heading: "Events", content: [card("Search", asked), found] };
}
