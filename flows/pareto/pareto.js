// SPDX-License-Identifier: Apache-2.0
// Draws the points with plotly.js, and keeps drawing, table and downloads in step with the controls.
"use strict";

const page = JSON.parse(document.getElementById("data").textContent);
const MORE_IS_BETTER = ["accuracy", "fps"];
const SHARES = ["accuracy"];
const byId = (id) => document.getElementById(id);
const checked = (id) => Boolean(byId(id)?.checked);

const factor = (key) => (SHARES.includes(key) ? 100 : 1);
const title = (key) => TITLES[key] + (SHARES.includes(key) ? ", %" : "");
const figure = (key, value) =>
  SHARES.includes(key) ? `${(100 * value).toFixed(2)} %` : value.toLocaleString("en", { maximumFractionDigits: 2 });
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function shown() {
  const wanted = [...document.querySelectorAll(".filter")].filter((select) => select.value);
  return page.points.filter((point) => point.runs.length &&
    wanted.every((select) => point.labels[select.dataset.axis] === select.value));
}

// The points that no other of their kind surpasses in both quantities, in order of the first.
function front(points, x, y) {
  const sign = (key) => (MORE_IS_BETTER.includes(key) ? 1 : -1);
  const better = (a, b, key) => sign(key) * (a.mean[key] - b.mean[key]);
  const known = points.filter((point) => point.counts && x in point.mean && y in point.mean);
  const surpassed = (point) => known.some((other) => better(other, point, x) >= 0 && better(other, point, y) >= 0 &&
    (better(other, point, x) > 0 || better(other, point, y) > 0));
  return known.filter((point) => !surpassed(point)).sort((a, b) => a.mean[x] - b.mean[x]);
}

function hover(point, x, y) {
  const lines = Object.entries(point.labels ?? {}).map(([axis, label]) => `${axis}: ${label}`);
  if (point.source) lines.push(point.method, point.source + (point.verified ? "" : " (partly from memory)"));
  const spread = (key) => (point.spread?.[key] ? ` ± ${figure(key, point.spread[key]).replace(" %", "")}` : "");
  for (const key of [y, x]) lines.push(`<b>${TITLES[key]} ${figure(key, point.mean[key])}${spread(key)}</b>`);
  if (point.runs) lines.push(point.runs[0].ladder, ...(point.why ? [point.why] : []));
  const facts = point.facts;
  lines.push(`${facts.data}, ${facts.frames}`, `encoder ${facts.encoder}`, `${facts.part}, ${facts.tool}, ${facts.stage}`);
  const wrapped = lines.flatMap((line) => (line.startsWith("<b>") ? [line] : fold(line, 70).map(escaped)));
  return `<b>${escaped(point.source ? point.name : "adiabit")}</b><br>${wrapped.join("<br>")}`;
}

function fold(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length > width) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + word;
  }
  return lines;
}

function trace(points, x, y, look) {
  const errors = (key) => ({
    type: "data", array: points.map((point) => factor(key) * (point.spread?.[key] ?? 0)), thickness: 1, width: 3,
    color: look.marker.color, visible: look.bars === true && points.some((point) => point.spread?.[key]),
  });
  return {
    type: "scatter", x: points.map((point) => factor(x) * point.mean[x]), y: points.map((point) => factor(y) * point.mean[y]),
    error_x: errors(x), error_y: errors(y), hovertemplate: points.map((point) => hover(point, x, y) + "<extra></extra>"),
    customdata: points.map((point) => point.runs?.[0]?.report ?? point.url), ...look,
  };
}

function traces(x, y) {
  const made = [], colors = ["blue", "good", "warn"], points = shown().filter((p) => x in p.mean && y in p.mean);
  const kinds = [...new Set(page.points.filter((point) => point.runs.length).map((point) => point.kind))];
  kinds.forEach((kind, index) => {
    const mine = points.filter((point) => point.kind === kind), best = front(mine, x, y);
    const rest = mine.filter((point) => !best.includes(point)), ink = color(colors[index % colors.length]);
    if (checked("faint")) made.push(trace(rest, x, y, {
      name: `${kind}, dominated`, mode: "markers", opacity: 0.38, marker: { color: ink, size: 8 },
    }));
    made.push(trace(best, x, y, {
      name: `${kind}, front`, mode: "lines+markers", marker: { color: ink, size: 10 }, bars: true,
      line: { color: ink, width: 1.5, shape: MORE_IS_BETTER.includes(y) === MORE_IS_BETTER.includes(x) ? "vh" : "hv" },
    }));
  });
  if (checked("published")) {
    const known = page.anchors.filter((anchor) => x in anchor.mean && y in anchor.mean);
    const ink = color("orange");
    made.push(trace(known, x, y, {
      name: "published, other conditions", mode: "markers",
      marker: { color: ink, size: 9, symbol: known.map((a) => (a.verified ? "diamond" : "diamond-open")) },
    }));
  }
  return made;
}

