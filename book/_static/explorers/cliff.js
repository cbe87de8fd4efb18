/* Chapter 3: gradient descent over a cliff, with the clip and without it. */
(function () {
  "use strict";
  const E = window.Explorers, { h, svg } = E;
  const STEPS = 100, W = [0.9, 1.7], B = [-0.5, 0.6];
  const LEVELS = [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, Infinity];

  /* The loss of the chapter and its gradient: {loss, w, b}. */
  E.cliff = function (w, b) {
    const out = { loss: 0, w: 0, b: 0 };
    for (const [begin, goal] of [[0.5, 0.7], [-0.5, -0.7]]) {
      let state = begin, dw = 0, db = 0;
      for (let t = 0; t < 20; t++) {
        const next = Math.tanh(w * state + b), slope = 1 - next * next;
        dw = slope * (state + w * dw);
        db = slope * (1 + w * db);
        state = next;
      }
      out.loss += (state - goal) ** 2 / 2;
      out.w += (state - goal) * dw;
      out.b += (state - goal) * db;
    }
    return out;
  };

  /* Points [w, b], the first included; the longest step; how many were clipped. */
  E.descend = function (w, b, theta, rate, steps = STEPS) {
    const path = [[w, b]];
    let longest = 0, clipped = 0;
    for (let k = 0; k < steps; k++) {
      const g = E.cliff(w, b), norm = Math.hypot(g.w, g.b);
      const factor = norm > theta ? theta / norm : 1;
      clipped += norm > theta;
      longest = Math.max(longest, rate * factor * norm);
      w -= rate * factor * g.w;
      b -= rate * factor * g.b;
      path.push([w, b]);
    }
    return { path, longest, clipped };
  };

  /* How many of the chapter's 121 starts are at the minimum after the steps. */
  E.arrived = function (theta, rate) {
    let count = 0;
    for (let i = 9; i < 20; i++) {
      for (let j = -77; j < 81; j += 15) {
        const end = E.descend(i / 10, j / 100, theta, rate).path[STEPS];
        count += E.cliff(...end).loss < 0.01;
      }
    }
    return count;
  };

  E.mounts.cliff = function (body) {
    const known = {}; // shares, by radius and rate: each costs 12,100 steps
    const s = { rate: 0.1, theta: 0.5, w: 1.5, b: 0.4, step: STEPS };
    const change = (name) => (value) => {
      s[name] = value;
      draw();
    };
    const control = (name, label, values, show) =>
      E.slider({ label, name, values, value: s[name], show, onInput: change(name) });
    const hundredths = (from, to) => E.range(from, to).map((i) => i / 100);
    const controls = {
      rate: control("rate", "rate η", [0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3]),
      theta: control("theta", "radius θ", [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20]),
      step: control("step", "steps shown", E.range(0, STEPS)),
      w: control("w", "start w", hundredths(90, 170), (x) => x.toFixed(2)),
      b: control("b", "start b", hundredths(-50, 60), (x) => x.toFixed(2)),
    };
    const map = h("canvas", { "aria-hidden": "true" });
    const plot = svg("svg", { role: "img" });
    const frame = h("div", { class: "explorer-map" }, plot), table = h("div", { class: "explorer-scroll" });
    const reading = E.reading();
    body.append(
      h("div", { class: "explorer-controls" }, ...Object.values(controls).map((c) => c.node)),
      h("p", {}, h("span", { class: "explorer-key", style: "background:#D55E00" }), "without the clip  ",
        h("span", { class: "explorer-key", style: "background:#0072B2;margin-left:1em" }), "with the clip. Tap the map to start elsewhere."),
      frame, table, reading,
    );

    const size = {};
    function place([w, b]) {
      return [
        size.left + ((w - W[0]) / (W[1] - W[0])) * (size.right - size.left),
        size.bottom - ((b - B[0]) / (B[1] - B[0])) * (size.bottom - size.top),
      ];
    }

    /* The loss as bands of grey, a white card in both themes, like the figures. */
    function paint() {
      const width = (map.width = 400), height = (map.height = 275);
      const context = map.getContext("2d"), image = context.createImageData(width, height);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const w = W[0] + ((x + 0.5) / width) * (W[1] - W[0]);
          const b = B[1] - ((y + 0.5) / height) * (B[1] - B[0]);
          const { loss } = E.cliff(w, b), level = LEVELS.findIndex((top) => loss < top);
          const at = 4 * (y * width + x), grey = 255 - Math.round(level * 11);
          image.data.set([grey, grey, grey, 255], at);
        }
      }
      context.putImageData(image, 0, 0);
      return map.toDataURL();
    }
    const picture = paint();

    function walk(path, colour, thick) {
      const shown = path.slice(0, s.step + 1).map((p) => place(p).map((x) => Math.max(-1e4, Math.min(1e4, x)).toFixed(1)));
      const line = shown.map((p) => p.join(",")).join(" ");
      const inside = { "clip-path": "url(#explorer-cliff)" };
      plot.append(svg("polyline", { points: line, fill: "none", stroke: colour, "stroke-width": thick, ...inside }));
      for (const [cx, cy] of shown) {
        plot.append(svg("circle", { cx, cy, r: thick / 2 + 2, fill: colour, stroke: "#fff", "stroke-width": 0.6, ...inside }));
      }
    }

    function draw() {
      const free = E.descend(s.w, s.b, Infinity, s.rate), held = E.descend(s.w, s.b, s.theta, s.rate);
      const width = Math.max(240, frame.clientWidth), height = Math.round(Math.min(430, 0.4 * width + 170));
      Object.assign(size, { left: 38, top: 22, right: width - 8, bottom: height - 42 });
      plot.replaceChildren();
      for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) plot.setAttribute(name, value);
      const box = { x: size.left, y: size.top, width: size.right - size.left, height: size.bottom - size.top };
      plot.append(
        svg("clipPath", { id: "explorer-cliff" }, svg("rect", box)),
      );
      const tick = (value, axis) => [place(axis ? [0, value] : [value, 0])[axis], value.toFixed(1)];
      E.axes(plot, {
        ...size, xLabel: "w", yLabel: "b",
        x: [0.9, 1.1, 1.3, 1.5, 1.7].map((v) => tick(v, 0)),
        y: [-0.4, -0.2, 0, 0.2, 0.4, 0.6].map((v) => tick(v, 1)),
      });
      plot.append(svg("image", { ...box, href: picture, preserveAspectRatio: "none" }));
      walk(free.path, "#D55E00", 5);
      walk(held.path, "#0072B2", 2.5);
      const [x, y] = place([1.24, 0]);
      const star = E.range(0, 9).map((k) => {
        const angle = (k * Math.PI) / 5, r = k % 2 ? 4 : 9;
        return `${x + r * Math.sin(angle)},${y - r * Math.cos(angle)}`;
      });
      plot.append(svg("polygon", { points: star.join(" "), fill: "#000", stroke: "#fff" }));

      const row = (name, { path, longest, clipped }) => {
        const end = path[s.step], loss = E.cliff(...end).loss;
        return [name, `${end[0].toFixed(1)}, ${end[1].toFixed(1)}`.replace(/-0\.0\b/g, "0.0").replace(/-/g, "−"), loss.toFixed(2), longest.toFixed(2), String(clipped)];
      };
      const rows = [row("no clip", free), row("clip", held)];
      table.replaceChildren(
        h("table", {},
          h("thead", {}, h("tr", {}, ...["walk", `w, b after ${s.step}`, "loss", "longest step", "clipped"].map((t) => h("th", { scope: "col" }, t)))),
          h("tbody", {}, ...rows.map((r) => h("tr", {}, h("th", { scope: "row" }, r[0]), ...r.slice(1).map((t) => h("td", {}, t)))))),
      );
      plot.setAttribute("aria-label", `Map of the loss over w and b with two walks of ${s.step} steps from w ${s.w}, b ${s.b}. ` +
        rows.map((r) => `${r[0]}: ends at ${r[1]}, loss ${r[2]}`).join("; "));
      const share = (theta) => {
        const key = [theta, s.rate];
        if (!(key in known)) known[key] = E.arrived(theta, s.rate);
        return Math.round((100 * known[key]) / 121);
      };
      reading.textContent = `Of the 121 starts of the table, after 100 steps at this rate, ${share(Infinity)} % are at the minimum without the clip, ${share(s.theta)} % with θ = ${s.theta}.`;
    }

    plot.addEventListener("click", (event) => {
      const box = plot.getBoundingClientRect();
      const w = W[0] + ((event.clientX - box.left - size.left) / (size.right - size.left)) * (W[1] - W[0]);
      const b = B[0] + ((size.bottom - event.clientY + box.top) / (size.bottom - size.top)) * (B[1] - B[0]);
      controls.w.set(w);
      controls.b.set(b);
      Object.assign(s, { w: controls.w.value, b: controls.b.value });
      draw();
    });
    E.redraw(frame, draw);
    return { draw, s };
  };
})();
