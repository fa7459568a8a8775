"use strict";
// Drawing with mouse, pen, finger or keyboard, and showing what the network makes of it.

const ids = ["paper", "seen", "answer", "clear"];
const [paper, seen, answer, clear] = ids.map((id) => document.getElementById(id));
const bars = [...document.querySelectorAll(".bars li")];
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let strokes = [];
let cursor = [SIDE / 2, SIDE / 4];
let isDown = false; // the keyboard's pen

function percent(share) {
  if (share >= 0.9995 && share < 1) return ">99.9%";
  return share > 0 && share < 0.0005 ? "<0.1%" : `${(100 * share).toFixed(1)}%`;
}

// Clears a canvas for drawing in the page's own ink, in so many units a side.
function cleared(canvas, units) {
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / units, 0, 0, canvas.height / units, 0, 0);
  context.clearRect(0, 0, units, units);
  context.globalAlpha = 1;
  context.strokeStyle = context.fillStyle = getComputedStyle(canvas).color;
  return context;
}

function showPaper() {
  const context = cleared(paper, SIDE);
  trace(context, strokes, PEN);
  if (!paper.matches(":focus-visible")) return;
  context.globalAlpha = isDown ? 1 : 0.4;
  trace(context, [[cursor]], 0.6 * PEN);
}

function showSeen(levels) {
  const context = cleared(seen, network.side);
  levels.forEach((level, i) => {
    context.globalAlpha = level / 255;
    context.fillRect(i % network.side, Math.floor(i / network.side), 1, 1);
  });
}

function showChances(chances) {
  const best = chances.indexOf(Math.max(...chances));
  bars.forEach((bar, i) => {
    bar.classList.toggle("best", i === best);
    bar.querySelector(".fill").style.width = `${100 * (chances[i] ?? 0)}%`;
    bar.querySelector(".chance").textContent = i in chances ? percent(chances[i]) : "";
  });
  const word = best < 0 ? "" : bars[best].querySelector("bdi").textContent;
  if (answer.textContent !== word) answer.textContent = word; // a screen reader says what is new
}

function show() {
  const looked = strokes.length ? look(frame(strokes)) : { seen: [], chances: [] };
  document.body.classList.toggle("is-empty", !strokes.length);
  showPaper();
  showSeen(looked.seen);
  showChances(looked.chances);
}

let isAwaited = false;
function showSoon() {
  if (isAwaited) return;
  isAwaited = true;
  requestAnimationFrame(() => {
    isAwaited = false;
    show();
  });
}

function point(event) {
  const { left, top, width } = paper.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top].map((length) => (length * SIDE) / width);
}

paper.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  strokes.push([point(event)]);
  showSoon();
});

paper.addEventListener("pointermove", (event) => {
  if (!strokes.length || !paper.hasPointerCapture(event.pointerId)) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  strokes.at(-1).push(...(moves.length ? moves : [event]).map(point));
  showSoon();
});

paper.addEventListener("keydown", (event) => {
  if (event.key === " ") {
    isDown = !isDown;
    if (isDown) strokes.push([cursor]);
  } else if (event.key in KEYS) {
    cursor = cursor.map((value, axis) => clip(value + 10 * KEYS[event.key][axis], 0, SIDE));
    if (isDown) strokes.at(-1).push(cursor);
  } else return;
  event.preventDefault(); // no scrolling
  showSoon();
});

clear.addEventListener("click", () => {
  strokes = [];
  isDown = false;
  show();
});
addEventListener("keydown", (event) => { if (event.key === "Escape") clear.click(); });
for (const kind of ["focus", "blur"]) paper.addEventListener(kind, showSoon);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showSoon);
new ResizeObserver(() => {
  paper.width = paper.height = Math.round(paper.clientWidth * devicePixelRatio);
  show();
}).observe(paper);
