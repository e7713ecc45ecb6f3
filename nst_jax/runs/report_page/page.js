
const data = JSON.parse(document.getElementById("data").textContent);
const { rows, columns, grid, cells } = data;
const $ = (id) => document.getElementById(id);

/* What the reader has chosen, kept in the address's fragment: it survives every reload, by hand or by the refresh, and
   needs no storage, which pages opened from disk may not have. What was never touched stays at its default. */
const numeric = ["open", "at", "a", "b", "wipe", "row", "along", "record", "paused", "top"];
const chosen = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
for (const key of numeric) {
  chosen[key] = Number.parseInt(chosen[key], 10);
  if (Number.isNaN(chosen[key])) delete chosen[key];
}
for (const key of ["open", "at", "a", "b"]) if (!cells[chosen[key]]) delete chosen[key];
const hidden = new Set(chosen.hide ? chosen.hide.split("\n") : []);

function keep() {
  const kept = { ...chosen, hide: [...hidden].join("\n"), focus: document.activeElement.id, top: $("large").scrollTop };
  if (!kept.hide) delete kept.hide;
  if (!kept.focus) delete kept.focus;
  if (!kept.top) delete kept.top;
  history.replaceState(null, "", `#${new URLSearchParams(kept)}`);
}
// Not at every "input": browsers limit how often an address may change.
for (const event of ["change", "click"]) document.addEventListener(event, () => setTimeout(keep));

const thumbnail = (number) => document.querySelector(`#cell-${number} img`);

function show(layer, number) {
  const cell = cells[number], source = cell && thumbnail(number);
  if (!source) {
    layer.textContent = cell ? cell.state : "no lane here";
    return;
  }
  const image = layer.querySelector("img") || make("img");
  // The page may have been moved without its folder.
  image.onerror = () => { image.onerror = null, image.src = source.src; };
  image.src = cell.original || source.src;
  image.alt = cell.name;
  image.draggable = false;
  layer.replaceChildren(image);
}

function shape(stage, ...numbers) {
  const image = numbers.map((number) => cells[number] && thumbnail(number)).find(Boolean);
  if (!image) return;
  const set = () => stage.style.setProperty("--aspect", `${image.naturalWidth} / ${image.naturalHeight}`);
  image.decode().then(set, () => {});
}

function fill(select, names, value) {
  select.replaceChildren(...names.map((name, n) => make("option", { value: n }, name)));
  select.value = value;
}

/* --- the grid --- */

const buttons = [...document.querySelectorAll("#grid button")];
const place = new Map();
grid.forEach((line, row) => line.forEach((number, column) => number !== null && place.set(number, [row, column])));

function stay(number) {  // one stop for Tab; arrows go on from there
  for (const button of buttons) button.tabIndex = Number(button.dataset.cell) === number ? 0 : -1;
  chosen.at = number;
}

function neighbor(number, key) {
  let [row, column] = place.get(number);
  const [down, right] = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[key];
  do [row, column] = [row + down, column + right]; while (grid[row]?.[column] === null);  // over places without a lane
  return grid[row]?.[column];
}

function edge(number, key) {
  const line = grid[place.get(number)[0]].filter((other) => other !== null);
  return key === "Home" ? line[0] : line[line.length - 1];
}

$("grid").addEventListener("keydown", (event) => {
  const number = Number(event.target.dataset.cell);
  if (!event.key.startsWith("Arrow") && !["Home", "End"].includes(event.key)) return;
  const to = event.key.startsWith("Arrow") ? neighbor(number, event.key) : edge(number, event.key);
  event.preventDefault();
  if (to === undefined) return;
  stay(to);
  $(`cell-${to}`).focus();
});
$("grid").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) enlarge(Number(button.dataset.cell));
});

/* --- one picture, large --- */

const large = $("large");

function enlarge(number) {
  const cell = cells[number];
  chosen.open = number;
  stay(number);
  $("large-name").textContent = cell.name;
  shape($("large-layer").parentElement, number);
  show($("large-layer"), number);
  const facts = [["row", cell.row], [data.corner || "column", cell.column], ["state", cell.state], ...cell.settings];
  const seen = new Set();
  $("large-settings").replaceChildren(...facts.flatMap(([key, value]) => {
    if (seen.has(key)) return [];
    seen.add(key);
    return [make("dt", {}, key), make("dd", {}, value)];
  }));
  lossChart($("curves"), cell.losses, hidden);
  const order = [...place.keys()];
  $("previous").disabled = order.indexOf(number) === 0;
  $("next").disabled = order.indexOf(number) === order.length - 1;
  if (!large.open) large.showModal();
}

