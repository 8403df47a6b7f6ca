// One part of the page over all of the screen.
import { gettext } from "./language.js";

// Shows a part of the page alone, over all of it, until it is closed again.
export function fillScreen(part) {
  if (part.closest("dialog")) return part.closest("dialog").close();
  const dialog = Object.assign(document.createElement("dialog"), { className: "full" });
  const place = document.createComment(""), close = document.createElement("button");
  close.textContent = gettext("Close");
  close.className = "close";
  close.addEventListener("click", () => dialog.close());
  dialog.setAttribute("aria-label", gettext("Full screen"));
  part.replaceWith(place);
  dialog.append(part, close);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    place.replaceWith(part);
    dialog.remove();
    (part.querySelector("[data-do=full]") ?? document.getElementById("full")).focus();
  });
  dialog.showModal();
}
