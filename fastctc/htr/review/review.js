"use strict";
// From doubt to doubt. What is on the screen is what the server holds: every change is sent at once, and what it answers
// is shown. What could not be sent waits in the browser's storage and is sent again, also after a reload.
const byId = (id) => document.getElementById(id);
const token = document.querySelector('meta[name="token"]').content;
const WAITING = "fastctc-review-waiting-";
const DRAFT = "fastctc-review-draft"; // what is being typed
const EVERY = 2500; // milliseconds between two looks at what has been read, and at other tabs
let pages = [], page = null, current = null, wholeLine = false, edited = false;
let byDoubt = localStorage.getItem("fastctc-review-order") !== "reading";

// Server ---------------------------------------------------------------------------------------------------------------

async function ask(address, body) {
  const how = body === undefined ? {} : { method: "POST", headers: { "X-Token": token }, body: JSON.stringify(body) };
  const answer = await fetch(address, how);
  let data = {};
  try { data = await answer.json(); } catch { /* no answer of ours */ }
  return { status: answer.status, ok: answer.ok, data };
}

const at = (name) => `/page?name=${encodeURIComponent(name)}`;
// Each change has a key of its own in the storage that all tabs share; the one that has the lock sends them, in order.
const keys = () => Object.keys(localStorage).filter((key) => key.startsWith(WAITING)).sort();
let sent = 0;

function send(name, change) {
  const key = `${WAITING}${String(Date.now()).padStart(15, "0")}-${String(sent++).padStart(6, "0")}-${Math.random()}`;
  localStorage.setItem(key, JSON.stringify({ name, change })); // first of all, so that nothing is lost
  return flush();
}

function flush() {
  return navigator.locks.request(WAITING, async () => {
    for (let [key] = keys(); key; [key] = keys()) {
      const { name, change } = JSON.parse(localStorage.getItem(key));
      let answer;
      try { answer = await ask(at(name), change); } catch { return say("not saved: is fastctc review still running? It is tried again."); }
      if (answer.status === 403) return say("not saved: open the address that fastctc review has printed; it is kept until then.");
      if (answer.status >= 500) return say(`not saved: ${answer.data.error}. It is tried again.`);
      localStorage.removeItem(key);
      if (page && page.name === name && answer.data.view) show(answer.data);
      if (answer.ok) say("");
      else return say(`not saved: ${answer.data.error}. You wrote: ${change.text}`);
    }
    return true;
  });
}

function say(text) {
  byId("banner").textContent = text;
  byId("banner").hidden = !text;
  return false;
}

// What is shown --------------------------------------------------------------------------------------------------------

const words = () => [...document.querySelectorAll(".text .word")];
const doubts = () => {
  const found = words().filter((one) => one.classList.contains("doubtful"));
  return byDoubt ? found.sort((a, b) => a.dataset.c - b.dataset.c) : found;
};
const wordOf = (name) => name && document.querySelector(`.text .word[data-n="${CSS.escape(name)}"]`);
const frameOf = (name) => document.querySelector(`polygon[data-n="${CSS.escape(name)}"]`);
const lineOf = (word) => word.closest(".line");
const textOf = (line) => [...line.querySelectorAll(".word")].map((one) => one.textContent).join(" ");

function show(data) {
  const scroll = document.querySelector(".text") ? document.querySelector(".text").scrollTop : 0;
  const same = page && page.name === data.name;
  page = data;
  pages = pages.map((one) => (one.name === data.name ? { ...one, ...data } : one));
  const main = byId("main");
  if (data.view) {
    const old = main.querySelector(".page img");
    main.innerHTML = data.view; // made by the server, all texts escaped
    if (same && old) main.querySelector(".page img").replaceWith(old); // it does not flicker
    document.querySelector(".text").scrollTop = scroll;
  } else {
    const text = data.error ? `This image cannot be read: ${data.error}` : "This page is being read …";
    main.replaceChildren(Object.assign(document.createElement("p"), { className: data.error ? "broken" : "none", textContent: text }));
  }
  if (data.warning) say(`what is said of this page cannot be saved: ${data.warning}`);
  if (!wordOf(current)) { current = null; wholeLine = false; }
  summary();
  if (current) mark(current, false);
  else byId("desk").hidden = true;
}

