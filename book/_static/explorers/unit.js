/* Chapter 6: one unit of an LSTM, its gates in the reader's hand. */
(function () {
  "use strict";
  const E = window.Explorers, { h, svg } = E;
  const SHOWN = 18; // steps on the plot
  const NAMES = { i: "input gate i", f: "forget gate f", candidate: "candidate c̃", o: "output gate o" };
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  // A gate is never quite shut or open: the ends are those of the chapter's latch
  const gate = [sigmoid(-10), ...E.range(1, 19).map((k) => k / 20), sigmoid(10)];
  const between = [Math.tanh(-10), ...E.range(-9, 9).map((k) => k / 10), Math.tanh(10)];
  const LATCH = { // what each token brings: open or shut, and a candidate
    "+": { i: 10, f: -10, candidate: 10, o: -10 },
    "−": { i: 10, f: -10, candidate: -10, o: -10 },
    ".": { i: -10, f: 10, candidate: 10, o: -10 },
    "?": { i: -10, f: 10, candidate: 10, o: 10 },
  };
  const two = (x) => (Math.abs(x) < 0.005 ? 0 : x).toFixed(2).replace("-", "−");

  /* A state {h, c} after one step with these gates. */
  E.unit = function (gates, { c }) {
    const parts = Object.fromEntries(Object.entries(gates).map(([k, v]) => [k, [v]]));
    const [[shown], [cell]] = E.update(parts, [c]);
    return { h: shown, c: cell };
  };

  E.mounts.unit = function (body) {
    const s = { i: gate[10], f: gate[18], candidate: between[20], o: gate[20] };
    let states = [{ h: 0, c: 0 }], sliders = {};
    for (const name of Object.keys(NAMES)) {
      sliders[name] = E.slider({
        label: NAMES[name], name, values: name === "candidate" ? between : gate,
        value: s[name], show: two,
        onInput(value) {
          s[name] = value;
          draw();
        },
      });
    }
    const step = (n) => () => {
      for (let k = 0; k < n; k++) states.push(E.unit(s, states[states.length - 1]));
      draw();
    };
    const read = (token) => () => {
      for (const [name, x] of Object.entries(LATCH[token])) {
        sliders[name].set(name === "candidate" ? Math.tanh(x) : sigmoid(x));
        s[name] = sliders[name].value;
      }
      step(1)();
    };
    const plot = svg("svg", { role: "img" }), frame = h("div", {}, plot), reading = E.reading();
    const key = (colour, words) => h("span", { class: "explorer-mark" },
      h("span", { class: "explorer-key", style: `background:${colour}` }), words);
    body.append(
      h("div", { class: "explorer-controls" }, ...Object.values(sliders).map((x) => x.node)),
      h("div", {},
        E.button("Step", "step", step(1)), E.button("10 steps", "ten", step(10)),
        ...Object.keys(LATCH).map((token, k) => E.button(`Read ${token}`, "token" + k, read(token))),
        E.button("Start over", "restart", () => {
          states = [{ h: 0, c: 0 }];
          draw();
        })),
      reading, frame,
      h("p", { class: "explorer-row" },
        key("var(--data-1)", "cell c"), key("var(--pst-color-text-base)", "hidden state h"),
        key("var(--forget)", "forgotten"), key("var(--input)", "added"), "hollow: the next step"),
    );

    function draw() {
      const last = states[states.length - 1], next = E.unit(s, last), t = states.length;
      const first = Math.max(0, t - SHOWN), all = [...states, next].slice(first);
      const width = Math.max(240, frame.clientWidth), height = 250;
      const size = { left: 34, top: 22, right: width - 8, bottom: height - 42 };
      const cells = all.map(({ c }) => c), low = Math.min(-1, ...cells), high = Math.max(1, ...cells);
      const room = 0.08 * (high - low), most = Math.max(high, -low);
      const x = (k) => size.left + ((k - first + 0.6) / (SHOWN + 1)) * (size.right - size.left);
      const y = (v) => size.top + ((high + room - v) / (high - low + 2 * room)) * (size.bottom - size.top);
      plot.replaceChildren();
      for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) plot.setAttribute(name, value);
      const unit = most < 2.5 ? 1 : Math.floor(most / 2);
      E.axes(plot, {
        ...size, xLabel: "step", yLabel: "c, h",
        x: E.range(first, first + SHOWN).filter((k) => k % 5 === 0).map((k) => [x(k), String(k)]),
        y: E.range(-2, 2).map((k) => k * unit).filter((v) => low <= v && v <= high).map((v) => [y(v), String(v).replace("-", "−")]),
      });
      const line = (k, from, to, colour, shift) => plot.append(svg("line", {
        x1: x(k) + shift, x2: x(k) + shift, y1: y(from), y2: y(to), stroke: colour, "stroke-width": 4,
      }));
      const path = (part, look) => plot.append(svg("polyline", {
        points: all.map((state, n) => `${x(first + n).toFixed(1)},${y(state[part]).toFixed(1)}`).join(" "), fill: "none", ...look,
      }));
      // What the next step takes from the cell, and what it adds
      line(t, last.c, s.f * last.c, "var(--forget)", -4);
      line(t, s.f * last.c, next.c, "var(--input)", 4);
      path("c", { stroke: "var(--data-1)", "stroke-width": 3 });
      path("h", { stroke: "var(--pst-color-text-base)", "stroke-width": 1.5 });
      all.forEach((state, n) => {
        const open = first + n === t, ground = "var(--pst-color-background)";
        const colours = { c: "var(--data-1)", h: "var(--pst-color-text-base)" };
        plot.append(svg("circle", {
          cx: x(first + n), cy: y(state.c), r: 5, stroke: colours.c, "stroke-width": 2, fill: open ? ground : colours.c,
        }));
        plot.append(svg("rect", {
          x: x(first + n) - 3, y: y(state.h) - 3, width: 6, height: 6, stroke: colours.h, "stroke-width": 1.5, fill: open ? ground : colours.h,
        }));
      });
      reading.textContent =
        `After ${t - 1} steps c = ${two(last.c)}, h = ${two(last.h)}. The next: ` +
        `c = f c + i c̃ = ${two(s.f)} · ${two(last.c)} + ${two(s.i)} · ${two(s.candidate)} = ${two(next.c)}, ` +
        `h = o tanh c = ${two(s.o)} · ${two(Math.tanh(next.c))} = ${two(next.h)}.`;
      plot.setAttribute("aria-label", "The cell and the hidden state, step by step. " + reading.textContent);
    }
    E.redraw(frame, draw);
    return { draw, s, get states() { return states; } };
  };
})();
