"use strict";
(() => {
  // The value nearest to the pointer, also where the pointer is beside its mark.
  const tip = document.getElementById("tip");
  const marks = new Map();
  let lit = null;
  const marksOf = (chart) => {
    if (!marks.has(chart)) {
      marks.set(chart, [...chart.querySelectorAll("title")].map((title) => {
        const mark = title.parentElement;
        const text = title.textContent;
        title.remove();
        mark.setAttribute("aria-label", text);
        return { mark, text };
      }));
    }
    return marks.get(chart);
  };
  const light = (chart, series) => {
    if (lit) { lit.chart.classList.remove("lit"); lit.series.classList.remove("lit"); lit = null; }
    if (series) { chart.classList.add("lit"); series.classList.add("lit"); lit = { chart, series }; }
  };
  const hide = () => { tip.hidden = true; light(null, null); };
  const nearest = (chart, x, y) => {
    let best = null;
    for (const { mark, text } of marksOf(chart)) {
      const box = mark.getBoundingClientRect();
      const dx = Math.max(box.left - x, 0, x - box.right);
      const dy = Math.max(box.top - y, 0, y - box.bottom);
      const distance = Math.hypot(dx, dy);
      if (distance < 24 && (!best || distance < best.distance)) best = { mark, text, box, distance };
    }
    return best;
  };
  const show = (event) => {
    const chart = event.target.closest("svg.chart");
    const found = chart && nearest(chart, event.clientX, event.clientY);
    if (!found) { hide(); return; }
    tip.textContent = found.text;
    tip.hidden = false;
    const left = Math.min(Math.max(4, found.box.right + 8), window.innerWidth - tip.offsetWidth - 4);
    const above = found.box.top - tip.offsetHeight - 8;
    tip.style.left = left + "px";
    tip.style.top = (above > 4 ? above : found.box.bottom + 8) + "px";
    light(chart, found.mark.closest("g.series"));
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  // A finger that is lifted leaves the page too; what it has shown stays until it touches elsewhere or scrolls.
  document.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hide(); });
  document.addEventListener("scroll", hide, { passive: true });

  const table = document.getElementById("series");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const value = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.v;
    return number === undefined ? cell.textContent.toLowerCase() : Number(number);
  };
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const head = button.parentElement;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const column = head.cellIndex;
    const empty = (v) => v === "" || Number.isNaN(v);
    rows.sort((a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      if (empty(x) || empty(y)) return empty(x) - empty(y);
      const order = x < y ? -1 : x > y ? 1 : 0;
      return up ? order : -order;
    });
    body.append(...rows);
  });
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = count + " of " + rows.length;
  });
})();
