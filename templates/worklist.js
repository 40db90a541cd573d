"use strict";
(() => {
  const table = document.getElementById("worklist");
  const search = document.getElementById("search");
  const finding = document.getElementById("finding");
  const shown = document.getElementById("shown");
  const empty = document.getElementById("empty");
  const rows = [...table.querySelectorAll(".row:not(.head)")];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase().replace(/\s+/g, " ")]));
  const numeric = new Set(["place", "flags", "margin", "notes"]);
  const fromTheTop = new Set(["flags", "margin", "notes", "date"]);
  let order = rows;
  let visible = rows;
  let current = null;

  function matches(row, words, choice) {
    if (choice === "any" && !row.dataset.findings) return false;
    if (choice === "none" && row.dataset.findings) return false;
    if (choice === "check" && row.dataset.notes === "0") return false;
    if (/^\d+$/.test(choice) && !row.dataset.findings.split(" ").includes(choice)) return false;
    const text = texts.get(row);
    return words.every((word) => text.includes(word));
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const choice = finding.value;
    visible = order.filter((row) => {
      const yes = matches(row, words, choice);
      row.hidden = !yes;
      return yes;
    });
    shown.textContent = visible.length + " of " + rows.length + " shown";
    empty.hidden = visible.length > 0;
    if (current && current.hidden) select(null);
  }

  function sort(header) {
    const key = header.dataset.key;
    const before = header.getAttribute("aria-sort");
    const first = fromTheTop.has(key) ? "descending" : "ascending";
    const direction = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
    for (const other of table.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
    const compare = numeric.has(key)
      ? (a, b) => Number(a.dataset[key]) - Number(b.dataset[key])
      : (a, b) => collator.compare(a.dataset[key], b.dataset[key]);
    // Equal rows stay in order of urgency, whichever way the column is sorted.
    order = [...rows].sort((a, b) => sign * compare(a, b));
    table.append(...order);
    filter();
  }

  function select(row) {
    if (current) {
      current.classList.remove("current");
      current.removeAttribute("aria-current");
      current.removeAttribute("tabindex");
    }
    current = row;
    if (!row) return;
    row.classList.add("current");
    row.setAttribute("aria-current", "true");
    row.setAttribute("tabindex", "-1");
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function move(step) {
    if (!visible.length) return;
    const at = visible.indexOf(current);
    const next = at < 0 ? (step > 0 ? 0 : visible.length - 1) : at + step;
    select(visible[Math.min(Math.max(next, 0), visible.length - 1)]);
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape" && event.target === search) {
      search.value = "";
      filter();
    } else if (event.key === "ArrowDown" && event.target === search) {
      event.preventDefault();
      move(1);
    } else if (!typing && (event.key === "j" || event.key === "ArrowDown")) {
      event.preventDefault();
      move(1);
    } else if (!typing && (event.key === "k" || event.key === "ArrowUp")) {
      event.preventDefault();
      move(-1);
    } else if (event.key === "Enter" && current && event.target === current) {
      const link = current.querySelector("a.open");
      if (link) link.click();
    }
  });

  for (const header of table.querySelectorAll("[data-key]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    button.addEventListener("click", () => sort(header));
    header.replaceChildren(button);
  }
  const form = document.getElementById("filters");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    move(1);
  });
  search.addEventListener("input", filter);
  finding.addEventListener("change", filter);
  form.hidden = false;
  filter();
})();
