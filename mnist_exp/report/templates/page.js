"use strict";

// What a cell is sorted by: data-order, or the number its text begins with, or its text.
function order(cell) {
  const text = (cell.dataset.order ?? cell.textContent).trim();
  const number = parseFloat(text.replace(/,/g, "").replace("\u2212", "-"));
  return { text, number: cell.classList.contains("number") ? number : NaN };
}

function sortBy(table, heading) {
  const column = heading.cellIndex;
  const isRising = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", isRising ? "ascending" : "descending");
  const sign = isRising ? 1 : -1;
  const isNumber = heading.classList.contains("number");
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, key: order(row.cells[column]) }));
  rows.sort((one, other) => {
    if (!isNumber) return sign * one.key.text.localeCompare(other.key.text, "en", { numeric: true });
    const [a, b] = [one.key.number, other.key.number];
    // What has no number stays at the end, whichever way the rest is sorted.
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
    return sign * (a - b);
  });
  table.tBodies[0].append(...rows.map((each) => each.row));
}

// Hides the rows below a field that lack one of its words.
function filter(field) {
  const words = field.value.toLowerCase().split(/\s+/);
  const rows = field.closest("p").nextElementSibling.querySelectorAll("tbody tr");
  let count = 0;
  for (const row of rows) {
    row.words ??= row.textContent.toLowerCase();
    row.hidden = !words.every((word) => row.words.includes(word));
    count += !row.hidden;
  }
  field.closest("p").querySelector("output").textContent = `${count} of ${rows.length}`;
}

function enlarge(button) {
  const dialog = document.getElementById("enlarged");
  dialog.querySelector("img").src = button.querySelector("img").src;
  dialog.querySelector("p").textContent = button.dataset.words;
  dialog.showModal();
}

async function copy(button) {
  const code = button.parentElement.querySelector("code");
  const selection = getSelection();
  selection.selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

document.addEventListener("click", (event) => {
  const heading = event.target.closest("table.sortable thead th");
  if (heading && event.target.closest("button")) return sortBy(heading.closest("table"), heading);
  const digit = event.target.closest("button.digit");
  if (digit) return enlarge(digit);
  const copying = event.target.closest("button.copy");
  if (copying) return copy(copying);
  const dialog = event.target.closest("dialog");
  // A click on the dialog itself is one beside its content.
  if (dialog && (event.target === dialog || event.target.closest("button"))) dialog.close();
});

document.addEventListener("input", (event) => {
  if (event.target.closest(".filter")) filter(event.target);
});

// A printed page shows what is folded on a screen.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const each of folded) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of folded) each.open = false;
});
