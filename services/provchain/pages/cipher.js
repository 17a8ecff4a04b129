// SHA-256 (FIPS 180-4), HMAC (RFC 2104), HKDF-Expand (RFC 5869) and ChaCha20-Poly1305 (RFC 8439).
//
// Written out rather than taken from WebCrypto: that has no ChaCha20, is missing where a page comes over
// plain HTTP, and is slow for many short inputs. Nothing here is secret from whoever holds the proof file,
// so that time that depends on data tells nobody anything.

import { concat, utf8 } from "./bytes.js";

const primes = (() => {
  const found = [];
  for (let candidate = 2; found.length < 64; candidate += 1) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return found;
})();

/** The first 32 bits of the fraction of the root of a prime; `power` is 2 or 3. */
function rootFraction(prime, power) {
  // Of prime · 2^(32·power), in whole numbers: floating point has too few bits to be relied on.
  const target = BigInt(prime) << BigInt(32 * power);
  let [low, high] = [0n, 1n << 40n];
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(power) <= target) low = middle;
    else high = middle;
  }
  return Number(low & 0xffffffffn);
}

const K = Uint32Array.from(primes, (prime) => rootFraction(prime, 3));
const START = Uint32Array.from(primes.slice(0, 8), (prime) => rootFraction(prime, 2));
const words = new Uint32Array(64);
const rotateRight = (word, bits) => (word >>> bits) | (word << (32 - bits));

function compress(state, view, offset) {
  for (let t = 0; t < 16; t += 1) words[t] = view.getUint32(offset + 4 * t);
  for (let t = 16; t < 64; t += 1) {
    const [a, b] = [words[t - 15], words[t - 2]];
    const s0 = rotateRight(a, 7) ^ rotateRight(a, 18) ^ (a >>> 3);
    const s1 = rotateRight(b, 17) ^ rotateRight(b, 19) ^ (b >>> 10);
    words[t] = words[t - 16] + s0 + words[t - 7] + s1;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let t = 0; t < 64; t += 1) {
    const s1 = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[t] + words[t]) | 0;
    const s0 = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, at) => {
    state[at] += word;
  });
}

export function sha256(...parts) {
  const message = concat(...parts);
  const padded = new Uint8Array((((message.length + 8) >> 6) + 1) << 6);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(message.length) * 8n);
  const state = START.slice();
  for (let offset = 0; offset < padded.length; offset += 64) compress(state, view, offset);
  const digest = new Uint8Array(32);
  const out = new DataView(digest.buffer);
  state.forEach((word, at) => out.setUint32(4 * at, word));
  return digest;
}

export function hmac(key, ...parts) {
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? sha256(key) : key);
  const inner = sha256(block.map((byte) => byte ^ 0x36), ...parts);
  return sha256(block.map((byte) => byte ^ 0x5c), inner);
}

/** HKDF-Expand to 32 bytes. */
export const expand = (key, ...info) => hmac(key, ...info, Uint8Array.of(1));

const rotateLeft = (word, bits) => (word << bits) | (word >>> (32 - bits));

function quarter(s, a, b, c, d) {
  s[a] += s[b];
  s[d] = rotateLeft(s[d] ^ s[a], 16);
  s[c] += s[d];
  s[b] = rotateLeft(s[b] ^ s[c], 12);
  s[a] += s[b];
  s[d] = rotateLeft(s[d] ^ s[a], 8);
  s[c] += s[d];
  s[b] = rotateLeft(s[b] ^ s[c], 7);
}

const SIGMA = utf8("expand 32-byte k");

/** Writes the block of this counter into `out`. */
function chachaBlock(initial, counter, out) {
  initial[12] = counter;
  const state = initial.slice();
  for (let round = 0; round < 10; round += 1) {
    quarter(state, 0, 4, 8, 12);
    quarter(state, 1, 5, 9, 13);
    quarter(state, 2, 6, 10, 14);
    quarter(state, 3, 7, 11, 15);
    quarter(state, 0, 5, 10, 15);
    quarter(state, 1, 6, 11, 12);
    quarter(state, 2, 7, 8, 13);
    quarter(state, 3, 4, 9, 14);
  }
  const view = new DataView(out.buffer);
  state.forEach((word, at) => view.setUint32(4 * at, word + initial[at], true));
}

function poly1305(key, message) {
  const little = (bytes) => readLittleEndian(bytes);
  const r = little(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  const s = little(key.subarray(16, 32));
  const p = (1n << 130n) - 5n;
  let sum = 0n;
  for (let at = 0; at < message.length; at += 16) {
    const block = message.subarray(at, at + 16);
    sum = ((sum + little(block) + (1n << BigInt(8 * block.length))) * r) % p;
  }
  const tag = new Uint8Array(16);
  let rest = sum + s;
  for (let at = 0; at < 16; at += 1) {
    tag[at] = Number(rest & 255n);
    rest >>= 8n;
  }
  return tag;
}

function readLittleEndian(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length === 16) return view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n);
  return bytes.reduceRight((number, byte) => (number << 8n) | BigInt(byte), 0n);
}

const paddedTo16 = (bytes) => new Uint8Array((16 - (bytes.length % 16)) % 16);

/** Encrypts; the tag stands behind the ciphertext. */
export function chacha20Poly1305(key, nonce, associated, plain) {
  const initial = new Uint32Array(16);
  const material = concat(SIGMA, key, new Uint8Array(4), nonce);
  const view = new DataView(material.buffer);
  for (let at = 0; at < 16; at += 1) initial[at] = view.getUint32(4 * at, true);
  const stream = new Uint8Array(64);
  chachaBlock(initial, 0, stream);
  const oneTimeKey = stream.slice(0, 32);
  const sealed = Uint8Array.from(plain);
  for (let at = 0, counter = 1; at < sealed.length; at += 64, counter += 1) {
    chachaBlock(initial, counter, stream);
    const end = Math.min(64, sealed.length - at);
    for (let byte = 0; byte < end; byte += 1) sealed[at + byte] ^= stream[byte];
  }
  const lengths = new Uint8Array(16);
  const out = new DataView(lengths.buffer);
  out.setBigUint64(0, BigInt(associated.length), true);
  out.setBigUint64(8, BigInt(sealed.length), true);
  const authenticated = concat(
    associated, paddedTo16(associated), sealed, paddedTo16(sealed), lengths,
  );
  return concat(sealed, poly1305(oneTimeKey, authenticated));
}
