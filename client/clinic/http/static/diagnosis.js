// A diagnosis: its heatmaps over the image, and what the clinician says.
const $ = (id) => document.getElementById(id);
const result = $("result"), id = result.dataset.id, layers = [...document.querySelectorAll(".heat")];
let hidden = false, asked = false;

function say(text) { $("news").textContent = text; }

function show() {
  for (const layer of layers) layer.style.opacity = hidden ? 0 : $("opacity").value / 100;
  $("hide").textContent = hidden ? "Show" : "Hide";
}

function toggle() {
  hidden = !hidden;
  show();
  say(hidden ? "The heatmap is hidden." : "The heatmap is shown.");
}

function query(target, against) {
  const asked = new URLSearchParams({ class: target });
  if (against && against !== target) asked.set("against", against);
  return asked;
}

function draw(name, target, against) {
  const layer = document.querySelector(`[data-map="${name}"]`);
  const asked = query(target, against);
  layer.parentElement.dataset.state = "waiting";
  layer.src = `/v1/diagnoses/${id}/heat.png?${asked}`;
}

for (const layer of layers) {
  layer.addEventListener("load", () => {
    layer.parentElement.dataset.state = "ready";
    if (asked) say("The heatmap is ready.");
    asked = true; // the first comes by itself: the announcement then is the result
  });
  layer.addEventListener("error", () => {
    if (layer.parentElement.dataset.state !== "gone") layer.parentElement.dataset.state = "failed";
    say("The heatmap could not be drawn.");
  });
}

for (const photo of document.querySelectorAll(".photo")) {
  photo.addEventListener("error", () => { photo.parentElement.dataset.state = "gone"; });
}

// Controls that change nothing are no controls. The node has the map by now, so asking costs nothing.
async function hideIdleControls() {
  const response = await fetch(`/v1/diagnoses/${id}/heatmap.json?${query($("target").value, $("against").value)}`);
  if (!response.ok || (await response.json()).depends_on_class !== false) return;
  for (const each of ["classes", "two-classes"]) $(each).hidden = true;
  $("classless").hidden = false;
}

document.querySelector('[data-map="main"]').addEventListener("load", hideIdleControls, { once: true });

const main = () => draw("main", $("target").value, $("against").value);
const side = (number) => draw(`side-${number}`, $(`side-${number}`).value);
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
    if (!response.ok) return note(`${found.error}. ${found.remedy}.`);
    $("cases").replaceChildren(...found.cases.map(similarCase));
    note(found.cases.length ? found.note : `None. ${found.note}`);
  } catch {
    note("The node does not answer. Try again in a moment.");
  }
});

function note(text) {
  $("similar-note").textContent = text;
  say(text);
}

function similarCase(each) {
  const item = document.createElement("li"), figure = document.createElement("figure");
  const caption = document.createElement("figcaption"), name = each.diagnosis.replaceAll("_", " ");
  const how = each.confirmed_by ? `, confirmed by ${each.confirmed_by}` : "";
  caption.append(Object.assign(document.createElement("b"), { textContent: name }), `${how}. ${each.id}`);
  figure.append(Object.assign(document.createElement("img"), { src: each.image, alt: `A case of ${name}` }), caption);
  item.append(figure);
  return item;
}

$("opacity").addEventListener("input", () => { hidden = false; show(); });
$("hide").addEventListener("click", toggle);
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "h" || !$("keys").checked || event.ctrlKey || event.altKey || event.metaKey) return;
  if (!event.target.closest("textarea, select, input[type=text]")) toggle();
});

$("outlined")?.addEventListener("change", (event) => { $("outline").toggleAttribute("hidden", !event.target.checked); });

const form = $("opinion");

function fail(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

form.addEventListener("change", () => { $("label-field").hidden = form.agrees.value !== "no"; });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!form.agrees.value) return fail("Choose whether you agree.");
  const agrees = form.agrees.value === "yes";
  const given = { agrees, label: agrees ? null : $("label").value, reason: $("reason").value.trim(), confirmed_by: $("confirmed").value || null };
  const headers = { "Content-Type": "application/json" };
  try {
    const response = await fetch(`/v1/diagnoses/${id}/opinions`, { method: "POST", headers, body: JSON.stringify(given) });
    const saved = await response.json();
    if (!response.ok) return fail(`${saved.error}. ${saved.remedy}.`);
    add(saved);
  } catch {
    fail("The node does not answer. Try again in a moment.");
  }
});

function add(saved) {
  const line = document.createElement("li");
  const verdict = saved.agrees ? "agrees" : `disagrees: ${saved.label.replaceAll("_", " ")}`;
  const sure = saved.confirmed_by ? `, confirmed by ${saved.confirmed_by}` : "";
  line.append(Object.assign(document.createElement("b"), { textContent: saved.who }));
  line.append(` ${verdict}${sure}${saved.reason ? `. ${saved.reason}` : ""}`);
  $("opinions").append(line);
  fail("");
  form.reset();
  $("label-field").hidden = true;
  say("Your opinion is saved.");
}

show();
main();
// A new page says its title; this says the rest to those who cannot see it.
setTimeout(() => say([...document.querySelectorAll(".bars tbody tr")].map((row) => row.innerText).join(", ")), 300);
