"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  byId("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; });

  const ranks = { info: 0, warn: 1, fail: 2 };
  const filter = byId("filter"), severity = byId("severity"), shown = byId("shown");
  if (filter) {
    const findings = [...document.querySelectorAll(".finding")];
    const apply = () => {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const finding of findings) {
        const text = finding.textContent.toLowerCase();
        const fits = ranks[finding.dataset.severity] >= ranks[severity.value] && words.every((word) => text.includes(word));
        finding.hidden = !fits;
        count += fits ? 1 : 0;
      }
      shown.textContent = `${count} of ${findings.length} shown`;
    };
    filter.addEventListener("input", apply);
    severity.addEventListener("change", apply);
    apply();
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of closed) details.open = false; });
})();
