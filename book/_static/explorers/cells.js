/* Chapter 6: what the units of the trained reader hold while it reads a line. */
(function () {
  "use strict";
  const E = window.Explorers, { h } = E;
  const PARTS = { // what is mapped, and its colours
    cell: { label: "tanh c", colour: "--data-1" },
    h: { label: "h", colour: "--data-1" },
    i: { label: "input gate", colour: "--input" },
    f: { label: "forget gate", colour: "--forget" },
    o: { label: "output gate", colour: "--output" },
  };
  const TOP = 32, STILL = 0.05; // of tanh c: a standard deviation below is hardly a move

  /* What an LSTM holds after each of the ids: gates, candidate, c, tanh c and h. */
  E.trace = function (w, ids, [h, c]) {
    return ids.map((id) => {
      const gates = E.gates(w, id, h);
      [h, c] = E.update(gates, c);
      return { ...gates, c, cell: c.map(Math.tanh), h };
    });
  };

  /* How far the numbers scatter: the standard deviation, with n − 1. */
  E.scatter = function (numbers) {
    const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length;
    const squares = numbers.reduce((a, b) => a + (b - mean) ** 2, 0);
    return Math.sqrt(squares / (numbers.length - 1));
  };

  E.mounts.cells = function (body) {
    const { tokens, line, state, half_lives, weights } = E.weights.cells;
    const w = E.decode(weights), halfLives = E.numbers(half_lives);
    const order = Array.from(halfLives.keys()).sort((a, b) => halfLives[a] - halfLives[b]);
    const U = order.length, before = state.map(E.numbers), empty = before.map((x) => new Float64Array(x.length));
    const s = { line, part: "cell", before: "read", unit: 40, at: 11 };
    let wish = s.at; // the character to read off, where the line is long enough
    const change = (name) => (value) => {
      s[name] = value;
      draw();
    };
    const text = E.line({ label: "the line", name: "line", value: line, most: 40, onInput: change("line") });
    const part = E.choice({
      label: "map of", name: "part", value: s.part, onInput: change("part"),
      options: Object.fromEntries(Object.entries(PARTS).map(([name, { label }]) => [name, label])),
    });
    const began = E.choice({
      label: "read before", name: "before", value: s.before, onInput: change("before"),
      options: { read: "1,000 characters", empty: "nothing: zeros" },
    });
    const unit = E.slider({ label: "unit, by half-life", name: "unit", values: E.range(1, U), value: s.unit, onInput: change("unit") });
    const at = E.slider({ label: "character", name: "at", values: E.range(1, line.length), value: s.at, onInput(t) {
      wish = t;
      draw();
    } });
    const map = h("canvas", { role: "img" }), frame = h("div", {}, map);
    const still = E.reading(), reading = E.reading();
    body.append(
      h("div", { class: "explorer-controls" }, text, part.node, began.node, unit.node, at.node),
      still, frame,
      h("p", { class: "explorer-row" },
        "One row a unit, longest half-life below. tanh c and h: blue positive, red negative; gates: full colour is open. Tap to read off."),
      reading,
    );
    let cell = 1, row = 5;
    const two = (x) => (Math.abs(x) < 0.005 ? 0 : x).toFixed(2).replace("-", "−");

    function draw() {
      const letters = [...s.line], ids = letters.map((c) => tokens.indexOf(c)), T = ids.length;
      const ratio = window.devicePixelRatio || 1, width = Math.max(240, frame.clientWidth);
      const height = TOP + U * row + 2, c = map.getContext("2d");
      map.width = width * ratio;
      map.height = height * ratio;
      map.style.width = width + "px";
      map.style.height = height + "px";
      if (!T) { // nothing to read
        still.textContent = "Write a line to read.";
        reading.textContent = "";
        map.setAttribute("aria-label", still.textContent);
        return;
      }
      at.set(wish, E.range(1, T));
      s.at = at.value;
      const found = E.trace(w, ids, s.before === "read" ? before : empty);
      cell = Math.min(28, (width - 2) / T);
      c.scale(ratio, ratio);
      c.font = `${Math.min(16, Math.max(11, cell * 0.9))}px monospace`;
      c.textAlign = "center";
      const ink = E.colour(map, "--pst-color-text-base"), red = E.colour(map, "--negative");
      const colour = E.colour(map, PARTS[s.part].colour);
      found.forEach((now, t) => {
        c.fillStyle = ink;
        c.fillText(E.visible(letters[t]), 1 + (t + 0.5) * cell, 16);
        order.forEach((k, n) => {
          const value = now[s.part][k];
          c.globalAlpha = Math.min(1, Math.abs(value));
          c.fillStyle = value < 0 ? red : colour;
          c.fillRect(1 + t * cell, TOP + n * row, cell - 0.5, row);
        });
        c.globalAlpha = 1;
      });
      c.strokeStyle = c.fillStyle = ink;
      c.lineWidth = 1.5;
      c.strokeRect(1, TOP + (s.unit - 1) * row - 0.5, T * cell, row + 1);
      c.fillRect(1 + (s.at - 1) * cell, TOP - 9, cell, 4);
      c.strokeRect(1 + (s.at - 1) * cell, TOP + (s.unit - 1) * row - 2, cell, row + 4);

      const calm = T > 1 ? order.filter((k) => E.scatter(found.map((now) => now.cell[k])) < STILL).length : null;
      still.textContent = calm === null
        ? "One character: write more to see what moves."
        : `Over these ${T} characters tanh c hardly moves (standard deviation below ${STILL}) in ${calm} of ${U} units.`;
      const k = order[s.unit - 1], now = found[s.at - 1], read = (name) => two(now[name][k]);
      reading.textContent =
        `Unit ${s.unit} (half-life ${halfLives[k].toFixed(1)} steps) after character ${s.at}, “${E.visible(letters[s.at - 1])}”: ` +
        `i ${read("i")}, f ${read("f")}, c̃ ${read("candidate")}, o ${read("o")}; c ${read("c")}, tanh c ${read("cell")}, h ${read("h")}.`;
      map.setAttribute("aria-label", `Map of ${U} units by ${T} characters: ${PARTS[s.part].label}. ${still.textContent}`);
    }

    map.addEventListener("click", (event) => {
      const box = map.getBoundingClientRect();
      at.set(Math.floor((event.clientX - box.left - 1) / cell) + 1);
      unit.set(Math.floor((event.clientY - box.top - TOP) / row) + 1);
      wish = at.value;
      s.unit = unit.value;
      draw();
    });
    E.redraw(frame, draw);
    return { draw, s };
  };
})();
