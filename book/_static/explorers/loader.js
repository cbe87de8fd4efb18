/* Fills each <div class="explorer" data-explorer="NAME"> of a page with the explorer of
   that name, as soon as the reader comes near. Scripts are classic ones, and weights are
   scripts too, so that a page opened from a file works like one that is served. */
(function () {
  "use strict";
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  const files = {
    batches: ["batches.js"],
    memory: ["memory.js"],
    cliff: ["cliff.js"],
    unit: ["unit.js"],
    halflife: ["halflife.js"],
    cells: ["cells-weights.js", "cells.js"],
    triangle: ["triangle-weights.js", "sweep.js", "triangle.js"],
    writer: ["writer-weights.js", "counts.js", "writer.js"],
    names: ["names-weights.js", "classifier.js", "names.js"],
  };
  const loading = {};
  const E = (window.Explorers = { weights: {}, mounts: {}, mounted: {} });

  function load(file) {
    if (!loading[file]) {
      loading[file] = new Promise(function (resolve, reject) {
        const style = file.endsWith(".css");
        const node = document.createElement(style ? "link" : "script");
        if (style) node.rel = "stylesheet";
        node[style ? "href" : "src"] = here + file;
        node.onload = resolve;
        node.onerror = () => reject(new Error(file + " was not found"));
        document.head.append(node);
      });
    }
    return loading[file];
  }

  /* Resolves when the explorer of a place is open and has drawn all of its picture. */
  E.open = (place) => (place.opened = place.opened || open(place));

  async function open(place) {
    const name = place.dataset.explorer;
    if (!files[name]) return;
    try {
      await Promise.all(["explorers.css", "kit.js", "ui.js"].map(load));
      await Promise.all(files[name].filter((f) => f !== name + ".js").map(load));
      await load(name + ".js");
      const body = document.createElement("div");
      body.className = "explorer-body";
      E.mounted[name] = E.mounts[name](body);
      place.append(body);
      E.mounted[name].draw();
      place.dataset.state = "open";
      aimAgain();
      await E.mounted[name].ready;
    } catch (error) {
      // The text and the figure of the page stand in for what did not open.
      place.dataset.state = "failed";
      console.error("explorer " + name + ": " + error.message);
    }
  }

  /* A reader who follows a link to a heading must not be left above it by an explorer
     that opens on the way. */
  let aimed = performance.now();
  addEventListener("hashchange", () => (aimed = performance.now()));

  function aimAgain() {
    const goal = location.hash && document.getElementById(location.hash.slice(1));
    if (goal && performance.now() - aimed < 3000) goal.scrollIntoView();
  }

  function begin() {
    const places = document.querySelectorAll(".explorer[data-explorer]");
    if (!("IntersectionObserver" in window)) return places.forEach(E.open);
    const near = new IntersectionObserver(
      (entries) =>
        entries.forEach((entry) => {
          if (!entry.isIntersecting) return;
          near.unobserve(entry.target);
          E.open(entry.target);
        }),
      { rootMargin: "600px 0px" },
    );
    places.forEach((place) => near.observe(place));
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", begin);
  } else begin();
})();
