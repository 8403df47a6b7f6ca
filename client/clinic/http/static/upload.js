// A new image: chosen, dropped or photographed, sent with the clinical data.
const $ = (id) => document.getElementById(id);
const form = $("upload"), drop = $("drop"), send = $("send"), preview = $("preview");
let image = null;

function say(text) { $("news").textContent = text; }

function fail(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

function choose(file) {
  if (!file) return;
  image = file;
  fail("");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.hidden = false;
  $("hint").hidden = true;
  $("chosen").textContent = `${(file.size / 2 ** 20).toFixed(1)} MiB`;
  send.disabled = false;
  say("The image is selected.");
}

// A browser cannot show DICOM: it is sent all the same.
preview.addEventListener("error", () => { preview.hidden = true; });
for (const input of [$("file"), $("camera")]) {
  input.addEventListener("change", () => choose(input.files[0]));
  choose(input.files[0]); // one chosen before this script came
}
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length > 1) return fail("Drop one image at a time.");
  choose(event.dataTransfer.files[0]);
});

function metadata() {
  const metadata = {};
  if ($("age").value) metadata.age = Number($("age").value);
  if ($("sex").value) metadata.sex = $("sex").value;
  if ($("site").value.trim()) metadata.site = $("site").value.trim();
  return JSON.stringify(metadata);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!image) return;
  if (!$("age").checkValidity()) {
    fail("The age must be a whole number from 0 to 120.");
    return $("age").focus();
  }
  const body = new FormData();
  body.append("metadata", metadata());
  body.append("image", image, "image");
  fail("");
  send.disabled = true;
  send.textContent = "Diagnosing …";
  say("Diagnosing the image.");
  try {
    const response = await fetch("/v1/diagnoses", { method: "POST", body });
    const answer = await response.json();
    if (response.ok) return location.assign(`/diagnoses/${answer.id}`);
    fail(response.status === 401 ? "You are signed out. Load this page again." : `${answer.error}. ${answer.remedy}.`);
  } catch {
    fail("The node does not answer. Try again in a moment.");
  }
  send.disabled = false;
  send.textContent = "Diagnose";
});
