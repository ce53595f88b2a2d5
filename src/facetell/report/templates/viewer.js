// One test image: every model's verdict and maps side by side.
"use strict";
facetell.viewer = (() => {
  const { data, models, variants, verdict, relevance, belief, source, kind, facet } = facetell.images;
  const { address, element, percent } = facetell.browser;
  const dialog = document.getElementById("viewer");
  const body = dialog.querySelector(".body");
  const SIZE = 192; // px of a map
  const TINTS = { fake: [213, 94, 0], real: [42, 143, 208], size: [245, 211, 74] };
  const DIM = 0.45; // of the picture below a map

  // The picture in grey and darkened, tinted where there is relevance.
  function paint(canvas, picture, map, signed) {
    canvas.width = canvas.height = SIZE;
    const context = canvas.getContext("2d");
    context.filter = `grayscale(1) brightness(${DIM})`;
    if (picture.complete && picture.naturalWidth) context.drawImage(picture, 0, 0, SIZE, SIZE);
    context.filter = "none";
    const small = element("canvas", { width: map.width, height: map.height });
    const pixels = small.getContext("2d").createImageData(map.width, map.height);
    map.cells.forEach((value, cell) => {
      const tint = signed ? (value > 0 ? TINTS.fake : TINTS.real) : TINTS.size;
      pixels.data.set([...tint, Math.round(255 * Math.abs(value))], 4 * cell);
    });
    small.getContext("2d").putImageData(pixels, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(small, 0, 0, SIZE, SIZE);
  }

  function drawn(model, image, picture, name, title, signed) {
    const map = relevance(model, image, name);
    const caption = element("figcaption", {}, title);
    if (!map || map.empty) {
      caption.append(map ? ": all zero, or not to be trusted" : ": not kept for this image");
      return element("figure", {}, caption);
    }
    const canvas = element("canvas", { role: "img", ariaLabel: `${title} of ${model.name} on ${data.ids[image]}` });
    const make = () => paint(canvas, picture, map, signed);
    picture.decode().then(make, make);
    return element("figure", {}, canvas, caption);
  }

  function card(model, image, variant, picture) {
    const own = verdict(model, image, variant);
    const word = own.right ? "right" : "wrong";
    const at = (share) => `left: ${(100 * share).toFixed(2)}%`;
    const made = element("article", { className: `card ${word}` },
      element("h3", {}, model.name),
      element("p", {}, "says ", element("strong", {}, own.fake ? "fake" : "real"), ", which is ", element("span", { className: `mark ${word}` }, `${word} ${own.right ? "✓" : "✗"}`)),
      element("div", { className: "meter", ariaHidden: "true" }, element("s", { style: at(own.threshold) }), element("b", { style: at(own.probability) })),
      element("p", { className: "quiet" }, `P(fake) ${percent(own.probability)} calibrated; fake from ${percent(own.threshold)} on`));
    if (model.maps) {
      const { method, layer } = model.maps;
      const said = belief(model, image);
      made.append(element("div", { className: "maps" },
        drawn(model, image, picture, "relevance", `${method} at ${layer}${said ? `: ${said}` : ""}`, true),
        drawn(model, image, picture, "saliency", "Saliency", false)));
    }
    return made;
  }

  function facts(image, picture) {
    const rows = [["class", kind(image)], ...data.facets.map((part) => [part.title, facet(image, part)]), ["planted", data.artefacts[image] ?? ""]];
    const list = element("dl");
    for (const [term, value] of rows) {
      if (value) list.append(element("dt", {}, term), element("dd", {}, value.replaceAll("_", " ")));
    }
    return element("div", { className: "facts" }, picture, list);
  }

  function legend() {
    const entry = (name, text) => element("li", {}, element("span", { className: `swatch ${name}` }), text);
    return element("ul", { className: "legend" },
      entry("fake", "speaks for fake"), entry("real", "speaks for real"),
      entry("size", "saliency: pixels on which the score depends, without a direction"),
      element("li", {}, "Each map has its own scale: the strongest cell is full colour. The dotted line of a bar is the threshold."));
  }

  function perturbed(image) {
    const table = element("table");
    const head = element("tr", {}, element("th", { scope: "col" }, "P(fake) on"), ...models.map((model) => element("th", { scope: "col", className: "number" }, model.name)));
    const lines = variants.map((name, at) => element("tr", {}, element("th", { scope: "row" }, name),
      ...models.map((model) => {
        const own = verdict(model, image, at);
        const turned = own.fake !== verdict(model, image, 0).fake;
        return element("td", { className: turned ? "number turned" : "number" }, `${percent(own.probability)}${turned ? " ⇄" : ""}`);
      })));
    table.append(element("thead", {}, head), element("tbody", {}, ...lines));
    const scroll = element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "P(fake) by perturbation and model" }, table);
    return element("details", { className: "variants" },
      element("summary", {}, "What perturbations do to it"), element("p", { className: "quiet" }, "Calibrated P(fake). ⇄: the verdict is another than on the image as it is."), scroll);
  }

  function show(image, variant, found) {
    if (image < 0) { if (dialog.open) dialog.close(); return; }
    const picture = element("img", { src: source(image), alt: `Test image ${data.ids[image]}: ${kind(image)}`, width: 192, height: 192 });
    dialog.querySelector("h2").textContent = data.ids[image];
    const note = variant === 0 ? [] : [element("p", {}, `Verdicts are on ${variants[variant]} (${data.variants[variants[variant]]}). The picture and the maps are of the image as it is.${variants[variant] === data.control ? " Nothing is left of what was planted: real is right." : ""}`)];
    body.replaceChildren(facts(image, picture), ...note,
      element("div", { className: "cards" }, ...models.map((model) => card(model, image, variant, picture))),
      ...(models.some((model) => model.maps) ? [legend()] : []),
      ...(variants.length > 1 ? [perturbed(image)] : []));
    const place = found.indexOf(image);
    for (const button of dialog.querySelectorAll("button[data-step]")) {
      const next = found[place + Number(button.dataset.step)];
      button.disabled = place < 0 || next === undefined;
      button.onclick = () => history.replaceState(null, "", address({ image: data.ids[next] })) ?? dispatchEvent(new HashChangeEvent("hashchange", { oldURL: location.href, newURL: location.href }));
    }
    if (!dialog.open) dialog.showModal();
    body.scrollTop = dialog.scrollTop = 0;
  }

  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => { if (new URLSearchParams(location.hash.slice(8)).has("image")) location.hash = address({ image: "" }); });
  dialog.addEventListener("click", ({ target }) => { if (target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", ({ key, target }) => {
    if (target.closest?.(".scroll")) return; // there the arrows scroll
    const step = { ArrowLeft: "-1", ArrowRight: "1" }[key];
    if (step) dialog.querySelector(`button[data-step="${step}"]`).click();
  });
  dialog.querySelector(".copy").addEventListener("click", async ({ target }) => {
    try { await navigator.clipboard.writeText(location.href); target.textContent = "Copied"; }
    catch { target.textContent = "Copy it from the address bar"; }
    setTimeout(() => { target.textContent = "Copy link"; }, 2000);
  });
  return { show };
})();
facetell.browser.start();
