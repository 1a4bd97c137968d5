"use strict";
(() => {
  const make = (name, attributes = {}, text = "") => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const button = (text, label, press) => {
    const element = make("button", { type: "button", "aria-label": label, title: label }, text);
    element.addEventListener("click", press);
    return element;
  };
  const svgs = [...document.querySelectorAll("svg.chart")];
  const drawn = (name, attributes, text) => {
    const element = document.createElementNS(svgs[0].namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };

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
  // Marks that are switched off have no box, those outside of a part that is looked at lie beside it.
  const inSight = (chart, box) => {
    if (!box.width && !box.height) return false;
    const plot = chart.querySelector(".plot > svg");
    if (!plot) return true;
    const frame = plot.getBoundingClientRect();
    const [x, y] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
    return x >= frame.left - 1 && x <= frame.right + 1 && y >= frame.top - 1 && y <= frame.bottom + 1;
  };
  const nearest = (chart, x, y) => {
    let best = null;
    for (const { mark, text } of marksOf(chart)) {
      const box = mark.getBoundingClientRect();
      const dx = Math.max(box.left - x, 0, x - box.right);
      const dy = Math.max(box.top - y, 0, y - box.bottom);
      const distance = Math.hypot(dx, dy);
      if (distance < 24 && (!best || distance < best.distance) && inSight(chart, box)) best = { mark, text, box, distance };
    }
    return best;
  };
  const reveal = (chart, found) => {
    tip.textContent = found.text;
    tip.hidden = false;
    const left = Math.min(Math.max(4, found.box.right + 8), window.innerWidth - tip.offsetWidth - 4);
    const above = found.box.top - tip.offsetHeight - 8;
    tip.style.left = left + "px";
    tip.style.top = (above > 4 ? above : found.box.bottom + 8) + "px";
    light(chart, found.mark.closest("g.series"));
  };
  let dragged = null;
  const show = (event) => {
    const chart = event.target.closest("svg.chart");
    const found = chart && !dragged && nearest(chart, event.clientX, event.clientY);
    if (found) reveal(chart, found); else hide();
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  // A finger that is lifted leaves the page too; what it has shown stays until it touches elsewhere or scrolls.
  document.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") hide(); });
  document.addEventListener("scroll", hide, { passive: true });

  // A legend whose entries switch what they name.
  const named = (chart, key, sample) => {
    const groups = [...chart.querySelectorAll("[data-series]")].filter((group) => group.dataset.series === key);
    if (groups.length) return groups;
    const kind = sample.querySelector(".bar, .ring, .cross, .hollow");
    if (!kind) return [];
    const part = [...kind.classList].find((name) => /^(p\d|ring|cross|hollow)$/.test(name));
    return [...chart.querySelectorAll(".plot ." + part)];
  };
  // Bars stand on one another without the parts that are switched off.
  const restack = (chart) => {
    const bottoms = new Map();
    for (const bar of chart.querySelectorAll(".plot .bar")) {
      bar.dataset.top ??= bar.getAttribute("y");
      const [x, top, height] = [bar.getAttribute("x"), Number(bar.dataset.top), Number(bar.getAttribute("height"))];
      if (!bottoms.has(x)) bottoms.set(x, top + height);
      if (bar.classList.contains("off")) continue;
      bar.setAttribute("y", bottoms.get(x) - height);
      bottoms.set(x, bottoms.get(x) - height);
    }
  };
  const legendOf = (chart) => {
    const legend = make("div", { class: "legend", role: "group", "aria-label": "Legend of " + chart.getAttribute("aria-label") });
    const keys = [];
    const turn = (key, on) => {
      key.button.setAttribute("aria-pressed", on);
      for (const element of key.targets) element.classList.toggle("off", !on);
    };
    const isOn = (key) => key.button.getAttribute("aria-pressed") === "true";
    for (const entry of chart.querySelectorAll("g.legend")) {
      const name = entry.dataset.key;
      const sample = chart.cloneNode(false);
      for (const { name: attribute } of [...sample.attributes]) sample.removeAttribute(attribute);
      sample.setAttribute("viewBox", "-10 -8 20 16");
      sample.setAttribute("aria-hidden", "true");
      const inner = entry.querySelector("g");
      inner.removeAttribute("transform");
      sample.append(inner);
      const targets = named(chart, name, sample);
      const element = make(targets.length ? "button" : "span", targets.length ? { type: "button", class: "key", "aria-pressed": "true" } : { class: "key" });
      const swatch = make("span", { class: "chart" });
      swatch.append(sample);
      element.append(swatch, name);
      legend.append(element);
      entry.remove();
      if (!targets.length) continue;
      const key = { button: element, targets };
      keys.push(key);
      element.addEventListener("click", () => { turn(key, !isOn(key)); restack(chart); hide(); });
      // Alone, and back.
      element.addEventListener("dblclick", () => {
        const alone = keys.every((other) => other === key || !isOn(other));
        for (const other of keys) turn(other, alone || other === key);
        restack(chart);
      });
    }
    const [, , , , top] = chart.dataset.plot.split(" ").map(Number);
    const [left, , width] = chart.getAttribute("viewBox").split(" ");
    chart.setAttribute("viewBox", [left, 0, width, top].join(" "));
    return legend;
  };

  // A part of the plot area, as shares of its axes; ticks come from lists, the finer ones where the others are too few.
  const ticksOf = (list) => list?.split("||").map((ticks) => ticks.split("|").filter(Boolean).map((tick) => {
    const space = tick.indexOf(" ");
    return { at: Number(tick.slice(0, space)), label: tick.slice(space + 1) };
  }));
  const zoomOf = (chart) => {
    const [left, top, width, height] = chart.dataset.plot.split(" ").map(Number);
    const ticks = { x: ticksOf(chart.dataset.x), y: ticksOf(chart.dataset.y) };
    const part = { x: [0, 1], y: [0, 1] };
    let frame = null;
    // The plot area cuts off what lies outside once a part of it is shown.
    const framed = () => {
      if (frame) return;
      frame = chart.cloneNode(false);
      for (const { name } of [...frame.attributes]) frame.removeAttribute(name);
      for (const [key, value] of Object.entries({ x: left, y: top, width, height, viewBox: [left, top, width, height].join(" ") })) frame.setAttribute(key, value);
      const plots = [...chart.querySelectorAll(".plot")];
      for (const plot of plots) frame.append(...plot.children);
      plots[0].append(frame);
    };
    const place = (axis, at) => (at - part[axis][0]) / (part[axis][1] - part[axis][0]);
    const visible = (axis) => {
      const inside = (tick) => place(axis, tick.at) >= -0.001 && place(axis, tick.at) <= 1.001;
      const [coarse, fine] = ticks[axis].map((of) => of.filter(inside));
      const of = coarse.length >= 3 ? coarse : [...coarse, ...fine].sort((a, b) => a.at - b.at);
      let free = -Infinity;
      return of.filter((tick) => {
        const at = place(axis, tick.at) * (axis === "x" ? width : height);
        const room = axis === "x" ? 3.6 * tick.label.length + 4 : 8;
        if (at - room < free) return false;
        free = at + room;
        return true;
      });
    };
    const drawTicks = (axis, isWhole) => {
      chart.querySelector(".part-ticks." + axis)?.remove();
      const own = [...chart.querySelectorAll(".ticks." + axis)];
      for (const group of own) group.classList.toggle("off", !isWhole);
      if (isWhole) return;
      const group = drawn("g", { class: "part-ticks " + axis });
      for (const tick of visible(axis)) {
        if (axis === "x") {
          const x = left + place(axis, tick.at) * width;
          group.append(drawn("path", { class: "tick", d: `M${x} ${top + height}v4` }));
          group.append(drawn("text", { x, y: top + height + 17, "text-anchor": "middle" }, tick.label));
        } else {
          const y = top + (1 - place(axis, tick.at)) * height;
          group.append(drawn("path", { class: "gridline", d: `M${left} ${y}h${width}` }));
          group.append(drawn("text", { x: left - 6, y: y + 4.2, "text-anchor": "end" }, tick.label));
        }
      }
      own[0].before(group);
    };
    const apply = () => {
      const isWhole = (axis) => part[axis][0] === 0 && part[axis][1] === 1;
      chart.classList.toggle("zoomed", !isWhole("x") || !isWhole("y"));
      framed();
      frame.classList.toggle("whole", isWhole("x") && isWhole("y"));
      const [kx, ky] = [part.x, part.y].map(([from, to]) => 1 / (to - from));
      const tx = left - left * kx - part.x[0] * kx * width;
      const ty = top + height - ky * (height + top) + part.y[0] * ky * height;
      for (const group of frame.children) group.setAttribute("transform", `matrix(${kx} 0 0 ${ky} ${tx} ${ty})`);
      const back = `scale(${1 / kx} ${1 / ky})`;
      for (const mark of frame.querySelectorAll("path[transform], path[data-at]")) {
        mark.dataset.at ??= mark.getAttribute("transform");
        mark.setAttribute("transform", mark.dataset.at + back);
      }
      for (const mark of frame.querySelectorAll("circle, text")) {
        const of = (name) => mark.getAttribute(name) ?? mark.getAttribute("c" + name);
        const [x, y] = [Number(of("x")), Number(of("y"))];
        mark.setAttribute("transform", `translate(${x} ${y})${back}translate(${-x} ${-y})`);
      }
      for (const axis of ["x", "y"]) if (ticks[axis]) drawTicks(axis, isWhole(axis));
      hide();
    };
    const set = (axis, from, to) => {
      if (!ticks[axis]) return;
      const wide = Math.min(1, Math.max(1 / 64, to - from));
      const start = Math.min(1 - wide, Math.max(0, (from + to - wide) / 2));
      part[axis] = wide === 1 ? [0, 1] : [start, start + wide];
    };
    const by = (factor) => {
      for (const axis of ["x", "y"]) {
        const [from, to] = part[axis];
        const [middle, half] = [(from + to) / 2, (to - from) / 2 / factor];
        set(axis, middle - half, middle + half);
      }
      apply();
    };
    const reset = () => { Object.assign(part, { x: [0, 1], y: [0, 1] }); apply(); };
    const pan = (dx, dy) => {
      for (const [axis, by] of [["x", dx], ["y", dy]]) {
        const [from, to] = part[axis];
        const step = Math.min(1 - to, Math.max(-from, by * (to - from)));
        part[axis] = [from + step, to + step];
      }
      apply();
    };
    const at = (event) => {
      const inverse = chart.getScreenCTM().inverse();
      const clamped = (value, from, wide) => Math.min(from + wide, Math.max(from, value));
      const x = inverse.a * event.clientX + inverse.e;
      const y = inverse.d * event.clientY + inverse.f;
      return { x: clamped(x, left, width), y: clamped(y, top, height), inside: x >= left && x <= left + width && y >= top && y <= top + height };
    };
    chart.addEventListener("pointerdown", (event) => {
      const from = at(event);
      // A finger scrolls the page.
      if (event.pointerType === "touch" || event.button !== 0 || !from.inside) return;
      dragged = { chart, from, to: from, box: chart.appendChild(drawn("rect", { class: "chosen" })) };
      chart.setPointerCapture(event.pointerId);
    });
    const spread = () => ({ x: Math.abs(dragged.to.x - dragged.from.x), y: Math.abs(dragged.to.y - dragged.from.y) });
    chart.addEventListener("pointermove", (event) => {
      if (dragged?.chart !== chart) return;
      dragged.to = at(event);
      const { from, to } = dragged;
      // A drag along one axis chooses all of the other.
      const all = { x: !ticks.x || spread().x < 8, y: !ticks.y || spread().y < 8 };
      const set = { x: all.x ? left : Math.min(from.x, to.x), y: all.y ? top : Math.min(from.y, to.y), width: all.x ? width : spread().x, height: all.y ? height : spread().y };
      if (all.x && all.y) return;
      for (const [key, value] of Object.entries(set)) dragged.box.setAttribute(key, value);
    });
    const end = (event) => {
      if (dragged?.chart !== chart) return;
      const { from, to, box } = dragged;
      const wide = spread();
      dragged = null;
      box.remove();
      if (event.type === "pointercancel") return;
      const value = { x: (at) => part.x[0] + (at - left) / width * (part.x[1] - part.x[0]), y: (at) => part.y[0] + (1 - (at - top) / height) * (part.y[1] - part.y[0]) };
      const chosen = ["x", "y"].filter((axis) => ticks[axis] && wide[axis] >= 8);
      for (const axis of chosen) {
        const ends = [value[axis](from[axis]), value[axis](to[axis])];
        set(axis, Math.min(...ends), Math.max(...ends));
      }
      if (chosen.length) apply();
    };
    chart.addEventListener("pointerup", end);
    chart.addEventListener("pointercancel", end);
    chart.addEventListener("dblclick", reset);
    return { by, reset, pan };
  };

  // Arrow keys step through the values of a chart; + and - zoom, 0 shows all, arrows with Shift move the part.
  const keysOf = (chart, zoom) => {
    let place = -1;
    chart.setAttribute("tabindex", "0");
    chart.setAttribute("aria-description", "Arrow keys step through the values, plus and minus zoom, 0 shows all, Shift with arrows moves.");
    const step = (by) => {
      const seen = marksOf(chart).filter(({ mark }) => inSight(chart, mark.getBoundingClientRect()));
      if (!seen.length) return;
      place = (place + by + seen.length) % seen.length;
      reveal(chart, { ...seen[place], box: seen[place].mark.getBoundingClientRect() });
    };
    const sides = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    chart.addEventListener("keydown", (event) => {
      const side = sides[event.key];
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (side && event.shiftKey) zoom.pan(side[0] / 4, side[1] / 4);
      else if (side) step(side[0] - side[1]);
      else if (event.key === "+" || event.key === "=") zoom.by(2);
      else if (event.key === "-") zoom.by(0.5);
      else if (event.key === "0") zoom.reset();
      else if (event.key === "Escape") hide();
      else return;
      event.preventDefault();
    });
    chart.addEventListener("blur", hide);
  };

  for (const chart of svgs) {
    const name = chart.getAttribute("aria-label");
    const figure = make("figure");
    chart.replaceWith(figure);
    const zoom = zoomOf(chart);
    const tools = make("div", { class: "zoom" });
    tools.append(button("+", "Zoom in: " + name, () => zoom.by(2)), button("−", "Zoom out: " + name, () => zoom.by(0.5)), button("All", "Show all: " + name, zoom.reset));
    const foot = make("div", { class: "foot" });
    foot.append(legendOf(chart), tools);
    figure.append(chart, foot);
    keysOf(chart, zoom);
  }

  // Series by name, in all charts.
  const find = document.getElementById("find");
  find?.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const chart of svgs) {
      marksOf(chart);
      const states = new Map();
      for (const group of chart.querySelectorAll("[data-series]")) {
        const labels = [...group.querySelectorAll("[aria-label]")].map((mark) => mark.getAttribute("aria-label"));
        // Parts of bars are no series.
        if (!group.dataset.series) continue;
        const text = [group.dataset.series, labels[0] ?? ""].join("\n").toLowerCase();
        const isFound = words.every((word) => text.includes(word));
        states.set(group.dataset.series, states.get(group.dataset.series) || isFound);
      }
      for (const group of chart.querySelectorAll("[data-series]"))
        group.classList.toggle("unfound", states.get(group.dataset.series) === false);
      count += [...states.values()].filter(Boolean).length;
    }
    document.getElementById("found").textContent = words.length ? count + " found in " + svgs.length + " charts" : "";
  });

  // One of several charts at a time.
  for (const chooser of document.querySelectorAll(".chooser")) {
    const choices = [...chooser.querySelectorAll(".choice")];
    const values = choices.map((choice) => choice.dataset.choice.split("|"));
    const tools = make("div", { class: "tools" });
    const selects = chooser.dataset.of.split("|").map((title) => {
      const [label, select] = [make("label", {}, title + " "), make("select")];
      label.append(select);
      tools.append(label);
      return select;
    });
    const fill = (select, names, chosen) => select.replaceChildren(...[...new Set(names)].map((name) => {
      const option = make("option", {}, name);
      option.selected = name === chosen;
      return option;
    }));
    const choose = () => choices.forEach((choice, place) => {
      choice.hidden = !values[place].every((value, axis) => value === selects[axis].value);
    });
    const refill = (chosen) => {
      const of = choices.map((choice, place) => ({ choice, value: values[place] })).filter(({ value }) => value[0] === selects[0].value);
      const kept = of.find(({ value }) => value[1] === chosen) ?? of.find(({ choice }) => "first" in choice.dataset) ?? of[0];
      fill(selects[1], of.map(({ value }) => value[1]), kept.value[1]);
      choose();
    };
    fill(selects[0], values.map((value) => value[0]), values[0][0]);
    refill();
    selects[0].addEventListener("change", () => refill(selects[1].value));
    selects[1].addEventListener("change", choose);
    chooser.prepend(tools);
  }

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

  // The rows that are shown, in their order; numbers in full, not as they are rounded for the eye.
  document.getElementById("csv").addEventListener("click", () => {
    const quoted = (text) => (/[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text);
    const cell = (of) => (of.dataset.v === "–" ? "" : of.dataset.v ?? of.textContent);
    const line = (cells, text) => [...cells].map((of) => quoted(text(of))).join(",") + "\r\n";
    const lines = [line(table.tHead.rows[0].cells, (head) => head.textContent)];
    for (const row of rows) if (!row.hidden) lines.push(line(row.cells, cell));
    const link = make("a", { href: URL.createObjectURL(new Blob(lines, { type: "text/csv" })), download: document.title.split(":")[0] + ".csv" });
    link.click();
    URL.revokeObjectURL(link.href);
  });
})();
