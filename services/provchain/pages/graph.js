// A layered drawing of a trace: goods flow from left to right. No part of it knows the page.
//
// After Sugiyama, Tagawa and Toda (1981): layers by the longest path, order by barycentres, and then each
// box as near to its neighbours as the order lets it.

import { short } from "./identifiers.js";

export const BOX = { width: 172, height: 44 };
const GAP = { x: 52, y: 16 };
const MARGIN = 20;
/** Up to so many items each has a box of its own. */
const SINGLE_MAX = 60;
/** Boxes of a drawing; what is further away is left to the table. */
export const BOXES_MAX = 240;
const PASSES = 8;

/** Boxes of the items: one each, or, where there are many, one for those that are alike. */
function boxesOf(answer) {
  const parents = new Map();
  for (const { from, to } of answer.steps) parents.set(to, (parents.get(to) ?? new Set()).add(from));
  const groupOf = new Map();
  const boxes = new Map();
  const alone = answer.items.length <= SINGLE_MAX;
  for (const [at, { item, depth, class: isClass }] of answer.items.entries()) {
    const { kind, of } = short(item);
    const above = [...(parents.get(item) ?? [])].map((parent) => groupOf.get(parent) ?? "").sort().join();
    // The start stays by itself.
    const key = alone || at === 0 ? item : `${depth} ${kind} ${of} ${answer.items.length > 600 ? "" : above}`;
    groupOf.set(item, key);
    if (!boxes.has(key)) boxes.set(key, { key, items: [], kind, of, depth, isClass, start: at === 0 });
    boxes.get(key).items.push(item);
  }
  const kept = new Map([...boxes].slice(0, BOXES_MAX));
  return { boxes: kept, groupOf, left: boxes.size - kept.size };
}

function edgesOf(answer, boxes, groupOf) {
  const edges = new Map();
  for (const { from, to, via, entry } of answer.steps) {
    const [source, target] = [boxes.get(groupOf.get(from)), boxes.get(groupOf.get(to))];
    if (!source || !target || source === target) continue;
    const key = `${source.key}\n${target.key}\n${via}`;
    if (!edges.has(key)) edges.set(key, { source, target, via, entries: [] });
    edges.get(key).entries.push(entry);
  }
  return [...edges.values()];
}

/** Gives every box its column: behind all that it came from. An edge that closes a circle is passed over. */
function layer(boxes, edges) {
  const after = new Map(boxes.map((box) => [box, []]));
  for (const edge of edges) after.get(edge.source).push(edge);
  const state = new Map();
  const order = [];
  const visit = (first) => {
    const stack = [[first, 0]];
    state.set(first, "open");
    while (stack.length > 0) {
      const top = stack.at(-1);
      const edge = after.get(top[0])[top[1]];
      top[1] += 1;
      if (!edge) {
        state.set(top[0], "done");
        order.unshift(top[0]);
        stack.pop();
      } else if (!state.has(edge.target)) {
        state.set(edge.target, "open");
        stack.push([edge.target, 0]);
      } else if (state.get(edge.target) === "open") {
        edge.back = true;
      }
    }
  };
  for (const box of boxes) if (!state.has(box)) visit(box);
  for (const box of boxes) box.column = 0;
  for (const box of order) {
    for (const edge of after.get(box)) {
      if (!edge.back) edge.target.column = Math.max(edge.target.column, box.column + 1);
    }
  }
  // What nothing leads to stands just before what it leads to.
  for (const box of [...order].reverse()) {
    const next = after.get(box).filter((edge) => !edge.back).map((edge) => edge.target.column);
    if (next.length > 0 && !edges.some((edge) => edge.target === box)) box.column = Math.min(...next) - 1;
  }
}

const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

function arrange(columns, edges) {
  const neighbours = new Map(columns.flat().map((box) => [box, []]));
  for (const { source, target } of edges) {
    neighbours.get(source).push(target);
    neighbours.get(target).push(source);
  }
  for (const column of columns) column.forEach((box, row) => { box.y = row; });
  for (let pass = 0; pass < PASSES; pass += 1) {
    const ordered = pass % 2 === 0 ? columns : [...columns].reverse();
    for (const column of ordered) {
      const wish = new Map(column.map((box) => {
        const beside = neighbours.get(box).map((other) => other.y);
        return [box, beside.length > 0 ? mean(beside) : box.y];
      }));
      column.sort((a, b) => wish.get(a) - wish.get(b));
      const middle = (column.length - 1) / 2;
      const centre = mean([...wish.values()]);
      column.forEach((box, row) => { box.y = centre + row - middle; });
      pull(column, wish);
    }
  }
}

/** Moves boxes towards where they wish to be; none comes nearer to another than a row. */
function pull(column, wish) {
  for (let round = 0; round < 4; round += 1) {
    column.forEach((box, row) => {
      const low = row > 0 ? column[row - 1].y + 1 : -Infinity;
      const high = row + 1 < column.length ? column[row + 1].y - 1 : Infinity;
      box.y = Math.max(low, Math.min(high, wish.get(box)));
    });
  }
}

/** The boxes with their places and the edges between them. */
export function layout(answer) {
  const { boxes, groupOf, left } = boxesOf(answer);
  const all = [...boxes.values()];
  const edges = edgesOf(answer, boxes, groupOf);
  layer(all, edges);
  const first = Math.min(...all.map((box) => box.column));
  const columns = [];
  for (const box of all) (columns[box.column - first] ??= []).push(box);
  const present = columns.filter(Boolean);
  arrange(present, edges);
  const top = Math.min(...all.map((box) => box.y));
  present.forEach((column, at) => column.forEach((box) => {
    box.column = at;
    box.x = MARGIN + at * (BOX.width + GAP.x);
    box.top = MARGIN + (box.y - top) * (BOX.height + GAP.y);
  }));
  return {
    boxes: all,
    edges,
    left,
    columns: present.map((column) => [...column].sort((a, b) => a.y - b.y)),
    width: 2 * MARGIN + present.length * (BOX.width + GAP.x) - GAP.x,
    height: Math.max(...all.map((box) => box.top)) + BOX.height + MARGIN,
  };
}
