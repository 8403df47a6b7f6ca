// The impression by one key: the number on the button. J and K go through the worklist.
import { goInWorklist, onKeys } from "./common.js";
import { Viewer } from "./viewer.js";

const buttons = [...document.querySelectorAll("#impression button")];
const keys = { j: () => goInWorklist(1), k: () => goInWorklist(-1) };
for (const button of buttons) keys[button.querySelector("kbd").textContent] = () => button.click();
onKeys(keys);
new Viewer(document.querySelector(".viewer"));
