// The look of the page: dark or light, and the place in the contents.
"use strict";
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.querySelector("button.theme");

  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  function stored(value) {
    try { // a browser may refuse to store anything for files
      if (value) localStorage.setItem("facetell-theme", value);
      return localStorage.getItem("facetell-theme");
    } catch { return null; }
  }

  function show() {
    button.textContent = dark() ? "Light look" : "Dark look";
    document.dispatchEvent(new CustomEvent("look", { detail: { dark: dark() } }));
  }

  const before = stored();
  if (before === "dark" || before === "light") root.dataset.theme = before;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    stored(root.dataset.theme);
    show();
  });
  system.addEventListener("change", show);
  window.facetell = { dark };
  show();

  // Charts that are drawn on the way change the height of the page: the target is held until it
  // stands still, or the reader scrolls.
  let held = 0;
  function hold(id) {
    const target = document.getElementById(id);
    if (!target) return;
    const turn = ++held, end = performance.now() + 3000;
    const place = () => {
      if (turn !== held || performance.now() > end) return;
      const off = target.getBoundingClientRect().top - parseFloat(getComputedStyle(root).scrollPaddingTop || 0);
      if (Math.abs(off) > 2) target.scrollIntoView({ behavior: "instant" });
      requestAnimationFrame(place);
    };
    place();
  }
  for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) addEventListener(name, () => { held += 1; }, { passive: true, capture: true });
  addEventListener("click", ({ target }) => {
    const link = target.closest?.('a[href^="#"]');
    if (link && !link.hash.startsWith("#browse")) hold(link.hash.slice(1));
  });
  window.facetell.hold = hold;
  if (location.hash && !location.hash.startsWith("#browse")) hold(location.hash.slice(1));

  const contents = document.querySelector(".contents details");
  if (matchMedia("(max-width: 70rem)").matches) contents.open = false;
  const links = new Map([...document.querySelectorAll(".contents li a")].map((link) => [link.hash.slice(1), link]));
  addEventListener("beforeprint", () => document.querySelectorAll("main details").forEach((part) => { part.open = true; }));
  const seen = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id); else seen.delete(target.id);
    }
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "location"); else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-10% 0px -60% 0px" });
  for (const id of links.keys()) {
    const section = document.getElementById(id);
    if (section) watch.observe(section);
  }
})();
