/* Chapter 7: what the loss of each step says to each state, and what a window deletes. */
(function () {
  "use strict";
  const E = window.Explorers, { h, svg } = E;

  const sameWindow = (s, t, window) => Math.floor((s - 1) / window) === Math.floor((t - 1) / window);
  const COLOURS = { untrained: "var(--data-1)", orthogonal: "var(--data-3)", trained: "var(--data-4)" };
  const percent = (x) => `${(100 * x).toFixed(x < 0.0995 ? 1 : 0)}\u00a0%`;

  E.mounts.triangle = function (body) {
    const { tokens, line, networks } = E.weights.triangle, kinds = Object.keys(networks);
    const nets = Object.fromEntries(kinds.map((name) => [name, E.both(networks[name])]));
    const s = { line, kind: "trained", window: 8, t: 9, s: 8 };
    const wish = { window: 8, t: 9, s: 8 }; // where the line is long enough
    const change = (name, redraw) => (value) => {
      s[name] = value;
      redraw();
    };
    const text = E.line({ label: "the line", name: "line", value: line, most: 25, onInput: change("line", draw) });
    const kind = E.choice({
      label: "triangle of the network", name: "kind", value: s.kind, onInput: change("kind", look),
      options: Object.fromEntries(kinds.map((k) => [k, k])),
    });
    const steps = (name, label) => E.slider({
      label, name, values: [1], value: 1,
      onInput(value) {
        s[name] = wish[name] = value;
        if (s.s > s.t) { // a loss says nothing to a later state: the other one comes along
          const other = name === "s" ? "t" : "s";
          sliders[other].set((s[other] = wish[other] = value));
        }
        look();
      },
    });
    const sliders = { window: steps("window", "window"), t: steps("t", "loss t"), s: steps("s", "state s") };
    const triangle = svg("svg", { role: "img" }), curves = svg("svg", { role: "img" });
    const frame = h("div", {}, triangle), second = h("div", {}, curves);
    const table = h("div", { class: "explorer-scroll" }), reading = E.reading(), share = E.reading();
    const key = (colour, words) => h("span", { class: "explorer-mark" },
      h("span", { class: "explorer-key", style: `background:${colour}` }), words);
    body.append(
      h("div", { class: "explorer-controls" }, text, kind.node, sliders.window.node, sliders.t.node, sliders.s.node),
      frame,
      h("p", { class: "explorer-row" }, key("var(--forget)", "kept"), key("var(--pst-color-text-base)", "deleted"),
        "full colour: the mean length for s = t; empty: a ten-thousandth of it. Tap a message to read it off."),
      reading, share, table, second,
      h("p", { class: "explorer-row" }, ...kinds.map((k) => key(COLOURS[k], k))),
    );
    let found = null, cell = 1, edge = 20, height = 0;

    /* All that the line decides. */
    function draw() {
      const ids = [...s.line].map((c) => tokens.indexOf(c)), T = ids.length - 1;
      if (T < 1) {
        found = null;
        [triangle, curves, table].forEach((node) => node.replaceChildren());
        share.textContent = "";
        reading.textContent = "Write at least two characters: one to read, one to guess.";
        return;
      }
      found = Object.fromEntries(kinds.map((name) => {
        const past = E.past(nets[name], ids.slice(0, T), ids.slice(1));
        const sizes = E.messages(past).map((row) => row.map((d) => d && E.norm(d)));
        const mean = E.range(1, T).reduce((sum, t) => sum + sizes[t][t], 0) / T;
        return [name, { sizes, mean, shares: E.shares(past) }];
      }));
      for (const [name, slider] of Object.entries(sliders)) {
        slider.set(wish[name], E.range(1, T));
        s[name] = slider.value;
      }
      if (s.s > s.t) sliders.s.set((s.s = s.t));
      look();
    }

    function place(node, width, tall) {
      node.replaceChildren();
      for (const [name, value] of Object.entries({ width, height: tall, viewBox: `0 0 ${width} ${tall}` })) node.setAttribute(name, value);
    }

    function look() {
      if (!found) return;
      const T = s.line.length - 1, { sizes, mean } = found[s.kind];
      const width = Math.max(240, frame.clientWidth);
      cell = Math.min(20, (width - edge - 2) / T);
      height = T * cell + 20;
      place(triangle, width, height + 40);
      const say = (x, y, words, anchor = "middle") => {
        const node = svg("text", { x, y, "text-anchor": anchor });
        node.textContent = words;
        triangle.append(node);
      };
      const corner = (step, loss) => ({ x: edge + (step - 1) * cell, y: height - loss * cell });
      for (let t = 1; t <= T; t++) {
        say(edge + (t - 0.5) * cell, height + 14, E.visible(s.line[t - 1]));
        say(9, height - (t - 0.5) * cell + 4, E.visible(s.line[t]));
        for (let step = 1; step <= t; step++) {
          const share = 1 + Math.log10(sizes[t][step] / mean) / 4;
          triangle.append(svg("rect", {
            ...corner(step, t), width: cell - 0.5, height: cell - 0.5,
            fill: sameWindow(step, t, s.window) ? "var(--forget)" : "var(--pst-color-text-base)",
            "fill-opacity": Math.max(0, Math.min(1, share)).toFixed(3),
          }));
        }
      }
      triangle.append(svg("rect", {
        ...corner(s.s, s.t), width: cell, height: cell, fill: "none", stroke: "var(--data-1)", "stroke-width": 3,
      }));
      say(edge + (T * cell) / 2, height + 34, "state s, after reading the letter");
      say(2, 12, "loss t, guessing the letter", "start");
      tell(T);
      chart(T);
    }

    function tell(T) {
      const { sizes, mean } = found[s.kind], size = sizes[s.t][s.s];
      const cut = Math.ceil(s.s / s.window) * s.window;
      const fate = sameWindow(s.s, s.t, s.window) ? "It is kept." : `It is deleted: a window ends at step ${cut}.`;
      reading.textContent =
        `The loss of step ${s.t} says to the state of step ${s.s}, in the ${s.kind} network: a vector of length ${size.toPrecision(2)}, ` +
        `${percent(size / mean)} of the mean for s = t. ${fate}`;
      let count;
      const rows = kinds.map((name) => {
        let all = 0, kept = 0;
        count = 0;
        for (let t = 1; t <= T; t++) {
          for (let step = 1; step <= t; step++) {
            all += found[name].sizes[t][step];
            if (!sameWindow(step, t, s.window)) continue;
            kept += found[name].sizes[t][step];
            count += 1;
          }
        }
        const { left, error } = found[name].shares[s.window - 1];
        return [name, percent(kept / all), percent(left), percent(error)];
      });
      share.textContent =
        `Windows of ${s.window} keep ${count} of ${(T * (T + 1)) / 2} messages. What is left of their summed length; ` +
        "how long the gradient of W_xh, W_hh and b_h is, and how long its error, both as shares of the full gradient:";
      table.replaceChildren(
        h("table", {},
          h("thead", {}, h("tr", {}, ...["network", "messages left", "gradient left", "off by"].map((t) => h("th", { scope: "col" }, t)))),
          h("tbody", {}, ...rows.map(([name, ...rest]) => h("tr", {}, h("th", { scope: "row" }, name), ...rest.map((t) => h("td", {}, t)))))),
      );
      triangle.setAttribute("aria-label", `Triangle of ${T} losses by ${T} states, windows of ${s.window}. ${reading.textContent}`);
      curves.setAttribute("aria-label", `Error of the truncated gradient against the window. At ${s.window}: ` + rows.map((r) => `${r[0]} ${r[3]}`).join(", "));
    }

    function chart(T) {
      const width = Math.max(240, Math.min(560, second.clientWidth)), tall = 220;
      const size = { left: 40, top: 22, right: width - 8, bottom: tall - 42 };
      place(curves, width, tall);
      const most = Math.max(1, ...kinds.flatMap((k) => found[k].shares.map((x) => x.error)));
      const x = (window) => size.left + ((window - 0.5) / T) * (size.right - size.left);
      const y = (share) => size.bottom - (share / most) * (size.bottom - size.top);
      E.axes(curves, {
        ...size, xLabel: "window", yLabel: "gradient off by, %",
        x: E.range(1, T).filter((k) => k === 1 || k % 4 === 0).map((k) => [x(k), String(k)]),
        y: [0, 0.5, 1].map((v) => [y(v), String(100 * v)]),
      });
      curves.append(svg("line", { x1: x(s.window), x2: x(s.window), y1: size.top, y2: size.bottom, class: "law" }));
      for (const name of kinds) {
        const points = found[name].shares.map(({ error }, n) => [x(n + 1), y(error)]);
        curves.append(svg("polyline", { points: points.map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" "), fill: "none", stroke: COLOURS[name], "stroke-width": 2.5 }));
        const [cx, cy] = points[s.window - 1];
        curves.append(svg("circle", { cx, cy, r: 5, fill: COLOURS[name] }));
      }
    }

    triangle.addEventListener("click", (event) => {
      const box = triangle.getBoundingClientRect();
      const step = Math.floor((event.clientX - box.left - edge) / cell) + 1;
      const loss = Math.floor((height - (event.clientY - box.top)) / cell) + 1;
      if (step < 1 || step > loss || loss > s.line.length - 1) return; // beside the triangle
      sliders.s.set((s.s = wish.s = step));
      sliders.t.set((s.t = wish.t = loss));
      look();
    });
    E.redraw(frame, look);
    return { draw, s };
  };
})();
