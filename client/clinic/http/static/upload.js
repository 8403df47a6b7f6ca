// New images: chosen, dropped, pasted or photographed, and sent one after another with the clinical data.
import { assign } from "./assign.js";
import { $, fail, rememberName, say, silent } from "./common.js";
import { gettext, ngettext, number, refusal } from "./language.js";
import { transfer } from "./transfer.js";

const form = $("upload"), drop = $("drop"), send = $("send");
let queue = [], sending = false;

function choose(files) {
  for (const file of files) add(file);
  if (files.length) say(ngettext("%(num)s selected.", "%(num)s selected.", queue.length));
  update();
}

function add(file) {
  const item = document.createElement("li"), picture = document.createElement("img");
  const text = document.createElement("div"), state = document.createElement("p");
  const remove = Object.assign(document.createElement("button"), { type: "button", textContent: gettext("Remove") });
  const name = Object.assign(document.createElement("b"), { textContent: file.name });
  const entry = { file, item, state, remove, id: null };
  picture.alt = "";
  picture.src = URL.createObjectURL(file);
  picture.addEventListener("error", () => picture.classList.add("gone")); // such as DICOM
  state.textContent = `${number(file.size / 2 ** 20, 1)} MiB`;
  remove.className = "plain";
  remove.setAttribute("aria-label", gettext("Remove %(name)s", { name: file.name }));
  remove.addEventListener("click", () => {
    queue = queue.filter((each) => each !== entry);
    URL.revokeObjectURL(picture.src);
    item.remove();
    update();
  });
  text.append(name, state);
  item.append(picture, text, remove);
  $("queue").append(item);
  queue.push(entry);
}

const waiting = () => queue.filter((each) => each.id === null);

function update() {
  const count = waiting().length;
  send.disabled = sending || !count;
  send.textContent = sending ? gettext("Diagnosing …") : count > 1 ? ngettext("Diagnose %(num)s image", "Diagnose %(num)s images", count) : gettext("Diagnose");
  $("one-person").hidden = queue.length < 2;
  fail("");
}

for (const input of [$("file"), $("camera")]) {
  input.addEventListener("change", () => { choose([...input.files]); input.value = ""; });
  choose([...input.files]); // some chosen before this script came
}
for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  choose([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => choose([...event.clipboardData.files]));

function metadata() {
  const metadata = {};
  if ($("age").value) metadata.age = Number($("age").value);
  if ($("sex").value) metadata.sex = $("sex").value;
  const site = $("site").value.trim(), known = [...$("sites").options].find((each) => each.value.toLowerCase() === site.toLowerCase());
  if (site) metadata.site = known?.dataset.name ?? site; // the model knows the English names
  return metadata;
}

// The form of an image. Sent again after a lost answer, it has the same name: the node then makes no second diagnosis.
function formOf(entry) {
  const said = metadata(), body = new FormData();
  if (entry.said !== JSON.stringify(said)) Object.assign(entry, { said: JSON.stringify(said), request: newName() });
  body.append("metadata", JSON.stringify({ ...said, request: entry.request }));
  body.append("image", entry.file, "image");
  return body;
}

const newName = () => [...crypto.getRandomValues(new Uint8Array(16))].map((each) => each.toString(16).padStart(2, "0")).join("");

// How much of an image is on its way, then that the node works.
function showProgress(entry, share) {
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: share });
  const percent = number(Math.floor(100 * share), 0), size = number(entry.file.size / 2 ** 20, 1);
  const text = share < 1 ? gettext("Sending: %(percent)s %% of %(size)s MiB", { percent, size }) : gettext("Diagnosing …");
  bar.setAttribute("aria-label", text);
  entry.state.replaceChildren(text, ...(share < 1 ? [bar] : []));
}

// Sends one image; returns what went wrong, or nothing.
async function diagnose(entry) {
  try {
    const { status, answer } = await transfer("/v1/diagnoses", formOf(entry), (share) => showProgress(entry, share));
    if (status === 401) return gettext("You are signed out. Load this page again.");
    if (status >= 300) return answer.code ? refusal(answer) : silent;
    entry.id = answer.id;
    rememberName(answer.id, entry.file.name);
    return await assignAs(answer.id);
  } catch {
    return silent;
  }
}

// Assigns an image to the chosen lesion; the first one of a new lesion makes its number.
async function assignAs(id) {
  if (!$("lesion").value) return;
  const { lesion, problem } = await assign(id, { lesion: $("lesion").value === "new" ? null : $("lesion-number").value });
  if (problem) return problem;
  $("lesion").value = "known";
  $("lesion-number").value = lesion;
  $("known").hidden = false;
}

// Why the number of a known lesion cannot be used, if it cannot.
async function wrongLesion() {
  if ($("lesion").value !== "known") return "";
  try {
    const response = await fetch(`/v1/lesions/${encodeURIComponent($("lesion-number").value || "none")}`);
    return response.ok ? "" : refusal(await response.json());
  } catch {
    return silent;
  }
}

$("lesion").addEventListener("change", () => { $("known").hidden = $("lesion").value !== "known"; });

async function sendAll() {
  const all = waiting();
  let wrong = "";
  for (const [place, entry] of all.entries()) {
    entry.remove.hidden = true;
    showProgress(entry, 0);
    say(gettext("Diagnosing image %(place)s of %(all)s.", { place: place + 1, all: all.length }));
    const problem = await diagnose(entry);
    entry.state.textContent = problem ? `${problem} ` : "";
    if (problem) wrong = problem;
    if (entry.id) entry.state.append(Object.assign(document.createElement("a"), { href: `/diagnoses/${entry.id}`, textContent: gettext("Open the diagnosis") }));
    entry.remove.hidden = !problem;
  }
  return wrong;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (sending || !waiting().length) return;
  if (!$("age").checkValidity()) {
    fail(gettext("The age must be a whole number from 0 to 120."));
    return $("age").focus();
  }
  sending = true;
  update();
  const unusable = await wrongLesion(), wrong = unusable || await sendAll();
  sending = false;
  if (!wrong) return location.assign(queue.length === 1 ? `/diagnoses/${queue[0].id}` : "/day");
  update();
  if (unusable) $("lesion-number").focus();
  fail(queue.length === 1 || unusable ? wrong : gettext("Not all images were diagnosed. Those that were are in the worklist."));
});
