// Charts of the page: each is drawn when it comes near, and again when the look changes.
"use strict";
(() => {
  const csv = JSON.parse(document.getElementById("data-curves").textContent);
  const NARROW = 60 * 16; // px of the page below which panels stand one under another
  // colours of the templates that cannot be seen on a dark page, and what stands for them
  const ON_DARK = { "#000000": "#FFFFFF", "#003B5C": "#7FA8C9", "#7A3500": "#C98F5E", "#00543C": "#5FB79B", "#7D3F63": "#C58AAB" };

  function recoloured(part) {
    if (Array.isArray(part)) return part.map(recoloured);
    if (part && typeof part === "object") return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, recoloured(value)]));
    return ON_DARK[part] ?? part;
  }

  // Facets in one column where the page is narrow; single panels as wide as the page.
  function fitted(spec, width) {
    const column = spec.encoding?.column ?? spec.facet?.column;
    if (!column) return { ...spec, width: Math.max(220, width - 70) };
    const columns = width < NARROW - 200 ? 1 : 2;
    const side = Math.min(420, Math.max(180, width / columns - 75));
    if (spec.facet) return { ...spec, facet: column, columns, spec: { ...spec.spec, width: side, height: side } };
    const { column: _, ...encoding } = spec.encoding;
    return { ...spec, width: side, height: side, encoding: { ...encoding, facet: { ...column, columns } } };
  }

  function config() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const text = { labelColor: colour("--quiet"), titleColor: colour("--ink"), labelFont: "system-ui, sans-serif", titleFont: "system-ui, sans-serif", titleFontWeight: 500 };
    return {
      background: "transparent", font: "system-ui, sans-serif",
      axis: { ...text, gridColor: colour("--line"), domainColor: colour("--quiet"), tickColor: colour("--quiet"), labelLimit: 160, labelOverlap: "greedy", labelSeparation: 4 },
      legend: { ...text, orient: "bottom", columns: 5, labelLimit: 160, symbolStrokeWidth: 3 },
      header: text, view: { stroke: colour("--line") },
    };
  }

  async function draw(place) {
    const spec = JSON.parse(place.dataset.spec);
    place.hidden = false;
    const width = place.clientWidth - 40; // beside it is the menu
    const inside = document.createElement("div");
    place.replaceChildren(inside);
    const data = { values: csv[place.dataset.table], format: { type: "csv" } };
    const full = { ...fitted(spec, width), data, config: config() };
    const options = { mode: "vega-lite", renderer: "svg", actions: { export: true, source: false, compiled: false, editor: false } };
    try {
      await vegaEmbed(inside, facetell.dark() ? recoloured(full) : full, options);
      place.classList.add("drawn");
      place.querySelector("summary")?.setAttribute("aria-label", "Save this chart");
    } catch (error) {
      place.hidden = true; // the picture stays
      console.error(error);
    }
  }

  const places = [...document.querySelectorAll(".live")];
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) { near.unobserve(target); draw(target.querySelector(".live")); }
    }
  }, { rootMargin: "600px" });
  for (const place of places) near.observe(place.parentElement);
  const again = () => places.filter((place) => place.classList.contains("drawn")).forEach(draw);
  document.addEventListener("look", again);
  let waiting, width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(again, 200);
  });
})();
