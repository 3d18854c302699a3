// mount(element, ask, settings): a reader scrolls through a CT, clicks a lesion, sees its outline
// and corrects it.
// ask(question) gives a promise of { reply, buffers }; one slice at a time is asked for.
// settings: { patients: [...], window: [centre, width] in HU, diameter: mm }
function mount(element, ask, settings) {
  "use strict";

  const style = `
    .hcc-outline { border: 1px solid rgba(128,128,128,.5); border-radius: .5rem; padding: 1rem 1.1rem;
      color: var(--jp-ui-font-color1, inherit); background: transparent; line-height: 1.45;
      max-width: 46rem; font-family: var(--jp-ui-font-family, sans-serif); font-size: .95rem; }
    .hcc-outline * { box-sizing: border-box; }
    .hcc-outline .row { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: end; margin: 0 0 .6rem; }
    .hcc-outline label { display: block; font-weight: 600; }
    .hcc-outline select, .hcc-outline button, .hcc-outline input[type=number] { font: inherit;
      color: inherit; background: transparent; border: 1px solid rgba(128,128,128,.8);
      border-radius: .35rem; padding: .2rem .6rem; min-height: 2.2rem; }
    .hcc-outline select option { color: #111; background: #fff; }
    .hcc-outline input[type=number] { width: 6.5rem; }
    .hcc-outline button { cursor: pointer; }
    .hcc-outline button:disabled { opacity: .45; cursor: default; }
    .hcc-outline :focus-visible { outline: 3px solid #56B4E9; outline-offset: 2px; }
    .hcc-outline .picture { background: #000; border-radius: .3rem; overflow: hidden; }
    .hcc-outline canvas { display: block; width: 100%; cursor: crosshair; touch-action: none; }
    .hcc-outline input[type=range] { display: block; width: 100%; height: 2rem; margin: 0; accent-color: #0072B2; }
    .hcc-outline output { display: block; min-height: 3em; margin-top: .6rem; }
    .hcc-outline output.problem { border-left: 4px solid #D55E00; padding-left: .6rem; }
    .hcc-outline .note { font-size: .88rem; margin: .4rem 0 0; }`;

  const drawn = "#E69F00"; // the outline just made
  const kept = "#56B4E9"; // outlines that are kept
  const add = (parent, tag, attributes = {}, text = "") => {
    const node = parent.appendChild(document.createElement(tag));
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    if (text) node.textContent = text;
    return node;
  };
  const count = (mount.count = (mount.count || 0) + 1);
  const field = (parent, name, words, tag, attributes) => {
    const box = add(parent, "div");
    add(box, "label", { for: `hcc-${name}-${count}` }, words);
    return add(box, tag, { id: `hcc-${name}-${count}`, "data-field": name,
      "data-lm-suppress-shortcuts": "true", ...attributes }); // or JupyterLab takes the keys
  };
  const button = (parent, name, words) => add(parent, "button", { type: "button", "data-do": name }, words);

  element.replaceChildren();
  const root = add(element, "section", { class: "hcc-outline", "aria-label": "Outline a lesion" });
  add(root, "style", {}, style);
  const top = add(root, "div", { class: "row" });
  const patient = field(top, "patient", "Patient", "select", {});
  settings.patients.forEach((name) => add(patient, "option", { value: name }, name));
  const next = button(top, "next", "Next patient");
  const centre = field(top, "centre", "Window centre (HU)", "input", { type: "number", step: 10 });
  const width = field(top, "width", "Window width (HU)", "input", { type: "number", step: 10, min: 1 });
  [centre.value, width.value] = settings.window;
  const picture = add(root, "div", { class: "picture" });
  const canvas = add(picture, "canvas", { role: "img", "aria-label": "CT slice; click the lesion's middle" });
  const slider = field(root, "slice", "Slice", "input", { type: "range", min: 0, step: 1 });
  const caption = slider.previousSibling;
  const low = add(root, "div", { class: "row" });
  const diameter = field(low, "diameter", "Rough longest diameter (mm)", "input",
    { type: "number", min: 1, step: 1 });
  diameter.value = settings.diameter;
  const keep = button(low, "keep", "Keep this lesion");
  const drop = button(low, "drop", "Discard it");
  const save = button(low, "save", "Save segmentation");
  const said = add(root, "output", { "aria-live": "polite" });
  add(root, "p", { class: "note" },
    "Click the lesion’s middle. Orange: the outline just made. Where it is wrong, on any slice, hold Shift " +
    "and click the true edge; where it goes on too far up or down, the middle of the lesion’s last slice. " +
    "Blue: lesions that are kept; the longest is the target lesion. A proposal to be checked on every " +
    "slice, not a finding.");

  let series = null; // { rows, columns, spacing: [row, column] in mm, heights: mm }
  let pixels = null; // Int16Array of the slice shown, HU
  let number = 0;
  let seed = null; // { number, row, column }
  let edge = []; // places on the true edge, like the seed
  let outline = {}; // by slice: { row, column, rows, columns, mask }
  let lesions = [];

  const say = (words, problem = false) => {
    said.textContent = words;
    said.className = problem ? "problem" : "";
  };
  const asked = async (question) => {
    const { reply, buffers } = await ask(question);
    if (reply.problem) {
      say(reply.problem, true);
      return null;
    }
    return { reply, buffers };
  };
  const enable = () => {
    keep.disabled = drop.disabled = Object.keys(outline).length === 0;
    save.disabled = lesions.length === 0;
    next.disabled = patient.selectedIndex + 1 >= settings.patients.length;
  };

  const edges = (context, part, colour) => {
    const marked = (row, column) => row >= 0 && column >= 0 && row < part.rows &&
      column < part.columns && part.mask[row * part.columns + column] === 1;
    context.strokeStyle = colour;
    context.beginPath();
    for (let row = 0; row < part.rows; row += 1) {
      for (let column = 0; column < part.columns; column += 1) {
        if (!marked(row, column)) continue;
        const x = part.column + column;
        const y = part.row + row;
        if (!marked(row - 1, column)) { context.moveTo(x, y); context.lineTo(x + 1, y); }
        if (!marked(row + 1, column)) { context.moveTo(x, y + 1); context.lineTo(x + 1, y + 1); }
        if (!marked(row, column - 1)) { context.moveTo(x, y); context.lineTo(x, y + 1); }
        if (!marked(row, column + 1)) { context.moveTo(x + 1, y); context.lineTo(x + 1, y + 1); }
      }
    }
    context.stroke();
  };

  const draw = () => {
    if (!pixels) return;
    const { rows, columns } = series;
    const image = new ImageData(columns, rows);
    const lowest = Number(centre.value) - Number(width.value) / 2;
    const scale = 255 / Math.max(1, Number(width.value));
    for (let at = 0; at < pixels.length; at += 1) {
      const grey = (pixels[at] - lowest) * scale; // Uint8Clamped holds it within 0 to 255
      image.data[4 * at] = image.data[4 * at + 1] = image.data[4 * at + 2] = grey;
      image.data[4 * at + 3] = 255;
    }
    const times = Math.max(1, Math.round(1024 / columns)); // so that the line is thinner than a pixel
    canvas.width = columns * times;
    canvas.height = rows * times;
    const context = canvas.getContext("2d");
    const plain = document.createElement("canvas");
    [plain.width, plain.height] = [columns, rows];
    plain.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(plain, 0, 0, canvas.width, canvas.height);
    context.scale(times, times);
    context.lineWidth = Math.max(0.8, columns / 450);
    lesions.forEach((lesion) => lesion[number] && edges(context, lesion[number], kept));
    if (outline[number]) edges(context, outline[number], drawn);
    context.strokeStyle = drawn;
    [seed, ...edge].filter((at) => at && at.number === number).forEach((at) => {
      context.beginPath();
      context.moveTo(at.column - 3.5, at.row + 0.5);
      context.lineTo(at.column + 4.5, at.row + 0.5);
      context.moveTo(at.column + 0.5, at.row - 3.5);
      context.lineTo(at.column + 0.5, at.row + 4.5);
      context.stroke();
    });
    const words = `Slice ${number + 1} of ${series.heights.length}, z ${series.heights[number].toFixed(1)} mm`;
    caption.textContent = words;
    slider.setAttribute("aria-valuetext", words);
  };

  let wanted = 0; // only the latest slice asked for is shown
  const show = async (to) => {
    number = Math.min(Math.max(to, 0), series.heights.length - 1);
    slider.value = number;
    wanted += 1;
    const mine = wanted;
    const answer = await asked({ kind: "slice", number });
    if (!answer || mine !== wanted) return;
    const view = answer.buffers[0];
    const bytes = view.buffer ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) : view;
    pixels = new Int16Array(bytes);
    draw();
  };

  const open = async () => {
    [outline, lesions, seed, edge, pixels] = [{}, [], null, [], null];
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    enable();
    const answer = await asked({ kind: "open", patient: patient.value });
    series = answer ? answer.reply : null;
    slider.disabled = !series;
    if (!series) return;
    slider.max = series.heights.length - 1;
    picture.style.aspectRatio = "auto";
    canvas.style.aspectRatio = `${series.columns * series.spacing[1]} / ${series.rows * series.spacing[0]}`;
    say("Scroll to the lesion, give its rough diameter, and click its middle.");
    await show(Math.floor(series.heights.length / 2));
  };

  const contour = async () => {
    say("Outlining …");
    const answer = await asked({ kind: "contour", ...seed, diameter: Number(diameter.value), edge: [...edge] });
    outline = {};
    if (!answer) edge.pop(); // or it would be refused again with the next one
    if (answer) {
      answer.reply.parts.forEach((part, at) => {
        const view = answer.buffers[at];
        outline[part.number] = { ...part,
          mask: view.buffer ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(view) };
      });
      say(answer.reply.words);
    }
    enable();
    draw();
  };

  canvas.addEventListener("click", (event) => {
    if (!pixels) return;
    const place = canvas.getBoundingClientRect();
    const clicked = {
      number,
      row: Math.floor(((event.clientY - place.top) / place.height) * series.rows),
      column: Math.floor(((event.clientX - place.left) / place.width) * series.columns),
    };
    if (event.shiftKey && seed) edge.push(clicked);
    else [seed, edge] = [clicked, []];
    contour();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!series) return;
    event.preventDefault();
    show(number + Math.sign(event.deltaY));
  }, { passive: false });
  slider.addEventListener("input", () => show(Number(slider.value)));
  [centre, width].forEach((input) => input.addEventListener("input", draw));
  diameter.addEventListener("change", () => seed && contour());
  patient.addEventListener("change", open);
  next.addEventListener("click", () => {
    patient.selectedIndex += 1;
    open();
  });
  keep.addEventListener("click", async () => {
    const answer = await asked({ kind: "keep" });
    if (!answer) return;
    lesions.push(outline);
    [outline, seed, edge] = [{}, null, []];
    say(`${lesions.length} lesion(s) kept. Click the next one, or save.`);
    enable();
    draw();
  });
  drop.addEventListener("click", () => {
    [outline, seed, edge] = [{}, null, []];
    say("Discarded.");
    enable();
    draw();
  });
  save.addEventListener("click", async () => {
    const answer = await asked({ kind: "save" });
    if (answer) say(answer.reply.words);
  });
  open();
}
