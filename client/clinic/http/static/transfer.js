// Sends a form, and tells how much of it is on its way; fetch does not tell.
export function transfer(address, body, progress) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => progress(event.loaded / event.total));
    request.addEventListener("load", () => done({ status: request.status, answer: request.response ?? {} }));
    for (const name of ["error", "abort", "timeout"]) request.addEventListener(name, fail);
    request.send(body);
  });
}
