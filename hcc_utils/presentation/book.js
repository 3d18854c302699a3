// Draws what the pages carry: plotly figures in the page's colours, and the explorer (mount).
const dark = () => document.documentElement.dataset.theme === "dark";

const read = (place) => JSON.parse(place.querySelector('script[type="application/json"]').textContent);

const dress = (layout) => {
  const colours = dark() ? { font: "#e6e6e6", grid: "#3a3f47" } : { font: "#22262b", grid: "#dfe3e8" };
  const axis = { gridcolor: colours.grid, linecolor: "#808080", zeroline: false, automargin: true };
  const own = (layout.template && layout.template.layout) || {};
  const template = {
    layout: {
      ...own,
      font: { ...own.font, color: colours.font },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { ...own.xaxis, ...axis },
      yaxis: { ...own.yaxis, ...axis },
    },
  };
  return { ...layout, template, autosize: true };
};

const draw = (place) => {
  const { data, layout, target } = place.hcc;
  return window.Plotly.react(target, data, dress(layout), {
    responsive: true, displaylogo: false, displayModeBar: false,
  });
};

const start = () => {
  document.querySelectorAll(".hcc-figure").forEach((place) => {
    const target = place.appendChild(document.createElement("div"));
    place.hcc = { ...read(place), target };
    draw(place);
  });
  document.querySelectorAll(".hcc-explorer-place").forEach((place) => {
    const content = read(place);
    mount(place.appendChild(document.createElement("div")), content);
  });
  new MutationObserver(() => document.querySelectorAll(".hcc-figure").forEach(draw)).observe(
    document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
};

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
