"use strict";
const byId = (id) => document.getElementById(id);
const root = document.documentElement;
const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

const ranks = { info: 0, warn: 1, fail: 2 };
const applyFilter = () => {
  const filter = byId("filter"), severity = byId("severity");
  if (!filter) return;
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const findings = [...document.querySelectorAll(".finding")];
  for (const finding of findings) {
    const text = finding.textContent.toLowerCase();
    finding.hidden = !(ranks[finding.dataset.severity] >= ranks[severity.value] && words.every((word) => text.includes(word)));
  }
  byId("shown").textContent = `${findings.filter((finding) => !finding.hidden).length} of ${findings.length} shown`;
};
document.addEventListener("input", (event) => { if (event.target.closest(".filter")) applyFilter(); });
document.addEventListener("click", (event) => {
  if (event.target.closest("#theme")) root.dataset.theme = isDark() ? "light" : "dark";
});
applyFilter();

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const details of closed) details.open = true;
});
addEventListener("afterprint", () => { for (const details of closed) details.open = false; });
