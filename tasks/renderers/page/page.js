"use strict";
// The theme is set before the page is painted; the rest once it is there. Without this script everything is shown, unfiltered.
const root = document.documentElement;

const storage = {
  read() { try { return localStorage.getItem("potstill-theme"); } catch { return null; } },
  write(theme) { try { localStorage.setItem("potstill-theme", theme); } catch { /* a page from the disk may have no storage */ } },
};

function setTheme(theme) {
  root.dataset.theme = theme;
}

if (storage.read()) setTheme(storage.read());

function startTheme() {
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const name = () => { button.textContent = isDark() ? "Light page" : "Dark page"; };
  button.addEventListener("click", () => {
    setTheme(isDark() ? "light" : "dark");
    storage.write(root.dataset.theme);
    name();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
  name();
  button.hidden = false;
}

function startFilters() {
  const form = document.getElementById("filters");
  if (!form) return;
  const more = document.getElementById("more");
  const page = 10;
  const cases = [...document.querySelectorAll(".case")].map((element) => ({ element, text: element.textContent.toLowerCase() }));
  let shown = page;
  const show = () => {
    const kind = form.elements.kind.value, task = form.elements.task.value;
    const text = form.elements.text.value.trim().toLowerCase();
    const found = cases.filter(({ element, text: inside }) =>
      (!kind || element.dataset.kind === kind) && (!task || element.dataset.task === task) && inside.includes(text));
    const visible = new Set(found.slice(0, shown));
    for (const each of cases) each.element.hidden = !visible.has(each);
    form.querySelector("output").textContent = found.length ? `${visible.size} of ${found.length} shown` : "No completion is like this";
    more.hidden = visible.size === found.length;
    markScrolling();
    return found;
  };
  form.addEventListener("input", () => { shown = page; show(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    const first = shown;
    shown += page;
    const next = show()[first];
    if (next) { next.element.tabIndex = -1; next.element.focus(); }  // a keyboard goes on where the new ones begin
  });
  form.hidden = false;
  show();
}

// What scrolls by itself can be reached by keyboard.
function markScrolling() {
  for (const each of document.querySelectorAll(".scroll, .said, pre")) {
    const scrolls = each.scrollWidth > each.clientWidth + 1 || each.scrollHeight > each.clientHeight + 1;
    if (scrolls) each.tabIndex = 0; else each.removeAttribute("tabindex");
  }
}

function startPrinting() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
}

addEventListener("DOMContentLoaded", () => {
  startTheme();
  startFilters();
  startPrinting();
  markScrolling();
  addEventListener("resize", markScrolling);
  document.addEventListener("toggle", markScrolling, true);
});
