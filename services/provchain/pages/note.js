// C2SP signed notes, checkpoints, and the keys that sign them.

import { bigEndian, concat, equal, fromBase64, fromHex, readBigEndian, toHex, utf8 } from "./bytes.js";
import { sha256 } from "./cipher.js";

const LOG = 1;
const WITNESS = 4;
const NOTE_BYTES_MAX = 1 << 20;
const SIGNATURES_MAX = 64;

function checkName(name) {
  // Unicode's white space and controls, as everywhere that these keys are read.
  if (name === "" || /[\p{White_Space}\p{Cc}+]/u.test(name)) {
    throw new Error("a key's name is empty, or has spaces, controls or a plus sign");
  }
}

const keyId = (name, type, key) => sha256(utf8(`${name}\n`), Uint8Array.of(type), key).slice(0, 4);

/** Reads `<name>+<id>+<base64 of type ‖ public key>`. */
export function parseKey(text) {
  const wrong = (reason) => new Error(`"${text}" is no verifier key: ${reason}`);
  const [name, id, ...rest] = text.split("+");
  if (rest.length === 0) throw wrong("it is not a name, an id and a key, joined by plus signs");
  let bytes;
  try {
    checkName(name);
    bytes = fromBase64(rest.join("+"));
  } catch (error) {
    throw wrong(error.message);
  }
  const [type, key] = [bytes[0], bytes.slice(1)];
  if (type !== LOG && type !== WITNESS) throw wrong("its type is unknown");
  if (key.length !== 32) throw wrong("the key is not 32 bytes long");
  const idBytes = keyId(name, type, key);
  if (toHex(idBytes) !== id) throw wrong("the id is not that of the key");
  return { text, name, id: idBytes, type, key };
}

/** The keys in a text, one a line; empty lines are passed over. */
export function parseKeys(text) {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "").map(parseKey);
}

function parseSignature(line) {
  const parts = line.match(/^\u2014 ([^ ]+) ([^ ]+)$/u);
  if (!parts) throw new Error("a signature line is not an em dash, a name and a signature");
  checkName(parts[1]);
  const blob = fromBase64(parts[2]);
  if (blob.length < 5) throw new Error("a signature is too short");
  return { name: parts[1], id: blob.slice(0, 4), bytes: blob.slice(4) };
}

/** Reads a signed note; verifies nothing. */
export function parseNote(note) {
  if (typeof note !== "string") throw new Error("a note is a text");
  if (utf8(note).length > NOTE_BYTES_MAX) throw new Error("the note is longer than 1 MiB");
  const gap = note.lastIndexOf("\n\n");
  if (gap < 0) throw new Error("the note has no empty line before its signatures");
  const text = note.slice(0, gap + 1);
  if (/[\u0000-\u0009\u000b-\u001f]/u.test(text)) throw new Error("the note has a control character");
  const lines = note.slice(gap + 2);
  if (!lines.endsWith("\n")) throw new Error("the note has no newline at its end");
  const signatures = lines.slice(0, -1).split("\n").map(parseSignature);
  if (signatures.length > SIGNATURES_MAX) throw new Error("the note has more than 64 signatures");
  return { text, signatures };
}

/** Reads the text of a checkpoint. */
export function parseCheckpoint(text) {
  const [origin, size, root, ...extensions] = text.slice(0, -1).split("\n");
  if (root === undefined) throw new Error("the checkpoint has fewer than three lines");
  if (origin === "" || extensions.includes("")) throw new Error("the checkpoint has an empty line");
  if (!/^(0|[1-9][0-9]*)$/.test(size) || BigInt(size) >> 64n !== 0n) {
    throw new Error("the checkpoint's size is no number in its shortest form");
  }
  const digest = fromBase64(root);
  if (digest.length !== 32) throw new Error("the checkpoint's root is not 32 bytes long");
  return { origin, size: BigInt(size), root: digest };
}

// The encodings, without their sign, of the points of small order on Ed25519, and of the same in forms
// that are not reduced. Under one of them a signature can verify that nobody made.
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
].map(fromHex);

function hasSmallOrder(point) {
  const unsigned = Uint8Array.from(point);
  unsigned[31] &= 0x7f;
  return SMALL_ORDER.some((small) => equal(small, unsigned));
}

/** Whether this browser can check signatures here, where this page comes from. */
export async function canCheckSignatures() {
  try {
    await crypto.subtle.importKey("raw", new Uint8Array(32).fill(9), "Ed25519", false, ["verify"]);
    return true;
  } catch (error) {
    // A key that it does not like is still one of a kind that it knows.
    return error.name === "DataError";
  }
}

async function verifies(key, message, signature) {
  if (signature.length !== 64 || hasSmallOrder(key) || hasSmallOrder(signature.slice(0, 32))) return false;
  try {
    const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", imported, signature, message);
  } catch (error) {
    if (error.name === "DataError") return false;
    throw error;
  }
}

function signedMessage(key, text, signature) {
  if (key.type === LOG) return [utf8(text), signature];
  const [time, bytes] = [readBigEndian(signature.slice(0, 8)), signature.slice(8)];
  if (signature.length !== 72 || time >> 63n !== 0n) return [utf8(text), new Uint8Array(0)];
  return [utf8(`cosignature/v1\ntime ${time}\n${text}`), bytes];
}

/**
 * The trusted keys that signed a note. Throws if a signature that claims to be by one of them is not,
 * and unless a key of the ledger `origin` is among them: witnesses alone do not make a checkpoint.
 */
export async function signers(note, trusted, origin) {
  const found = [];
  for (const key of trusted) {
    const claiming = note.signatures.filter((by) => by.name === key.name && equal(by.id, key.id));
    if (claiming.length === 0) continue;
    if (claiming.length > 1) throw new Error("the note has two signatures by one key");
    const [message, signature] = signedMessage(key, note.text, claiming[0].bytes);
    if (!(await verifies(key.key, message, signature))) {
      throw new Error(`the signature by ${key.name} does not verify`);
    }
    if (!found.some((other) => other.text === key.text)) found.push(key);
  }
  if (!found.some((key) => key.type === LOG && key.name === origin)) {
    throw new Error("no trusted key of the ledger signed it");
  }
  return found;
}

/** Who claims to have signed a note, as `name+id`. */
export const claimed = (note) => note.signatures.map((by) => `${by.name}+${toHex(by.id)}`);

/** A list of texts, each behind its length, as the formats hash it. */
export function list(...texts) {
  const encoded = texts.map(utf8);
  return concat(...encoded.flatMap((text) => [bigEndian(text.length, 8), text]));
}
