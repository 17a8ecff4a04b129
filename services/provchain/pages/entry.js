// One entry of the ledger: its event, what the tree holds of it, and its proofs.

import { ask, json, path, text } from "./api.js";
import { badge, button, card, copyable, facts, form, h, link, notice, number, save, table, time } from "./dom.js";
import { item, place, things, traceLink, typeBadge, typeName, word } from "./identifiers.js";
import { searchLink } from "./search.js";

const listed = (values) => (values.length === 0 ? null : h("ul", { class: "plain" }, values.map((value) => h("li", {}, value))));

const ended = (list, name) => (list ?? []).map((one) =>
  h("span", {}, link(searchLink(one[name], one.type?.endsWith("location") ? "place" : "party"), place(one[name])), ` (${word(one.type)})`));

function eventFacts(event) {
  return facts([
    ["Type", [typeBadge(event.type), event.errorDeclaration ? badge("declared wrong", "warn") : null]],
    ["Happened", time(event.eventTime)],
    ["Action", event.action && word(event.action.toLowerCase())],
    ["Business step", event.bizStep && word(event.bizStep)],
    ["Disposition", event.disposition && word(event.disposition)],
    ["Read point", event.readPoint && link(searchLink(event.readPoint.id, "place"), place(event.readPoint.id))],
    ["Business location", event.bizLocation && link(searchLink(event.bizLocation.id, "place"), place(event.bizLocation.id))],
    ["Sources", listed(ended(event.sourceList, "source"))],
    ["Destinations", listed(ended(event.destinationList, "destination"))],
    ["Business transactions", listed((event.bizTransactionList ?? []).map((one) => h("span", {}, one.bizTransaction, one.type ? ` (${word(one.type)})` : "")))],
    ["Event id", event.eventID && copyable(event.eventID, "the event id")],
  ]);
}

function thingsTable(event) {
  return table("Things", [
    ["Thing", ([, identifier]) => item(identifier)],
    ["It is", ([role]) => role],
    ["Amount", ([, , amount]) => amount || "–", "number"],
    ["Trace", ([, identifier]) => h("span", { class: "ways" },
      link(traceLink(identifier, "up"), "Origin"), link(traceLink(identifier), "Whereabouts"))],
  ], things(event), { quiet: true, none: "This event names no things." });
}

/** The event, or why there is none to be had: hidden, erased, or its keys are elsewhere. */
async function event(index, signal) {
  try {
    return { found: await json(`/api/v1/entries/${index}/event`, { signal }) };
  } catch (error) {
    if ([404, 410, 503].includes(error.status)) return { why: error };
    throw error;
  }
}

function reason(held, why) {
  if (held.erased) return "The content of this entry was erased. What remains proves that it was there, and nothing of what it said.";
  if (why.status === 404) return "The content of this entry is not for you to read. That it exists, and since when, is public.";
  return why.message;
}

const download = async (name, from) => save(name, "application/json", await text(from, { accept: "application/json" }));

/** Some statements of the event, to show these and nothing else. */
function disclosure(index) {
  const shown = h("div", {});
  const open = async () => {
    const { statements } = await json(`/api/v1/entries/${index}/statements`);
    shown.replaceChildren(form({}, [
      h("fieldset", { class: "statements" }, h("legend", {}, `Statements to disclose, of ${number(statements.length)}`),
        statements.map((statement, at) => h("label", {}, h("input", { type: "checkbox", name: "statement", value: at }), h("code", { class: "mono" }, statement)))),
      h("label", {}, h("input", { type: "checkbox", name: "submitter" }), " and who submitted it"),
    ], "Download the proof of these", async (data) => {
      const chosen = data.getAll("statement").join(",");
      if (!chosen) return notice("warn", "Choose a statement first.");
      const submitter = data.get("submitter") ? "&submitter=true" : "";
      await download(`entry-${index}-parts.json`, `/api/v1/proofs/entries?indices=${index}&statements=${chosen}${submitter}`);
      return notice("good", "The proof file shows these statements, how many others there are, and nothing of them.");
    }));
  };
  return h("details", { ontoggle: (toggled) => toggled.target.open && !shown.hasChildNodes() && open().catch((error) => shown.append(error.message)) },
    h("summary", {}, "Disclose only some statements"), shown);
}

function proofs(index, readable) {
  const from = `/api/v1/proofs/entries?indices=${index}`;
  return card("Proof",
    h("p", {}, "A proof file shows on any other machine that this entry is in the ledger, unchanged. Whoever has it can read the event."),
    h("div", { class: "actions" },
      readable ? button("Download the proof", () => download(`entry-${index}.json`, from)) : null,
      button("Proof of its existence only", () => download(`entry-${index}-closed.json`, `${from}&closed=true`), { class: "plain" }),
      link(`#/verify?entry=${index}`, "Check it in this browser")),
    readable ? disclosure(index) : null);
}

function leaf(held) {
  return card("What the tree holds", facts([
    ["Recorded", time(held.time)],
    ["Leaf hash", copyable(held.leafHash, "the leaf hash")],
    ["Statements", number(held.statementCount)],
    ["Root of the statements", copyable(held.statementRoot, "the root of the statements")],
    ["Payload hash", copyable(held.payloadHash, "the payload hash")],
    ["Commitment to the submitter", copyable(held.submitterCommitment, "the commitment")],
  ]));
}

export async function entry({ parts: [index], signal }) {
  const [held, { found, why }] = await Promise.all([json(`/api/v1/entries/${index}`, { signal }), event(index, signal)]);
  const at = Number(index);
  return {
    title: `Entry ${number(at)}`,
    content: [
      h("nav", { class: "pager", "aria-label": "Entries beside this one" },
        at > 0 ? link(`#/entries/${at - 1}`, "← Previous") : h("span", {}), link(`#/entries/${at + 1}`, "Next →")),
      found ? card(`${typeName(found.type)} event`, eventFacts(found), thingsTable(found),
        h("details", {}, h("summary", {}, "The whole event as JSON"), h("pre", { tabindex: 0 }, JSON.stringify(found, null, 2)))) : notice("warn", reason(held, why)),
      h("div", { class: "columns" }, proofs(index, Boolean(found)), leaf(held)),
    ],
  };
}

/** The entry of an event, by the event's own id. */
export async function byId({ parts: [id], query, signal }) {
  const response = await ask(path`/events/${id}`, { signal });
  const at = response.headers.get("content-location")?.match(/\/entries\/(\d+)\//)?.[1];
  return entry({ parts: [at], query, signal });
}
