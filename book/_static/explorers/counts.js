/* Interpolated modified Kneser-Ney, as companion.laboratory.kneser_ney.KneserNey counts it. */
(function () {
  "use strict";
  const E = window.Explorers;

  function discountsOf(table) {
    const n = [0, 0, 0, 0, 0];
    for (const { counts } of table.values()) {
      for (const count of counts.values()) n[Math.min(count, 5) - 1] += 1;
    }
    if (n[0] && n[1] && n[2]) {
      const Y = n[0] / (n[0] + 2 * n[1]);
      const found = [1, 2, 3].map((k) => k - ((k + 1) * Y * n[k]) / n[k - 1]);
      if (found.every((D, i) => 0 <= D && D <= i + 1)) return found;
    }
    return [0.5, 1, 1.5];
  }

  /* text and contexts are strings of one character a token. */
  E.KneserNey = function (text, order, V) {
    const tables = Array.from({ length: order }, () => new Map());
    for (let i = 0; i < text.length; i++) {
      for (let length = Math.min(order - 1, i); length >= 0; length--) {
        const context = text.slice(i - length, i), table = tables[length];
        if (!table.has(context)) table.set(context, { sums: [0, 0, 0, 0], counts: new Map() });
        const { sums, counts } = table.get(context), count = counts.get(text[i]) || 0;
        counts.set(text[i], count + 1);
        sums[0] += 1;
        if (0 < count && count < 3) sums[count] -= 1;
        if (count < 3) sums[count + 1] += 1;
        if (count) break; // no new way of extending the shorter ones to the left
      }
    }
    const discounts = tables.map(discountsOf);

    /* The probability of a token after all that was read. */
    function probability(read, token) {
      let p = 1 / V;
      for (let length = 0; length <= Math.min(order - 1, read.length); length++) {
        const entry = tables[length].get(read.slice(read.length - length));
        if (!entry) break;
        const D = discounts[length], count = entry.counts.get(token) || 0;
        const passed = D.reduce((sum, d, i) => sum + d * entry.sums[i + 1], 0);
        const kept = count ? count - D[Math.min(count, 3) - 1] : 0;
        p = (kept + passed * p) / entry.sums[0];
      }
      return p;
    }

    return {
      probability,
      surprisals: (words) =>
        E.range(1, words.length - 1).map((i) =>
          -Math.log(probability(words.slice(Math.max(0, i - order), i), words[i]))),
    };
  };
})();
