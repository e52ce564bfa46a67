// Draws places on the outline of the world; no tiles, nothing is fetched.
function drawWorld(host, { land, viewBox, places, zoomTo, onPlace, onPick }) {
  const CLOSEST = 12; // tenths of a degree
  const NS = "http://www.w3.org/2000/svg";
  const whole = viewBox.split(" ").map(Number);
  let box = host.worldBox && host.worldKey === JSON.stringify(zoomTo ?? null) ? host.worldBox : [...whole];
  const make = (name, attributes, parent) => {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.appendChild(node);
    return node;
  };
  host.replaceChildren();
  const total = places.reduce((sum, place) => sum + place.count, 0);
  const svg = make("svg", { viewBox: box.join(" "), role: "group", class: "world",
    "aria-label": `World map: ${total} photos at ${places.length} places` }, host);
  const ground = make("path", { d: land, class: "land" }, svg);
  const dots = make("g", {}, svg);
  const at = (place) => [10 * (place.longitude + 180), 10 * (90 - place.latitude)];
  // Dots that would cover each other are one dot, which opens as it is zoomed into.
  const together = (unit) => {
    const found = [];
    for (const place of places) {
      const [x, y] = at(place);
      const near = found.find((dot) => Math.hypot(dot.x - x, dot.y - y) < 80 * unit);
      if (near) { near.members.push(place); near.count += place.count; }
      else found.push({ x, y, count: place.count, members: [place] });
    }
    return found;
  };
  const show = () => {
    svg.setAttribute("viewBox", box.join(" "));
    const unit = box[2] / (4.4 * (svg.clientWidth || 820)); // a fourth of a pixel, also on a phone
    ground.setAttribute("stroke-width", 3 * unit);
    dots.replaceChildren();
    for (const { x, y, count, members } of together(unit)) {
      const place = members[0], others = members.length - 1;
      const more = others ? ` and ${others} more place${others === 1 ? "" : "s"}` : "";
      const words = `${place.name || "Chosen place"}${more}: ${count} photo${count === 1 ? "" : "s"}`;
      const radius = (20 + 14 * Math.log2(1 + count)) * unit;
      const dot = make("circle", { cx: x, cy: y, r: radius, class: "dot", "stroke-width": 4 * unit }, dots);
      make("title", {}, dot).textContent = words;
      if (count > 1)
        make("text", { x, y: y + 13 * unit, class: "count", "font-size": 38 * unit }, dots).textContent = count;
      if (onPlace) {
        dot.setAttribute("tabindex", "0");
        dot.setAttribute("role", "button");
        dot.setAttribute("aria-label", words);
        const choose = (event) => {
          event.stopPropagation();
          event.preventDefault();
          if (others && box[2] > CLOSEST) { zoom(0.25, x, y); dots.querySelector(".dot")?.focus({ preventScroll: true }); }
          else onPlace(place);
        };
        dot.addEventListener("click", choose);
        dot.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") choose(event); });
      } else {
        dot.setAttribute("role", "img");
        dot.setAttribute("aria-label", words);
      }
    }
    host.worldBox = box;
    host.worldKey = JSON.stringify(zoomTo ?? null);
  };
  const zoom = (factor, x = box[0] + box[2] / 2, y = box[1] + box[3] / 2) => {
    const width = Math.min(whole[2], Math.max(CLOSEST, box[2] * factor));
    const height = (width * whole[3]) / whole[2];
    const left = x - ((x - box[0]) * width) / box[2], top = y - ((y - box[1]) * height) / box[3];
    box = [Math.min(Math.max(left, 0), 3600 - width),
      Math.min(Math.max(top, whole[1]), whole[1] + whole[3] - height), width, height];
    show();
  };
  const under = (event) => {
    const area = svg.getBoundingClientRect();
    // Browsers give whole pixels, rounded down: the middle of the pixel is meant.
    return [box[0] + ((event.clientX + 0.5 - area.left) / area.width) * box[2],
      box[1] + ((event.clientY + 0.5 - area.top) / area.height) * box[3]];
  };
  let from = null, moved = false;
  svg.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY, [...box]]; moved = false; });
  svg.addEventListener("pointermove", (event) => {
    if (!from || !event.buttons) return;
    const area = svg.getBoundingClientRect();
    const dx = event.clientX - from[0], dy = event.clientY - from[1];
    if (Math.abs(dx) + Math.abs(dy) < 5 && !moved) return;
    moved = true;
    box = [...from[2]];
    box[0] -= (dx / area.width) * box[2];
    box[1] -= (dy / area.height) * box[3];
    zoom(1);
  });
  svg.addEventListener("pointerup", () => { from = null; });
  svg.addEventListener("click", (event) => {
    if (moved || !onPick) return;
    const [x, y] = under(event);
    onPick({ latitude: 90 - y / 10, longitude: x / 10 - 180 });
  });
  const bar = document.createElement("div");
  bar.className = "zoom";
  for (const [sign, label, action] of [
    ["+", "Zoom in", () => zoom(0.5)], ["−", "Zoom out", () => zoom(2)],
    ["⤢", "Whole world", () => { box = [...whole]; show(); }]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.setAttribute("aria-label", label);
    button.title = label;
    button.addEventListener("click", action);
    bar.appendChild(button);
  }
  host.appendChild(bar);
  if (zoomTo && host.worldKey !== JSON.stringify(zoomTo)) {
    const [x, y] = at(zoomTo);
    box = [...whole];
    const width = 900, height = (width * whole[3]) / whole[2];
    box = [x - width / 2, y - height / 2, width, height];
    zoom(1);
  } else show();
  new ResizeObserver(show).observe(svg);
}
