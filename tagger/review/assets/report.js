const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const PAGE = 120;
let shown = PAGE;
const add = (parent, name, text, kind) => {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (kind) node.className = kind;
  parent.appendChild(node);
  return node;
};
for (const [id, values] of [["status", data.statuses], ["landmark", data.landmarks], ["source", data.sources], ["folder", data.folders]])
  for (const value of values) add(byId(id), "option", value.replaceAll("_", " ")).value = value;

function wanted() {
  const status = byId("status").value, landmark = byId("landmark").value, folder = byId("folder").value, source = byId("source").value;
  const low = Number(byId("low").value) / 100 || 0, words = byId("search").value.toLowerCase();
  const rows = data.rows.filter((row) => (!status || row.status === status) && (!landmark || row.landmark === landmark) && (!source || row.source === source)
    && (!folder || row.folder === folder || row.folder.startsWith(`${folder}/`)) && (!low || row.confidence >= low)
    && (!words || `${row.file} ${row.landmark} ${row.city} ${row.country}`.toLowerCase().includes(words)));
  const order = byId("order").value;
  const key = { doubt: (row) => (row.confidence === null ? 9 : Math.abs(row.confidence - 0.5)),
    confidence: (row) => (row.confidence === null ? 9 : -row.confidence), listed: (row) => row.number }[order];
  return rows.sort((a, b) => key(a) - key(b) || a.number - b.number);
}

function card(row) {
  const item = document.createElement("li");
  const picture = add(item, "div", row.thumb ? undefined : row.why || "no preview", "picture");
  if (row.thumb) {
    const image = add(picture, "img");
    image.src = row.thumb;
    image.alt = `${row.file}: ${row.title}`;
    image.loading = "lazy";
  }
  const words = add(item, "div", undefined, "words");
  add(words, "strong", row.title);
  if (row.confidence !== null) {
    const bar = add(words, "div", undefined, "bar");
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `confidence ${Math.round(100 * row.confidence)} percent`);
    add(bar, "span").style.width = `${100 * row.confidence}%`;
  }
  const line = add(words, "div", undefined);
  add(line, "span", row.status.replaceAll("_", " "), `status ${row.status}`);
  const percent = row.confidence === null ? "" : ` · ${(100 * row.confidence).toFixed(0)} %`;
  line.append(percent + (row.accept ? ` · accept: ${row.accept}` : ""));
  if (row.city || row.country) add(words, "small", [row.city, row.country].filter(Boolean).join(", "));
  if (row.others) add(words, "small", `else ${row.others}`);
  if (row.camera) add(words, "small", row.camera);
  if (row.reason) add(words, "small", row.reason);
  add(words, "small", row.file);
  return item;
}

function update() {
  const rows = wanted();
  byId("gallery").replaceChildren(...rows.slice(0, shown).map(card));
  byId("count").textContent = `${rows.length.toLocaleString()} of ${data.rows.length.toLocaleString()} photos`;
  byId("more").hidden = rows.length <= shown;
  const places = new Map();
  for (const row of rows) {
    if (row.latitude === null || row.accept === "no") continue;
    // Positions without a landmark are all different: too many for a map of the world.
    const near = (value) => (row.landmark ? value : Math.round(10 * value) / 10);
    const name = row.landmark || row.title, latitude = near(row.latitude), longitude = near(row.longitude);
    const key = `${name} ${latitude} ${longitude}`;
    const place = places.get(key) || { name, landmark: row.landmark, source: row.source, latitude, longitude, count: 0 };
    place.count += 1;
    places.set(key, place);
  }
  drawWorld(byId("map"), { land: data.land, viewBox: data.viewBox, places: [...places.values()],
    onPlace: (place) => {
      const by = place.landmark ? "landmark" : "source";
      byId(by).value = byId(by).value === place[by] ? "" : place[by];
      shown = PAGE;
      update();
    } });
}
for (const id of ["status", "landmark", "source", "folder", "low", "search", "order"])
  byId(id).addEventListener("input", () => { shown = PAGE; update(); });
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("more").addEventListener("click", () => { shown += PAGE; update(); });
update();
