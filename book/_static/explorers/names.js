/* Chapter 8 and the cover: the classifier that ships reads a surname, letter by letter. */
(function () {
  "use strict";
  const E = window.Explorers, { h, svg } = E;
  const EXAMPLES = ["Romanov", "Takahashi", "O’Brien", "Ślusàrski"], LINES = 4;

  const WHY = {
    foreign: (no) => `holds ${no.foreign.map((c) => `“${c}”`).join(", ")}; accepted: Latin letters, blanks, hyphens and apostrophes.`,
    "no letter": () => "has no letter; accepted: at least one.",
    "too long": (no) => `has ${no.length} characters; accepted: at most 40.`,
  };

  E.mounts.names = function (body) {
    if (!("DecompressionStream" in window)) throw new Error("this browser cannot unpack the weights");
    const { languages } = E.weights.names, s = { typed: EXAMPLES[0], at: 0 };
    let net = null, found = null, timer = 0, colours = [];

    const input = h("input", {
      type: "text", id: "explorer-surname", value: s.typed, maxlength: 60, autocomplete: "off",
      autocapitalize: "words", spellcheck: "false", "data-name": "surname", oninput: () => type(input.value),
    });
    const at = E.slider({
      label: "read up to character", name: "at", values: [1], value: 1,
      onInput(value) {
        clearTimeout(timer);
        s.at = value;
        look();
      },
    });
    const plot = svg("svg", { role: "img", "aria-label": "Probabilities after each letter." }), frame = h("div", { class: "explorer-plot" }, plot);
    const cells = languages.map((language) => {
      const fill = h("i"), p = h("span");
      return { fill, p, node: h("li", {}, fill, h("b", {}, language), p) };
    });
    const reading = E.reading();
    body.classList.add("explorer-names");
    body.append(
      h("div", { class: "explorer-text" }, h("label", { for: "explorer-surname" }, "a surname "), input, E.button("Spell it", "spell", spell)),
      h("div", { class: "explorer-chips" },
        ...EXAMPLES.map((name, i) => E.button(name, "example" + i, () => type((input.value = name))))),
      h("div", { class: "explorer-path" }, frame, at.node),
      h("ul", { class: "explorer-languages" }, ...cells.map((cell) => cell.node)),
      reading,
    );

    function type(text) {
      clearTimeout(timer);
      s.typed = text;
      s.at = Infinity;
      draw();
    }

    function spell() {
      clearTimeout(timer);
      if (!found || !found.name) return;
      (function next(letter) {
        s.at = letter;
        at.set(letter);
        look();
        if (letter < found.name.length) timer = setTimeout(next, 450, letter + 1);
      })(1);
    }

    /* What the library says of each prefix, which comes through the door like any name. */
    function draw() {
      if (!net) return;
      const said = net.door(s.typed), prefixes = said.name ? E.range(1, said.name.length) : [];
      const paths = prefixes.map((n) => {
        const { name } = net.door(said.name.slice(0, n));
        return name ? net.read(name) : null;
      });
      found = { ...said, paths };
      s.at = Math.min(s.at || Infinity, paths.length) || 1;
      at.set(s.at, paths.length ? prefixes : [1]);
      choose();
      look();
    }

    /* The languages that get a line: those that come highest. Who has a colour keeps it. */
    function choose() {
      const height = (k) => Math.max(...found.paths.map((P) => (P ? P[k] : 0)));
      const best = languages.map((_, k) => k).sort((a, b) => height(b) - height(a)).slice(0, LINES);
      if (!found.paths.length) return;
      const before = Array.from({ length: LINES }, (_, i) => (best.includes(colours[i]) ? colours[i] : null));
      const fresh = best.filter((k) => !before.includes(k));
      colours = before.map((k) => (k === null ? fresh.shift() : k));
    }

    const colour = (k) => (colours.includes(k) ? `var(--data-${colours.indexOf(k) + 1})` : "var(--pst-color-text-muted)");

    function look() {
      if (!found) return;
      const P = found.paths[s.at - 1], top = P ? Array.from(P.keys()).sort((a, b) => P[b] - P[a]) : [];
      cells.forEach(({ fill, p, node }, k) => {
        fill.style.width = P ? `${(100 * P[k]).toFixed(2)}%` : "0";
        fill.style.background = colour(k);
        node.style.borderLeftColor = P && colours.includes(k) ? colour(k) : "transparent";
        p.textContent = P ? P[k].toFixed(2) : "–";
        node.className = k === top[0] ? "first" : P && P[k] < 0.005 ? "hardly" : "";
      });
      tell(P, top);
      chart();
    }

    function tell(P, top) {
      const { name } = found;
      if (!name) {
        reading.textContent = s.typed.trim() ? `“${s.typed}” ${WHY[found.refused](found)}` : "Type a surname.";
        return;
      }
      const n = [...name].length, part = name.slice(0, s.at);
      const what = s.at < n ? `“${part}”, as if the name ended here` : `“${name}”`;
      reading.textContent = P
        ? `${what}: ${top.slice(0, 3).map((k) => `${languages[k]} ${P[k].toFixed(2)}`).join(", ")}.`
        : `${what}: no letter yet.`;
    }

    function chart() {
      const width = Math.max(220, frame.clientWidth), height = window.innerWidth < 700 ? 136 : 196;
      const left = 30, right = width - 12, top = 22, bottom = height - 24, { paths, name } = found;
      const x = (t) => (paths.length > 1 ? left + 12 + (t * (right - left - 24)) / (paths.length - 1) : (left + right) / 2);
      const y = (p) => bottom - p * (bottom - top);
      plot.replaceChildren();
      for (const [key, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) plot.setAttribute(key, value);
      const write = (place, words, look) => plot.append(svg("text", { x: place[0], y: place[1], ...look }, words));
      for (const p of [0, 0.5, 1]) {
        plot.append(svg("line", { x1: left, x2: right, y1: y(p), y2: y(p), class: "grid" }));
        write([left - 5, y(p) + 4], String(p), { "text-anchor": "end" });
      }
      plot.setAttribute("aria-label", name
        ? `Probabilities after each letter of ${name}: ${colours.map((k) => languages[k]).join(", ")}. ${reading.textContent}`
        : "Probabilities after each letter. " + reading.textContent);
      if (!name) return;
      plot.append(svg("line", { x1: x(s.at - 1), x2: x(s.at - 1), y1: top - 6, y2: bottom, class: "now" }));
      for (const k of colours) {
        let pen = "M";
        const path = paths.map((P, t) => {
          const step = P ? `${pen}${x(t).toFixed(1)},${y(P[k]).toFixed(1)}` : "";
          pen = P ? "L" : "M";
          return step;
        });
        plot.append(svg("path", { d: path.join(""), fill: "none", stroke: colour(k), "stroke-width": 2.5 }));
        paths.forEach((P, t) => P && plot.append(svg("circle", { cx: x(t), cy: y(P[k]), r: t === s.at - 1 ? 5 : 3, fill: colour(k) })));
      }
      const inked = colours.flatMap((k) => paths.flatMap((P, t) => {
        const next = paths[t + 1];
        if (!P || !next) return P ? [[x(t), y(P[k])]] : [];
        return E.range(0, 11).map((i) => [x(t + i / 12), y(P[k] + ((next[k] - P[k]) * i) / 12)]);
      }));
      const taken = []; // each line is named where it is highest, where fewest lines pass
      for (const k of colours) {
        const peak = paths.reduce((best, P, t) => (P && P[k] > (paths[best] ? paths[best][k] : -1) ? t : best), 0);
        if (!paths[peak] || paths[peak][k] < 0.12) continue;
        const wide = 3.5 * languages[k].length, px = x(peak), py = y(paths[peak][k]);
        const apart = ([a, b]) => b < bottom && !taken.some(([c, d, w]) => Math.abs(a - c) < w + wide && Math.abs(b - d) < 14);
        const crossed = ([a, b]) => inked.filter(([c, d]) => Math.abs(a - c) < wide + 2 && Math.abs(b - 4 - d) < 8).length;
        const [place] = [[0, -8], [-wide / 2, -8], [wide / 2, -8], [-wide - 9, 4], [wide + 9, 4], [0, 18]]
          .map(([a, b]) => [Math.max(left + wide, Math.min(right + 12 - wide, px + a)), py + b])
          .filter(apart).sort((a, b) => crossed(a) - crossed(b));
        if (!place) continue;
        taken.push([...place, wide]);
        write(place, languages[k], { "text-anchor": "middle", class: "name", style: `fill:${colour(k)}` });
      }
      [...name].forEach((c, t) => write([x(t), height - 7], E.visible(c), {
        "text-anchor": "middle", class: t === s.at - 1 ? "letter chosen" : t < s.at ? "letter" : "letter unread",
      }));
      const edge = (x(0) / width) * 100; // the slider lies under the letters
      at.node.style.setProperty("--edge", `${edge}%`);
    }

    plot.addEventListener("click", (event) => {
      if (!found || !found.name) return;
      const n = found.paths.length, box = plot.getBoundingClientRect();
      const share = n > 1 ? (event.clientX - box.left - 42) / (box.width - 66) : 0;
      clearTimeout(timer);
      s.at = 1 + Math.round(Math.max(0, Math.min(1, share)) * (n - 1));
      at.set(s.at);
      look();
    });
    E.redraw(frame, look);
    const ready = E.classifier(E.weights.names).then((made) => {
      net = made;
      draw();
    });
    return { draw, s, ready, get net() { return net; }, get found() { return found; }, get colours() { return colours; } };
  };
})();
