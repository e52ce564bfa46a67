const SAID = { accept: "✓ accepted", reject: "✕ rejected", landmark: "✎ corrected", place: "✎ placed", none: "✓ no landmark" };

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  const list = parentElement.querySelector(".gallery");
  const focused = list.contains(parentElement.activeElement ?? null) ? parentElement.activeElement.dataset.row : null;
  // Pictures that stay are moved, not asked for again: the server forbids a browser to keep any.
  const kept = new Map([...list.querySelectorAll("img")].map((image) => [image.getAttribute("src"), image]));
  list.replaceChildren(...data.cards.map((card) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.row = card.row;
    button.className = `card ${card.decision}${card.current ? " current" : ""}`;
    button.setAttribute("aria-label", `Open ${card.file}: ${card.title}, ${card.note}${card.decision ? `, ${SAID[card.decision]}` : ""}`);
    if (card.current) button.setAttribute("aria-current", "true");
    const picture = document.createElement("span");
    picture.className = "picture";
    if (card.thumb) {
      const image = kept.get(card.thumb) ?? document.createElement("img");
      kept.delete(card.thumb); // two photos with one picture need an element each
      if (image.getAttribute("src") !== card.thumb) image.src = card.thumb;
      image.alt = "";
      picture.appendChild(image);
    } else picture.textContent = "no preview";
    const title = document.createElement("strong");
    title.textContent = card.title;
    const note = document.createElement("small");
    note.textContent = card.note;
    button.append(picture, title, note);
    if (card.decision) {
      const badge = document.createElement("span");
      badge.className = "badge";
      badge.textContent = SAID[card.decision];
      button.appendChild(badge);
    }
    button.addEventListener("click", () => {
      setTriggerValue("open", card.row);
      document.querySelector("[data-testid=stMain]")?.scrollTo({ top: 0 });
    });
    item.appendChild(button);
    return item;
  }));
  if (focused) list.querySelector(`[data-row="${focused}"]`)?.focus({ preventScroll: true });
}