function step(by) {
  const order = [...place.keys()];
  const to = order[order.indexOf(chosen.open) + by];
  if (to !== undefined) enlarge(to);
}

$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("close").addEventListener("click", () => large.close());
large.addEventListener("click", (event) => event.target === large && large.close());  // beside the sheet
large.addEventListener("close", () => {
  $(`cell-${chosen.open}`).focus();
  delete chosen.open;
  delete chosen.record;
  keep();
});
large.addEventListener("keydown", (event) => {
  if (!event.key.startsWith("Arrow") || event.target.matches("input")) return;
  const to = neighbor(chosen.open, event.key);
  event.preventDefault();
  if (to === undefined) return;
  enlarge(to);
  keep();
});
large.addEventListener("input", (event) => {
  if (event.target.id === "evaluation") chosen.record = Number(event.target.value);
});

/* --- two pictures, compared --- */

const pictured = new Set(cells.map((_, number) => number).filter(thumbnail));
const heading = (cell) => (cell ? `${cell.row}, ${cell.column}` : "");
const names = cells.map((cell) => `${heading(cell)} (${cell.name})`);
fill($("compare-a"), names, chosen.a ?? 0);
fill($("compare-b"), names, chosen.b ?? 0);
$("wipe").value = chosen.wipe ?? 50;

function compare() {
  const [a, b] = [Number($("compare-a").value), Number($("compare-b").value)];
  shape($("wipe-stage"), a, b);
  show($("layer-a"), a);
  show($("layer-b"), b);
  $("end-a").textContent = heading(cells[a]);
  $("end-b").textContent = heading(cells[b]);
}

function wipe() {
  const part = Number($("wipe").value);
  $("layer-a").style.clipPath = `inset(0 ${100 - part}% 0 0)`;
  $("handle").style.left = `${part}%`;
  $("wipe").setAttribute("aria-valuetext", `${part} % left picture`);
}

for (const side of ["a", "b"]) {
  $(`compare-${side}`).addEventListener("change", (event) => {
    chosen[side] = Number(event.target.value);
    compare();
  });
}
$("wipe").addEventListener("input", () => {
  chosen.wipe = Number($("wipe").value);
  wipe();
});
function drag(event) {
  const box = $("wipe-stage").getBoundingClientRect();
  $("wipe").value = 100 * (event.clientX - box.left) / box.width;
  $("wipe").dispatchEvent(new Event("input", { bubbles: true }));
}
$("wipe-stage").addEventListener("pointerdown", (event) => {
  $("wipe-stage").setPointerCapture(event.pointerId);
  drag(event);
});
$("wipe-stage").addEventListener("pointermove", (event) => event.buttons && drag(event));

/* --- along a row --- */

fill($("row"), rows, rows[chosen.row] === undefined ? 0 : chosen.row);
$("along").max = columns.length - 1;
$("along").value = chosen.along ?? 0;
$("along-first").textContent = columns[0];
$("along-last").textContent = columns[columns.length - 1];

function along() {
  const line = grid[$("row").value], column = Number($("along").value);
  shape($("along-layer").parentElement, line[column], ...line);
  show($("along-layer"), line[column]);
  $("along-value").textContent = columns[column];
  $("along").setAttribute("aria-valuetext", columns[column]);
}

$("along").addEventListener("input", () => {
  chosen.along = Number($("along").value);
  along();
});
$("row").addEventListener("change", () => {
  chosen.row = Number($("row").value);
  along();
});

/* Where the reader has chosen nothing, there are pictures as soon as there are any. */
function settle() {
  const those = [...pictured];
  if (!those.length) return;
  for (const [side, number] of [["a", Math.min(...those)], ["b", Math.max(...those)]]) {
    const select = $(`compare-${side}`);
    if (chosen[side] === undefined && !(settled && pictured.has(Number(select.value)))) select.value = number;
  }
  const full = grid.map((line) => line.filter((number) => pictured.has(number)).length);
  const fullest = full.lastIndexOf(full.reduce((a, b) => Math.max(a, b)));
  if (rows[chosen.row] === undefined && !(settled && full[$("row").value])) $("row").value = fullest;
  settled = true;
}
let settled = false;

/* --- start, and the refresh while the sweep runs --- */

$("compare-a").closest("section").hidden = cells.length < 2;
$("along").closest("section").hidden = columns.length < 2;
if (cells.length) {
  stay(chosen.at ?? place.keys().next().value);
  settle();
  compare();
  wipe();
  along();
}
if (chosen.open !== undefined) {
  enlarge(chosen.open);
  if ($("evaluation") && chosen.record !== undefined) {
    $("evaluation").value = chosen.record;
    $("evaluation").dispatchEvent(new Event("input", { bubbles: true }));
  }
  large.scrollTop = chosen.top ?? 0;
}
if (chosen.focus) $(chosen.focus)?.focus({ preventScroll: true });

