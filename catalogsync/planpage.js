"use strict";
(() => {
  const PIECE = 200;
  const { items, kinds } = JSON.parse(document.getElementById("data").textContent);
  const list = document.getElementById("list"), more = document.getElementById("more");
  const search = document.getElementById("search"), filters = document.getElementById("filters");
  const status = document.getElementById("shown");
  const chosen = new Set();
  let found = [], shown = 0;

  // Text goes in as text only: nothing of the data is ever read as markup.
  function make(tag, name, text) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function value(cell) {
    const box = make("dd");
    if (Array.isArray(cell)) {
      for (const [how, text] of cell) box.append(make({ "-": "del", "+": "ins", "…": "span" }[how] || "span", how === "…" ? "gap" : "", text));
      return box;
    }
    if (cell.old !== "") box.append(make("span", "whole old", cell.old));
    box.append(make("span", "whole new", cell.new));
    return box;
  }

  function article(item) {
    const made = make("article", "");
    made.dataset.kind = item.kind;
    const head = make("div", "");
    head.append(make("span", "kind " + item.kind, item.label), make("span", "key", item.key), " ", make("span", "where", item.where));
    made.append(head);
    const lines = make("dl", "");
    for (const [title, cell] of item.lines) lines.append(make("dt", "", title), value(cell));
    made.append(lines);
    return made;
  }

  function words(item) {
    if (item.words === undefined) {
      const cells = item.lines.flatMap(([title, cell]) => [title, ...(Array.isArray(cell) ? [cell.map((part) => part[0] === "+" ? "" : part[1]).join(""), cell.map((part) => part[0] === "-" ? "" : part[1]).join("")] : [cell.old, cell.new])]);
      item.words = [item.label, item.key, item.where, ...cells].join("\n").toLowerCase();
    }
    return item.words;
  }

  function grow() {
    const piece = document.createDocumentFragment();
    for (const item of found.slice(shown, shown + PIECE)) piece.append(article(item));
    list.append(piece);
    shown = Math.min(found.length, shown + PIECE);
    more.hidden = shown >= found.length;
    more.textContent = `Show ${Math.min(PIECE, found.length - shown)} more`;
    status.textContent = `${found.length} of ${items.length} entries` + (shown < found.length ? `, the first ${shown} shown` : "");
  }

  function look() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = items.filter((item) => (!chosen.size || chosen.has(item.kind)) && wanted.every((word) => words(item).includes(word)));
    list.replaceChildren();
    shown = 0;
    grow();
  }

  for (const [kind, title] of kinds) {
    const count = items.filter((item) => item.kind === kind).length;
    const button = make("button", "", `${title} ${count}`);
    button.type = "button";
    button.dataset.kind = kind;
    button.disabled = !count;
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (!chosen.delete(kind)) chosen.add(kind);
      button.setAttribute("aria-pressed", String(chosen.has(kind)));
      look();
    });
    filters.append(button);
  }
  // The address may carry a search and filters: plan.html#q=ruler&kind=update
  const asked = new URLSearchParams(location.hash.slice(1));
  search.value = asked.get("q") || "";
  for (const kind of asked.getAll("kind")) filters.querySelector(`[data-kind="${CSS.escape(kind)}"]`)?.click();
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(look, 150); });
  more.addEventListener("click", grow);
  look();
})();
