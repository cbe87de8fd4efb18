/* Chapter 2: one character of a line is changed; where does the state notice? */
(function () {
  "use strict";
  const E = window.Explorers, { h, svg } = E;
  const LOWEST = 1e-8; // of the colours
  // The chapter's vocabulary, ? for <unk>, and the first 35 characters of its text
  const TOKENS = "? etainoshrdlmucfwgypbvkxzjq";
  const LINE = "the time machine by h g wells i the";

  /* The Q of a QR decomposition with a positive diagonal, as torch.nn.init.orthogonal_
     takes it: Gram-Schmidt over the columns, twice for the rounding. */
  E.orthogonal = function (M, H) {
    const Q = Float64Array.from(M);
    for (let j = 0; j < H; j++) {
      for (let twice = 0; twice < 2; twice++) {
        for (let i = 0; i < j; i++) {
          let dot = 0;
          for (let k = 0; k < H; k++) dot += Q[k * H + i] * Q[k * H + j];
          for (let k = 0; k < H; k++) Q[k * H + j] -= dot * Q[k * H + i];
        }
      }
      let norm = 0;
      for (let k = 0; k < H; k++) norm += Q[k * H + j] ** 2;
      for (let k = 0; k < H; k++) Q[k * H + j] /= Math.sqrt(norm);
    }
    return Q;
  };

  /* tanh(W_xh[id] + h W_hh) */
  function step(net, id, h) {
    const sum = E.addProduct(new Float64Array(net.H), id, net.W_xh);
    return E.addProduct(sum, h, net.W_hh).map(Math.tanh);
  }

  /* The states after each of the ids, from zero. */
  E.states = function (net, ids) {
    let h = new Float64Array(net.H);
    return ids.map((id) => (h = step(net, id, h)));
  };

  /* The memory gain from one state to each of the states after it, one at a time: the
     products of the Jacobians are the slow part. */
  E.gains = function* (net, states) {
    const { H, W_hh } = net;
    let J = null;
    for (const h of states) {
      const next = J ? new Float64Array(H * H) : Float64Array.from(W_hh);
      let squares = 0;
      for (let i = 0; i < H; i++) {
        const row = next.subarray(i * H, (i + 1) * H);
        if (J) E.addProduct(row, J.subarray(i * H, (i + 1) * H), W_hh);
        for (let k = 0; k < H; k++) {
          row[k] *= 1 - h[k] * h[k]; // J W diag(1 - h^2)
          squares += row[k] * row[k];
        }
      }
      J = next;
      yield Math.sqrt(squares / H);
    }
  };

  /* Normal numbers as the chapter draws them: first W_xh, then W_hh. */
  E.draw = function (seed, V, H) {
    const generator = E.Generator(seed);
    const W_xh = generator.randn(V * H);
    return { W_xh, W_hh: generator.randn(H * H).map((x) => x / Math.sqrt(H)) };
  };

  E.mounts.memory = function (body) {
    const s = { kind: "normal", H: 256, seed: 0, rho: 0.577, scale: 0.01, place: 0, letter: "q" };
    const drawn = {};
    const change = (name) => (value) => {
      s[name] = value;
      draw();
    };
    const control = (name, label, values, show) =>
      E.slider({ label, name, values, value: s[name], show, onInput: change(name) });

    /* Each matrix once: drawing and orthogonalising take time. */
    function matrices() {
      const key = [s.seed, s.H], all = (drawn[key] = drawn[key] || E.draw(s.seed, TOKENS.length, s.H));
      if (s.kind === "orthogonal" && !all.Q) all.Q = E.orthogonal(all.W_hh, s.H);
      return all;
    }
    const kind = E.choice({
      label: "W_hh", name: "kind", value: s.kind, options: { normal: "normal", orthogonal: "orthogonal" },
      onInput: change("kind"),
    });
    const rho = control("rho", "ρ", [0.1, 0.226, 0.3, 0.4, 0.5, 0.577, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2]);
    const scale = control("scale", "input scale", [0.01, 0.0255, 0.05, 0.1, 0.2, 0.3, 0.5, 1]);
    const H = control("H", "units H", [32, 64, 128, 256]);
    const seed = control("seed", "draw", E.range(0, 9));
    const place = control("place", "changed place", LINE.split("").map((_, i) => i), (i) => `${i + 1}`);
    const letters = E.range(0, 25).map((i) => String.fromCharCode(97 + i)).concat(" ");
    const letter = E.slider({
      label: "read there", name: "letter", values: letters.map((_, i) => i), value: letters.indexOf("q"),
      show: (i) => E.visible(letters[i]), onInput: (i) => change("letter")(letters[i]),
    });
    const text = h("canvas", { "aria-hidden": "true" }), plot = svg("svg", { role: "img" });
    const frame = h("div", {}, text, plot), reading = E.reading();
    const id = (c) => TOKENS.indexOf(c);
    body.append(
      h("div", { class: "explorer-controls" }, place.node, letter.node, rho.node, scale.node, kind.node, H.node, seed.node),
      reading,
      frame,
      h("p", { class: "explorer-row" },
        h("span", { class: "explorer-key", style: "background:var(--data-1)" }), "gain g_k  ",
        h("span", { class: "explorer-key", style: "background:var(--data-2);margin-left:1em" }), "‖Δh_t‖ over its first value  ",
        h("span", { style: "margin-left:1em" }, "╌╌ ρ^k")),
    );
    const show = (x) => (x >= 0.1 && x < 1000 ? x.toFixed(Math.max(0, 1 - Math.floor(Math.log10(x)))) : x === 0 ? "0" : x.toExponential(0));
    let edge = 0, cell = 0, width = 0, found, timer, finish;
    const ready = new Promise((resolve) => (finish = resolve));

    function paint() {
      const { H } = s, top = 40, rows = 256 / H, T = LINE.length, ratio = window.devicePixelRatio || 1;
      edge = 38;
      cell = (width - edge - 8) / T;
      const height = top + rows * H + 18;
      text.width = width * ratio;
      text.height = height * ratio;
      text.style.width = width + "px";
      text.style.height = height + "px";
      const c = text.getContext("2d");
      c.scale(ratio, ratio);
      const ink = E.colour(text, "--pst-color-text-base"), blue = E.colour(text, "--data-1");
      c.font = `${Math.min(16, Math.max(11, cell * 0.9))}px monospace`;
      c.textAlign = "center";
      for (let t = 0; t < T; t++) {
        const x = edge + (t + 0.5) * cell, now = t === s.place;
        c.fillStyle = ink;
        c.fillText(E.visible(LINE[t]), x, 14);
        if (now) {
          c.fillStyle = E.colour(text, "--data-2");
          c.fillText(E.visible(s.letter), x, 31);
          c.fillRect(x - cell / 2, 35, cell, 3);
        }
        c.fillStyle = blue;
        for (let k = 0; k < H; k++) {
          const size = Math.abs(found.states[t][k] - found.twin[t][k]);
          c.globalAlpha = size > 0 ? Math.max(0, Math.min(1, 1 - Math.log(size) / Math.log(LOWEST))) : 0;
          c.fillRect(edge + t * cell, top + rows * k, cell - 0.5, rows);
        }
        c.globalAlpha = 1;
      }
      c.strokeStyle = E.colour(text, "--pst-color-text-muted");
      c.strokeRect(edge, top, T * cell, rows * H);
      c.fillStyle = ink;
      c.font = "12px sans-serif";
      c.textAlign = "left";
      c.fillText(`${H} units; |Δh|: empty below 1e-8, full colour at 1`, edge, height - 4);
    }

    function chart() {
      const height = 230, size = { left: edge, top: 22, right: width - 8, bottom: height - 42 };
      const low = -10, high = 2, last = LINE.length - 1;
      plot.replaceChildren();
      for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) plot.setAttribute(name, value);
      const at = (k, value) => [
        edge + (s.place + k + 0.5) * cell,
        size.bottom - ((Math.log10(value) - low) / (high - low)) * (size.bottom - size.top),
      ];
      plot.append(svg("clipPath", { id: "explorer-memory" },
        svg("rect", { x: size.left, y: size.top, width: size.right - size.left, height: size.bottom - size.top })));
      E.axes(plot, {
        ...size, xLabel: "characters of the line", yLabel: "gain",
        x: [0, 9, 19, 34].map((t) => [edge + (t + 0.5) * cell, String(t + 1)]),
        y: [-10, -6, -2, 2].map((e) => [at(0, 10 ** e)[1], `1e${e}`]),
      });
      const curve = (values, look) => {
        const points = values.map((v, k) => (v > 0 ? at(k, v).map((x) => x.toFixed(1)).join(",") : "")).filter(Boolean);
        plot.append(svg("polyline", { points: points.join(" "), fill: "none", "clip-path": "url(#explorer-memory)", ...look }));
      };
      const base = found.lengths[s.place];
      curve(found.gains, { stroke: "var(--data-1)", "stroke-width": 4 });
      curve(found.lengths.slice(s.place).map((x) => (base ? x / base : 0)), { stroke: "var(--data-2)", "stroke-width": 2 });
      curve(E.range(0, last - s.place).map((k) => s.rho ** k), { class: "law" });
    }

    function tell() {
      const last = LINE.length - 1, k = last - s.place;
      const [first, end] = [s.place, last].map((t) => show(found.lengths[t]));
      const gain = found.gains.length > k ? show(found.gains[k]) : "…";
      reading.textContent = s.letter === LINE[s.place]
        ? `Place ${s.place + 1} reads ${E.visible(s.letter)} already: choose another character.`
        : `Place ${s.place + 1} reads ${E.visible(s.letter)} instead of ${E.visible(LINE[s.place])}: ‖Δh‖ is ${first} there, and ${end} at the end. ` +
          `After ${k} more characters: gain ${gain}, ρ^${k} = ${show(s.rho ** k)}.`;
      label();
    }

    function label() {
      plot.setAttribute("aria-label", "Gain and length of the change, on a logarithmic axis. " + reading.textContent);
    }

    /* Draw what was found, for a new width or theme too. */
    function look() {
      if (!found) return;
      width = Math.max(240, frame.clientWidth);
      paint();
      chart();
    }

    function draw() {
      const all = matrices(), W_hh = (s.kind === "normal" ? all.W_hh : all.Q).map((x) => x * s.rho);
      const net = { H: s.H, W_xh: all.W_xh.map((x) => x * s.scale), W_hh };
      const ids = [...LINE].map(id), other = ids.slice();
      other[s.place] = id(s.letter);
      const states = E.states(net, ids), twin = E.states(net, other);
      const lengths = states.map((h, t) => Math.hypot(...h.map((x, k) => x - twin[t][k])));
      found = { states, twin, lengths, gains: [1], done: false };
      const jacobians = E.gains(net, states.slice(s.place + 1));
      look();
      clearTimeout(timer); // the gains of earlier settings are not wanted any more
      (function more() {
        const until = performance.now() + 15;
        while (!found.done && performance.now() < until) {
          const next = jacobians.next();
          if (next.done) found.done = true;
          else found.gains.push(next.value);
        }
        chart();
        if (found.done) {
          tell();
          finish();
        } else timer = setTimeout(more);
      })();
    }

    text.addEventListener("click", (event) => {
      const t = Math.floor((event.clientX - text.getBoundingClientRect().left - edge) / cell);
      place.set(Math.max(0, Math.min(LINE.length - 1, t)));
      change("place")(place.value);
    });
    label();
    E.redraw(frame, look);
    return { draw, s, ready, get found() { return found; } };
  };
})();
