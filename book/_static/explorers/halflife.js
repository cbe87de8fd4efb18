/* Chapter 6: what the forget bias leaves of a cell that nothing is added to. */
(function () {
  "use strict";
  const E = window.Explorers, { h, svg } = E;
  const STEPS = [1, 2, 5, 10, 20, 35, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];
  const log = (b) => -Math.log1p(Math.exp(-b)); // of the forget gate

  E.halfLife = (b) => Math.LN2 / -log(b);

  /* What a unit of the kit's LSTM, all weights zero, keeps of a cell of 1: after each of
     the numbers of steps. Without weights its gates stay what they are. */
  E.kept = function (b, steps) {
    const gates = E.gates({ W_x: [0, 0, 0, 0], W_h: [0, 0, 0, 0], b: [0, b, 0, 0] }, 0, [0]);
    const found = [];
    let c = [1], t = 0;
    for (const k of steps) {
      for (; t < k; t++) [, c] = E.update(gates, c);
      found.push(c[0]);
    }
    return found;
  };

  const show = (x) => (x < 1e-300 ? "less than 1e-300" : x < 0.001 ? x.toExponential(1) : x.toFixed(3)).replace("-", "−");
  const count = (x) => Math.round(x).toLocaleString("en");
  const steps = (x) => (x < 1000 ? x.toFixed(1) : count(x));

  E.mounts.halflife = function (body) {
    const s = { b: 1, k: 35 };
    const change = (name) => (value) => {
      s[name] = value;
      draw();
    };
    const bias = E.slider({
      label: "forget bias b_f", name: "bias", values: E.range(-20, 100).map((x) => x / 10), value: s.b,
      show: (x) => x.toFixed(1).replace("-", "−"), onInput: change("b"),
    });
    const after = E.slider({ label: "after steps", name: "k", values: STEPS, value: s.k, show: count, onInput: change("k") });
    const plot = svg("svg", { role: "img" }), frame = h("div", {}, plot), reading = E.reading();
    body.append(
      h("div", { class: "explorer-controls" }, bias.node, after.node), reading, frame,
      h("p", { class: "explorer-row" },
        h("span", { class: "explorer-mark" }, h("span", { class: "explorer-key", style: "background:var(--data-1)" }), "cell of a unit, step by step"),
        h("span", { class: "explorer-mark" }, "╌╌ σ(b_f)^k"),
        h("span", { class: "explorer-mark" }, h("span", { class: "explorer-key", style: "background:var(--forget)" }), "half-life")),
    );

    function draw() {
      const half = E.halfLife(s.b), width = Math.max(240, frame.clientWidth), height = 230;
      const size = { left: 34, top: 22, right: width - 14, bottom: height - 42 };
      const x = (k) => size.left + ((Math.log10(k) + 1) / 6) * (size.right - size.left);
      const y = (share) => size.bottom - share * (size.bottom - size.top);
      plot.replaceChildren();
      for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) plot.setAttribute(name, value);
      E.axes(plot, {
        ...size, xLabel: "steps k", yLabel: "left of a cell of 1",
        x: [[0.1, "0.1"], [1, "1"], [10, "10"], [100, "100"], [1000, "1,000"], [1e4, "10,000"]].map(([k, words]) => [x(k), words]),
        y: [0, 0.5, 1].map((v) => [y(v), String(v)]),
      });
      const law = E.range(0, 120).map((n) => 10 ** (n / 20 - 1));
      plot.append(svg("polyline", { points: law.map((k) => `${x(k).toFixed(1)},${y(Math.exp(k * log(s.b))).toFixed(1)}`).join(" "), class: "law" }));
      plot.append(svg("line", { x1: x(half), x2: x(half), y1: y(0.5), y2: size.bottom, stroke: "var(--forget)", "stroke-width": 3 }));
      const kept = E.kept(s.b, STEPS);
      kept.forEach((share, n) => plot.append(svg("circle", {
        cx: x(STEPS[n]), cy: y(share), r: STEPS[n] === s.k ? 7 : 4, fill: "var(--data-1)",
      })));
      reading.textContent =
        `σ(b_f) = ${s.b > 5 ? (1 / (1 + Math.exp(-s.b))).toFixed(5) : (1 / (1 + Math.exp(-s.b))).toFixed(3)}; half-life ln 2 / −ln σ(b_f) = ${steps(half)} steps. ` +
        `After ${count(s.k)} step${s.k > 1 ? "s" : ""} ${show(kept[STEPS.indexOf(s.k)])} of the cell is left.`;
      plot.setAttribute("aria-label", "What is left of a cell, against the number of steps on a logarithmic axis. " + reading.textContent);
    }
    E.redraw(frame, draw);
    return { draw, s };
  };
})();
