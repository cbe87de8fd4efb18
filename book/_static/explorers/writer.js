/* Chapter 4: a small network at several moments of its training. What comes next, what
   it writes, where it is surprised, and how much of it is a recording. */
(function () {
  "use strict";
  const E = window.Explorers, { h } = E;
  const LENGTH = 20, SHOWN = 8, PASSAGE = 145;

  /* Which characters of a text lie in a stretch of 20 that stands in the source, and
     how many of all such stretches do. */
  E.copied = function (text, source) {
    const marks = Array(text.length).fill(false);
    let found = 0, all = 0;
    for (let i = 0; i + LENGTH <= text.length; i++, all++) {
      if (!source.includes(text.slice(i, i + LENGTH))) continue;
      found += 1;
      marks.fill(true, i, i + LENGTH);
    }
    return { marks, found, all };
  };

  /* Cut a text where its marks change: pairs of a piece and its mark. */
  function runs(text, marks) {
    const pieces = [];
    [...text].forEach((c, i) => {
      if (i && marks[i] === marks[i - 1]) pieces[pieces.length - 1][0] += c;
      else pieces.push([c, marks[i]]);
    });
    return pieces;
  }

  E.mounts.writer = function (body) {
    const given = E.weights.writer, { tokens, train, held_out: heldOut, order, snapshots } = given;
    const V = tokens.length, nets = {};
    const encode = (text) => [...text].map((c) => tokens.indexOf(c));
    const counts = E.KneserNey(train, order, V);
    const byCounts = { train: counts.surprisals(train), heldOut: counts.surprisals(heldOut) };
    const texts = { train, heldOut };
    const epochs = snapshots.map((snapshot) => snapshot.epoch);
    const s = {
      epoch: given.best, prefix: "time traveller ", written: "", temperature: 1, topK: V,
      seed: 0, text: "heldOut", model: "network", at: 30,
    };
    let generator = E.Generator(s.seed);

    function network() {
      if (!nets[s.epoch]) {
        const net = E.network("rnn", E.decode(snapshots[epochs.indexOf(s.epoch)].weights));
        nets[s.epoch] = { net, train: E.surprisals(net, encode(train)), heldOut: E.surprisals(net, encode(heldOut)) };
      }
      return nets[s.epoch];
    }

    const change = (name, redraw) => (value) => {
      s[name] = value;
      redraw();
    };
    const epoch = E.slider({ label: "readings of the page", name: "epoch", values: epochs, value: s.epoch, onInput: change("epoch", draw) });
    const temperature = E.slider({
      label: "temperature τ", name: "temperature", values: [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2], value: 1,
      show: (t) => (t ? String(t) : "0, greedy"), onInput: change("temperature", drawNext),
    });
    const topK = E.slider({
      label: "top k", name: "topK", values: [1, 2, 3, 5, 10, V], value: V,
      show: (k) => (k === V ? "all" : String(k)), onInput: change("topK", drawNext),
    });
    const prefix = E.line({
      label: "a beginning", name: "prefix", value: s.prefix, most: 60,
      onInput(line) {
        s.prefix = line;
        s.written = "";
        drawNext();
      },
    });
    const scores = E.reading(), bars = h("div", { class: "explorer-bars", "data-shown": "bars" });
    const writtenNode = h("p", { class: "explorer-written", "data-shown": "written" }), copies = E.reading();
    const write = (n) => () => {
      for (let i = 0; i < n; i++) s.written += tokens[E.choose(next(), generator)];
      drawNext();
    };
    const buttons = h("div", {},
      E.button("Write 1", "write1", write(1)),
      E.button("Write 60", "write60", write(60)),
      E.button("Start over", "restart", () => {
        s.written = "";
        generator = E.Generator((s.seed += 1)); // another chance
        drawNext();
      }));
    const text = E.choice({
      label: "passage", name: "text", value: s.text,
      options: { train: "of the page", heldOut: "of the next page" }, onInput: change("text", drawPassage),
    });
    const model = E.choice({
      label: "coloured by", name: "model", value: s.model,
      options: { network: "network", counts: "counts" }, onInput: change("model", drawPassage),
    });
    const at = E.slider({
      label: "character", name: "at", values: E.range(1, PASSAGE), value: s.at, onInput: change("at", drawPassage),
    });
    const passage = h("p", { class: "explorer-passage", "aria-hidden": "true" }), told = E.reading();
    body.append(
      h("div", { class: "explorer-controls" }, epoch.node),
      scores,
      h("div", { class: "explorer-controls" },
        prefix, temperature.node, topK.node),
      bars, buttons, writtenNode, copies,
      h("div", { class: "explorer-controls" }, text.node, model.node, at.node),
      passage, told,
    );

    let read = { ids: [], state: null, net: null };
    /* Logits after the prefix and what was written; nothing is read twice. */
    function logits() {
      const { net } = network(), ids = encode(s.prefix + s.written);
      const goesOn = read.net === net && read.ids.every((id, i) => id === ids[i]);
      if (!goesOn || read.ids.length > ids.length) read = { ids: [], state: net.begin(), net };
      for (const id of ids.slice(read.ids.length)) read.state = net.step(id, read.state);
      read.ids = ids;
      return net.logits(read.state);
    }
    const next = () => E.softmax(logits(), s.temperature, s.topK);

    function drawScores() {
      const { train: a, heldOut: b } = network();
      const digits = (x) => E.perplexity(x).toFixed(2);
      scores.textContent =
        `Perplexity after ${s.epoch} readings: page ${digits(a)}, next page ${digits(b)}. ` +
        `Counts of the page: ${digits(byCounts.train)} and ${digits(byCounts.heldOut)}.`;
    }

    function drawNext() {
      const P = next(), order = Array.from(P.keys()).sort((i, j) => P[j] - P[i] || i - j);
      bars.replaceChildren(
        ...order.slice(0, SHOWN).flatMap((i) => [
          h("b", {}, E.visible(tokens[i])),
          h("i", { style: `width:${(100 * P[i]).toFixed(2)}%` }),
          h("span", {}, P[i].toFixed(3)),
        ]),
      );
      const { marks, found, all } = E.copied(s.written, train);
      writtenNode.replaceChildren(
        s.prefix,
        ...runs(s.written, marks).map(([piece, mark]) => h("span", { class: mark ? "new copied" : "new" }, piece)),
      );
      copies.textContent = all > 0
        ? `${found} of ${all} stretches of ${LENGTH} characters (underlined) stand word for word on the page.`
        : "Let it write: what stands word for word on the page will be underlined.";
    }

    function drawPassage() {
      const whole = texts[s.text], start = 1000;
      const both = { network: network()[s.text], counts: byCounts[s.text] };
      const of = (which, i) => both[which][start + i - 1];
      const piece = whole.slice(start, start + PASSAGE);
      passage.replaceChildren(
        ...[...piece].map((c, i) => {
          const share = Math.min(1, of(s.model, i) / 6) * 75;
          return h("span", {
            class: i === s.at - 1 ? "now" : false, "data-at": i + 1,
            style: `background:color-mix(in srgb, var(--tint) ${share.toFixed(0)}%, transparent)`,
          }, c);
        }),
      );
      const i = s.at - 1, p = (which) => {
        const nats = of(which, i);
        return `${nats.toFixed(2)} nats (p = ${Math.exp(-nats).toPrecision(2)})`;
      };
      told.textContent = `“${E.visible(piece[i])}” after “${E.visible(whole.slice(start + i - 10, start + i))}”: network ${p("network")}, counts ${p("counts")}.`;
    }

    passage.addEventListener("click", (event) => {
      if (!event.target.dataset.at) return;
      at.set(+event.target.dataset.at);
      change("at", drawPassage)(at.value);
    });

    function draw() {
      drawScores();
      drawNext();
      drawPassage();
    }
    return { draw, s, logits, next };
  };
})();
