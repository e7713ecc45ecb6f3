"use strict";

function make(tag, attributes = {}, text = "") {
  const svg = ["svg", "path", "line", "text", "circle"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  return element;
}

function digits(value) {
  if (value === null || value === undefined) return "not finite";
  return value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5) ? value.toExponential(3).replace("+", "") : String(Number(value.toPrecision(4)));
}

/* One lane's losses over evaluations, on a logarithmic scale. `hidden` is a Set of series names, kept from lane to
   lane. The slider under the chart, the pointer over it and the legend's figures all show the same evaluation. */
function lossChart(parent, losses, hidden) {
  parent.replaceChildren();
  const names = Object.keys(losses).filter((name) => name !== "evaluations");
  const count = names.length ? losses[names[0]].length : 0;
  if (!count) {
    parent.append(make("p", { class: "readout" }, "No losses yet."));
    return;
  }
  const steps = losses.evaluations || losses[names[0]].map((_, n) => n);
  const [width, height, left, right, top, bottom] = [560, 320, 48, 12, 10, 40];
  const drawn = (value) => value !== null && value > 0;  // a logarithm of nothing else

  const chart = make("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-labelledby": "curves-heading" });
  const slider = make("input", { type: "range", min: 0, max: count - 1, value: count - 1, id: "evaluation", "aria-label": "evaluation" });
  const readout = make("p", { class: "readout" });
  const legend = make("div", { class: "legend" });
  const values = new Map();
  const shown = () => names.filter((name) => !hidden.has(name));

  const first = steps[0], last = steps[count - 1];
  const x = (n) => left + (width - left - right) * (last > first ? (steps[n] - first) / (last - first) : 0.5);
  const cross = make("line", { class: "cross", y1: top, y2: height - bottom });

  function draw() {
    const logs = shown().flatMap((name) => losses[name].filter(drawn).map(Math.log10));
    const spread = logs.length ? logs : [0, 1];
    let low = spread.reduce((a, b) => Math.min(a, b)), high = spread.reduce((a, b) => Math.max(a, b));
    const margin = Math.max(0.05, (high - low) * 0.04);
    low -= margin, high += margin;
    const y = (value) => top + (height - top - bottom) * (high - Math.log10(value)) / (high - low);
    chart.replaceChildren();

    const decades = [];
    const every = Math.max(1, Math.ceil((high - low) / 7));
    for (let d = Math.ceil(low); d <= high; d += 1) if (d % every === 0) decades.push([10 ** d, `1e${d}`]);
    if (decades.length < 2) {  // less than a decade: plain figures instead
      decades.length = 0;
      for (let n = 0; n < 4; n++) {
        const value = 10 ** (low + (high - low) * (n + 0.5) / 4);
        decades.push([value, value >= 1e4 || value < 1e-2 ? value.toExponential(1).replace("+", "") : value.toPrecision(3)]);
      }
    }
    for (const [value, label] of decades) {
      chart.append(make("line", { class: "rule", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
      chart.append(make("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, label));
    }
    for (const part of [0, 0.5, 1]) {
      const step = Math.round(first + (last - first) * part);
      const anchor = ["start", "middle", "end"][part * 2];
      chart.append(make("text", { x: left + (width - left - right) * part, y: height - bottom + 18, "text-anchor": anchor }, String(step)));
    }
    chart.append(make("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "evaluations"));

    for (const [n, name] of [...names.entries()].reverse()) {  // the total last, over the others
      if (hidden.has(name)) continue;
      let path = "", pen = "M";
      losses[name].forEach((value, record) => {
        if (!drawn(value)) return void (pen = "M");
        path += `${pen}${x(record).toFixed(1)},${y(value).toFixed(1)}`;
        pen = "L";
      });
      chart.append(make("path", { class: `s${n % 8} ${n >= 8 ? "dashed" : ""}`, d: path }));
    }
    chart.append(cross);
  }

  function read() {
    const record = Number(slider.value);
    cross.setAttribute("x1", x(record));
    cross.setAttribute("x2", x(record));
    readout.textContent = `At evaluation ${steps[record]}:`;
    slider.setAttribute("aria-valuetext", `evaluation ${steps[record]}, total ${digits((losses.total || losses[names[0]])[record])}`);
    for (const name of names) values.get(name).textContent = digits(losses[name][record]);
  }

  names.forEach((name, n) => {
    const button = make("button", { type: "button", "aria-pressed": String(!hidden.has(name)), title: "show or hide" });
    const swatch = make("svg", { width: 14, height: 4, "aria-hidden": "true" });
    swatch.append(make("line", { x1: 0, x2: 14, y1: 2, y2: 2, "stroke-width": 3, class: `s${n % 8} ${n >= 8 ? "dashed" : ""}` }));
    values.set(name, make("span", { class: "value" }));
    button.append(swatch, make("span", { class: "series" }, name), values.get(name));
    button.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      button.setAttribute("aria-pressed", String(!hidden.has(name)));
      draw();
    });
    legend.append(button);
  });

  function point(event) {
    const box = chart.getBoundingClientRect();
    const at = (event.clientX - box.left) * width / box.width;
    let nearest = 0;
    for (let n = 1; n < count; n++) if (Math.abs(x(n) - at) < Math.abs(x(nearest) - at)) nearest = n;
    slider.value = nearest;
    read();
  }
  chart.addEventListener("pointermove", point);
  chart.addEventListener("pointerdown", point);
  slider.addEventListener("input", read);
  draw();
  read();
  parent.append(chart, slider, readout, legend);
}
