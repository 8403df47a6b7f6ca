// Assigns the image of a diagnosis to a lesion.
import { $, say, silent } from "./common.js";

// Sends an assignment, or with no body takes the image out; returns the answer, or says why there is none.
export async function assign(id, given) {
  const headers = { "Content-Type": "application/json" };
  const request = given ? { method: "POST", headers, body: JSON.stringify(given) } : { method: "DELETE" };
  try {
    const response = await fetch(`/v1/diagnoses/${id}/lesion`, request), answer = await response.json();
    return response.ok ? answer : { problem: `${answer.error}. ${answer.remedy}.` };
  } catch {
    return { problem: silent };
  }
}

// Lets the form of a diagnosis assign its image.
export function offerAssignment(id) {
  async function change(given) {
    const { lesion, problem = "" } = await assign(id, given);
    $("lesion-problem").textContent = problem;
    $("lesion-problem").hidden = !problem;
    if (problem) return;
    $("lesion").textContent = lesion ?? "";
    $("lesion").href = `/lesions/${lesion ?? ""}`;
    for (const each of ["lesion", "take-out"]) $(each).hidden = !lesion;
    $("no-lesion").hidden = Boolean(lesion);
    say(lesion ? `The image is of the lesion ${lesion}.` : "The image is of no numbered lesion.");
  }
  $("assign").addEventListener("submit", (event) => {
    event.preventDefault();
    change({ lesion: $("lesion-number").value });
  });
  $("new-lesion").addEventListener("click", () => change({ lesion: null }));
  $("take-out").addEventListener("click", () => change());
}
