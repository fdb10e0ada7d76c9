"use strict";
// The search page. Whatever comes from the bundle or the user becomes text by textContent, never markup.

const at = (id) => document.getElementById(id);
const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const state = { bundle: null, image: null, id: null, asked: 0 };

async function asked(path, options) {
  const response = await fetch(path, options);
  const content = await response.json().catch(() => ({ error: `the service answered with status ${response.status}` }));
  if (!response.ok) throw new Error(content.error);
  return content;
}

function tell(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
}

async function begin() {
  try {
    state.bundle = await asked("api/bundle");
  } catch (error) {
    tell(`The service does not answer: ${error.message}`, true);
    return;
  }
  const { items, name, reads_texts } = state.bundle;
  at("about").textContent = `${name}: ${items.toLocaleString("en")} items`;
  at("words").hidden = !reads_texts;
  if (reads_texts) tell("Choose an image or write what to look for.");
  offerFilters();
  restore();
}

function offerFilters() {
  const { columns, thresholds, limits } = state.bundle;
  const place = at("filters");
  const chosen = (name, label, options) => {
    const select = made("select", { name });
    for (const [value, text] of options) select.append(made("option", { value, textContent: text }));
    place.append(made("fieldset", {}, made("label", {}, label, select)));
    return select;
  };
  if (thresholds.length) {
    const shares = thresholds.map(({ precision }) => [String(precision), `${percent(precision)} right or better`]);
    chosen("precision", "Show", [["", "everything"], ...shares]);
  }
  const counts = [12, 24, 48, 96].filter((count) => count <= limits.results).map((count) => [String(count), String(count)]);
  chosen("k", "Results", counts);
  for (const { name, kind, choices, lowest, highest } of columns) {
    if (choices) {
      if (choices.length > 1) chosen("equal", name, [["", "any"], ...choices.map((value) => [value, value])]).dataset.column = name;
    } else if (kind === "number" && lowest < highest) {
      const bound = (sign, value, word) => {
        const input = made("input", { type: "number", step: "any", placeholder: String(value) });
        input.setAttribute("aria-label", `${name}, ${word}`);
        Object.assign(input.dataset, { column: name, sign });
        return input;
      };
      const range = made("div", { className: "range" }, bound(">=", lowest, "at least"), "to", bound("<=", highest, "at most"));
      place.append(made("fieldset", {}, made("legend", { textContent: name }), range));
    }
  }
}

function chosenFilters() {
  const found = [];
  for (const select of document.querySelectorAll("select[name=equal]")) {
    if (select.value) found.push(`${select.dataset.column}=${select.value}`);
  }
  for (const input of document.querySelectorAll("input[data-sign]")) {
    if (input.value) found.push(`${input.dataset.column}${input.dataset.sign}${input.value}`);
  }
  return found;
}

function parameters() {
  const text = at("words").hidden ? "" : at("text").value.trim();
  const precision = document.querySelector("select[name=precision]");
  const wanted = new URLSearchParams({ k: document.querySelector("select[name=k]").value });
  if (state.id !== null) wanted.set("id", state.id);
  if (text) wanted.set("text", text);
  if (text && (state.image || state.id !== null)) wanted.set("text_share", at("share").value);
  if (precision && precision.value && !text) wanted.set("min_precision", precision.value);
  for (const filter of chosenFilters()) wanted.append("filter", filter);
  return wanted;
}

async function search({ focus = false, remember = true } = {}) {
  showQuery();
  const wanted = parameters();
  const nothing = !state.image && state.id === null && !wanted.has("text");
  if (remember) history[nothing ? "replaceState" : "pushState"](null, "", state.image ? "?" : `?${wanted}`);
  if (nothing) {
    at("bands").replaceChildren();
    tell(state.bundle.reads_texts ? "Choose an image or write what to look for." : "Choose an image to begin.");
    return;
  }
  const turn = ++state.asked;
  document.body.classList.add("busy");
  tell("Searching …");
  let options;
  if (state.image) {
    const body = new FormData();
    body.append("image", state.image, "image");
    options = { method: "POST", body };
  }
  try {
    const answer = await asked(`api/search?${wanted}`, options);
    if (turn === state.asked) show(answer, focus);
  } catch (error) {
    if (turn !== state.asked) return;
    at("bands").replaceChildren();
    tell(`Not found: ${error.message}`, true);
  } finally {
    if (turn === state.asked) document.body.classList.remove("busy");
  }
}

function showQuery() {
  const preview = at("preview"), some = Boolean(state.image) || state.id !== null;
  if (preview.src.startsWith("blob:")) URL.revokeObjectURL(preview.src);
  preview.hidden = at("forget").hidden = !some;
  at("mix").hidden = !(some && at("text").value.trim());
  at("asked").textContent = state.id !== null ? `Like item ${state.id}` : state.image ? "Like this image" : "Drop an image here, paste one, or";
  if (state.image) {
    preview.src = URL.createObjectURL(state.image);
    preview.alt = "The image that is searched by";
  } else if (state.id !== null) {
    preview.src = pictureOf(state.id);
    preview.alt = `Item ${state.id}`;
  } else {
    preview.removeAttribute("src");
  }
  const count = chosenFilters().length;
  at("active").textContent = count ? `(${count})` : "";
}

const percent = (share) => `${Number((100 * share).toFixed(1))} %`;
const pictureOf = (id) => `api/picture?side=320&v=${state.bundle.fingerprint.slice(0, 8)}&id=${encodeURIComponent(id)}`;

