// The graph of a trace, to move about in: by pointer, by touch, by keyboard.

import { button, h, number, svg } from "./dom.js";
import { BOX, layout } from "./graph.js";
import { named } from "./identifiers.js";

const TOLD = { transformation: "made into", aggregation: "packed into", transaction: "in one transaction with", lot: "the lot of" };
/** Sizes of the picture; `height` is the least in pixels. */
const SCALE = { least: 0.2, readable: 0.75, whole: 1.1, most: 3, step: 1.25, height: 220 };
/** Pixels that a pointer may move in a click. */
const STILL = 4;

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** The two lines of a box. */
function lines(box) {
  if (box.items.length === 1) {
    const [kind, value] = [box.kind, named(box.items[0]).slice(box.kind.length).trim()];
    return [cut(value, 18), [kind, box.of].filter(Boolean).join(", ") || "item"];
  }
  return [`${number(box.items.length)} × ${box.kind || "item"}`, box.of ?? "alike"];
}

function route({ source, target, back }) {
  const [x1, y1] = [source.x + BOX.width, source.top + BOX.height / 2];
  const [x2, y2] = [target.x, target.top + BOX.height / 2];
  if (back || x2 < x1) {
    return `M${source.x + BOX.width / 2} ${source.top}C${source.x} ${source.top - 60} ${target.x + BOX.width} ${target.top - 60} ${target.x + BOX.width / 2} ${target.top}`;
  }
  const bend = Math.max(30, (x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2 - 3} ${y2}`;
}

function drawEdge(edge) {
  const title = `${named(edge.source.items[0])} ${TOLD[edge.via]} ${named(edge.target.items[0])}`;
  return svg("g", { class: `edge ${edge.via}` }, svg("title", {}, title), svg("path", { d: route(edge), "marker-end": "url(#arrow)" }));
}

function drawBox(box) {
  const [value, about] = lines(box);
  const kind = { SSCC: "pallet", lot: "lot", serial: "serial" }[box.kind] ?? "other";
  const label = box.items.length === 1 ? named(box.items[0]) : `${value}, ${about}`;
  return svg("g", {
    class: `box ${kind}${box.start ? " start" : ""}${box.isClass ? " class" : ""}`, role: "button", tabindex: box.start ? 0 : -1,
    transform: `translate(${box.x} ${box.top})`,
    "aria-label": `${label}, ${box.start ? "the start" : `${box.depth} ${box.depth === 1 ? "step" : "steps"} from the start`}`,
  },
  box.items.length > 1 ? svg("rect", { class: "behind", x: 4, y: 4, width: BOX.width, height: BOX.height, rx: 8 }) : null,
  svg("rect", { width: BOX.width, height: BOX.height, rx: 8 }),
  svg("title", {}, box.items.length === 1 ? box.items[0] : label),
  svg("text", { x: 12, y: 19, class: "value" }, value), svg("text", { x: 12, y: 35, class: "about" }, cut(about, 26)));
}

/** Where the picture is looked at from. */
class Camera {
  constructor(frame, scene, graph) {
    Object.assign(this, { frame, scene, graph, x: 0, y: 0, scale: 1 });
  }

  apply() {
    this.scene.setAttribute("transform", `translate(${this.x} ${this.y}) scale(${this.scale})`);
  }

  /** Shows all of it, or at a size of `least` as much as there is room for, beginning with `box`. */
  fit(box, least = SCALE.readable) {
    // As high as the style has it, or less, if less is needed.
    this.frame.style.height = "";
    const width = this.frame.clientWidth;
    const across = Math.min(SCALE.whole, Math.max(width / this.graph.width, least));
    const height = Math.min(this.frame.clientHeight, Math.max(SCALE.height, this.graph.height * across));
    this.frame.style.height = `${height}px`;
    const whole = Math.min(width / this.graph.width, height / this.graph.height);
    this.scale = Math.min(SCALE.whole, Math.max(whole, least));
    this.x = Math.max(0, (width - this.graph.width * this.scale) / 2);
    this.y = (height - this.graph.height * this.scale) / 2;
    this.apply();
    if (whole < this.scale) this.reveal(box);
  }

  zoom(factor, x = this.frame.clientWidth / 2, y = this.frame.clientHeight / 2) {
    const scale = Math.min(SCALE.most, Math.max(SCALE.least, this.scale * factor));
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.apply();
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.apply();
  }

  /** Moves as little as needed for a box to be seen. */
  reveal(box) {
    const near = (at, size, room) => Math.min(Math.max(at, 16), Math.max(16, room - size - 16));
    const [left, top] = [this.x + box.x * this.scale, this.y + box.top * this.scale];
    const [width, height] = [BOX.width * this.scale, BOX.height * this.scale];
    this.pan(near(left, width, this.frame.clientWidth) - left, near(top, height, this.frame.clientHeight) - top);
  }
}

/**
 * Dragging with one pointer, zooming with two or with the wheel; a press without motion is a click. One finger
 * up or down scrolls the page: whoever reads on a phone must get past the picture.
 */
function movable(frame, camera) {
  const pointers = new Map();
  let moved = 0;
  frame.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event);
    if (pointers.size === 1) moved = 0;
  });
  frame.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before.clientX, event.clientY - before.clientY];
    moved += Math.hypot(dx, dy);
    if (moved > STILL && !frame.hasPointerCapture(event.pointerId)) frame.setPointerCapture(event.pointerId);
    if (pointers.size === 1) {
      camera.pan(dx, dy);
    } else {
      const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
      const apart = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY) || 1;
      const bounds = frame.getBoundingClientRect();
      const [x, y] = [(event.clientX + other.clientX) / 2, (event.clientY + other.clientY) / 2];
      camera.pan(dx / 2, dy / 2);
      camera.zoom(apart(event) / apart(before), x - bounds.left, y - bounds.top);
    }
    pointers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    frame.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  // Only with Ctrl or ⌘, as a touchpad's pinch comes too: the wheel alone scrolls the page.
  frame.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    camera.zoom(Math.exp(-event.deltaY / 200), event.offsetX, event.offsetY);
  }, { passive: false });
  return () => moved > STILL;
}

/** The box that an arrow key leads to. */
function beside(graph, box, key) {
  const column = graph.columns[box.column];
  const at = column.indexOf(box);
  if (key === "ArrowUp") return column[at - 1];
  if (key === "ArrowDown") return column[at + 1];
  const forward = key === "ArrowRight";
  const ways = graph.edges.filter((edge) => (forward ? edge.source : edge.target) === box);
  const ends = ways.map((edge) => (forward ? edge.target : edge.source));
  return ends.sort((a, b) => Math.abs(a.y - box.y) - Math.abs(b.y - box.y))[0];
}

const MARKER = () => svg("defs", {}, svg("marker", {
  id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 9, markerHeight: 9,
  markerUnits: "userSpaceOnUse", orient: "auto",
}, svg("path", { d: "M0 0.5L8 4L0 7.5z" })));

/** The picture of an answer; `chosen` is called with the items of a box that is chosen. */
export function drawing(answer, label, chosen) {
  const graph = layout(answer);
  const nodes = new Map(graph.boxes.map((box) => [box, drawBox(box)]));
  const boxOf = new Map([...nodes].map(([box, node]) => [node, box]));
  const scene = svg("g", {}, graph.edges.map(drawEdge), [...nodes.values()]);
  const frame = svg("svg", { class: "graph", role: "group", "aria-label": label }, MARKER(), scene);
  const camera = new Camera(frame, scene, graph);
  const wasMoved = movable(frame, camera);

  const select = (box) => {
    for (const [other, node] of nodes) {
      node.classList.toggle("chosen", other === box);
      node.setAttribute("tabindex", other === box ? 0 : -1);
    }
    const near = graph.edges.filter((edge) => edge.source === box || edge.target === box);
    scene.querySelectorAll(".edge").forEach((node, at) => node.classList.toggle("near", near.includes(graph.edges[at])));
  };
  const choose = (box) => {
    select(box);
    chosen(box.items);
  };
  scene.addEventListener("click", (event) => {
    const box = boxOf.get(event.target.closest(".box"));
    if (box && !wasMoved()) choose(box);
  });
  frame.addEventListener("keydown", (event) => {
    const box = boxOf.get(event.target.closest(".box"));
    const zoom = { "+": SCALE.step, "=": SCALE.step, "-": 1 / SCALE.step }[event.key];
    if (zoom) camera.zoom(zoom);
    else if (event.key === "0") camera.fit(box ?? graph.boxes[0]);
    else if (box && (event.key === "Enter" || event.key === " ")) choose(box);
    else if (box && event.key.startsWith("Arrow")) {
      const next = beside(graph, box, event.key);
      if (next) {
        select(next);
        nodes.get(next).focus({ preventScroll: true });
        camera.reveal(next);
      }
    } else return;
    event.preventDefault();
  });
  const start = graph.boxes[0];
  select(start);
  const shown = h("figure", { class: "drawing" },
    h("div", { class: "tools", role: "group", "aria-label": "View" },
      button("−", () => camera.zoom(1 / SCALE.step), { "aria-label": "Smaller" }),
      button("+", () => camera.zoom(SCALE.step), { "aria-label": "Larger" }),
      button("Fit", () => camera.fit(start, SCALE.least))),
    frame,
    h("figcaption", {}, "Goods flow from left to right. Drag to move, two fingers zoom; choose a box to see its events. By keyboard: arrows, Enter, + and −.",
      graph.left > 0 ? ` ${number(graph.left)} boxes further away are in the table only.` : ""));
  return { shown, fit: () => camera.fit(start) };
}