function summary() {
  const select = byId("pages"), chosen = page && page.name;
  const label = (one) => `${one.name} · ${one.state === "read" ? (one.doubts ? `${one.doubts} doubts` : "✓") : one.state}`;
  const labels = pages.map(label).join("\n");
  if (select.dataset.labels !== labels) {
    select.replaceChildren(...pages.map((one) => new Option(label(one), one.name)));
    select.dataset.labels = labels;
  }
  if (chosen) select.value = chosen;
  const sum = (key) => pages.reduce((total, one) => total + one[key], 0);
  const left = sum("doubts"), settled = sum("settled"), unread = pages.filter((one) => one.state === "waiting").length;
  const broken = pages.filter((one) => one.state === "broken").length;
  byId("progress").textContent = `${left} doubts left, ${settled} words settled` + (page && page.view ? `, ${page.doubts} left here` : "")
    + (unread ? `, to be read: ${unread}` : "") + (broken ? `, broken: ${broken}` : "");
  byId("bar").max = Math.max(1, left + settled);
  byId("bar").value = settled;
  byId("order").textContent = byDoubt ? "least sure first" : "top to bottom";
}

async function open(name, first = true) {
  const answer = await ask(at(name));
  if (!answer.ok) return say(answer.data.error || "there is no answer");
  if (edited && current) submit();
  if (!page || page.name !== name) { current = null; window.scrollTo(0, 0); if (!keys().length) say(""); }
  show(answer.data);
  remember();
  if (first && !current && doubts().length) mark(doubts()[0].dataset.n);
}

function remember() {
  history.replaceState(null, "", `#${new URLSearchParams({ page: page.name, ...(current ? { word: current } : {}) })}`);
}

// The word at hand -----------------------------------------------------------------------------------------------------

function mark(name, move = true) {
  document.querySelectorAll(".current").forEach((one) => one.classList.remove("current"));
  if (edited && name !== current) submit(); // what was typed is kept, whatever comes next
  const word = wordOf(name);
  if (!word) return;
  if (name !== current || move) { wholeLine = false; edited = false; }
  current = name;
  word.classList.add("current");
  const frame = frameOf(name);
  if (frame) { frame.classList.add("current"); frame.parentNode.append(frame); }
  byId("desk").hidden = false;
  if (!edited) byId("text").value = wholeLine ? textOf(lineOf(word)) : word.textContent;
  byId("form").classList.toggle("line", wholeLine);
  choices(word);
  strip(word, frame);
  if (move) {
    word.scrollIntoView({ block: "nearest" });
    if (frame) intoView(frame);
    remember();
  }
}

function intoView(frame) { // above the desk
  const box = frame.getBoundingClientRect(), desk = byId("desk").getBoundingClientRect().top;
  const top = document.querySelector("header").getBoundingClientRect().bottom;
  if (box.top < top + 20 || box.bottom > desk - 20) window.scrollBy(0, box.top - (top + desk) / 2);
}

function choices(word) {
  const all = [[word.textContent, Number(word.dataset.c)], ...JSON.parse(word.dataset.or)].slice(0, 9);
  byId("choices").replaceChildren(...all.map(([text, p], i) => {
    const button = document.createElement("button");
    const key = Object.assign(document.createElement("kbd"), { textContent: i + 1 });
    const share = Object.assign(document.createElement("small"), { textContent: p.toFixed(p < 0.1 ? 3 : 2) });
    button.append(key, text, share);
    button.type = "button";
    button.dataset.text = text;
    button.addEventListener("click", () => choose(text));
    return button;
  }));
}