// Ticks of a logarithmic axis: parts of each decade, or evenly spaced ones for values within a factor of 2.
function ticks(values) {
  const low = Math.min(...values), high = Math.max(...values);
  const steps = high < 10 * low ? [1, 1.5, 2, 3, 4, 5, 6, 8] : [1, 2, 5];
  const apart = (high - low || low) / 5, power = 10 ** Math.floor(Math.log10(apart));
  const step = [1, 2, 5, 10].find((m) => m * power >= apart) * power;
  const marks = high < 2 * low
    ? Array.from({ length: 24 }, (_, i) => (Math.floor(low / step) + i - 8) * step).filter((m) => m > 0)
    : Array.from({ length: 20 }, (_, i) => i - 6).flatMap((e) => steps.map((m) => m * 10 ** e));
  return { tickvals: marks, ticktext: marks.map((m) => m.toLocaleString("en", { maximumFractionDigits: 6 })) };
}

function draw() {
  const x = byId("across").value, y = byId("up").value, ink = color("ink"), line = color("line");
  const drawn = traces(x, y);
  const axis = (key, log) => ({
    title: { text: title(key) }, type: log ? "log" : "linear", gridcolor: line, zeroline: false, linecolor: line,
    automargin: true, ...(log ? ticks(drawn.flatMap((one) => one.x)) : {}),
  });
  const layout = {
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { color: ink, family: getComputedStyle(document.body).fontFamily, size: 13 },
    margin: { l: 60, r: 16, t: 10, b: 50 }, hovermode: "closest", showlegend: true,
    legend: { orientation: "h", y: 1.08, x: 0, font: { size: 12.5 } },
    hoverlabel: { bgcolor: color("card"), bordercolor: line, font: { color: ink, size: 12.5 }, align: "left" },
    modebar: { bgcolor: "transparent", color: color("soft"), activecolor: ink },
    xaxis: axis(x, checked("log")), yaxis: axis(y, false),
  };
  const buttons = [["toImage", "zoom2d", "pan2d", "resetScale2d"]];
  Plotly.react("plot", drawn, layout, { responsive: true, displaylogo: false, modeBarButtons: buttons });
  byId("warning").hidden = !checked("published");
}

function filterTable() {
  const kept = new Set(shown().map((point) => point.runs[0].report));
  for (const row of document.querySelectorAll("#points tbody tr")) row.hidden = !kept.has(row.querySelector("a").getAttribute("href"));
}

// Numbers sort as numbers, whatever follows them; text as text.
function sortable(cell) {
  const number = parseFloat(cell.textContent.replace(/,/g, ""));
  return Number.isNaN(number) ? cell.textContent : number;
}

function sortBy(head) {
  const up = head.getAttribute("aria-sort") === "descending";
  document.querySelectorAll("#points thead th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const body = document.querySelector("#points tbody");
  const value = (row) => sortable(row.children[head.cellIndex]);
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? 1 : -1);
  const rows = [...body.rows].sort((a, b) => compare(value(a), value(b)) * (up ? 1 : -1));
  body.append(...rows);
}

function save(kind) {
  const points = shown(), labels = [...new Set(points.flatMap((point) => Object.keys(point.labels)))];
  const quoted = (text) => `"${String(text ?? "").replace(/"/g, '""')}"`;
  const rows = points.map((p) => [p.name, ...labels.map((axis) => p.labels[axis]), ...Object.keys(TITLES).map((key) => p.mean[key]),
    ...Object.keys(TITLES).map((key) => p.spread[key]), p.runs[0].report].map(quoted).join(","));
  const head = ["name", ...labels, ...Object.keys(TITLES), ...Object.keys(TITLES).map((key) => `${key}_std`), "report"].map(quoted).join(",");
  const text = kind === "csv" ? [head, ...rows].join("\r\n") + "\r\n" : JSON.stringify(points, null, 1) + "\n";
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" })), download: `${page.name}.${kind}`,
  });
  link.click();
  URL.revokeObjectURL(link.href);
}

for (const option of document.querySelectorAll("#across option, #up option")) option.textContent = TITLES[option.value];
byId("controls").addEventListener("change", () => { draw(); filterTable(); });
for (const head of document.querySelectorAll("#points thead th")) head.addEventListener("click", () => sortBy(head));
for (const button of document.querySelectorAll("button[data-save]")) button.addEventListener("click", () => save(button.dataset.save));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
byId("plot").on("plotly_click", (event) => { if (event.points[0].customdata) window.open(event.points[0].customdata, "_blank", "noopener"); });
