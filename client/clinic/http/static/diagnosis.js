// A diagnosis: its heatmaps over the image, and what the clinician says.
import { offerAssignment } from "./assign.js";
import { $, fail, fileName, goInWorklist, keysOn, onKeys, say, silent, turnKeys } from "./common.js";
import { gettext, gettextNodes, locale, refusal, term } from "./language.js";
import { Viewer } from "./viewer.js";

const result = $("result"), id = result.dataset.id, layers = [...document.querySelectorAll(".heat")];
let hidden = false, asked = false;

function show() {
  for (const layer of layers) layer.style.opacity = hidden ? 0 : $("opacity").value / 100;
  $("hide").textContent = hidden ? gettext("Show") : gettext("Hide");
}

function toggle() {
  hidden = !hidden;
  show();
  say(hidden ? gettext("The heatmap is hidden.") : gettext("The heatmap is shown."));
}

function query(target, against) {
  const asked = new URLSearchParams({ class: target });
  if (against && against !== target) asked.set("against", against);
  if ($("method")) asked.set("method", $("method").value);
  return asked;
}

const stageOf = (layer) => layer.closest(".stage");

function draw(name, target, against) {
  const layer = document.querySelector(`[data-map="${name}"]`);
  const asked = query(target, against);
  stageOf(layer).dataset.state = "waiting";
  layer.src = `/v1/diagnoses/${id}/heat.png?${asked}`;
}

for (const layer of layers) {
  layer.addEventListener("load", () => {
    stageOf(layer).dataset.state = "ready";
    if (asked) say(gettext("The heatmap is ready."));
    asked = true; // the first comes by itself: the announcement then is the result
  });
  layer.addEventListener("error", () => {
    if (stageOf(layer).dataset.state !== "gone") stageOf(layer).dataset.state = "failed";
    say(gettext("The heatmap could not be drawn."));
  });
}

for (const photo of document.querySelectorAll(".photo")) {
  photo.addEventListener("error", () => { stageOf(photo).dataset.state = "gone"; });
}

// Controls that change nothing are no controls. The node has the map by now, so asking costs nothing.
async function hideIdleControls() {
  const response = await fetch(`/v1/diagnoses/${id}/heatmap.json?${query($("target").value, $("against").value)}`);
  if (!response.ok) return;
  const idle = (await response.json()).depends_on_class === false;
  for (const each of ["classes", "two-classes"]) $(each).hidden = idle;
  $("classless").hidden = !idle;
}

function checkControls() { document.querySelector('[data-map="main"]').addEventListener("load", hideIdleControls, { once: true }); }
checkControls();

const main = () => draw("main", $("target").value, $("against").value);
const side = (number) => draw(`side-${number}`, $(`side-${number}`).value);
$("method")?.addEventListener("change", () => {
  for (const each of document.querySelectorAll(".scale")) each.hidden = each.dataset.method !== $("method").value;
  checkControls();
  main();
  if ($("comparison").open) [0, 1].forEach(side);
});
$("target").addEventListener("change", main);
$("against").addEventListener("change", main);
$("side-0").addEventListener("change", () => side(0));
$("side-1").addEventListener("change", () => side(1));
$("comparison").addEventListener("toggle", () => {
  if ($("comparison").open) [0, 1].forEach(side);
}, { once: true });

$("similar").addEventListener("toggle", async () => {
  if (!$("similar").open) return;
  try {
    const response = await fetch(`/v1/diagnoses/${id}/similar`);
    const found = await response.json();
    if (!response.ok) return note(refusal(found));
    $("cases").replaceChildren(...found.cases.map(similarCase));
    note([found.cases.length ? "" : gettext("None."), gettext(found.note)].join(" ").trim());
  } catch {
    note(silent);
  }
});

function note(text) {
  $("similar-note").textContent = text;
  say(text);
}

function similarCase(each) {
  const item = document.createElement("li"), figure = document.createElement("figure");
  const caption = document.createElement("figcaption"), name = term(each.diagnosis);
  const label = Object.assign(document.createElement("b"), { textContent: name }), how = term(each.confirmed_by ?? "");
  caption.append(...(how ? gettextNodes("%(label)s, confirmed by %(how)s", { label, how }) : [label]), `. ${each.id}`);
  figure.append(Object.assign(document.createElement("img"), { src: each.image, alt: gettext("A case of %(label)s", { label: name }) }), caption);
  item.append(figure);
  return item;
}

