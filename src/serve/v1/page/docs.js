// Renders openapi.json, served beside it. Text goes in as text only: nothing of the document is markup.
"use strict";

const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  Object.entries(attributes || {}).forEach(([name, value]) => node.setAttribute(name, value));
  children.flat().forEach((child) => node.append(child));
  return node;
};

const nameOf = (ref) => ref.split("/").pop();

// A schema in a few words, with links to the types it names.
const brief = (schema) => {
  if (!schema) return [""];
  if (schema.$ref) return [el("a", { href: "#type-" + nameOf(schema.$ref) }, nameOf(schema.$ref))];
  const many = schema.oneOf || schema.anyOf || schema.allOf;
  if (many) return many.flatMap((part, index) => (index ? [" or ", ...brief(part)] : brief(part)));
  if (schema.enum) return [schema.enum.map((word) => JSON.stringify(word)).join(" | ")];
  const type = [].concat(schema.type || "any").join(" or ");
  const range = [["minimum", "≥ "], ["maximum", "≤ "], ["minLength", "length ≥ "], ["maxLength", "length ≤ "]]
    .filter(([key]) => key in schema).map(([key, sign]) => sign + schema[key]).join(", ");
  if (schema.items) return ["list of ", ...brief(schema.items)];
  return [type + (schema.format ? " (" + schema.format + ")" : "") + (range ? ", " + range : "")];
};

const table = (heads, rows) => el("table", {},
  el("tr", {}, heads.map((head) => el("th", {}, head))),
  rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))));

const curl = (method, path, operation) => {
  const body = operation.requestBody ? " -H 'Content-Type: application/json' -d '{...}'" : "";
  const verb = method === "get" ? "" : " -X " + method.toUpperCase();
  const key = operation.security && operation.security.length === 0 ? "" : " -H \"Authorization: Bearer $KEY\"";
  return "curl" + verb + key + body + " " + location.origin + path;
};

const operation = (method, path, item, shared) => {
  const parameters = (shared || []).concat(item.parameters || []);
  const content = (answer) => Object.entries(answer.content || {})
    .flatMap(([kind, media]) => [el("div", {}, el("code", {}, kind), " ", ...brief(media.schema))]);
  const node = el("details", {},
    el("summary", {}, el("code", {}, el("span", { class: "method" }, method.toUpperCase()), path),
      " ", el("span", { class: "note" }, item.summary || "")),
    el("p", {}, item.description || ""),
    el("pre", {}, curl(method, path, item)));
  if (parameters.length) {
    node.append(table(["parameter", "in", "type", ""], parameters.map((parameter) => [
      [el("code", {}, parameter.name), parameter.required ? " (required)" : ""], parameter.in,
      brief(parameter.schema), parameter.description || ""])));
  }
  if (item.requestBody) {
    node.append(el("p", {}, "Body: ", ...content(item.requestBody)));
  }
  node.append(table(["status", "", "body"], Object.entries(item.responses || {})
    .map(([status, answer]) => [status, answer.description || "", content(answer)])));
  return node;
};

const type = (name, schema) => {
  const members = Object.entries(schema.properties || {});
  const required = schema.required || [];
  return el("details", { id: "type-" + name },
    el("summary", {}, el("code", {}, name), " ", el("span", { class: "note" }, schema.description || "")),
    members.length
      ? table(["member", "type", ""], members.map(([member, part]) => [
        [el("code", {}, member), required.includes(member) ? "" : " (optional)"], brief(part), part.description || ""]))
      : el("p", {}, ...brief(schema)));
};

const show = (document_) => {
  const about = document.getElementById("about");
  about.replaceChildren(document_.info.description || "", " Version " + document_.info.version + ". ",
    el("a", { href: "openapi.json" }, "openapi.json"));
  const list = document.getElementById("operations");
  Object.entries(document_.paths).forEach(([path, item]) => {
    ["get", "post", "put", "patch", "delete"].filter((method) => item[method])
      .forEach((method) => list.append(operation(method, path, item[method], item.parameters)));
  });
  const types = document.getElementById("types");
  Object.entries((document_.components || {}).schemas || {})
    .forEach(([name, schema]) => types.append(type(name, schema)));
  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) target.open = true;
  };
  addEventListener("hashchange", open);
  open();
  document.getElementById("find").addEventListener("input", (event) => {
    const word = event.target.value.toLowerCase();
    [...list.children].forEach((node) => {
      node.hidden = !node.firstChild.textContent.toLowerCase().includes(word);
    });
  });
};

fetch("openapi.json")
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => { document.getElementById("about").append(" could not be read: " + error); });
