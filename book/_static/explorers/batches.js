/* Chapter 1: how a stream is cut into minibatches, and what X and Y hold. */
(function () {
  "use strict";
  const E = window.Explorers, { h } = E;
  const TEXT = "the time traveller for so it will be convenient to speak of him";
  const COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442"];

  /* The place at which each row of each minibatch begins: [minibatch][row]. */
  E.cut = function (n, { order, N, T, offset, seed }) {
    const minibatches = [];
    if (order === "sequential") {
      const length = Math.floor((n - offset - 1) / N);
      for (let t = 0; t + T <= length; t += T) {
        minibatches.push(E.range(0, N - 1).map((i) => offset + i * length + t));
      }
    } else {
      const generator = E.Generator(seed);
      generator.randint(T); // the first draw is the offset
      const dealt = generator.randperm(Math.floor((n - offset - 1) / T));
      for (let i = 0; i + N <= dealt.length; i += N) {
        minibatches.push(dealt.slice(i, i + N).map((window) => offset + T * window));
      }
    }
    return minibatches;
  };

  E.mounts.batches = function (body) {
    const s = { order: "sequential", N: 2, T: 4, offset: 3, seed: 37, b: 0 };
    const integers = (from, to) => ({ values: E.range(from, to) });
    const change = (name) => (value) => {
      s[name] = value;
      if (name === "T") offset.set((s.offset = Math.min(s.offset, s.T - 1)), E.range(0, s.T - 1));
      if (name !== "b") s.b = 0;
      draw();
    };
    const control = (name, label, from, to) =>
      E.slider({ label, name, ...integers(from, to), value: s[name], onInput: change(name) });
    const order = E.choice({
      label: "order", name: "order", value: s.order,
      options: { sequential: "sequential", random: "random" }, onInput: change("order"),
    });
    const N = control("N", "N, rows", 1, 4), T = control("T", "T, steps", 2, 8);
    const offset = control("offset", "offset", 0, s.T - 1);
    const b = control("b", "minibatch", 0, 1);
    const epoch = E.button("Draw the next epoch", "epoch", () => {
      s.seed += 1;
      s.offset = E.Generator(s.seed).randint(s.T);
      offset.set(s.offset);
      s.b = 0;
      draw();
    });
    const stream = h("div"), reading = E.reading(), tables = h("div");
    body.append(
      h("div", { class: "explorer-controls" }, order.node, N.node, T.node, offset.node),
      h("div", { class: "explorer-controls" }, b.node, h("div", {}, epoch)),
      reading, tables, stream,
    );

    function cell(place, number) {
      const node = h("span", { class: "explorer-cell" }, E.visible(TEXT[place]));
      if (number === undefined) return node;
      const k = number % COLOURS.length;
      node.style.background = COLOURS[k];
      node.style.color = k ? "#111" : "#fff";
      node.append(h("sub", {}, String(number)));
      if (number === s.b) node.classList.add("now");
      return node;
    }

    function draw() {
      const cut = E.cut(TEXT.length, s), now = cut[s.b];
      b.set(s.b, E.range(0, cut.length - 1));
      const number = {};
      cut.forEach((rows, k) =>
        rows.forEach((start) => E.range(0, s.T - 1).forEach((t) => (number[start + t] = k))),
      );
      stream.replaceChildren(h("p", { class: "explorer-row" }, "the stream; the number tells the minibatch, what has none is not read as input"));
      let line;
      const begin = (words) => {
        if (words) stream.append(h("div", { class: "explorer-row" }, words));
        stream.append((line = h("div", { class: "explorer-cells" })));
      };
      begin(s.offset ? "skipped" : "");
      const length = Math.floor((TEXT.length - s.offset - 1) / s.N);
      for (let i = 0; i < TEXT.length; i++) {
        const row = (i - s.offset) / length;
        if (s.order === "random" && i === s.offset) begin("windows of T tokens");
        if (s.order === "sequential" && Number.isInteger(row) && row >= 0) {
          begin(row < s.N ? `long row ${row}` : "left over");
        }
        line.append(cell(i, number[i]));
      }
      const rows = (from, name) =>
        now.map((start, i) =>
          h("div", { class: "explorer-pair" },
            h("span", {}, `${name}[${i}]`),
            h("span", { class: "explorer-cells", "data-shown": name },
              ...E.range(0, s.T - 1).map((t) => cell(start + t + from, from ? undefined : s.b)))),
        );
      tables.replaceChildren(h("div", { class: "explorer-pair" }, h("div", {}, ...rows(0, "X")), h("div", {}, ...rows(1, "Y"))));
      const before = cut[s.b - 1];
      const on = before && now.filter((start, i) => start === before[i] + s.T).length;
      const read = Object.keys(number).length;
      reading.textContent =
        `Minibatch ${s.b} (of 0 to ${cut.length - 1}), ${s.order} order, offset ${s.offset}. ` +
        (before ? `${on} of ${s.N} rows go on where the row above ended. ` : "Nothing was read before it. ") +
        `The epoch reads ${read} of ${TEXT.length} tokens as inputs.`;
    }
    return { draw, s, text: TEXT };
  };
})();
