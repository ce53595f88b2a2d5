// The page of facetell serve. Nothing is kept here but the photo that is shown.
// A photo is sent whole once. While a slider moves, only the small square that the detectors saw
// of it is sent again, with what shall be done to it; one request at a time, always for the
// newest position.

const at = (id) => document.getElementById(id);
const PAUSE = 30; // ms that a slider must rest
const TRIES = 4; // of a request that the server has no room for

// value: what the API takes, or null where the slider changes nothing
const SLIDERS = {
  blur: { off: 0, words: (v) => (v > 0 ? `${v.toFixed(1)} px` : "off") },
  jpeg: { off: 101, words: (v) => (v <= 100 ? `${v} of 100` : "off") },
  crop: { off: 224, words: (v) => (v < 224 ? `${v} of 224 px` : "off") },
  brightness: { off: 1, words: (v) => (v === 1 ? "off" : `× ${v.toFixed(2)}`) },
};

let service; // what the server can do
let file = null; // the photo
let photo = null; // the answer on the unchanged photo
let face = 0; // which of its faces is shown
let now = null; // the request that is under way, to be cancelled
let timer = 0;

function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function say(words) {
  at("status").textContent = words;
}

function complain(words) {
  at("problem").textContent = words;
  at("problem").hidden = !words;
}

const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

async function ask(path, form, signal) {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(path, { method: form ? "POST" : "GET", body: form, signal });
    if (answer.ok) return answer;
    const why = await answer.json().catch(() => ({ sentence: `The server answers ${answer.status}.` }));
    const later = answer.headers.get("Retry-After");
    if (!later || attempt === TRIES || answer.status === 504) throw Object.assign(new Error(why.sentence), why);
    say("The server is busy; waiting for it …");
    await wait(Number(later));
    signal?.throwIfAborted();
  }
}

function chosen() {
  return [...document.querySelectorAll("#models input:checked")].map((box) => box.value);
}

function changes() {
  const found = {};
  for (const [name, slider] of Object.entries(SLIDERS)) {
    const value = Number(at(name).value);
    if (value !== slider.off) found[name] = value;
  }
  return found;
}

function formOf(picture, models, others) {
  const form = new FormData();
  form.append("photo", picture, "photo"); // the file's own name stays here
  for (const model of models) form.append("models", model);
  for (const [name, value] of Object.entries(others)) form.append(name, value);
  return form;
}

// Runs one request; what is under way is cancelled. Errors are shown, cancelling is none.
async function run(work) {
  now?.abort();
  const own = new AbortController();
  now = own;
  clearTimeout(timer);
  timer = 0;
  at("result").setAttribute("aria-busy", "true");
  try {
    await work(own.signal);
    complain("");
  } catch (error) {
    if (own.signal.aborted) return;
    say("");
    complain(error instanceof TypeError ? "The server cannot be reached: is it still running?" : error.message);
  } finally {
    if (now === own) {
      now = null;
      at("result").removeAttribute("aria-busy");
    }
  }
}

// ---------------------------------------------------------------- a new photo, or other models

function take(picked) {
  if (!picked) return;
  const most = service.limits.upload_mb;
  if (picked.size > most * 2 ** 20 - 10_000) {
    complain(`The photo has ${(picked.size / 2 ** 20).toFixed(1)} MB; at most ${most} MB are taken.`);
    return;
  }
  file = picked;
  face = 0;
  at("find-faces").checked = true;
  judge();
}

function judge() {
  if (!file) return;
  const models = chosen();
  if (!models.length) {
    complain("Choose at least one detector.");
    return;
  }
  run(async (signal) => {
    say("Judging …");
    const others = { method: at("method").value, find_faces: at("find-faces").checked };
    const answer = await ask("/api/v1/explain", formOf(file, models, others), signal).catch((error) => {
      if (error.code !== "no_face") throw error;
      at("find-faces").checked = false; // the square in the middle, then
      return ask("/api/v1/explain", formOf(file, models, { ...others, find_faces: false }), signal);
    });
    photo = await answer.json();
    const missed = others.find_faces && !at("find-faces").checked;
    at("missed").hidden = !missed;
    face = Math.min(face, photo.faces.length - 1);
    showPhoto();
    show();
    if (Object.keys(changes()).length) await changed(signal);
  });
}

