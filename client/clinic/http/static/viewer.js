// A picture that is zoomed, moved and measured by mouse, touch or keyboard; several move together.
import { fillScreen } from "./full_screen.js";
import { gettext, number } from "./language.js";

const SHOWN = 1024; // pixels of the longer side of the picture that comes first; a smaller one is all there is
const MOST = 16, STEP = 1.5, ARROW = 60, SLIP = 10; // times, times, pixels, pixels
const SVG = "http://www.w3.org/2000/svg";
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Viewer {
  // What lies in the middle of the stage, as shares of the picture's width and height, and how large.
  x = 0.5; y = 0.5; zoom = 1;
  moving = [this]; // those that move together
  compared = [this]; // those with a common scale, if each has one
  points = []; pointers = new Map(); measuring = false;

  constructor(root) {
    this.root = root;
    this.stage = root.querySelector(".stage");
    this.picture = root.querySelector(".picture");
    this.#addRuler();
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "application");
    this.stage.setAttribute("aria-label", `${this.photo.alt}. ` + gettext("Plus and minus zoom, the arrow keys move it, Home shows all of it, M measures, Enter sets a point in the middle."));
    root.querySelector(".tools").addEventListener("click", (event) => this.#do(event.target.dataset.do));
    this.#listen();
    this.show(root.dataset.id, root.dataset.mm);
    new ResizeObserver(() => { for (const each of this.compared) each.draw(); }).observe(this.picture);
  }

  // Of the picture at scale 1, in pixels of the page.
  get width() { return this.picture.offsetWidth || 1; }
  get height() { return this.picture.offsetHeight || 1; }

  get photo() { return this.picture.querySelector(".photo"); }

  // Its scale at zoom 1: below 1 where a picture beside it shows a wider field, as far as millimetres are known.
  get fit() {
    const fields = this.compared.map((each) => each.mm / each.width);
    return fields.every((each) => each > 0) ? this.mm / this.width / Math.max(...fields) : 1;
  }

  get scale() { return this.fit * this.zoom; }

  // Shows the picture of a diagnosis; its width in millimetres may be unknown.
  show(id, mm) {
    if (this.id) this.photo.src = `/v1/diagnoses/${id}/image.jpg`;
    Object.assign(this, { id, mm: Number(mm), whole: false });
    this.#measure(false);
    const measures = this.root.querySelector("[data-do=measure]");
    measures.hidden = !(this.mm > 0);
    this.tell(measures.hidden ? gettext("No scale: nothing can be measured in millimetres.") : "");
    this.all();
  }

  tell(text) { this.root.querySelector("output").textContent = text; }

  all() {
    for (const each of this.moving) {
      Object.assign(each, { x: 0.5, y: 0.5, zoom: 1 });
      each.draw();
    }
  }

  // Zooms about a place, in pixels from the middle of the stage.
  zoomBy(factor, [across, down] = [0, 0]) {
    for (const each of this.moving) {
      const before = each.scale;
      each.zoom = clamp(each.zoom * factor, 1, MOST);
      const gain = 1 / before - 1 / each.scale;
      each.#moveTo(each.x + across * gain / each.width, each.y + down * gain / each.height);
    }
  }

  moveBy(across, down) {
    for (const each of this.moving) {
      each.#moveTo(each.x - across / each.scale / each.width, each.y - down / each.scale / each.height);
    }
  }

  #moveTo(x, y) {
    const free = this.zoom > 1;
    this.x = free ? clamp(x, 0, 1) : 0.5;
    this.y = free ? clamp(y, 0, 1) : 0.5;
    this.draw();
  }

  draw() {
    const { scale } = this, across = (0.5 - this.x) * this.width * scale, down = (0.5 - this.y) * this.height * scale;
    this.picture.style.transform = `translate(${across}px, ${down}px) scale(${scale})`;
    this.picture.style.setProperty("--zoom", scale);
    this.stage.classList.toggle("zoomed", this.zoom > 1);
    this.#drawRuler();
    this.#sharpen();
  }

  // Once there are more pixels on the screen than in the picture, its own resolution takes its place.
  async #sharpen() {
    const { id, photo } = this, { naturalWidth, naturalHeight } = photo;
    const enough = this.width * this.scale * devicePixelRatio <= naturalWidth;
    if (this.whole || !photo.complete || Math.max(naturalWidth, naturalHeight) < SHOWN || enough) return;
    this.whole = true;
    this.tell(gettext("Loading the picture at its own resolution …"));
    const image = Object.assign(new Image(), { className: "photo", alt: photo.alt, src: `/v1/diagnoses/${id}/image.jpg?whole=true` });
    try {
      await image.decode();
    } catch {
      return this.tell(gettext("The picture could not be loaded at its own resolution."));
    }
    if (this.id !== id) return;
    this.photo.replaceWith(image);
    this.tell(gettext("The picture's own resolution: %(width)s × %(height)s pixels.", { width: image.naturalWidth, height: image.naturalHeight }));
  }

  #do(what) {
    if (what === "closer") this.#zoomSaid(STEP);
    if (what === "away") this.#zoomSaid(1 / STEP);
    if (what === "all") this.all();
    if (what === "measure") this.#measure(!this.measuring);
    if (what === "full") fillScreen(this.root);
  }

  #zoomSaid(factor) {
    this.tell(gettext("Zoom %(percent)s %%.", { percent: Math.round(100 * clamp(this.zoom * factor, 1, MOST)) }));
    this.zoomBy(factor);
  }

  #measure(on) {
    this.measuring = on;
    this.points = [];
    this.stage.classList.toggle("measuring", on);
    this.root.querySelector("[data-do=measure]").setAttribute("aria-pressed", on);
    if (on) this.tell(gettext("Touch two points of the picture."));
    this.#drawRuler();
  }

  // A point of a distance, in pixels from the middle of the stage.
  #mark([across, down] = [0, 0]) {
    if (this.points.length === 2) this.points = [];
    this.points.push([this.x + across / this.scale / this.width, this.y + down / this.scale / this.height]);
    this.#drawRuler();
    if (this.points.length === 1) return this.tell(gettext("One point is set."));
    this.tell(gettext("Distance: %(distance)s mm.", { distance: number(this.distance(), 1) }));
  }

  // In millimetres.
  distance() {
    const [[x, y], [toX, toY]] = this.points;
    return this.mm * Math.hypot(toX - x, (toY - y) * this.height / this.width);
  }

  #addRuler() {
    this.ruler = document.createElementNS(SVG, "svg");
    this.ruler.setAttribute("class", "ruler");
    this.ruler.setAttribute("aria-hidden", "true");
    for (const name of ["line", "line", "circle", "circle"]) this.ruler.append(document.createElementNS(SVG, name));
    this.stage.append(this.ruler);
  }

  #drawRuler() {
    const places = this.points.map(([x, y]) => [
      this.stage.clientWidth / 2 + (x - this.x) * this.width * this.scale,
      this.stage.clientHeight / 2 + (y - this.y) * this.height * this.scale,
    ]);
    this.ruler.toggleAttribute("hidden", !places.length);
    if (!places.length) return;
    const ends = [places[0], places.at(-1)];
    for (const line of this.ruler.querySelectorAll("line")) {
      ends.forEach(([x, y], end) => { line.setAttribute(`x${end + 1}`, x); line.setAttribute(`y${end + 1}`, y); });
    }
    this.ruler.querySelectorAll("circle").forEach((circle, end) => {
      circle.setAttribute("cx", ends[end][0]);
      circle.setAttribute("cy", ends[end][1]);
      circle.setAttribute("r", 4);
    });
  }

  #from(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
  }

  #listen() {
    const { stage, pointers } = this;
    stage.addEventListener("dragstart", (event) => event.preventDefault());
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      if (!pointers.size) this.slipped = 0;
      pointers.set(event.pointerId, this.#from(event));
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => this.#drag(event));
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => {
        const alone = pointers.delete(event.pointerId) && !pointers.size;
        if (alone && name === "pointerup" && this.measuring && this.slipped < SLIP) this.#mark(this.#from(event));
      });
    }
    stage.addEventListener("dblclick", (event) => { if (!this.measuring) this.zoomBy(2, this.#from(event)); });
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !stage.closest("dialog")) return; // else it scrolls the page
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 400), this.#from(event));
    }, { passive: false });
    stage.addEventListener("keydown", (event) => this.#key(event));
  }

  // One pointer moves the picture; two also zoom it about the place between them.
  #drag(event) {
    if (!this.pointers.has(event.pointerId)) return;
    const before = spread([...this.pointers.values()]);
    this.pointers.set(event.pointerId, this.#from(event));
    const after = spread([...this.pointers.values()]);
    const [across, down] = [0, 1].map((axis) => after.middle[axis] - before.middle[axis]);
    this.slipped += Math.hypot(across, down) + (this.pointers.size > 1 ? SLIP : 0);
    if (before.length && after.length) this.zoomBy(after.length / before.length, before.middle);
    this.moveBy(across, down);
  }

  #key(event) {
    const arrows = { ArrowLeft: [ARROW, 0], ArrowRight: [-ARROW, 0], ArrowUp: [0, ARROW], ArrowDown: [0, -ARROW] };
    const actions = {
      "+": () => this.#zoomSaid(STEP), "=": () => this.#zoomSaid(STEP), "-": () => this.#zoomSaid(1 / STEP),
      Home: () => this.all(),
    };
    if (this.mm > 0) actions.m = () => this.#measure(!this.measuring);
    if (this.measuring) actions.Enter = () => this.#mark();
    if (this.zoom > 1) for (const key in arrows) actions[key] = () => this.moveBy(...arrows[key]);
    const action = actions[event.key.length > 1 ? event.key : event.key.toLowerCase()];
    if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }
}

// The middle of one or two places, and how far apart they are.
function spread([one, other = one]) {
  return { middle: [0, 1].map((axis) => (one[axis] + other[axis]) / 2), length: Math.hypot(one[0] - other[0], one[1] - other[1]) };
}