function strip(word, frame) { // the line's part of the scan, enlarged
  const image = document.querySelector(".page img"), node = byId("strip");
  const corners = (text) => text.trim().split(/\s+/).map((one) => one.split(",").map(Number));
  const points = corners(frame ? frame.getAttribute("points") : lineOf(word).dataset.p);
  if (!image || points.length < 3) return;
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const columns = image.width === 0 ? 1 : Number(image.getAttribute("width")), rows = Number(image.getAttribute("height"));
  const height = node.clientHeight, width = node.clientWidth;
  const scale = Math.min((0.7 * height) / Math.max(1, bottom - top), (0.8 * width) / Math.max(1, right - left), 4);
  const x = width / 2 - (scale * (left + right)) / 2, y = height / 2 - (scale * (top + bottom)) / 2;
  Object.assign(node.style, {
    backgroundImage: `url("${image.src}")`,
    backgroundSize: `${scale * columns}px ${scale * rows}px`,
    backgroundPosition: `${x}px ${y}px`,
  });
  Object.assign(byId("mark").style, {
    left: `${x + scale * left - 3}px`, top: `${y + scale * top - 3}px`,
    width: `${scale * (right - left) + 6}px`, height: `${scale * (bottom - top) + 6}px`,
  });
}

// What a person does ---------------------------------------------------------------------------------------------------

function after(name) { // the doubt that follows the word, which may not be one any more
  const all = doubts(), others = all.filter((one) => one.dataset.n !== name);
  const here = wordOf(name);
  if (byDoubt) {
    const place = all.findIndex((one) => one.dataset.n === name);
    return place >= 0 ? all[place + 1] || others[0] : others[0];
  }
  return others.find((one) => here && here.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING) || others[0];
}

function jump(step) {
  const all = doubts();
  if (!all.length) return nextPageWithDoubts();
  const place = all.findIndex((one) => one.dataset.n === current);
  let to = place < 0 ? (step > 0 ? 0 : all.length - 1) : (place + step + all.length) % all.length;
  if (place < 0 && current && step > 0 && after(current)) to = all.indexOf(after(current));
  mark(all[to].dataset.n);
}

function nextPageWithDoubts() {
  const place = pages.findIndex((one) => page && one.name === page.name);
  const next = [...pages.slice(place + 1), ...pages.slice(0, place)].find((one) => one.doubts);
  if (next) open(next.name);
}

function turn(step) {
  const place = pages.findIndex((one) => page && one.name === page.name) + step;
  if (pages[place]) open(pages[place].name);
}

function changeTo(text) { // what the server is told
  const word = wordOf(current), line = lineOf(word);
  return wholeLine
    ? { line: line.dataset.l, before: textOf(line), text }
    : { line: line.dataset.l, word: current, before: word.textContent, text };
}

function leave() { // the field, whose text has been sent or is not wanted
  wholeLine = false;
  edited = false;
  sessionStorage.removeItem(DRAFT);
}

function submit() {
  const change = wordOf(current) && changeTo(byId("text").value);
  leave();
  if (change) send(page.name, change);
}

async function choose(text) {
  const word = wordOf(current);
  if (!word) return;
  const line = lineOf(word), next = after(current), change = changeTo(text);
  leave();
  byId("text").blur();
  // Settled from now on; should the server see it otherwise, it says so.
  for (const one of change.word ? [word] : line.querySelectorAll(".word")) one.classList.remove("doubtful");
  const to = next && next.classList.contains("doubtful") ? next : doubts()[0];
  if (to) mark(to.dataset.n);
  if (!(await send(page.name, change)) || to) return;
  if (wordOf(current)) mark(current);
  if (!doubts().length && !keys().length) nextPageWithDoubts();
}

function confirmLine() {
  const word = wordOf(current);
  if (!word) return;
  wholeLine = true;
  choose(textOf(lineOf(word)));
}

function remove() { // the line, which is no writing
  if (!wordOf(current)) return;
  wholeLine = true;
  choose("");
}

function write(whole) {
  const word = wordOf(current);
  if (!word) return;
  wholeLine = whole;
  edited = false;
  mark(current, false);
  const field = byId("text");
  field.focus();
  field.select();
}

function beside(step) {
  const all = words(), place = all.findIndex((one) => one.dataset.n === current);
  const to = all[place + step];
  if (to) mark(to.dataset.n);
}

