"use strict";
(() => {
  document.documentElement.classList.add("drawing"); // room for the charts
  const charts = JSON.parse(document.getElementById("data").textContent);
  const drawn = new Map(); // figure id -> uPlot
  const colour = (tone) => getComputedStyle(document.documentElement).getPropertyValue(`--${tone}`).trim();

  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    const short = Number(value.toPrecision(4));
    return (short !== 0 && Math.abs(short) < 1e-4 ? short.toExponential() : short.toLocaleString("en", { maximumSignificantDigits: 4 })).replace("-", "−");
  };
  const share = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(1)} %`);
  const whole = [1, 2, 5].flatMap((digit) => [...Array(9).keys()].map((power) => digit * 10 ** power)).sort((a, b) => a - b);
  const naming = (chart) => (value) => (chart.names ? chart.names[Math.round(value)] ?? "" : shown(value));

  function range(chart) {
    return (u, low, high) => {
      if (chart.share) return [0, 1];
      if (low === null) return [0, 1];
      if (chart.zero) return [0, high > 0 ? high * 1.08 : 1];
      for (const [at] of chart.levels ?? []) { low = Math.min(low, at); high = Math.max(high, at); }
      const room = 0.08 * (high - low || Math.abs(high) || 1);
      return [low - room, high + room];
    };
  }

  function serie(chart, one) {
    const only = (chart.kind === "points" || chart.kind === "whiskers") && !one.line;
    return {
      label: one.label,
      stroke: colour(one.tone) + (one.thin ? "77" : ""),
      width: one.thin ? 1 : 2,
      dash: one.dash ? [6, 4] : undefined,
      fill: one.fill ? colour(`${one.tone}-soft`) : undefined,
      paths: chart.kind === "steps" ? uPlot.paths.stepped({ align: 1 }) : only ? () => null : undefined,
      points: only || one.dots
        ? { show: true, size: chart.kind === "points" ? 5 : 8, fill: chart.kind === "points" ? colour(`${one.tone}-soft`) : colour(one.tone), width: 1 }
        : one.y.filter((value) => value !== null).length === 1 ? { show: true, size: 8 } : { show: false },
      spanGaps: true,
      value: (u, value) => (chart.share ? share(value) : shown(value)),
    };
  }

  // What stands behind the curves: rounding, levels to compare with, alarms.
  function behind(chart) {
    return (u) => {
      const { ctx, bbox } = u, dots = devicePixelRatio;
      const y = (value) => u.valToPos(value, "y", true), x = (value) => u.valToPos(value, "x", true);
      ctx.save();
      ctx.beginPath(); ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height); ctx.clip();
      ctx.font = `${12 * dots}px system-ui, sans-serif`;
      if (chart.noise) {
        ctx.fillStyle = colour("noise");
        ctx.fillRect(bbox.left, y(chart.noise), bbox.width, y(-chart.noise) - y(chart.noise));
      }
      ctx.lineWidth = dots; ctx.setLineDash([2 * dots, 3 * dots]);
      const line = (x0, y0, x1, y1, tone) => { ctx.strokeStyle = colour(tone); ctx.beginPath(); ctx.moveTo(x0, y0); ctx.lineTo(x1, y1); ctx.stroke(); };
      for (const [at, label] of chart.levels ?? []) {
        line(bbox.left, y(at), bbox.left + bbox.width, y(at), "quiet");
        const top = y(at) - bbox.top < 16 * dots;
        ctx.fillStyle = colour("quiet"); ctx.textAlign = "right"; ctx.textBaseline = top ? "top" : "bottom";
        ctx.fillText(label, bbox.left + bbox.width - 4 * dots, y(at) + (top ? 3 : -2) * dots);
      }
      for (const [at, label] of chart.levels_x ?? []) {
        line(x(at), bbox.top, x(at), bbox.top + bbox.height, "quiet");
        ctx.fillStyle = colour("quiet"); ctx.textAlign = "left"; ctx.textBaseline = "top";
        ctx.fillText(label, x(at) + 4 * dots, bbox.top + 2 * dots);
      }
      for (const [at, label] of chart.marks ?? []) {
        if (x(at) < bbox.left || x(at) > bbox.left + bbox.width) continue; // zoomed out of sight
        line(x(at), bbox.top, x(at), bbox.top + bbox.height, "bad");
        const left = x(at) + 3 * dots + ctx.measureText(label).width > bbox.left + bbox.width; // no room on the right
        ctx.fillStyle = colour("bad"); ctx.textAlign = left ? "right" : "left"; ctx.textBaseline = "top";
        ctx.fillText(label, x(at) + (left ? -3 : 3) * dots, bbox.top + 2 * dots);
      }
      ctx.restore();
    };
  }

  function whiskers(chart) {
    return (u) => {
      const { ctx } = u, dots = devicePixelRatio, cap = 5 * dots;
      ctx.save(); ctx.lineWidth = 2 * dots; ctx.setLineDash([]);
      chart.series.forEach((one, index) => {
        if (!one.low || !u.series[index + 1].show) return;
        ctx.strokeStyle = colour(one.tone);
        one.low.forEach((low, at) => {
          const high = one.high[at];
          if (low === null || high === null || Number.isNaN(low)) return;
          const x = u.valToPos(chart.x[at], "x", true), top = u.valToPos(high, "y", true), bottom = u.valToPos(low, "y", true);
          ctx.beginPath(); ctx.moveTo(x, top); ctx.lineTo(x, bottom);
          for (const y of [top, bottom]) { ctx.moveTo(x - cap, y); ctx.lineTo(x + cap, y); }
          ctx.stroke();
        });
      });
      ctx.restore();
    };
  }

  function options(chart, width) {
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const few = chart.names && width < 120 * chart.names.length;
    return {
      width, height: 240, padding: [10, 14, 0, 0],
      scales: { x: { time: false, range: reach(chart) }, y: { range: range(chart) } },
      axes: [
        { ...axis, label: chart.x_label, size: 30, labelSize: 20, labelGap: 2, labelFont: "12px system-ui, sans-serif",
          ...(chart.names ? { splits: () => chart.x, values: (u, at) => at.map((value) => (few ? naming(chart)(value).replace(/ \(.*/, "") : naming(chart)(value))), space: 10 }
            : { values: (u, at) => at.map(shown), ...(chart.x_label === "step" ? { incrs: whole } : {}) }) },
        { ...axis, size: 62, values: (u, at) => at.map((value) => (chart.share ? `${Math.round(100 * value)} %` : shown(value))) },
      ],
      series: [{ label: chart.x_label, value: (u, value) => (value === null ? "–" : naming(chart)(value)) }, ...chart.series.map((one) => serie(chart, one))],
      cursor: { drag: { x: true, y: chart.kind === "points", uni: 30 }, ...(chart.sync ? { sync: { key: chart.id.split("-")[0] } } : {}) },
      hooks: { drawAxes: [behind(chart)], draw: chart.kind === "whiskers" ? [whiskers(chart)] : [] },
    };
  }

  function reach(chart) {
    return (u, low, high) => {
      if (chart.names) return [-0.5, chart.names.length - 0.5];
      if (chart.kind === "whiskers") { const room = 0.12 * (high - low || high || 1); return [Math.min(0, low), high + room]; }
      return low === high ? [low - 1, high + 1] : [low, high];
    };
  }

  function draw(figure) {
    const chart = charts.find((one) => one.id === figure.id), place = figure.querySelector(".plot");
    drawn.get(figure.id)?.destroy();
    const plot = new uPlot(options(chart, place.clientWidth), [chart.x, ...chart.series.map((one) => one.y)], place);
    plot.root.setAttribute("aria-hidden", "true"); // the label of the place says it in words
    drawn.set(figure.id, plot);
  }

  const figures = [...document.querySelectorAll("figure.chart")];
  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) { near.unobserve(target); draw(target); }
  }, { rootMargin: "600px" });
  const sized = new ResizeObserver((entries) => {
    for (const { target, contentRect } of entries) {
      const plot = drawn.get(target.closest("figure").id);
      if (plot && Math.abs(plot.width - contentRect.width) > 1) plot.setSize({ width: contentRect.width, height: 240 });
    }
  });
  for (const figure of figures) { near.observe(figure); sized.observe(figure.querySelector(".plot")); figure.addEventListener("keydown", walk); }

  const again = () => figures.filter((figure) => drawn.has(figure.id)).forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("beforeprint", () => { document.documentElement.classList.add("paper"); figures.forEach(draw); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("paper"); again(); });

  // Arrow keys walk over a chart's points and read them out; plus and minus zoom, Escape shows all.
  function walk(event) {
    const figure = event.currentTarget, plot = drawn.get(figure.id);
    if (!plot || event.target !== figure.querySelector(".plot")) return;
    const x = plot.data[0], last = x.length - 1;
    const moves = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (event.key in moves) {
      const from = plot.cursor.idx ?? (moves[event.key] > 0 ? -1 : last + 1);
      const at = Math.max(0, Math.min(last, from + moves[event.key]));
      plot.setCursor({ left: plot.valToPos(x[at], "x"), top: plot.over.clientHeight / 2 });
      const values = plot.series.map((one, index) => (index && plot.data[index][at] !== null ? `${one.label} ${one.value(plot, plot.data[index][at])}` : null));
      figure.querySelector(".readout").textContent = `${plot.series[0].label} ${plot.series[0].value(plot, x[at])}: ${values.filter(Boolean).join(", ")}`;
    } else if (event.key === "+" || event.key === "-" || event.key === "−") {
      const { min, max } = plot.scales.x, middle = x[plot.cursor.idx ?? -1] ?? (min + max) / 2, half = ((max - min) / 2) * (event.key === "+" ? 0.5 : 2);
      plot.setScale("x", { min: Math.max(x[0], middle - half), max: Math.min(x[last], middle + half) });
    } else if (event.key === "Escape") {
      plot.setScale("x", { min: x[0], max: x[last] });
    } else return;
    event.preventDefault();
  }

  // Tokens: what a token's numbers are, by pointer, touch or arrow keys.
  const tip = document.getElementById("tip");
  function numbers(box, token) {
    const [before, after] = token.dataset.v.split(",").map(Number), ratio = after - before;
    const lines = [`log-prob ${shown(before)} → ${shown(after)}`, `log-ratio ${ratio > 0 ? "+" : ""}${shown(Number(ratio.toFixed(3)))} nats`];
    if (box.dataset.beta) lines.push(`implicit reward ${ratio > 0 ? "+" : ""}${shown(Number((ratio * box.dataset.beta).toFixed(5)))}`);
    return lines;
  }
  function mark(box, token) {
    box.querySelector(".here")?.classList.remove("here");
    const readout = box.parentElement.querySelector(".readout");
    if (!token) { readout.textContent = ""; return; }
    token.classList.add("here");
    readout.textContent = `${JSON.stringify(token.textContent)}: ${numbers(box, token).join(", ")}`;
  }
  for (const box of document.querySelectorAll(".tokens")) {
    box.addEventListener("pointerover", (event) => {
      const token = event.target.closest(".t");
      if (!token) return;
      mark(box, token);
      tip.textContent = numbers(box, token).join("\n");
      tip.hidden = false;
      const place = token.getClientRects()[0];
      tip.style.left = `${Math.max(4, Math.min(place.left, innerWidth - tip.offsetWidth - 8))}px`;
      tip.style.top = `${place.top > tip.offsetHeight + 8 ? place.top - tip.offsetHeight - 4 : place.bottom + 4}px`;
    });
    box.addEventListener("pointerleave", () => { tip.hidden = true; });
    box.addEventListener("blur", () => mark(box, null));
    box.addEventListener("keydown", (event) => {
      const tokens = [...box.querySelectorAll(".t")], at = tokens.findIndex((one) => one.classList.contains("here"));
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 }[event.key];
      if (next === undefined || !tokens.length) return;
      event.preventDefault();
      const token = tokens[Math.max(0, Math.min(tokens.length - 1, next))];
      mark(box, token);
      token.scrollIntoView({ block: "nearest" });
    });
  }
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const table = document.getElementById(button.dataset.table), said = button.parentElement.querySelector("[role=status]");
      const lines = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent).join("\t")).join("\n");
      try {
        await navigator.clipboard.writeText(lines);
        said.textContent = "Copied.";
      } catch {
        getSelection().selectAllChildren(table); // where a browser keeps the clipboard from local files
        said.textContent = "Selected: copy it with Ctrl+C.";
      }
    });
  }
})();
