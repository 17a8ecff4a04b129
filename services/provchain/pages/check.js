// The verify page: this browser checks a file by itself. What it asks the node for, it says.

import { json, text } from "./api.js";
import { badge, button, card, field, form, go, h, notice, number, table, time } from "./dom.js";
import { named, thingsOf, typeBadge, where, word } from "./identifiers.js";
import { parseKeys } from "./note.js";
import { verify } from "./verify.js";

/** Larger files are for `provchain verify`. */
const BYTES_MAX = 128 << 20;

let handed = null;

/** Opens the page with a file that another page has. */
export function hand(content, name) {
  handed = { content, name };
  go("#/verify?given=1");
}

const VERDICTS = {
  authentic: ["good", "Authentic", "Everything in the file is as it was recorded, and a key that you trust vouches for it."],
  entries: ["warn", "The events are authentic; the lists around them were not checked here",
    "Every event below is as it was recorded, and a key that you trust vouches for it. What the file concludes from them (items, steps, places, parties, counts) this page does not work out again: provchain verify does."],
  unauthenticated: ["warn", "It fits together, but nobody vouches for it", ""],
  refuted: ["bad", "Refuted", "Something in this file is not as it was recorded. Do not rely on it."],
};

function unauthenticated(report) {
  if (report.signaturesMissing) {
    return "This browser cannot check Ed25519 signatures here: it needs a current browser, and a page that comes over HTTPS or from this machine itself. Anyone could have made this file.";
  }
  return `No trusted key was given, so that the signature was not checked: anyone could have made this file. It claims to be signed by ${report.claimed.join(", ") || "nobody"}.`;
}

const KINDS = { whole: "whole event", parts: "some statements", nothing: "existence only" };

/** What an entry shows, taken from what was proven and from nothing else. */
function content(entry) {
  if (entry.kind === "parts") {
    return h("ul", { class: "plain" }, entry.disclosed.statements.map(({ statement }) => h("li", {}, h("code", { class: "mono" }, statement))));
  }
  if (entry.kind !== "whole") return "–";
  try {
    const event = JSON.parse(entry.disclosed.document);
    return [typeBadge(event.type), ` ${word(event.bizStep)} `, thingsOf(event), where(event) ? h("small", {}, ` ${named(where(event))}`) : null];
  } catch {
    return entry.disclosed.document.slice(0, 200);
  }
}

const COLUMNS = [
  ["Entry", ({ index }) => (index === undefined ? "?" : number(index))],
  ["It holds", ({ faults }) => (faults.length === 0 ? badge("yes", "good") : badge("no", "bad"))],
  ["Recorded", ({ leaf }) => (leaf ? time(new Date(leaf.timeMs).toISOString()) : "–")],
  ["Disclosed", ({ kind }) => KINDS[kind] ?? "–"],
  ["What it says", content],
];

function checks(report) {
  const { checkpoint, verdict } = report;
  const wrong = (place) => report.faults.some((fault) => fault.place.startsWith(place));
  const good = report.entries.filter(({ faults }) => faults.length === 0).length;
  const line = (state, told) => h("li", { class: state }, told);
  return h("ul", { class: "checks" },
    report.signaturesChecked
      ? line(wrong("checkpoint") ? "bad" : "good", wrong("checkpoint") ? "The checkpoint is not signed as it should be." : `The checkpoint is signed by ${report.signers.map(({ text: key }) => key.split("+").slice(0, 2).join("+")).join(", ")}.`)
      : line("open", "The signature of the checkpoint was not checked."),
    report.entries.length > 0
      ? line(good === report.entries.length ? "good" : "bad", `${number(good)} of ${number(report.entries.length)} entries hold: leaf, path to the root, submitter, payload and commitments.`) : null,
    report.consistent ? line("good", "The ledger only grew since the earlier checkpoint in the file.") : null,
    report.kind !== "proof" && checkpoint ? line(wrong("attestation") ? "bad" : report.signaturesChecked ? "good" : "open", wrong("attestation") ? "The node's signature is not under this question and these entries." : report.signaturesChecked ? "A node of the ledger signed the question and which entries answer it." : "The node's statement fits the question and the entries; its signature was not checked.") : null,
    verdict === "refuted" ? null : line("open", "Not done here: that the recorded statements are what each document means (RDFC-1.0). provchain verify does it."));
}

