// Verifying proof files, and what is said around them, as services/provchain/FORMATS.md has it.
//
// What is not done again here: the canonicalisation of documents (RDFC-1.0), and the walk behind the lists
// of a trace or a recall. The report says so where it matters; `provchain verify` does both.

import { bigEndian, concat, equal, fromBase64, readBigEndian, toBase64, utf8 } from "./bytes.js";
import { chacha20Poly1305, expand, sha256 } from "./cipher.js";
import { checkConsistency, checkInclusion, leafHash, rootOf } from "./merkle.js";
import { canCheckSignatures, claimed, list, parseCheckpoint, parseNote, signers } from "./note.js";

const STATEMENTS_MAX = 1 << 16;
const DERIVED = "provchain/v1 ";

/** An object with these members and no others. */
function members(value, what, required, optional = []) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Error(`${what} is no object`);
  }
  for (const name of required) {
    if (!Object.hasOwn(value, name)) throw new Error(`${what} has no "${name}"`);
  }
  for (const name of Object.keys(value)) {
    if (!required.includes(name) && !optional.includes(name)) {
      throw new Error(`${what} has a member "${name}" that the format does not know`);
    }
  }
  return value;
}

function text(value, what) {
  if (typeof value !== "string" || /\p{Surrogate}/u.test(value)) throw new Error(`${what} is no text`);
  return value;
}

function whole(value, what) {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`${what} is no whole number`);
  return BigInt(value);
}

function array(value, what) {
  if (!Array.isArray(value)) throw new Error(`${what} is no list`);
  return value;
}

function bytes(value, what, length) {
  let decoded;
  try {
    decoded = fromBase64(text(value, what));
  } catch (error) {
    throw new Error(`${what}: ${error.message}`);
  }
  if (decoded.length !== length) throw new Error(`${what} is not ${length} bytes long`);
  return decoded;
}

const hash = (value, what) => bytes(value, what, 32);
const hashes = (value, what) => array(value, what).map((one) => hash(one, what));

/** The fields of a leaf. */
export function readLeaf(encoded) {
  const leaf = {
    kind: encoded[1],
    timeMs: Number(readBigEndian(encoded.slice(2, 10))),
    submitter: encoded.slice(10, 42),
    statementRoot: encoded.slice(42, 74),
    statementCount: Number(readBigEndian(encoded.slice(74, 78))),
    payloadHash: encoded.slice(78, 110),
  };
  if (encoded[0] !== 1) throw new Error(`the leaf has the version ${encoded[0]}; this page reads 1`);
  if (leaf.kind !== 1 && leaf.kind !== 2) throw new Error("the leaf is of an unknown kind");
  if (leaf.statementCount < 1 || leaf.statementCount > STATEMENTS_MAX) {
    throw new Error("the leaf does not count 1 to 65,536 statements");
  }
  return leaf;
}

const commitStatement = (salt, statement) =>
  sha256(utf8(`${DERIVED}statement\0`), salt, utf8(statement));
const commitSubmitter = (salt, name) => sha256(utf8(`${DERIVED}submitter\0`), salt, utf8(name));

/** The stored payload that an entry key makes of a submitter and a document. */
export function sealPayload(key, submitter, document) {
  const name = utf8(submitter);
  if (name.length === 0 || name.length > 65535) throw new Error("the submitter is empty or too long");
  const plain = concat(Uint8Array.of(1, 1), bigEndian(name.length, 2), name, utf8(document));
  const associated = concat(utf8(`${DERIVED}payload\0`), Uint8Array.of(1));
  const payloadKey = expand(key, utf8(`${DERIVED}payload key`));
  return concat(Uint8Array.of(1), chacha20Poly1305(payloadKey, new Uint8Array(12), associated, plain));
}

/** What the key of an entry commits to its submitter with. */
export const submitterSalt = (key) => expand(key, utf8(`${DERIVED}submitter salt`));

function checkWhole(value, leaf, faults) {
  const given = members(value, "whole", ["key", "submitter", "document", "commitments"]);
  const key = bytes(given.key, "key", 32);
  const submitter = text(given.submitter, "submitter");
  const document = text(given.document, "document");
  const commitments = hashes(given.commitments, "commitments");
  if (!equal(commitSubmitter(submitterSalt(key), submitter), leaf.submitter)) {
    faults.push(`submitter: "${submitter}" is not who was recorded`);
  }
  if (!equal(sha256(sealPayload(key, submitter, document)), leaf.payloadHash)) {
    faults.push("document: it is not the one that was recorded, or the key is another");
  }
  const fits = commitments.length === leaf.statementCount;
  if (!fits || !equal(rootOf(commitments.map(leafHash)), leaf.statementRoot)) {
    faults.push("commitments: they are not those of the recorded statements");
  }
}

