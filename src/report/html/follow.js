
// What the reader has done to the page outlives each new result: filter, what is open, where the focus is.
const show = (markup) => {
  const result = byId("result");
  const open = new Map([...result.querySelectorAll(".finding")].map((finding) => [finding.dataset.name, finding.open]));
  const kept = ["filter", "severity"].map((id) => [id, byId(id) && byId(id).value]);
  const focus = document.activeElement && document.activeElement.id;
  result.innerHTML = markup;
  for (const [id, value] of kept) if (value && byId(id)) byId(id).value = value;
  for (const finding of result.querySelectorAll(".finding")) {
    if (open.has(finding.dataset.name)) finding.open = open.get(finding.dataset.name);
  }
  if (focus && byId(focus)) byId(focus).focus({ preventScroll: true });
  applyFilter();
};
const say = (words) => { if (byId("state").textContent !== words) byId("state").textContent = words; };
const events = new EventSource("/events");
events.addEventListener("message", (event) => { show(event.data); say("following the run"); });
events.addEventListener("over", (event) => { events.close(); show(event.data); say("the run is over: this is its result"); });
events.addEventListener("error", () => say("the run cannot be reached; this is what it said last"));
