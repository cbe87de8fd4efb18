/* The classifier that ships, as companion.experiments.explorer_names packs it, and its
   door. */
(function () {
  "use strict";
  const E = window.Explorers;

  async function unsqueeze(base64) {
    const raw = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const whole = new Blob([raw]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(whole).arrayBuffer());
  }

  /* The door of companion.classify.door: {name}, or {refused: why}. */
  E.door = function (runs, longest) {
    const spelt = new Map();
    for (const [first, last, spelling] of runs) {
      for (let code = first; code <= last; code++) spelt.set(code, spelling);
    }
    const code = (char) => char.codePointAt(0);
    const blank = (char) => spelt.get(code(char)) === " " || char === "," || char === ":";
    return function (typed) {
      const kept = [...typed];
      while (kept.length && blank(kept[kept.length - 1])) kept.pop();
      const foreign = [...new Set(kept)].filter((c) => !spelt.has(code(c))).sort((a, b) => code(a) - code(b));
      if (foreign.length) return { refused: "foreign", foreign: foreign.slice(0, 10) };
      const name = kept.map((c) => spelt.get(code(c))).join("").split(" ").filter(Boolean).join(" ");
      if (!/[a-z]/.test(name)) return { refused: "no letter" };
      return name.length > longest ? { refused: "too long", length: name.length } : { name };
    };
  };

  /* The rows of the pieces: which number has which row. */
  function places(gaps) {
    const found = new Map();
    let number = 0, gap = 0, bits = 0;
    for (const byte of gaps) {
      gap += (byte & 127) * 2 ** bits;
      bits += 7;
      if (byte > 127) continue;
      found.set((number += gap), found.size);
      gap = bits = 0;
    }
    return found;
  }

  /* companion.classify.joint.JointClassifier. */
  E.classifier = async function (given) {
    const [spelling, gaps, whole] = await Promise.all(
      [given.spelling, given.known, given.whole].map(unsqueeze),
    );
    const rows = places(gaps), K = given.languages.length, weights = {}, scales = {};
    let at = 0;
    for (const [name, [n, m]] of Object.entries(given.shapes)) {
      weights[name] = new Int8Array(whole.buffer, at, n * m);
      scales[name] = E.numbers(given.scales[name]);
      at += n * m;
    }
    /* Columns from, from + 1, ... of a matrix; transposed, as the kit has its weights. */
    function turned(name, from = 0, to = given.shapes[name][1]) {
      const [n, m] = given.shapes[name], W = new Float64Array(n * (to - from));
      for (let i = 0; i < n; i++) {
        for (let j = from; j < to; j++) W[(j - from) * n + i] = weights[name][i * m + j] * scales[name][i];
      }
      return W;
    }
    const bias = (name) => E.numbers(given.biases[name]), b_q = bias("output.bias");
    function direction(suffix, half) {
      const read = bias("layer.bias_ih_l0" + suffix), kept = bias("layer.bias_hh_l0" + suffix);
      const H = read.length / 3;
      return E.network("gru", {
        W_x: turned("layer.weight_ih_l0" + suffix), W_h: turned("layer.weight_hh_l0" + suffix),
        b: read.map((x, i) => (i < 2 * H ? x + kept[i] : x)), b_hc: kept.slice(2 * H),
        W_hq: turned("output.weight", half * H, (half + 1) * H), b_q: half ? b_q.map(() => 0) : b_q,
      });
    }
    const forward = direction("", 0), backward = direction("_reverse", 1);

    function pieces(ids) {
      const symbols = given.letters.length + 1, marked = [symbols - 1, ...ids, symbols - 1];
      const total = new Float64Array(K), W = weights["direct.weight"], P = rows.size;
      for (let start = 0; start < marked.length; start++) {
        for (let size = 1, number = 0, first = 1; size <= given.piece && start + size <= marked.length; size++) {
          number = number * symbols + marked[start + size - 1];
          const row = rows.get(first + number);
          first += symbols ** size;
          if (row === undefined) continue;
          for (let k = 0; k < K; k++) total[k] += W[k * P + row];
        }
      }
      return total.map((sum, k) => sum * scales["direct.weight"][k]);
    }

    /* What a direction says: its states, added up, through its half of the output. */
    function vote(net, ids) {
      let state = net.begin();
      const total = new Float64Array(state[0].length);
      for (const id of ids) {
        state = net.step(id, state);
        state[0].forEach((x, k) => (total[k] += x));
      }
      return net.logits([total]);
    }

    const known = new Map();
    return {
      door: E.door(JSON.parse(new TextDecoder().decode(spelling)), given.longest),
      /* Probabilities of the languages for a normal name, from its first letter to its last. */
      read(name) {
        if (!known.has(name)) {
          const ids = [...name].map((c) => given.letters.indexOf(c));
          const back = vote(backward, ids.slice().reverse()), extra = pieces(ids);
          known.set(name, E.softmax(vote(forward, ids).map((o, k) => o + back[k] + extra[k])));
        }
        return known.get(name);
      },
    };
  };
})();