function show({ neighbours, thresholds, relevance }, focus) {
  const bands = at("bands");
  bands.replaceChildren();
  tell(neighbours.length ? `${neighbours.length} ${neighbours.length === 1 ? "item" : "items"}, nearest first` : "No item passes the filters.");
  const same = relevance.length ? ` (same ${relevance.join(" and ")})` : "";
  const sorted = [...thresholds].sort((a, b) => b.similarity - a.similarity);
  let list = null, before;
  for (const one of neighbours) {
    if (list === null || one.precision !== before) {
      before = one.precision;
      const level = sorted.find(({ precision }) => precision === one.precision);
      if (level) {
        bands.append(made("h3", { className: tone(one, sorted), textContent:
          `From ${level.similarity.toFixed(3)}: at least ${percent(level.precision)} right${same}` }));
      } else if (sorted.length) {
        const lowest = sorted[sorted.length - 1];
        bands.append(made("h3", { className: "low", textContent:
          `Below ${lowest.similarity.toFixed(3)}: under the lowest threshold` }));
      }
      list = made("ol");
      bands.append(list);
    }
    list.append(card(one, tone(one, sorted)));
  }
  if (focus) at("results").focus({ preventScroll: true });
}

function tone({ precision }, sorted) {
  if (precision === null) return "low";
  return sorted.length && precision === sorted[0].precision ? "high" : sorted.length > 1 && precision === sorted[sorted.length - 1].precision ? "middle" : "high";
}

function card(one, className) {
  const words = one.caption || one.label || one.id;
  const image = made("img", { src: pictureOf(one.id), alt: "", loading: "lazy", decoding: "async" });
  const picture = made("span", { className: "picture" }, image);
  image.addEventListener("error", () => picture.replaceChildren("no picture here"));
  const bar = made("span", { className: `bar ${className}` }, made("span"));
  bar.setAttribute("aria-hidden", "true");
  bar.firstChild.style.width = `${Math.max(0, Math.min(1, one.similarity)) * 100}%`;
  const share = one.precision === null ? "" : `≥ ${percent(one.precision)}`;
  const more = [...new Set([one.label, one.product, one.id].filter((value) => value && value !== words))].join(" · ");
  const button = made("button", { type: "button", className: "card" }, picture,
    made("span", { className: `similarity ${className}` }, made("span", { textContent: one.similarity.toFixed(3) }), made("span", { textContent: share })), bar,
    made("span", { className: "name", textContent: words, title: words }), made("span", { className: "more", textContent: more }));
  const band = one.precision === null ? "" : `, at least ${percent(one.precision)} right`;
  button.setAttribute("aria-label", `${words}, item ${one.id}: similarity ${one.similarity.toFixed(3)}${band}. Search on with it`);
  button.dataset.id = one.id;
  button.addEventListener("click", () => {
    Object.assign(state, { id: one.id, image: null });
    at("text").value = "";
    search({ focus: true });
    window.scrollTo({ top: 0 });
  });
  return made("li", {}, button);
}

function take(files) {
  const image = [...files].find(({ type }) => type.startsWith("image/")) || files[0];
  if (!image) return;
  const { upload_bytes } = state.bundle.limits;
  if (image.size > upload_bytes) {
    tell(`The image has ${(image.size / 1e6).toFixed(1)} MB; allowed are ${upload_bytes / 1e6} MB.`, true);
    return;
  }
  Object.assign(state, { image, id: null });
  search({ focus: true });
}

function restore() {
  const given = new URLSearchParams(location.search);
  Object.assign(state, { id: given.get("id"), image: null });
  at("text").value = given.get("text") || "";
  if (given.has("text_share")) at("share").value = given.get("text_share");
  const precision = document.querySelector("select[name=precision]"), k = document.querySelector("select[name=k]");
  if (precision) precision.value = given.get("min_precision") || "";
  k.value = given.get("k") || "12";
  if (!k.value) k.value = "12";
  const filters = given.getAll("filter");
  for (const select of document.querySelectorAll("select[name=equal]")) {
    const start = `${select.dataset.column}=`, found = filters.find((filter) => filter.startsWith(start));
    select.value = found ? found.slice(start.length) : "";
  }
  for (const input of document.querySelectorAll("input[data-sign]")) {
    const start = input.dataset.column + input.dataset.sign, found = filters.find((filter) => filter.startsWith(start));
    input.value = found ? found.slice(start.length) : "";
  }
  search({ remember: false });
}

at("preview").addEventListener("error", ({ target }) => { target.hidden = true; });
for (const id of ["file", "camera"]) at(id).addEventListener("change", ({ target }) => { take(target.files); target.value = ""; });
/* A link to a fragment would be a step in the history, whose `popstate` searches and draws the cards once more. */
at("skip").addEventListener("click", (event) => { event.preventDefault(); at("results").focus(); });
at("forget").addEventListener("click", () => { Object.assign(state, { image: null, id: null }); search(); at("file").focus(); });
at("query").addEventListener("submit", (event) => { event.preventDefault(); search({ focus: true }); });
at("filters").addEventListener("change", () => search());
at("share").addEventListener("change", () => search());
addEventListener("popstate", restore);
addEventListener("paste", ({ clipboardData }) => { if (clipboardData.files.length) take(clipboardData.files); });
addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
addEventListener("dragleave", () => at("drop").classList.remove("over"));
addEventListener("drop", (event) => { event.preventDefault(); at("drop").classList.remove("over"); take(event.dataTransfer.files); });
begin();
