// Draws where the camera was: a circle for the radius, a dot for each photo taken around it.
export default function (component) {
  const { parentElement, data } = component;
  const NS = "http://www.w3.org/2000/svg", WIDTH = 300, HEIGHT = 200;
  const make = (name, attributes, parent) => {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.appendChild(node);
    return node;
  };
  const host = parentElement.querySelector(".around-map");
  host.replaceChildren();
  const far = Math.max(data.radius_m, 20, ...data.photos.map((one) => Math.max(Math.abs(one.east), 1.4 * Math.abs(one.north))));
  const metres = (2.5 * far) / WIDTH; // of one unit of the drawing
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": data.words }, host);
  const x = (east) => WIDTH / 2 + east / metres, y = (north) => HEIGHT / 2 - north / metres;
  make("circle", { cx: x(0), cy: y(0), r: Math.max(5, data.radius_m / metres), class: "within" }, svg);
  for (const one of data.photos) {
    const dot = make("circle", { cx: x(one.east), cy: y(one.north), r: 6, class: "near" }, svg);
    make("title", {}, dot).textContent = `${one.file}, ${one.when}`;
  }
  make("circle", { cx: x(0), cy: y(0), r: 4, class: "here" }, svg);
  const round = 10 ** Math.floor(Math.log10((WIDTH / 3) * metres));
  const length = round * [5, 2, 1].find((step) => step * round <= (WIDTH / 3) * metres);
  make("path", { d: `M12 ${HEIGHT - 22}v6h${length / metres}v-6`, class: "scale" }, svg);
  make("text", { x: 12, y: HEIGHT - 26, class: "scale-text" }, svg).textContent =
    length >= 1000 ? `${length / 1000} km` : `${length} m`;
  parentElement.querySelector(".around-strip").replaceChildren(...data.photos.map((one) => {
    const item = document.createElement("li");
    const picture = document.createElement(one.thumb ? "img" : "span");
    if (one.thumb) { picture.src = one.thumb; picture.alt = ""; }
    else { picture.textContent = "no preview"; picture.className = "none"; }
    const when = document.createElement("strong"), file = document.createElement("small");
    when.textContent = one.when;
    file.textContent = one.file;
    item.append(picture, when, file);
    return item;
  }));
}