function checkParts(value, leaf, faults) {
  const given = members(value, "parts", ["statements"], ["submitter"]);
  if (given.submitter !== undefined && given.submitter !== null) {
    const by = members(given.submitter, "submitter", ["name", "salt"]);
    const name = text(by.name, "submitter");
    if (!equal(commitSubmitter(hash(by.salt, "salt"), name), leaf.submitter)) {
      faults.push(`submitter: "${name}" is not who was recorded`);
    }
  }
  for (const one of array(given.statements, "statements")) {
    const { index, statement, salt, path } =
      members(one, "a statement", ["index", "statement", "salt", "path"]);
    try {
      const leafOf = leafHash(commitStatement(hash(salt, "salt"), text(statement, "statement")));
      const count = BigInt(leaf.statementCount);
      const place = whole(index, "index");
      checkInclusion(place, count, leafOf, hashes(path, "path"), leaf.statementRoot);
    } catch (error) {
      faults.push(`statement ${index}: it was not recorded so (${error.message})`);
    }
  }
}

function checkDisclosed(disclosed, leaf, faults) {
  members(disclosed, "disclosed", [], ["whole", "parts", "nothing"]);
  const kinds = Object.keys(disclosed);
  if (kinds.length !== 1) throw new Error("disclosed is not one of whole, parts and nothing");
  if (kinds[0] === "whole") checkWhole(disclosed.whole, leaf, faults);
  if (kinds[0] === "parts") checkParts(disclosed.parts, leaf, faults);
  if (kinds[0] === "nothing") members(disclosed.nothing, "nothing", []);
  return kinds[0];
}

/** One entry of a proof file: what it says, and what is wrong with it. */
function checkEntry(entry, checkpoint) {
  const faults = [];
  const found = { index: undefined, faults };
  try {
    members(entry, "an entry", ["index", "leaf", "inclusion", "disclosed"]);
    found.index = whole(entry.index, "index");
    const encoded = bytes(entry.leaf, "leaf", 110);
    found.leaf = readLeaf(encoded);
    const path = hashes(entry.inclusion, "inclusion");
    if (checkpoint) {
      try {
        checkInclusion(found.index, checkpoint.size, leafHash(encoded), path, checkpoint.root);
      } catch (error) {
        faults.push(`inclusion: ${error.message}`);
      }
    }
    found.kind = checkDisclosed(entry.disclosed, found.leaf, faults);
    found.disclosed = entry.disclosed[found.kind];
  } catch (error) {
    faults.push(error.message);
  }
  return found;
}

async function readCheckpoint(text, trusted) {
  const note = parseNote(text);
  const checkpoint = parseCheckpoint(note.text);
  const by = trusted.length > 0 ? await signers(note, trusted, checkpoint.origin) : [];
  return { note, checkpoint, by };
}

async function checkConsistent(given, later, trusted) {
  const { checkpoint: noted, path } = members(given, "consistency", ["checkpoint", "path"]);
  const { checkpoint: earlier } = await readCheckpoint(noted, trusted);
  if (earlier.origin !== later.origin) throw new Error("the checkpoints are of different ledgers");
  const way = hashes(path, "path");
  checkConsistency(earlier.size, later.size, way, earlier.root, later.root);
}

/** Lets the page breathe: the next piece of work comes after what the browser has to do. */
const breathe = () => new Promise((resume) => {
  setTimeout(resume);
});

