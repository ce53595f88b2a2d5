// What is known of the test images: margins of every model on every variant, and small maps.
"use strict";
facetell.images = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const data = read("data-browser");
  const variants = Object.keys(data.variants);
  const number = data.ids.length;
  const models = data.models.map((model) => ({ ...model, distances: new Int16Array(bytes(model.distances).buffer) }));
  const control = variants.indexOf(data.control); // there nothing is left that was planted
  const logistic = (margin) => 1 / (1 + Math.exp(-margin));

  // A model's verdict on an image in a variant; probability is the calibrated one of fake.
  function verdict(model, image, variant = 0) {
    const distance = model.distances[variant * number + image];
    const fake = distance >= 0;
    const margin = model.threshold + distance / data.step;
    const probability = logistic(margin / model.temperature);
    return {
      fake, probability, logit: margin / model.temperature, threshold: logistic(model.threshold / model.temperature),
      right: fake === (data.labels[image] === 1 && variant !== control), confidence: fake ? probability : 1 - probability,
    };
  }

  // Relevance in [-1, 1] of a map of one image; null where it was not kept, or says nothing.
  const kept = {};
  function relevance(model, image, name) {
    const at = model.maps ? model.maps.places[image] : -1;
    if (at < 0) return null;
    const key = models.indexOf(model);
    kept[key] ??= read(`data-maps-${key}`);
    const array = kept[key][name];
    array.bytes ??= bytes(array.data);
    if (array.empty.includes(at)) return { empty: true };
    const [height, width] = array.shape;
    const cells = array.bytes.subarray(at * height * width, (at + 1) * height * width);
    return { height, width, cells: Float32Array.from(cells, (value) => (value - 128) / 127) };
  }

  // Whether a model's map of layers was found right on images like this one, in words.
  const RECOGNISED = Math.log(0.95 / 0.05); // a margin, as in the test on planted artefacts
  function belief(model, image) {
    const beliefs = model.maps.beliefs;
    if (!Object.keys(beliefs).length) return "";
    if (Object.values(beliefs).every((scope) => scope === "none")) return "not believed";
    const planted = data.artefacts[image];
    if (!data.labels[image]) return "not tested on real images";
    const kind = planted ? (planted.includes(", ") ? "several" : "single") : "altered";
    if (!(kind in beliefs)) return "not tested on such fakes";
    const scope = beliefs[kind];
    if (scope !== "restricted") return scope === "general" ? "believed" : "not believed on such fakes";
    const margin = model.threshold + model.distances[image] / data.step;
    const sure = margin >= Math.max(model.threshold, RECOGNISED);
    if (kind === "altered") return sure ? "believed" : "not tested on fakes that are not called fake for sure";
    const decided = control > 0 && sure && model.distances[control * number + image] < 0;
    return decided ? "believed" : "not tested where the artefact does not decide the verdict";
  }

  const source = (image) => (data.pictures[image] ? `data:image/webp;base64,${data.pictures[image]}` : "");
  const kind = (image) => (data.labels[image] ? "fake" : "real");
  const facet = (image, part) => part.values[part.codes[image]];
  return { data, models, variants, number, verdict, relevance, belief, source, kind, facet };
})();