function showPhoto() {
  const boxes = photo.faces.map((one) => one.box).filter(Boolean);
  const preview = at("preview");
  for (const old of preview.querySelectorAll("img")) URL.revokeObjectURL(old.src);
  preview.replaceChildren();
  preview.hidden = !boxes.length;
  if (boxes.length) {
    const picture = element("img", { alt: `The photo, with ${boxes.length} of its faces marked` });
    picture.onerror = () => { preview.hidden = true; }; // TIFF, which few browsers show
    picture.src = URL.createObjectURL(file);
    preview.append(picture, marks(boxes));
  }
  const list = at("faces");
  list.querySelectorAll("label").forEach((old) => old.remove());
  list.hidden = photo.faces.length < 2;
  photo.faces.forEach((one, index) => {
    const radio = element("input", { type: "radio", name: "face", value: index, checked: index === face });
    radio.onchange = () => { face = index; show(); move(); };
    const small = element("img", { alt: "", src: largest(one.seen) });
    list.append(element("label", {}, small, element("span", {}, radio, ` ${index + 1}`)));
  });
}

function marks(boxes) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("viewBox", `0 0 ${photo.width} ${photo.height}`);
  drawing.setAttribute("aria-hidden", "true");
  for (const box of boxes) {
    const group = document.createElementNS(space, "g"); // a light line under a dark one
    for (let line = 0; line < 2; line += 1) {
      const frame = document.createElementNS(space, "rect");
      frame.setAttribute("x", box.left);
      frame.setAttribute("y", box.top);
      frame.setAttribute("width", box.right - box.left);
      frame.setAttribute("height", box.bottom - box.top);
      group.append(frame);
    }
    drawing.append(group);
  }
  return drawing;
}

// ---------------------------------------------------------------- a slider moves

function move() {
  for (const name of Object.keys(SLIDERS)) describe(name);
  if (!photo || timer) return;
  timer = setTimeout(() => {
    timer = 0;
    if (now) {
      timer = setTimeout(() => { timer = 0; move(); }, PAUSE); // the newest position, once it is free
      return;
    }
    if (Object.keys(changes()).length) run(changed);
    else show();
  }, PAUSE);
}

// The models see squares of different sizes; each is asked with its own.
async function changed(signal) {
  const unchanged = photo.faces[face];
  const wanted = changes();
  const sizes = Map.groupBy
    ? Map.groupBy(unchanged.models, (one) => one.view)
    : groups(unchanged.models);
  const found = { models: [], seen: {} };
  for (const [size, models] of sizes) {
    const others = { method: at("method").value, ...wanted };
    const names = models.map((one) => one.model);
    const answer = await ask("/api/v1/explain", formOf(blob(unchanged.seen[size]), names, others), signal);
    const [one] = (await answer.json()).faces;
    found.models.push(...one.models);
    Object.assign(found.seen, one.seen);
  }
  show(found);
}

function groups(models) {
  const found = new Map();
  for (const one of models) {
    const size = one.view;
    found.set(size, [...(found.get(size) ?? []), one]);
  }
  return found;
}

function blob(uri) {
  const [head, data] = uri.split(",");
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5).split(";")[0] });
}

function describe(name) {
  const words = SLIDERS[name].words(Number(at(name).value));
  document.querySelector(`output[for=${name}]`).textContent = words;
  at(name).setAttribute("aria-valuetext", words);
}

// ---------------------------------------------------------------- what is shown

const largest = (seen) => seen[Object.keys(seen).sort((a, b) => parseInt(b) - parseInt(a))[0]];

function probability(score) {
  if (score > 0.99) return "> 0.99";
  return score < 0.01 ? "< 0.01" : score.toFixed(2);
}

function show(found = null) {
  const unchanged = photo.faces[face];
  const shown = found ?? unchanged;
  at("result").hidden = false;
  at("seen").src = largest(shown.seen);
  at("seen").alt = found ? "The photo as the detectors see it, changed" : "The photo as the detectors see it";
  const sides = [...new Set(Object.keys(shown.seen).map((view) => `${parseInt(view)} px`))].join(" and ");
  at("seen-words").textContent = `What the detectors see: ${sides} on a side`;
  const before = Object.fromEntries(unchanged.models.map((one) => [one.model, one]));
  at("verdicts").replaceChildren(
    ...shown.models.map((one) => card(one, found ? before[one.model] : null)),
  );
  const sentences = unchanged.models.flatMap((one) => one.unlike.map((said) => `${one.model}: ${said}`));
  at("unlike").replaceChildren(...sentences.map((said) => element("li", {}, said)));
  at("unlike").hidden = !sentences.length;
  at("note").textContent = photo.note;
  showLegend();
  say(shown.models.map((one) => `${one.model}: ${one.verdict}, P(fake) ${probability(one.score)}`).join("; "));
}