function above(step) {
  const word = wordOf(current);
  if (!word) return;
  const lines = [...document.querySelectorAll(".text .line")].filter((one) => one.querySelector(".word"));
  const line = lines[lines.indexOf(lineOf(word)) + step];
  if (!line) return;
  const middle = (one) => { const frame = frameOf(one.dataset.n), box = frame.getBoundingClientRect(); return (box.left + box.right) / 2; };
  const wanted = middle(word);
  const near = [...line.querySelectorAll(".word")].sort((a, b) => Math.abs(middle(a) - wanted) - Math.abs(middle(b) - wanted));
  mark(near[0].dataset.n);
}

const KEYS = {
  n: () => jump(1), p: () => jump(-1), e: () => write(false), l: () => write(true), o: () => order(), x: () => remove(),
  "[": () => turn(-1), "]": () => turn(1), "?": () => byId("keys").showModal(),
  ArrowRight: () => beside(1), ArrowLeft: () => beside(-1), ArrowUp: () => above(-1), ArrowDown: () => above(1),
};

function order() {
  byDoubt = !byDoubt;
  localStorage.setItem("fastctc-review-order", byDoubt ? "doubt" : "reading");
  summary();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const field = event.target === byId("text");
  if (event.key === "Escape" && current) { leave(); mark(current, false); byId("text").blur(); return; }
  if (event.key === "Enter" && event.shiftKey && current) { event.preventDefault(); if (field && wholeLine) choose(byId("text").value); else confirmLine(); return; }
  if (field || event.target.tagName === "SELECT") return;
  if (event.key === "Enter" && event.target.tagName !== "BUTTON" && current) { event.preventDefault(); choose(wordOf(current).textContent); return; }
  if (/^[1-9]$/.test(event.key) && current) {
    const button = byId("choices").children[event.key - 1];
    if (button) { event.preventDefault(); choose(button.dataset.text); }
    return;
  }
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
byId("text").addEventListener("input", () => {
  edited = true;
  sessionStorage.setItem(DRAFT, JSON.stringify({ name: page.name, current, wholeLine, text: byId("text").value }));
});
byId("form").addEventListener("submit", (event) => { event.preventDefault(); choose(byId("text").value); });
byId("line").addEventListener("click", () => write(true));
byId("whole").addEventListener("click", confirmLine);
byId("none").addEventListener("click", remove);
byId("next").addEventListener("click", () => jump(1));
byId("previous").addEventListener("click", () => jump(-1));
byId("before").addEventListener("click", () => turn(-1));
byId("after").addEventListener("click", () => turn(1));
byId("order").addEventListener("click", order);
byId("help").addEventListener("click", () => byId("keys").showModal());
byId("pages").addEventListener("change", (event) => { event.target.blur(); open(event.target.value); });
byId("main").addEventListener("click", (event) => { const name = event.target.dataset.n; if (name) mark(name); });
window.addEventListener("resize", () => current && mark(current, false));

async function look() { // what has been read meanwhile, and what other tabs have done
  try {
    if (keys().length) await flush();
    const answer = await ask("/pages");
    if (answer.ok) {
      pages = answer.data;
      const now = page && pages.find((one) => one.name === page.name);
      if (now && now.revision !== page.revision && !edited) await open(page.name, !page.view);
      else summary();
    }
  } catch { if (keys().length) say("not saved: is fastctc review still running? It is tried again."); }
  setTimeout(look, EVERY);
}

(async function begin() {
  const answer = await ask("/pages");
  if (!answer.ok) return say(answer.data.error || "there is no answer");
  pages = answer.data;
  const wanted = new URLSearchParams(location.hash.slice(1));
  const first = pages.find((one) => one.name === wanted.get("page")) || pages.find((one) => one.doubts) || pages[0];
  if (!first) return say("there are no images in this folder");
  current = null;
  await flush();
  await open(first.name, !wanted.get("word"));
  if (wordOf(wanted.get("word"))) mark(wanted.get("word"));
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "null");
  if (draft && draft.name === page.name && draft.current === current) {
    write(draft.wholeLine);
    byId("text").value = draft.text;
    edited = true;
  }
  setTimeout(look, EVERY);
})();
