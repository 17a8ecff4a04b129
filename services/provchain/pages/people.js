// Users and the audit log: for administrators, and to look at for auditors.

import { ask, isAdmin, isOverseer, json, path, query as queryString } from "./api.js";
import { removal, sections, strangers } from "./account.js";
import { badge, button, card, field, form, h, link, number, problem, select, table, time } from "./dom.js";

const ROLES = ["farmer", "processor", "transporter", "retailer", "consumer", "auditor", "admin"];
const PAGE = 100;

const roles = (chosen) => select(ROLES.map((role) => [role, role]), chosen, { name: "role" });
const present = (data, names) => Object.fromEntries(names.map((name) => [name, data.get(name)]).filter(([, value]) => value));

function change(user, done, told) {
  const { name, role, party, disabled } = user;
  const patch = (body) => json(path`/api/v1/users/${name}`, { method: "PATCH", body });
  return card(`Change ${name}`, form({}, [h("div", { class: "fields" },
    field("Role", roles(role)),
    field("Party", h("input", { name: "party", value: party, autocapitalize: "off" })),
    field("New password", h("input", { name: "password", type: "password", autocomplete: "new-password", minlength: 12, placeholder: "unchanged" })))],
  "Save", async (data) => {
    const given = present(data, ["role", "party", "password"]);
    if (given.role === role) delete given.role;
    if (given.party === party) delete given.party;
    await patch(given);
    await done();
  }), h("div", { class: "actions" },
    button(disabled ? "Let in again" : "Disable", async () => {
      try {
        await patch({ disabled: !disabled });
        await done();
      } catch (error) {
        told.replaceChildren(problem(error));
      }
    }, { class: disabled ? "" : "danger" }),
    removal(`Remove the user ${name}`, () => ask(path`/api/v1/users/${name}`, { method: "DELETE" }), done, told)));
}

function newUser(done) {
  return card("A new user", form({}, [h("div", { class: "fields" },
    field("Name", h("input", { name: "name", required: true, autocapitalize: "off", autocomplete: "off" })),
    field("Role", roles("farmer")),
    field("Party", h("input", { name: "party", autocapitalize: "off", placeholder: "as the name" })),
    field("Password", h("input", { name: "password", type: "password", autocomplete: "new-password", minlength: 12 }), "Without one it acts through API keys only."))],
  "Make the user", async (data, shown) => {
    await json("/api/v1/users", { method: "POST", body: present(data, ["name", "role", "party", "password"]) });
    shown.reset();
    await done();
  }));
}

export async function users({ signal }) {
  if (!isOverseer()) return strangers("Users");
  const list = h("div", {});
  const changing = h("div", {});
  const told = h("div", { "aria-live": "polite" });
  const refresh = async () => {
    const { users: all } = await json("/api/v1/users", { signal });
    const edit = (user) => button("Change", () => {
      changing.replaceChildren(change(user, refresh, told));
      changing.querySelector("select").focus();
    }, { class: "plain small", "aria-label": `Change ${user.name}` });
    changing.replaceChildren();
    told.replaceChildren();
    list.replaceChildren(table("Users", [
      ["Name", ({ name }) => name],
      ["Role", ({ role }) => badge(role)],
      ["Party", ({ party }) => party],
      ["State", ({ disabled }) => (disabled ? badge("disabled", "bad") : badge("active", "good"))],
      ["Comes in by", ({ password }) => (password ? "password" : "API keys only")],
      ...(isAdmin() ? [["Change", edit]] : []),
    ], all, { quiet: true }));
  };
  await refresh();
  return { title: "Users", content: [sections("#/users"), card("Users", list, told), changing, isAdmin() ? newUser(refresh) : null] };
}

export async function audit({ query, signal }) {
  if (!isOverseer()) return strangers("Audit log");
  const before = query.get("before");
  const { audit: rows } = await json(`/api/v1/audit${queryString({ before, limit: PAGE })}`, { signal });
  const last = rows.at(-1);
  return {
    title: "Audit log",
    content: [
      sections("#/audit"),
      h("p", { class: "lead" }, "What was done to users, keys, sessions and partners, and by whom: the newest first."),
      table("Audit log", [
        ["Number", ({ id }) => number(id)],
        ["Time", ({ time: at }) => time(at)],
        ["Who", ({ actor }) => actor || "–"],
        ["What", ({ action }) => badge(action)],
        ["Whom", ({ target }) => target || "–"],
        ["Detail", ({ detail }) => detail || "–"],
      ], rows, { quiet: true }),
      h("nav", { class: "pager", "aria-label": "More" }, before ? link("#/audit", "← Newest") : h("span", {}),
        rows.length === PAGE ? link(`#/audit?before=${last.id}`, "Older →") : h("span", {})),
    ],
  };
}
