// Who somebody is here: logging in and out, a password, API keys, partners.

import { ask, isAdmin, isOverseer, json, login, logout, path, session } from "./api.js";
import { badge, button, card, copyable, facts, field, form, go, h, link, notice, problem, table, time } from "./dom.js";

const READERS = ["consumer", "auditor"];

/** The ways to what a session may do. */
export function sections(current) {
  const ways = [
    ["#/account", "Account", true], ["#/keys", "API keys", true], ["#/partners", "Partners", true],
    ["#/users", "Users", isOverseer()], ["#/audit", "Audit log", isOverseer()],
  ];
  return h("nav", { class: "sections", "aria-label": "Account" }, h("ul", {}, ways.filter(([, , shown]) => shown).map(([to, name]) =>
    h("li", {}, h("a", { href: to, "aria-current": to === current ? "page" : null }, name)))));
}

/** Shown where somebody has to be logged in and is not. */
export const strangers = (title) => ({
  title,
  content: [h("p", {}, "This is for users of the ledger. ", link("#/account", "Log in"), " first.")],
});

function entrance() {
  const asked = form({ autocomplete: "on" }, [
    field("User", h("input", { name: "user", required: true, autocomplete: "username", autocapitalize: "off", spellcheck: "false" })),
    field("Password", h("input", { name: "password", type: "password", required: true, autocomplete: "current-password" })),
  ], "Log in", async (data) => {
    await login(data.get("user"), data.get("password"));
    go("#/account");
  });
  return {
    title: "Log in",
    content: [
      h("p", { class: "lead" }, "What is public can be read without logging in. Who is logged in also reads what belongs to their party, and what its partners show."),
      h("div", { class: "narrow" }, card("Who you are", asked)),
    ],
  };
}

function password() {
  const secret = (name, autocomplete) => h("input", { type: "password", name, required: true, autocomplete, minlength: name === "new" ? 12 : null });
  return card("Password", form({}, [
    field("Present password", secret("current", "current-password")),
    field("New password", secret("new", "new-password"), "At least twelve characters. All of your sessions end with the change."),
  ], "Change the password", async (data) => {
    await ask("/auth/password", { method: "POST", body: { current: data.get("current"), new: data.get("new") } });
    await logout();
    go("#/account");
  }));
}

export async function account({ signal }) {
  if (!session()) return entrance();
  const me = await json("/auth/me", { signal });
  return {
    title: "Account",
    content: [
      sections("#/account"),
      card("You", facts([["User", me.user], ["Role", badge(me.role, "accent")], ["Party", me.party]]),
        h("div", { class: "actions" }, button("Log out", async () => {
          await logout();
          go("#/account");
        }))),
      password(),
    ],
  };
}

const KEYS = [
  ["Id", ({ id }) => h("code", { class: "mono" }, id)],
  ["Label", ({ label }) => label || "–"],
  ["Acts as", ({ user }) => user],
  ["Made", ({ created }) => time(created)],
  ["Ends", ({ expires }) => (expires ? time(expires) : "never")],
];

export async function keys({ signal }) {
  if (!session()) return strangers("API keys");
  const list = h("div", {});
  const told = h("div", { "aria-live": "polite" });
  const refresh = async () => {
    const { apiKeys } = await json("/api/v1/api-keys", { signal });
    list.replaceChildren(table("API keys", [...KEYS, ["Remove", ({ id, label }) => removal(`Remove the key ${label || id}`, () => ask(path`/api/v1/api-keys/${id}`, { method: "DELETE" }), refresh, told)]],
      apiKeys, { quiet: true, none: "There is none yet." }));
  };
  await refresh();
  const make = form({}, [h("div", { class: "fields" },
    field("Label", h("input", { name: "label", placeholder: "gate 4", maxlength: 100 })),
    isAdmin() ? field("Acts as", h("input", { name: "user", value: session().user, required: true, autocapitalize: "off" })) : null,
    field("Ends after, in days", h("input", { name: "days", type: "number", min: 1, placeholder: "never" })))],
  "Make a key", async (data, shown) => {
    const days = Number(data.get("days"));
    const made = await json("/api/v1/api-keys", { method: "POST", body: {
      label: data.get("label"), ...(data.get("user") ? { user: data.get("user") } : {}), ...(days > 0 ? { expiresIn: days * 86_400 } : {}),
    } });
    shown.reset();
    await refresh();
    return notice("good", h("p", {}, h("strong", {}, "This is the only time that the key is shown. ")), copyable(made.key, "the key"));
  });
  return { title: "API keys", content: [sections("#/keys"), h("p", { class: "lead" }, "Machines send a key instead of a password; it acts as its user."), card("Keys", list, told), card("A new key", make)] };
}

/** A button that asks once more before it removes something. */
export function removal(label, remove, then, told) {
  const stop = () => shown.replaceChildren(first);
  const first = button("Remove", () => {
    const sure = button("Yes, remove", async () => {
      try {
        await remove();
        told.replaceChildren();
        await then();
      } catch (error) {
        told.replaceChildren(problem(error));
        stop();
      }
    }, { class: "danger small", "aria-label": `Yes: ${label}` });
    shown.replaceChildren(sure, button("No", stop, { class: "plain small" }));
    sure.focus();
  }, { class: "plain small", "aria-label": label });
  const shown = h("span", { class: "ways" }, first);
  return shown;
}

export async function partners({ query, signal }) {
  if (!session()) return strangers("Partners");
  const { party: own, role } = session();
  const party = query.get("party") || own;
  const { partners: present } = await json(path`/api/v1/parties/${party}/partners`, { signal });
  const names = h("textarea", { name: "partners", rows: Math.max(4, present.length + 1), autocapitalize: "off", spellcheck: "false" });
  names.value = present.join("\n");
  const mayChange = !READERS.includes(role);
  const shown = mayChange
    ? form({}, [field("Partners, one a line", names, "From now on these parties, and no others, read what this one shows to its partners, earlier events included.")], "Save", async (data) => {
      const list = data.get("partners").split("\n").map((name) => name.trim()).filter(Boolean);
      const saved = await json(path`/api/v1/parties/${party}/partners`, { method: "PUT", body: { partners: list } });
      return notice("good", `Saved: ${saved.partners.length === 0 ? "no partners" : saved.partners.join(", ")}.`);
    })
    : h("ul", {}, present.length === 0 ? h("li", {}, "None.") : present.map((name) => h("li", {}, name)));
  const other = isOverseer() ? card("Another party", form({}, [field("Party", h("input", { name: "party", required: true, value: party, autocapitalize: "off" }))], "Show", (data) => {
    go(`#/partners?${new URLSearchParams({ party: data.get("party").trim() })}`);
  })) : null;
  return { title: "Partners", content: [sections("#/partners"), card(`Partners of ${party}`, shown), other] };
}
