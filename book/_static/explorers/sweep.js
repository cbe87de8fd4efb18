/* Backpropagation through time as chapter 7 has it, for one sequence that begins with an
   empty state. Tables begin with step 0, so that the index is the step. */
(function () {
  "use strict";
  const E = window.Explorers;

  /* xi: 0 where a window ends, else 1. */
  E.passOn = (T, window) => E.range(0, T).map((t) => (t === 0 || t % window > 0 ? 1 : 0));

  function transposed(M, columns) {
    return M.map((_, n) => M[(n % (M.length / columns)) * columns + Math.floor(n * columns / M.length)]);
  }

  /* The weights of a network, and the transposes for the way back. */
  E.both = function (exported) {
    const w = E.decode(exported), H = w.b_h.length, V = w.b_q.length;
    return { w, H, V, back: transposed(w.W_hh, H), out: transposed(w.W_hq, V) };
  };

  /* A network that has read ids and was to guess targets: its states, and what each loss
     sends to the state of its own step, the first term of delta. */
  E.past = function ({ w, H, V, back, out }, ids, targets) {
    const net = E.network("rnn", w);
    const states = [new Float64Array(H)], own = [new Float64Array(H)];
    ids.forEach((id, t) => {
      states.push(net.step(id, [states[t]])[0]);
      const error = E.softmax(net.logits([states[t + 1]]));
      error[targets[t]] -= 1;
      own.push(E.addProduct(new Float64Array(H), error, out));
    });
    return { H, V, ids, states, own, back };
  };

  /* The sweep from right to left: delta and epsilon of steps 0 to T. */
  E.sweep = function ({ H, states, back }, own, xi) {
    const delta = [], epsilon = [];
    let later = new Float64Array(H);
    for (let t = own.length - 1; t >= 0; t--) {
      delta[t] = later.map((x, k) => own[t][k] + xi[t] * x);
      epsilon[t] = delta[t].map((d, k) => d * (1 - states[t][k] ** 2));
      later = E.addProduct(new Float64Array(H), epsilon[t], back);
    }
    return { delta, epsilon };
  };

  /* Row t, column s: the derivative of the loss of step t with respect to the state of
     step s, for s = 1 to t. Row and column 0 are empty. */
  E.messages = function (past) {
    const none = new Float64Array(past.H), T = past.ids.length, all = E.passOn(T, T + 1);
    return E.range(0, T).map((t) => {
      const own = past.own.slice(0, t + 1).map((x, s) => (s === t ? x : none));
      return t ? E.sweep(past, own, all).delta.map((d, s) => (s ? d : null)) : [];
    });
  };

  /* The gradient of the recurrent layer: W_xh, W_hh and b_h, one after the other. */
  E.recurrent = function (past, window) {
    const { H, V, ids, states } = past, { epsilon } = E.sweep(past, past.own, E.passOn(ids.length, window));
    const g = new Float64Array((V + H + 1) * H);
    const add = (row, factor, e) => {
      const part = g.subarray(row * H, (row + 1) * H);
      for (let k = 0; k < H; k++) part[k] += factor * e[k];
    };
    ids.forEach((id, step) => {
      const e = epsilon[step + 1];
      add(id, 1, e);
      states[step].forEach((before, j) => add(V + j, before, e));
      add(V + H, 1, e);
    });
    return g;
  };

  E.norm = function (v) {
    let squares = 0;
    for (const x of v) squares += x * x;
    return Math.sqrt(squares);
  };

  /* For windows of 1 to T: how long the truncated gradient is, and how long its error,
     as shares of the full gradient. */
  E.shares = function (past) {
    const T = past.ids.length, full = E.recurrent(past, T), length = E.norm(full);
    return E.range(1, T).map((window) => {
      const cut = E.recurrent(past, window);
      return { left: E.norm(cut) / length, error: E.norm(cut.map((x, n) => x - full[n])) / length };
    });
  };
})();
