"use strict";

const SECONDS = 10, ROWS = 5, EVENTS = 50, FLOOR_DBFS = -60;
const SVG = "http://www.w3.org/2000/svg";
const by = id => document.getElementById(id);

let thresholds = {};
let history = [];  // {at, scores}: seconds of sound since the page was opened, word -> score
let heard_s = 0;

function showState({state, reason, muted}) {
  by("state").className = `state ${state === "degraded" ? state : muted ? "muted" : state}`;
  by("state-text").textContent = [muted && "muted", reason ? `${state}: ${reason}` : !muted && state].filter(Boolean).join(", ");
  const mute = by("mute");
  mute.disabled = false;
  mute.setAttribute("aria-pressed", muted);
  mute.textContent = muted ? "Unmute" : "Mute";
}

function showLevel(level) {
  const share = dbfs => Math.min(1, Math.max(0, 1 - dbfs / FLOOR_DBFS));
  by("rms").style.transform = "none";
  by("rms").style.clipPath = `inset(0 ${100 - 100 * share(level.rms_dbfs)}% 0 0)`;
  by("peak").style.left = `calc(${100 * share(level.peak_dbfs)}% - 3px)`;
  by("level").textContent = `${level.rms_dbfs.toFixed(1)} dBFS`;
  by("rms").parentElement.setAttribute("aria-valuenow", level.rms_dbfs);
  by("clip").classList.toggle("on", level.clipped);
  heard_s += level.seconds;
  history.push({at: heard_s, scores: level.scores});
  history = history.filter(one => one.at > heard_s - SECONDS);
  drawTraces();
}

function drawTraces() {
  const best = {};
  for (const {scores} of history)
    for (const [word, score] of Object.entries(scores)) best[word] = Math.max(best[word] ?? 0, score);
  const words = Object.keys(best).sort((a, b) => best[b] - best[a]).slice(0, ROWS).sort();
  const rows = by("traces");
  while (rows.children.length > words.length) rows.lastChild.remove();
  while (rows.children.length < words.length) rows.append(newTrace());
  words.forEach((word, index) => drawTrace(rows.children[index], word));
}

function newTrace() {
  const row = document.createElement("div");
  row.className = "trace";
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${SECONDS} 1`);
  svg.setAttribute("preserveAspectRatio", "none");
  const curve = document.createElementNS(SVG, "path"), line = document.createElementNS(SVG, "line");
  curve.setAttribute("class", "curve");
  line.setAttribute("class", "threshold");
  line.setAttribute("x2", SECONDS);
  svg.append(curve, line);
  row.append(document.createElement("b"), svg, document.createElement("span"));
  return row;
}

function drawTrace(row, word) {
  const [name, svg, value] = row.children, [curve, line] = svg.children;
  const height = score => (1 - 0.94 * score).toFixed(3);
  const points = history.map(({at, scores}) => `${(SECONDS - heard_s + at).toFixed(2)},${height(scores[word] ?? 0)}`);
  const first = SECONDS - heard_s + history[0].at;
  curve.setAttribute("d", `M${first.toFixed(2)},1.1L${points.join("L")}L${SECONDS},1.1Z`);
  name.textContent = name.title = word;
  value.textContent = (history.at(-1).scores[word] ?? 0).toFixed(2);
  const threshold = thresholds[word] ?? 2;
  line.setAttribute("y1", height(threshold));
  line.setAttribute("y2", height(threshold));
}

function showEvent(event) {
  const row = document.createElement("tr");
  const time = new Date(event.wall_time);
  for (const text of [time.toLocaleTimeString(), event.keyword, event.score.toFixed(2), event.model]) {
    const cell = document.createElement("td");
    cell.textContent = text;
    row.append(cell);
  }
  row.children[0].title = event.wall_time;
  row.children[2].className = "number";
  row.children[3].className = "quiet";
  const list = by("events");
  list.querySelector(".none")?.remove();
  list.prepend(row);
  while (list.children.length > EVENTS) list.lastChild.remove();
}

async function ask(path) {
  try {
    const answer = await fetch(path, {method: "POST"});
    return answer.ok ? "" : (await answer.text()).trim();
  } catch {
    return "the daemon cannot be reached";
  }
}

const source = new EventSource("/events?levels&since=0");
const on = (kind, show) => source.addEventListener(kind, message => show(JSON.parse(message.data)));
on("state", showState);
on("level", showLevel);
on("words", words => { thresholds = words; });
on("detection", showEvent);
source.onerror = () => {
  by("state").className = "state away";
  by("state-text").textContent = "the daemon cannot be reached";
  by("mute").disabled = true;
};

by("mute").onclick = async () => {
  const muted = by("mute").getAttribute("aria-pressed") === "true";
  by("told").textContent = await ask(muted ? "/unmute" : "/mute");
};
by("false-wake").onclick = async () => {
  by("told").textContent = await ask("/false-wake") || "its sound is kept";
};