/** Verifies a proof file. `progress` is told how many of how many entries are done. */
async function checkProof(file, trusted, progress) {
  const report = { faults: [], entries: [], signers: [], claimed: [] };
  const fault = (place, reason) => report.faults.push({ place, reason });
  members(file, "the proof file", ["format", "version", "checkpoint", "entries"], ["consistency"]);
  if (file.format !== "provchain-proof") throw new Error("the format is not provchain-proof");
  if (file.version !== 1) throw new Error(`the version is ${file.version}; this page reads 1`);
  try {
    const note = parseNote(file.checkpoint);
    report.claimed = claimed(note);
    report.checkpoint = parseCheckpoint(note.text);
    report.signers = (await readCheckpoint(file.checkpoint, trusted)).by;
  } catch (error) {
    fault("checkpoint", error.message);
  }
  if (file.consistency !== undefined && file.consistency !== null && report.checkpoint) {
    try {
      await checkConsistent(file.consistency, report.checkpoint, trusted);
      report.consistent = true;
    } catch (error) {
      fault("consistency", error.message);
    }
  }
  const entries = array(file.entries, "entries");
  if (entries.length === 0) fault("entries", "there are none: the file proves nothing");
  for (const [at, entry] of entries.entries()) {
    const found = checkEntry(entry, report.checkpoint);
    if (at > 0 && !(found.index > report.entries[at - 1].index)) {
      fault("entries", "they are not in ascending order of their index");
    }
    for (const reason of found.faults) fault(`entry ${found.index ?? "?"}`, reason);
    report.entries.push(found);
    if (at % 32 === 31) {
      progress(at + 1, entries.length);
      await breathe();
    }
  }
  return report;
}

/** The node's signature under the question and the entries of an answer. */
async function checkAttestation(answer, report, trusted) {
  const { origin } = report.checkpoint;
  const { filter = {} } = answer;
  const digest = sha256(utf8(`${DERIVED}answer\0`), list(
    text(answer.epc, "epc"), text(answer.direction, "direction"), String(answer.depth), String(answer.treeSize),
    filter.from ?? "", filter.until ?? "", (filter.types ?? []).join(","),
    (filter.bizSteps ?? []).join(","), report.entries.map((entry) => entry.index).join(","),
  ));
  const note = parseNote(answer.attestation);
  if (note.text !== `${DERIVED}answer\n${origin}\n${toBase64(digest)}\n`) {
    throw new Error("it is of another question, or of an answer with other entries");
  }
  if (trusted.length > 0) await signers(note, trusted, origin);
}

async function checkAnswer(answer, report, trusted) {
  const fault = (place, reason) => report.faults.push({ place, reason });
  if (!report.checkpoint) return;
  if (BigInt(answer.treeSize) !== report.checkpoint.size) {
    fault("treeSize", `it is ${answer.treeSize}, and the proof is of a tree of ${report.checkpoint.size}`);
  }
  try {
    await checkAttestation(answer, report, trusted);
  } catch (error) {
    fault("attestation", error.message);
  }
  for (const entry of report.entries) {
    if (entry.kind && entry.kind !== "whole") {
      fault(`entry ${entry.index}`, "it is not disclosed, so that nothing can be said of its event");
    }
  }
}

/** The proof file in what was given, and the answer that it belongs to, if there is one. */
function parse(given) {
  const file = JSON.parse(given);
  const answer = file?.format === "provchain-recall" ? file.trace : file;
  if (!Array.isArray(answer?.items)) return { file };
  if (!answer.proof) throw new Error("this answer comes without its proof: ask with proofs=true");
  if (!Number.isSafeInteger(answer.treeSize)) throw new Error("treeSize is no whole number");
  return { file: answer.proof, answer, kind: answer === file ? "trace" : "recall" };
}

/**
 * Verifies the text of a proof file, an answer to a trace or the dossier of a recall.
 *
 * The verdict is `refuted` if something is wrong, `unauthenticated` if no trusted key was given or the
 * browser cannot check signatures, `entries` if everything that was checked is authentic but lists stand
 * around it that were not, and `authentic` if trusted keys vouch for all of it.
 */
export async function verify(given, trusted, progress = () => {}) {
  const signatures = trusted.length === 0 || (await canCheckSignatures());
  const keys = signatures ? trusted : [];
  let report;
  try {
    const { file, answer, kind = "proof" } = parse(given);
    report = { ...(await checkProof(file, keys, progress)), kind };
    if (answer) await checkAnswer(answer, report, keys);
  } catch (error) {
    const reason = error instanceof SyntaxError ? `it is no JSON (${error.message})` : error.message;
    report = { faults: [{ place: "file", reason }], entries: [], signers: [], claimed: [], kind: "proof" };
  }
  report.signaturesChecked = signatures && trusted.length > 0;
  report.signaturesMissing = !signatures;
  if (report.faults.length > 0) report.verdict = "refuted";
  else if (!report.signaturesChecked) report.verdict = "unauthenticated";
  else report.verdict = report.kind === "proof" ? "authentic" : "entries";
  return report;
}
