// Which page is shown: the address behind the `#` says it, so that each can be sent to somebody.

import { json, onSession, session } from "./api.js";
import { h, problem } from "./dom.js";

/** Path patterns and the modules that show them, each loaded when it is needed first. */
const PAGES = [
  [/^\/$/, () => import("./status.js"), "status"],
  [/^\/blocks$/, () => import("./blocks.js"), "blocks"],
  [/^\/blocks\/(\d+)$/, () => import("./blocks.js"), "block"],
  [/^\/events$/, () => import("./search.js"), "search"],
  [/^\/entries\/(\d+)$/, () => import("./entry.js"), "entry"],
  [/^\/ids\/(.+)$/, () => import("./entry.js"), "byId"],
  [/^\/trace$/, () => import("./trace.js"), "trace"],
  [/^\/recall$/, () => import("./recall.js"), "recall"],
  [/^\/verify$/, () => import("./check.js"), "check"],
  [/^\/account$/, () => import("./account.js"), "account"],
  [/^\/keys$/, () => import("./account.js"), "keys"],
  [/^\/partners$/, () => import("./account.js"), "partners"],
  [/^\/users$/, () => import("./people.js"), "users"],
  [/^\/audit$/, () => import("./people.js"), "audit"],
];

const main = document.getElementById("main");
const menu = document.getElementById("menu");
const account = document.getElementById("account");
let leaving = new AbortController();
let shown = false;

/** The path behind the `#`, and its parameters. */
function address() {
  const [path, query] = location.hash.slice(1).split(/\?(.*)/s);
  return { path: path || "/", query: new URLSearchParams(query ?? "") };
}

function mark(path) {
  const [, first] = path.split("/");
  const part = { entries: "events", ids: "events", keys: "account", partners: "account", users: "account", audit: "account" }[first] ?? first;
  for (const anchor of document.querySelectorAll("#ways a")) {
    const current = anchor.getAttribute("href") === `#/${part}`;
    if (current) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

async function load(path, query, signal) {
  for (const [pattern, module, name] of PAGES) {
    const match = path.match(pattern);
    if (match) {
      const pages = await module();
      return pages[name]({ parts: match.slice(1).map(decodeURIComponent), query, signal });
    }
  }
  return {
    title: "There is no such page",
    content: [h("p", {}, "The address leads nowhere. The pages that there are stand above.")],
  };
}

async function show() {
  // The skip link's target is not a page.
  if (location.hash === "#main") return;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const { path, query } = address();
  expand(false);
  mark(path);
  main.setAttribute("aria-busy", "true");
  let page;
  try {
    page = await load(path, query, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (!error.status && error.status !== 0) console.error(error);
    page = { title: error.title ?? "This did not work", content: [problem(error)] };
  }
  if (signal.aborted) return;
  document.title = `${page.title} – provchain`;
  const heading = h("h1", { tabindex: -1 }, page.heading ?? page.title);
  main.replaceChildren(h("div", { class: "head" }, heading, page.beside), ...page.content.filter(Boolean));
  main.removeAttribute("aria-busy");
  window.scrollTo(0, 0);
  // Whoever came by a link hears where they are.
  if (shown) heading.focus({ preventScroll: true });
  shown = true;
  page.ready?.();
}

function expand(open) {
  menu.setAttribute("aria-expanded", String(open));
}

function told(who) {
  account.textContent = who ? who.user : "Log in";
}

menu.addEventListener("click", () => expand(menu.getAttribute("aria-expanded") !== "true"));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu.getAttribute("aria-expanded") === "true") {
    expand(false);
    menu.focus();
  }
});
window.addEventListener("hashchange", show);
onSession(told);
told(session());
show();

try {
  const health = await json("/health");
  document.getElementById("footer").textContent = `${health.node}, provchain ${health.version}`;
} catch {
  // The page says itself what cannot be had.
}
