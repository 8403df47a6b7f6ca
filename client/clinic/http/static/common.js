// What all views share.
import { gettext } from "./language.js";

export const $ = (id) => document.getElementById(id);

export function say(text) { $("news").textContent = text; }

export function fail(text) {
  $("problem").textContent = text;
  $("problem").hidden = !text;
}

export const silent = gettext("The node does not answer. Try again in a moment.");

// The names of files stay in this tab of the browser: the node never gets them.
const names = () => JSON.parse(sessionStorage.getItem("names") ?? "{}");
export const fileName = (id) => names()[id] ?? "";
export function rememberName(id, name) {
  sessionStorage.setItem("names", JSON.stringify({ ...names(), [id]: name }));
}

// The ids of the worklist that was shown last, for the keys J and K.
export const rememberWorklist = (ids) => sessionStorage.setItem("worklist", JSON.stringify(ids));

// Opens the one after, or before, the page's diagnosis in it.
export function goInWorklist(step) {
  const ids = JSON.parse(sessionStorage.getItem("worklist") ?? "[]");
  const place = ids.indexOf(location.pathname.split("/").pop()), next = ids[place + step];
  if (place >= 0 && next) return location.assign(`/diagnoses/${next}`);
  say(place < 0 ? gettext("Open the worklist first.") : gettext("There is none further in the worklist."));
}

export const keysOn = () => localStorage.getItem("keys") !== "off";
export const turnKeys = (on) => localStorage.setItem("keys", on ? "on" : "off");

// Calls an action by its key, unless keys are turned off or somebody writes.
export function onKeys(actions) {
  document.addEventListener("keydown", (event) => {
    if (!keysOn() || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("textarea, select, input:not([type=radio], [type=checkbox], [type=range])")) return;
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
