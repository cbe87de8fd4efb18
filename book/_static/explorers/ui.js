/* The controls of the explorers: plain elements, so that mouse, touch, keyboard and
   screen readers work as everywhere. */
(function () {
  "use strict";
  const E = window.Explorers;
  let count = 0;

  /* h("p", {class: "note"}, "text", node): an element; on* are listeners. */
  E.h = function (tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };

  E.svg = function (tag, attributes = {}, ...children) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) {
      node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };

  /* A slider over a list of values, with its value beside its label. */
  E.slider = function ({ label, name, values, value, show = String, onInput }) {
    const id = "explorer-control-" + ++count;
    const shown = E.h("output", { for: id });
    const input = E.h("input", { type: "range", id, min: 0, step: 1, "data-name": name });
    const control = {
      node: E.h("div", { class: "explorer-slider" }, E.h("label", { for: id }, label, " "), shown, input),
      get value() { return values[input.value]; },
      /* Move to a value, or to other values; nobody is told. */
      set(next, others = values) {
        values = others;
        input.max = values.length - 1;
        let best = 0;
        values.forEach((v, i) => {
          if (Math.abs(v - next) < Math.abs(values[best] - next)) best = i;
        });
        input.value = best;
        tell();
      },
    };
    function tell() {
      shown.textContent = show(control.value);
      input.setAttribute("aria-valuetext", shown.textContent);
    }
    input.addEventListener("input", () => {
      tell();
      onInput(control.value);
    });
    control.set(value);
    return control;
  };

  /* One of several: radio buttons under a legend. options: {value: label}. */
  E.choice = function ({ label, name, options, value, onInput }) {
    const group = "explorer-choice-" + ++count;
    const buttons = Object.entries(options).map(([key, text]) => {
      const radio = E.h("input", {
        type: "radio", name: group, value: key, "data-name": name,
        onchange: () => onInput(key),
      });
      radio.checked = key === value;
      return E.h("label", {}, radio, " " + text);
    });
    const node = E.h("fieldset", { class: "explorer-choice" }, E.h("legend", {}, label), ...buttons);
    return {
      node,
      get value() { return node.querySelector(":checked").value; },
    };
  };

  E.button = (label, name, onclick) =>
    E.h("button", { type: "button", "data-name": name, onclick }, label);

  /* A line to write in, as the networks read it: small letters and spaces. */
  E.line = function ({ label, name, value, most, onInput }) {
    const id = "explorer-control-" + ++count;
    const input = E.h("input", {
      type: "text", id, value, maxlength: most, autocomplete: "off",
      autocapitalize: "none", spellcheck: "false", "data-name": name,
      oninput: () => onInput(input.value.toLowerCase().replace(/[^a-z ]+/g, " ")),
    });
    return E.h("div", { class: "explorer-text" }, E.h("label", { for: id }, label), input);
  };

  /* What is read off: told to a screen reader when the reader has come to rest. */
  E.reading = () => E.h("p", { class: "explorer-reading", role: "status" });

  E.range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  E.visible = (text) => text.replace(/ /g, "␣");

  /* Draw again when the width or the theme changes. */
  E.redraw = function (node, draw) {
    let width = 0;
    new ResizeObserver(() => {
      if (node.clientWidth !== width) {
        width = node.clientWidth;
        draw();
      }
    }).observe(node);
    new MutationObserver(draw).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
  };

  E.colour = (node, name) => getComputedStyle(node).getPropertyValue(name).trim();

  /* Axes in pixels: lines and numbers of a plot of the given size. ticks are pairs of a
     place in pixels and a text. */
  E.axes = function (svg, { left, top, right, bottom, x, y, xLabel, yLabel }) {
    const line = (x1, y1, x2, y2, c) => svg.append(E.svg("line", { x1, y1, x2, y2, class: c }));
    const text = (x, y, anchor, words, c = "") => {
      const node = E.svg("text", { x, y, "text-anchor": anchor, class: c });
      node.textContent = words;
      svg.append(node);
    };
    for (const [place, words] of x) {
      line(place, top, place, bottom, "grid");
      text(place, bottom + 16, "middle", words);
    }
    for (const [place, words] of y) {
      line(left, place, right, place, "grid");
      text(left - 5, place + 4, "end", words);
    }
    text((left + right) / 2, bottom + 34, "middle", xLabel, "axis");
    text(2, top - 8, "start", yLabel, "axis");
  };
})();