let touched = -Infinity;
for (const event of ["pointerdown", "pointermove", "keydown", "input"]) {
  document.addEventListener(event, (e) => {
    if (e.isTrusted && (event !== "pointermove" || e.buttons)) touched = performance.now();
  });
}

function refresh() {
  if (chosen.paused) return;
  // Never under the reader's hand: a slider being dragged, a menu being open.
  const quiet = document.activeElement.matches("select") ? 15000 : 1500;
  if (document.hidden || performance.now() - touched < quiet) return void setTimeout(refresh, 500);
  keep();
  location.reload();
}

function pause() {
  $("pause").textContent = chosen.paused ? "Go on refreshing" : "Pause refresh";
  $("refresh").textContent = chosen.paused ? "paused" : data.live ? "live" : `refreshes every ${data.refresh} s`;
}

/* --- news of a run, on a page that is served --- */

let version = 0;
let behind = false;  // the enlarged picture's losses are older than the news

function take(news) {
  const numbers = Object.keys(news.cells).map(Number);
  for (const number of numbers) {
    const { picture, ...rest } = news.cells[number], cell = Object.assign(cells[number], rest), button = $(`cell-${number}`);
    if (picture && !thumbnail(number)) {
      const image = make("img", { alt: "", loading: "lazy" });
      if (!pictured.size) image.addEventListener("load", () => {
        document.documentElement.style.setProperty("--aspect", `${image.naturalWidth} / ${image.naturalHeight}`);
      });
      button.querySelector(".missing").replaceWith(image);
      pictured.add(number);
    }
    if (picture) thumbnail(number).src = picture;
    button.className = `cell ${cell.state}`;
    button.setAttribute("aria-label", `${cell.name}: ${cell.row}, ${cell.column}, ${cell.state}`);
    button.querySelector(".badge")?.remove();
    if (cell.state !== "done" || !picture) button.append(make("span", { class: "badge" }, cell.state));
  }
  document.querySelector(".state span").textContent = news.state;
  document.querySelector("progress").value = news.done;
  if (numbers.length) {
    settle();
    compare();
    along();
  }
  if (large.open && numbers.includes(chosen.open)) {
    behind = true;
    show($("large-layer"), chosen.open);
  }
  // Never under the reader's hand: the slider of the chart being dragged.
  if (behind && performance.now() - touched > 800) renew();
  version = news.version;
}

function renew() {  // what is enlarged, with the same evaluation and the same focus
  behind = false;
  if (!large.open) return;
  const slider = $("evaluation"), top = large.scrollTop, inside = $("curves").contains(document.activeElement);
  const focused = inside ? [...$("curves").querySelectorAll("input, button")].indexOf(document.activeElement) : -1;
  if (slider && slider.value === slider.max) delete chosen.record;  // at the end it stays at the end
  enlarge(chosen.open);
  if ($("evaluation") && chosen.record !== undefined) {
    $("evaluation").value = chosen.record;
    $("evaluation").dispatchEvent(new Event("input", { bubbles: true }));
  }
  $("curves").querySelectorAll("input, button")[focused]?.focus({ preventScroll: true });
  large.scrollTop = top;
}

async function poll() {
  if (chosen.paused) return;
  if (document.hidden) return void (timer = setTimeout(poll, 1000));
  const news = await fetch(`state.json?since=${version}`, { cache: "no-store" })
    .then((answer) => (answer.ok ? answer.json() : null), () => null);
  if (news && news.stage !== data.live) {  // the run's next scale, or another run
    keep();
    return void location.reload();
  }
  if (news) take(news);
  pause();
  if (!news) $("refresh").textContent = "no answer: the run may have ended";
  if (news?.ended) {
    $("refresh").textContent = "the run has ended";
    $("pause").hidden = true;
    if (behind) setTimeout(renew, 1000);
  }
  timer = setTimeout(poll, news && !news.ended ? 1000 : 5000);
}

const again = data.live ? poll : refresh;
const wait = () => (data.live ? 0 : data.refresh * 1000);
let timer;
if (data.live || data.refresh) {
  timer = setTimeout(again, wait());
  $("pause").addEventListener("click", () => {
    chosen.paused = chosen.paused ? 0 : 1;
    pause();
    clearTimeout(timer);
    timer = setTimeout(again, wait());
  });
  pause();
}
