// Asking the node, as whoever is logged in. Tokens live in the storage of this tab and end with it.

const STORED = "provchain.session";
/** Seconds before its end from which a token is exchanged. */
const EARLY = 30;

/** An error that the node told (RFC 9457), or that kept it from being asked. */
export class Problem extends Error {
  constructor(status, title, detail, document) {
    super(detail);
    Object.assign(this, { status, title, document });
  }

  static async of(response) {
    const text = await response.text();
    let document = {};
    try {
      document = JSON.parse(text);
    } catch {
      // Something between here and the node answered.
    }
    const title = document.title ?? `Status ${response.status}`;
    return new Problem(response.status, title, document.detail ?? "The node gives no reason.", document);
  }
}

let current = JSON.parse(sessionStorage.getItem(STORED) ?? "null");
const listeners = new Set();
let refreshing = null;

/** Who is logged in: `user`, `role`, `party`; nothing for nobody. */
export const session = () => current;
export const isAdmin = () => current?.role === "admin";
export const isOverseer = () => ["admin", "auditor"].includes(current?.role);

export const onSession = (listener) => listeners.add(listener);

function keep(next) {
  current = next;
  if (next) sessionStorage.setItem(STORED, JSON.stringify(next));
  else sessionStorage.removeItem(STORED);
  for (const listener of listeners) listener(next);
}

async function send(path, { method = "GET", body, accept, signal, headers } = {}, token) {
  const sent = new Headers(headers);
  sent.set("accept", accept ?? "application/json");
  if (body !== undefined) sent.set("content-type", "application/json");
  if (token) sent.set("authorization", `Bearer ${token}`);
  try {
    return await fetch(path, { method, headers: sent, body: body && JSON.stringify(body), signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The node cannot be reached", "Check the connection, then try again.");
  }
}

async function open(path, body) {
  const response = await send(path, { method: "POST", body });
  if (!response.ok) throw await Problem.of(response);
  const given = await response.json();
  keep({
    access: given.access_token,
    ends: Date.now() / 1000 + given.expires_in,
    refresh: given.refresh_token,
    user: given.user,
    role: given.role,
    party: given.party,
  });
}

export const login = (user, password) => open("/auth/login", { user, password });

/** Ends the session here, and at the node if it can be reached. */
export async function logout() {
  const ended = current;
  keep(null);
  if (!ended) return;
  try {
    await send("/auth/logout", { method: "POST", body: { refresh_token: ended.refresh } }, ended.access);
  } catch {
    // Its tokens end by themselves.
  }
}

/** A token that still holds. A refresh token is used once, so everybody waits for the same exchange. */
async function token() {
  if (!current) return null;
  if (current.ends - EARLY < Date.now() / 1000) {
    refreshing ??= open("/auth/refresh", { refresh_token: current.refresh }).finally(() => {
      refreshing = null;
    });
    try {
      await refreshing;
    } catch (error) {
      if (error.status !== 401) throw error;
      keep(null);
      throw Object.assign(new Problem(401, "Your session has ended", "Log in again to go on."), { needsLogin: true });
    }
  }
  return current?.access ?? null;
}

/** The response to a request; throws what is wrong with it. */
export async function ask(path, options = {}) {
  const held = await token();
  const response = await send(path, options, held);
  if (response.ok) return response;
  const told = await Problem.of(response);
  // A token that is refused makes nobody of its bearer: without it what is public can be read. A wrong
  // password is answered with the same status.
  const refused = response.headers.get("www-authenticate")?.includes("invalid_token");
  told.needsLogin = response.status === 401 && (refused || !held);
  if (refused && held) keep(null);
  throw told;
}

export const json = async (path, options) => (await ask(path, options)).json();
export const text = async (path, options) => (await ask(path, { accept: "text/plain, */*", ...options })).text();

/** A path of encoded parts. */
export const path = (strings, ...parts) =>
  strings.reduce((whole, string, at) => whole + encodeURIComponent(parts[at - 1]) + string);

/** The query string of the values that are there. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

/** The messages of a stream of server-sent events. `EventSource` cannot send a token. */
async function* messages(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
        if (fields.data) yield { id: fields.id, kind: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * Follows the ledger until `signal` ends it: calls `heard` with each message, and `state` with whether it
 * listens. After a loss it goes on behind the last message.
 */
export async function follow(question, { signal, heard, state = () => {}, once = false }) {
  let last;
  for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 15_000)) {
    try {
      const headers = last ? { "last-event-id": last } : {};
      const response = await ask(`/api/v1/live${query(question)}`, { accept: "text/event-stream", headers, signal });
      state(true);
      for await (const message of messages(response)) {
        last = message.id;
        wait = 500;
        if (heard(message) === false) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (once) throw error;
    }
    if (once) return;
    state(false);
    await new Promise((resume) => {
      setTimeout(resume, wait);
      signal.addEventListener("abort", resume, { once: true });
    });
  }
}