$("opacity").addEventListener("input", () => { hidden = false; show(); });
$("hide").addEventListener("click", toggle);

$("keys").checked = keysOn();
$("keys").addEventListener("change", () => turnKeys($("keys").checked));

function opine(agrees) {
  document.querySelector("dialog")?.close();
  form.agrees.value = agrees;
  form.dispatchEvent(new Event("change"));
  form.scrollIntoView({ block: "center" });
  (agrees === "yes" ? form.querySelector("button.main") : $("label")).focus();
}

onKeys({ h: toggle, a: () => opine("yes"), d: () => opine("no"), j: () => goInWorklist(1), k: () => goInWorklist(-1) });

if (fileName(id)) {
  $("file").hidden = false;
  $("file").querySelector("dd").textContent = fileName(id);
}

$("outlined")?.addEventListener("change", (event) => { $("outline").toggleAttribute("hidden", !event.target.checked); });

const form = $("opinion");

form.addEventListener("change", () => { $("label-field").hidden = form.agrees.value !== "no"; });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!form.agrees.value) return fail(gettext("Choose whether you agree."));
  const agrees = form.agrees.value === "yes";
  const given = { agrees, label: agrees ? null : $("label").value, reason: $("reason").value.trim(), confirmed_by: $("confirmed").value || null };
  const headers = { "Content-Type": "application/json" };
  if (!await change({ method: "POST", headers, body: JSON.stringify(given) })) return;
  form.reset();
  $("label-field").hidden = true;
  say(gettext("Your opinion is saved."));
});

// Saves or withdraws an opinion, and shows all of them anew.
async function change(request) {
  const address = `/v1/diagnoses/${id}/opinions`;
  try {
    for (const each of [request, {}]) {
      const response = await fetch(address, each);
      const answer = await response.json();
      if (!response.ok) return fail(refusal(answer));
      if (each !== request) $("opinions").replaceChildren(...answer.map(line));
    }
    fail("");
    return true;
  } catch {
    fail(silent);
  }
}

// As parts.html says it.
function opinionText(each) {
  const who = Object.assign(document.createElement("b"), { textContent: each.who });
  const label = term(each.label ?? ""), how = term(each.confirmed_by ?? "");
  if (each.agrees && how) return gettextNodes("%(who)s agrees, confirmed by %(how)s", { who, how });
  if (each.agrees) return gettextNodes("%(who)s agrees", { who });
  if (how) return gettextNodes("%(who)s disagrees: %(label)s, confirmed by %(how)s", { who, label, how });
  return gettextNodes("%(who)s disagrees: %(label)s", { who, label });
}

function line(each) {
  const item = document.createElement("li"), text = document.createElement("span");
  item.dataset.standing = each.standing;
  text.append(...opinionText(each), each.reason ? `. ${each.reason}` : "");
  const time = new Date(each.time), clock = time.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", hour12: false });
  const day = time.toLocaleDateString(locale, { day: "numeric", month: "long" });
  const when = `${day}, ${clock}${each.standing === "current" ? "" : `, ${term(each.standing)}`}`;
  item.append(text, " ", Object.assign(document.createElement("span"), { className: "soft", textContent: when }));
  if (each.standing === "current" && each.who === result.dataset.who) {
    item.append(" ", Object.assign(document.createElement("button"), { type: "button", className: "plain undo", textContent: gettext("Undo") }));
  }
  return item;
}

$("opinions").addEventListener("click", async (event) => {
  if (event.target.closest(".undo") && await change({ method: "DELETE" })) {
    say(gettext("Your opinion is withdrawn."));
    $("say").focus();
  }
});

// On paper is what the page shows now.
$("pdf").addEventListener("click", () => {
  const asked = query($("target").value, $("against").value);
  asked.set("opacity", hidden ? 0 : $("opacity").value);
  if ($("outlined")?.checked) asked.set("outline", "true");
  $("pdf").href = `/diagnoses/${id}/summary.pdf?${asked}`;
});

new Viewer(document.querySelector(".viewer"));
offerAssignment(id);
show();
main();
// A new page says its title; this says the rest to those who cannot see it: melanoma first, what is folded not.
setTimeout(() => {
  if ($("news").textContent) return; // of what the reader did since, which is news
  const rows = [...document.querySelectorAll(".bars tbody tr")].filter((row) => row.checkVisibility());
  say([$("melanoma"), ...rows].map((each) => each.innerText).join(", "));
}, 300);
