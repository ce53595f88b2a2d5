// The browser of test images. Its state is the address: #browse?model=swin&verdict=wrong&image=...
"use strict";
facetell.browser = (() => {
  const { data, models, variants, number, verdict, source, kind, facet } = facetell.images;
  const section = document.getElementById("images");
  const form = section.querySelector(".filters");
  const tiles = section.querySelector(".tiles");
  const pager = section.querySelector(".pager");
  const PER_PAGE = 60;
  const BANDS = { "0-60": "below 60%", "60-80": "60% to 80%", "80-95": "80% to 95%", "95-100": "95% and more" };
  function percent(share) {
    if (share >= 0.9995) return ">99.9%";
    if (share < 0.0005) return "<0.1%";
    return `${(100 * share).toFixed(share > 0.99 || share < 0.01 ? 1 : 0)}%`;
  }

  const any = { "": "any" };
  const named = (names) => Object.fromEntries(names.map((name) => [name, name]));
  const fields = [
    ["model", "Verdict of", named(models.map((model) => model.name))],
    ["verdict", "Verdict is", { ...any, right: "right", wrong: "wrong", split: "right by some models only", missed: "wrong by every model" }],
    ["class", "Class", { ...any, real: "real", fake: "fake" }],
    ...data.facets.map((part) => [part.key, part.title[0].toUpperCase() + part.title.slice(1), { ...any, ...Object.fromEntries(part.values.filter(Boolean).map((value) => [value, value])) }]),
    ["confidence", "Sure of its verdict", { ...any, ...BANDS }],
    ["variant", "Perturbation", Object.fromEntries(variants.map((name) => [name, name === "clean" ? "none" : name]))],
    ["order", "Order", { "": "as in the set", sure: "surest mistakes first", score: "P(fake), falling" }],
  ];
  const defaults = { model: facetell.images.data.best, variant: "clean" };
  let state = {}, found = [];

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };

  function address(changes = {}) {
    const next = { ...state, ...changes };
    const said = Object.entries(next).filter(([key, value]) => value && value !== defaults[key] && !(key === "page" && value === "1"));
    return `#browse?${new URLSearchParams(said)}`;
  }

  function read() {
    const given = new URLSearchParams(location.hash.startsWith("#browse") ? location.hash.slice(8) : "");
    state = {};
    for (const [key, , choices] of fields) {
      const value = given.get(key) ?? defaults[key] ?? "";
      state[key] = Object.hasOwn(choices, value) ? value : defaults[key] ?? "";
    }
    state.page = given.get("page") ?? "1";
    state.image = given.get("image") ?? "";
  }

  const chosen = () => models.find((model) => model.name === state.model);
  const variant = () => variants.indexOf(state.variant);

  function fits(image) {
    const own = verdict(chosen(), image, variant());
    if (state.class && kind(image) !== state.class) return false;
    if (data.facets.some((part) => state[part.key] && facet(image, part) !== state[part.key])) return false;
    if (state.verdict === "right" && !own.right) return false;
    if (state.verdict === "wrong" && own.right) return false;
    if (state.verdict === "split" || state.verdict === "missed") {
      const right = models.filter((model) => verdict(model, image, variant()).right).length;
      if (state.verdict === "missed" ? right > 0 : right === 0 || right === models.length) return false;
    }
    if (!state.confidence) return true;
    const [low, high] = state.confidence.split("-").map(Number);
    const sure = 100 * own.confidence;
    return sure < 60 ? low === 0 : sure >= low && (sure < high || high === 100);
  }

  function ordered(images) {
    const own = (image) => verdict(chosen(), image, variant());
    const key = { sure: (image) => (data.labels[image] ? -1 : 1) * own(image).logit, score: (image) => own(image).logit }[state.order];
    if (!key) return images;
    return images.map((image) => [key(image), image]).sort((a, b) => b[0] - a[0]).map((pair) => pair[1]);
  }

  function tile(image) {
    const own = verdict(chosen(), image, variant());
    const word = own.right ? "right" : "wrong";
    const said = `${kind(image)} image, ${chosen().name} says ${own.fake ? "fake" : "real"}, P(fake) ${percent(own.probability)}: ${word}`;
    return element("button", { type: "button", className: `tile ${word}`, ariaLabel: said, title: data.ids[image], onclick: () => { location.hash = address({ image: data.ids[image] }); } },
      element("img", { src: source(image), alt: "", loading: "lazy", width: 96, height: 96 }),
      element("span", {}, `${kind(image)} `),
      element("span", { className: `mark ${word}` }, `${own.right ? "✓" : "✗"} ${percent(own.probability)}`));
  }

  function show() {
    read();
    for (const [key] of fields) form.elements[key].value = state[key];
    found = ordered([...Array(number).keys()].filter(fits));
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    const page = Math.min(pages, Math.max(1, Number(state.page) || 1));
    tiles.replaceChildren(...found.slice((page - 1) * PER_PAGE, page * PER_PAGE).map(tile));
    section.querySelector(".count").textContent = `${found.length.toLocaleString("en")} of ${number.toLocaleString("en")} images. Each shows its class, whether ${state.model} is right (✓) or wrong (✗), and its calibrated P(fake)${state.variant === "clean" ? "" : ` on ${state.variant}`}.${state.variant === "clean" ? "" : " The pictures are of the images as they are."}${found.length ? "" : " Choose any in one of the fields."}`;
    pager.hidden = pages === 1;
    pager.querySelector("span").textContent = `Page ${page} of ${pages}`;
    for (const button of pager.querySelectorAll("button")) {
      const next = page + Number(button.dataset.step);
      button.disabled = next < 1 || next > pages;
      button.onclick = () => { location.hash = address({ page: String(next) }); facetell.hold("images"); };
    }
    facetell.viewer?.show(data.ids.indexOf(state.image), variant(), found);
  }

  function build() {
    const drawn = number === data.of ? `All ${number.toLocaleString("en")} test images.` : `${number.toLocaleString("en")} of ${data.of.toLocaleString("en")} test images: as many of each class, generator and platform, and the most confident mistakes of each model.`;
    section.querySelector(".intro").textContent = `${drawn} Choose one to see the verdicts and maps of all models. The address of the page leads back to what you see.`;
    for (const [key, title, choices] of fields) {
      const options = Object.entries(choices).map(([value, text]) => element("option", { value }, text));
      form.append(element("label", {}, title, element("select", { name: key }, ...options)));
    }
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", ({ target }) => { history.replaceState(null, "", address({ [target.name]: target.value, page: "1", image: "" })); show(); });
    addEventListener("hashchange", ({ oldURL }) => {
      if (!location.hash.startsWith("#browse")) return;
      if (!new URL(oldURL).hash.startsWith("#browse")) facetell.hold("images");
      show();
    });
  }

  function start() {
    build();
    show();
    if (location.hash.startsWith("#browse")) facetell.hold("images");
  }
  return { start, address, element, percent };
})();
