// How the ledger and its cluster are, as it changes.

import { follow, json, text } from "./api.js";
import { ago, badge, button, card, copyable, facts, h, link, notice, number, problem, save, table, time } from "./dom.js";
import { entryLink, place, thingsOf, typeBadge, where, word } from "./identifiers.js";

/** Events that are shown of the newest. */
const NEWEST = 8;
/** How often what no message tells of is asked for again. */
const EVERY = 5000;

const figure = (name) => {
  const value = h("dd", {});
  return { value, shown: h("div", {}, h("dt", {}, name), value) };
};

const COLUMNS = [
  ["Entry", ({ entry }) => link(entryLink(entry), number(entry))],
  ["Type", ({ event }) => typeBadge(event.type)],
  ["Step", ({ event }) => word(event.bizStep) || "–"],
  ["What", ({ event }) => thingsOf(event)],
  ["Where", ({ event }) => (where(event) ? place(where(event)) : "–")],
  ["Recorded", ({ captured }) => time(captured)],
];

function members(cluster) {
  return table("Members", [
    ["Node", ({ name }) => [name, name === cluster.leader ? badge("leader", "accent") : null]],
    ["State", ({ reachable, name }) => (reachable || name === cluster.name ? badge("reachable", "good") : badge("not reachable", "bad"))],
    ["Round trip", ({ round_trip_ms }) => (typeof round_trip_ms === "number" ? `${round_trip_ms.toFixed(1)} ms` : "–"), "number"],
    ["Vote", ({ voter }) => (voter ? "votes" : "follows")],
    // Where nodes are is for those who oversee.
    ...(cluster.members.some(({ address }) => address) ? [["Address", ({ address }) => h("code", { class: "mono" }, address)]] : []),
  ], cluster.members, { quiet: true });
}

function troubles(cluster, health) {
  const failing = Object.entries(health?.checks ?? {}).filter(([, check]) => check.status !== "pass");
  const found = [
    cluster.halted && `This node has stopped serving: ${cluster.halted}`,
    cluster.writes_refused && `Nothing new is taken in: ${cluster.writes_refused}`,
    ...failing.map(([name, check]) => `${name}: ${check.detail}`),
  ].filter(Boolean);
  return found.length === 0 ? null : notice("warn", h("ul", {}, found.map((one) => h("li", {}, one))));
}

export async function status({ signal }) {
  const [entries, blocks, newest, reachable] = ["Entries", "Blocks", "Newest block", "Nodes reachable"].map(figure);
  const live = h("p", { class: "live", role: "status" }, "Connecting…");
  const tree = h("div", {});
  const nodes = h("div", {});
  const warnings = h("div", {});
  const feed = h("div", {});
  let block;
  const rows = [];

  const showFeed = () => feed.replaceChildren(table("Newest events", COLUMNS, rows, {
    quiet: true, none: ledger.size === 0 ? "No event has been recorded yet." : "Waiting for events that you may read.",
  }));
  const showBlock = () => {
    newest.value.replaceChildren(block ? link(`#/blocks/${block.height}`, ago(block.time)) : "–");
    blocks.value.textContent = block ? number(block.height + 1) : "0";
  };
  const refresh = async () => {
    const [ledger, cluster, health] = await Promise.all([
      json("/api/v1/ledger", { signal }), json("/api/v1/cluster", { signal }),
      json("/health", { signal }).catch(() => null),
    ]);
    block = ledger.block ?? block;
    showBlock();
    entries.value.textContent = number(ledger.size);
    const up = cluster.members.filter(({ reachable: up, name }) => up || name === cluster.name);
    reachable.value.textContent = `${up.length} of ${cluster.members.length}`;
    warnings.replaceChildren(...[troubles(cluster, health)].filter(Boolean));
    tree.replaceChildren(facts([
      ["Ledger", copyable(ledger.origin, "the name of the ledger")],
      ["Root", copyable(ledger.root, "the root")],
      ["Indexed", `${number(ledger.indexed)} of ${number(ledger.size)} entries`],
      ["Asked", `${cluster.name}, ${cluster.role}, term ${cluster.term}`],
    ]));
    nodes.replaceChildren(members(cluster));
    return ledger;
  };

  const ledger = await refresh();
  showFeed();
  const repeat = setInterval(() => refresh().catch(() => {}), EVERY);
  signal.addEventListener("abort", () => clearInterval(repeat));
  const heard = ({ kind, data }) => {
    if (kind === "event") {
      rows.unshift(data);
      rows.length = Math.min(rows.length, NEWEST);
      if (data.entry + 1 > ledger.size) {
        ledger.size = data.entry + 1;
        entries.value.textContent = number(ledger.size);
      }
      showFeed();
    } else if (kind === "block") {
      block = data;
      showBlock();
    }
  };
  const state = (listening) => {
    live.textContent = listening ? "Live" : "Not connected; trying again…";
    live.classList.toggle("on", listening);
  };
  const question = { fromEntry: Math.max(0, ledger.size - NEWEST) };
  follow(question, { signal, heard, state }).catch((error) => feed.replaceChildren(problem(error)));

  const get = (label, from, name) => button(label, async () => save(name, "text/plain", await text(from)), { class: "plain" });
  return {
    title: "Status",
    heading: "Status of the ledger",
    beside: live,
    content: [
      h("dl", { class: "figures" }, entries.shown, blocks.shown, newest.shown, reachable.shown),
      warnings,
      card("Newest events", feed, h("p", {}, link("#/events", "Search events"))),
      h("div", { class: "columns" },
        card("Tree", tree,
          h("p", {}, "A signed checkpoint, kept anywhere, shows later that nothing under it was changed."),
          h("div", { class: "actions" }, get("Checkpoint", "/checkpoint", "checkpoint.txt"), get("Verifier keys", "/api/v1/keys", "keys.txt"))),
        card("Nodes", nodes)),
    ],
  };
}
