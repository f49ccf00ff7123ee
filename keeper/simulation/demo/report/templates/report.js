// The legend of a chart is also its read-out: it shows the values under the pointer.
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const clock = figure.querySelector("time");
  const outputs = figure.querySelectorAll("output");
  const show = (i) => {
    clock.textContent = data.times[i];
    outputs.forEach((output, k) => { output.textContent = data.values[k][i]; });
  };
  const last = data.times.length - 1;
  for (const svg of figure.querySelectorAll("svg[data-x]")) {
    const xs = svg.dataset.x.split(",").map(Number);
    const cursor = svg.querySelector(".cursor");
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) * svg.viewBox.baseVal.width / box.width;
      let i = 0;
      for (let k = 1; k < xs.length; k++) if (Math.abs(xs[k] - x) < Math.abs(xs[i] - x)) i = k;
      cursor.setAttribute("x1", xs[i]);
      cursor.setAttribute("x2", xs[i]);
      cursor.setAttribute("visibility", "visible");
      show(i);
    });
    svg.addEventListener("pointerleave", () => { cursor.setAttribute("visibility", "hidden"); show(last); });
  }
}
const all = document.querySelector("#open-all");
if (all) all.addEventListener("click", () => {
  const trades = [...document.querySelectorAll("details.trade")];
  const open = trades.some((trade) => !trade.open);
  trades.forEach((trade) => { trade.open = open; });
  all.textContent = open ? "Close all" : "Open all";
});
