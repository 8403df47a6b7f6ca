// Redraws the sections marked data-live when the server says that something has changed.
const PAUSE = 1000;
const stale = document.getElementById("stale");
let due = false, busy = false;

async function redraw() {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
  if (!answer.ok || answer.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const now of document.querySelectorAll("[data-live]")) replace(now, fresh.getElementById(now.id));
  stale.hidden = true;
}

function replace(now, next) {
  if (!next || now.outerHTML === next.outerHTML) return;
  const reachable = "a, button, summary, [tabindex]";
  const focused = [...now.querySelectorAll(reachable)].indexOf(document.activeElement);
  const scrolled = [...now.querySelectorAll(".wide")].map((part) => [part.scrollLeft, part.scrollTop]);
  for (const open of now.querySelectorAll("details[open]")) next.querySelector(`#${open.id}`)?.setAttribute("open", "");
  now.replaceWith(document.adoptNode(next));
  next.querySelectorAll(".wide").forEach((part, at) => part.scrollTo(...(scrolled[at] ?? [0, 0])));
  if (focused >= 0) next.querySelectorAll(reachable)[focused]?.focus({ preventScroll: true });
}

async function work() {
  due = true;
  if (busy) return;
  busy = true;
  while (due) {
    due = false;
    try { await redraw(); } catch { stale.hidden = false; }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
  busy = false;
}

const source = new EventSource("/events");
source.addEventListener("change", work);
source.addEventListener("error", () => {
  stale.hidden = false;
  if (source.readyState === EventSource.CLOSED) setTimeout(work, 5000); // signed out, or the server has ended
});
