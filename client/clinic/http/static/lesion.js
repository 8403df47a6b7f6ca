// A lesion: its pictures, one or two at a time, that move together.
import { $ } from "./common.js";
import { fillScreen } from "./full_screen.js";
import { Viewer } from "./viewer.js";

const viewers = [...document.querySelectorAll(".viewer")].map((root) => new Viewer(root));

function link() {
  for (const each of viewers) each.moving = $("linked")?.checked === false ? [each] : viewers;
}

function compare() {
  const scaled = viewers.every((each) => each.mm > 0);
  $("same-scale")?.toggleAttribute("hidden", !scaled);
  $("no-scale")?.toggleAttribute("hidden", scaled);
  viewers[0]?.all();
}

for (const each of viewers) each.compared = viewers;
viewers.forEach((viewer, side) => {
  const select = $(`picture-${side}`);
  select?.addEventListener("change", () => {
    viewer.show(select.value, select.selectedOptions[0].dataset.mm);
    compare();
  });
});
$("linked")?.addEventListener("change", link);
$("full")?.addEventListener("click", () => fillScreen($("together")));
for (const picture of document.querySelectorAll(".thumbnail")) {
  picture.addEventListener("error", () => picture.classList.add("gone"));
}
link();
compare();
