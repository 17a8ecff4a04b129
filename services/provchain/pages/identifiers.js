// Identifiers and events in the words that people use for them.

import { badge, h, link } from "./dom.js";

const HOST = "https://id.gs1.org/";
const PRIMARY = new Map([
  ["00", "SSCC"], ["01", "GTIN"], ["253", "GDTI"], ["255", "GCN"], ["401", "GINC"], ["402", "GSIN"],
  ["414", "GLN"], ["415", "GLN"], ["417", "party GLN"], ["8003", "GRAI"], ["8004", "GIAI"],
  ["8006", "ITIP"], ["8010", "CPID"], ["8013", "GMN"], ["8017", "GSRN"], ["8018", "GSRN"], ["8026", "ITIP"],
]);
const QUALIFIERS = new Map([["10", "lot"], ["21", "serial"], ["22", "variant"], ["254", "extension"]]);

const URNS = new Map([
  ["sgtin", "serial"], ["sscc", "SSCC"], ["sgln", "location"], ["pgln", "party"], ["grai", "GRAI"],
  ["giai", "GIAI"], ["gdti", "GDTI"], ["lgtin", "lot"], ["idpat", "class"],
]);

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** What an identifier names: `kind`, `value`, and what it is one `of`. */
export function short(identifier) {
  const text = String(identifier);
  if (text.startsWith(HOST)) {
    const [ai, value, qualifier, second] = text.slice(HOST.length).split("/");
    const kind = PRIMARY.get(ai);
    if (kind && value) {
      const whole = { kind, value: decoded(value) };
      if (qualifier === undefined) return whole;
      const below = QUALIFIERS.get(qualifier);
      if (below && second) return { kind: below, value: decoded(second), of: `${whole.kind} ${whole.value}` };
    }
  }
  const urn = text.match(/^urn:epc:(?:id|class|idpat):([a-z]+):(.+)$/);
  if (urn && URNS.has(urn[1])) return { kind: URNS.get(urn[1]), value: decoded(urn[2]) };
  return { kind: "", value: text };
}

export function named(identifier) {
  const { kind, value } = short(identifier);
  return kind ? `${kind} ${value}` : value;
}

export const traceLink = (identifier, direction = "down") =>
  `#/trace?${new URLSearchParams({ epc: identifier, direction })}`;
export const entryLink = (entry) => `#/entries/${entry}`;

/** An item, short, with its whole identifier behind it and the way to its trace. */
export function item(identifier) {
  const { kind, value, of } = short(identifier);
  return h("span", { class: "item" },
    link(traceLink(identifier), kind ? h("span", { class: "kind" }, `${kind} `) : null, value),
    of ? h("small", {}, of) : null);
}

/** A place or a party. */
export function place(identifier) {
  const { kind, value, of } = short(identifier);
  return h("span", { class: "item", title: identifier }, kind ? h("span", { class: "kind" }, `${kind} `) : null,
    value, of ? h("small", {}, of) : null);
}

/** The last word of a vocabulary's URI: `shipping` of `https://ref.gs1.org/cbv/BizStep-shipping`. */
export function word(value) {
  const text = String(value ?? "");
  const last = text.match(/(?:BizStep-|Disp-|:)([A-Za-z_]+)$/);
  return (last ? last[1] : text).replaceAll("_", " ");
}

export const typeName = (type) => String(type ?? "Event").replace(/Event$/, "") || "Event";
export const typeBadge = (type) => badge(typeName(type), `type ${typeName(type).toLowerCase()}`);

/** The place of an event. */
export const where = (event) => event.bizLocation?.id ?? event.readPoint?.id;

/** Every identifier of things in an event, with what it is to it. */
export function things(event) {
  const one = (role, value) => (value ? [[role, value]] : []);
  const many = (role, list) => (list ?? []).map((value) => [role, value]);
  const amounts = (role, list) => (list ?? []).map((one) => [role, one.epcClass, amount(one)]);
  return [
    ...one("parent", event.parentID),
    ...many("item", event.epcList), ...amounts("item", event.quantityList),
    ...many("part", event.childEPCs), ...amounts("part", event.childQuantityList),
    ...many("input", event.inputEPCList), ...amounts("input", event.inputQuantityList),
    ...many("output", event.outputEPCList), ...amounts("output", event.outputQuantityList),
  ];
}

const amount = ({ quantity, uom }) => (quantity === undefined ? "" : `${quantity} ${uom ?? ""}`.trim());

/** The first few things of an event on a line each, and how many more there are. */
export function thingsOf(event, most = 1) {
  const all = things(event);
  const rest = all.length - most;
  return h("span", { class: "things" }, all.slice(0, most).map(([, identifier], at) => {
    const { kind, value } = short(identifier);
    const more = at === most - 1 && rest > 0 ? h("small", {}, ` and ${rest} more`) : null;
    return h("span", {}, link(traceLink(identifier), kind ? h("span", { class: "kind" }, `${kind} `) : null, value), more);
  }), all.length === 0 ? "–" : null);
}