function shown(report, took) {
  const [kind, heading, told] = VERDICTS[report.verdict];
  const { checkpoint } = report;
  return h("div", { class: "verdict" },
    notice(`${kind} large`, h("h2", { tabindex: -1, id: "verdict" }, heading), h("p", {}, told || unauthenticated(report)),
      report.faults.length > 0 ? h("ul", { class: "faults" }, report.faults.slice(0, 100).map(({ place, reason }) => h("li", {}, h("strong", {}, `${place}: `), reason)),
        report.faults.length > 100 ? h("li", {}, `and ${number(report.faults.length - 100)} more`) : null) : null),
    report.entries.length > 0 || checkpoint ? card("What was checked", checks(report),
      checkpoint ? h("dl", { class: "facts" }, [["Ledger", checkpoint.origin], ["Size", `${number(checkpoint.size)} entries`], ["Took", `${(took / 1000).toFixed(2)} s`]].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))) : null) : null,
    report.entries.length > 0 ? card("Entries", table("The entries of this file", COLUMNS, report.entries, { quiet: true, most: 100 })) : null);
}

/** A place to drop a file, and a control to choose one. */
function chooser(taken) {
  const told = h("span", { class: "hint", role: "status" });
  const take = async (file) => {
    if (!file) return;
    if (file.size > BYTES_MAX) {
      told.textContent = "The file is larger than 128 MiB: use provchain verify.";
      return;
    }
    taken(await file.text());
    told.textContent = `${file.name}, ${number(Math.ceil(file.size / 1024))} KiB`;
  };
  const input = h("input", { type: "file", accept: ".json,application/json", onchange: () => take(input.files[0]) });
  const zone = h("div", {
    class: "drop",
    ondragover: (event) => {
      event.preventDefault();
      zone.classList.add("over");
    },
    ondragleave: () => zone.classList.remove("over"),
    ondrop: (event) => {
      event.preventDefault();
      zone.classList.remove("over");
      take(event.dataTransfer.files[0]);
    },
  }, field("Proof file, trace with proofs, or dossier", input), h("p", { class: "hint" }, "Choose it, or drop it here. It stays in this browser."), told);
  return { zone, say: (words) => { told.textContent = words; } };
}

export async function check({ query, signal }) {
  let chosen = "";
  const pasted = h("textarea", { name: "pasted", rows: 4, spellcheck: "false", class: "mono" });
  const file = chooser((content) => {
    chosen = content;
    pasted.value = "";
  });
  const keys = h("textarea", { name: "keys", rows: 3, spellcheck: "false", class: "mono", placeholder: "name+id+key, one a line" });
  const origin = h("p", { class: "hint", role: "status" });
  const progress = h("p", { class: "hint", role: "status" });
  const result = h("div", { "aria-live": "polite" });
  const named = button("Take the keys that this node names", async () => {
    keys.value = (await text("/api/v1/keys")).trim();
    origin.textContent = "This node named these keys. Compare them with what the ledger's operators published elsewhere: a node that lies would name its own.";
  }, { class: "plain" });
  const whole = form({}, [
    file.zone,
    h("details", {}, h("summary", {}, "Paste it instead"), field("Content of the file", pasted)),
    field("Verifier keys that you trust", keys, "Of the nodes, from a source that you trust. Without one, a file can be refuted, and not be shown to be authentic."),
    h("div", { class: "actions" }, named), origin,
  ], "Check", async () => {
    result.replaceChildren();
    const given = pasted.value.trim() || chosen;
    if (!given) return notice("warn", "Choose a file first, or paste its content.");
    const trusted = parseKeys(keys.value);
    const began = performance.now();
    const report = await verify(given, trusted, (done, of) => {
      progress.textContent = `${number(done)} of ${number(of)} entries…`;
    });
    progress.textContent = "";
    result.replaceChildren(shown(report, performance.now() - began));
    document.getElementById("verdict").focus();
    return null;
  });
  whole.querySelector(".told").before(progress);
  const entry = query.get("entry");
  if (query.get("given") && handed) {
    chosen = handed.content;
    file.say(`${handed.name}, as it was just shown`);
  } else if (entry) {
    const proof = await json(`/api/v1/proofs/entries?indices=${encodeURIComponent(entry)}`, { signal });
    chosen = JSON.stringify(proof);
    file.say(`The proof of entry ${entry}, just asked for`);
  }
  return {
    title: "Verify",
    content: [
      h("p", { class: "lead" }, "Check a proof on this device. Nothing is sent anywhere: hashes, paths, encryption and signatures are computed by this page, after the ledger's published formats. The page came from this node: if you do not trust the node, open it at one that you trust, or use provchain verify."),
      card("File and keys", whole),
      result,
    ],
  };
}

