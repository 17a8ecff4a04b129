// Blocks: the newest first, and one with what it seals.

import { follow, json } from "./api.js";
import { card, copyable, facts, h, link, mono, number, shortHash, table, time } from "./dom.js";
import { entryLink, place, thingsOf, typeBadge, where, word } from "./identifiers.js";

const PAGE = 30;
/** Entries of a block that are shown at a time. */
const ENTRIES = 100;

const COLUMNS = [
  ["Height", ({ height }) => link(`#/blocks/${height}`, number(height))],
  ["Time", ({ time: sealed }) => time(sealed)],
  ["Entries", ({ firstEntry, lastEntry }) => `${number(firstEntry)} – ${number(lastEntry)}`, "number"],
  ["Number", ({ firstEntry, lastEntry }) => number(lastEntry - firstEntry + 1), "number"],
  ["Hash", ({ hash }) => h("span", { title: hash }, mono(shortHash(hash)))],
];

/** The way to what is newer and older, as far as there is any. */
function pager(newer, older) {
  return h("nav", { class: "pager", "aria-label": "More" },
    newer ? link(newer, "← Newer") : h("span", {}), older ? link(older, "Older →") : h("span", {}));
}

export async function blocks({ query, signal }) {
  const { block } = await json("/api/v1/ledger", { signal });
  if (!block) {
    return { title: "Blocks", content: [h("p", {}, "No block has been sealed yet: the first follows the first entry.")] };
  }
  const asked = query.get("until");
  const until = Math.min(asked === null ? block.height : Number(asked) || 0, block.height);
  const from = Math.max(0, until - PAGE + 1);
  const found = await json(`/api/v1/blocks?from=${from}&limit=${until - from + 1}`, { signal });
  const newer = until < block.height ? `#/blocks?until=${Math.min(block.height, until + PAGE)}` : null;
  return {
    title: "Blocks",
    content: [
      h("p", { class: "lead" }, `${number(block.height + 1)} blocks. Each seals a run of entries and is signed by the node that made it.`),
      table("Blocks, the newest first", COLUMNS, found.blocks.reverse(), { quiet: true }),
      pager(newer, from > 0 ? `#/blocks?until=${from - 1}` : null),
    ],
  };
}

/** The entries of a block that the asker may read: the stream tells them all, and then the block. */
async function eventsOf(block, from, signal) {
  const events = new Map();
  const until = Math.min(block.lastEntry, from + ENTRIES - 1);
  await follow({ fromEntry: from, fromHeight: block.height }, {
    signal,
    once: true,
    heard: ({ kind, data }) => {
      if (kind === "block" && data.height === block.height) return false;
      if (kind === "event" && data.entry > until) return false;
      if (kind === "event") events.set(data.entry, data);
      return true;
    },
  });
  return Array.from({ length: until - from + 1 }, (_, at) => ({ entry: from + at, ...events.get(from + at) }));
}

const ENTRY_COLUMNS = [
  ["Entry", ({ entry }) => link(entryLink(entry), number(entry))],
  ["Type", ({ event }) => (event ? typeBadge(event.type) : "–")],
  ["Step", ({ event }) => (event ? word(event.bizStep) || "–" : "not for you, or erased")],
  ["What", ({ event }) => (event ? thingsOf(event) : "–")],
  ["Where", ({ event }) => (event && where(event) ? place(where(event)) : "–")],
];

export async function block({ parts: [height], query, signal }) {
  const { blocks: [found] } = await json(`/api/v1/blocks?from=${height}&limit=1`, { signal });
  if (!found) {
    return { title: `Block ${height}`, content: [h("p", {}, "There is no such block yet. ", link("#/blocks", "All blocks"))] };
  }
  const from = Math.min(Math.max(Number(query.get("from")) || found.firstEntry, found.firstEntry), found.lastEntry);
  const entries = await eventsOf(found, from, signal);
  const behind = from + ENTRIES <= found.lastEntry ? `#/blocks/${height}?from=${from + ENTRIES}` : null;
  const before = from > found.firstEntry ? `#/blocks/${height}?from=${Math.max(found.firstEntry, from - ENTRIES)}` : null;
  return {
    title: `Block ${number(height)}`,
    content: [
      h("nav", { class: "pager", "aria-label": "Blocks beside this one" },
        found.height > 0 ? link(`#/blocks/${found.height - 1}`, "← Previous") : h("span", {}),
        link(`#/blocks/${found.height + 1}`, "Next →")),
      card("Header", facts([
        ["Sealed", time(found.time)],
        ["Entries", `${number(found.firstEntry)} to ${number(found.lastEntry)}`],
        ["Hash", copyable(found.hash, "the hash")],
        ["Hash of the block before", copyable(found.previous, "the hash of the block before")],
        ["Root of the tree", copyable(found.treeRoot, "the root")],
        ["Public key of the signer", copyable(found.signer, "the public key")],
        ["Signature", copyable(found.signature, "the signature")],
      ])),
      card("Entries", table("Entries of this block", ENTRY_COLUMNS, entries, { quiet: true }),
        before || behind ? h("nav", { class: "pager", "aria-label": "More entries" },
          before ? link(before, "← Previous entries") : h("span", {}), behind ? link(behind, "More entries →") : h("span", {})) : null),
    ],
  };
}
