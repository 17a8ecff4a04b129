// The status page: asks the status service, shows what it says, and says plainly when it says nothing.

import { badge, card, h, moment, percent, span, table } from "./dom.js";

/** Milliseconds between two questions, and how long an answer may take. */
const EVERY = 5_000;
const PATIENCE = 6_000;

const HEALTH = {
  up: ["Works", "good"],
  degraded: ["Works in part", "warn"],
  down: ["Does not work", "bad"],
  unknown: ["Not asked yet", ""],
};
const $ = (id) => document.getElementById(id);
const health = (kind) => badge(...(HEALTH[kind] ?? [kind, ""]));

/** Why the service cannot be asked. */
class Silence extends Error {}

async function ask() {
  let response;
  try {
    response = await fetch("/api/status", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  } catch {
    throw new Silence("It does not answer.");
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok || !Array.isArray(answer?.systems)) {
    throw new Silence(answer?.detail ?? `It answers with status ${response.status}.`);
  }
  return answer;
}

/** The last days, one bar each, with the same in words for those who do not see them. */
function days(system, report) {
  const known = new Map(system.days.map((day) => [day.day, day]));
  const today = new Date((report.at ?? new Date().toISOString()).slice(0, 10));
  const bars = [];
  const told = [];
  for (let back = report.days - 1; back >= 0; back -= 1) {
    const name = new Date(today - back * 86_400_000).toISOString().slice(0, 10);
    const day = known.get(name);
    const share = day?.probes ? day.up / day.probes : null;
    const kind = share === null ? "" : share === 1 ? "good" : share >= 0.95 ? "warn" : "bad";
    const words = share === null ? "not watched" : percent(share);
    bars.push(h("li", { class: kind, title: `${name}: ${words}` }));
    if (share !== null && share < 1) told.push(`${name}: ${words}`);
  }
  const uptime = system.uptime === null ? "Not watched yet" : `${percent(system.uptime)} of questions answered`;
  const worse = told.length === 0 ? "no day was worse than another" : `not all were answered on ${told.join(", ")}`;
  const words = `${system.name}, last ${report.days} days: ${uptime}, on ${known.size} days watched; ${worse}.`;
  return [
    h("p", { class: "unseen" }, words),
    h("ul", { class: "days", "aria-hidden": "true" }, bars),
    h("p", { class: "scale", "aria-hidden": "true" }, h("span", {}, `${report.days} days ago`), h("span", {}, uptime), h("span", {}, "today")),
  ];
}

const COLUMNS = [
  ["Node", (node) => node.name],
  ["Now", (node) => badge(node.up ? "Answers" : "Does not answer", node.up ? "good" : "bad")],
  ["Where", (node) => node.place || "–"],
  ["Since", (node) => (node.since ? moment(node.since) : "–")],
  ["Says", (node) => `${node.detail}${node.up ? `, in ${Math.max(1, Math.round(node.seconds * 1000))} ms` : ""}`],
];

function system(one, report) {
  const pages = one.pages ? h("a", { class: "ways", href: one.pages }, `Pages of ${one.name}`) : null;
  const up = one.nodes.filter((node) => node.up).length;
  const nodes = h("details", { open: one.health === "degraded" || one.health === "down", "data-of": one.name },
    h("summary", {}, `${up} of ${one.nodes.length} nodes answer`),
    table(`The nodes of ${one.name}`, COLUMNS, one.nodes));
  const past = one.days ? days(one, report) : h("p", { class: "soft" }, "Its last days cannot be shown: history is missing.");
  return card(one.name, [health(one.health), h("span", { class: "soft" }, one.summary), pages], past, nodes);
}

function incident(one) {
  const length = one.closed_at ? `over after ${span(one.opened_at, one.closed_at)}` : "still open";
  const notes = one.notes.map((note) =>
    h("li", {}, h("p", {}, note.text), h("small", {}, note.author, ", ", moment(note.at))));
  return h("li", {},
    h("div", {}, badge(one.closed_at ? "Over" : "Open", one.closed_at ? "" : "bad"), " ",
      h("strong", {}, `${one.system} / ${one.node}`), " ", moment(one.opened_at), `, ${length}`),
    h("small", {}, one.reason, ` · incident ${one.id}`),
    notes.length > 0 ? h("ul", { class: "notes", "aria-label": `Notes on incident ${one.id}` }, notes) : null);
}

/** What was opened or closed by the reader stays so. */
function replace(place, ...content) {
  const chosen = new Map([...place.querySelectorAll("details")].map((one) => [one.dataset.of, one.open]));
  place.replaceChildren(...content.filter(Boolean));
  for (const one of place.querySelectorAll("details")) {
    if (chosen.has(one.dataset.of)) one.open = chosen.get(one.dataset.of);
  }
}

/** Says it once: a notice that is there already is not read out again. */
function notices(...wanted) {
  const place = $("notices");
  const text = wanted.map(([, words]) => words).join("\n");
  if (place.dataset.said === text) return;
  place.dataset.said = text;
  place.replaceChildren(...wanted.map(([kind, words]) => h("p", { class: `notice ${kind}`, role: "status" }, words)));
}

function show(report) {
  const bad = report.systems.filter((one) => one.health === "down" || one.health === "degraded");
  const all = report.systems.length === 0 ? ["warn", "Nothing is watched yet."]
    : report.at === null ? ["", "Nobody has been asked yet."]
      : bad.length === 0 ? ["good", "All systems work."]
        : ["bad", `Not all is well: ${bad.map((one) => one.name).join(", ")}.`];
  const missing = report.history.state === "missing"
    ? [["warn", `History is missing: ${report.history.reason}. What is shown is health now; the last days come back by themselves.`]] : [];
  notices(all, ...missing);
  replace($("systems"), ...report.systems.map((one) => system(one, report)));
  const incidents = report.incidents;
  replace($("incidents"), card("Incidents", null,
    incidents === null ? h("p", { class: "soft" }, "They cannot be shown: history is missing.")
      : incidents.length === 0 ? h("p", { class: "soft" }, `None in the last ${report.days} days.`)
        : h("ul", { class: "incidents" }, incidents.map(incident))));
  $("live").textContent = report.at ? `Asked ${new Date(report.at).toLocaleTimeString("en-GB")}` : "Waiting for the first answers";
  $("live").className = "live on";
}

/** Whether what is shown has been shown before the service fell silent. */
let seen = false;

async function refresh() {
  try {
    show(await ask());
    seen = true;
  } catch (error) {
    const why = error instanceof Silence ? error.message : "Its answer cannot be read.";
    const old = seen ? " What is shown below is what it said last." : "";
    notices(["bad", `The status service cannot be reached. ${why}${old}`]);
    $("live").textContent = "Not connected; trying again…";
    $("live").className = "live off";
    if (!(error instanceof Silence)) throw error;
  } finally {
    $("main").removeAttribute("aria-busy");
    setTimeout(refresh, EVERY);
  }
}

refresh();
