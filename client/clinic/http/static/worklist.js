// The worklist: the keys J and K, and the names of files that this tab has sent.
import { fileName, onKeys, rememberWorklist } from "./common.js";

const rows = [...document.querySelectorAll("#worklist tbody tr")];
const links = rows.map((row) => row.querySelector(".open"));

rememberWorklist(rows.map((row) => row.dataset.id));
for (const row of rows) row.querySelector(".file-name").textContent = fileName(row.dataset.id);
for (const picture of document.querySelectorAll(".thumbnail")) {
  picture.addEventListener("error", () => picture.classList.add("gone"));
}

function move(step) {
  const now = links.indexOf(document.activeElement);
  const next = now < 0 ? 0 : Math.min(links.length - 1, Math.max(0, now + step));
  links[next]?.focus();
}

onKeys({ j: () => move(1), k: () => move(-1) });
