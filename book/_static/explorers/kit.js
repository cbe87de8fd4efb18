/* The numbers behind the explorers: networks, their weights, and PyTorch's random
   numbers. Everything is computed in float64 and laid out as in `companion`. */
(function () {
  "use strict";
  const E = window.Explorers;

  // --- Weights ------------------------------------------------------------------------

  function bytes(base64) {
    return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  }

  function half(bits) {
    const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, part = bits & 1023;
    if (exponent === 0) return sign * part * 2 ** -24;
    return sign * (1 + part / 1024) * 2 ** (exponent - 15);
  }

  /* A tensor {shape, float16: base64} or {shape, float32: base64} as numbers, row by
     row (little-endian). */
  E.numbers = function (tensor) {
    const raw = new DataView(bytes(tensor.float16 || tensor.float32).buffer);
    const size = tensor.float16 ? 2 : 4;
    return Float64Array.from({ length: raw.byteLength / size }, (_, i) =>
      size === 2 ? half(raw.getUint16(2 * i, true)) : raw.getFloat32(4 * i, true),
    );
  };

  /* Decode all tensors of a network; "kind" is rnn, gru or lstm. */
  E.decode = function (exported) {
    const weights = {};
    for (const name of Object.keys(exported)) {
      weights[name] = E.numbers(exported[name]);
    }
    return weights;
  };

  // --- Layers -------------------------------------------------------------------------

  /* out += x W, where W has out.length columns. x is an id, which stands for its
     one-hot row and picks a row of W, or a row of numbers. */
  E.addProduct = function (out, x, W) {
    const columns = out.length;
    if (typeof x === "number") {
      for (let k = 0; k < columns; k++) out[k] += W[x * columns + k];
      return out;
    }
    const whole = x.length - (x.length % 4);
    for (let j = 0; j < whole; j += 4) { // four rows at once: fewer passes over out
      const a = x[j], b = x[j + 1], c = x[j + 2], d = x[j + 3], row = j * columns;
      const second = row + columns, third = second + columns, fourth = third + columns;
      for (let k = 0; k < columns; k++) {
        out[k] += a * W[row + k] + b * W[second + k] + c * W[third + k] + d * W[fourth + k];
      }
    }
    for (let j = whole; j < x.length; j++) {
      for (let k = 0; k < columns; k++) out[k] += x[j] * W[j * columns + k];
    }
    return out;
  };

  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  /* What an LSTM with the hidden state h makes of x: the gates and the candidate. */
  E.gates = function (w, x, h) {
    const H = h.length, sum = E.addProduct(Float64Array.from(w.b), x, w.W_x);
    E.addProduct(sum, h, w.W_h); // i, f, candidate, o
    const part = (k, f) => sum.subarray(k * H, (k + 1) * H).map(f);
    return {
      i: part(0, sigmoid), f: part(1, sigmoid), candidate: part(2, Math.tanh),
      o: part(3, sigmoid),
    };
  };

  /* What they make of the cell: [h, c]. */
  E.update = function ({ i, f, candidate, o }, c) {
    const cell = c.map((old, k) => f[k] * old + i[k] * candidate[k]);
    return [cell.map((now, k) => o[k] * Math.tanh(now)), cell];
  };

  /* One step: (weights, input, state) -> state. A state is a list, as in `companion`:
     [h], for the LSTM [h, c]. */
  const cells = {
    rnn(w, x, [h]) {
      const sum = E.addProduct(Float64Array.from(w.b_h), x, w.W_xh);
      return [E.addProduct(sum, h, w.W_hh).map(Math.tanh)];
    },
    gru(w, x, [h]) {
      const H = h.length; // r, z, candidate
      const read = E.addProduct(Float64Array.from(w.b), x, w.W_x);
      const kept = E.addProduct(new Float64Array(3 * H), h, w.W_h);
      return [
        h.map((old, k) => {
          const r = sigmoid(read[k] + kept[k]);
          const z = sigmoid(read[H + k] + kept[H + k]);
          const held = r * (kept[2 * H + k] + w.b_hc[k]);
          return (1 - z) * Math.tanh(read[2 * H + k] + held) + z * old;
        }),
      ];
    },
    lstm: (w, x, [h, c]) => E.update(E.gates(w, x, h), c),
  };

  /* A layer, and an output layer W_hq, b_q: a language model or a classifier. With an
     `embedding`, an id stands for a row of that table instead of a one-hot row. */
  E.network = function (kind, w) {
    const H = w.W_hq.length / w.b_q.length, step = cells[kind];
    const D = (w.W_xh || w.W_x).length / (w.b_h || w.b).length;
    const net = {
      begin: () => Array.from({ length: kind === "lstm" ? 2 : 1 }, () => new Float64Array(H)),
      logits: (state) => E.addProduct(Float64Array.from(w.b_q), state[0], w.W_hq),
      step(id, state) {
        const x = w.embedding ? w.embedding.subarray(id * D, (id + 1) * D) : id;
        return step(w, x, state);
      },
      /* Read ids; logits after each, and the last state. */
      read(ids, state = net.begin()) {
        const logits = [];
        for (const id of ids) logits.push(net.logits((state = net.step(id, state))));
        return { logits, state };
      },
    };
    return net;
  };

  // --- Distributions ------------------------------------------------------------------

  /* softmax(logits / temperature) among the topK largest; temperature 0 is greedy. */
  E.softmax = function (logits, temperature = 1, topK = logits.length) {
    const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
    const P = new Float64Array(logits.length);
    if (temperature === 0) topK = temperature = 1;
    let total = 0;
    for (const i of order.slice(0, topK)) {
      total += P[i] = Math.exp((logits[i] - logits[order[0]]) / temperature);
    }
    return P.map((p) => p / total);
  };

  E.choose = function (P, generator) {
    let left = generator.uniform();
    for (let i = 0; i < P.length; i++) if ((left -= P[i]) < 0) return i;
    return P.lastIndexOf(Math.max(...P)); // rounding left a crumb
  };

  /* The surprisal of each id but the first, -ln p. */
  E.surprisals = function (net, ids) {
    const { logits } = net.read(ids.slice(0, -1));
    return logits.map((o, t) => -Math.log(E.softmax(o)[ids[t + 1]]));
  };

  E.perplexity = (surprisals) =>
    Math.exp(surprisals.reduce((a, b) => a + b, 0) / surprisals.length);

  // --- Chance: the Mersenne Twister as torch.Generator().manual_seed(seed) has it -------

  E.Generator = function (seed) {
    const state = new Uint32Array(624);
    let at = 624;
    state[0] = seed;
    for (let i = 1; i < 624; i++) {
      const last = state[i - 1] ^ (state[i - 1] >>> 30);
      state[i] = Math.imul(1812433253, last) + i;
    }
    function twist() {
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    const generator = {
      next() {
        if (at === 624) twist();
        let y = state[at++];
        y ^= y >>> 11;
        y ^= (y << 7) & 0x9d2c5680;
        y ^= (y << 15) & 0xefc60000;
        return (y ^ (y >>> 18)) >>> 0;
      },
      uniform: () => generator.next() / 2 ** 32,
      randint: (n) => generator.next() % n, // torch.randint(n, ())
      /* torch.randn(n, dtype=torch.float64); n is a multiple of 16. Draws come in
         blocks of 16, of which the first half meets the second (Box and Muller). */
      randn(n) {
        const draws = Float64Array.from({ length: n }, () => {
          const high = generator.next() & 0x1fffff; // of 64 bits the lower 53 count
          return (high * 2 ** 32 + generator.next()) / 2 ** 53;
        });
        for (let i = 0; i < n; i += 16) {
          for (let j = i; j < i + 8; j++) {
            const radius = Math.sqrt(-2 * Math.log(1 - draws[j]));
            const angle = 2 * Math.PI * draws[j + 8];
            draws[j] = radius * Math.cos(angle);
            draws[j + 8] = radius * Math.sin(angle);
          }
        }
        return draws;
      },
      randperm(n) {
        const order = Array.from({ length: n }, (_, i) => i);
        for (let i = 0; i < n - 1; i++) {
          const j = i + (generator.next() % (n - i));
          [order[i], order[j]] = [order[j], order[i]];
        }
        return order;
      },
    };
    return generator;
  };
})();
