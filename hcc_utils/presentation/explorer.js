// mount(element, data): a slider over the threshold, and what each threshold would mean.
// The same code runs in Jupyter (as an anywidget) and in the book opened from a disk.
// data: { models: [{ id, label, frozen, rows: [[threshold, TP, FP, FN, TN], ...] }] }
function mount(element, data) {
  "use strict";

  const style = `
    .hcc-explorer { border: 1px solid rgba(128,128,128,.5); border-radius: .5rem; padding: 1rem 1.1rem;
      color: inherit; background: transparent; line-height: 1.45; max-width: 46rem; font-family: inherit; }
    .hcc-explorer * { box-sizing: border-box; }
    .hcc-explorer .top { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline; }
    .hcc-explorer label { font-weight: 600; display: block; }
    .hcc-explorer .top label { display: inline; margin-right: .5rem; }
    .hcc-explorer select, .hcc-explorer button { font: inherit; color: inherit; background: transparent;
      border: 1px solid rgba(128,128,128,.8); border-radius: .35rem; padding: .2rem .6rem; min-height: 2.2rem; }
    .hcc-explorer select option { color: #111; background: #fff; }
    .hcc-explorer button { cursor: pointer; }
    .hcc-explorer :focus-visible { outline: 3px solid #56B4E9; outline-offset: 2px; }
    .hcc-explorer .slide { position: relative; padding-bottom: 1.1rem; margin: .8rem 0 .2rem; }
    .hcc-explorer input[type=range] { display: block; width: 100%; margin: 0; height: 2rem;
      accent-color: #0072B2; }
    .hcc-explorer .frozen { position: absolute; bottom: 0; transform: translateX(-50%);
      font-size: .8rem; line-height: 1.2; white-space: nowrap; }
    .hcc-explorer td { width: 10.5rem; }
    @media (max-width: 600px) { .hcc-explorer td { width: 6.5rem; } }
    .hcc-explorer .said { display: block; font-size: 1.15rem; margin: .5rem 0 .7rem; }
    .hcc-explorer .bar { display: flex; height: 1.4rem; border-radius: .3rem; overflow: hidden; }
    .hcc-explorer .bar span { display: block; height: 100%; }
    .hcc-explorer table { border-collapse: collapse; width: 100%; margin: .7rem 0; font-size: .95rem; }
    .hcc-explorer caption { text-align: left; font-weight: 600; padding-bottom: .2rem; caption-side: top; }
    .hcc-explorer th, .hcc-explorer td { padding: .3rem .4rem; text-align: left; vertical-align: top;
      border-top: 1px solid rgba(128,128,128,.35); background: transparent; color: inherit; }
    .hcc-explorer td { font-variant-numeric: tabular-nums; }
    .hcc-explorer th { font-weight: 500; }
    .hcc-explorer i.key { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem;
      margin-right: .4rem; }
    .hcc-explorer .note { font-size: .88rem; margin: .6rem 0 0; }
    @media print { .hcc-explorer .slide, .hcc-explorer .top button { display: none; } }`;

  const cells = [
    ["true_positive", "Called high risk, and the event happened (true positives)", "#D55E00"],
    ["false_positive", "Called high risk, and it did not (false positives)", "#E69F00"],
    ["false_negative", "Not called, and the event happened (false negatives)", "#0072B2"],
    ["true_negative", "Not called, and it did not (true negatives)", "#56B4E9"],
  ];
  const figures = [
    ["sensitivity", "Sensitivity", "called high risk, of those with the event"],
    ["specificity", "Specificity", "not called, of those without the event"],
    ["ppv", "Positive predictive value", "with the event, of those called high risk"],
    ["npv", "Negative predictive value", "without the event, of those not called"],
  ];
  const benefits = [
    ["benefit_model", "Intervene in those called high risk"],
    ["benefit_all", "Intervene in all"],
    ["benefit_none", "Intervene in none"],
  ];

  const percent = (value, digits) => `${(100 * value).toFixed(digits)} %`;
  const atMost = (value) => `${+(100 * value).toFixed(1)} %`;
  const share = (part, whole) =>
    whole === 0 ? "not defined (of 0)" : `${percent(part / whole, 0)} (${part} of ${whole})`;
  const signed = (value) => (Number.isFinite(value) ? value.toFixed(3).replace("-", "−") : "not defined");

  const add = (parent, tag, attributes = {}, text = "") => {
    const node = parent.appendChild(document.createElement(tag));
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    if (text) node.textContent = text;
    return node;
  };
  const table = (parent, caption, rows) => {
    const node = add(parent, "table");
    add(node, "caption", {}, caption);
    const body = add(node, "tbody");
    return (rows.map(([name, words, extra]) => {
      const row = add(body, "tr");
      const head = add(row, "th", { scope: "row" });
      if (extra && extra.startsWith("#")) add(head, "i", { class: "key", style: `background:${extra}` });
      head.append(words);
      if (extra && !extra.startsWith("#")) add(head, "small", {}, ` — ${extra}`);
      return [name, add(row, "td", { "data-figure": name })];
    }));
  };

  element.replaceChildren();
  const root = add(element, "section", { class: "hcc-explorer", "aria-label": "Threshold explorer" });
  add(root, "style", {}, style);
  const number = (mount.count = (mount.count || 0) + 1);
  const top = add(root, "div", { class: "top" });
  const chooser = add(top, "span");
  add(chooser, "label", { for: `hcc-model-${number}` }, "Model ");
  const select = add(chooser, "select", { id: `hcc-model-${number}` });
  data.models.forEach((model, place) => add(select, "option", { value: place }, model.label));
  const toFrozen = add(top, "button", { type: "button" });

  const slide = add(root, "div", { class: "slide" });
  const caption = add(slide, "label", { for: `hcc-threshold-${number}` });
  const slider = add(slide, "input", {
    type: "range", id: `hcc-threshold-${number}`,
    "data-lm-suppress-shortcuts": "true", // or JupyterLab takes the arrow keys
  });
  const mark = add(slide, "span", { class: "frozen", "aria-hidden": "true" });

  const said = add(root, "output", { class: "said", for: `hcc-threshold-${number}`, "aria-live": "polite" });
  const bar = add(root, "div", { class: "bar", "aria-hidden": "true" });
  const segments = cells.map(([, , colour]) => add(bar, "span", { style: `background:${colour}` }));
  const shown = Object.fromEntries([
    ...table(root, "Patients", cells),
    ...table(root, "How good the calls are", figures),
    ...table(root, "Net benefit (true positives per patient)", benefits),
  ]);
  add(root, "p", { class: "note" },
    "To intervene may mean, for example, closer imaging. Net benefit takes off a false positive as " +
    "threshold / (1 − threshold) of a true positive.");
  add(root, "p", { class: "note" },
    "Prognosis, not advice. The frozen threshold is Youden’s: a statistical cut, not a clinical one. " +
    "A risk below the threshold is not a reason to lengthen follow-up. Not a medical device.");

  let model;
  let row;
  const nearest = (threshold) =>
    model.rows.reduce((best, other) =>
      Math.abs(other[0] - threshold) < Math.abs(best[0] - threshold) ? other : best);

  const show = () => {
    const [threshold, tp, fp, fn, tn] = row;
    const all = tp + fp + fn + tn;
    const odds = threshold / (1 - threshold);
    caption.textContent = `Threshold: risk of at least ${atMost(threshold)}`;
    slider.setAttribute("aria-valuetext", `${atMost(threshold)}`);
    const alarms = tp === 0 ? "" : ` False alarms for each event found: ${(fp / tp).toFixed(1)}.`;
    said.textContent =
      `${tp + fp} of ${all} patients (${percent((tp + fp) / all, 0)}) would be called high risk.${alarms}`;
    [tp, fp, fn, tn].forEach((count, place) => {
      segments[place].style.width = `${(100 * count) / all}%`;
      shown[cells[place][0]].textContent = String(count);
    });
    shown.sensitivity.textContent = share(tp, tp + fn);
    shown.specificity.textContent = share(tn, tn + fp);
    shown.ppv.textContent = share(tp, tp + fp);
    shown.npv.textContent = share(tn, tn + fn);
    shown.benefit_model.textContent = signed(tp / all - (fp / all) * odds);
    shown.benefit_all.textContent = signed((tp + fn) / all - ((fp + tn) / all) * odds);
    shown.benefit_none.textContent = signed(0);
  };

  const choose = (place) => {
    model = data.models[place];
    const thresholds = model.rows.map((one) => one[0]);
    const low = thresholds[0];
    const high = thresholds[thresholds.length - 1];
    const gaps = thresholds.slice(1).map((value, at) => value - thresholds[at]);
    slider.min = low;
    slider.max = high;
    slider.step = gaps.length ? Math.min(...gaps).toFixed(6) : 1;
    const known = model.frozen !== null;
    toFrozen.hidden = mark.hidden = !known;
    if (known) {
      const where = high > low ? (model.frozen - low) / (high - low) : 0;
      toFrozen.textContent = `Go to the frozen threshold (${atMost(model.frozen)})`;
      mark.textContent = `▲ frozen ${atMost(model.frozen)}`;
      // a slider's thumb is 16 px wide and stays inside its track
      mark.style.left = `calc(8px + ${Math.min(1, Math.max(0, where))} * (100% - 16px))`;
      row = nearest(model.frozen);
    } else {
      row = nearest(row ? row[0] : (low + high) / 2);
    }
    slider.value = row[0];
    show();
  };

  select.addEventListener("change", () => choose(Number(select.value)));
  toFrozen.addEventListener("click", () => {
    row = nearest(model.frozen);
    slider.value = row[0];
    show();
  });
  slider.addEventListener("input", () => {
    row = nearest(Number(slider.value));
    show();
  });
  const last = data.models.length - 1;
  select.value = String(last);
  choose(last);
}