function card(one, before) {
  const bar = element("div", { className: `bar ${one.verdict}` },
    element("span", { className: "fill" }), element("span", { className: "limit" }));
  bar.setAttribute("aria-hidden", "true"); // the numbers stand below
  bar.style.setProperty("--score", one.score);
  bar.style.setProperty("--limit", one.threshold);
  const made = element("li", {},
    element("h3", {}, one.model),
    element("span", { className: `word ${one.verdict}` }, one.verdict),
    bar,
    element("p", { className: "score" }, `P(fake) ${probability(one.score)}; fake from ${one.threshold.toFixed(2)} on`),
    element("p", { className: "score quiet" }, before
      ? `unchanged: ${before.verdict}, ${probability(before.score)}`
      : `calibrated probability ${probability(one.probability)}`),
    drawn(one));
  made.dataset.model = one.model;
  made.dataset.score = one.score;
  return made;
}

function drawn(one) {
  const where = one.map.layer && one.map.layer !== "input" ? ` at ${one.map.layer}` : "";
  if (!one.map.picture) return element("p", { className: "nomap" }, `No map: ${one.map.status}`);
  const words = `${one.map.title}${where}`;
  return element("figure", {},
    element("img", { className: "map", src: one.map.picture, alt: `Where ${one.model} looked: ${words}` }),
    element("figcaption", {}, words));
}

function showLegend() {
  const method = service.methods.find((one) => one.name === at("method").value);
  at("low").textContent = method.signed ? "speaks for real" : "least";
  at("high").textContent = method.signed ? "for fake" : "most";
  at("scale").className = `scale ${method.signed ? "signed" : "magnitude"}`;
  at("scale").setAttribute("aria-label", method.signed
    ? "Colours of the map: blue speaks for real, white says nothing, red speaks for fake"
    : "Colours of the map: black is least, yellow is most");
  at("caveat").textContent = method.caveat;
  at("caveat").hidden = !method.caveat;
}

// ---------------------------------------------------------------- the sheet

function download() {
  run(async (signal) => {
    say("Drawing the sheet …");
    const others = { method: at("method").value, find_faces: at("find-faces").checked, face, ...changes() };
    const answer = await ask("/api/v1/sheet", formOf(file, chosen(), others), signal);
    const place = URL.createObjectURL(await answer.blob());
    element("a", { href: place, download: "facetell-sheet.png" }).click();
    setTimeout(() => URL.revokeObjectURL(place), 10_000);
    say("The sheet is downloaded.");
  });
}

// ---------------------------------------------------------------- start

async function start() {
  service = await (await ask("/api/v1/models")).json();
  service.models.forEach((model, index) => {
    const box = element("input", { type: "checkbox", value: model.name, checked: index === 0 });
    box.onchange = judge;
    at("models").append(element("label", {}, box, model.name));
  });
  at("method").append(...service.methods.map((one) => element("option", { value: one.name }, one.title)));
  at("method").value = "gradcam";
  at("method").onchange = () => { showLegend(); judge(); };
  at("find-faces").onchange = judge;
  at("file").onchange = () => take(at("file").files[0]);
  at("sheet").onclick = download;
  at("reset").onclick = () => {
    for (const [name, slider] of Object.entries(SLIDERS)) at(name).value = slider.off;
    move();
  };
  for (const name of Object.keys(SLIDERS)) {
    at(name).oninput = move;
    describe(name);
  }
  showLegend();
  acceptDrops();
  document.body.dataset.ready = "yes";
}

function acceptDrops() {
  const mark = (on) => at("drop").classList.toggle("over", on);
  addEventListener("dragover", (event) => { event.preventDefault(); mark(true); });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  addEventListener("drop", (event) => {
    event.preventDefault();
    mark(false);
    take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => take(event.clipboardData?.files[0]));
}

start().catch((error) => complain(error.message));
